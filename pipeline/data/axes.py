"""Which variable is time, latitude and longitude, and the names that they get here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from pipeline.data.records import Repair
from pipeline.errors import DataError
from pipeline.grid import has_pixels
from pipeline.projection import MAPPING, keep_mapping

_TIME_NAMES = ("time", "valid_time", "times", "datetime", "date", "t", "day")
LAT_NAMES = ("lat", "latitude", "lats", "nav_lat", "xlat", "gauge_lat")
LON_NAMES = ("lon", "longitude", "lons", "long", "nav_lon", "xlong", "gauge_lon")
_LAT_UNITS = {"degrees_north", "degree_north", "degree_n", "degrees_n", "degreen", "degreesn"}
_LON_UNITS = {"degrees_east", "degree_east", "degree_e", "degrees_e", "degreee", "degreese"}
_STATION_NAMES = ("station", "station_id", "stations", "location", "site", "basin", "gauge_id", "station_name", "name")
PLACES = (
    "fields cannot be brought to them, nor can they be drawn on a map, until the catalog says where they lie, with "
    "options: stations: {file: places.csv, id: station_id, lat: lat, lon: lon} and that file among files, as the entry "
    "us-stations"
)
"""What stations without places cannot do, and what to write."""
DIM_ORDER = ("time", "lat", "lon", "y", "x", "station")


def time_dim(data: xr.Dataset) -> str | None:
    """Return the name of the dim along which time runs, None if there is none."""
    name = find_time(data)
    return name if name is not None and name in data.dims else None


def coordinate_names(data: xr.Dataset) -> set[str]:
    """Return the names of the variables that say when and where, whether the file calls them coordinates or not."""
    free = data.set_coords(list(data.data_vars))
    found = (find_time(free), _find(free, "latitude"), _find(free, "longitude"))
    return {name for name in found if name is not None}


def drop_bounds(data: xr.Dataset) -> xr.Dataset:
    """Return the dataset without cell bounds and other variables that only describe coordinates.

    The grid mapping of a projection is the coordinate ``crs``.
    """
    data = keep_mapping(data)
    named = {
        str(variable.attrs.get(key, variable.encoding.get(key)))
        for variable in data.variables.values()
        for key in ("bounds", "climatology")
    }
    ends = ("_bnds", "_bounds", "_bnd")
    drop = [
        name
        for name in map(str, data.variables)
        if name in named or name.startswith("bounds_") or (name.endswith(ends) and name not in data.dims)
    ]
    return data.drop_vars(drop)


@dataclass(frozen=True)
class _Found:
    time: str | None
    lat: str | None
    lon: str | None


def name_axes(data: xr.Dataset) -> tuple[xr.Dataset, tuple[Repair, ...]]:
    """Return the dataset with dims and coordinates called ``time, lat, lon``, ``y, x`` or ``station``.

    Images have ``y, x`` with pixel numbers and no latitudes.

    Dims of one value that are none of these are dropped, as are coordinates that no variable needs.

    Raises
    ------
    DataError
        If a variable has a further dim of several values, or horizontal dims without coordinates, or if
        latitudes or longitudes change with time.
    """
    found = _Found(find_time(data), _find(data, "latitude"), _find(data, "longitude"))
    data, still = _fixed(data, found)
    before = {str(name) for name in (*data.coords, *data.dims)}
    renamed = {old: new for old, new in _new_names(data, found).items() if old != new}
    data = data.drop_vars([new for new in renamed.values() if new in data.variables]).rename(renamed)
    repairs = [Repair("renamed", None, 0, f"{old} is called {new}") for old, new in renamed.items() if old in before]
    data, squeezed = _squeeze(data)
    repairs += [*still, *squeezed]
    data, unplaced = _nowhere(_station_ids(data))
    repairs += unplaced
    if "time" in data.coords and "time" not in data.dims:
        data = data.expand_dims("time")
        repairs.append(Repair("one time", None, 1, "the file's only time is a dim of one"))
    kept = {"time", "lat", "lon", "station", "station_name", "altitude"}
    kept |= {"y", "x", MAPPING} if {"y", "x"} <= set(data.dims) else {dim for dim in ("y", "x") if dim in data.dims}
    data = data.drop_vars([name for name in data.coords if name not in kept])
    _check_dims(data)
    return data.transpose(*(dim for dim in DIM_ORDER if dim in data.dims)), tuple(repairs)


def find_time(data: xr.Dataset) -> str | None:
    """Return the name of the coordinate that says the time, of a dim before that of one value."""

    def looks(name: str) -> bool:
        variable = data.variables[name]
        units = str(variable.attrs.get("units", variable.encoding.get("units", ""))).lower()
        known = variable.attrs.get("standard_name") == "time" or variable.attrs.get("axis") == "T"
        kind = variable.dtype.kind == "M" or " since " in units or units.startswith("day as %")
        return variable.ndim < 2 and (known or kind) and "reference" not in str(variable.attrs.get("standard_name", ""))

    names = [str(name) for name in data.coords if looks(str(name))]
    names += [str(dim) for dim in data.dims if str(dim).lower() in _TIME_NAMES and str(dim) in data.coords]
    order = {name: place for place, name in enumerate(_TIME_NAMES)}
    # A dim before a scalar, then the usual name first: forecasts carry several times.
    return min(names, key=lambda name: (name not in data.dims, order.get(name.lower(), 99)), default=None)


def _find(data: xr.Dataset, kind: str) -> str | None:
    units, names = (_LAT_UNITS, LAT_NAMES) if kind == "latitude" else (_LON_UNITS, LON_NAMES)

    def rank(name: str) -> int | None:
        attrs = data.variables[name].attrs
        if data.variables[name].ndim > 2 or data.variables[name].dtype.kind not in "fiu":
            return None
        if attrs.get("standard_name") == kind:
            return 0
        if attrs.get("standard_name"):
            return None
        if name.lower() in names:
            return 1
        return 2 if str(attrs.get("units", "")).lower() in units else None

    ranked = [(place, str(name)) for name in data.coords if (place := rank(str(name))) is not None]
    return min(ranked)[1] if ranked else None


def _fixed(data: xr.Dataset, found: _Found) -> tuple[xr.Dataset, list[Repair]]:
    """Take latitudes and longitudes that are written at every time once, or the time dim would pass for a place."""
    along = data.variables[found.time].dims if found.time is not None else ()
    repairs = []
    for name in (found.lat, found.lon):
        if name is None or not set(along) & set(data.variables[name].dims):
            continue
        values = data[name].values.astype(np.float64)
        axis = data.variables[name].dims.index(along[0])
        first = np.take(values, [0], axis=axis)
        if not np.array_equal(np.broadcast_to(first, values.shape), values, equal_nan=True):
            raise DataError(
                f"expected {name} to stay the same at all times, got {np.nanmin(values):g} to {np.nanmax(values):g}: "
                "data of moving places cannot be used."
            )
        data = data.assign_coords({name: data[name].isel({along[0]: 0}, drop=True)})
        repairs.append(Repair("places", None, values.size, f"{name}, written at every time, is taken once"))
    return data, repairs


def _new_names(data: xr.Dataset, found: _Found) -> dict[str, str]:
    new = {} if found.time is None else {found.time: "time"}
    if found.lat is None or found.lon is None:
        return new
    new |= {found.lat: "lat", found.lon: "lon"}
    lat, lon = data.variables[found.lat], data.variables[found.lon]
    if lat.ndim == 2:
        new |= dict(zip(map(str, lat.dims), ("y", "x"), strict=True))
    elif lat.ndim == 1 and lat.dims == lon.dims:
        new[str(lat.dims[0])] = "station"
    elif lat.ndim == 1 and lon.ndim == 1:
        new |= {str(lat.dims[0]): "lat", str(lon.dims[0]): "lon"}
    return new


def _squeeze(data: xr.Dataset) -> tuple[xr.Dataset, list[Repair]]:
    repairs = []
    used = {str(dim) for variable in data.data_vars.values() for dim in variable.dims}
    if "time" not in used and data.sizes.get("time") == 1:
        data = data.isel(time=0, drop=True)  # the file's time, and not that of these variables
    for dim, size in list(data.sizes.items()):
        name = str(dim)
        if size == 1 and (name not in DIM_ORDER or (name == "station" and name not in used)):
            data = data.squeeze(name)
            if name in used:
                repairs.append(Repair("squeezed", None, 0, f"the dim {name} of one value is dropped"))
    return data, repairs


def _station_ids(data: xr.Dataset) -> xr.Dataset:
    """Give stations their ids as text, from the variable that names them, else their numbers."""
    if "station" not in data.dims:
        return data
    names = [str(n) for n, v in data.coords.items() if v.dims == ("station",) and v.dtype.kind in "OUSiu"]
    marked = [name for name in names if data.coords[name].attrs.get("cf_role") == "timeseries_id"]
    usual = [name for name in _STATION_NAMES if name in names]
    source = next(iter([*marked, *usual]), None)
    values = np.arange(data.sizes["station"]) if source is None else data.coords[source].values
    ids = [value.decode() if isinstance(value, bytes) else str(value) for value in values]
    return data.assign_coords(station=("station", np.asarray(ids, dtype=str)))


def _nowhere(data: xr.Dataset) -> tuple[xr.Dataset, list[Repair]]:
    """Give stations of which nothing says where they lie coordinates that are not known; series can do without."""
    if "station" not in data.dims or {"lat", "lon"} & set(data.coords):
        return data, []
    unknown = ("station", np.full(data.sizes["station"], np.nan))
    text = f"the {data.sizes['station']} stations have no latitude and longitude: {PLACES}"
    return data.assign_coords(lat=unknown, lon=unknown), [Repair("places", None, 0, text)]


def _check_dims(data: xr.Dataset) -> None:
    if "time" in data.dims and "time" not in data.coords:
        raise DataError("expected times for the dim 'time', got none.")
    for name, variable in data.data_vars.items():
        dims = set(map(str, variable.dims))
        further = {dim: data.sizes[dim] for dim in variable.dims if dim not in DIM_ORDER}
        if further:
            sizes = ", ".join(f"{dim} of {size}" for dim, size in further.items())
            raise DataError(
                f"variable {name!r}: expected dims time and lat, lon (or y, x or station), got also {sizes}. Choose "
                f"one value in the catalog, such as select: {{{next(iter(further))}: ...}}."
            )
        if has_pixels(data) and not dims & {"lat", "lon", "station"}:
            continue
        halves = any((one in dims) != (other in dims) for one, other in (("lat", "lon"), ("y", "x")))
        if halves or (dims & {"lat", "y"} and not {"lat", "lon"} <= set(data.coords)):
            raise DataError(
                f"variable {name!r}: expected both a latitude and a longitude for its dims, got dims "
                f"{tuple(variable.dims)} and coordinates {', '.join(map(str, data.coords)) or 'none'}."
            )
