"""From what features say back to the input cells that they are made of: sums stay what they are."""

from __future__ import annotations

from typing import Any

import numpy as np

from models._classical import Table
from pipeline.samples import Samples

Array = Any


def column_weights(table: Table, weights: np.ndarray) -> Array:
    """Return host weights of answers, shape (sum, answer, lat, lon), as (sum, column), float64."""
    inside = np.asarray(weights, np.float64)[:, :, table.layout.mask]
    return table.backend.asarray(np.ascontiguousarray(inside.reshape(len(inside), -1)))


def item_weights(table: Table, weights: np.ndarray) -> tuple[np.ndarray, Array]:
    """Return the cells that any sum reads, positions in the mask, and their weights, shape (sum, item, answer)."""
    inside = np.asarray(weights, np.float64)[:, :, table.layout.mask]
    items = np.flatnonzero(np.any(inside != 0, axis=(0, 1)))
    own = np.ascontiguousarray(np.moveaxis(inside[:, :, items], 1, 2))
    return items, table.backend.asarray(own)


def to_channels(table: Table, samples: Samples, parts: Array) -> Array:
    """Return parts of the columns of :meth:`Table.rows` as fields of the channels of ``samples``.

    A channel without a place is one column; its part is shared evenly over its cells, as all of them hold its number.

    Parameters
    ----------
    table : Table
        Of the model.
    samples : Samples
        Whose channels come out; those that the model does not know have no part.
    parts : array of float64, shape (sum, feature)

    Returns
    -------
    array of float64, shape (sum, channel, lat, lon)
    """
    xp, layout = table.backend.xp, table.layout
    shape, count = layout.input_grid.shape, parts.shape[0]
    cells, maps = int(np.prod(shape)), len(layout.fields)
    fields = xp.reshape(parts[:, : maps * cells], (count, maps, cells))
    even = xp.broadcast_to(parts[:, maps * cells :, None] / cells, (count, parts.shape[1] - maps * cells, cells))
    known = [layout.channels[place] for place in layout.fields]
    known += [name for name in layout.channels if name in layout.scalars]
    return xp.reshape(named(table, samples, known, xp.concat([fields, even], axis=1)), (count, -1, *shape))


def named(table: Table, samples: Samples, names: list[str], parts: Array) -> Array:
    """Return parts of channels called ``names``, shape (sum, name, cell), in the order of those of ``samples``.

    Channels that are not among the names get zeros.
    """
    xp, there = table.backend.xp, samples.schema.channels
    place = np.array([names.index(name) if name in names else len(names) for name in there], np.int64)
    nothing = xp.zeros((parts.shape[0], 1, parts.shape[2]), dtype=parts.dtype)
    return xp.take(xp.concat([parts, nothing], axis=1), table.backend.asarray(place), axis=1)


def at_cells(table: Table, items: np.ndarray, parts: Array) -> Array:
    """Return parts of items, cells of the mask, at their cells of the whole grid, zero at the others.

    Parameters
    ----------
    table : Table
        Of the model.
    items : ndarray of int, shape (item,)
        Positions among the cells of the mask.
    parts : array, shape (sum, item, feature)

    Returns
    -------
    array, shape (sum, feature, cell)
    """
    xp, mask = table.backend.xp, table.layout.mask
    place = np.full(mask.size, len(items), np.int64)
    place[np.flatnonzero(mask)[items]] = np.arange(len(items))
    nothing = xp.zeros((parts.shape[0], 1, parts.shape[2]), dtype=parts.dtype)
    wide = xp.take(xp.concat([parts, nothing], axis=1), table.backend.asarray(place), axis=1)
    return xp.permute_dims(wide, (0, 2, 1))
