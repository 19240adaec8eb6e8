"""Formulas of mixtures of normals: all of the same weight, or with weights that sum to 1.

Everywhere ``mean`` and ``sd`` have a leading axis of components, in float64, and ``weight`` has the same shape or is
None, which stands for equal ones.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np

from pipeline.backend import array_namespace
from pipeline.backend.special import ndtr
from pipeline.prediction._arrays import (
    SQRT_PI,
    density,
    expected_distance,
    log_density,
    member_mean,
    normal_cdf,
)

Array = Any
_STEPS = 100
_VALUES = 2**18  # components times cells in one piece: 2 MiB
_PRECISION = 1e-10  # of the bracket's width


def average(values: Array, weight: Array | None = None) -> Array:
    """Return the weighted mean over components."""
    if weight is None:
        return member_mean(values)
    xp = array_namespace(values)
    # Their sum is 1 but for rounding; a probability of all components must be 1.
    return xp.sum(weight * values, axis=0) / xp.sum(weight, axis=0)


def variance(mean: Array, sd: Array, weight: Array | None = None) -> tuple[Array, Array]:
    """Return the mean of the components' variances and the variance of their means; their sum is all."""
    deviation = mean - average(mean, weight)[None, ...]
    return average(sd * sd, weight), average(deviation * deviation, weight)


def cdf(value: Array, mean: Array, sd: Array, weight: Array | None = None) -> Array:
    """Return the weighted mean of the components' distribution functions."""
    return average(normal_cdf(value[None, ...], mean, sd), weight)


def crps(truth: Array, mean: Array, sd: Array, weight: Array | None = None) -> Array:
    """Return the closed form of Grimit et al. (2006, doi:10.1256/qj.05.235).

    ``sum_m w_m A(y - mu_m, s_m^2) - sum_mn w_m w_n A(mu_m - mu_n, s_m^2 + s_n^2) / 2``; costs M^2 / 2
    distribution functions a cell.
    """
    xp, size = array_namespace(mean), mean.shape[0]
    # m = n: A(0, 2 s^2) = 2 s / sqrt(pi); every other pair stands twice.
    spread = xp.sum(sd if weight is None else weight * weight * sd, axis=0) * (2.0 / SQRT_PI)
    for lag in range(1, size):
        apart = mean[lag:, ...] - mean[:-lag, ...]
        joint = xp.sqrt(sd[lag:, ...] ** 2 + sd[:-lag, ...] ** 2)
        distance = expected_distance(apart, joint)
        if weight is not None:
            distance = weight[lag:, ...] * weight[:-lag, ...] * distance
        spread = spread + 2.0 * xp.sum(distance, axis=0)
    pairs = size * size if weight is None else 1
    return average(expected_distance(truth[None, ...] - mean, sd), weight) - spread / (2.0 * pairs)


def log_likelihood(truth: Array, mean: Array, sd: Array, weight: Array | None = None) -> Array:
    """Return the log of the weighted mean density."""
    xp = array_namespace(mean)
    logs = log_density(truth[None, ...], mean, sd)
    if weight is not None:
        none = weight == 0.0
        logs = xp.where(none, -xp.inf * xp.ones_like(logs), logs + xp.log(xp.where(none, xp.ones_like(weight), weight)))
    top = xp.max(logs, axis=0)
    # An infinite top (sd of 0) is the answer itself; inf - inf would make it NaN.
    endless = xp.isinf(top)
    base = xp.where(endless, xp.zeros_like(top), top)
    each = xp.exp(logs - base[None, ...])
    total = member_mean(each) if weight is None else xp.sum(each, axis=0)
    finite = base + xp.log(xp.where(endless, xp.ones_like(total), total))
    return xp.where(endless, top, finite)


def quantile(level: float, mean: Array, sd: Array, weight: Array | None = None) -> Array:
    """Return the root of the exact distribution function; worked out in pieces that stay in the cache."""
    xp = array_namespace(mean)
    size = mean.shape[0]
    cells = int(np.prod(mean.shape[1:]))
    width = max(1, _VALUES // size)

    # Once: of arrays that are not contiguous it is a copy.
    rows = [None if array is None else xp.reshape(array, (size, -1)) for array in (mean, sd, weight)]

    def part(start: int) -> list[Array | None]:
        return [None if row is None else row[:, start : min(start + width, cells)] for row in rows]

    pieces = [_root(level, *part(start)) for start in range(0, cells, width)]
    return xp.reshape(xp.concat(pieces), mean.shape[1:]) if pieces else member_mean(mean)


def _root(level: float, mean: Array, sd: Array, weight: Array | None) -> Array:
    """Solve ``cdf(x) = level`` for arrays of shape (component, cell): Newton, by halves where that leads astray."""
    xp = array_namespace(mean)
    z = NormalDist().inv_cdf(level)
    # Below every component's own quantile the mixture has less than ``level``, above every one more.
    low, high = xp.min(mean + z * sd, axis=0), xp.max(mean + z * sd, axis=0)
    # The second part is the rounding of large values, which no step gets below.
    tolerance = _PRECISION * (high - low) + 4e-16 * (xp.abs(low) + xp.abs(high))
    # A component without spread becomes a step narrower than the tolerance; tiny where all have none.
    least = xp.maximum(0.1 * tolerance, xp.full_like(tolerance, 1e-300))
    inverse = 1.0 / xp.maximum(sd, least[None, ...])
    middle = average(mean, weight)
    deviation = mean - middle[None, ...]
    x = middle + z * xp.sqrt(average(sd * sd + deviation * deviation, weight))
    x = xp.minimum(xp.maximum(x, low), high)
    last = high - low
    done = last <= tolerance
    for _ in range(_STEPS):
        scaled = (x[None, ...] - mean) * inverse
        excess = average(ndtr(scaled), weight) - level
        slope = average(density(scaled) * inverse, weight)
        low, high = xp.where(excess < 0.0, x, low), xp.where(excess < 0.0, high, x)
        steep = slope > 1e-100  # between far modes it is flatter than a division bears
        newton = x - excess / xp.where(steep, slope, xp.ones_like(slope))
        # Newton only while it stays inside and at least halves its step; else the middle.
        good = steep & (newton >= low) & (newton <= high) & (xp.abs(newton - x) <= 0.5 * last)
        following = xp.where(done, x, xp.where(good, newton, 0.5 * (low + high)))
        last = xp.abs(following - x)
        x = following
        done = done | (last <= tolerance)
        if not bool(xp.any(~done & ~xp.isnan(x))):
            break
    return x
