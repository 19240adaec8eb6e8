"""Biases of the tails: quantiles over time of the prediction's mean less those of the truth.

Source: the VALUE framework, Maraun et al. (2015), doi:10.1002/2014EF000259.
"""

from __future__ import annotations

from typing import ClassVar

from pipeline.backend import array_namespace
from pipeline.metrics import METRICS, Array, Case, SeriesMetric
from pipeline.prediction._arrays import wide

_LIMIT = 2**16  # resamples times cells worked on at a time, so that they stay in the cache
_LOOK = 8  # rows between two looks at whether all resamples are done
_SHORT = 2**15  # what 16 bits count up to


class _QuantileBias(SeriesMetric):
    level: ClassVar[float]
    better = "closer"

    def cells(self, case: Case, counts: Array) -> Array:
        """Return the difference of the two quantiles, over the times that have truth."""
        mean, truth = wide(case.mean, case.truth)
        xp = array_namespace(truth)
        gone = xp.full_like(truth, xp.nan)
        truth = xp.where(case.valid, truth, gone)
        mean = xp.where(case.valid, mean, gone)
        usual = case.of_truth(
            ("quantile", self.level, counts.shape), lambda: resampled_quantile(truth, counts, self.level)
        )
        return resampled_quantile(mean, counts, self.level) - usual


@METRICS.register("bias_q02")
class BiasQ02(_QuantileBias):
    """Bias of the 2 % quantile over time: cold, dry or low extremes."""

    level = 0.02
    label = "bias of the 2 % quantile"


@METRICS.register("bias_q98")
class BiasQ98(_QuantileBias):
    """Bias of the 98 % quantile over time: hot, wet or high extremes."""

    level = 0.98
    label = "bias of the 98 % quantile"


def resampled_quantile(values: Array, counts: Array, level: float) -> Array:
    """Return quantiles over time of many resamples, linear between values (type 7).

    Every cell is sorted once; a resample's quantile is where its counts, added up in that order,
    pass the wanted rank. Only the tail up to there is looked at, so that extremes cost little.

    Parameters
    ----------
    values : array of float, shape (time, cell)
        Series; NaN is left out.
    counts : array of int, shape (time, resample)
        How often every time is drawn.
    level : float
        In [0, 1].

    Returns
    -------
    array, shape (resample, cell)
        NaN where a resample holds no value.

    Examples
    --------
    >>> import numpy as np
    >>> series = np.array([[3.0], [1.0], [2.0]])
    >>> resampled_quantile(series, np.array([[1, 0], [1, 2], [1, 1]], dtype=np.int32), 0.5)
    array([[2.],
           [1.]])
    """
    xp = array_namespace(values, counts)
    if level > 0.5:
        return -resampled_quantile(-values, counts, 1.0 - level)
    known = ~xp.isnan(values)
    ordered = xp.where(known, values, xp.full_like(values, xp.inf))
    order = xp.argsort(ordered, axis=0, stable=False)  # equal values are the same quantile in any order
    ordered = xp.take_along_axis(ordered, order, axis=0)
    # Matrix products of whole numbers below 2^53 are exact in float64.
    size = xp.astype(known, xp.float64).T @ xp.astype(counts, xp.float64)
    position = level * xp.where(size > 0.0, size - 1.0, xp.zeros_like(size))
    lower = xp.floor(position)
    share = position - lower
    # Sums of counts and numbers of rows: half the bytes take half the time.
    most = max(values.shape[0], int(xp.max(xp.sum(counts, axis=0, dtype=xp.int64))))
    narrow = xp.int16 if most < _SHORT else xp.int32
    counts, first = xp.astype(counts, narrow), xp.astype(lower, narrow)
    second = xp.astype(xp.minimum(lower + 1.0, xp.where(size > 0.0, size - 1.0, xp.zeros_like(size))), narrow)
    cells, resamples = size.shape
    width = max(1, _LIMIT // resamples)
    edges = [(start, min(start + width, cells)) for start in range(0, cells, width)]
    parts = [_ranked(ordered[:, a:b], order[:, a:b], counts, (first[a:b, :], second[a:b, :])) for a, b in edges]
    low, high = (xp.concat([part[side] for part in parts], axis=0) for side in (0, 1))
    empty = size == 0.0
    low, high = (xp.where(empty, xp.full_like(end, xp.nan), end) for end in (low, high))
    return (low + share * (high - low)).T


def _ranked(ordered: Array, order: Array, counts: Array, ranks: tuple[Array, Array]) -> tuple[Array, Array]:
    """Return for two ranks (cell, resample), counted from 0, the values that stand there."""
    xp = array_namespace(ordered)
    times, cells = ordered.shape
    reached = xp.zeros_like(ranks[0])
    below = [xp.zeros_like(rank) for rank in ranks]
    for row in range(times):
        reached = reached + xp.take(counts, order[row, :], axis=0)
        passed = [reached <= rank for rank in ranks]
        below = [total + xp.astype(still, total.dtype) for total, still in zip(below, passed, strict=True)]
        if row % _LOOK == 0 and not bool(xp.any(passed[1])):
            break
    flat = xp.reshape(ordered, (-1,))
    column = xp.arange(cells, dtype=xp.int64)[:, None]

    def value(rows: Array) -> Array:
        rows = xp.astype(xp.minimum(rows, xp.full_like(rows, times - 1)), xp.int64)  # of an empty resample
        return xp.reshape(xp.take(flat, xp.reshape(rows * cells + column, (-1,))), rows.shape)

    return value(below[0]), value(below[1])
