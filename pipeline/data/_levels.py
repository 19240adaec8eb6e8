"""The variables of a file as a catalog would list them: one for each level of those that have levels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import xarray as xr

from pipeline.data.axes import coordinate_names
from pipeline.data.expver import NAME as EXPVER
from pipeline.data.units import is_unit

_NAMES = ("plev", "level", "pressure_level", "isobaricinhpa", "lev", "pressure", "levels", "height", "depth")
_PRESSURE = ("plev", "level", "pressure_level", "isobaricinhpa", "pressure", "levels")
_STANDARD_NAMES = ("air_pressure", "height", "altitude", "depth")
_MANY = 40  # levels above which nobody wants a variable of each


@dataclass(frozen=True)
class Level:
    """One value of a vertical dim, and how a name says it: ``850`` for 85000 Pa."""

    dim: str
    value: float
    text: str


@dataclass(frozen=True)
class Source:
    """A variable of a file.

    Parameters
    ----------
    name : str
        As the file calls it.
    units : str or None
        As the file says them; None where it says none that are known.
    standard_name : str or None
        As the file says it.
    level : Level or None
        Which of its levels.
    """

    name: str
    units: str | None
    standard_name: str | None
    level: Level | None = None

    @property
    def key(self) -> str:
        """Its name with the level: ``ta850``."""
        return self.name + (self.level.text if self.level else "")


def sources_of(data: xr.Dataset) -> Iterator[Source]:
    """Yield the variables of numbers that have a dim, at each of their levels.

    Examples
    --------
    >>> data = xr.Dataset({"ta": (("time", "plev"), [[1.0, 2.0]], {"units": "K"})}, {"plev": [85000.0, 50000.0]})
    >>> [(source.key, source.level.value) for source in sources_of(data)]
    [('ta850', 85000.0), ('ta500', 50000.0)]
    """
    where = coordinate_names(data)
    for name, array in data.data_vars.items():
        if str(name) in where or array.dtype.kind not in "fiub" or not array.ndim:
            continue
        units, standard_name = array.attrs.get("units"), array.attrs.get("standard_name")
        known = standard_name and standard_name != "unknown"  # what cfgrib says where there is none
        said = str(units) if units is not None and is_unit(str(units)) else None
        for level in levels_of(array, data, where):
            yield Source(str(name), said, str(standard_name) if known else None, level)


def levels_of(array: xr.DataArray, data: xr.Dataset, where: set[str]) -> list[Level] | list[None]:
    """Return the levels of a variable, or one None where it has none, too many or a further dim."""
    used = {dim for name in where for dim in data[name].dims} | {EXPVER}
    further = [str(dim) for dim in array.dims if dim not in used and array.sizes[dim] > 1]
    if len(further) != 1 or array.sizes[further[0]] > _MANY or not _is_vertical(further[0], data):
        return [None]
    values = [float(value) for value in data[further[0]].values]
    # Pressure in Pa is said in hPa, as everybody does.
    units = data[further[0]].attrs.get("units")
    pascal = str(units) == "Pa" or (units is None and further[0].lower() in _PRESSURE and max(values) > 2000.0)
    return [Level(further[0], value, f"{value / 100.0 if pascal else value:g}") for value in values]


def _is_vertical(dim: str, data: xr.Dataset) -> bool:
    if dim not in data.coords or data[dim].dtype.kind not in "fiu":
        return False
    attrs = data[dim].attrs
    known = dim.lower() in _NAMES or attrs.get("standard_name") in _STANDARD_NAMES
    return known or attrs.get("axis") == "Z" or "positive" in attrs
