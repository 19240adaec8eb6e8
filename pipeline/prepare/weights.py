"""Interpolation weights: along one axis of a regular grid, and from points to points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.grid import Grid

CIRCLE = 360.0


@dataclass(frozen=True, eq=False)
class Bracket:
    """The two source positions on both sides of each point, and the weight of the right one.

    Parameters
    ----------
    left, right : ndarray of int64, shape (point,)
        Positions on the source axis.
    weight : ndarray, shape (point,)
        Weight of ``right``; that of ``left`` is the rest.
    outside : ndarray of bool, shape (point,)
        Points beyond the first or last source position, which take the value there.
    """

    left: np.ndarray
    right: np.ndarray
    weight: np.ndarray
    outside: np.ndarray

    def nearest(self) -> Bracket:
        """Return the same with all weight on the nearer side, the left one where both are as near."""
        return Bracket(self.left, self.right, (self.weight > 0.5).astype(float), self.outside)

    def matrix(self, size: int) -> np.ndarray:
        """Return the weights as a matrix of shape (point, size)."""
        dense = np.zeros((len(self.left), size))
        here = np.arange(len(self.left))
        np.add.at(dense, (here, self.left), 1 - self.weight)
        np.add.at(dense, (here, self.right), self.weight)
        return dense


def is_periodic(lon: np.ndarray) -> bool:
    """Whether evenly spaced longitudes go round the globe.

    Examples
    --------
    >>> is_periodic(np.arange(0, 360, 2.5)), is_periodic(np.arange(-10, 10, 2.5))
    (True, False)
    """
    if len(lon) < 3:
        return False
    step = (lon[-1] - lon[0]) / (len(lon) - 1)
    even = np.allclose(np.diff(lon), step, rtol=1e-3)
    return bool(even and abs(step * len(lon) - CIRCLE) < 0.1 * step)


def same_branch(lon: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Return ``lon`` moved by whole circles next to the middle of ``source``, [0, 360) or not.

    Examples
    --------
    >>> same_branch(np.array([350.0, 5.0]), np.array([-20.0, 20.0])).tolist()
    [-10.0, 5.0]
    """
    middle = (source.min() + source.max()) / 2
    moved: np.ndarray = lon - CIRCLE * np.round((lon - middle) / CIRCLE)
    return moved


def bracket(source: np.ndarray, points: np.ndarray, *, periodic: bool = False) -> Bracket:
    """Return where ``points`` lie between the ascending positions ``source``.

    Points beyond the ends take the value at the end, unless ``periodic`` wraps them.
    """
    size = len(source)
    if periodic:
        points = source[0] + (points - source[0]) % CIRCLE
        source = np.concatenate([source, source[:1] + CIRCLE])
    outside = (points < source[0]) | (points > source[-1])
    if len(source) == 1:
        zero = np.zeros(len(points), int)
        return Bracket(zero, zero, zero.astype(float), outside)
    clamped = np.clip(points, source[0], source[-1])
    right = np.clip(np.searchsorted(source, clamped, side="right"), 1, len(source) - 1)
    left = right - 1
    weight = (clamped - source[left]) / (source[right] - source[left])
    return Bracket(left, right % size, weight, outside)


def overlap(source: np.ndarray, target: np.ndarray, *, latitude: bool, periodic: bool = False) -> np.ndarray:
    """Return the share of each target cell that each source cell covers, shape (target, source).

    Cells reach half-way to their neighbours; lengths along a meridian are differences of sines, so
    that the product of both axes is an area on the sphere. Rows are normalised over what is covered;
    target cells that no source cell covers take the nearest one.
    """
    low, high = _edges(source, latitude)
    start, end = _edges(target, latitude)
    # Whichever way longitudes are counted; a region meets itself once, a globe on both sides of its seam.
    shifts = (0.0,) if latitude else (-CIRCLE, 0.0, CIRCLE)
    parts = [
        np.clip(np.minimum(end[:, None], high + shift) - np.maximum(start[:, None], low + shift), 0, None)
        for shift in shifts
    ]
    share = np.sum(parts, axis=0)
    total = share.sum(axis=1, keepdims=True)
    lonely = total[:, 0] <= 1e-9 * np.abs(end - start)
    near = target if latitude else same_branch(target, source)
    share[lonely] = bracket(source, near, periodic=periodic).nearest().matrix(len(source))[lonely]
    normalised: np.ndarray = share / np.where(lonely[:, None], 1.0, total)
    return normalised


def _edges(centres: np.ndarray, latitude: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower and upper edge of each cell; for latitudes as sines."""
    if len(centres) == 1:
        edges = centres[0] + np.array([-0.5, 0.5])
    else:
        middle = (centres[1:] + centres[:-1]) / 2
        edges = np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])
    if latitude:
        edges = np.sin(np.deg2rad(np.clip(edges, -90, 90)))
    return edges[:-1], edges[1:]


@dataclass(frozen=True, eq=False)
class Gather:
    """Weights from source cells to points: value = sum over k of weight[k] * source[index[k]].

    Parameters
    ----------
    index : ndarray of int64, shape (k, point)
        Cells of the source in one row.
    weight : ndarray, shape (k, point)
        Weights that add up to 1.
    outside : ndarray of bool, shape (point,)
        Points outside the source, which take the nearest value.
    """

    index: np.ndarray
    weight: np.ndarray
    outside: np.ndarray


def corners(lat: Bracket, lon: Bracket, columns: int) -> Gather:
    """Return the bilinear weights of the four cells round each point of a regular grid."""
    pairs = [
        (row * columns + column, along * across)
        for row, along in ((lat.left, 1 - lat.weight), (lat.right, lat.weight))
        for column, across in ((lon.left, 1 - lon.weight), (lon.right, lon.weight))
    ]
    index, weight = (np.stack([pair[part] for pair in pairs]) for part in (0, 1))
    return Gather(index, weight, lat.outside | lon.outside)


def triangles(source: np.ndarray, points: np.ndarray, *, nearest: bool) -> Gather:
    """Return weights from scattered cells: the nearest one, or linear on Delaunay triangles.

    Parameters
    ----------
    source, points : ndarray, shape (cell, 2) and (point, 2)
        Latitudes and longitudes [degrees], longitudes on the same branch.
    nearest : bool
        Take the nearest cell on the sphere everywhere, not only outside the triangles.
    """
    from scipy.spatial import Delaunay, cKDTree

    mesh = Delaunay(source)
    simplex = mesh.find_simplex(points, tol=1e-9)
    outside = simplex < 0
    closest = cKDTree(_on_sphere(source)).query(_on_sphere(points))[1]
    if nearest:
        return Gather(closest[None], np.ones((1, len(points))), outside)
    affine = mesh.transform[simplex]
    two = np.einsum("pij,pj->pi", affine[:, :2], points - affine[:, 2])
    weight = np.concatenate([two, 1 - two.sum(axis=1, keepdims=True)], axis=1)
    index = mesh.simplices[simplex].astype(np.int64)
    index[outside], weight[outside] = closest[outside, None], (1.0, 0.0, 0.0)
    return Gather(index.T, weight.T, outside)


def _on_sphere(places: np.ndarray) -> np.ndarray:
    """Return (place, lat and lon) [degrees] as points of the unit sphere, shape (place, 3)."""
    lat, lon = np.deg2rad(places.T)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)


def cells_on_sphere(grid: Grid) -> np.ndarray:
    """Return the cells of a grid, row after row, as points of the unit sphere, shape (cell, 3)."""
    lat, lon = (grid.lat, grid.lon) if grid.lat.ndim == 2 else np.meshgrid(grid.lat, grid.lon, indexing="ij")
    return _on_sphere(np.stack([lat.ravel(), lon.ravel()], axis=1))
