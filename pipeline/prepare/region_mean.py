"""A region of a field as one series, such as the Nino3.4 index."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from pipeline.errors import DataError
from pipeline.grid import Grid


def area_mean(data: xr.Dataset, region: Mapping[str, tuple[float, float]], name: str) -> xr.Dataset:
    """Return the mean of every variable over a region, weighted by area: series of dims ``(time,)``.

    Parameters
    ----------
    data : Dataset
        Variables of dims (time, lat, lon), (time, y, x) with 2-D ``lat, lon`` or (time, station).
    region : mapping of str to (float, float)
        ``lat`` (south, north) and ``lon`` (west, east) in degrees; cells whose centre lies in it, bounds
        included, count whole. Longitudes may be counted either way; east of 360 or below west is
        round the globe. A bound that is left out does not bind.
    name : str
        Of the dataset, for messages.

    Returns
    -------
    Dataset
        Float32, float64 sums. Missing cells are left out of the mean at their time; NaN where all are.

    Raises
    ------
    DataError
        If no cell lies in the region, none there has any value, a key is neither lat nor lon, or the data have no
        place or no time.

    Examples
    --------
    >>> field = xr.Dataset({"sst": (("time", "lat", "lon"), [[[1.0, 3.0], [9.0, 9.0]]])},
    ...                    {"time": [0], "lat": [0.0, 20.0], "lon": [190.0, 192.0]})
    >>> area_mean(field, {"lat": (-5, 5), "lon": (-170, -120)}, "pacific")["sst"].values.tolist()
    [2.0]
    """
    unknown = [key for key in region if key not in ("lat", "lon")]
    if unknown:
        raise DataError(f"{name}: mean_over: expected bounds of lat and lon, got {unknown[0]!r}.")
    grid = Grid.of(data)
    if grid.image:
        raise DataError(f"{name}: mean_over: expected data with latitudes and longitudes, got an image.")
    inside = _inside(grid, region)
    if not inside.any():
        raise DataError(
            f"{name}: mean_over {dict(region)!r} holds no cell; the data span lat {np.nanmin(grid.lat):g} to "
            f"{np.nanmax(grid.lat):g} and lon {np.nanmin(grid.lon):g} to {np.nanmax(grid.lon):g}."
        )
    # Only the cells inside, in one row: a region is mostly a small part of the field.
    weight = grid.area[inside]
    series = {}
    for key, array in data.data_vars.items():
        if set(array.dims) != {"time", *grid.file_dims}:
            raise DataError(
                f"{name}: mean_over: variable {key!r}: expected dims {('time', *grid.file_dims)}, got {array.dims}."
            )
        values = grid.from_file(array.transpose("time", *grid.file_dims).values)[:, inside].astype(np.float64)
        known = np.isfinite(values)
        total = known @ weight
        if not (total > 0).any():
            raise DataError(f"{name}: mean_over {dict(region)!r}: variable {key!r} has no value in any of its cells.")
        with np.errstate(invalid="ignore"):
            mean = np.where(known, values, 0.0) @ weight / np.where(total > 0, total, np.nan)
        series[str(key)] = xr.Variable("time", mean.astype(np.float32), dict(array.attrs))
    return xr.Dataset(series, coords={"time": data["time"]})


def _inside(grid: Grid, region: Mapping[str, tuple[float, float]]) -> np.ndarray:
    """Return which cells have their centre in the region, bool, shape (lat, lon)."""
    south, north = region.get("lat", (-90.0, 90.0))
    rows = (grid.lat >= south) & (grid.lat <= north)
    columns = np.ones(grid.lon.shape, bool)
    if "lon" in region:
        west, east = region["lon"]
        # Counted from the western bound: 190 and -170 are one; a millionth of a degree for its rounding.
        width = east - west if east >= west else east - west + 360.0
        columns = (grid.lon - west + 1e-6) % 360.0 <= width + 2e-6
    return np.asarray(rows[:, None] & columns if grid.lat.ndim == 1 else rows & columns)
