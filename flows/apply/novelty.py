"""How far new data lie from the climate that a model was trained on, written beside its predictions."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from flows.apply.bundle import Bundle
from pipeline.novelty.dataset import OF_SAMPLE, OF_SEASON
from pipeline.novelty.fitted import Measured, Novelty
from pipeline.novelty.reference import MUCH, SEASONS
from pipeline.novelty.season import DAYS
from pipeline.novelty.storage import load_novelty
from pipeline.prediction.serial.beside import add_beside
from pipeline.samples import Samples

_WRITTEN = {"novelty": "novelty", "novelty_share": "share"}


@dataclass(frozen=True)
class Strange:
    """How many of the new samples are unusual.

    Parameters
    ----------
    unusual, known : int
        Samples (of a table those of single stations) farther from the train climate than 99 % of its own, and all.
    seasons : float
        Share of dates whose 91 days around are unusual; NaN where that cannot be told.
    """

    unusual: int
    known: int
    seasons: float = float("nan")

    @property
    def share(self) -> float:
        """Share of unusual samples; 0 of none."""
        return self.unusual / max(1, self.known)


@dataclass
class Watch:
    """Measures samples block by block, and judges them when all have come.

    Parameters
    ----------
    novelty : Novelty or None
        As it was fitted; None: nothing is measured.
    """

    novelty: Novelty | None
    _parts: list[Measured] = field(default_factory=list)

    @classmethod
    def of(cls, bundle: Bundle) -> Watch:
        """Return the watch of a bundle; of one that was made without it, one that sees nothing."""
        return cls(load_novelty(bundle.space.run / "work/prepare", bundle.recipe.schema, bundle.space.backend))

    def see(self, samples: Samples) -> None:
        """Measure the samples of one block."""
        if self.novelty is not None:
            self._parts.append(self.novelty.measure(samples))

    def write(self, path: Path) -> Strange | None:
        """Write ``novelty`` and ``novelty_share`` into the predictions at ``path``; return how unusual they are."""
        if self.novelty is None or not self._parts:
            return None
        scores = self.novelty.judge(Measured.joined(self._parts))
        parts = {}
        for name, source in _WRITTEN.items():
            values = getattr(scores.judged, source)
            parts[name] = (values if values.shape[1] > 1 else values[:, 0], OF_SAMPLE[source])
        seasons = float("nan")
        if scores.season is not None:
            known = np.isfinite(scores.season.novelty)
            seasons = float(scores.season.unusual[known].mean()) if known.any() else seasons
            parts["season_novelty"] = (scores.season.novelty, OF_SEASON["season_novelty"])
        add_beside(path, parts, self.novelty.space.schema.target_grid)
        return Strange(int(scores.judged.unusual.sum()), int(np.isfinite(scores.judged.novelty).sum()), seasons)


def warning(strange: Strange) -> str:
    """Return a line to warn of data unlike those of the training; empty where they are as expected.

    Examples
    --------
    >>> warning(Strange(3, 300))
    ''
    >>> warning(Strange(36, 300)).partition(":")[0]
    'unusual'
    """
    if strange.share > MUCH:
        return (
            f"unusual: {strange.unusual} of {strange.known} samples ({strange.share:.0%}) lie farther from the train "
            "climate than 99% of the train samples, where 1% is expected; there the model extrapolates"
        )
    if strange.seasons > SEASONS:
        return (
            f"unusual: for {strange.seasons:.0%} of the dates the mean of the predictors over the {DAYS} days around "
            "lies farther from the train climate than 99% of such means of the training, where 1% is expected"
        )
    return ""
