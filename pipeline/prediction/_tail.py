"""The CRPS above a threshold, for distributions that have no closed form of it: integrals cell by cell.

Of a distribution function F, a threshold t and ``y' = max(y, t)`` for the truth y it is

    integral over z > t of (F(z) - 1{y <= z})^2 = E|X - y'| - E|X - t| + integral over z > t of (1 - F(z))^2,

so that the truth stands in closed forms alone, and what is integrated is smooth and falls.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pipeline.backend import array_namespace, block_bytes
from pipeline.prediction._arrays import narrow, on_cells, wide

Array = Any
Function = Callable[..., Array]
_DEPTH = 40  # halvings: a step is found to 1e-12 of the interval
_LEAST, _MOST = 1e-9, 1.0 - 1e-7  # levels of quantiles beyond which the integral is known, or nothing
_TOLERANCE = 1e-8  # of the interval between them


def integral(
    function: Function, rough: Function, ends: tuple[Array, Array], arrays: Sequence[Array], nodes: int = 10
) -> Array:
    """Return the integral of ``function(z, *arrays)`` over z, for every cell between ends of its own.

    By Gauss and Legendre, intervals halved while ``rough(low, high, *arrays)`` says so.

    Parameters
    ----------
    function, rough : callable
        Take and return arrays of shape (cell,).
    ends : tuple of array of float64, shape (cell,)
        Where the second is not above the first the integral is 0.
    arrays : sequence of array of float64, shape (..., cell)
        What the function needs; a part of the cells gets its part of them.
    nodes : int
        Of one interval.

    Examples
    --------
    >>> low, high, rate = np.zeros(3), np.array([1.0, 40.0, -1.0]), np.ones(3)
    >>> integral(lambda z, a: np.exp(-a * z), lambda low, high, a: a * (high - low) > 6.0, (low, high), [rate]).round(9)
    array([0.63212056, 1.        , 0.        ])
    """
    low, high = ends
    rows = sum(int(np.prod(array.shape[:-1])) for array in arrays)
    width = max(1, block_bytes(low) // (8 * (rows + 2)))
    return _at(high > low, lambda own: _halved(function, rough, own, nodes, _DEPTH), [low, high, *arrays], width)


def tail_by_quadrature(formulas: Any, p: Any, truth: Array, threshold: Array) -> Array:
    """Return the CRPS above ``threshold`` of a family that has no formula of its own for it.

    Worked out from its CRPS, and from its distribution function between two quantiles; intervals are halved until
    halves say the same as the whole. Exact to about 1e-7 of the distance between the quantiles, and slow: families
    of which much is asked bring a ``tail_crps`` of their own.

    Parameters
    ----------
    formulas : Family
        Its ``crps``, ``cdf`` and ``quantile`` are called.
    p : mapping of str to array
        Parameters.
    truth, threshold : array
        Of the shape of the field.
    """
    like, shape = next(iter(p.values())), tuple(truth.shape)
    xp, leading = array_namespace(like), formulas.leading
    names, (y, t) = tuple(p), wide(truth, threshold)
    own = {name: wide(array)[0] for name, array in p.items()}
    above = formulas.crps(own, xp.maximum(y, t)) - formulas.crps(own, t)
    least, most = (formulas.quantile(own, level) for level in (_LEAST, _MOST))
    low, high, flat = (xp.reshape(array, (-1,)) for array in (xp.maximum(t, least), most, t))
    rows = [
        xp.reshape(array, (array.shape[0], -1) if name in leading else (-1,)) for name, array in own.items()
    ]  # fmt: skip

    def survival(z: Array, *arrays: Array) -> Array:
        return (1.0 - formulas.cdf(dict(zip(names, arrays, strict=False)), z)) ** 2

    def rough(low: Array, high: Array, *arrays: Array) -> Array:
        middle = 0.5 * (low + high)
        whole, left, right = (
            _gauss(survival, [*pair, *arrays], 10) for pair in ((low, high), (low, middle), (middle, high))
        )
        return xp.abs(whole - left - right) > _TOLERANCE * arrays[-1]

    found = integral(survival, rough, (low, high), [*rows, xp.abs(high - low)])
    return narrow(above + xp.reshape(found + (low - flat), shape), like)


def _halved(function: Function, rough: Function, own: list[Array], nodes: int, depth: int) -> Array:
    low, high, *arrays = own
    xp = array_namespace(low)
    long = rough(low, high, *arrays)
    if depth == 0 or not bool(xp.any(long)):
        return _gauss(function, own, nodes)

    def both(own: list[Array]) -> Array:
        low, high, *arrays = own
        middle = 0.5 * (low + high)
        pairs = ((low, middle), (middle, high))
        left, right = (_halved(function, rough, [*pair, *arrays], nodes, depth - 1) for pair in pairs)
        return left + right

    width = int(low.shape[0])
    return _at(long, both, own, width) + _at(~long, lambda own: _gauss(function, own, nodes), own, width)


def _gauss(function: Function, own: list[Array], nodes: int) -> Array:
    low, high, *arrays = own
    half = 0.5 * (high - low)
    middle, total = low + half, 0.0 * half
    for node, weight in _rule(nodes):
        total = total + weight * function(middle + node * half, *arrays)
    return half * total


@functools.cache
def _rule(nodes: int) -> tuple[tuple[float, float], ...]:
    found = np.polynomial.legendre.leggauss(nodes)
    return tuple((float(node), float(weight)) for node, weight in zip(*found, strict=True))


def _at(chosen: Array, solve: Callable[[list[Array]], Array], arrays: Sequence[Array], width: int) -> Array:
    """Return what ``solve`` answers for the chosen cells' part of ``arrays``, 0 elsewhere."""
    xp = array_namespace(chosen)
    return on_cells(lambda cells: solve([xp.take(array, cells, axis=-1) for array in arrays]), chosen, width)
