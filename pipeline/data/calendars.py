"""Times of a file as dates, whatever calendar and reference date they are counted in."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from pipeline.data.axes import find_time
from pipeline.data.records import Repair
from pipeline.errors import DataError
from pipeline.registry import suggest

CALENDARS = (
    "standard",
    "gregorian",
    "proleptic_gregorian",
    "noleap",
    "365_day",
    "360_day",
    "all_leap",
    "366_day",
    "julian",
)
_ALIASES = {
    "365_days": "noleap", "365": "noleap", "no_leap": "noleap", "365day": "noleap",
    "360_days": "360_day", "360": "360_day", "360day": "360_day",
    "366_days": "all_leap", "366": "all_leap",
}  # fmt: skip


def decode_times(data: xr.Dataset, where: str) -> tuple[xr.Dataset, tuple[Repair, ...]]:
    """Return the dataset with its times as ``datetime64[ns]``, or as cftime dates of another calendar.

    Reference dates with a month or day of zero count from January or the first. Times that are
    missing are dropped with their values.

    Parameters
    ----------
    data : Dataset
        Times as numbers with attributes ``units`` and ``calendar``, or as dates already.
    where : str
        The file or entry, for messages.

    Raises
    ------
    DataError
        If the times have no units, or units or a calendar that cannot be read.

    Examples
    --------
    >>> attrs = {"units": "days since 0000-00-00", "calendar": "365_days"}
    >>> data, repairs = decode_times(xr.Dataset(coords={"time": ("time", [365.0], attrs)}), "a.nc")
    >>> str(data["time"].values[0]), repairs[1].text
    ('0001-01-01 00:00:00', "times in 'days since 0000-00-00' are read as 'days since 0000-01-01'")
    """
    name = find_time(data)
    if name is None:
        return data, ()
    variable = data.variables[name]
    data, repairs = _drop_missing(data, name)
    if variable.dtype.kind in "iuf":
        times, mended = _decode(data.variables[name], where)
        repairs += mended
    elif variable.dtype.kind == "M" or (variable.size and hasattr(variable.values.flat[0], "calendar")):
        times = _plain(data.variables[name])
    else:
        raise DataError(
            f"{where}: expected times as numbers or dates, got {variable.dtype} such as {_first(variable)!r}."
        )
    attrs = {key: text for key, text in variable.attrs.items() if key not in {"units", "calendar", "bounds"}}
    return data.assign_coords({name: (variable.dims, times, attrs)}), tuple(repairs)


def date_text(time: Any) -> str:
    """Return a date as people write it, without a time of day if that is midnight.

    Examples
    --------
    >>> date_text(np.datetime64("2001-01-02T00:00:00.000000000")), date_text(np.datetime64("2001-01-02T06:00", "s"))
    ('2001-01-02', '2001-01-02 06:00:00')
    """
    return re.sub(r"( 00:00:00)?(\.0+)?$", "", str(time).replace("T", " "), count=1)


def _drop_missing(data: xr.Dataset, name: str) -> tuple[xr.Dataset, list[Repair]]:
    variable = data.variables[name]
    if variable.ndim != 1 or variable.dtype.kind not in "iufM":
        return data, []
    missing = np.isnat(variable.values) if variable.dtype.kind == "M" else ~np.isfinite(variable.values.astype(float))
    if not missing.any():
        return data, []
    count = int(missing.sum())
    text = f"{count} rows without a time are dropped"
    return data.isel({variable.dims[0]: np.flatnonzero(~missing)}), [Repair("missing times", None, count, text)]


def _decode(variable: xr.Variable, where: str) -> tuple[np.ndarray, list[Repair]]:
    units = variable.attrs.get("units")
    if units is None:
        raise DataError(
            f"{where}: expected times with units such as 'days since 1950-01-01', got numbers such as "
            f"{_first(variable)!r} without units."
        )
    if str(units).startswith("day as %Y%m%d"):
        return _from_digits(variable), [Repair("times", None, variable.size, f"times are read as {units!r}")]
    calendar, repairs = _calendar(str(variable.attrs.get("calendar", "standard")), where)
    mended = _reference(str(units))
    if mended != units:
        repairs.append(Repair("times", None, variable.size, f"times in {units!r} are read as {mended!r}"))
    attrs = {"units": mended, "calendar": calendar}
    coded = xr.Dataset({"time": (variable.dims, variable.values, attrs)})
    try:
        with warnings.catch_warnings():
            # Dates that only cftime can hold are no surprise here.
            warnings.simplefilter("ignore", xr.SerializationWarning)
            decoded = xr.decode_cf(coded).variables["time"]
    except (ValueError, OverflowError, KeyError, TypeError) as error:
        raise DataError(
            f"{where}: times in {units!r} of calendar {calendar!r} cannot be read as dates: {_one_line(error)}. "
            "Expected units such as 'days since 1950-01-01'."
        ) from error
    return _plain(decoded), repairs


def _calendar(text: str, where: str) -> tuple[str, list[Repair]]:
    calendar = text.strip().lower()
    if calendar in CALENDARS:
        return calendar, []
    if calendar in _ALIASES:
        return _ALIASES[calendar], [Repair("calendar", None, 0, f"the calendar {text!r} is {_ALIASES[calendar]!r}")]
    known = ", ".join(CALENDARS)
    raise DataError(f"{where}: unknown calendar {text!r}.{suggest(calendar, CALENDARS)} Known: {known}.")


def _reference(units: str) -> str:
    """Mend a reference date whose month or day is zero, or whose year has less than four digits."""
    found = re.search(r"(?<=since )\s*(\d{1,4})-(\d{1,2})-(\d{1,2})(?!\d)", units)
    if found is None or (int(found[2]) and int(found[3]) and len(found[1]) == 4):
        return units
    date = f"{int(found[1]):04d}-{int(found[2]) or 1:02d}-{int(found[3]) or 1:02d}"
    return units[: found.start()] + date + units[found.end() :]


def _from_digits(variable: xr.Variable) -> np.ndarray:
    """Dates from numbers such as 19850131.25, the way CDO writes absolute times."""
    values = np.atleast_1d(variable.values).astype(float)
    days = pd.to_datetime(pd.Series(np.floor(values).astype(np.int64).astype(str)), format="%Y%m%d")
    seconds = np.round((values - np.floor(values)) * 86400).astype("timedelta64[s]")
    return np.asarray((days + pd.Series(seconds)).astype("datetime64[ns]")).reshape(variable.shape)


def _plain(variable: xr.Variable) -> np.ndarray:
    """Dates to the second, which undoes the rounding of fractions of days."""
    values = np.asarray(variable.values)
    if values.dtype.kind == "M":
        flat = pd.DatetimeIndex(values.ravel()).round("s").as_unit("ns")
        return np.asarray(flat).reshape(values.shape)
    rounded = np.empty(values.shape, object)
    for place, date in np.ndenumerate(values):
        rounded[place] = _to_second(date)
    return rounded


def _to_second(date: Any) -> Any:
    import datetime

    if date.microsecond == 0:
        return date
    up = date.microsecond >= 500_000
    return date.replace(microsecond=0) + datetime.timedelta(seconds=int(up))


def _first(variable: xr.Variable) -> Any:
    return variable.values.ravel()[0].item() if variable.size else None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200].rstrip(".")
