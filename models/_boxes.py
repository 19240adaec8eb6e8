"""Means and deviations over boxes of cells."""

from __future__ import annotations

from typing import Any

from pipeline.backend import array_namespace

Array = Any


def boxes(fields: Array, reach: int, *, around: bool) -> tuple[Array, Array]:
    """Return mean and standard deviation over boxes of ``2 reach + 1`` cells a side, float64, shaped like ``fields``.

    Parameters
    ----------
    fields : array, shape (time, field, lat, lon)
        Finite.
    reach : int
        Cells on either side.
    around : bool
        Whether the first column lies beside the last. Beyond any other edge there is nothing, and the mean is over
        fewer cells.

    Examples
    --------
    >>> import numpy as np
    >>> mean, deviation = boxes(np.array([[[[0.0, 3.0, 6.0]]]]), 1, around=False)
    >>> mean.tolist()[0][0], deviation.round(2).tolist()[0][0]
    ([[1.5, 3.0, 4.5]], [[1.5, 2.45, 1.5]])
    """
    xp = array_namespace(fields)
    wide = xp.astype(fields, xp.float64)
    count = _summed(xp.ones_like(wide[:1, :1, ...]), reach, around, xp)
    centre = xp.mean(wide, axis=(2, 3), keepdims=True)  # squares of what is far from zero would lose their digits
    mean = _summed(wide - centre, reach, around, xp) / count
    square = _summed((wide - centre) ** 2, reach, around, xp) / count
    spread = square - mean**2
    return mean + centre, xp.sqrt(xp.where(spread > 0.0, spread, xp.zeros_like(spread)))


def shared_over_boxes(parts: Array, reach: int, *, around: bool) -> Array:
    """Return ``parts`` of cells shared evenly over the cells of their boxes, float64; sums over all cells stay.

    Takes arrays of shape (time, field, lat, lon), and what :func:`boxes` takes.

    Examples
    --------
    >>> import numpy as np
    >>> shared_over_boxes(np.array([[[[0.0, 3.0, 1.0]]]]), 1, around=False).tolist()[0][0]
    [[1.0, 1.5, 1.5]]
    """
    xp = array_namespace(parts)
    wide = xp.astype(parts, xp.float64)
    count = _summed(xp.ones_like(wide[:1, :1, ...]), reach, around, xp)
    return _summed(wide / count, reach, around, xp)  # a cell lies in the boxes of those that lie in its own


def _summed(values: Array, reach: int, around: bool, xp: Any) -> Array:
    rows, columns = values.shape[-2:]
    if around:
        wide = xp.concat([values[..., columns - reach :], values, values[..., :reach]], axis=-1)
    else:
        edge = xp.zeros((*values.shape[:-1], reach), dtype=values.dtype)
        wide = xp.concat([edge, values, edge], axis=-1)
    along = sum((wide[..., k : k + columns] for k in range(1, 2 * reach + 1)), wide[..., :columns])
    edge = xp.zeros((*values.shape[:-2], reach, columns), dtype=values.dtype)
    high = xp.concat([edge, along, edge], axis=-2)
    return sum((high[..., k : k + rows, :] for k in range(1, 2 * reach + 1)), high[..., :rows, :])
