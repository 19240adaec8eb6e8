"""Values from one distribution to the same place in another, column by column."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.backend import array_namespace
from pipeline.prepare.arrays import beside, rows
from pipeline.prepare.quantiles import YearWindows, column_quantiles, midpoints
from pipeline.rows.parts import blocks
from pipeline.seeding import derive_seed

Array = Any

SEASONS = {"none": (1, 0.0, 0), "month": (12, 0.0, 1), "season": (4, 1 / 12, 0)}  # parts, shift, neighbours


def windows_of(phase: np.ndarray, window: str) -> YearWindows:
    """Return the parts of the year that ``none``, ``month`` or ``season`` stands for.

    A month takes the days of the two beside it as well, as it alone has few; a season has its own.
    """
    count, shift, shared = SEASONS[window]
    return YearWindows.of(phase, count, shift=shift, shared=shared)


def map_quantiles(
    values: Array, source: Array, target: Array, *, ratio: Array, slope: Array, rank: Array | None = None
) -> Array:
    """Return, for every value, what ``target`` has where ``source`` has the value.

    Between two quantiles the map is linear. A value that several quantiles of ``source`` share, such
    as dry, has a whole range of levels: it takes the one at the share ``rank`` of it, the middle by
    default. Beyond the outermost quantiles the correction is that of the outermost one (Boe et al.
    2007, doi:10.1002/joc.1602): a difference, or a ratio where the outermost of ``source`` is above zero.

    Parameters
    ----------
    values : array of float64, shape (time, column)
        Finite.
    source, target : array of float64, shape (quantile, column)
        Ascending quantiles at the same levels.
    ratio : array of bool, shape (column,)
        Columns whose correction beyond the ends is a ratio.
    slope : array of float64, shape (column,)
        What a step of one in ``values`` is worth in ``target``, beyond the ends of the other columns.
    rank : array of float64, shape (time, 1), optional
        In [0, 1], where in a range of levels a value is taken to be.

    Returns
    -------
    array of float64, shape (time, column)

    Examples
    --------
    >>> source, target = np.array([[1.0], [2.0], [3.0]]), np.array([[10.0], [20.0], [40.0]])
    >>> one = np.ones(1)
    >>> map_quantiles(np.array([[2.5], [4.0]]), source, target, ratio=one < 0, slope=one)[:, 0].tolist()
    [30.0, 41.0]
    """
    xp = array_namespace(values)
    parts = []
    for part in blocks(values):
        own = None if rank is None else rank[part, :]
        parts.append(_map(values[part, :], source, target, ratio, slope, own))
    return xp.concat(parts, axis=0) if parts else values


def _map(values: Array, source: Array, target: Array, ratio: Array, slope: Array, rank: Array | None) -> Array:
    xp, size = array_namespace(values), source.shape[0]
    below, upto = _count(values, source, equal=False), _count(values, source, equal=True)
    half = 0.5 if rank is None else rank
    shared = xp.astype(below, xp.float64) - 0.5 + half * xp.astype(upto - below, xp.float64)
    # Never beyond the range itself, so that the map stays monotone.
    shared = xp.clip(shared, xp.astype(below, xp.float64), xp.astype(xp.maximum(upto - 1, below), xp.float64))
    left = xp.clip(upto - 1, 0, max(size - 2, 0))
    right = xp.minimum(left + 1, xp.full_like(left, size - 1))
    first, second = (xp.take_along_axis(source, place, axis=0) for place in (left, right))
    step = xp.where(second > first, second - first, xp.ones_like(first))
    place = xp.where(upto > below, shared, xp.astype(left, xp.float64) + (values - first) / step)
    mapped = _at(target, xp.clip(place, 0.0, float(size - 1)))
    for outside, end in ((values < source[:1, :], 0), (values > source[-1:, :], size - 1)):
        mapped = xp.where(outside, _beyond(values, source[end, :], target[end, :], ratio, slope), mapped)
    return mapped


def _count(values: Array, source: Array, *, equal: bool) -> Array:
    """Return how many of the ascending ``source`` lie below each value, or at most at it: by bisection."""
    xp, size = array_namespace(values), source.shape[0]
    low = xp.zeros(values.shape, dtype=xp.int64, device=values.device)
    high = xp.full_like(low, size)
    for _ in range(size.bit_length()):
        middle = (low + high) // 2
        there = xp.take_along_axis(source, xp.minimum(middle, xp.full_like(middle, size - 1)), axis=0)
        up = (there <= values if equal else there < values) & (low < high)
        low, high = xp.where(up, middle + 1, low), xp.where(up, high, middle)
    return low


def _at(table: Array, place: Array) -> Array:
    xp = array_namespace(table)
    lower = xp.astype(xp.floor(place), xp.int64)
    upper = xp.minimum(lower + 1, xp.full_like(lower, table.shape[0] - 1))
    below, above = (xp.take_along_axis(table, index, axis=0) for index in (lower, upper))
    return below + (place - xp.astype(lower, xp.float64)) * (above - below)


def _beyond(values: Array, source: Array, target: Array, ratio: Array, slope: Array) -> Array:
    xp = array_namespace(values)
    by_ratio = ratio & (source > 0)
    factor = target / xp.where(by_ratio, source, xp.ones_like(source))
    return xp.where(by_ratio[None, :], values * factor, target + slope * (values - source))


class QuantileMap:
    """Quantiles of coarse and true values in windows of the year, and the map from one to the other.

    Parameters
    ----------
    source, target : array of float32, shape (window, quantile, column)
        Ascending.
    ratio : array of bool, shape (column,)
        Amounts, such as precipitation: zero is the least, and beyond the ends the correction is a ratio.
    slope : array of float64, shape (column,)
        See :func:`map_quantiles`.
    windows : YearWindows
        Which window answers for which day.
    """

    def __init__(self, source: Array, target: Array, ratio: Array, slope: Array, windows: YearWindows) -> None:
        self.source, self.target, self.ratio, self.slope, self.windows = source, target, ratio, slope, windows

    @classmethod
    def fit(
        cls,
        coarse: Array,
        truth: Array,
        phase: np.ndarray,
        *,
        quantiles: int,
        window: str,
        ratio: Array,
        slope: Array | None,
        groups: int,
    ) -> QuantileMap:
        """Take the mid-point quantiles of both over the days with truth.

        Parameters
        ----------
        coarse, truth : array, shape (time, column)
            Of the train split; NaN is missing in the truth.
        phase : ndarray, shape (time,)
            Phase of the year.
        quantiles : int
            How many.
        window : {"none", "month", "season"}
            What part of the year has quantiles of its own.
        ratio, slope : array, shape (column,)
            As above; a slope of None is the ratio of the ranges that the quantiles span.
        groups : int
            Number of targets. Columns without any truth take the mean quantiles of their target's others.
        """
        xp, windows, levels = array_namespace(truth), windows_of(phase, window), midpoints(quantiles)
        there = xp.isfinite(truth)
        known = xp.any(there, axis=0)
        paired = xp.where(there | ~known[None, :], coarse, xp.full_like(coarse, float("nan")))
        always = [column_quantiles(paired, levels), fill_empty(column_quantiles(truth, levels), groups)]
        tables: list[list[Array]] = [[], []]
        for days in windows.days(phase):
            own = [column_quantiles(rows(part, days), levels) for part in (paired, truth)]
            lacking = xp.isnan(own[0]) | xp.isnan(own[1])
            for side in (0, 1):
                tables[side].append(xp.astype(xp.where(lacking, always[side], own[side]), xp.float32))
        if slope is None:
            spans = [part[-1, :] - part[0, :] for part in always]
            some = spans[0] > 0
            slope = xp.where(some, spans[1] / xp.where(some, spans[0], xp.ones_like(spans[0])), xp.ones_like(spans[0]))
        return cls(xp.stack(tables[0]), xp.stack(tables[1]), ratio, slope, windows)

    def __call__(self, coarse: Array, phase: np.ndarray, time: np.ndarray) -> Array:
        """Return the values of ``coarse``, shape (time, column), where the truth has the same quantile, float64.

        A dry day, where the coarse model is dry more often than the truth, is wet with the probability
        that makes both as often dry (the frequency adaptation of Themessl et al. 2012). Which days these
        are is drawn from the date, the same for all cells: the same day always gets the same answer.
        """
        xp = array_namespace(coarse)
        if not coarse.shape[0]:
            return xp.astype(coarse, xp.float64)
        own, rank = self.windows.at(phase), beside(day_ranks(time)[:, None], coarse)
        half = xp.asarray(0.5, dtype=xp.float64, device=coarse.device)
        parts, order = [], []
        for window in np.unique(own):
            days = np.flatnonzero(own == window)
            values = xp.astype(rows(coarse, days), xp.float64)
            source, target = (xp.astype(part[int(window), ...], xp.float64) for part in (self.source, self.target))
            ranks = xp.where(self.ratio[None, :], rows(rank, days), half)
            parts.append(map_quantiles(values, source, target, ratio=self.ratio, slope=self.slope, rank=ranks))
            order.append(days)
        return rows(xp.concat(parts, axis=0), np.argsort(np.concatenate(order)))

    def arrays(self) -> dict[str, Array]:
        """Return all of it as arrays, for :meth:`of`."""
        xp = array_namespace(self.source)
        kept = {name: beside(values, self.source) for name, values in self.windows.arrays().items()}
        ratio = xp.astype(self.ratio, xp.uint8)
        return {"source": self.source, "target": self.target, "ratio": ratio, "slope": self.slope, **kept}

    @classmethod
    def of(cls, arrays: dict[str, Array], host: Any) -> QuantileMap:
        """Return what :meth:`arrays` gave; ``host`` brings an array to the host."""
        windows = YearWindows.of_arrays({name: host(arrays[name]) for name in YearWindows.NAMES})
        return cls(arrays["source"], arrays["target"], arrays["ratio"] > 0, arrays["slope"], windows)


def fill_empty(quantiles: Array, groups: int) -> Array:
    """Return quantiles, shape (..., column), with those of columns without any at the mean of their group's others.

    ``groups`` is the number of targets; each has as many columns.
    """
    xp = array_namespace(quantiles)
    split = xp.reshape(quantiles, (*quantiles.shape[:-1], groups, -1))
    there = xp.isfinite(split)
    count = xp.sum(xp.astype(there, xp.float64), axis=-1, keepdims=True)
    total = xp.sum(xp.where(there, split, xp.zeros_like(split)), axis=-1, keepdims=True, dtype=xp.float64)
    mean = xp.astype(total / xp.maximum(count, xp.ones_like(count)), quantiles.dtype)
    return xp.reshape(xp.where(there, split, mean), quantiles.shape)


def day_ranks(time: np.ndarray) -> np.ndarray:
    """Return a number in [0, 1) for each date, drawn from the date alone."""
    return np.array([np.random.default_rng(derive_seed(0, f"rank:{date}")).random() for date in time.astype(str)])
