"""The climatology of the train split as it was seen: quantiles of the values themselves, no normal curve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from pandas.util import hash_array

from pipeline.backend import array_namespace
from pipeline.prediction import Prediction
from pipeline.prepare.arrays import beside, flat, rows
from pipeline.prepare.dates import microseconds
from pipeline.prepare.quantiles import YearWindows, column_blocks, column_quantiles, midpoints
from pipeline.prepare.splits import TrainSplit
from pipeline.rows import Rows

Array = Any

MEMBERS = 25  # equally likely quantiles
WINDOWS = 12  # parts of the year; each takes the days of its neighbours, too


@dataclass(frozen=True, eq=False)
class EmpiricalClimatology:
    """Equally likely quantiles of every cell in windows of the year, for what is far from normal.

    Precipitation is zero on many days and skewed on the others: a normal curve gives most of its
    weight to amounts that never were, some of it below zero. Here the forecast of a day is the
    mid-point quantiles ``(i - 0.5) / members`` of the train days in its twelfth of the year and the
    two beside it. A twelfth with fewer than twenty train days takes the nearest that has them.

    Parameters
    ----------
    values : array of float32, shape (window, member, target, lat, lon)
        Ascending along members; NaN in cells without any train value. It takes four bytes a number:
        12 windows x 25 members x 2 targets x 128 x 128 cells are 39 MB.
    windows : YearWindows
        Which window answers for which day.
    """

    values: Array
    windows: YearWindows

    @classmethod
    def fit(
        cls, values: Array, train: TrainSplit, *, members: int = MEMBERS, windows: int = WINDOWS
    ) -> EmpiricalClimatology:
        """Take the quantiles of the train split, cell by cell over what is finite.

        Parameters
        ----------
        values : array of float32, shape (time, target, ...)
            All steps of the axis; NaN is missing.
        train : TrainSplit
            Which of them may be used.
        members, windows : int
            Quantiles, and parts of the year.

        Raises
        ------
        TypeError
            If ``train`` is not a TrainSplit.
        """
        TrainSplit.require(train, "EmpiricalClimatology")
        xp = array_namespace(values)
        seen = train.take(values)
        found, parts = seasonal_quantiles(flat(seen), train.phase, members=members, windows=windows)
        return cls(xp.reshape(found, (*found.shape[:2], *values.shape[1:])), parts)

    def forecast(self, phase: np.ndarray) -> Prediction:
        """Return the quantiles as members of shape (member, time, target, lat, lon), for each phase of the year.

        They are made here, not kept: 25 members of 2 x 128 x 128 values take 3.3 MB a day, 1.2 GB a
        year. Ask for a few days at a time where that is too much, or for :meth:`crps`.
        """
        return Prediction("members", {"members": members_at(self.values, self.windows, phase)})

    def crps(self, truth: Array, phase: np.ndarray) -> Array:
        """Return the CRPS of :meth:`forecast`, shape of ``truth``, made a day after the other."""
        xp = array_namespace(truth)
        days = range(truth.shape[0])
        parts = [self.forecast(phase[day : day + 1]).crps(truth[day : day + 1, ...]) for day in days]
        return xp.concat(parts, axis=0) if parts else truth


def seasonal_quantiles(
    columns: Array, phase: np.ndarray, *, members: int = MEMBERS, windows: int = WINDOWS
) -> tuple[Array, YearWindows]:
    """Return mid-point quantiles of every column, float32 (window, member, column), and the windows.

    A column without a value in a window takes its quantiles of all days.

    Parameters
    ----------
    columns : array, shape (time, column)
        NaN is missing.
    phase : ndarray, shape (time,)
        Phase of the year in [0, 1) of every row.
    members, windows : int
        Quantiles, and parts of the year.
    """
    xp = array_namespace(columns)
    if isinstance(columns, Rows):
        options = {"members": members, "windows": windows}
        each = [seasonal_quantiles(block, phase, **options) for block in column_blocks(columns)]
        return xp.concat([found for found, _ in each], axis=2), each[0][1]
    parts = YearWindows.of(phase, windows, shared=1 if windows > 2 else 0)
    levels = midpoints(members)
    always = column_quantiles(columns, levels)
    found = []
    for days in parts.days(phase):
        here = column_quantiles(rows(columns, days), levels)
        found.append(xp.astype(xp.where(xp.isnan(here), always, here), xp.float32))
    return xp.stack(found), parts


def members_at(values: Array, windows: YearWindows, phase: np.ndarray) -> Array:
    """Return the members of each day, shape (member, time, ...), from quantiles (window, member, ...)."""
    xp = array_namespace(values)
    chosen = xp.take(values, beside(windows.at(phase), values), axis=0)
    return xp.permute_dims(chosen, (1, 0, *range(2, values.ndim)))


def drawn_at(values: Array, windows: YearWindows, phase: np.ndarray, time: np.ndarray, groups: int = 1) -> Array:
    """Return the members of :func:`members_at`, in another order at every date and for every group of columns.

    In one order a first member would be dry on all days and a last one wet, and be so of all variables at
    once: no series that the distribution could give. Here the rank of a member is drawn anew for each date and
    group, from these alone and not from what is asked for beside. At all cells of a date it is the same:
    a member is a smooth field, of one quantile everywhere, and files of members stay small.

    Parameters
    ----------
    values : array, shape (window, member, column)
        Quantiles.
    windows : YearWindows
        Which window answers for which day.
    phase : ndarray, shape (time,)
        Phase of the year in [0, 1) of every date.
    time : ndarray, shape (time,)
        The dates, ``datetime64`` or cftime.
    groups : int
        Of as many columns each, such as the cells of a target.

    Returns
    -------
    array, shape (member, time, column)
    """
    xp = array_namespace(values)
    _, count, columns = values.shape
    width, first = columns // groups, windows.at(phase).astype(np.int64) * count
    shift = (_scattered(microseconds(time), groups) % np.uint64(count)).astype(np.int64)
    fields = xp.reshape(values, (-1, columns))

    def member(number: int) -> Array:
        parts = []
        for group in range(groups):
            rank = beside(first + (shift[:, group] + number) % count, values)
            parts.append(xp.take(fields[:, group * width : (group + 1) * width], rank, axis=0))
        return parts[0] if groups == 1 else xp.concat(parts, axis=1)

    return xp.stack([member(number) for number in range(count)])


def _scattered(stamps: np.ndarray, groups: int) -> np.ndarray:
    """Return a number for every stamp and group, uint64 (time, group), that looks random and never changes."""
    mixed = hash_array(stamps)[:, None] + np.arange(groups, dtype=np.uint64)
    found: np.ndarray = hash_array(mixed.ravel()).reshape(mixed.shape)
    return found
