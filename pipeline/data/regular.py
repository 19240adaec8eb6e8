"""What is odd about a file, mended: one layout, one unit, one calendar for all that follows.

After :func:`regularise` a dataset has float32 variables of dims ``(time, lat, lon)``, ``(time, y, x)``
or ``(time, station)``, of an image ``(y, x)`` with pixel numbers, in the catalog's units, times that
rise, latitudes and longitudes that rise and run on across the date line. Class numbers carry the names
of their classes. Everything that was changed is in the list of repairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from pipeline.data.axes import drop_bounds, name_axes
from pipeline.data.calendars import date_text, decode_times
from pipeline.data.catalog import Entry, Variable
from pipeline.data.classes import check_classes, flags
from pipeline.data.longitudes import contiguous
from pipeline.data.lows import Lows
from pipeline.data.records import Repair
from pipeline.data.units import Conversion, conversion, is_unit
from pipeline.errors import DataError
from pipeline.progress import Progress, silent
from pipeline.projection import MAPPING
from pipeline.registry import suggest


def regularise(
    data: xr.Dataset,
    entry: Entry,
    variables: Sequence[str],
    progress: Progress = silent,
    *,
    lows: Lows | None = None,
) -> tuple[xr.Dataset, tuple[Repair, ...]]:
    """Return the entry's ``variables`` as a regular dataset in memory, and what was mended.

    Parameters
    ----------
    data : Dataset
        As a reader gives it.
    entry : Entry
        Says names, units, missing values and limits.
    variables : sequence of str
        Names in the entry; the answer has them in this order.
    progress : Progress
        Shows the variables, one by one; this is where lazy files are read.
    lows : Lows, optional
        Takes note of what lies below a ``minimum`` where these are some times of the data only, for what is rounding is
        told by the range of all of them. It is left to the caller to judge then.

    Raises
    ------
    DataError
        If a variable is not in the file, its units cannot be converted, a time stands twice, or the
        layout is none that is known.
    """
    repairs = list(data.attrs.get("repairs", ()))
    data = _pick(drop_bounds(data), entry, variables)
    data, mended = decode_times(data, entry.name)
    repairs.extend(mended)
    for step in (name_axes, _sort_times, contiguous, _rising):
        try:
            data, mended = step(data)
        except DataError as error:
            raise DataError(f"{entry.name}: {error}") from error
        repairs.extend(mended)
    parts = {}
    with progress(f"read {entry.name}", len(variables)) as bar:
        for name in variables:
            parts[name], mended = _values(data[name], entry, name, lows)
            repairs.extend(mended)
            bar.advance(note=name)
    return _dressed(xr.Dataset(parts, coords=data.coords)), tuple(repairs)


def _pick(data: xr.Dataset, entry: Entry, variables: Sequence[str]) -> xr.Dataset:
    """Rename and choose variables; whatever else is in the file goes, but for possible coordinates."""
    picked, taken = {}, set()
    for name in variables:
        spec = entry.variables[name]
        source = spec.source or name
        if source not in data.variables:
            known = ", ".join(map(str, data.data_vars)) or "none"
            near = suggest(source, map(str, data.data_vars))
            raise DataError(f"{entry.name}: no variable {source!r} in the files.{near} Known: {known}.")
        picked[name] = _select(data[source], entry, name)
        taken.add(source)
    used = {dim for array in picked.values() for dim in array.dims}
    others = {
        name: variable
        for name, variable in data.variables.items()
        if name not in taken and name not in picked and variable.ndim <= 2 and _describes(variable, used)
    }
    # Coordinates first, by value: a variable that is asked for by a coordinate's name would replace it.
    coords = {name: data[name].variable for name in others}
    for array in picked.values():
        coords |= {name: coord.variable for name, coord in array.coords.items() if coord.ndim == 0}
    return xr.Dataset({name: array.drop_vars(array.coords) for name, array in picked.items()}, coords=coords)


def _describes(variable: xr.Variable, used: set[object]) -> bool:
    """Whether it may say where or when the picked variables are; a station's place may have a dim of one."""
    return all(dim in used or size == 1 for dim, size in variable.sizes.items())


def _select(array: xr.DataArray, entry: Entry, name: str) -> xr.DataArray:
    where = f"{entry.name}: variable {name!r}"
    for dim, value in entry.variables[name].select.items():
        if dim not in array.dims:
            dims = [str(known) for known in array.dims]
            raise DataError(f"{where} has no dim {dim!r}.{suggest(dim, dims)} Known: {', '.join(dims)}.")
        have = array[dim].values
        numeric = have.dtype.kind in "iuf" and not isinstance(value, str)
        hits = np.flatnonzero(np.isclose(have, value) if numeric else have.astype(str) == str(value))
        if len(hits) != 1:
            raise DataError(f"{where}: expected {dim} of {value!r} once, got {have[:12].tolist()!r}.")
        array = array.isel({dim: int(hits[0])}, drop=True)
    return array


def _sort_times(data: xr.Dataset) -> tuple[xr.Dataset, tuple[Repair, ...]]:
    if "time" not in data.dims:
        return data, ()
    times = data["time"].values
    order = np.argsort(times, kind="stable")
    same = np.flatnonzero(times[order][1:] == times[order][:-1])
    if len(same):
        date = date_text(times[order[same[0]]])
        raise DataError(
            f"expected every time once, got {date} twice ({len(same)} times stand more than once). Remove the second "
            "ones from the file, or make an entry of each of the files that overlap."
        )
    moved = int((order != np.arange(len(order))).sum())
    if not moved:
        return data, ()
    return data.isel(time=order), (Repair("times sorted", None, moved, f"{moved} times were out of order"),)


def _rising(data: xr.Dataset) -> tuple[xr.Dataset, tuple[Repair, ...]]:
    if "lat" not in data.dims or bool((np.diff(data["lat"].values) > 0).all()):
        return data, ()
    text = "latitudes are turned to run from south to north"
    return data.sortby("lat"), (Repair("latitudes", None, data.sizes["lat"], text),)


def _values(array: xr.DataArray, entry: Entry, name: str, lows: Lows | None) -> tuple[xr.DataArray, tuple[Repair, ...]]:
    """Read one variable into memory and mend its values."""
    spec, where = entry.variables[name], f"{entry.name}: variable {name!r}"
    if array.dtype.kind not in "fiub":
        raise DataError(f"{where}: expected numbers, got {array.dtype}.")
    repairs = []
    if "scale_factor" in array.encoding or "add_offset" in array.encoding:
        stored = array.encoding.get("dtype", "integers")
        repairs.append(Repair("unpacked", name, array.size, f"{name} is stored as scaled {stored}"))
    values = np.array(array.values, dtype=np.float64)
    for marker in spec.missing:
        hits = np.isclose(values, marker, rtol=1e-6, atol=0.0)
        values[hits] = np.nan
        count = int(hits.sum())
        repairs.append(Repair("missing", name, count, f"{count} values {marker:g} of {name} are taken for missing"))
    units, mended = _file_units(array, spec, name, where)
    repairs += mended
    turn = _conversion(units, spec.units, where)
    if turn.changes:
        values = turn(values)
        count = int(np.isfinite(values).sum())
        repairs.append(Repair("units", name, count, f"{name} is converted from {units!r} to {spec.units!r}"))
    if spec.minimum is not None:
        repairs += _clip(values, entry, name, lows)
    if spec.classes:
        check_classes(values, spec.classes, where)
    attrs: dict[str, Any] = {"units": spec.units, "long_name": str(array.attrs.get("long_name", name))}
    attrs |= flags(spec.classes) if spec.classes else {}
    standard_name = spec.standard_name or array.attrs.get("standard_name")
    # "unknown" is what GRIB readers say where there is none.
    attrs |= {"standard_name": str(standard_name)} if standard_name and standard_name != "unknown" else {}
    regular = xr.DataArray(values.astype(np.float32), coords=array.coords, dims=array.dims, attrs=attrs)
    return regular, tuple(repair for repair in repairs if repair.count)


def _file_units(array: xr.DataArray, spec: Variable, name: str, where: str) -> tuple[str, list[Repair]]:
    """Return the units of the values in the file, which the catalog may know better."""
    said = array.attrs.get("units")
    if spec.classes:
        return spec.units, []  # class numbers have none, whatever the file says
    if spec.source_units is None:
        if said is None:
            classes = " Where its whole numbers stand for classes, name them: classes: [first, second]."
            raise DataError(
                f"{where}: the file does not say its units. Write them in the catalog, such as source_units: "
                f"{spec.units}.{classes if array.dtype.kind in 'iub' else ''}"
            )
        return str(said), []
    if said is None or str(said) == spec.source_units:
        return spec.source_units, []
    text = f"{name} is taken to be in {spec.source_units!r}, the file says {str(said)!r}"
    return spec.source_units, [Repair("source units", name, array.size, text)]


def _conversion(units: str, wanted: str, where: str) -> Conversion:
    try:
        return conversion(units, wanted)
    except DataError as error:
        what = "write source_units" if is_unit(wanted) else "correct units"
        who = "the file" if is_unit(wanted) else "the catalog"
        raise DataError(
            f"{where}: the file has {units!r}, {wanted!r} is wanted: {error} If {who} says them wrong, {what} in the "
            "catalog."
        ) from error


def _clip(values: np.ndarray, entry: Entry, name: str, lows: Lows | None) -> list[Repair]:
    """Set what rounding left below the variable's minimum to it; anything further below is no rounding."""
    minimum = entry.variables[name].minimum
    assert minimum is not None
    below = values < minimum
    if lows is None and not below.any():
        return []
    own = Lows() if lows is None else lows
    lowest = own.note(name, values)
    if lows is None:
        own.judge(entry)
    count = int(below.sum())
    values[below] = minimum
    text = f"{count} values of {name} down to {lowest:.3g} are set to {minimum:g}"
    return [Repair("minimum", name, count, text)]


def _dressed(data: xr.Dataset) -> xr.Dataset:
    """Give coordinates their CF attributes and drop what the file said about the encoding."""
    known = {
        "lat": {"units": "degrees_north", "standard_name": "latitude"},
        "lon": {"units": "degrees_east", "standard_name": "longitude"},
        "time": {"standard_name": "time"},
        "altitude": {"units": "m", "standard_name": "altitude"},
        "station": {"cf_role": "timeseries_id"},
    }
    for name, coord in data.coords.items():
        if name == MAPPING:
            continue  # its attributes are all that it is
        said = {key: str(coord.attrs[key]) for key in ("units", "standard_name", "long_name") if key in coord.attrs}
        coord.attrs, coord.encoding = known.get(str(name), said), {}
        if name in {"lat", "lon"} and coord.dtype != np.float64:
            data = data.assign_coords({name: (coord.dims, coord.values.astype(np.float64), coord.attrs)})
    data.attrs, data.encoding = {}, {}
    # Coordinates too: their file is closed after this.
    return data.load()
