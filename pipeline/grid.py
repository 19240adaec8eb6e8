"""Where the cells of a field lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from pipeline.errors import DataError
from pipeline.projection import Projection

_LAT = {"units": "degrees_north", "standard_name": "latitude", "long_name": "latitude"}
_LON = {"units": "degrees_east", "standard_name": "longitude", "long_name": "longitude"}
_PIXEL = {
    "y": {"long_name": "row of pixels", "units": "1"},
    "x": {"long_name": "column of pixels", "units": "1"},
}
_WHOLE: dict[str, Any] = {"_FillValue": None}  # a cell is always somewhere; a station may be at no known place


@dataclass(frozen=True, eq=False)
class Grid:
    """Cell centres of a horizontal grid, the places of stations, or the pixels of an image.

    Arrays always have two horizontal dims. Stations are one row of cells, shape (1, station); in files
    they have one dim, see :attr:`file_dims`.

    Parameters
    ----------
    lat, lon : ndarray
        Degrees north and east. 1-D on a regular grid (``dims == ("lat", "lon")``), both of shape
        ``dims`` on a projected one (``("y", "x")``) and for stations (``("row", "station")``). NaN
        for stations that are at no known place. Of an image the numbers of rows and columns, 1-D.
    dims : tuple of str
        Names of the two horizontal dims, in array order.
    stations : tuple of str
        Identifiers of stations; empty on a grid.
    image : bool
        Whether the cells are pixels without a place on the Earth; told from 1-D ``lat, lon`` with the
        dims ``("y", "x")``, which nothing else has, so that it need not be stored.
    projection : Projection, optional
        Of a projected grid, the axes and the grid mapping of its files; nothing is computed from it.

    Raises
    ------
    DataError
        If ``image`` is set for other dims.

    Examples
    --------
    >>> grid = Grid(np.array([40.0, 41.0]), np.array([-5.0, -4.0, -3.0]))
    >>> grid.shape
    (2, 3)
    """

    lat: np.ndarray
    lon: np.ndarray
    dims: tuple[str, str] = ("lat", "lon")
    stations: tuple[str, ...] = ()
    image: bool = False
    projection: Projection | None = None

    def __post_init__(self) -> None:
        """Tell an image."""
        pixels = self.dims == ("y", "x") and self.lat.ndim == self.lon.ndim == 1
        if self.image and not pixels:
            raise DataError(f"an image: expected dims y and x with 1-D pixel numbers, got dims {self.dims}.")
        object.__setattr__(self, "image", pixels)

    @classmethod
    def of(cls, data: xr.Dataset | xr.DataArray) -> Grid:
        """Return the grid of ``data``.

        Its dims are ``lat, lon``, or ``y, x`` with 2-D ``lat, lon``, or ``station`` with 1-D ones, or, of an image,
        ``y, x`` with their pixel numbers as coordinates and no ``lat, lon``.

        Raises
        ------
        DataError
            If it has none of these.
        """
        if "lat" in data.dims and "lon" in data.dims:
            return cls(np.asarray(data["lat"], float), np.asarray(data["lon"], float))
        if "y" in data.dims and "x" in data.dims and "lat" in data.coords and "lon" in data.coords:
            lat, lon = (np.asarray(data[name].transpose("y", "x"), float) for name in ("lat", "lon"))
            return cls(lat, lon, ("y", "x"), projection=Projection.of(data))
        if "station" in data.dims and "lat" in data.coords and "lon" in data.coords:
            lat, lon = (np.asarray(data[name], float)[None, :] for name in ("lat", "lon"))
            return cls(lat, lon, ("row", "station"), tuple(map(str, data["station"].values)))
        if has_pixels(data):
            return cls(np.asarray(data["y"], float), np.asarray(data["x"], float), ("y", "x"), image=True)
        raise DataError(
            "expected dims lat and lon, y and x with 2-D lat and lon (of an image with pixel numbers), or station with "
            f"the coordinates lat and lon, got dims {tuple(data.dims)} and coordinates {tuple(data.coords)}."
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Number of cells along both dims."""
        return (len(self.lat), len(self.lon)) if self.lat.ndim == 1 else (self.lat.shape[0], self.lat.shape[1])

    @property
    def area(self) -> np.ndarray:
        """Weight of each cell in a mean over the area, shape ``dims``: the cosine of latitude; one without an area."""
        if self.stations or self.image:
            return np.ones(self.shape)
        weight = np.cos(np.deg2rad(self.lat))
        return np.broadcast_to(weight[:, None], self.shape).copy() if self.lat.ndim == 1 else weight

    @property
    def file_dims(self) -> tuple[str, ...]:
        """Names of the horizontal dims in files: those of arrays, or ``station`` alone."""
        return ("station",) if self.stations else self.dims

    def to_file(self, values: np.ndarray) -> np.ndarray:
        """Return host values of shape (..., *dims) as (..., *file_dims)."""
        return values[..., 0, :] if self.stations else values

    def from_file(self, values: np.ndarray) -> np.ndarray:
        """Return host values of shape (..., *file_dims) as (..., *dims)."""
        return values[..., None, :] if self.stations else values

    def coords(self) -> dict[str, xr.Variable]:
        """Return CF coordinate variables for an xarray object on this grid, dims as in files."""
        if self.stations:
            names = np.array(self.stations, dtype=object)
            return {
                "station": xr.Variable("station", names, {"cf_role": "timeseries_id", "long_name": "station"}),
                "lat": xr.Variable("station", self.lat[0], _LAT),
                "lon": xr.Variable("station", self.lon[0], _LON),
            }
        if self.image:
            axes = (("y", self.lat), ("x", self.lon))
            return {name: xr.Variable(name, axis, _PIXEL[name], _WHOLE) for name, axis in axes}
        if self.lat.ndim == 2:
            places = (("lat", self.lat, _LAT), ("lon", self.lon, _LON))
            flat = {name: xr.Variable(self.dims, axis, said, _WHOLE) for name, axis, said in places}
            return flat | ({} if self.projection is None else self.projection.coords())
        return {
            "lat": xr.Variable(self.dims[0], self.lat, _LAT | {"axis": "Y"}, _WHOLE),
            "lon": xr.Variable(self.dims[1], self.lon, _LON | {"axis": "X"}, _WHOLE),
        }

    def same(self, other: Grid) -> bool:
        """Whether both have the same cells, to a ten-thousandth of a degree, and the same stations.

        A place that is not known is the same as another that is not.
        """
        mine, others = ((grid.lat.shape, grid.lon.shape, grid.stations, grid.image) for grid in (self, other))
        return mine == others and all(
            np.allclose(a, b, rtol=0.0, atol=1e-4, equal_nan=True)
            for a, b in ((self.lat, other.lat), (self.lon, other.lon))
        )


def has_pixels(data: xr.Dataset | xr.DataArray) -> bool:
    """Whether ``data`` is an image: dims ``y, x`` with whole numbers that rise by one, and no place.

    Examples
    --------
    >>> has_pixels(xr.DataArray(np.zeros((2, 3)), {"y": [4, 5], "x": [0, 1, 2]}, ("y", "x")))
    True
    >>> has_pixels(xr.DataArray(np.zeros((2, 3)), {"y": [0.0, 12.5], "x": [0, 1, 2]}, ("y", "x")))
    False
    """
    if not {"y", "x"} <= set(data.dims) & set(data.coords) or {"lat", "lon"} & set(data.coords):
        return False
    axes = [np.asarray(data[name]) for name in ("y", "x")]
    return all(axis.dtype.kind in "iuf" and axis.size > 0 and bool((np.diff(axis) == 1).all()) for axis in axes)
