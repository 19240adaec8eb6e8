"""Arithmetic of dates in any calendar; times are host arrays of datetime64 or of cftime objects."""

from __future__ import annotations

import re
from typing import Any

import cftime
import numpy as np

from pipeline.errors import DataError

EPOCH = "microseconds since 1970-01-01"
GREGORIAN = "proleptic_gregorian"  # what datetime64 counts in
DAY = 86_400_000_000  # microseconds
MONTH = 30.4375 * DAY
_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?")


def as_times(values: Any, what: str = "time") -> np.ndarray:
    """Return ``values`` as an array of ``datetime64[ns]`` or of cftime objects, strictly ascending.

    Parameters
    ----------
    values : array_like, shape (time,)
        Time stamps of one calendar.
    what : str
        Whose they are, for the message.

    Raises
    ------
    DataError
        If a stamp is missing, is no time, or does not come after the one before it.

    Examples
    --------
    >>> as_times(["1995-02-27", "1995-02-28"])[0]
    np.datetime64('1995-02-27T00:00:00.000000000')
    """
    times = np.asarray(values)
    if times.dtype.kind in "USM":
        times = times.astype("datetime64[ns]")
        missing = int(np.isnat(times).sum())
        if missing:
            raise DataError(f"{what}: expected a date on every step, got {missing} missing ones; drop those steps.")
    elif times.dtype != object or not all(isinstance(stamp, cftime.datetime) for stamp in times):
        raise DataError(f"{what}: expected datetime64 or cftime stamps, got dtype {times.dtype}.")
    back = np.flatnonzero(np.diff(microseconds(times)) <= 0)
    if back.size:
        first = back[0]
        raise DataError(f"{what}: expected ascending times, got {iso(times[first])} before {iso(times[first + 1])}.")
    return times


def calendar_of(time: np.ndarray) -> str:
    """Return the CF name of the calendar that ``time`` counts in; datetime64 is proleptic Gregorian."""
    return GREGORIAN if time.dtype.kind == "M" or not len(time) else str(time[0].calendar)


def microseconds(time: np.ndarray) -> np.ndarray:
    """Return int64 microseconds since 1970-01-01 in the calendar of ``time``."""
    if time.dtype.kind == "M":
        return time.astype("datetime64[us]").astype(np.int64)
    return np.asarray(cftime.date2num(time, EPOCH, calendar=calendar_of(time)), np.int64).reshape(time.shape)


def from_microseconds(count: np.ndarray, calendar: str, *, native: bool) -> np.ndarray:
    """Return the times that :func:`microseconds` counted; ``native``: as ``datetime64[ns]``."""
    if native:
        return count.astype("datetime64[us]").astype("datetime64[ns]")
    return np.asarray(cftime.num2date(count, EPOCH, calendar=calendar), dtype=object)


def components(time: np.ndarray) -> np.ndarray:
    """Return year, month, day and second of the day as int64, shape (time, 4)."""
    if time.dtype.kind == "M":
        year, month, day = (time.astype(f"datetime64[{unit}]") for unit in "YMD")
        parts = (
            year.astype(np.int64) + 1970,
            (month - year).astype(np.int64) + 1,
            (day - month).astype(np.int64) + 1,
            (time.astype("datetime64[s]") - day).astype(np.int64),
        )
        return np.stack(parts, axis=1)
    rows = [(t.year, t.month, t.day, t.hour * 3600 + t.minute * 60 + t.second) for t in time]
    return np.array(rows, np.int64).reshape(len(time), 4)


def elapsed(time: np.ndarray) -> np.ndarray:
    """Return :func:`microseconds` without the days that the dates leave out on purpose.

    Models without leap days are often stored with dates that have them: after 28 February of a leap year
    comes 1 March. Where no 29 February is among daily dates, these days are taken as neighbours.

    Examples
    --------
    >>> days = np.array(["2000-02-27", "2000-02-28", "2000-03-01", "2000-03-02"], "datetime64[ns]")
    >>> np.diff(elapsed(days)) // DAY
    array([1, 1, 1])
    """
    count = microseconds(time)
    if len(time) < 3 or np.median(np.diff(count)) != DAY:
        return count
    _, month, day, _ = components(time).T
    if ((month == 2) & (day == 29)).any():
        return count
    left_out = (month[1:] == 3) & (day[1:] == 1) & (np.diff(count) == 2 * DAY)
    closed: np.ndarray = count - DAY * np.concatenate([[0], np.cumsum(left_out)])
    return closed


def ahead(time: np.ndarray, lead: int, step: int) -> np.ndarray:
    """Return the times ``lead`` steps of ``step`` microseconds later; months and years are stepped by the calendar.

    Examples
    --------
    >>> ahead(np.array(["1999-01-31", "1999-12-15"], "datetime64[ns]"), 1, 30 * DAY).astype("M8[D]").tolist()
    [datetime.date(1999, 2, 28), datetime.date(2000, 1, 15)]
    """
    months = lead * round(step / MONTH) if step >= 27 * DAY else 0
    if not lead or not months:
        return from_microseconds(microseconds(time) + lead * step, calendar_of(time), native=time.dtype.kind == "M")
    return np.array([_months_on(stamp, months) for stamp in time], dtype=time.dtype)


def _months_on(stamp: Any, months: int) -> Any:
    """Return the same day and hour ``months`` later, or the last day of that month."""
    if isinstance(stamp, np.datetime64):
        month = stamp.astype("datetime64[M]")
        into = stamp - month.astype(stamp.dtype)
        longest = (month + months + 1).astype("datetime64[D]") - np.timedelta64(1, "D")
        day = (month + months).astype("datetime64[D]") + (into // np.timedelta64(1, "D")).astype("timedelta64[D]")
        return min(day, longest).astype(stamp.dtype) + into % np.timedelta64(1, "D")
    years, month = divmod(stamp.month - 1 + months, 12)
    day = stamp.day
    while True:
        try:
            return stamp.replace(year=stamp.year + years, month=month + 1, day=day)
        except ValueError:  # the month is shorter
            day -= 1


def phase_of_year(time: np.ndarray) -> np.ndarray:
    """Return the share of its year that has passed at each time, in [0, 1), float64.

    Examples
    --------
    >>> phase_of_year(np.array(["1999-01-01", "1999-07-02T12"], "datetime64[ns]")).tolist()
    [0.0, 0.5]
    """
    calendar = calendar_of(time)
    years, where = np.unique(components(time)[:, 0], return_inverse=True)
    edges = np.array([(parse(f"{year:04d}", calendar)) for year in years], np.int64).reshape(len(years), 2)
    first, last = edges[where, 0], edges[where, 1]
    phase: np.ndarray = (microseconds(time) - first) / (last - first)
    return phase


def parse(text: str, calendar: str) -> tuple[int, int]:
    """Return the first microsecond of a date and the first one after it, counted from 1970-01-01.

    Parameters
    ----------
    text : str
        ``1995-02-28``, or ``1995-02`` for the month, or ``1995`` for the year.
    calendar : str
        CF name of the calendar.

    Raises
    ------
    ValueError
        If ``text`` is not a date of that calendar.

    Examples
    --------
    >>> first, after = parse("1995-02-30", "360_day")
    >>> (after - first) // DAY
    1
    """
    match = _DATE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"expected a date as YYYY-MM-DD, YYYY-MM or YYYY, got {text!r}")
    year, month, day = (int(part) if part else None for part in match.groups())
    year = int(year or 0)
    try:
        first = _count(year, month or 1, day or 1, calendar)
        if day is not None:
            return first, first + DAY
        following = (year + 1, 1) if month in (None, 12) else (year, int(month or 0) + 1)
        return first, _count(*following, 1, calendar)
    except ValueError as error:
        raise ValueError(f"expected a date of the calendar {calendar!r}, got {text!r}") from error


def iso(time: Any) -> str:
    """Return the date of one stamp as ``YYYY-MM-DD``."""
    if isinstance(time, np.datetime64):
        return str(time.astype("datetime64[D]"))
    return f"{time.year:04d}-{time.month:02d}-{time.day:02d}"


def _count(year: int, month: int, day: int, calendar: str) -> int:
    moment = cftime.datetime(year, month, day, calendar=calendar)
    return int(cftime.date2num(moment, EPOCH, calendar=calendar))
