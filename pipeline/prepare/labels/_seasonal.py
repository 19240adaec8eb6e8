"""Mean and percentile of every cell for every day of the year, from a moving window over the train years.

The day of the year is counted on a year of 366 days, so that 1 March is the same day in all years. 29 February, seen
in a quarter of the years, takes the mean of its neighbours, as the definition of marine heatwaves has it
(Hobday et al. 2016, doi:10.1016/j.pocean.2015.12.014); its values count in its neighbours' windows. A year of the
360-day calendar has its 360 days, and one of ``all_leap`` a 29 February of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.backend import array_namespace
from pipeline.errors import DataError
from pipeline.prepare.arrays import beside, rows, split_missing
from pipeline.prepare.dates import DAY, calendar_of, components, from_microseconds, microseconds
from pipeline.prepare.quantiles import column_quantiles
from pipeline.prepare.splits import TrainSplit

Array = Any

LEAP_DAY = 59  # 29 February, counted from 0
_MONTHS = np.concatenate([[0], np.cumsum([31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30])])


def year_length(calendar: str) -> int:
    """Return how many days of the year there are: 360 in the 360-day calendar, else 366."""
    return 360 if calendar == "360_day" else 366


def day_of_year(time: np.ndarray) -> np.ndarray:
    """Return the day of the year of each time, from 0, the same number for the same date in all years.

    Examples
    --------
    >>> day_of_year(np.array(["1999-02-28", "1999-03-01", "2000-03-01", "2000-12-31"], "datetime64[ns]")).tolist()
    [58, 60, 60, 365]
    """
    _, month, day, _ = components(time).T
    first = (month - 1) * 30 if calendar_of(time) == "360_day" else _MONTHS[month - 1]
    number: np.ndarray = first + day - 1
    return number


@dataclass(frozen=True, eq=False)
class Seasonal:
    """What is usual on every day of the year, and what is extreme.

    Parameters
    ----------
    mean : array of float32, shape (day, lat, lon)
        NaN on days of the year and in cells that the train split does not know.
    threshold : array of float32, shape (day, lat, lon), or None
        The percentile, where one was asked for.
    """

    mean: Array
    threshold: Array | None


def fit_seasonal(
    values: Array,
    time: np.ndarray,
    train: TrainSplit,
    *,
    window: int,
    smooth: int = 1,
    percentile: float | None = None,
    what: str = "the label",
) -> Seasonal:
    """Return mean and percentile of the train split for every day of the year.

    Each day takes the values of all train years within ``window`` days centred on it; both curves are then
    smoothed by a running mean over ``smooth`` days round the year. The percentile is linear between values (type 7).
    A day of the year that the train split never has is not known, and has no part in the smoothing.

    The cost is a sort of ``window`` times the train values.

    Parameters
    ----------
    values : array, shape (time, lat, lon)
        Daily, on the whole axis; NaN is missing.
    time : ndarray, shape (time,)
        Stamps of the whole axis.
    train : TrainSplit
        Which of them may be used.
    window, smooth : int
        Odd numbers of days.
    percentile : float, optional
        Between 0 and 100.
    what : str
        Whose it is, for messages.

    Raises
    ------
    TypeError
        If ``train`` is not a TrainSplit.
    DataError
        If there are too few values in the window for that percentile.
    """
    TrainSplit.require(train, what)
    seen, stamps = train.take(values), time[train.index]
    pools = _pools(stamps, window)
    if percentile is not None:
        _require_enough(pools, percentile, window, what)
    xp = array_namespace(seen)
    cells = xp.reshape(seen, (seen.shape[0], -1))
    days = year_length(calendar_of(time))
    means, limits = {}, {}
    for day, index in pools.items():
        pool = rows(cells, index)
        means[day] = _mean(pool)
        if percentile is not None:
            limits[day] = column_quantiles(pool, np.array([percentile / 100.0]))[0, :]
    leap = days == 366 and calendar_of(time) != "all_leap"

    def curve(known: dict[int, Array]) -> Array:
        whole = _whole_year(known, days)
        even = _smoothed(_with_leap_day(whole) if leap else whole, smooth)
        return xp.reshape(xp.astype(even, xp.float32), (days, *values.shape[1:]))

    return Seasonal(curve(means), curve(limits) if percentile is not None else None)


def at_days(table: Array, time: np.ndarray, what: str = "the label") -> Array:
    """Return the row of ``table`` for the day of the year of each time, shape (time, lat, lon).

    Raises
    ------
    DataError
        If the calendar of ``time`` has another number of days in its year.
    """
    days = year_length(calendar_of(time))
    if days != table.shape[0]:
        raise DataError(
            f"{what}: expected times of a calendar with {table.shape[0]} days of the year, which it was fitted on, got "
            f"the calendar {calendar_of(time)!r} with {days}; fit it on data of that calendar."
        )
    return rows(table, day_of_year(time))


def _pools(stamps: np.ndarray, window: int) -> dict[int, np.ndarray]:
    """Return for each day of the year that ``stamps`` have the positions of those within the window round it."""
    calendar, native = calendar_of(stamps), stamps.dtype.kind == "M"
    count, half = microseconds(stamps), window // 2
    shifted = [from_microseconds(count + shift * DAY, calendar, native=native) for shift in range(-half, half + 1)]
    member = np.stack([day_of_year(times) for times in shifted], axis=1)
    own = set(np.unique(day_of_year(stamps)).tolist())
    if year_length(calendar) == 366 and calendar != "all_leap":
        own.discard(LEAP_DAY)
    return {day: np.flatnonzero((member == day).any(axis=1)) for day in sorted(own)}


def _require_enough(pools: dict[int, np.ndarray], percentile: float, window: int, what: str) -> None:
    """Refuse a percentile further out than one in so many values as there are."""
    there = int(np.median([len(index) for index in pools.values()])) if pools else 0
    tail = min(percentile, 100.0 - percentile) / 100.0
    if there * tail < 1.0:
        raise DataError(
            f"{what}: expected {int(np.ceil(1.0 / tail))} train values or more for the percentile {percentile:g} of a "
            f"day of the year, got {there} in a window of {window} days; take a longer train split or a wider window."
        )


def _mean(pool: Array) -> Array:
    """Return the mean over what is finite, float64, shape (cell,); NaN where nothing is."""
    xp = array_namespace(pool)
    filled, finite = split_missing(pool)
    count = xp.sum(finite, axis=0)
    return xp.sum(filled, axis=0) / xp.where(count > 0, count, xp.full_like(count, float("nan")))


def _whole_year(known: dict[int, Array], days: int) -> Array:
    """Return the rows of ``known`` on a whole year, NaN on the other days, shape (day, cell)."""
    first = next(iter(known.values()))
    xp = array_namespace(first)
    nothing = xp.full_like(first, float("nan"))
    return xp.stack([known.get(day, nothing) for day in range(days)])


def _with_leap_day(whole: Array) -> Array:
    """Return ``whole`` with the mean of 28 February and 1 March, of one where the other is not known, between them."""
    xp = array_namespace(whole)
    between = _mean(xp.stack([whole[LEAP_DAY - 1, :], whole[LEAP_DAY + 1, :]]))
    return xp.concat([whole[:LEAP_DAY, :], between[None, :], whole[LEAP_DAY + 1 :, :]], axis=0)


def _smoothed(whole: Array, width: int) -> Array:
    """Return the running mean over ``width`` days round the year, of the days that are known, on those alone."""
    if width == 1:
        return whole
    xp = array_namespace(whole)
    days = whole.shape[0]
    apart = np.abs(np.arange(days)[:, None] - np.arange(days)[None, :])
    near = beside((np.minimum(apart, days - apart) <= width // 2).astype(np.float64), whole)
    filled, finite = split_missing(whole)
    count = xp.matmul(near, finite)
    even = xp.matmul(near, filled) / xp.where(count > 0, count, xp.ones_like(count))
    return xp.where(finite > 0, even, xp.full_like(even, float("nan")))
