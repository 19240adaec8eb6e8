"""Block bootstrap: resamples of blocks, shared by all models of a split, and the intervals from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.metrics.blocks import ENOUGH_BLOCKS
from pipeline.seeding import generator

RESAMPLES = 1000
LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class Interval:
    """Ends of a central 95 % interval; arrays of one shape, or floats as arrays without dims."""

    low: np.ndarray
    high: np.ndarray


def resample(blocks: int, seed: int, purpose: str, *, count: int = RESAMPLES) -> np.ndarray:
    """Return how often every block is drawn, with replacement, shape (resample, block).

    The same arguments give the same resamples, so that the difference of two models is paired.

    Parameters
    ----------
    blocks : int
        Number of blocks; as many are drawn.
    seed : int
        The experiment's seed.
    purpose : str
        What the draws are for, the split and group.
    count : int
        Number of resamples.

    Examples
    --------
    >>> resample(3, 0, "test").sum(axis=1)[:4].tolist()
    [3, 3, 3, 3]
    """
    draws = generator(seed, f"bootstrap:{purpose}").multinomial(blocks, np.full(blocks, 1.0 / blocks), size=count)
    return draws.astype(np.int32)


def percentile_interval(values: np.ndarray, blocks: int) -> Interval:
    """Return the percentile interval of bootstrap values over the leading axis.

    Parameters
    ----------
    values : ndarray, shape (resample, ...)
        NaN where a resample has no value: left out while at least half of them have one.
    blocks : int
        Number of blocks the resamples were drawn from. Fewer than eight say little of the spread, and
        what is drawn of them has few values, so that the estimate may be an end of the interval: NaN.

    Examples
    --------
    >>> interval = percentile_interval(np.linspace(0.0, 1.0, 1001), blocks=10)
    >>> round(float(interval.low), 6), round(float(interval.high), 6)
    (0.025, 0.975)
    """
    tail = (1.0 - LEVEL) / 2.0
    ordered = np.sort(np.asarray(values, float), axis=0)
    known = np.isfinite(ordered).sum(axis=0)
    poor = (known < 0.5 * len(ordered)) | (blocks < ENOUGH_BLOCKS)
    low, high = (_sorted_quantile(ordered, np.maximum(known, 1), level) for level in (tail, 1.0 - tail))
    return Interval(np.where(poor, np.nan, low), np.where(poor, np.nan, high))


def _sorted_quantile(ordered: np.ndarray, known: np.ndarray, level: float) -> np.ndarray:
    """Return the linear quantile of the first ``known`` values along the leading axis."""
    position = level * (known - 1)
    lower = np.floor(position).astype(int)
    upper = np.minimum(lower + 1, known - 1)
    below = np.take_along_axis(ordered, lower[None, ...], axis=0)[0]
    above = np.take_along_axis(ordered, upper[None, ...], axis=0)[0]
    return np.asarray(below + (position - lower) * (above - below))
