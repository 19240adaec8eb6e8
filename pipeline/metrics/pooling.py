"""Means over time and area from sums over time, and medians over series."""

from __future__ import annotations

from typing import Any

import array_api_compat

from pipeline.backend import array_namespace

Array = Any


def ratio(numerator: Array, denominator: Array, *, otherwise: float | None = None) -> Array:
    """Return ``numerator / denominator``, and ``otherwise`` (NaN by default) where that is a division by zero."""
    xp = array_namespace(numerator, denominator)
    zero = denominator == 0.0
    if not bool(xp.any(zero)):
        return xp.asarray(numerator / denominator)  # NumPy makes a scalar of arrays without dims
    quotient = numerator / xp.where(zero, xp.ones_like(denominator), denominator)
    return xp.where(zero, xp.full_like(quotient, xp.nan if otherwise is None else otherwise), quotient)


def pooled(count: Array, total: Array, weights: Array | None) -> Array:
    """Return the mean over time, and over cells by area where there are weights.

    Parameters
    ----------
    count, total : array, shape (..., cell)
        Number of times with truth, and the sum of a term over them.
    weights : array, shape (cell,), or None
        Area weights. Every time with truth counts with the weight of its cell.

    Returns
    -------
    array, shape (...) with weights, else (..., cell)
        NaN where nothing was counted.
    """
    if weights is None:
        return ratio(total, count)
    xp = array_namespace(count)
    return ratio(xp.sum(total * weights, axis=-1), xp.sum(count * weights, axis=-1))


def area_mean(values: Array, weights: Array) -> Array:
    """Return the area-weighted mean over the cells whose value is not NaN, shape (...); NaN if none is."""
    xp = array_namespace(values)
    known = ~xp.isnan(values)
    if bool(xp.all(known)):
        return ratio(xp.sum(values * weights, axis=-1), xp.sum(weights) + xp.zeros_like(values[..., 0]))
    zero = xp.zeros_like(values)
    total = xp.sum(xp.where(known, values, zero) * weights, axis=-1)
    return ratio(total, xp.sum(xp.where(known, zero + weights, zero), axis=-1))


def series_median(values: Array, leads: int = 1) -> Array:
    """Return the median over series at every lead, and the mean of these over leads, shape (...).

    Parameters
    ----------
    values : array, shape (..., lead * cell)
        One lead behind the other; NaN where there is none.
    leads : int
        How many; one whose values are all NaN is left out.

    Examples
    --------
    >>> import numpy as np
    >>> series_median(np.array([0.9, 0.8, 0.1, 0.3, np.nan, 0.5]), leads=2)
    array(0.6)
    """
    xp = array_namespace(values)
    parts = cell_median(xp.reshape(values, (*values.shape[:-1], leads, -1)))
    return area_mean(parts, xp.ones(leads, dtype=parts.dtype, device=array_api_compat.device(parts)))


def cell_median(values: Array) -> Array:
    """Return the median over the cells whose value is not NaN, shape (...); NaN if none is.

    Every cell counts once, whatever its area.

    Examples
    --------
    >>> import numpy as np
    >>> cell_median(np.array([[3.0, np.nan, 1.0], [1.0, 4.0, 2.0]])).tolist()
    [2.0, 2.0]
    """
    xp = array_namespace(values)
    known = ~xp.isnan(values)
    count = xp.sum(xp.astype(known, xp.int64), axis=-1, keepdims=True)
    ordered = xp.sort(xp.where(known, values, xp.full_like(values, xp.inf)), axis=-1)
    last = xp.where(count > 0, count - 1, xp.zeros_like(count))
    low, high = (xp.take_along_axis(ordered, rank, axis=-1) for rank in (last // 2, (last + 1) // 2))
    return xp.where(count > 0, 0.5 * (low + high), xp.full_like(low, xp.nan))[..., 0]
