"""Sums over the lowest values of many resamples of a series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import array_api_compat

from pipeline.backend import array_namespace

Array = Any
_LIMIT = 2**16  # resamples times cells worked on at a time, so that they stay in the cache
_LOOK = 8  # rows between two looks at whether all resamples are done


@dataclass(frozen=True, eq=False)
class Tail:
    """The lowest values of every resample and cell, shape (resample, cell).

    Parameters
    ----------
    total : array of float64
        Their sum, 0 where a resample holds no value.
    number : array of float64
        How many they are.
    """

    total: Array
    number: Array


def lowest_sum(values: Array, counts: Array, share: float) -> Tail:
    """Return the sum of the lowest values over time of many resamples.

    Every cell is sorted once; the loop is over the sorted rows, all resamples of some cells at once, and ends
    where all have what they want.

    Parameters
    ----------
    values : array of float64, shape (time, cell)
        Series; NaN is left out.
    counts : array of int32, shape (time, resample)
        How often every time is drawn.
    share : float
        Of a resample's values, rounded to a whole number of them, at least one.

    Examples
    --------
    >>> import numpy as np
    >>> series = np.array([[3.0], [1.0], [2.0], [9.0]])
    >>> tail = lowest_sum(series, np.array([[1, 0], [1, 3], [1, 0], [1, 1]], dtype=np.int32), 0.5)
    >>> tail.total.tolist(), tail.number.tolist()
    ([[3.0], [2.0]], [[2.0], [2.0]])
    """
    xp = array_namespace(values, counts)
    known = ~xp.isnan(values)
    order = xp.argsort(xp.where(known, values, xp.full_like(values, xp.inf)), axis=0)
    ordered = xp.take_along_axis(xp.where(known, values, xp.zeros_like(values)), order, axis=0)
    # Matrix products of whole numbers below 2^53 are exact in float64.
    size = xp.astype(known, xp.float64).T @ xp.astype(counts, xp.float64)
    wanted = xp.minimum(xp.maximum(xp.round(share * size), xp.ones_like(size)), size)
    number = xp.astype(wanted, xp.int32)
    cells, resamples = size.shape
    width = max(1, _LIMIT // resamples)
    edges = [(start, min(start + width, cells)) for start in range(0, cells, width)]
    parts = [_added(ordered[:, a:b], order[:, a:b], counts, number[a:b, :]) for a, b in edges]
    return Tail(xp.concat(parts, axis=0).T, wanted.T)


def _added(ordered: Array, order: Array, counts: Array, number: Array) -> Array:
    """Return the sum of the first ``number`` drawn values (cell, resample) in their order."""
    xp = array_namespace(ordered)
    left = number
    total = xp.zeros(number.shape, dtype=ordered.dtype, device=array_api_compat.device(ordered))
    for row in range(ordered.shape[0]):
        taken = xp.minimum(xp.take(counts, order[row, :], axis=0), left)
        total = total + xp.astype(taken, ordered.dtype) * ordered[row, :][:, None]
        left = left - taken
        if row % _LOOK == 0 and not bool(xp.any(left > 0)):
            break
    return total
