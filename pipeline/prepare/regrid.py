"""Fields carried from one grid to another, as matrix products on the device of the data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import array_api_compat
import numpy as np

from pipeline.backend import array_namespace, block_bytes
from pipeline.backend.threads import side_by_side, single_products, usable
from pipeline.errors import ConfigError, DataError
from pipeline.grid import Grid
from pipeline.prepare.arrays import beside, known
from pipeline.prepare.weights import Gather, bracket, corners, is_periodic, overlap, same_branch, triangles

Array = Any
Method = Literal["bilinear", "nearest", "conservative"]

LEAST_WEIGHT = 0.5  # of finite source cells, below which a target cell is missing


@dataclass(frozen=True, eq=False)
class Regridder:
    """Carries fields of ``source`` over to ``target``.

    From one regular grid to another the weights are one matrix an axis. To or from a grid with
    2-D coordinates every target cell has a few source cells with weights; there ``bilinear`` from a
    2-D grid is linear on triangles between its cells.

    Parameters
    ----------
    source, target : Grid
        From where to where.
    method : {"bilinear", "nearest", "conservative"}
        ``conservative`` weighs by the area of overlap and needs regular grids.
    along : tuple of ndarray, or None
        Matrices (lat', lat) and (lon', lon), between regular grids.
    gather : Gather or None
        Weights otherwise. Both are None where the grids are the same.
    beyond : ndarray of bool, shape of the target
        Target cells with their centre beyond the outermost centres of the source; they take the
        nearest value.

    Examples
    --------
    >>> coarse, fine = Grid(np.array([0.0, 2.0]), np.array([0.0, 2.0])), Grid(np.array([0.5]), np.array([1.0, 2.5]))
    >>> regridder = Regridder.between(coarse, fine, "bilinear")
    >>> regridder(np.array([[0.0, 2.0], [0.0, 2.0]], "float32")).tolist(), regridder.outside
    ([[1.0, 2.0]], 1)
    """

    source: Grid
    target: Grid
    method: Method
    along: tuple[np.ndarray, np.ndarray] | None
    gather: Gather | None
    beyond: np.ndarray

    @classmethod
    def between(cls, source: Grid, target: Grid, method: Method) -> Regridder:
        """Return the regridder from ``source`` to ``target``.

        Raises
        ------
        ConfigError
            If ``conservative`` is asked for with 2-D coordinates.
        DataError
            If the source grid is not ascending, or a place is not known.
        """
        if source.same(target):
            return cls(source, target, method, None, None, np.zeros(target.shape, bool))
        if source.shape == (1, 1) and np.isnan(source.lat).all():
            # A series without a place stands for every cell.
            return cls(source, target, method, None, _everywhere(target), np.zeros(target.shape, bool))
        for grid in (source, target):
            if np.isnan(grid.lat).any() or np.isnan(grid.lon).any():
                who = ", ".join(grid.stations[:5]) + (" and so on" if len(grid.stations) > 5 else "")
                raise DataError(
                    f"expected a latitude and longitude of every place that values are carried from or to, got none "
                    f"for {who}. Say where they lie in the catalog, with options: stations: {{file: places.csv, id: "
                    "station_id, lat: lat, lon: lon} and that file among files, as the entry us-stations."
                )
        flat = source.lat.ndim == 1
        if flat and not all((np.diff(axis) > 0).all() for axis in (source.lat, source.lon)):
            raise DataError(f"expected ascending lat and lon to regrid from, got {source.lat!r} and {source.lon!r}.")
        if flat and target.lat.ndim == 1:
            return cls._separable(source, target, method)
        if method == "conservative":
            raise ConfigError(
                "prepare.regrid.method 'conservative' needs regular grids on both sides, got 2-D lat and lon; "
                "choose 'bilinear' or 'nearest'."
            )
        gather = _regular_to_points(source, target, method) if flat else _points(source, target, method)
        return cls(source, target, method, None, gather, gather.outside.reshape(target.shape))

    @classmethod
    def _separable(cls, source: Grid, target: Grid, method: Method) -> Regridder:
        periodic = is_periodic(source.lon)
        lon = same_branch(target.lon, source.lon)
        sides = (bracket(source.lat, target.lat), bracket(source.lon, lon, periodic=periodic))
        beyond = sides[0].outside[:, None] | sides[1].outside[None, :]
        if method == "conservative":
            along = (
                overlap(source.lat, target.lat, latitude=True),
                overlap(source.lon, _ascending(lon), latitude=False, periodic=periodic),
            )
        else:
            chosen = [side.nearest() if method == "nearest" else side for side in sides]
            along = (chosen[0].matrix(len(source.lat)), chosen[1].matrix(len(source.lon)))
        return cls(source, target, method, along, None, beyond)

    @property
    def outside(self) -> int:
        """How many target cells take the nearest value, being beyond the source."""
        return int(self.beyond.sum())

    @property
    def identity(self) -> bool:
        """Whether both grids are the same and nothing is done."""
        return self.along is None and self.gather is None

    def matrix(self) -> np.ndarray:
        """Return the weights on the host, shape (target cells, source cells), cells in row-major order.

        Examples
        --------
        >>> coarse, fine = Grid(np.array([0.0, 2.0]), np.array([0.0, 4.0])), Grid(np.array([1.0]), np.array([1.0]))
        >>> Regridder.between(coarse, fine, "bilinear").matrix()
        array([[0.375, 0.125, 0.375, 0.125]])
        """
        units = np.eye(math.prod(self.source.shape)).reshape(-1, *self.source.shape)
        carried: np.ndarray = units if self.identity else self._carry(units, self._weights_beside(units))
        return carried.reshape(len(units), -1).T

    def __call__(self, values: Array) -> Array:
        """Return ``values`` of shape (..., lat, lon) on the target grid, in the same dtype.

        Missing cells lend their weight to the others; a cell with less than half of its weight on
        finite ones is missing itself.
        """
        if self.identity:
            return values
        xp = array_namespace(values)
        fields = xp.reshape(values, (-1, *self.source.shape))
        weights = self._weights_beside(values)
        result = xp.empty(
            (fields.shape[0], *self.target.shape), dtype=values.dtype, device=array_api_compat.device(values)
        )

        def carried(part: slice) -> None:
            result[part, ...] = xp.astype(self._carried(fields[part, ...], weights), values.dtype)

        size = max(1, block_bytes(values) // (16 * max(math.prod(self.target.shape), math.prod(self.source.shape))))
        count = fields.shape[0]
        parts = [slice(start, min(start + size, count)) for start in range(0, count, size)]
        threads = min(usable(), len(parts)) if array_api_compat.is_numpy_array(values) else 1
        with single_products():
            side_by_side(carried, parts, max(1, threads))
        return xp.reshape(result, (*values.shape[:-2], *self.target.shape))

    def _carried(self, fields: Array, weights: tuple[Array, Array]) -> Array:
        """Return some fields on the target grid, float64."""
        xp = array_namespace(fields)
        filled, finite = known(fields, whole=bool(xp.all(xp.isfinite(fields))))
        # Where nothing is missing, one field tells of all.
        share = self._carry(xp.ones_like(filled[:1, ...]) if finite is None else finite, weights)
        enough = share >= LEAST_WEIGHT
        away = self._carry(filled, weights)
        away /= xp.where(enough, share, xp.ones_like(share))
        return away if bool(xp.all(enough)) else xp.where(enough, away, xp.full_like(away, float("nan")))

    def _weights_beside(self, values: Array) -> tuple[Array, Array]:
        if self.along is not None:
            return beside(self.along[0], values), beside(self.along[1].T, values)
        assert self.gather is not None
        return beside(self.gather.index, values), beside(self.gather.weight, values)

    def _carry(self, fields: Array, weights: tuple[Array, Array]) -> Array:
        xp = array_namespace(fields)
        first, second = weights
        if self.along is not None:
            return xp.matmul(xp.matmul(first, fields), second)
        cells = xp.reshape(fields, (fields.shape[0], -1))
        terms = (xp.take(cells, first[k, :], axis=1) * second[k, :] for k in range(first.shape[0]))
        return xp.reshape(sum(terms), (-1, *self.target.shape))


def _everywhere(target: Grid) -> Gather:
    """Return weights that give the one source cell to every cell of ``target``."""
    cells = math.prod(target.shape)
    return Gather(np.zeros((1, cells), np.int64), np.ones((1, cells)), np.zeros(cells, bool))


def _ascending(lon: np.ndarray) -> np.ndarray:
    """Return longitudes that moving to the source's branch may have cut, without the cut."""
    return np.unwrap(lon, period=360.0)


def _regular_to_points(source: Grid, target: Grid, method: Method) -> Gather:
    lat, lon = target.lat.ravel(), same_branch(target.lon, source.lon).ravel()
    sides = [bracket(source.lat, lat), bracket(source.lon, lon, periodic=is_periodic(source.lon))]
    if method == "nearest":
        sides = [side.nearest() for side in sides]
    return corners(sides[0], sides[1], len(source.lon))


def _points(source: Grid, target: Grid, method: Method) -> Gather:
    def places(grid: Grid) -> np.ndarray:
        lat, lon = (grid.lat, grid.lon) if grid.lat.ndim == 2 else np.meshgrid(grid.lat, grid.lon, indexing="ij")
        # Seen from the middle of the source, so that a grid across the date line is in one piece.
        middle = source.lon.flat[source.lon.size // 2]
        return np.stack([lat.ravel(), lon.ravel() - 360.0 * np.round((lon.ravel() - middle) / 360.0)], axis=1)

    return triangles(places(source), places(target), nearest=method == "nearest")
