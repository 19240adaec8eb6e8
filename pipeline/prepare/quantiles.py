"""Empirical quantiles of many columns at once, and parts of the year to take them in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from pipeline.backend import array_namespace
from pipeline.prepare.arrays import beside
from pipeline.rows import Rows, by_columns
from pipeline.rows.parts import BLOCK_BYTES

Array = Any

FEWEST = 20  # days of its own from which a window of the year counts as seen


def midpoints(count: int) -> np.ndarray:
    """Return the levels of ``count`` equally likely quantiles, ``(i - 0.5) / count``, shape (count,).

    Examples
    --------
    >>> midpoints(4).tolist()
    [0.125, 0.375, 0.625, 0.875]
    """
    return (np.arange(count) + 0.5) / count


def column_quantiles(values: Array, levels: np.ndarray) -> Array:
    """Return quantiles of every column over what is finite in it, linear between values.

    Type 7 of Hyndman and Fan (1996, doi:10.1080/00031305.1996.10473566), as ``numpy.nanquantile`` has
    it. Columns are sorted a block at a time, so the cost in memory is that of a block.

    Parameters
    ----------
    values : array, shape (time, column)
        NaN is missing.
    levels : ndarray, shape (quantile,)
        In [0, 1].

    Returns
    -------
    array of float64, shape (quantile, column)
        NaN in columns without any value.

    Examples
    --------
    >>> column_quantiles(np.array([[1.0, np.nan], [2.0, np.nan], [4.0, 7.0]]), np.array([0.25, 0.5])).tolist()
    [[1.5, 7.0], [2.0, 7.0]]
    """
    width = max(1, 8 * BLOCK_BYTES // (8 * max(1, values.shape[0])))
    xp = array_namespace(values)
    starts = range(0, values.shape[1], width)
    parts = [_quantiles(values[:, start : min(start + width, values.shape[1])], levels) for start in starts]
    return xp.concat(parts, axis=1) if parts else xp.zeros((len(levels), 0), dtype=xp.float64)


def column_blocks(values: Rows) -> Iterator[Array]:
    """Yield all rows of some columns after the other."""
    width = max(1, 8 * BLOCK_BYTES // (8 * max(1, values.shape[0])))
    columns = values.shape[1]
    yield from by_columns(values, [slice(at, min(at + width, columns)) for at in range(0, columns, width)])


def _quantiles(values: Array, levels: np.ndarray) -> Array:
    xp = array_namespace(values)
    wide = xp.astype(values, xp.float64)
    finite = xp.isfinite(wide)
    ordered = xp.sort(xp.where(finite, wide, xp.full_like(wide, float("inf"))), axis=0)
    count = xp.sum(xp.astype(finite, xp.float64), axis=0)
    position = beside(levels, wide)[:, None] * xp.maximum(count - 1.0, xp.zeros_like(count))[None, :]
    lower = xp.astype(xp.floor(position), xp.int64)
    last = xp.astype(xp.maximum(count - 1.0, xp.zeros_like(count)), xp.int64)
    upper = xp.minimum(lower + 1, xp.broadcast_to(last[None, :], lower.shape))
    below, above = (xp.take_along_axis(ordered, place, axis=0) for place in (lower, upper))
    part = position - xp.astype(lower, xp.float64)
    known = xp.broadcast_to(count[None, :] > 0, below.shape)
    zero = xp.zeros_like(below)
    below, above = xp.where(known, below, zero), xp.where(known, above, zero)
    return xp.where(known, below + part * (above - below), xp.full_like(below, float("nan")))


@dataclass(frozen=True, eq=False)
class YearWindows:
    """Equal parts of the year, each with the train days that speak for it.

    Parameters
    ----------
    count : int
        Number of parts; ``1`` is the whole year.
    shift : float
        Phase at which the first part begins before the year does: a twelfth for the seasons, whose
        winter begins in December.
    use : ndarray of int64, shape (count,)
        For each part the row of ``seen`` that stands in for it: its own, else the nearest in the year.
    seen : ndarray of int64, shape (window,)
        Parts with enough train days of their own.
    shared : int
        How many parts on either side lend their days.
    """

    count: int
    shift: float
    use: np.ndarray
    seen: np.ndarray
    shared: int

    NAMES: ClassVar[tuple[str, ...]] = ("window_use", "window_seen", "window_facts")

    @classmethod
    def of(cls, phase: np.ndarray, count: int, *, shift: float = 0.0, shared: int = 0) -> YearWindows:
        """Return the windows that train days at ``phase`` can fill; one for the whole year if none can.

        Examples
        --------
        >>> winter = np.concatenate([np.arange(59), np.arange(334, 365)]) / 365
        >>> windows = YearWindows.of(winter, 12)
        >>> windows.seen.tolist(), windows.use.tolist()
        ([0, 1, 11], [0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2])
        """
        own = np.bincount(_part(phase, count, shift), minlength=count)
        seen = np.flatnonzero(own >= FEWEST)
        if not len(seen):
            return cls(1, 0.0, np.zeros(1, int), np.zeros(1, int), 0)
        apart = np.abs(np.arange(count)[:, None] - seen[None, :])
        apart = np.minimum(apart, count - apart)
        return cls(count, shift, apart.argmin(axis=1), seen, shared)

    def days(self, phase: np.ndarray) -> list[np.ndarray]:
        """Return the positions of the days that speak for each window of ``seen``."""
        part = _part(phase, self.count, self.shift)
        apart = np.abs(part[:, None] - self.seen[None, :])
        near = np.minimum(apart, self.count - apart) <= self.shared
        return [np.flatnonzero(column) for column in near.T]

    def at(self, phase: np.ndarray) -> np.ndarray:
        """Return which window of ``seen`` answers for each day, shape (time,)."""
        chosen: np.ndarray = self.use[_part(phase, self.count, self.shift)]
        return chosen

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all of it as arrays of the names ``NAMES``, for :meth:`of_arrays`."""
        facts = np.array([self.count, self.shift, self.shared], float)
        return dict(zip(self.NAMES, (self.use, self.seen, facts), strict=True))

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray]) -> YearWindows:
        """Return what :meth:`arrays` gave."""
        use, seen, facts = (np.asarray(arrays[name]) for name in cls.NAMES)
        return cls(int(facts[0]), float(facts[1]), use, seen, int(facts[2]))


def _part(phase: np.ndarray, count: int, shift: float) -> np.ndarray:
    place = np.mod(np.asarray(phase, float) + shift, 1.0) * count
    part: np.ndarray = np.minimum(place, count - 1).astype(int)
    return part
