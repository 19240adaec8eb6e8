"""Days in a row along the time axis: all cells at once, on any array namespace.

Least length and closing of gaps are an opening and a closing of mathematical morphology in one
dimension. Both are made of shifted copies, about twice the logarithm of the length each, so there is no
loop over days or cells.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import array_api_compat
import numpy as np

from pipeline.backend import array_namespace

Array = Any


def runs(beyond: Array, segment: np.ndarray, *, least: int, gap: int = 0) -> Array:
    """Return the steps that belong to an event, bool, shape of ``beyond``.

    Runs of fewer than ``least`` steps are dropped first; then events that at most ``gap`` steps lie
    between are joined, and the steps between belong to them (Hobday et al. 2016). Nothing reaches from one
    segment into another.

    Parameters
    ----------
    beyond : array of bool, shape (time, ...)
        Whether a step is past its threshold; False where it is not known.
    segment : ndarray of int, shape (time,)
        Ascending numbers of the runs of consecutive steps, as :func:`pipeline.prepare.windows.segments` gives.
    least : int
        Fewest steps of an event, 1 or more.
    gap : int
        Most steps between two events that are one.

    Examples
    --------
    >>> hot = np.array([1, 1, 0, 1, 1, 0, 0, 1], bool)
    >>> runs(hot, np.zeros(8, int), least=2, gap=1).astype(int).tolist()
    [1, 1, 1, 1, 1, 0, 0, 0]
    >>> runs(hot, np.array([0, 0, 0, 1, 1, 1, 1, 1]), least=2, gap=1).astype(int).tolist()
    [1, 1, 0, 1, 1, 0, 0, 0]
    """
    parts = [_closed(_opened(beyond[part, ...], least), gap) for part in parts_of(segment)]
    if len(parts) == 1:
        return parts[0]
    return array_namespace(beyond).concat(parts, axis=0) if parts else beyond


def parts_of(segment: np.ndarray) -> Iterator[slice]:
    """Yield the slice of the time axis that each segment is.

    Examples
    --------
    >>> list(parts_of(np.array([0, 0, 1])))
    [slice(0, 2, None), slice(2, 3, None)]
    """
    edges = [0, *(np.flatnonzero(np.diff(segment)) + 1).tolist(), len(segment)]
    for first, after in pairwise(edges):
        if after > first:
            yield slice(first, after)


def _opened(beyond: Array, least: int) -> Array:
    """Return ``beyond`` without its runs of fewer than ``least`` steps."""
    xp = array_namespace(beyond)
    if least <= 1:
        return beyond
    if beyond.shape[0] < least:
        return xp.zeros_like(beyond)
    return _any(_padded(_every(beyond, least), least - 1), least)


def _closed(event: Array, gap: int) -> Array:
    """Return ``event`` with the gaps of at most ``gap`` steps between two events filled."""
    if gap < 1:
        return event
    return _every(_any(_padded(event, gap), gap + 1), gap + 1)


def _every(held: Array, width: int) -> Array:
    """Return whether all of ``width`` steps from each on hold; shorter by ``width - 1`` steps."""
    size = 1
    while size < width:
        step = min(size, width - size)
        held = held[: held.shape[0] - step, ...] & held[step:, ...]
        size += step
    return held


def _any(held: Array, width: int) -> Array:
    return ~_every(~held, width)


def _padded(held: Array, width: int) -> Array:
    xp = array_namespace(held)
    rim = xp.zeros((width, *held.shape[1:]), dtype=xp.bool, device=array_api_compat.device(held))
    return xp.concat([rim, held, rim], axis=0)
