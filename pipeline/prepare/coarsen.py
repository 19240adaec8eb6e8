"""Means over blocks of cells: the coarse side of a super-resolution."""

from __future__ import annotations

import numpy as np
import xarray as xr

from pipeline.errors import DataError
from pipeline.grid import Grid
from pipeline.prepare.weights import CIRCLE

LEAST_WEIGHT = 0.5  # of finite cells, below which a block is missing


def coarsen(data: xr.Dataset, factor: int, name: str) -> tuple[xr.Dataset, tuple[str, ...]]:
    """Return area-weighted means over blocks of ``factor`` x ``factor`` cells, and notes for the report.

    Blocks are counted from the first row and column; rows and columns that fill no block are left out.
    Missing cells lend their weight to the others of the block; a block with less than half of its area
    known is missing. The weight of a cell is that of ``Grid.area``, the cosine of its latitude.

    Parameters
    ----------
    data : Dataset
        Variables of dims (time, lat, lon) or (time, y, x), with or without time.
    factor : int
        Cells a side of a block.
    name : str
        Of the dataset, for messages.

    Raises
    ------
    DataError
        If it holds stations, or fewer cells than a block.

    Examples
    --------
    >>> coords = {"lat": [0.0, 1.0, 2.0], "lon": [0.0, 1.0]}
    >>> data = xr.Dataset({"tas": (("lat", "lon"), [[1.0, 3.0], [1.0, 3.0], [9.0, 9.0]])}, coords)
    >>> coarse, notes = coarsen(data, 2, "fine")
    >>> round(float(coarse["tas"][0, 0]), 6), coarse["lat"].values.tolist(), notes[0][-39:]
    (2.0, [0.5], '1 row and 0 columns that fill no block.')
    """
    grid = Grid.of(data)
    rows, columns = (size // factor for size in grid.shape)
    if grid.stations or not rows or not columns:
        raise DataError(
            f"{name}: expected a grid of {factor} x {factor} cells or more to coarsen, got "
            f"{'stations' if grid.stations else f'{grid.shape[0]} x {grid.shape[1]} cells'}."
        )
    left = grid.shape[0] - rows * factor, grid.shape[1] - columns * factor
    kept = data.isel({grid.dims[0]: slice(rows * factor), grid.dims[1]: slice(columns * factor)})
    weight = grid.area[: rows * factor, : columns * factor]
    parts = {
        variable: field.transpose(..., *grid.dims).pipe(_means, weight, factor, grid.dims)
        for variable, field in kept.data_vars.items()
    }
    coarse = xr.Dataset(parts, coords=_coords(kept, grid, factor))
    if "time" in data.coords:
        coarse = coarse.assign_coords(time=data["time"])
    note = f"{name} is coarsened by {factor} to {rows} x {columns} cells"
    if any(left):
        note += f", without {_count(left[0], 'row')} and {_count(left[1], 'column')} that fill no block"
    return coarse, (f"{note}.",)


def block_means(values: np.ndarray, weight: np.ndarray, factor: int) -> np.ndarray:
    """Return weighted means of the blocks of (..., lat, lon), float64; NaN where under half of the weight is known."""
    rows, columns = weight.shape[0] // factor, weight.shape[1] // factor
    shape = (*values.shape[:-2], rows, factor, columns, factor)
    blocks = values.astype(np.float64).reshape(shape)
    weights = weight.reshape(rows, factor, columns, factor)
    known = np.isfinite(blocks)
    share = np.where(known, weights, 0.0).sum(axis=(-3, -1))
    total = np.where(known, blocks * weights, 0.0).sum(axis=(-3, -1))
    enough = share >= LEAST_WEIGHT * weights.sum(axis=(-3, -1))
    return np.where(enough, total / np.where(enough, share, 1.0), np.nan)


def _means(field: xr.DataArray, weight: np.ndarray, factor: int, dims: tuple[str, str]) -> xr.Variable:
    lead = [dim for dim in field.dims if dim not in dims]
    values = field.values
    if lead:  # float64 scratch a hundred steps at a time
        parts = [block_means(values[k : k + 100], weight, factor) for k in range(0, len(values), 100)]
        means = np.concatenate(parts)
    else:
        means = block_means(values, weight, factor)
    return xr.Variable((*lead, *dims), means.astype(np.float32), field.attrs)


def _coords(data: xr.Dataset, grid: Grid, factor: int) -> dict[str, xr.Variable]:
    if grid.lat.ndim == 1:
        return {
            dim: xr.Variable(dim, data[dim].values.reshape(-1, factor).mean(axis=1), data[dim].attrs)
            for dim in grid.dims
        }
    lat, lon = (data[name].transpose(*grid.dims).values for name in ("lat", "lon"))
    one = np.ones(lat.shape)
    # Counted on from one corner, so that the mean of 179 and -179 is 180 and not 0.
    near = lon - CIRCLE * np.round((lon - lon[0, 0]) / CIRCLE)
    places = {
        name: xr.Variable(grid.dims, block_means(values, one, factor), data[name].attrs)
        for name, values in (("lat", lat), ("lon", near))
    }
    return places if grid.projection is None else places | grid.projection.coarsened(factor).coords()


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
