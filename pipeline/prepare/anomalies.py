"""Values less the mean of their day of the year, in one pass over them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import array_api_compat
import numpy as np

from pipeline.backend import array_namespace, block_bytes
from pipeline.backend.threads import side_by_side, usable
from pipeline.prepare.arrays import beside
from pipeline.rows.parts import blocks

if TYPE_CHECKING:
    from pipeline.prepare.climatology import Climatology

Array = Any
Piece = tuple[slice, slice]

SHORT = 8  # rows of a run below which its own call costs more than gathering its means
SHARED = 8 * 2**20  # bytes from which threads share the work


def less_mean(values: Array, climatology: Climatology, phase: np.ndarray, scale: Array | None = None) -> Array:
    """Return ``(values - mean of the day) / scale``, of the same shape.

    Days of many years share their means: each is worked out once, and years that follow each other are runs of the same
    table. What is new in memory is the answer and that table; on a CPU threads share the rows.

    Parameters
    ----------
    values : array of float32, shape (time, ...)
        In units; NaN stays.
    climatology : Climatology
        Of a row's shape.
    phase : ndarray, shape (time,)
        Phase of the year in [0, 1) of every row.
    scale : array of float32, shape (...), optional
        What is divided by; 1 by default.

    Examples
    --------
    >>> from pipeline.prepare.climatology import Climatology
    >>> one = np.ones((1, 1))
    >>> less_mean(np.array([[3.0], [5.0]], "float32"), Climatology(2 * one, one, one[0], 0, 0, 0), np.zeros(2)).tolist()
    [[1.0], [3.0]]
    """
    xp = array_namespace(values)
    if values.shape[0] == 0:
        return values
    own = array_api_compat.is_numpy_array(values) or array_api_compat.is_cupy_array(values)
    if not own or values.dtype != xp.float32 or (scale is not None and scale.dtype != xp.float32):
        parts = [_plain(values[part, ...], climatology.mean_at(phase[part]), scale) for part in blocks(values)]
        return xp.concat(parts, axis=0)
    result = xp.empty_like(values)
    days, place = _days(phase)
    if 2 * len(days) > len(phase):

        def each(part: slice) -> None:
            _into(result[part, ...], values[part, ...], climatology.mean_at(phase[part]), scale, xp)

        _shared(each, list(blocks(values)), values)
        return result
    row = max(1, values[0, ...].nbytes)
    table = xp.empty((len(days), *values.shape[1:]), dtype=xp.float32)
    most = max(1, block_bytes(values) // (2 * row))  # means are float64 before they are float32
    for start in range(0, len(days), most):
        table[start : start + most, ...] = climatology.mean_at(days[start : start + most])
    pieces = list(_pieces(place, max(1, block_bytes(values) // row)))
    if len(pieces) * SHORT > len(phase):
        index = beside(place, values)

        def gathered(part: slice) -> None:
            _into(result[part, ...], values[part, ...], xp.take(table, index[part], axis=0), scale, xp)

        _shared(gathered, list(blocks(values)), values)
        return result
    _shared(lambda piece: _into(result[piece[0]], values[piece[0]], table[piece[1]], scale, xp), pieces, values)
    return result


def _plain(values: Array, mean: Array, scale: Array | None) -> Array:
    return values - mean if scale is None else (values - mean) / scale


def _into(result: Array, values: Array, mean: Array, scale: Array | None, xp: Any) -> None:
    xp.subtract(values, mean, out=result)
    if scale is not None:
        xp.divide(result, scale, out=result)


def _days(phase: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the phases that occur, by first appearance, and where each row's stands among them.

    So that a year's days stand behind each other, with a leap day or without.

    Examples
    --------
    >>> days, place = _days(np.array([0.5, 0.75, 0.25, 0.5, 0.75]))
    >>> days.tolist(), place.tolist()
    ([0.5, 0.75, 0.25], [0, 1, 2, 0, 1])
    """
    found, first, place = np.unique(phase, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return found[order], rank[place]


def _pieces(place: np.ndarray, most: int) -> Iterator[Piece]:
    """Yield rows, at most so many, and the rows of the table that they are less.

    Examples
    --------
    >>> [(rows.start, rows.stop, days.start) for rows, days in _pieces(np.array([0, 1, 2, 0, 1]), 2)]
    [(0, 2, 0), (2, 3, 2), (3, 5, 0)]
    """
    edges = [0, *(np.flatnonzero(np.diff(place) != 1) + 1).tolist(), len(place)]
    for start, stop in itertools.pairwise(edges):
        for at in range(start, stop, most):
            count, day = min(most, stop - at), int(place[at])
            yield slice(at, at + count), slice(day, day + count)


def _shared(work: Any, pieces: list[Any], values: Array) -> None:
    """Do all pieces, in threads where they are on the host and many."""
    threads = usable() if array_api_compat.is_numpy_array(values) and values.nbytes >= SHARED else 1
    threads = min(threads, len(pieces))
    if threads == 1:
        side_by_side(work, pieces, 1)
        return
    # Neighbouring rows to one thread: their pages are new, and handing out single pieces would cost as much as they do.
    ends = [len(pieces) * k // (4 * threads) for k in range(4 * threads + 1)]
    lots = [pieces[low:high] for low, high in itertools.pairwise(ends)]
    side_by_side(lambda lot: side_by_side(work, lot, 1), lots, threads)
