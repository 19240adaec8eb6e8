"""Years of a series, and what they hold: maxima, sums, longest spells; no loop over cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import array_api_compat
import numpy as np

from pipeline.backend import array_namespace
from pipeline.metrics.blocks import months, runs_of, year_of

Array = Any

LEAST_SHARE = 0.9
"""Of the days of the longest year on the axis, that a year of a cell must have to count."""


@dataclass(frozen=True, eq=False)
class Years:
    """The years of a time axis.

    Parameters
    ----------
    label : ndarray of int, shape (year,)
        Calendar years; where the axis holds winters and no summers, that of the winter's January.
    edges : ndarray of int, shape (year, 2)
        First time of each year and the one behind its last.
    begins : ndarray of bool, shape (time,)
        Times that follow no other: the first of a year, or behind a gap. No spell reaches across them.

    Examples
    --------
    >>> time = np.arange("1990-12-30", "1991-01-03", dtype="datetime64[D]")
    >>> years = years_of(time)
    >>> years.label.tolist(), years.begins.tolist()
    ([1991], [True, False, False, False])
    """

    label: np.ndarray
    edges: np.ndarray
    begins: np.ndarray

    def __len__(self) -> int:
        return len(self.label)


def years_of(time: np.ndarray) -> Years:
    """Return the years of ``time``, increasing ``datetime64`` or cftime objects.

    Calendar years, but where the axis holds December and January and no June, July or August:
    then a winter is one year, that of its January.
    """
    month, year = months(time), year_of(time)
    present = set(month.tolist())
    if {12, 1} <= present and not present & {6, 7, 8}:
        year = year + (month >= 9)
    change = np.flatnonzero(np.diff(year)) + 1
    starts = np.concatenate([[0], change])
    edges = np.stack([starts, np.concatenate([change, [len(year)]])], axis=1)
    run = runs_of(time)
    begins = np.concatenate([[True], (np.diff(run) != 0) | (np.diff(year) != 0)])
    return Years(year[starts], edges, begins)


def whole(valid: Array, years: Years) -> Array:
    """Return which years of which cells have enough days to count, bool, shape (year, cell).

    Those with nine tenths of the days of the longest year on the axis, whatever the cells hold: a first
    winter without its December does not count, nor a cell's year with five weeks missing.
    """
    xp = array_namespace(valid)
    days = xp.stack([xp.sum(xp.astype(valid[a:b, :], xp.float64), axis=0) for a, b in years.edges.tolist()])
    return days >= LEAST_SHARE * float(np.max(np.diff(years.edges, axis=1)))


def yearly_max(series: Array, valid: Array, years: Years) -> Array:
    """Return the highest value of every year, shape (..., year, cell), over the days that are valid."""
    xp = array_namespace(series)
    low = xp.where(valid, series, xp.full_like(series, -xp.inf))
    return xp.stack([xp.max(low[..., a:b, :], axis=-2) for a, b in years.edges.tolist()], axis=-2)


def yearly_mean(series: Array, valid: Array, years: Years) -> Array:
    """Return the mean of every year, float64, shape (..., year, cell), over the days that are valid."""
    xp = array_namespace(series)
    known = xp.where(valid, series, xp.zeros_like(series))
    parts = []
    for a, b in years.edges.tolist():
        days = xp.sum(xp.astype(valid[a:b, :], xp.float64), axis=0)
        total = xp.sum(known[..., a:b, :], axis=-2, dtype=xp.float64)
        parts.append(total / xp.where(days > 0, days, xp.full_like(days, xp.nan)))
    return xp.stack(parts, axis=-2)


def longest_spell(condition: Array, years: Years) -> Array:
    """Return the longest run of days on which ``condition`` holds in every year, shape (..., year, cell).

    A spell ends with its year and at a gap. The loop is over days, all cells at once: it reads the series
    once, where counting by ever longer steps (no loop over days) reads and writes it ten times.

    Parameters
    ----------
    condition : array of bool, shape (..., time, cell)
        False where a value is missing: a missing day ends a spell.
    years : Years
        Of the same times.

    Examples
    --------
    >>> time = np.arange("1990-01-01", "1990-01-06", dtype="datetime64[D]")
    >>> wet = np.array([[True], [True], [False], [True], [True]])
    >>> longest_spell(wet, years_of(time))[0].tolist()
    [2]
    """
    xp, device = array_namespace(condition), array_api_compat.device(condition)
    shape = (*condition.shape[:-2], condition.shape[-1])
    found = []
    for a, b in years.edges.tolist():
        run = xp.zeros(shape, dtype=xp.int16, device=device)
        longest = run
        for day in range(a, b):
            holds = xp.astype(condition[..., day, :], xp.int16)
            run = holds if years.begins[day] else (run + holds) * holds
            longest = xp.maximum(longest, run)
        found.append(longest)
    return xp.stack(found, axis=-2)


def rolling_sum(series: Array, days: int, years: Years) -> Array:
    """Return sums over ``days`` consecutive days ending on each, NaN where they reach across a gap or year.

    Examples
    --------
    >>> time = np.array(["1990-01-01", "1990-01-02", "1990-01-04", "1990-01-05"], dtype="datetime64[D]")
    >>> rolling_sum(np.array([[1.0], [2.0], [4.0], [8.0]]), 2, years_of(time))[:, 0].tolist()
    [nan, 3.0, nan, 12.0]
    """
    xp, device = array_namespace(series), array_api_compat.device(series)
    total = series
    day = np.arange(len(years.begins))
    reach = day - np.maximum.accumulate(np.where(years.begins, day, 0))
    for back in range(1, min(days, len(day))):
        before = xp.concat([series[..., :back, :], series[..., :-back, :]], axis=-2)
        total = total + before
    inside = xp.asarray(reach >= days - 1, device=device)[:, None]
    return xp.where(inside, total, xp.full_like(total, xp.nan))
