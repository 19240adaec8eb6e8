"""Days of the past that looked alike, and what the target did on them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import Field, field_validator

from models import MODELS
from models._classical import ArrayModel, column_mean, known_days, known_truth, principal_components
from models._members import blocks_of, gather, laid_out
from models.ridge import warn_at_end
from pipeline.backend.estimators import Estimator
from pipeline.model import Context, ModelConfig
from pipeline.prediction import Prediction
from pipeline.samples import Samples

Array = Any


class AnalogsConfig(ModelConfig):
    """Options of :class:`Analogs`."""

    components: int = Field(default=20, ge=1, description="Principal components that days are compared by.")
    neighbours: list[int] = Field(
        default=[5, 10, 20, 30, 50],
        min_length=1,
        description="Numbers of analogs to choose from on the validation split.",
    )

    @field_validator("neighbours")
    @classmethod
    def _several(cls, counts: list[int]) -> list[int]:
        if any(count < 2 for count in counts):
            raise ValueError(f"expected at least two analogs, got {counts!r}")
        return sorted(counts)


@MODELS.register("analogs")
class Analogs(ArrayModel):
    """The targets of the nearest train days are the members of the forecast.

    Days are compared by Euclidean distance between their leading principal components, all
    channels together. The number of analogs is the one with the smallest CRPS of the members on
    the validation split. Each member is a field that was once observed, so its patterns are
    coherent; nothing beyond what was observed can be forecast. Where an analog has no truth in a
    cell, the mean of the other analogs stands in, and the train mean where none has.

    The spread of the members has two parts: what days with the same patterns leave open, and how much the target
    varies over the part of the patterns that the analogs lie in. The second is no error where they lie all round the
    day, so that many analogs, or few train days, spread too widely. How far the analogs are the spread does not say:
    beyond the observed weather they are the last days on one side, whatever is asked, with their usual spread and an
    error that grows.

    References
    ----------
    Zorita and von Storch (1999), J. Climate 12, 2474-2489, doi:10.1175/1520-0442(1999)012<2474:TAMAAS>2.0.CO;2.
    """

    Config = AnalogsConfig
    tasks: ClassVar[frozenset[str]] = frozenset({"downscaling", "series"})

    def __init__(self, config: ModelConfig | None = None) -> None:
        super().__init__(config)
        self._index: Estimator | None = None

    def fit(self, train: Samples, validation: Samples, context: Context) -> Self:
        """Keep the train split in its components, and choose the number of analogs."""
        table, xp = self.start(train, context), context.backend.xp
        rows, truth = known_days(table, train)
        pca = principal_components(rows, self.config.components, context)
        self.arrays = {
            "patterns": pca.components_,
            "centre": pca.mean_,
            "targets": truth,
            "mean": xp.astype(column_mean(truth, xp), xp.float32),
        }
        self.arrays["scores"] = self._scores(rows)
        self._look_up(context)
        counts = sorted({min(count, truth.shape[0]) for count in self.config.neighbours})
        path = self._path(table.rows(validation), known_truth(table, validation, wide=False), counts, context)
        best = min(path, key=lambda point: point["crps"])
        self.choices = {
            "neighbours": best["neighbours"],
            "components": int(pca.components_.shape[0]),
            "variance": float(xp.sum(pca.explained_variance_ratio_)),
            "path": path,
        }
        warn_at_end("neighbours", best["neighbours"], counts, context)
        return self

    def predict(self, inputs: Samples, context: Context) -> Prediction:
        """Return the targets of the chosen number of analogs as members, nearest first."""
        table = self.table
        count = self.choices["neighbours"]
        found = ((days, self._members(nearest)) for days, nearest in self._days(table.rows(inputs), count))
        return laid_out(table, count, len(inputs), found)

    @classmethod
    def load(cls, folder: Path, context: Context) -> Self:
        """Return the saved model, ready to look days up."""
        model = super().load(folder, context)
        model._look_up(context)
        return model

    def _look_up(self, context: Context) -> None:
        # Brute force on both sides: the same neighbours, and no tree pays in twenty dimensions.
        self._index = context.estimator("NearestNeighbors", algorithm="brute").fit(self.arrays["scores"])

    def _scores(self, rows: Array) -> Array:
        xp = self.table.backend.xp
        return xp.astype((rows - self.arrays["centre"]) @ self.arrays["patterns"].T, xp.float32)

    def _path(self, rows: Array, truth: Array, counts: list[int], context: Context) -> list[dict[str, float]]:
        """Return the area-weighted CRPS of every number of analogs on the validation split."""
        xp = self.table.backend.xp
        weight = xp.astype(self.table.weight, xp.float32)
        there = xp.isfinite(truth)
        share = float(xp.sum(xp.where(there, weight, xp.zeros_like(truth)), dtype=xp.float64))
        total = dict.fromkeys(counts, 0.0)
        with context.progress(f"fit {context.name}", rows.shape[0]) as step:
            for days, nearest in self._days(rows, counts[-1]):
                for count in counts:
                    members = Prediction("members", {"members": self._members(nearest[:count, :])})
                    crps = members.crps(truth[days, :]) * weight
                    known = xp.where(there[days, :], crps, xp.zeros_like(crps))
                    total[count] += float(xp.sum(known, dtype=xp.float64))
                step.advance(nearest.shape[1])
        return [{"neighbours": count, "crps": total[count] / share} for count in counts]

    def _days(self, rows: Array, count: int) -> Iterator[tuple[slice, Array]]:
        """Yield days, few at a time, and their ``count`` nearest train days, shape (member, time)."""
        assert self._index is not None  # set by fit and by load
        xp = self.table.backend.xp
        _, nearest = self._index.kneighbors(self._scores(rows), n_neighbors=count)
        chosen = xp.asarray(nearest).T
        for days in blocks_of(chosen, self.arrays["targets"].shape[1]):
            yield days, chosen[:, days]

    def _members(self, nearest: Array) -> Array:
        """Return the targets of the train days ``nearest``, float32, shape (member, time, column)."""
        return gather(self.arrays["targets"], nearest, self.arrays["mean"])
