"""Series without a place, and tables of the target's own stations, as predictors and targets on a grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from pipeline.errors import DataError
from pipeline.grid import Grid
from pipeline.prepare.align import Predictors


def is_placeless(data: xr.Dataset) -> bool:
    """Whether all variables of ``data`` are series of dims (time,)."""
    return all(set(data[name].dims) == {"time"} for name in data.data_vars) and len(data.data_vars) > 0


def placed(data: xr.Dataset, name: str) -> xr.Dataset:
    """Return ``data`` with a place: series without one become those of a single station called ``name``.

    Its coordinates are NaN: it is nowhere, and stands for every cell of the grid it is carried to.

    Examples
    --------
    >>> soi = xr.Dataset({"soi": ("time", [0.1, -0.4])}, {"time": np.array(["2001-01", "2001-02"], "M8[ns]")})
    >>> dict(placed(soi, "soi").sizes)
    {'time': 2, 'station': 1}
    """
    if not is_placeless(data):
        return data
    nowhere = {"station": [name], "lat": ("station", [np.nan]), "lon": ("station", [np.nan])}
    return data.expand_dims(station=1, axis=1).assign_coords(nowhere)


def is_nowhere(grid: Grid) -> bool:
    """Whether ``grid`` is the one station of a series without a place."""
    return bool(grid.stations) and bool(np.isnan(grid.lat).all())


def placed_predictors(predictors: Predictors) -> list[tuple[str, xr.Dataset]]:
    """Return the predictors, each with a place."""
    return [(name, placed(data, name)) for name, data in predictors]


def channels_without_place(predictors: Predictors, names: Sequence[str]) -> tuple[str, ...]:
    """Return those channels of ``names`` (one a variable, in order) whose dataset has no place."""
    nowhere = [is_nowhere(Grid.of(data)) for _, data in predictors for _ in data.data_vars]
    return tuple(name for name, without in zip(names, nowhere, strict=True) if without)


def of_same_stations(predictors: Predictors, stations: Sequence[str], what: str) -> list[tuple[str, xr.Dataset]]:
    """Return predictors whose tables hold the stations of ``stations``, in their order, and those alone.

    A table is matched where it has one of the stations at least; then it must have all of them.

    Raises
    ------
    DataError
        If a table has some of the stations and not all.
    """
    found = []
    for name, data in predictors:
        there = [str(station) for station in data["station"].values] if "station" in data.dims else []
        known = set(there)
        if not known & set(stations) or tuple(there) == tuple(stations):
            found.append((name, data))
            continue
        lacking = [station for station in stations if station not in known]
        if lacking:
            raise DataError(
                f"predictor {name!r}: expected all {len(stations)} stations of {what}, got none for "
                f"{', '.join(lacking[:5])}{' and so on' if len(lacking) > 5 else ''}. Leave them out of the target, or "
                "give their predictors."
            )
        found.append((name, data.isel(station=[there.index(station) for station in stations])))
    return found
