"""How the rows and columns of a projected grid lie on a plane: its axes, and the grid mapping of the CF conventions.

Nothing is computed from it: latitudes and longitudes say where cells are. It is taken along from what is read to what
is written, so that GIS programs lay the files where they belong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

MAPPING = "crs"
"""Name of the variable without a dim whose attributes are the grid mapping."""
_AXES = {
    "y": {"projection_y_coordinate", "grid_latitude", "projection_y_angular_coordinate"},
    "x": {"projection_x_coordinate", "grid_longitude", "projection_x_angular_coordinate"},
}
_PLAIN = "latitude_longitude"


@dataclass(frozen=True, eq=False)
class Projection:
    """The axes of a projected grid, and what plane they are of.

    Parameters
    ----------
    axes : mapping of str to Variable
        ``y`` and ``x``, 1-D along themselves, with units and standard names.
    mapping : mapping of str to object
        Attributes of the grid mapping (CF conventions, appendix F), such as ``grid_mapping_name``; empty where a file
        names axes of a projection and does not say which.

    Examples
    --------
    >>> y = xr.Variable("y", [0.0, 12.5], {"standard_name": "projection_y_coordinate", "units": "km"})
    >>> x = xr.Variable("x", [0.0], {"standard_name": "projection_x_coordinate", "units": "km"})
    >>> projection = Projection.of(xr.Dataset(coords={"y": y, "x": x}))
    >>> sorted(projection.coords()), dict(projection.mapping)
    (['x', 'y'], {})
    """

    axes: Mapping[str, xr.Variable]
    mapping: Mapping[str, Any]

    @classmethod
    def of(cls, data: xr.Dataset | xr.DataArray) -> Projection | None:
        """Return that of data with dims ``y, x``; None where their coordinates are none of a projection."""
        axes = {}
        for name, standard in _AXES.items():
            if name not in data.dims or name not in data.coords:
                return None
            axis = data.coords[name].variable
            if axis.attrs.get("standard_name") not in standard or axis.dtype.kind not in "iuf":
                return None
            axes[name] = xr.Variable(name, np.asarray(axis.values, np.float64), dict(axis.attrs))
        return cls(axes, dict(data.coords[MAPPING].attrs) if MAPPING in data.coords else {})

    def coords(self) -> dict[str, xr.Variable]:
        """Return coordinates for an xarray object: the axes, and ``crs`` where the mapping is known."""
        whole = {"_FillValue": None}  # a number on an axis is never missing
        axes = {
            name: xr.Variable(name, axis.values, {**axis.attrs, "axis": name.upper()}, whole)
            for name, axis in self.axes.items()
        }
        return axes | ({MAPPING: xr.Variable((), np.int32(0), dict(self.mapping))} if self.mapping else {})

    def coarsened(self, factor: int) -> Projection:
        """Return that of blocks of ``factor`` cells a side, counted from the first; a block that is not full goes."""
        axes = {
            name: xr.Variable(
                name, axis.values[: len(axis) // factor * factor].reshape(-1, factor).mean(axis=1), axis.attrs
            )
            for name, axis in self.axes.items()
        }
        return Projection(axes, self.mapping)

    def facts(self) -> dict[str, Any]:
        """Return what :meth:`of_facts` takes, of what JSON knows."""
        axes = {name: {"values": axis.values.tolist(), "attrs": axis.attrs} for name, axis in self.axes.items()}
        return {"axes": axes, "mapping": {name: _plain(value) for name, value in self.mapping.items()}}

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any]) -> Projection:
        """Return the projection that :meth:`facts` told."""
        axes = {
            name: xr.Variable(name, np.asarray(axis["values"], np.float64), axis["attrs"])
            for name, axis in facts["axes"].items()
        }
        return cls(axes, facts["mapping"])


def mapping_names(variables: Iterable[xr.Variable]) -> tuple[str, ...]:
    """Return the names of the grid mappings that variables speak of, each once.

    Examples
    --------
    >>> mapping_names([xr.Variable((), 0.0, {"grid_mapping": "plane: x y globe: lat lon"})])
    ('plane', 'globe')
    """
    found: dict[str, None] = {}
    for variable in variables:
        text = str(variable.attrs.get("grid_mapping", variable.encoding.get("grid_mapping", "")))
        words = text.split()
        # Of several mappings each is followed by a colon, and then its axes.
        found |= dict.fromkeys([word[:-1] for word in words if word.endswith(":")] or words[:1])
    return tuple(found)


def keep_mapping(data: xr.Dataset) -> xr.Dataset:
    """Return the dataset whose grid mapping, if it has one of a projection, is the coordinate ``crs``.

    Only its attributes count. That of plain latitudes and longitudes is dropped with the others that are named.

    Examples
    --------
    >>> data = xr.Dataset({"tas": ((), 0.0, {"grid_mapping": "pole"})})
    >>> data["pole"] = ((), b"", {"grid_mapping_name": "rotated_latitude_longitude"})
    >>> keep_mapping(data).coords["crs"].attrs
    {'grid_mapping_name': 'rotated_latitude_longitude'}
    """
    named = [name for name in mapping_names(data.variables.values()) if name in data.variables]
    said = [dict(data.variables[name].attrs) for name in named]
    # One that was kept before is named by nothing any more.
    said += [dict(data.coords[MAPPING].attrs)] if MAPPING in data.coords and not named else []
    planes = [attrs for attrs in said if attrs.get("grid_mapping_name", _PLAIN) != _PLAIN]
    data = data.drop_vars(named)
    if not planes:
        return data
    return data.drop_vars(MAPPING, errors="ignore").assign_coords({MAPPING: ((), np.int32(0), planes[0])})


def mapped(data: xr.Dataset) -> xr.Dataset:
    """Return the dataset whose variables on ``y, x`` name the grid mapping ``crs``, where it has that, for writing."""
    if MAPPING not in data.coords:
        return data
    data = data.copy()
    for variable in data.data_vars.values():
        if {"y", "x"} <= set(variable.dims):
            variable.encoding["grid_mapping"] = MAPPING  # xarray keeps it out of ``coordinates`` then
    return data


def mapping_back(data: xr.Dataset) -> xr.Dataset:
    """Return a dataset as read whose grid mapping is a coordinate, and not a variable beside the values."""
    if MAPPING in data.data_vars and "grid_mapping_name" in data[MAPPING].attrs:
        back = data.set_coords(MAPPING)
        back.set_close(data.close)  # whoever closes it closes the file
        return back
    return data


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
