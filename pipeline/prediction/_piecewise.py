"""Distributions whose quantile function is a line between nodes of equal probability.

Everywhere ``nodes`` are the values at the levels 0, 1/n, 2/n, ..., 1 on a leading axis, in float64 and never
falling: each of the n pieces between two of them is as likely as the others, and evenly spread. Equal nodes are a mass.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import array_api_compat
import numpy as np

from pipeline.backend import array_namespace
from pipeline.prediction._arrays import uniform_draws, with_nan

Array = Any
_ROUNDING = 1e-12  # of a level


def mean(nodes: Array) -> Array:
    """Return the mean: that of the middles of the pieces."""
    return array_namespace(nodes).mean(0.5 * (nodes[1:, ...] + nodes[:-1, ...]), axis=0)


def variance(nodes: Array) -> Array:
    """Return the mean of ``(middle - mean)^2 + width^2 / 12`` over the pieces: positive terms alone."""
    apart = 0.5 * (nodes[1:, ...] + nodes[:-1, ...]) - mean(nodes)[None, ...]
    width = nodes[1:, ...] - nodes[:-1, ...]
    return array_namespace(nodes).mean(apart * apart + width * width / 12.0, axis=0)


def quantile(nodes: Array, level: float) -> Array:
    """Return the quantile at ``level``."""
    pieces = nodes.shape[0] - 1
    position = level * pieces
    below = min(int(position), pieces - 1)
    low, high = nodes[below, ...], nodes[below + 1, ...]
    return with_nan(low + (position - below) * (high - low), nodes)


def cdf(nodes: Array, value: Array) -> Array:
    """Return the probability of at most ``value``, with the mass that lies on it."""
    xp = array_namespace(nodes)
    low, high, value = nodes[:-1, ...], nodes[1:, ...], value[None, ...]
    share = xp.where(high > low, _share(low, high, value), xp.astype(value >= low, low.dtype))
    return with_nan(with_nan(xp.mean(share, axis=0), value), nodes)


def exceedance(nodes: Array, value: Array) -> Array:
    """Return the probability of at least ``value``, with the mass that lies on it."""
    xp = array_namespace(nodes)
    low, high, value = nodes[:-1, ...], nodes[1:, ...], value[None, ...]
    share = xp.where(high > low, 1.0 - _share(low, high, value), xp.astype(value <= low, low.dtype))
    return with_nan(with_nan(xp.mean(share, axis=0), value), nodes)


def draw(nodes: Array, count: int, seed: int) -> Array:
    """Return ``count`` draws on a new leading axis."""
    xp = array_namespace(nodes)
    pieces = nodes.shape[0] - 1
    position = uniform_draws((count, *nodes.shape[1:]), seed, nodes) * pieces
    below = xp.minimum(xp.astype(position, xp.int64), xp.full_like(position, pieces - 1, dtype=xp.int64))
    low, high = _at(nodes, below), _at(nodes, below + 1)
    return with_nan(low + (position - xp.astype(below, xp.float64)) * (high - low), nodes)


def crps(nodes: Array, truth: Array) -> Array:
    """Return the integral of ``(F(x) - 1{x >= y})^2``, a sum of positive terms.

    On a piece of width w, where F goes from a to b and is c at the truth (or at that end which is nearer to it),
    it is ``w n (c^3 - a^3 + (1 - c)^3 - (1 - b)^3) / 3``; beyond the outermost nodes it is the distance to them.
    """
    xp = array_namespace(nodes)
    pieces = nodes.shape[0] - 1
    low, high = nodes[:-1, ...], nodes[1:, ...]
    edges = xp.asarray(np.arange(pieces + 1) / pieces, device=array_api_compat.device(nodes))
    edges = xp.reshape(edges, (-1, *[1] * (nodes.ndim - 1)))
    first, last = edges[:-1, ...], edges[1:, ...]
    reached = first + _share(low, high, truth[None, ...]) / pieces
    parts = reached**3 - first**3 + (1.0 - reached) ** 3 - (1.0 - last) ** 3
    inside = xp.sum((high - low) * parts, axis=0) * (pieces / 3.0)
    none = xp.zeros_like(inside)
    return inside + xp.maximum(nodes[0, ...] - truth, none) + xp.maximum(truth - nodes[-1, ...], none)


def square_above(nodes: Array, threshold: Array) -> Array:
    """Return the integral of ``(1 - F(x))^2`` above ``threshold``, in closed form."""
    xp = array_namespace(nodes)
    pieces = nodes.shape[0] - 1
    low, high = nodes[:-1, ...], nodes[1:, ...]
    edges = xp.asarray(np.arange(pieces + 1) / pieces, device=array_api_compat.device(nodes))
    edges = xp.reshape(edges, (-1, *[1] * (nodes.ndim - 1)))
    reached = edges[:-1, ...] + _share(low, high, threshold[None, ...]) / pieces
    parts = (1.0 - reached) ** 3 - (1.0 - edges[1:, ...]) ** 3
    inside = xp.sum((high - low) * parts, axis=0) * (pieces / 3.0)
    return inside + xp.maximum(nodes[0, ...] - threshold, xp.zeros_like(inside))


def log_density(nodes: Array, value: Array) -> Array:
    """Return ``-log(n w)`` of the piece of width w that ``value`` lies in; on the border of two, of the upper one.

    Plus infinity on a mass, minus infinity beyond the outermost nodes.
    """
    xp = array_namespace(nodes)
    low, high, value = nodes[:-1, ...], nodes[1:, ...], value[None, ...]
    last = (value == high) & (high == nodes[-1:, ...])
    inside = (high > low) & (value >= low) & ((value < high) | last)
    logs = -xp.sum(xp.log(xp.where(inside, (high - low) * low.shape[0], xp.ones_like(low))), axis=0)
    infinite = xp.full_like(logs, xp.inf)
    logs = xp.where(xp.any(inside, axis=0), logs, -infinite)
    logs = xp.where(xp.any((high == low) & (value == low), axis=0), infinite, logs)
    return with_nan(with_nan(logs, value), nodes)


def mixed(parts: Sequence[Array], weights: Sequence[float]) -> Array:
    """Return the nodes of a mixture of such distributions, as many as each part has.

    The mixture's distribution function is a line between the nodes of all parts, put in order; its quantiles at the
    levels of the nodes are exact. The two outermost nodes are where they give the outermost pieces the mixture's
    own means, but not beyond what any part reaches.

    Parameters
    ----------
    parts : sequence of array, shape (node, cell)
        All with as many nodes; give as many cells as fit well in memory.
    weights : sequence of float
        One a part; their sum is 1.
    """
    xp, pieces = array_namespace(*parts), parts[0].shape[0] - 1
    value, reached = _merged(parts, weights)
    levels = xp.asarray(np.arange(1, pieces) / pieces, device=array_api_compat.device(value))
    inner = _crossings(value, reached, levels)
    low, high = inner[:1, ...], inner[-1:, ...]
    # A part is at most 1 / weight of its pieces on when the mixture is one piece on.
    rows = min(value.shape[0], 1 + sum(2 + math.ceil(1.0 / weight) for weight in weights))
    below = _tail_mean(value[:rows, ...], reached[:rows, ...], 1.0 / pieces)
    above = _tail_mean(xp.flip(value[-rows:, ...], axis=0), 1.0 - xp.flip(reached[-rows:, ...], axis=0), 1.0 / pieces)
    # Within what the parts reach, and rounding must not bring the ends inside.
    lowest = xp.minimum(xp.maximum(2.0 * below - low, value[:1, ...]), low)
    highest = xp.maximum(xp.minimum(2.0 * above - high, value[-1:, ...]), high)
    whole = xp.concat([lowest, inner, highest], axis=0)
    for part in parts:
        whole = with_nan(whole, part)
    return whole


def _merged(parts: Sequence[Array], weights: Sequence[float]) -> tuple[Array, Array]:
    """Return all nodes in order, shape (node, cell), and what the mixture's distribution function reaches there."""
    xp, nodes = array_namespace(*parts), parts[0].shape[0]
    together = xp.concat(list(parts), axis=0)
    order = xp.argsort(together, axis=0, stable=True)  # equal nodes of a part stay in their order
    value = _at(together, order)
    reached = xp.zeros_like(value)
    for number, (part, weight) in enumerate(zip(parts, weights, strict=True)):
        own = (order >= number * nodes) & (order < (number + 1) * nodes)
        # How many own nodes stand there or before; each of several equal ones is a step further up the jump.
        place = xp.cumulative_sum(own, axis=0, dtype=xp.int64)
        share, width = weight / (nodes - 1), part[1:, ...] - part[:-1, ...]
        flat = xp.zeros_like(part[:1, ...])  # before the first node and behind the last
        slope = xp.where(width > 0.0, share / xp.where(width > 0.0, width, xp.ones_like(width)), xp.zeros_like(width))
        start, slope = xp.concat([part[:1, ...], part], axis=0), xp.concat([flat, slope, flat], axis=0)
        steps = xp.astype(xp.maximum(place - 1, xp.zeros_like(place)), value.dtype)
        reached = reached + steps * share + _at(slope, place) * (value - _at(start, place))
    return value, reached


def _crossings(value: Array, reached: Array, levels: Array) -> Array:
    """Return where the line through (``value``, ``reached``), which both never fall, first comes to each level."""
    xp, count = array_namespace(value), value.shape[0]
    levels = xp.broadcast_to(levels[:, None], (levels.shape[0], value.shape[1]))
    # The first node that reaches the level, by halving. Where the line is flat at just this level, between parts
    # far from each other, rounding must not choose the end.
    first = xp.zeros(levels.shape, dtype=xp.int64, device=array_api_compat.device(value))
    last = first + (count - 1)
    for _ in range(count.bit_length()):
        middle = (first + last) // 2
        there = _at(reached, middle) >= levels - _ROUNDING
        first, last = xp.where(there, first, xp.minimum(middle + 1, last)), xp.where(there, middle, last)
    after = xp.clip(first, 1, count - 1)
    share = _share(_at(reached, after - 1), _at(reached, after), levels)
    low = _at(value, after - 1)
    return low + share * (_at(value, after) - low)


def _tail_mean(value: Array, reached: Array, size: float) -> Array:
    """Return the mean of the values on the way from 0 to ``size`` of the line through (``value``, ``reached``)."""
    xp = array_namespace(value)
    start, stop = reached[:-1, ...], reached[1:, ...]
    limit = xp.full_like(stop, size)
    share = _share(start, stop, limit)
    low, step = value[:-1, ...], value[1:, ...] - value[:-1, ...]
    area = (low + 0.5 * share * step) * (xp.minimum(stop, limit) - xp.minimum(start, limit))
    return xp.sum(area, axis=0, keepdims=True) / size


def _share(low: Array, high: Array, value: Array) -> Array:
    """Return how far ``value`` is on the way from ``low`` to ``high``, in [0, 1]; 0 where they are equal."""
    xp = array_namespace(low)
    wide = high > low
    share = (value - low) / xp.where(wide, high - low, xp.ones_like(low))
    return xp.where(wide, xp.clip(share, 0.0, 1.0), xp.zeros_like(share))


def _at(values: Array, place: Array) -> Array:
    """Return what stands at ``place``, shape (..., *field), along the first axis of ``values``, (row, *field)."""
    xp = array_namespace(values)
    field = values.shape[1:]
    cells = int(np.prod(field))
    own = xp.reshape(xp.arange(cells, dtype=xp.int64, device=array_api_compat.device(values)), field)
    index = xp.astype(place, xp.int64) * cells + own
    return xp.reshape(xp.take(xp.reshape(values, (-1,)), xp.reshape(index, (-1,))), index.shape)
