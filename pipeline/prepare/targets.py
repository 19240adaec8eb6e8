"""The truth with its mask, and fields that do not change in time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
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
from pipeline.prepare.regrid import Method, Regridder
from pipeline.prepare.scaling import CONSTANT
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
    """

    values: Array
    names: tuple[str, ...]
    units: tuple[str, ...]
    grid: Grid
    mask: np.ndarray
    known: np.ndarray
    without: frozenset[str]
    classes: tuple[str, ...] = ()

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


@dataclass(frozen=True, eq=False)
class Statics:
    """Fields that do not change in time, standardised over the target grid.

    Parameters
    ----------
    values : ndarray of float32, shape (static, lat, lon)
        Finite; cells without a value are 0, the mean.
    names, units : tuple of str
        Of the fields, units before standardisation.
    """

    values: np.ndarray
    names: tuple[str, ...]
    units: tuple[str, ...]


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
    return Truth(values, names, units, grid, backend.to_host(mask), known, without)


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


def build_statics(static: Sequence[xr.Dataset], grid: Grid, method: Method, cells: np.ndarray | None = None) -> Statics:
    """Return the static fields on the target ``grid``: a table's values by the stations' identifiers.

    Mean and deviation are those of ``cells``, bool (lat, lon), where not all may be fitted on.

    Raises
    ------
    DataError
        If two have the same name, one has no finite value or other dims, or a table lacks a station.
    """
    values, names, units = [], [], []
    for data in static:
        source = Grid.of(data)
        by_name = bool(source.stations and grid.stations)
        carry = _of_stations(source, grid) if by_name else Regridder.between(source, grid, method)
        for key in data.data_vars:
            name = str(key)
            if name in names:
                raise DataError(f"expected static fields with names of their own, got {name!r} twice.")
            carried = carry(field(data, name, source).astype(np.float32))
            if by_name and not np.isfinite(carried).all():
                lacking = [grid.stations[place] for place in np.flatnonzero(~np.isfinite(carried.ravel()))]
                raise DataError(
                    f"data.static: expected a value of {name!r} for every station of the target, got none for "
                    f"{', '.join(lacking[:5])}. Leave the attribute out, or these stations."
                )
            values.append(_standardised(carried, name, cells))
            names.append(name)
            units.append(str(data[name].attrs.get("units", "")))
    stacked = np.stack(values) if values else np.zeros((0, *grid.shape), np.float32)
    return Statics(stacked, tuple(names), tuple(units))


def _of_stations(source: Grid, grid: Grid) -> Callable[[np.ndarray], np.ndarray]:
    """Return what takes the stations of ``grid`` from a row of those of ``source``."""
    missing = [name for name in grid.stations if name not in source.stations]
    if missing:
        raise DataError(
            f"data.static: expected values of all {len(grid.stations)} stations of the target, got none for "
            f"{', '.join(missing[:5])}; the table has {', '.join(source.stations[:5])} and so on. Give both the same "
            "identifiers."
        )
    order = [source.stations.index(name) for name in grid.stations]
    return lambda values: values[..., order]


def _standardised(values: np.ndarray, name: str, cells: np.ndarray | None) -> np.ndarray:
    finite = np.isfinite(values)
    fitted = finite if cells is None else finite & cells
    if not fitted.any():
        raise DataError(f"static field {name!r} has no finite value on the target grid; expected some.")
    known = values[fitted].astype(float)
    mean, deviation = known.mean(), known.std()
    if deviation <= CONSTANT * abs(mean):
        deviation = 1.0
    return np.where(finite, (values - mean) / deviation, 0.0).astype(np.float32)
