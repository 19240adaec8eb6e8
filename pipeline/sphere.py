"""Areas and places of the cells of a grid on the globe, or of an image, which lies nowhere."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.backend import array_namespace
from pipeline.errors import DataError
from pipeline.grid import Grid
from pipeline.prepare.weights import is_periodic

EARTH_RADIUS = 6371.0  # km


def goes_round(grid: Grid) -> bool:
    """Whether the last longitude of a regular grid is next to its first.

    Examples
    --------
    >>> goes_round(Grid(np.array([0.0, 90.0]), np.arange(0.0, 360.0, 90.0)))
    True
    """
    return grid.lon.ndim == 1 and not grid.image and is_periodic(grid.lon)


def cell_area(grid: Grid) -> np.ndarray:
    """Return the area of every cell, shape ``dims`` [km2]; 1 in an image, whose areas are counts of cells.

    Edges of a regular grid lie midway between neighbours and end at the poles; cells of a projected one are
    the parallelograms of the steps to their neighbours.

    Raises
    ------
    DataError
        If there are fewer than two rows or columns: nothing says how wide they are.

    Examples
    --------
    >>> globe = Grid(np.arange(-85.0, 90.0, 10.0), np.arange(0.0, 360.0, 10.0))
    >>> round(float(cell_area(globe).sum() / (4.0 * np.pi * EARTH_RADIUS**2)), 9)
    1.0
    """
    if grid.image:
        return np.ones(grid.shape)
    if min(grid.shape) < 2:
        raise DataError(
            f"expected a grid of at least 2 x 2 cells for areas of cells, got {grid.shape!r}. "
            "Objects need a grid; stations have none."
        )
    if grid.lat.ndim == 1:
        inner = 0.5 * (grid.lat[1:] + grid.lat[:-1])
        ends = np.clip([1.5 * grid.lat[0] - 0.5 * grid.lat[1], 1.5 * grid.lat[-1] - 0.5 * grid.lat[-2]], -90.0, 90.0)
        height = np.abs(np.diff(np.sin(np.deg2rad(np.concatenate([ends[:1], inner, ends[1:]])))))
        width = np.deg2rad(np.abs(np.gradient(grid.lon)))
        return np.asarray(EARTH_RADIUS**2 * height[:, None] * width[None, :])
    down, right = np.gradient(unit_vectors(grid), axis=(0, 1))
    return np.asarray(EARTH_RADIUS**2 * np.linalg.norm(np.cross(down, right), axis=-1))


def unit_vectors(grid: Grid) -> np.ndarray:
    """Return the way from the centre of the globe to every cell, shape (*dims, 3): no seam and no poles in it."""
    lat, lon = lat_lon(grid)
    phi, theta = np.deg2rad(lat), np.deg2rad(lon)
    return np.stack([np.cos(phi) * np.cos(theta), np.cos(phi) * np.sin(theta), np.sin(phi)], axis=-1)


def lat_lon(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Return latitude and longitude of every cell, each of shape ``dims``; of an image row and column."""
    if grid.lat.ndim == 1:
        lat, lon = np.meshgrid(grid.lat, grid.lon, indexing="ij")
        return lat, lon
    return grid.lat, grid.lon


def great_circles(start: Any, end: Any) -> Any:
    """Return great-circle distances between all pairs of places [km].

    Parameters
    ----------
    start, end : array of float64, shape (start, 3) and (end, 3)
        Ways from the centre of the globe, as :func:`unit_vectors` gives them; of any array library.

    Returns
    -------
    array of float64, shape (start, end)
        Exactly zero of a place from itself. From a chord, and so without the loss of digits that an arc cosine has
        for places near each other.

    Examples
    --------
    >>> pole, equator = np.array([[0.0, 0.0, 1.0]]), np.array([[1.0, 0.0, 0.0]])
    >>> round(float(great_circles(pole, equator)[0, 0]), 1)
    10007.5
    """
    xp = array_namespace(start, end)
    chord = xp.sqrt(xp.sum((start[:, None, :] - end[None, :, :]) ** 2, axis=-1))
    return 2.0 * EARTH_RADIUS * xp.asin(xp.clip(0.5 * chord, max=1.0))
