"""Ridge regression on the principal components of the inputs."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, field_validator

from models import MODELS
from models._classical import FitData, LinearModel, principal_components, residual_sd, rmse
from models.ridge import RidgeConfig, fit_ridge, warn_at_end
from pipeline.model import Context
from pipeline.samples import Samples

Array = Any


class PcaRidgeConfig(RidgeConfig):
    """Options of :class:`PcaRidge`."""

    alphas: list[float] = Field(
        default=[1.0, 10.0, 100.0, 1000.0, 10000.0],
        min_length=1,
        description="Penalties to choose from on the validation split.",
    )
    components: list[int] = Field(
        default=[5, 10, 20, 40, 80],
        min_length=1,
        description="Numbers of components to choose from on the validation split.",
    )

    @field_validator("components")
    @classmethod
    def _counts(cls, counts: list[int]) -> list[int]:
        if any(count < 1 for count in counts):
            raise ValueError(f"expected numbers of components above zero, got {counts!r}")
        return sorted(counts)


@MODELS.register("pca_ridge")
class PcaRidge(LinearModel):
    """Principal component regression: the leading patterns of all channels together, then ridge.

    The components are those of the train split's inputs, all channels and coarse cells in one
    vector. Their number and the penalty are chosen together on the validation split. The slopes
    are kept in the inputs' own coordinates.
    """

    Config = PcaRidgeConfig

    def fit(self, train: Samples, validation: Samples, context: Context) -> Self:
        """Fit one regression a number of components and penalty, and keep the best."""
        table = self.start(train, context)
        xp, weight = context.backend.xp, table.weight
        data = FitData.of(table, train, validation, context)
        counts = sorted({min(count, *data.inputs.shape) for count in self.config.components})
        pca = principal_components(data.inputs, counts[-1], context)
        scores, patterns, centre = pca.transform(data.inputs), pca.components_, pca.mean_
        path: list[dict[str, float]] = []
        best: tuple[dict[str, float], Array] | None = None
        with context.progress(f"fit {context.name}", len(counts) * len(self.config.alphas)) as step:
            for count in counts:
                for alpha in self.config.alphas:
                    slopes, level = fit_ridge(scores[:, :count], data.truth, alpha, context)
                    coef = slopes @ patterns[:count, :]
                    intercept = level - coef @ centre
                    mean = data.check_inputs @ coef.T + intercept
                    error = rmse(mean, data.check_truth, weight, xp)
                    path.append({"components": count, "alpha": alpha, "rmse": error})
                    if best is None or error < best[0]["rmse"]:
                        best = (path[-1], mean)
                        self.arrays = {"coef": coef, "intercept": intercept}
                    step.advance(note=f"{count} components")
        assert best is not None  # neither list is ever empty
        chosen, mean = best
        self.arrays["sd"] = residual_sd(mean, data.check_truth, xp)
        self.choices = {
            "components": chosen["components"],
            "alpha": chosen["alpha"],
            "validation_rmse": chosen["rmse"],
            "path": path,
        }
        warn_at_end("alphas", chosen["alpha"], self.config.alphas, context)
        return self
