"""Whether predictors lie where the models' input grid does: elsewhere, the nearest value would stand for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from pipeline.errors import DataError
from pipeline.grid import Grid
from pipeline.prepare.align import Predictors
from pipeline.prepare.regrid import Method, Regridder
from pipeline.prepare.weights import cells_on_sphere, is_periodic, same_branch

REACH = 0.5  # cells beyond the outermost centres, to the edge of the outermost cells
MOST = 0.5  # share of the common grid that may lie outside a dataset
_ALONE = 1.0  # degrees; the width taken for a cell without a neighbour
_NEAR = 1e-4  # degrees; what coordinates of float32 and float64 differ by


@dataclass(frozen=True, eq=False)
class Carrier:
    """How one dataset of the predictors is carried over to the common grid."""

    dataset: str
    regrid: Regridder

    def told(self) -> dict[str, Any]:
        """Return the dataset's grid, the method and how many cells lie outside, for the report."""
        return {
            "dataset": self.dataset,
            "grid": list(self.regrid.source.shape),
            "method": "none" if self.regrid.identity else self.regrid.method,
            "cells_outside": self.regrid.outside,
        }


def carriers_of(predictors: Predictors, grid: Grid, method: Method) -> tuple[Carrier, ...]:
    """Return one carrier a dataset; for the errors see :meth:`Regridder.between`."""
    return tuple(Carrier(name, Regridder.between(Grid.of(data), grid, method)) for name, data in predictors)


def covered_by(predictors: Predictors, carriers: Sequence[Carrier]) -> np.ndarray:
    """Return which cells of the common grid lie among the centres of each channel's dataset.

    Returns
    -------
    ndarray of bool, shape (channel, lat, lon)
    """
    pairs = zip(predictors, carriers, strict=True)
    return np.stack([~carrier.regrid.beyond for (_, data), carrier in pairs for _ in data.data_vars])


def far_outside(regrid: Regridder) -> np.ndarray:
    """Return the cells of the target that lie more than half a cell beyond the outermost centres of the source.

    Returns
    -------
    ndarray of bool, shape of the target

    Examples
    --------
    >>> coarse = Grid(np.array([0.0, 2.0]), np.array([0.0, 2.0]))
    >>> fine = Grid(np.array([1.0]), np.array([1.0, 3.0, 3.5]))
    >>> far_outside(Regridder.between(coarse, fine, "bilinear")).tolist()
    [[False, False, True]]
    """
    if not regrid.outside:
        return regrid.beyond
    source, target = regrid.source, regrid.target
    if source.lat.ndim == 1:
        spare = _spacing(source.lat) or _spacing(source.lon) or _ALONE
        lon = same_branch(target.lon, source.lon)
        rows = _past(source.lat, target.lat, spare)
        columns = np.zeros(lon.shape, bool) if is_periodic(source.lon) else _past(source.lon, lon, spare)
        flat: np.ndarray = rows | columns if target.lat.ndim == 2 else rows[:, None] | columns[None, :]
        return flat
    far = regrid.beyond.copy()
    far[regrid.beyond] = _distance(source, target)[regrid.beyond] > REACH * _width(source) + _NEAR
    return far


def require_mostly_inside(carriers: Sequence[Carrier]) -> None:
    """Refuse a dataset that lies elsewhere than the common grid.

    Raises
    ------
    DataError
        If more than half of the common grid's cells lie outside of a dataset.
    """
    for carrier in carriers:
        far, grid = far_outside(carrier.regrid), carrier.regrid.target
        if far.sum() > MOST * far.size:
            raise DataError(
                f"predictor {carrier.dataset!r}: expected cells round the common grid, {_extent(grid)}, got "
                f"{_extent(carrier.regrid.source)}: {int(far.sum())} of {far.size} cells of the common grid lie "
                "outside, and would all take its nearest value. Correct its coordinates, leave the dataset out, or "
                "name another grid in prepare.regrid.to."
            )


def require_covered(
    carriers: Sequence[Carrier], predictors: Predictors, covered: Mapping[str, np.ndarray], names: Sequence[str]
) -> None:
    """Refuse new data that lack cells which the training data had.

    Parameters
    ----------
    carriers : sequence of Carrier
        Of the new data, one a dataset.
    predictors : sequence of (str, Dataset)
        The new data.
    covered : mapping of str to ndarray of bool, shape (lat, lon)
        For every channel that models take, the cells that its training data had.
    names : sequence of str
        Channels of the new data, in their order.

    Raises
    ------
    DataError
        If a cell of ``covered`` lies more than half a cell outside of a dataset.
    """
    channels = iter(names)
    for (dataset, data), carrier in zip(predictors, carriers, strict=True):
        own = list(islice(channels, len(data.data_vars)))
        taken = [covered[name] for name in own if name in covered]
        far = far_outside(carrier.regrid)
        if not taken or not far.any():
            continue
        needed = np.any(taken, axis=0)
        lacking = int((needed & far).sum())
        if lacking:
            raise DataError(
                f"predictor {dataset!r}: expected cells on all of the models' input grid that the training data "
                f"covered, {_extent(carrier.regrid.target, needed)}, got {_extent(carrier.regrid.source)}: "
                f"{lacking} of {int(needed.sum())} cells lie more than half a cell outside. "
                "Give data of the same area or a larger one."
            )


def _past(source: np.ndarray, points: np.ndarray, spare: float) -> np.ndarray:
    """Return the points beyond the edges of the first and last cell of an axis."""
    first, last = (_spacing(end) or spare for end in (source[:2], source[-2:]))
    low, high = source.min() - REACH * first - _NEAR, source.max() + REACH * last + _NEAR
    past: np.ndarray = (points < low) | (points > high)
    return past


def _spacing(axis: np.ndarray) -> float:
    """Return the mean distance between neighbours, 0 where there are none."""
    return float(abs(axis[-1] - axis[0]) / (len(axis) - 1)) if len(axis) > 1 else 0.0


def _distance(source: Grid, target: Grid) -> np.ndarray:
    """Return the distance of each target cell from the nearest source cell [degrees of a great circle]."""
    from scipy.spatial import cKDTree

    chord = cKDTree(cells_on_sphere(source)).query(cells_on_sphere(target))[0]
    degrees: np.ndarray = np.rad2deg(2 * np.arcsin(np.minimum(chord / 2, 1.0)))
    return degrees.reshape(target.shape)


def _width(source: Grid) -> float:
    """Return the width of the widest cell of a grid with 2-D coordinates [degrees of a great circle]."""
    places = cells_on_sphere(source).reshape(*source.shape, 3)
    chords = [np.linalg.norm(np.diff(places, axis=axis), axis=-1) for axis in (0, 1)]
    widest = max((float(chord.max()) for chord in chords if chord.size), default=0.0)
    return float(np.rad2deg(2 * np.arcsin(min(widest / 2, 1.0)))) or _ALONE


def _extent(grid: Grid, chosen: np.ndarray | None = None) -> str:
    lat, lon = (grid.lat, grid.lon) if grid.lat.ndim == 2 else np.meshgrid(grid.lat, grid.lon, indexing="ij")
    if chosen is not None:
        lat, lon = lat[chosen], lon[chosen]
    return f"lat {lat.min():g} to {lat.max():g} and lon {lon.min():g} to {lon.max():g}"
