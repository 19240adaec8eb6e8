"""The truth with its mask."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from pipeline.backend import Backend, array_namespace
from pipeline.errors import DataError, SplitError
from pipeline.grid import Grid
from pipeline.prepare.align import Axis
from pipeline.prepare.arrays import beside
from pipeline.prepare.config import TargetConfig
from pipeline.prepare.inputs import field, only
from pipeline.prepare.splits import TrainSplit

Array = Any


@dataclass(frozen=True, eq=False)
class Truth:
    """The target in units on the whole axis.

    Parameters
    ----------
    values : array of float32, shape (time, target, lat, lon)
        NaN where there is no truth and outside the mask.
    names, units : tuple of str
        Of the targets.
    grid : Grid
        Where they live.
    mask : ndarray of bool, shape (lat, lon)
        Cells that are predicted and scored.
    known : ndarray of bool, shape (time,)
        Steps with any truth inside the mask.
    without : frozenset of str
        Test sets without any truth.
    classes : tuple of str
        Of a segmentation: names of the classes whose numbers the values are.
    standard_names : tuple of str
        CF names of the targets, empty for one without.
    """

    values: Array
    names: tuple[str, ...]
    units: tuple[str, ...]
    grid: Grid
    mask: np.ndarray
    known: np.ndarray
    without: frozenset[str]
    classes: tuple[str, ...] = ()
    standard_names: tuple[str, ...] = ()

    def of_stations_in_mask(self) -> Truth:
        """Return the truth of the stations in the mask alone; on a grid the truth itself.

        A station that is hardly ever there would be carried along by every model, and by the share of missing inputs.
        """
        inside = np.flatnonzero(self.mask[0]) if self.grid.stations else np.zeros(0, int)
        if not self.grid.stations or len(inside) == self.mask.size:
            return self
        xp = array_namespace(self.values)
        ids = tuple(self.grid.stations[place] for place in inside)
        grid = replace(self.grid, lat=self.grid.lat[:, inside], lon=self.grid.lon[:, inside], stations=ids)
        values = xp.take(self.values, beside(inside, self.values), axis=-1)
        return replace(self, values=values, grid=grid, mask=self.mask[:, inside])


def build_truth(
    target: xr.Dataset,
    axis: Axis,
    config: TargetConfig,
    train: TrainSplit,
    backend: Backend,
    cells: Mapping[str, np.ndarray] | None = None,
) -> Truth:
    """Return the target at every step of ``axis`` on the device of ``backend``.

    ``cells``, bool (lat, lon) by split, where splits differ by cells: those of train have to have enough truth, the
    others are asked about whether they have any or not.

    Raises
    ------
    SplitError
        If the train or the validation split has no truth.
    DataError
        If there is no variable, one has the wrong dims, or no cell is left in the mask.
    """
    grid = Grid.of(target)
    names = tuple(str(name) for name in target.data_vars)
    if not names:
        raise DataError("the target: expected a variable, got a dataset without any.")
    there = axis.target >= 0
    host = np.full((len(axis.time), len(names), *grid.shape), np.nan, np.float32)
    for position, name in enumerate(names):
        host[there, position] = field(target, name, grid, "time")[axis.target[there]]
    values = backend.asarray(host)
    xp = backend.xp
    values = xp.where(xp.isfinite(values), values, xp.full_like(values, float("nan")))
    days = backend.to_host(xp.any(xp.isfinite(values), axis=(1, 2, 3)))
    without = frozenset(name for name, index in axis.positions.items() if not days[index].any())
    for name in sorted(without & {"train", "validation"}):
        span = " to ".join(axis.split.spans[name])
        raise SplitError(f"split {name!r} ({span}) has predictors and no truth; only a test set may go without.")
    # A pixel of a tile is no place: that train tiles lack truth there says nothing of others.
    mask = xp.asarray(np.ones(grid.shape, bool)) if grid.image else fit_mask(values, train, config, cells)
    values = xp.where(mask, values, xp.full_like(values, float("nan")))
    known = backend.to_host(xp.any(xp.isfinite(values), axis=(1, 2, 3)))
    units = tuple(str(target[name].attrs.get("units", "")) for name in names)
    standard = tuple(str(target[name].attrs.get("standard_name", "")) for name in names)
    return Truth(values, names, units, grid, backend.to_host(mask), known, without, standard_names=standard)


def fit_mask(
    values: Array, train: TrainSplit, config: TargetConfig, cells: Mapping[str, np.ndarray] | None = None
) -> Array:
    """Return which cells are predicted and scored, bool, shape (lat, lon).

    Parameters
    ----------
    values : array of float32, shape (time, target, lat, lon)
        NaN is missing.
    train : TrainSplit
        Which steps may be looked at.
    config : TargetConfig
        ``finite``: cells where every target has truth on at least ``min_share`` of those train days
        that have any truth at all. ``all``: every cell.
    cells : mapping of str to ndarray of bool, shape (lat, lon), optional
        By split, where splits differ by cells. Only train's are looked at; those of other splits are kept.

    Raises
    ------
    TypeError
        If ``train`` is not a TrainSplit.
    DataError
        If no cell is left, or under ``all`` a cell has no truth on any train day.
    """
    TrainSplit.require(train, "The mask")
    xp = array_namespace(values)
    if cells is not None:
        own = fit_mask(only(values, cells["train"]), train, config.model_copy(update={"mask": "finite"}))
        asked = np.any([inside for name, inside in cells.items() if name != "train"], axis=0)
        return own | beside(asked, values)
    finite = xp.isfinite(train.take(values))
    days = int(xp.sum(xp.astype(xp.any(finite, axis=(1, 2, 3)), xp.int64)))
    count = xp.min(xp.sum(xp.astype(finite, xp.int64), axis=0), axis=0)
    if config.mask == "all":
        empty = int(xp.sum(xp.astype(count == 0, xp.int64)))
        if empty:
            raise DataError(
                f"prepare.target.mask 'all': {empty} cells have no truth on any train day, so nothing can be "
                "learned there; take mask 'finite', or a data.region without them."
            )
        return count > 0
    mask = count >= max(1, math.ceil(config.min_share * days))
    if not bool(xp.any(mask)):
        raise DataError(
            f"no cell has truth on {config.min_share:g} of the {days} train days with truth; lower "
            "prepare.target.min_share, or look at the target's file."
        )
    return mask
