"""Where the cells of a field lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from pipeline.errors import DataError


@dataclass(frozen=True, eq=False)
class Grid:
    """Cell centres of a horizontal grid.

    Parameters
    ----------
    lat, lon : ndarray
        Degrees north and east. 1-D on a regular grid (``dims == ("lat", "lon")``), both of shape
        ``dims`` on a projected one (``("y", "x")``).
    dims : tuple of str
        Names of the two horizontal dims, in array order.

    Examples
    --------
    >>> grid = Grid(np.array([40.0, 41.0]), np.array([-5.0, -4.0, -3.0]))
    >>> grid.shape
    (2, 3)
    """

    lat: np.ndarray
    lon: np.ndarray
    dims: tuple[str, str] = ("lat", "lon")

    @classmethod
    def of(cls, data: xr.Dataset | xr.DataArray) -> Grid:
        """Return the grid of ``data``, which has dims ``lat, lon`` or ``y, x`` with 2-D ``lat, lon``.

        Raises
        ------
        DataError
            If it has neither.
        """
        if "lat" in data.dims and "lon" in data.dims:
            return cls(np.asarray(data["lat"], float), np.asarray(data["lon"], float))
        if "y" in data.dims and "x" in data.dims and "lat" in data.coords and "lon" in data.coords:
            lat, lon = (np.asarray(data[name].transpose("y", "x"), float) for name in ("lat", "lon"))
            return cls(lat, lon, ("y", "x"))
        raise DataError(f"expected dims lat and lon, or y and x with 2-D lat and lon, got dims {tuple(data.dims)}.")

    @property
    def shape(self) -> tuple[int, int]:
        """Number of cells along both dims."""
        return (len(self.lat), len(self.lon)) if self.lat.ndim == 1 else (self.lat.shape[0], self.lat.shape[1])

    @property
    def area(self) -> np.ndarray:
        """Cosine of latitude, shape ``dims``: the weight of each cell in a mean over the area."""
        weight = np.cos(np.deg2rad(self.lat))
        return np.broadcast_to(weight[:, None], self.shape).copy() if self.lat.ndim == 1 else weight

    def coords(self) -> dict[str, xr.Variable]:
        """Return CF coordinate variables for an xarray object on this grid."""
        dims = ((self.dims[0],), (self.dims[1],)) if self.lat.ndim == 1 else (self.dims, self.dims)
        lat = {"units": "degrees_north", "standard_name": "latitude"}
        lon = {"units": "degrees_east", "standard_name": "longitude"}
        return {"lat": xr.Variable(dims[0], self.lat, lat), "lon": xr.Variable(dims[1], self.lon, lon)}

    def same(self, other: Grid) -> bool:
        """Whether both grids have the same cells to a ten-thousandth of a degree."""
        return self.shape == other.shape and all(
            np.allclose(a, b, rtol=0.0, atol=1e-4) for a, b in ((self.lat, other.lat), (self.lon, other.lon))
        )
