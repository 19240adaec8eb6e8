"""Fields that do not change in time, and attributes of stations and basins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from pipeline.errors import DataError
from pipeline.grid import Grid
from pipeline.prepare.carried import field
from pipeline.prepare.regrid import Method, Regridder
from pipeline.prepare.scaling import CONSTANT

_HEIGHTS = frozenset({"surface_altitude", "altitude", "orog", "orography", "elevation", "topography", "height"})
_METRES = frozenset({"m", "metre", "metres", "meter", "meters"})
FAR = 10.0  # deviations of the train basins: none of some hundred lies as far from their mean


@dataclass(frozen=True, eq=False)
class Height:
    """The height of the ground.

    Parameters
    ----------
    name : str
        Of the static field that gives it.
    values : ndarray of float32, shape (lat, lon)
        On the target grid, in metres, not standardised; NaN where it is not known.
    """

    name: str
    values: np.ndarray


@dataclass(frozen=True, eq=False)
class Statics:
    """Fields that do not change in time, standardised over the target grid.

    Parameters
    ----------
    values : ndarray of float32, shape (static, lat, lon)
        Finite; cells without a value are 0, the mean.
    names, units : tuple of str
        Of the fields, units before standardisation.
    notes : tuple of str
        What a reader of the results should know of them, in sentences.
    height : Height or None
        The first of them that is a height of the ground in metres, told from its standard name or its own.
    """

    values: np.ndarray
    names: tuple[str, ...]
    units: tuple[str, ...]
    notes: tuple[str, ...] = ()
    height: Height | None = None


def build_statics(static: Sequence[xr.Dataset], grid: Grid, method: Method, cells: np.ndarray | None = None) -> Statics:
    """Return the static fields on the target ``grid``: a table's values by the stations' identifiers.

    Mean and deviation are those of ``cells``, bool (lat, lon), where not all may be fitted on. What has one value in
    all of these says nothing of any other: it is left at that value everywhere, and a note says so.

    Raises
    ------
    DataError
        If two have the same name, one has no finite value or other dims, or a table lacks a station.
    """
    values, names, units, notes = [], [], [], []
    heights: list[Height] = []
    for data in static:
        source = Grid.of(data)
        by_name = bool(source.stations and grid.stations)
        carry = _of_stations(source, grid) if by_name else Regridder.between(source, grid, method)
        for key in data.data_vars:
            name = str(key)
            if name in names:
                raise DataError(f"expected static fields with names of their own, got {name!r} twice.")
            carried = carry(field(data, name, source).astype(np.float32))
            if by_name and not np.isfinite(carried).all():
                lacking = [grid.stations[place] for place in np.flatnonzero(~np.isfinite(carried.ravel()))]
                raise DataError(
                    f"data.static: expected a value of {name!r} for every station of the target, got none for "
                    f"{_few(lacking)}. Leave the attribute out, or these stations."
                )
            heights += [Height(name, carried)] if _is_height(name, data[name].attrs) else []
            standardised, note = _standardised(carried, name, cells)
            values.append(standardised)
            notes.extend(note)
            names.append(name)
            units.append(str(data[name].attrs.get("units", "")))
    stacked = np.stack(values) if values else np.zeros((0, *grid.shape), np.float32)
    return Statics(stacked, tuple(names), tuple(units), tuple(notes), heights[0] if heights else None)


def _is_height(name: str, attrs: Mapping[str, Any]) -> bool:
    """Whether a field is the height of the ground in metres."""
    standard, own = str(attrs.get("standard_name", "")), name.lower()
    known = standard in _HEIGHTS or (not standard and (own in _HEIGHTS or own.removesuffix("_mean") == "elev"))
    return known and str(attrs.get("units", "")).lower() in _METRES


def _of_stations(source: Grid, grid: Grid) -> Callable[[np.ndarray], np.ndarray]:
    """Return what takes the stations of ``grid`` from a row of those of ``source``."""
    missing = [name for name in grid.stations if name not in source.stations]
    if missing:
        raise DataError(
            f"data.static: expected values of all {len(grid.stations)} stations of the target, got none for "
            f"{_few(missing)}; the table has {_few(source.stations)}. Give both the same identifiers."
        )
    order = [source.stations.index(name) for name in grid.stations]
    return lambda values: values[..., order]


def _few(names: Sequence[str]) -> str:
    """Return the first names of a list, and that more follow where they do."""
    return ", ".join(names[:5]) + (" and so on" if len(names) > 5 else "")


def _standardised(values: np.ndarray, name: str, cells: np.ndarray | None) -> tuple[np.ndarray, list[str]]:
    finite = np.isfinite(values)
    fitted = finite if cells is None else finite & cells
    if not fitted.any():
        raise DataError(f"static field {name!r} has no finite value on the target grid; expected some.")
    known = values[fitted].astype(float)
    mean, deviation = known.mean(), known.std()
    if deviation <= CONSTANT * abs(mean):
        other = cells is not None and bool(np.any(values[finite & ~fitted] != values[fitted][0]))
        said = f"Nothing can be learned from {name}: it is the same in all basins of the train split. It is left out."
        return np.zeros_like(values), [said] if other else []
    standard = np.where(finite, (values - mean) / deviation, 0.0).astype(np.float32)
    far = np.abs(standard[finite & ~fitted]).max(initial=0.0)
    if cells is not None and far > FAR:
        said = f"In {name} a basin that was not learned from is {far:.0f} deviations from the mean of the train basins."
        return standard, [f"{said} What models answer there is extrapolation."]
    return standard, []
