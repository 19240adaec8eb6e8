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
from pipeline.prepare.arrays import anywhere, beside
from pipeline.prepare.carried import as_slice, field
from pipeline.prepare.config import TargetConfig
from pipeline.prepare.inputs import only
from pipeline.prepare.splits import TrainSplit
from pipeline.rows import Room, Rows
from pipeline.rows.parts import blocks

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
        ids = tuple(self.grid.stations[place] for place in inside)
        grid = replace(self.grid, lat=self.grid.lat[:, inside], lon=self.grid.lon[:, inside], stations=ids)
        return replace(self, values=_at_places(self.values, inside), grid=grid, mask=self.mask[:, inside])


def _at_places(values: Array, places: np.ndarray) -> Array:
    if isinstance(values, Rows):
        return values.map(lambda block, _: _at_places(block, places), (*values.shape[1:-1], len(places)))
    return array_namespace(values).take(values, beside(places, values), axis=-1)


@dataclass(frozen=True, eq=False)
class Observed(Rows):
    """The target at the steps of an axis, read when it is asked for; NaN where it has none or is not finite.

    Parameters
    ----------
    backend : Backend
        Whose arrays are made.
    data : Dataset
        Variables of dims (time, ...) on one grid.
    grid : Grid
        That grid.
    steps : ndarray of int64, shape (time,)
        Which step of ``data`` each row is; negative where there is none.
    """

    dtype = np.dtype(np.float32)
    backend: Backend
    data: xr.Dataset
    grid: Grid
    steps: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """Of (time, target, lat, lon)."""
        return (len(self.steps), len(self.data.data_vars), *self.grid.shape)

    def read(self, positions: np.ndarray) -> Array:
        """Return some steps."""
        steps = self.steps[positions]
        there = steps >= 0
        host = np.full((len(positions), *self.shape[1:]), np.nan, np.float32)
        if there.any():
            chosen = self.data.isel(time=as_slice(steps[there]))
            for place, name in enumerate(self.data.data_vars):
                host[there, place] = field(chosen, str(name), self.grid, "time")
        host[~np.isfinite(host)] = np.nan
        return self.backend.asarray(host)


def build_truth(
    target: xr.Dataset,
    axis: Axis,
    config: TargetConfig,
    train: TrainSplit,
    room: Room,
    cells: Mapping[str, np.ndarray] | None = None,
) -> Truth:
    """Return the target at every step of ``axis``, kept in ``room`` on the device of its backend.

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
    backend = room.backend
    values = room.keep(Observed(backend, target, grid, axis.target), "truth")
    xp = backend.xp
    days = anywhere(values, xp.isfinite, backend)
    without = frozenset(name for name, index in axis.positions.items() if not days[index].any())
    for name in sorted(without & {"train", "validation"}):
        span = " to ".join(axis.split.spans[name])
        raise SplitError(f"split {name!r} ({span}) has predictors and no truth; only a test set may go without.")
    # A pixel of a tile is no place: that train tiles lack truth there says nothing of others.
    mask = xp.asarray(np.ones(grid.shape, bool)) if grid.image else fit_mask(values, train, config, cells)
    inside = backend.to_host(mask)
    values = values if inside.all() else only(values, inside)
    known = anywhere(values, xp.isfinite, backend)
    units = tuple(str(target[name].attrs.get("units", "")) for name in names)
    standard = tuple(str(target[name].attrs.get("standard_name", "")) for name in names)
    return Truth(values, names, units, grid, inside, known, without, standard_names=standard)


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
    seen, days = train.take(values), 0
    count = xp.zeros(seen.shape[1:], dtype=xp.int64)
    for part in blocks(seen):
        finite = xp.isfinite(seen[part, ...])
        days += int(xp.sum(xp.astype(xp.any(finite, axis=(1, 2, 3)), xp.int64)))
        count = count + xp.sum(xp.astype(finite, xp.int64), axis=0)
    count = xp.min(count, axis=0)
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
