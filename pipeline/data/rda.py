"""Reader of R data files that hold climate4R grids or stations, or a matrix of space and time.

A climate4R object is a list of ``Variable``, ``Data``, ``xyCoords`` and ``Dates``, and of
``Metadata`` for stations. Its units and the order of its dims are R attributes. Matrices of space and time, with
the places and a mask in objects of their own, are read by :mod:`pipeline.data._space_time`.

References
----------
Iturbide et al. (2019), The R-based climate4R open framework for reproducible climate data access
and post-processing, Environ. Modell. Softw. 111, 42-54, doi:10.1016/j.envsoft.2018.09.009.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import Field

from pipeline.backend import Backend
from pipeline.data import READERS, Reader, ReaderOptions
from pipeline.data._combine import combine
from pipeline.data._space_time import SpaceTime, space_time
from pipeline.data.catalog import Entry
from pipeline.errors import DataError
from pipeline.registry import suggest

_PARTS = ("Variable", "Data", "xyCoords", "Dates")
_DIMS = {"time": "time", "lat": "lat", "lon": "lon", "loc": "station", "member": "member", "var": "var"}


@READERS.register("rda")
class RdaReader(Reader):
    """Reads climate4R grids and stations, where a variable on a level is called ``ta@850``, and space-time matrices."""

    class Options(ReaderOptions):
        """Keys of an entry of format ``rda``."""

        object: str | None = Field(default=None, description="Which R object, where a file holds several.")
        matrix: SpaceTime | None = Field(
            default=None, description="Which objects, in all files together, are a matrix of space and time."
        )

    suffixes: ClassVar[tuple[str, ...]] = (".rda", ".rdata")

    def read(self, entry: Entry, files: tuple[Path, ...], backend: Backend) -> xr.Dataset:
        """Return the files' variables; R data are never lazy."""
        options = self.Options.model_validate(entry.options)
        if options.matrix is not None:
            objects = {name: value.plain for path in files for name, value in _parse(path).items()}
            return space_time(objects, options.matrix, entry.name)
        return combine([(path, _read_file(path, options.object)) for path in files], entry.name)


@dataclass(frozen=True)
class _Value:
    """An R object: ``data`` is an array, a list of strings, or for R lists a dict by name."""

    data: Any
    attributes: dict[str, _Value]

    @property
    def plain(self) -> Any:
        """An array, a list of strings, or a dict of them by name, such as the columns of a data frame."""
        return {key: part.plain for key, part in self.data.items()} if isinstance(self.data, dict) else self.data


def _read_file(path: Path, name: str | None) -> xr.Dataset:
    objects = _parse(path)
    if name is not None and name not in objects:
        known = ", ".join(objects)
        raise DataError(f"{path}: expected an R object {name!r}.{suggest(name, objects)} Known: {known}.")
    wanted = {name: objects[name]} if name is not None else objects
    grids = {key: value for key, value in wanted.items() if _is_grid(value)}
    if len(grids) > 1:
        raise DataError(f"{path}: expected one climate4R object, got {', '.join(grids)}; name one in options: object.")
    if not grids:
        held = "; ".join(f"{key} with {_held(value)}" for key, value in wanted.items())
        raise DataError(
            f"{path}: expected a climate4R object (a list of {', '.join(_PARTS)}), got {held}. If it is a matrix of "
            "space and time, say so under options: matrix."
        )
    return _to_dataset(next(iter(grids.values())).data, path)


def _is_grid(value: _Value) -> bool:
    return isinstance(value.data, dict) and all(part in value.data for part in _PARTS)


def _held(value: _Value) -> str:
    return ", ".join(map(str, list(value.data)[:6])) if isinstance(value.data, dict) else "no named parts"


def _to_dataset(grid: dict[str, _Value], path: Path) -> xr.Dataset:
    data = grid["Data"]
    named = data.attributes.get("dimensions")
    default = ("time", "lat", "lon") if np.ndim(data.data) == 3 else ("time", "loc")
    dims = tuple(_DIMS.get(str(dim), str(dim)) for dim in (named.data if named else default))
    if len(dims) != np.ndim(data.data):
        raise DataError(f"{path}: expected dims {dims}, got an array of shape {np.shape(data.data)}.")
    array = xr.DataArray(data.data, dims=dims, coords=_coordinates(grid, dims, path))
    variable = grid["Variable"]
    units = variable.attributes.get("units")
    names = _names(variable.data)
    if "var" not in dims:
        array.attrs = {"units": str(units.data[0])} if units else {}
        return xr.Dataset({names[0]: array})
    parts = {}
    for number, name in enumerate(names):
        parts[name] = array.isel(var=number, drop=True)
        parts[name].attrs = {"units": str(units.data[number % len(units.data)])} if units else {}
    return xr.Dataset(parts)


def _names(variable: dict[str, _Value]) -> list[str]:
    names = [str(name) for name in variable["varName"].data]
    level = variable.get("level")
    levels = [] if level is None or level.data is None else list(np.atleast_1d(np.asarray(level.data, float)))
    if len(levels) != len(names):
        return names
    return [f"{name}@{value:g}" if np.isfinite(value) else name for name, value in zip(names, levels, strict=True)]


def _coordinates(grid: dict[str, _Value], dims: tuple[str, ...], path: Path) -> dict[str, Any]:
    x, y = (np.asarray(grid["xyCoords"].data[axis].data, float) for axis in ("x", "y"))
    coords: dict[str, Any] = {"time": ("time", _times(grid["Dates"].data["start"].data, path))}
    if "station" not in dims:
        return coords | {"lat": ("lat", y), "lon": ("lon", x)}
    coords |= {"lat": ("station", y), "lon": ("station", x)}
    metadata = grid["Metadata"].data if "Metadata" in grid else {}
    for name, key in (("station", "station_id"), ("station_name", "name"), ("altitude", "altitude")):
        if key in metadata:
            values = metadata[key].data
            coords[name] = ("station", np.asarray(values, float) if name == "altitude" else np.asarray(values, str))
    return coords


def _times(texts: list[str], path: Path) -> pd.DatetimeIndex:
    zones = ("GMT", "UTC")
    plain = [text.rsplit(" ", 1)[0] if text.endswith(zones) else text for text in texts]
    try:
        return pd.DatetimeIndex(pd.to_datetime(pd.Series(plain), format="ISO8601")).as_unit("ns")
    except ValueError as error:
        raise DataError(f"{path}: expected dates such as '1982-12-01 GMT', got one that is none: {error}.") from error


def _parse(path: Path) -> dict[str, _Value]:
    from rdata.parser import RObjectType, parse_file

    try:
        with warnings.catch_warnings():
            # It warns of what is no R file and then trips over it, which is said below.
            warnings.simplefilter("ignore", UserWarning)
            node = parse_file(path).object
        objects = {}
        while node.info.type == RObjectType.LIST:
            objects[_symbol(node.tag)] = _value(node.value[0])
            node = node.value[1]
    except (
        OSError,
        EOFError,
        ValueError,
        NotImplementedError,
        IndexError,
        KeyError,
        TypeError,
        AttributeError,
    ) as error:
        # rdata has no error of its own: a damaged file shows as whatever its parser trips over.
        raise DataError(f"{path}: expected an R data file, got {type(error).__name__}: {error}.") from error
    if not objects:
        raise DataError(f"{path}: expected an R data file written by save(), got no named object.")
    return objects


def _symbol(node: Any) -> str:
    from rdata.parser import RObjectType

    while node.info.type == RObjectType.REF:
        node = node.referenced_object
    return str(node.value.value.decode())


def _attributes(node: Any) -> dict[str, _Value]:
    from rdata.parser import RObjectType

    found = {}
    pair = node.attributes
    while pair is not None and pair.info.type == RObjectType.LIST:
        found[_symbol(pair.tag)] = _value(pair.value[0])
        pair = pair.value[1]
    return found


def _value(node: Any) -> _Value:
    """Turn a parsed R object into Python, keeping its attributes, which ``rdata`` drops from arrays."""
    from rdata.parser import RObjectType

    kind = node.info.type
    attributes = _attributes(node)
    if kind == RObjectType.STR:
        return _Value(
            ["" if item.value is None else item.value.decode("utf-8", "replace") for item in node.value], attributes
        )
    if kind in (RObjectType.REAL, RObjectType.INT, RObjectType.LGL):
        array = (
            np.ma.filled(np.ma.asarray(node.value).astype(float), np.nan) if kind != RObjectType.REAL else node.value
        )
        shape = attributes.get("dim")
        # R counts the first dim fastest.
        return _Value(array if shape is None else array.reshape(shape.data.astype(int), order="F"), attributes)
    if kind == RObjectType.VEC:
        names = attributes["names"].data if "names" in attributes else [str(i) for i in range(len(node.value))]
        return _Value(dict(zip(names, map(_value, node.value), strict=True)), attributes)
    return _Value(None, attributes)
