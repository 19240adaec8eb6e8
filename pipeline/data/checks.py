"""What is in a dataset, and what a run would trip over."""

from __future__ import annotations

import datetime
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from pipeline.data._sentinels import code_at_an_end, stand_ins
from pipeline.data.calendars import date_text
from pipeline.data.units import conversion, has_offset, spell
from pipeline.errors import DataError
from pipeline.units import quantity

_LIMITS = {
    "air_temperature": ("K", 150.0, 350.0),
    "sea_surface_temperature": ("K", 250.0, 330.0),
    "dew_point_temperature": ("K", 100.0, 330.0),
    "air_pressure_at_mean_sea_level": ("Pa", 8.5e4, 1.12e5),
    "air_pressure_at_sea_level": ("Pa", 8.5e4, 1.12e5),
    "surface_air_pressure": ("Pa", 3e4, 1.12e5),
    "specific_humidity": ("1", -0.005, 0.1),
    "relative_humidity": ("1", -0.5, 2.0),
    "precipitation_flux": ("mm d-1", -1.0, 20000.0),
    "lwe_precipitation_rate": ("mm d-1", -1.0, 20000.0),
    "eastward_wind": ("m s-1", -200.0, 200.0),
    "northward_wind": ("m s-1", -200.0, 200.0),
    "wind_speed": ("m s-1", -0.1, 200.0),
    "geopotential_height": ("m", -2000.0, 90000.0),
    "surface_altitude": ("m", -12000.0, 9000.0),
    "water_volume_transport_in_river_channel": ("m3 s-1", -1.0, 5e5),
    "runoff_flux": ("mm d-1", -1.0, 20000.0),
}
"""Units, least and greatest value that a real field of the standard name has, with room to spare."""

_NAMES = (
    (r"tas(max|min)?|ta\d+", "air_temperature"),
    (r"psl", "air_pressure_at_mean_sea_level"),
    (r"ps", "surface_air_pressure"),
    (r"pr", "precipitation_flux"),
    (r"hus\d+", "specific_humidity"),
)
"""Whole variable names, as CMIP has them, and their standard names, for files that say none."""

_DIFFERENCES = re.compile("anom|change|difference|deviation|trend|bias")
"""Words of names whose kelvins count from no absolute zero, and whose amounts may be below none."""

_RAIN = re.compile(r"(?<![a-z])(?:pr|tp|ppt|prcp|rain(?:fall)?|precip[a-z]*)(?![a-z])")
"""Names of rain, which is never below none."""
_ROUNDING = 0.01  # of the range of an amount: what rounding and interpolation may leave below none


@dataclass(frozen=True)
class Gap:
    """A stretch of time without data: the last time before it, the first behind it, and the steps left out."""

    before: str
    after: str
    steps: int


@dataclass(frozen=True)
class VariableCheck:
    """What a variable holds.

    Parameters
    ----------
    name, units : str
        Name and units after loading.
    dims : dict of str to int
        Length of each dim.
    start, end : str or None
        First and last time; None without times.
    step : str or None
        Usual time between two values: ``"1 day"``, ``"6 hours"``, ``"1 month"``.
    gaps : tuple of Gap
        Where longer than one and a half steps pass; seasonal data have one a year, which is no fault.
    missing : float
        Share of values that are missing, 0 to 1.
    minimum, maximum : float
        Of the finite values, in ``units``; NaN if there are none.
    constant : bool
        Whether all finite values are the same.
    """

    name: str
    units: str
    dims: dict[str, int]
    start: str | None
    end: str | None
    step: str | None
    gaps: tuple[Gap, ...]
    missing: float
    minimum: float
    maximum: float
    constant: bool


@dataclass(frozen=True)
class Fault:
    """Something a run would trip over, in a variable or, with None, in the dataset."""

    kind: str
    variable: str | None
    text: str


def inspect(data: xr.Dataset) -> tuple[VariableCheck, ...]:
    """Return what each variable of a loaded dataset holds, in its order."""
    times = data["time"].values if "time" in data.dims else None
    step, gaps = _steps(times)
    start, end = (None, None) if times is None or not len(times) else (date_text(times[0]), date_text(times[-1]))
    checks = []
    for name, array in data.data_vars.items():
        has_time = "time" in array.dims
        missing, low, high = _range(array.values)
        checks.append(
            VariableCheck(
                name=str(name),
                units=str(array.attrs.get("units", "")),
                dims={str(dim): size for dim, size in array.sizes.items()},
                start=start if has_time else None,
                end=end if has_time else None,
                step=step if has_time else None,
                gaps=gaps if has_time else (),
                missing=missing,
                minimum=low,
                maximum=high,
                constant=bool(low == high),
            )
        )
    return tuple(checks)


def faults(data: xr.Dataset, *, part: bool = False) -> tuple[Fault, ...]:
    """Return what a run on a loaded dataset would trip over, nothing if all is well.

    Parameters
    ----------
    data : Dataset
        As it was loaded.
    part : bool
        Whether it is some times of the data only, by which an odd number cannot be told from a usual one.

    Examples
    --------
    >>> cold = xr.Dataset({"tas": ("time", [20.0], {"units": "K", "standard_name": "air_temperature"})})
    >>> faults(cold)[0].text[:59]
    'tas has values from 20 to 20 K, expected 150 to 350 (are th'
    """
    found = []
    if "time" in data.dims:
        times = data["time"].values
        if not len(times):
            found.append(Fault("no times", None, "there is no time in it"))
        elif len(times) > 1 and bool((np.sort(times)[1:] == np.sort(times)[:-1]).any()):
            found.append(Fault("duplicated times", None, "some times stand more than once"))
    found += [
        Fault("coordinates", None, f"some values of {name} are not finite")
        for name in ("lat", "lon")
        if name in data.coords and not _places_known(data[name])
    ]
    for name, array in data.data_vars.items():
        found += _value_faults(str(name), array, part)
    return tuple(found)


def check(data: xr.Dataset, name: str, *, part: bool = False) -> None:
    """Refuse a dataset that a run would trip over; ``part`` as for :func:`faults`.

    Raises
    ------
    DataError
        If it has faults; the message names all of them.
    """
    found = faults(data, part=part)
    if found:
        raise DataError(f"{name}: not fit for a run: " + "; ".join(fault.text for fault in found) + ".")


def overlap_remarks(datasets: Sequence[tuple[str, xr.Dataset]]) -> tuple[str, ...]:
    """Return a line for every calendar of the named datasets, where they have several or no time in common.

    Neither is a fault of a dataset: whether they meet in one experiment is not known here.
    """
    groups: dict[str, list[tuple[str, np.ndarray]]] = {}
    for name, data in datasets:
        if "time" in data.dims and data.sizes["time"]:
            times = data["time"].values
            groups.setdefault(_calendar(times), []).append((name, times))
    found = []
    for calendar, members in groups.items():
        apart = [
            f"{one} and {other}"
            for (one, first), (other, second) in itertools.combinations(members, 2)
            if not len(np.intersect1d(first, second))
        ]
        if len(groups) == 1 and not apart:
            continue
        spans = ", ".join(f"{name} {date_text(times[0])} to {date_text(times[-1])}" for name, times in members)
        more = f", and {len(apart) - 3} pairs more" if len(apart) > 3 else ""
        found.append(
            f"calendar {calendar}: {spans}" + (f"; no time in common: {', '.join(apart[:3])}{more}" if apart else "")
        )
    return tuple(found)


def _places_known(coord: xr.DataArray) -> bool:
    """Whether all places are known; a table of stations may do without any."""
    known = np.isfinite(coord.values)
    return bool(known.all()) or (coord.dims == ("station",) and not known.any())


def _value_faults(name: str, array: xr.DataArray, part: bool) -> list[Fault]:
    values = array.values
    if bool(np.isnan(values).all()):
        return [Fault("all missing", name, f"{name} has no value at all")]
    infinite = int(np.isinf(values).sum())
    if infinite:
        return [Fault("infinite", name, f"{name} has {infinite} infinite values")]
    _, low, high = _range(values)
    units = str(array.attrs.get("units", "1"))
    limits = _limits(name, array.attrs, units)
    if limits is not None and (low < limits[0] or high > limits[1]):
        text = (
            f"{name} has values from {low:g} to {high:g} {units}, expected {limits[0]:g} to {limits[1]:g} (are the "
            "units right; does a value such as -9999 stand for none, which missing: [-9999] beside its units in the "
            "catalog says; or is it an anomaly, which needs a standard_name of its own, such as "
            "air_temperature_anomaly?)"
        )
        return [Fault("range", name, text)]
    code = code_at_an_end(values, low, high, part=part)
    usual = code is not None and limits is not None and limits[0] <= code[0] <= limits[1]
    if code is not None and not usual:
        text = (
            f"{name} has {code[1]} of {values.size} values at {code[0]:g}, far from all others. Where that stands for "
            f"none, write missing: [{code[0]:g}] beside its units in the catalog"
        )
        return [Fault("undeclared missing", name, text)]
    below = low < 0 and not part and _is_amount(name, array.attrs, units)
    if below and (low < -_ROUNDING * (high - low) or any(mark < 0 for mark in stand_ins(values))):
        text = (
            f"{name} has values down to {low:g} {units}, expected none below 0. Write what stands for none under "
            f"missing in the catalog, such as missing: [{low:g}]; or, where water may flow back, a standard_name "
            "of its own"
        )
        return [Fault("range", name, text)]
    return []


def _is_amount(name: str, attrs: Mapping[Any, Any], units: str) -> bool:
    """Return whether a variable is of a river's flow, by its units, or of rain, by its units and words."""
    if str(attrs.get("standard_name", "")):
        return False  # it has limits of its own, or is what its name says
    words = f"{name} {attrs.get('long_name', '')}".lower()
    if _DIFFERENCES.search(words):
        return False
    # Evaporation has the units of rain, and any sign.
    return quantity(units) == "flow" or (quantity(units) == "precipitation" and _RAIN.search(words) is not None)


def _limits(name: str, attrs: Mapping[Any, Any], units: str) -> tuple[float, float] | None:
    said = str(attrs.get("standard_name", ""))
    usual = said or next((standard for pattern, standard in _NAMES if re.fullmatch(pattern, name)), "")
    if usual in _LIMITS:
        source, low, high = _LIMITS[usual]
        try:
            turn = conversion(source, units)
        except DataError:
            # A name alone is no promise of what is measured: `pr` may be a sum in mm.
            if said:
                raise
        else:
            return float(turn(low)), float(turn(high))
    words = f"{name} {said} {attrs.get('long_name', '')}".lower()
    if has_offset(units) or (spell(units) == "K" and not _DIFFERENCES.search(words)):
        return conversion("K", units).offset, float("inf")
    return None


def _range(values: np.ndarray) -> tuple[float, float, float]:
    """Return the share of missing values, the least and the greatest."""
    missing = float(np.isnan(values).mean()) if values.size else 1.0
    if missing == 1.0:
        return missing, float("nan"), float("nan")
    return missing, float(np.nanmin(values)), float(np.nanmax(values))


def _steps(times: np.ndarray | None) -> tuple[str | None, tuple[Gap, ...]]:
    if times is None or len(times) < 2:
        return None, ()
    days = _days(np.diff(times))
    usual = float(np.median(days))
    if usual <= 0:
        return None, ()
    wide = np.flatnonzero(days > 1.5 * usual)
    gaps = tuple(Gap(date_text(times[i]), date_text(times[i + 1]), round(days[i] / usual) - 1) for i in wide)
    return _step_name(usual), gaps


def _step_name(days: float) -> str:
    for length, name in ((365.2425, "year"), (30.4, "month"), (1.0, "day"), (1 / 24, "hour"), (1 / 1440, "minute")):
        count = round(days / length)
        # Months and years vary in length; days and hours do not.
        if count and abs(days - count * length) <= (0.05 * length if length > 1 else 1e-6):
            return f"{count} {name}{'s' if count > 1 else ''}"
    return f"{days:g} days"


def _days(steps: np.ndarray) -> np.ndarray:
    if steps.dtype.kind == "m":
        return steps / np.timedelta64(1, "D")
    return np.array([step / datetime.timedelta(days=1) for step in steps], np.float64)


def _calendar(times: np.ndarray) -> str:
    return "standard" if times.dtype.kind == "M" else str(times[0].calendar)
