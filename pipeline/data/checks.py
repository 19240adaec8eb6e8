"""What a run would trip over."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from pipeline.data._sentinels import code_at_an_end, stand_ins
from pipeline.data.calendars import date_text
from pipeline.data.contents import Range
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
class Fault:
    """Something a run would trip over, in a variable or, with None, in the dataset."""

    kind: str
    variable: str | None
    text: str


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


def check_ranges(data: xr.Dataset, ranges: Mapping[str, Range], name: str) -> None:
    """Refuse a dataset whose times were checked part by part for what only all of them tell.

    Parameters
    ----------
    data : Dataset
        Its variables, of any times.
    ranges : mapping of str to Range
        Of every variable over all times.
    name : str
        Of the dataset, for messages.

    Raises
    ------
    DataError
        If a variable has no value at all, or an amount lies below none.
    """
    found = []
    for key, array in data.data_vars.items():
        seen, units = ranges[str(key)], str(array.attrs.get("units", "1"))
        if seen.missing == seen.count:
            found.append(_nothing(str(key)))
        elif _is_amount(str(key), array.attrs, units) and seen.minimum < -_ROUNDING * (seen.maximum - seen.minimum):
            found.append(_below_none(str(key), seen.minimum, units))
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
        return [_nothing(name)]
    infinite = int(np.isinf(values).sum())
    if infinite:
        return [Fault("infinite", name, f"{name} has {infinite} infinite values")]
    own = Range.of(values)
    low, high = own.minimum, own.maximum
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
        return [_below_none(name, low, units)]
    return []


def _nothing(name: str) -> Fault:
    return Fault("all missing", name, f"{name} has no value at all")


def _below_none(name: str, low: float, units: str) -> Fault:
    text = (
        f"{name} has values down to {low:g} {units}, expected none below 0. Write what stands for none under missing "
        f"in the catalog, such as missing: [{low:g}]; or, where water may flow back, a standard_name of its own"
    )
    return Fault("range", name, text)


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


def _calendar(times: np.ndarray) -> str:
    return "standard" if times.dtype.kind == "M" else str(times[0].calendar)
