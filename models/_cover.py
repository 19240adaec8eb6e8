"""Which cells of the target lie in which cell of the coarse grid, and means over them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from models._classical import Table
from pipeline.grid import Grid
from pipeline.prepare.regrid import Regridder

Array = Any


@dataclass(frozen=True, eq=False)
class Cover:
    """Coarse cells with the cells of the mask that are nearest to their centres.

    On grids whose cells nest these are the cells inside. Elsewhere a cell is not divided: it counts
    in full for one coarse cell, on regular, projected and curved grids alike.

    Parameters
    ----------
    table : Table
        Its columns, one a target and cell of the mask.
    weights : ndarray of float64, shape (cell, coarse)
        Area of each cell of the mask in the column of its coarse cell, zero elsewhere. Only coarse
        cells with some cell of the mask have a column.
    used : ndarray of int64, shape (coarse,)
        Where these stand on the input grid, row by row.
    stand_in : ndarray of int64, shape (input cell,)
        For every cell of the input grid the column of its own, else of the nearest by great circle.
    """

    table: Table
    weights: np.ndarray
    used: np.ndarray
    stand_in: np.ndarray

    @classmethod
    def of(cls, table: Table) -> Cover:
        """Return the cover of the table's mask by its input grid."""
        source, layout = table.layout.input_grid, table.layout
        numbers = np.arange(source.shape[0] * source.shape[1], dtype=float).reshape(1, *source.shape)
        nearest = Regridder.between(source, layout.target_grid, "nearest")(numbers)[0][layout.mask]
        used, place = np.unique(np.rint(nearest).astype(int), return_inverse=True)
        weights = np.zeros((len(place), len(used)))
        weights[np.arange(len(place)), place] = layout.target_grid.area[layout.mask]
        vectors = _unit_vectors(source)
        return cls(table, weights, used, np.argmax(vectors @ vectors[used].T, axis=1))

    @property
    def count(self) -> int:
        """How many coarse cells have cells of the mask."""
        return int(self.weights.shape[1])

    def means(self, columns: Array) -> Array:
        """Return area-weighted means over what is finite, float64, shape (time, target * coarse); NaN where nothing is.

        Parameters
        ----------
        columns : array of float64, shape (time, target * cell)
            Values at the cells of the mask.
        """
        xp, weights = self.table.backend.xp, self.table.backend.asarray(self.weights)
        split = xp.reshape(columns, (columns.shape[0], -1, self.weights.shape[0]))
        there = xp.isfinite(split)
        total = xp.where(there, split, xp.zeros_like(split)) @ weights
        share = xp.astype(there, xp.float64) @ weights
        some = share > 0
        means = xp.where(some, total / xp.where(some, share, xp.ones_like(share)), xp.full_like(total, xp.nan))
        return xp.reshape(means, (columns.shape[0], -1))

    def fields(self, columns: Array) -> Array:
        """Return columns, shape (time, target * coarse), as (time, target, lat, lon) on the whole input grid."""
        xp = self.table.backend.xp
        split = xp.reshape(columns, (columns.shape[0], -1, self.count))
        filled = xp.take(split, self.table.backend.asarray(self.stand_in), axis=-1)
        return xp.reshape(filled, (*filled.shape[:-1], *self.table.layout.input_grid.shape))

    def columns(self, fields: Array) -> Array:
        """Return fields of shape (time, target, lat, lon) on the input grid at the coarse cells of the cover."""
        xp = self.table.backend.xp
        flat = xp.reshape(fields, (*fields.shape[:2], -1))
        chosen = xp.take(flat, self.table.backend.asarray(self.used), axis=-1)
        return xp.reshape(chosen, (fields.shape[0], -1))


def _unit_vectors(grid: Grid) -> np.ndarray:
    """Return the cells' directions from the centre of the earth, shape (cell, 3)."""
    lat, lon = (grid.lat, grid.lon) if grid.lat.ndim == 2 else np.meshgrid(grid.lat, grid.lon, indexing="ij")
    lat, lon = np.deg2rad(lat).ravel(), np.deg2rad(lon).ravel()
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
