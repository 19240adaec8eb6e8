"""Means over time and area from sums over time."""

from __future__ import annotations

from typing import Any

from pipeline.backend import array_namespace

Array = Any


def ratio(numerator: Array, denominator: Array, *, otherwise: float | None = None) -> Array:
    """Return ``numerator / denominator``, and ``otherwise`` (NaN by default) where that is a division by zero."""
    xp = array_namespace(numerator, denominator)
    zero = denominator == 0.0
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
    zero = xp.zeros_like(values)
    total = xp.sum(xp.where(known, values, zero) * weights, axis=-1)
    return ratio(total, xp.sum(xp.where(known, zero + weights, zero), axis=-1))
