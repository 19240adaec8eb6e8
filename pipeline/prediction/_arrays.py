"""What all families need: float64 inside, the parameters' dtype outside, draws on any device."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import array_api_compat
import numpy as np

from pipeline.backend import array_namespace
from pipeline.backend.special import ndtr

Array = Any
SQRT_2PI = float(np.sqrt(2.0 * np.pi))
SQRT_PI = float(np.sqrt(np.pi))


def wide(*arrays: Array) -> tuple[Any, ...]:
    """Return the arrays in float64: differences of large numbers keep their digits."""
    xp = array_namespace(*arrays)
    return tuple(xp.astype(array, xp.float64) for array in arrays)


def narrow(result: Array, like: Array) -> Array:
    """Return ``result`` in the dtype of ``like``."""
    return array_namespace(result).astype(result, like.dtype)


def standardised(value: Array, mean: Array, sd: Array) -> tuple[Array, Array]:
    """Return ``(value - mean) / sd``, 0 where ``sd`` is 0, and the ``sd`` that was divided by, 1 there."""
    xp = array_namespace(mean, sd)
    divisor = xp.where(sd == 0.0, xp.ones_like(sd), sd)
    deviation = value - mean
    return xp.where(sd == 0.0, xp.zeros_like(deviation), deviation / divisor), divisor


def density(z: Array) -> Array:
    """Return the standard normal density."""
    xp = array_namespace(z)
    return xp.exp(-0.5 * z * z) / SQRT_2PI


def normal_cdf(value: Array, mean: Array, sd: Array) -> Array:
    """Return the normal distribution function; a step where ``sd`` is 0. NaN where an argument is."""
    xp = array_namespace(mean, sd)
    z, _ = standardised(value, mean, sd)
    deviation = value - mean
    step = xp.where(deviation >= 0.0, xp.ones_like(deviation), xp.zeros_like(deviation))
    return xp.where(sd == 0.0, xp.where(xp.isnan(deviation), deviation, step), ndtr(z))


def log_density(value: Array, mean: Array, sd: Array) -> Array:
    """Return the normal log density; where ``sd`` is 0, plus infinity at the mean and minus infinity elsewhere."""
    xp = array_namespace(mean, sd)
    z, divisor = standardised(value, mean, sd)
    deviation = value - mean
    infinite = xp.full_like(deviation, xp.inf)
    spike = xp.where(deviation == 0.0, infinite, -infinite)
    spike = xp.where(xp.isnan(deviation), deviation, spike)
    return xp.where(sd == 0.0, spike, -0.5 * z * z - xp.log(divisor) - float(np.log(SQRT_2PI)))


def expected_distance(mean: Array, sd: Array) -> Array:
    """Return E|X| of a normal X: ``2 sd phi(m / sd) + m (2 Phi(m / sd) - 1)``, |m| where ``sd`` is 0.

    The building stone A(m, sd^2) of the CRPS of normals and their mixtures (Grimit et al. 2006,
    doi:10.1256/qj.05.235).
    """
    xp = array_namespace(mean, sd)
    zero = xp.zeros_like(mean)
    z, _ = standardised(mean, zero, sd)
    smooth = 2.0 * sd * density(z) + mean * (2.0 * ndtr(z) - 1.0)
    return xp.where(sd == 0.0, xp.abs(mean), smooth)


def square_above(threshold: Array, mean: Array, sd: Array) -> Array:
    """Return the integral of ``(1 - F)^2`` above ``threshold``, of a normal F; the distance to it where ``sd`` is 0."""
    xp = array_namespace(mean, sd)
    z, _ = standardised(threshold, mean, sd)
    beyond = ndtr(-z)
    smooth = 2.0 * density(z) * beyond - z * beyond * beyond - ndtr(-float(np.sqrt(2.0)) * z) / SQRT_PI
    below = mean - threshold
    return xp.where(sd == 0.0, xp.maximum(below, xp.zeros_like(below)), sd * smooth)


def member_mean(values: Array) -> Array:
    """Return the mean over the leading axis, added up in float64."""
    xp = array_namespace(values)
    return xp.mean(xp.astype(values, xp.float64), axis=0)


def with_nan(result: Array, members: Array) -> Array:
    """Return ``result``, NaN where any member is: comparisons and sorts would pass a NaN over."""
    xp = array_namespace(members)
    return xp.where(xp.any(xp.isnan(members), axis=0), xp.full_like(result, xp.nan), result)


def normal_draws(shape: tuple[int, ...], seed: int, like: Array) -> Array:
    """Return standard normal draws where ``like`` lives; made on the host, so every backend gets the same."""
    return _place(np.random.default_rng(seed).standard_normal(shape), like)


def uniform_draws(shape: tuple[int, ...], seed: int, like: Array) -> Array:
    """Return draws from [0, 1), where ``like`` lives."""
    return _place(np.random.default_rng(seed).random(shape), like)


def index_draws(shape: tuple[int, ...], below: int, seed: int, like: Array) -> Array:
    """Return draws of whole numbers in [0, below), where ``like`` lives."""
    return _place(np.random.default_rng(seed).integers(0, below, shape), like)


def on_cells(solve: Callable[[Array], Array], chosen: Array, width: int) -> Array:
    """Return what ``solve`` answers for the positions where the flat mask ``chosen`` is true, 0 elsewhere.

    ``solve`` gets at most ``width`` positions at a time, so that its arrays stay in the cache.
    """
    xp = array_namespace(chosen)
    cells = xp.nonzero(chosen)[0]
    count = cells.shape[0]
    if count == 0:
        return xp.zeros(chosen.shape, dtype=xp.float64, device=array_api_compat.device(chosen))
    found = xp.concat([solve(cells[start : min(start + width, count)]) for start in range(0, count, width)])
    # The standard knows no scatter: every position looks up its rank among the chosen.
    rank = xp.cumulative_sum(xp.astype(chosen, xp.int64)) - 1
    spread = xp.take(found, xp.where(chosen, rank, xp.zeros_like(rank)))
    return xp.where(chosen, spread, xp.zeros_like(spread))


def stacked(answers: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """Return the parameters of several answers on a new leading axis."""
    xp = array_namespace(*answers[0].values())
    return {name: xp.stack([answer[name] for answer in answers], axis=0) for name in answers[0]}


def pooled(answers: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """Return the parameters of several answers one after another along their leading axis."""
    xp = array_namespace(*answers[0].values())
    return {name: xp.concat([answer[name] for answer in answers], axis=0) for name in answers[0]}


def _place(values: np.ndarray, like: Array) -> Array:
    xp = array_namespace(like)
    return xp.asarray(values, device=array_api_compat.device(like))
