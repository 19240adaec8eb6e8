"""The CF conventions as our files keep them: names beside their dims, kinds of temperature, global attributes."""

from __future__ import annotations

from typing import Any

import xarray as xr

from pipeline.projection import mapped, mapping_back

CONVENTIONS = "CF-1.11"
SIDE = "_name"  # ends the name of the variable that holds the names along a dim
TIME = {"standard_name": "time", "axis": "T"}
_TEMPERATURES = frozenset({"degC", "K", "degF", "celsius", "Celsius", "kelvin", "degree_Celsius"})
_WITHOUT_LEAP_SECONDS = frozenset({"standard", "gregorian", "proleptic_gregorian", "julian"})


def kind_of_temperature(units: str, *, difference: bool) -> dict[str, str]:
    """Return the attribute that tells a temperature from a difference of two; nothing for other units.

    Examples
    --------
    >>> kind_of_temperature("degC", difference=False)
    {'units_metadata': 'temperature: on_scale'}
    >>> kind_of_temperature("mm d-1", difference=False)
    {}
    """
    if units not in _TEMPERATURES:
        return {}
    return {"units_metadata": f"temperature: {'difference' if difference else 'on_scale'}"}


def leap_seconds(calendar: str) -> dict[str, str]:
    """Return the attribute that says that times are counted without leap seconds, of calendars that could have them.

    Examples
    --------
    >>> leap_seconds("proleptic_gregorian"), leap_seconds("noleap")
    ({'units_metadata': 'leap_seconds: none'}, {})
    """
    return {"units_metadata": "leap_seconds: none"} if calendar in _WITHOUT_LEAP_SECONDS else {}


def side_name(dim: str) -> str:
    """Return what the variable is called that holds the names along ``dim``.

    Examples
    --------
    >>> side_name("station")
    'station_name'
    """
    return f"{dim}{SIDE}"


def names_aside(data: xr.Dataset) -> xr.Dataset:
    """Return a dataset whose names along a dim stand beside it: to CF an axis has numbers.

    A coordinate ``channel`` of names along the dim ``channel`` is called ``channel_name``; numbers stay where they are.
    :func:`names_back` is the way back.

    Examples
    --------
    >>> data = names_aside(xr.Dataset({"a": ("channel", [1.0, 2.0])}, {"channel": ["tas", "psl"]}))
    >>> data["channel_name"].values.tolist(), names_back(data)["channel"].values.tolist()
    (['tas', 'psl'], ['tas', 'psl'])
    """
    names = [
        str(name)
        for name, values in data.variables.items()
        if values.dims == (name,) and values.dtype.kind in "OUST" and _is_text(values)
    ]
    aside: dict[str, Any] = {side_name(name): (name, data[name].values, data[name].attrs) for name in names}
    return data.drop_vars(names).assign_coords(aside)


def _is_text(values: xr.Variable) -> bool:
    return values.dtype.kind != "O" or not values.size or isinstance(values.values[0], str)


def conforming(data: xr.Dataset) -> xr.Dataset:
    """Return a dataset as it is written.

    Names stand beside their dims, variables name their grid mapping, times say that they count no leap seconds, and
    numbers on an axis have no fill value, for they are never missing.

    Examples
    --------
    >>> import numpy as np
    >>> made = conforming(xr.Dataset(coords={"wavelength": [10.0, 20.0], "time": np.array(["2001-01-01"], "M8[ns]")}))
    >>> made["wavelength"].encoding, made["time"].attrs
    ({'_FillValue': None}, {'units_metadata': 'leap_seconds: none'})
    """
    data = mapped(names_aside(data)).copy()
    for name, values in data.variables.items():
        calendar = _calendar(values)
        values.attrs |= {} if calendar is None else leap_seconds(calendar)
        if name in data.dims and values.dtype.kind in "iuf":
            values.encoding["_FillValue"] = None
    return data


def _calendar(values: xr.Variable) -> str | None:
    """Return the calendar that times count in, None of what is no time."""
    if values.dtype.kind == "M":
        return "proleptic_gregorian"
    if " since " in str(values.attrs.get("units", "")):
        return str(values.attrs.get("calendar", "standard"))
    first = values.values.flat[0] if values.dtype.kind == "O" and values.size else None
    return getattr(first, "calendar", None)


def names_back(data: xr.Dataset) -> xr.Dataset:
    """Return a dataset as read whose dims have the names for coordinates that stand beside them.

    A grid mapping is a coordinate too.

    Examples
    --------
    >>> names_back(xr.Dataset({"a": ("channel", [1.0])}, {"channel_name": ("channel", ["tas"])})).sel(channel="tas").a
    <xarray.DataArray 'a' ()> Size: 8B
    array(1.)
    Coordinates:
        channel  <U3 12B 'tas'
    """
    data = mapping_back(data)
    sides = {
        str(name): str(values.dims[0])
        for name, values in data.variables.items()
        if values.ndim == 1 and str(name) == side_name(str(values.dims[0])) and values.dims[0] not in data.variables
    }
    if not sides:
        return data
    coords = {dim: (dim, data[name].values, data[name].attrs) for name, dim in sides.items()}
    back = data.drop_vars(sides).assign_coords(coords)
    back.set_close(data.close)  # whoever closes it closes the file
    return back
