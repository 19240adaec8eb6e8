"""Where the values of a target belong: cells of a grid, stations, basins, or one series of no place."""

from __future__ import annotations

import numpy as np
import xarray as xr

from pipeline.grid import Grid


def placed(grid: Grid, field: np.ndarray | None = None) -> bool:
    """Whether a map shows anything: of a grid always, of stations where two or more are at a known place.

    Parameters
    ----------
    field : ndarray, shape (..., station), optional
        What would be drawn: stations without a value do not count, as those of other splits.

    Examples
    --------
    >>> placed(Grid(np.array([40.0, 41.0]), np.array([5.0])))
    True
    >>> nowhere = np.full((1, 1), np.nan)
    >>> placed(Grid(nowhere, nowhere, ("row", "station"), ("nino34",)))
    False
    """
    if not grid.stations:
        return True
    known = (np.isfinite(grid.lat) & np.isfinite(grid.lon))[0]
    if field is not None:
        known = known & np.isfinite(np.asarray(field, float)).reshape(-1, len(known)).any(axis=0)
    return int(known.sum()) > 1


def mapped(data: xr.Dataset, variable: str) -> bool:
    """Whether diagnostics hold maps of a variable that show anything; see :func:`placed`."""
    name = f"{variable}_rmse"
    return placed(Grid.of(data), np.asarray(data[name].values) if name in data else None)


def with_place(grid: Grid, *fields: np.ndarray | None) -> tuple[Grid, tuple[np.ndarray | None, ...]]:
    """Return the stations at a known place, and what fields of shape (1, station) hold there; a grid as it is."""
    if not grid.stations:
        return grid, fields
    rows = (np.isfinite(grid.lat) & np.isfinite(grid.lon))[0]
    if rows.all():
        return grid, fields
    names = tuple(name for name, there in zip(grid.stations, rows, strict=True) if there)
    part = Grid(grid.lat[:, rows], grid.lon[:, rows], grid.dims, names)
    return part, tuple(None if field is None else np.asarray(field)[:, rows] for field in fields)


def kind(grid: Grid, quantity: str = "") -> str:
    """Return what the cells of a grid are called: ``cell``, ``station``, or ``basin`` where rivers flow.

    Parameters
    ----------
    quantity : str
        What the target is, see :func:`pipeline.units.quantity`.
    """
    if not grid.stations:
        return "cell"
    return "basin" if quantity == "flow" else "station"


def several(grid: Grid, quantity: str = "") -> str:
    """Return the same in the plural, ``the series`` where there is but one."""
    return "the series" if grid.stations and len(grid.stations) == 1 else f"{kind(grid, quantity)}s"
