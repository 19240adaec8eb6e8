"""Reliability of the probabilities of classes: how often what is given some probability comes true."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.metrics import Case
from pipeline.metrics._bins import share
from pipeline.metrics.bootstrap import percentile_interval
from pipeline.metrics.classes._cells import time_parts
from pipeline.metrics.classes.calibration import expected_error, row_sums, width_bins
from pipeline.metrics.groups import Group

BINS = 10


@dataclass(frozen=True, eq=False)
class Reliability:
    """Probability against frequency, in bins of equal width from 0 to 1, on the host; NaN where a bin is empty.

    Parameters
    ----------
    probability, frequency : ndarray, shape (row, bin)
        Mean probability of the cells in a bin, and the share of their area where it came true. A row is a class;
        the last row is the most likely class, whichever it is.
    area : ndarray, shape (row, bin)
        Share of the area of all cells that lies in a bin.
    error : ndarray, shape (row,)
        Expected calibration error: the mean distance of both, by area (Naeini et al. 2015,
        doi:10.1609/aaai.v29i1.9602; of the most likely class as Guo et al. 2017 have it, with 10 bins).
    sure, right : float
        Mean probability of the most likely class, and the share of the area where it is the true one.
    low, high : float
        95 % interval of ``sure - right``, from the resamples of a group; NaN where none was given.
    """

    probability: np.ndarray
    frequency: np.ndarray
    area: np.ndarray
    error: np.ndarray
    sure: float
    right: float
    low: float
    high: float


def reliability(case: Case, group: Group | None = None) -> Reliability:
    """Return the reliability of a case of classes over all its times.

    Parameters
    ----------
    case : Case
        Of classes; parameters of shape (class, time, cell).
    group : Group, optional
        Blocks and resamples of its times, for the interval.

    Examples
    --------
    >>> from pipeline.prediction import Prediction
    >>> chance = np.array([[[0.95, 0.25, 0.65, 0.65]], [[0.05, 0.75, 0.35, 0.35]]])
    >>> usual = Prediction("categorical", {"probabilities": chance})
    >>> found = reliability(Case(usual, np.array([[0.0, 1.0, 0.0, 1.0]]), usual))
    >>> found.right, round(found.sure, 3), round(float(found.error[-1]), 3)
    (0.75, 0.75, 0.15)
    """
    sums = np.concatenate([_sums(part) for part in time_parts(case)])
    total, true, area = np.moveaxis(sums.sum(axis=0), -1, 0)
    probability, frequency = share(total, area), share(true, area)
    parts = share(area, area.sum(axis=1, keepdims=True))
    ends = _interval(sums[:, -1].sum(axis=1), group)
    error = np.nan_to_num(expected_error(sums.sum(axis=0)))
    return Reliability(probability, frequency, parts, error, *_means(sums[:, -1]), *ends)


def _sums(case: Case) -> np.ndarray:
    """Return probability, truth and area added up by time, row and bin, shape (time, row, bin, 3)."""
    return row_sums(case, lambda chance: width_bins(chance, BINS), BINS)


def _means(sums: np.ndarray) -> tuple[float, float]:
    total, true, area = sums.sum(axis=(0, 1))
    sure, right = share(np.array([total, true]), np.array([area, area]))
    return float(sure), float(right)


def _interval(sums: np.ndarray, group: Group | None) -> tuple[float, float]:
    """Return the interval of mean probability less frequency, from sums by time of shape (time, 3)."""
    if group is None:
        return float("nan"), float("nan")
    chosen = sums[group.index]
    blocks = np.stack([chosen[first:last].sum(axis=0) for first, last in group.blocks.edges])
    total, true, area = np.moveaxis(group.counts.astype(float) @ blocks, -1, 0)
    found = percentile_interval(share(total - true, area), len(group.blocks))
    return float(found.low), float(found.high)
