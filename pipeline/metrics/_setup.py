"""What all variables of one evaluation share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.metrics.regions import CellRegions


@dataclass(frozen=True, eq=False)
class Setup:
    """Arguments of :func:`~pipeline.metrics.evaluate.evaluate`, checked."""

    split: str
    time: np.ndarray
    weights: np.ndarray
    names: tuple[str, ...]
    reference: str | None
    seed: int
    resamples: int
    task: str
    months: bool
    seasons: bool
    prefix: str
    month_metrics: tuple[str, ...]
    leads: int
    ahead: int
    regions: CellRegions | None
