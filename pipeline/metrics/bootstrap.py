"""Block bootstrap: resamples of blocks, shared by all models of a split, and the intervals from them.

Resamples of n blocks vary less than means of n blocks do, by (n - 1) / n, and the spread of few blocks is known badly,
so that plain percentiles of 8 to 10 blocks of normal values leave a true mean of zero out in 10 to 12 cases of 100
rather than in 5. Both are made up for as Hesterberg has it (2015, doi:10.1080/00031305.2015.1089789, section 5):
percentiles are taken further out, and half a width is that of Student's t with n - 1 degrees of freedom.
"""

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
    """Return the expanded percentile interval of bootstrap values over the leading axis: that of a score.

    For 95 % the percentiles are those of a normal distribution at ``sqrt(n / (n - 1)) t`` deviations, with Student's t
    of n - 1 degrees of freedom for n blocks: 0.6 and 99.4 of 8 blocks, 2.3 and 97.7 of 100. The ends are values that
    the score took, so that no share lies beyond 1.

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
    (0.008551, 0.991449)
    """
    from scipy.special import ndtr

    tail = float(ndtr(-_deviations(blocks))) if blocks > 1 else 0.0
    ordered = np.sort(np.asarray(values, float), axis=0)
    known = np.isfinite(ordered).sum(axis=0)
    poor = (known < 0.5 * len(ordered)) | (blocks < ENOUGH_BLOCKS)
    low, high = (_sorted_quantile(ordered, np.maximum(known, 1), level) for level in (tail, 1.0 - tail))
    return Interval(np.where(poor, np.nan, low), np.where(poor, np.nan, high))


def difference_interval(value: np.ndarray, draws: np.ndarray, blocks: int, least: int = ENOUGH_BLOCKS) -> Interval:
    """Return the interval of a difference: the difference itself, and Student's t times its deviation to both sides.

    Of two models that are as good the difference is as often above as below zero, and it has no bounds to mind; of few
    blocks the deviation is known better than far percentiles are.

    Parameters
    ----------
    value : ndarray, shape (...)
        The difference.
    draws : ndarray, shape (resample, ...)
        Its bootstrap values; NaN where a resample has none: left out while at least half of them have one.
    blocks : int
        Number of blocks the resamples were drawn from.
    least : int
        Of fewer blocks: NaN.

    Examples
    --------
    >>> interval = difference_interval(np.array(1.0), np.array([0.0, 2.0] * 500), blocks=10)
    >>> round(float(interval.low), 3), round(float(interval.high), 3)
    (-1.385, 3.385)
    """
    known = np.isfinite(draws)
    count = known.sum(axis=0)
    some = np.maximum(count, 1)
    mean = np.where(known, draws, 0.0).sum(axis=0) / some
    deviation = np.sqrt((np.where(known, draws - mean, 0.0) ** 2).sum(axis=0) / some)
    poor = (count < 0.5 * len(draws)) | (blocks < least)
    half = np.where(poor, np.nan, (_deviations(blocks) if blocks > 1 else 0.0) * deviation)
    return Interval(value - half, value + half)


def _deviations(blocks: int) -> float:
    """Return how many deviations of bootstrap values half an interval is, 1.96 for many blocks and more for few."""
    from scipy.special import stdtrit

    return float(stdtrit(blocks - 1, 0.5 + LEVEL / 2.0) * np.sqrt(blocks / (blocks - 1)))


def _sorted_quantile(ordered: np.ndarray, known: np.ndarray, level: float) -> np.ndarray:
    """Return the linear quantile of the first ``known`` values along the leading axis."""
    position = level * (known - 1)
    lower = np.floor(position).astype(int)
    upper = np.minimum(lower + 1, known - 1)
    below = np.take_along_axis(ordered, lower[None, ...], axis=0)[0]
    above = np.take_along_axis(ordered, upper[None, ...], axis=0)[0]
    return np.asarray(below + (position - lower) * (above - below))
