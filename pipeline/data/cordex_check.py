"""What is wrong with a file of a CORDEX ML-Bench submission, all of it at once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import xarray as xr

from pipeline.data.cordex_submission import MEMBERS, VARIABLES, Template, dates_of, times_of
from pipeline.data.netcdf import open_netcdf
from pipeline.data.units import is_unit

_FILE_NAME = re.compile(r"Predictions_pr_tasmax_.+_\d{4}-\d{4}\.nc")
_KELVIN = (180.0, 350.0)
_MOST = 2000.0  # mm in a day; the record is 1825
_BLOCK = 2**26  # values looked at at a time, 512 MiB in float64


def validate_submission(path: Path, template: Template, predictors: Path | None = None) -> tuple[str, ...]:
    """Return every difference between a file and what the benchmark asks for, in sentences; none if it fits.

    Compared are the file's name, its variables, their dims, types and attributes, the coordinates, members,
    values (missing ones, negative precipitation, other units) and times: one a day, and those of the test
    predictors where they are given.

    Parameters
    ----------
    path : Path
        A file of a submission.
    template : Template
        Of its domain.
    predictors : Path, optional
        The test predictors that it was predicted from.

    Raises
    ------
    DataError
        If the file cannot be read.
    """
    found = []
    if not _FILE_NAME.fullmatch(path.name):
        found.append(f"name: expected Predictions_pr_tasmax_GCM_YYYY-YYYY.nc, got {path.name}")
    with open_netcdf(path, None, None) as data:
        absent = [name for name in VARIABLES if name not in data.data_vars]
        further = [str(name) for name in data.data_vars if name not in VARIABLES]
        found += [f"{name}: the variable is not there" for name in absent]
        found += [f"{name}: a variable that the template does not have" for name in further]
        for name in template.places:
            found += _coordinate(data, template, name)
        present = [name for name in VARIABLES if name not in absent]
        for name in present:
            found += _variable(data[name], template.data[name])
            found += _values(data[name], name)
        if len({"member" in data[name].dims for name in present}) > 1:
            found.append("member: expected the dim in both variables or in none, got it in one")
        found += _times(data, path, predictors)
    return tuple(found)


def _coordinate(data: xr.Dataset, template: Template, name: str) -> Iterator[str]:
    want = template.data[name]
    if name not in data.coords:
        yield f"{name}: the coordinate is not there"
        return
    got = data[name]
    if got.dims != want.dims or got.shape != want.shape:
        yield f"{name}: expected dims {dict(want.sizes)}, got {dict(got.sizes)}"
        return
    if got.dtype != want.dtype:
        yield f"{name}: expected type {want.dtype}, got {got.dtype}"
    if not np.array_equal(got.values, want.values):
        yield f"{name}: values differ from the template by up to {float(np.abs(got.values - want.values).max()):.3g}"
    yield from _attributes(got, want, name)


def _variable(got: xr.DataArray, want: xr.DataArray) -> Iterator[str]:
    name = str(want.name)
    dims = tuple(dim for dim in got.dims if dim != "member")
    if dims != want.dims:
        yield f"{name}: expected dims {want.dims} in this order, perhaps with member, got {got.dims}"
    for dim in want.dims[1:]:
        if dim in got.dims and got.sizes[dim] != want.sizes[dim]:
            yield f"{name}: expected {want.sizes[dim]} cells along {dim}, got {got.sizes[dim]}"
    if "member" in got.dims and got.sizes["member"] != MEMBERS:
        yield f"{name}: expected {MEMBERS} members, got {got.sizes['member']}"
    stored, wanted = (array.encoding.get("dtype", array.dtype) for array in (got, want))
    if stored != wanted:
        yield f"{name}: expected type {wanted}, got {stored}"
    yield from _attributes(got, want, name)


def _attributes(got: xr.DataArray, want: xr.DataArray, name: str) -> Iterator[str]:
    for key, value in want.attrs.items():
        if key not in got.attrs:
            yield f"{name}: expected the attribute {key} of {value!r}, got none"
        elif str(got.attrs[key]) != str(value):
            yield f"{name}: expected the attribute {key} of {value!r}, got {got.attrs[key]!r}"


def _values(array: xr.DataArray, name: str) -> Iterator[str]:
    """Look at the values block by block along the first dim."""
    missing, low, high = 0, np.inf, -np.inf
    below = 0
    step = max(1, _BLOCK // max(1, array[:1].size))
    for start in range(0, array.shape[0], step):
        values = array[start : start + step].values
        finite = np.isfinite(values)
        missing += int(values.size - finite.sum())
        below += int((values[finite] < 0).sum())
        low = min(low, float(values.min(initial=np.inf, where=finite)))
        high = max(high, float(values.max(initial=-np.inf, where=finite)))
    if missing:
        yield f"{name}: {missing} of {array.size} values are missing or infinite"
    if name == "pr" and below:
        yield f"pr: {below} values are negative, down to {low:.3g}"
    if name == "pr" and np.isfinite(high) and high > _MOST:
        yield f"pr: expected mm a day, got values up to {high:.6g}"
    if name == "tasmax" and np.isfinite(low) and not _KELVIN[0] <= low <= high <= _KELVIN[1]:
        yield f"tasmax: expected K, between {_KELVIN[0]:g} and {_KELVIN[1]:g}, got {low:.4g} to {high:.4g}"
    said = array.attrs.get("units")
    if said is not None and not is_unit(str(said)):
        yield f"{name}: units {said!r} are none"


def _times(data: xr.Dataset, path: Path, predictors: Path | None) -> Iterator[str]:
    if "time" not in data.coords or data["time"].ndim != 1 or "units" not in data["time"].attrs:
        yield "time: expected a coordinate of numbers with units, got none"
        return
    dates = dates_of(times_of(path))
    if any(one >= other for one, other in pairwise(dates)):
        yield "time: expected one time a day in order, got a day twice or days out of order"
    if predictors is None:
        return
    other = times_of(predictors)
    want = dates_of(other)
    absent, further = sorted(set(want) - set(dates)), sorted(set(dates) - set(want))
    if absent:
        yield f"time: {len(absent)} days of the predictors are missing, the first {_day(absent[0])}"
    if further:
        yield f"time: {len(further)} days are not among the predictors', the first {_day(further[0])}"
    calendars = [str(time.attrs.get("calendar", "standard")) for time in (data["time"], other)]
    if calendars[0] != calendars[1]:
        yield f"time: expected the calendar {calendars[1]} of the predictors, got {calendars[0]}"


def _day(date: tuple[int, int, int]) -> str:
    return f"{date[0]:04d}-{date[1]:02d}-{date[2]:02d}"
