"""The CRPS of mixtures of normals above a threshold: distances in closed form, and one integral."""

from __future__ import annotations

from typing import Any

from pipeline.backend import array_namespace
from pipeline.backend.special import ndtr
from pipeline.prediction._arrays import expected_distance
from pipeline.prediction._normals import average
from pipeline.prediction._tail import integral

Array = Any
_BELOW, _ABOVE = 4.9, 3.5  # sd below which 1 - F is 1, and above which its square is 0: 2e-7 sd of the integral
_NODES, _LONGEST = 12, 6.5  # sd on which twelve points give the integral to 6e-7 sd
_NONE = 1e-150


def tail_crps(truth: Array, threshold: Array, mean: Array, sd: Array, weight: Array | None = None) -> Array:
    """Return ``E|X - max(y, t)| - E|X - t| + integral above t of (1 - F)^2``, of components as in :mod:`._normals`.

    The integral by Gauss and Legendre, twelve points on 6.5 of the smallest sd that matters there at most: to 1e-6 of
    the largest. Costs 12 to 40 distribution functions a component and cell, none where all lie below the threshold.
    """
    top = array_namespace(mean).maximum(truth, threshold)
    above = [average(expected_distance(end[None, ...] - mean, sd), weight) for end in (top, threshold)]
    return above[0] - above[1] + _square_above(threshold, mean, sd, weight)


def _square_above(threshold: Array, mean: Array, sd: Array, weight: Array | None) -> Array:
    """Return the integral of ``(1 - F)^2`` above ``threshold``, shape of a component."""
    xp, size = array_namespace(mean), mean.shape[0]
    first, last = xp.min(mean - _BELOW * sd, axis=0), xp.max(mean + _ABOVE * sd, axis=0)
    low = xp.maximum(threshold, first)
    ends = tuple(xp.reshape(end, (-1,)) for end in (low, last))
    # A component without spread becomes a step narrower than any interval.
    slope = 1.0 / xp.maximum(sd, xp.full_like(sd, _NONE))
    arrays = [xp.reshape(array, (size, -1)) for array in (mean, slope, weight) if array is not None]
    found = integral(_survival, _rough, ends, arrays, nodes=_NODES)
    return low - threshold + xp.reshape(found, threshold.shape)


def _survival(z: Array, mean: Array, slope: Array, weight: Array | None = None) -> Array:
    """Return ``(1 - F)^2``."""
    beyond = average(ndtr((mean - z[None, ...]) * slope), weight)
    return beyond * beyond


def _rough(low: Array, high: Array, mean: Array, slope: Array, weight: Array | None = None) -> Array:
    """Return whether an interval is longer than six sd of a component whose distribution function bends inside it."""
    xp = array_namespace(mean)
    far = _BELOW / slope
    inside = (mean + far > low[None, ...]) & (mean - far < high[None, ...])
    if weight is not None:
        inside = inside & (weight > 0.0)
    return high - low > _LONGEST * xp.min(xp.where(inside, 1.0 / slope, xp.full_like(slope, xp.inf)), axis=0)
