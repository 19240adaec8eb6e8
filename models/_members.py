"""Members that are targets of train rows: gathered by number, and laid out as a prediction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from models._classical import Table
from pipeline.backend import array_namespace
from pipeline.prediction import Prediction

Array = Any

MEMBER_BYTES = 64 * 2**20  # of all members of the days that are worked off together, float64


def gather(targets: Array, chosen: Array, mean: Array) -> Array:
    """Return the targets of train rows, what is missing filled with the mean of the other members.

    Parameters
    ----------
    targets : array of float32, shape (row, column)
        Of the train split, NaN where missing.
    chosen : array of int, shape (member, time)
        Numbers of rows.
    mean : array of float32, shape (column,)
        Stands in where no member is known.

    Returns
    -------
    array of float32, shape (member, time, column)
    """
    xp = array_namespace(targets)
    flat = xp.take(targets, xp.reshape(chosen, (-1,)), axis=0)
    members = xp.reshape(flat, (*chosen.shape, -1))
    there = xp.isfinite(members)
    if bool(xp.all(there)):
        return members
    known = xp.sum(xp.astype(there, xp.float32), axis=0)
    total = xp.sum(xp.where(there, members, xp.zeros_like(members)), axis=0)
    others = xp.where(known > 0, total / xp.where(known > 0, known, xp.ones_like(known)), mean)
    return xp.where(there, members, others)


def blocks_of(chosen: Array, columns: int) -> Iterator[slice]:
    """Yield slices of times, for which the ``chosen`` rows, shape (member, time), are some megabytes of values."""
    count, times = chosen.shape
    size = max(1, MEMBER_BYTES // (8 * count * columns))
    for start in range(0, times, size):
        yield slice(start, min(start + size, times))


def laid_out(table: Table, count: int, times: int, blocks: Iterator[tuple[slice, Array]]) -> Prediction:
    """Return ``count`` members of blocks of times, each of shape (member, time, column), written one by one."""
    xp, layout, members = table.backend.xp, table.layout, None
    shape = (count, times, len(layout.targets), *layout.mask.shape)
    for part, block in blocks:
        if members is None:
            members = xp.empty(shape, dtype=xp.float32, device=block.device)
        members[:, part, ...] = table.field(block)
    return Prediction("members", {"members": members})
