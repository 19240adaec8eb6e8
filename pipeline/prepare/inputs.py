"""Predictors as standardised channels on one grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.backend import array_namespace
from pipeline.errors import ConfigError
from pipeline.grid import Grid
from pipeline.prepare.align import Axis, Predictors
from pipeline.prepare.arrays import beside, ever
from pipeline.prepare.carried import carry, channel_names, channel_units, common_grid
from pipeline.prepare.climatology import Climatology
from pipeline.prepare.config import PrepareConfig
from pipeline.prepare.coverage import carriers_of, covered_by, require_mostly_inside
from pipeline.prepare.missing import Missing, deal_with, refuse_many, runs_of_splits
from pipeline.prepare.powers import forward
from pipeline.prepare.regrid import Method
from pipeline.prepare.scaling import Standardiser
from pipeline.prepare.splits import TrainSplit
from pipeline.registry import suggest
from pipeline.rows import Room, Rows, as_rows

Array = Any


@dataclass(frozen=True, eq=False)
class InputTransform:
    """What was fitted to make channels of predictors, and applied to all of them alike.

    Parameters
    ----------
    names, units : tuple of str
        Of the channels, without lags; units before standardisation.
    lags : tuple of int
        Steps back in time that are given.
    grid : Grid
        The channels' common grid.
    method : {"bilinear", "nearest", "conservative"}
        How fields are carried over to it.
    transforms : tuple of str
        What is done to each channel before all else: ``none``, ``sqrt`` or ``log1p``.
    anomaly : Climatology or None
        What is subtracted first.
    scaler : Standardiser
        Means and deviations of the train split.
    unseen : array of bool, shape (channel, lat, lon)
        Cells without any value in the train split (the land of an ocean field), which are always 0.
    covered : ndarray of bool, shape (channel, lat, lon)
        Cells of ``grid`` among the cells of the channel's own dataset; new data must cover them too.
    missing : {"leave_out", "mean", "last"}
        What becomes of missing values, see :mod:`pipeline.prepare.missing`.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    lags: tuple[int, ...]
    grid: Grid
    method: Method
    transforms: tuple[str, ...]
    anomaly: Climatology | None
    scaler: Standardiser
    unseen: Array
    covered: np.ndarray
    missing: Missing = "leave_out"

    @classmethod
    def fit(
        cls,
        raw: Array,
        train: TrainSplit,
        config: PrepareConfig,
        grid: Grid,
        names: Sequence[str],
        units: Sequence[str],
        covered: np.ndarray,
    ) -> InputTransform:
        """Fit on the train rows of ``raw``, shape (time, channel, lat, lon), in units.

        Raises
        ------
        TypeError
            If ``train`` is not a TrainSplit.
        DataError
            If a channel has no finite value in the train split.
        ConfigError
            If ``inputs.transform`` names a predictor that is not there.
        """
        TrainSplit.require(train, "InputTransform")
        transforms = _transforms(config.inputs.transform, names)
        raw = _transformed(raw, transforms)
        seen, anomaly = train.take(raw), None
        unseen = ~ever(seen, array_namespace(raw).isfinite)
        if config.inputs.anomaly == "day_of_year":
            anomaly = Climatology.fit(raw, train, harmonics=config.harmonics)
            seen = _less(seen, anomaly, train.phase)
        scaler = Standardiser.fit(seen, train.alone(), per=config.inputs.scale, names=names)
        lags, method, missing = config.inputs.steps_back, config.regrid.method, config.inputs.missing
        return cls(
            tuple(names), tuple(units), lags, grid, method, transforms, anomaly, scaler, unseen, covered, missing
        )

    def forward(self, raw: Array, phase: np.ndarray, room: Room) -> tuple[Array, np.ndarray]:
        """Return standardised channels, and which channel misses a value at which step.

        Parameters
        ----------
        raw : array of float32 or Rows, shape (time, channel, lat, lon)
            In units, on ``grid``.
        phase : ndarray, shape (time,)
            Phase of the year of every step.
        room : Room
            Where the channels are kept.

        Returns
        -------
        array of float32 or Rows, shape (time, channel, lat, lon)
        ndarray of bool, shape (time, channel)
        """
        xp = array_namespace(raw)
        missing = np.zeros(raw.shape[:2], bool)

        def made(block: Array, places: np.ndarray) -> Array:
            block = _transformed(block, self.transforms)
            if self.anomaly is not None:
                block = self.anomaly.anomalies(block, phase[places])
            values = self.scaler.transform(block)
            return xp.where(self.unseen, xp.zeros_like(values), values)

        def look(block: Array, part: slice) -> None:
            missing[part] = room.backend.to_host(xp.any(~xp.isfinite(block), axis=(2, 3)))

        return room.keep(as_rows(raw, room.backend).map(made), "channels", look), missing


@dataclass(frozen=True, eq=False)
class Inputs:
    """Standardised predictors on the whole axis.

    Parameters
    ----------
    values : array of float32, shape (time, channel, lat, lon)
        Finite where ``complete``.
    complete : ndarray of bool, shape (time,)
        Steps that a sample can be made of.
    usable : ndarray of bool, shape (time, lat, lon), or None
        Of a table with missing values: stations of each step that have all of them.
    filled : float
        Share of the values that were missing and filled.
    transform : InputTransform
        What was fitted to make them.
    regridding : tuple of dict
        For each dataset, its grid, how it was carried over and how many cells lie outside.
    """

    values: Array
    complete: np.ndarray
    usable: np.ndarray | None
    filled: float
    transform: InputTransform
    regridding: tuple[dict[str, Any], ...]


def build_inputs(
    predictors: Predictors,
    target: Grid,
    axis: Axis,
    config: PrepareConfig,
    train: TrainSplit,
    room: Room,
    cells: np.ndarray | None = None,
) -> Inputs:
    """Return the predictors as channels, kept in ``room`` on the device of its backend.

    A step with a missing value in a cell that has some on other train days is marked incomplete,
    and makes no sample. ``cells``, bool (lat, lon), are those of the target that may be fitted on, where they are
    not all.

    Raises
    ------
    ConfigError
        If ``regrid.to`` names no grid.
    DataError
        If a channel has no value, a variable has the wrong dims, more than ``inputs.max_missing`` of a
        split's steps miss a value, or a dataset lies elsewhere than the common grid.
    """
    grid = common_grid(predictors, target, config.regrid)
    names, units = channel_names(predictors), channel_units(predictors)
    carriers = carriers_of(predictors, grid, config.regrid.method)
    require_mostly_inside(carriers)
    backend = room.backend
    raw = room.keep(carry(predictors, axis.predictors, carriers, backend), "predictors")
    cells = cells if grid.stations == target.stations else None
    transform = InputTransform.fit(
        only(raw, cells), train, config, grid, names, units, covered_by(predictors, carriers)
    )
    if cells is not None or grid.image:
        transform = replace(transform, unseen=_nowhere(transform.unseen, cells))
    values, missed = transform.forward(raw, axis.phase, room)
    how = config.inputs.missing
    run = runs_of_splits(axis.positions, axis.count, axis.step)
    filled = deal_with(values, missed, how, run, table=is_table(grid, target), room=room)
    refuse_many(missed, filled.lost, names, axis.positions, config.inputs.max_missing)
    told = tuple(carrier.told() for carrier in carriers)
    return Inputs(filled.values, filled.complete, filled.usable, filled.filled, transform, told)


def only(values: Array, cells: np.ndarray | None) -> Array:
    """Return ``values`` of shape (..., lat, lon) with NaN outside of ``cells``; None: as they are."""
    if cells is None:
        return values
    if isinstance(values, Rows):
        return values.map(lambda block, places: only(block, cells if cells.ndim < 3 else cells[places]))
    xp = array_namespace(values)
    return xp.where(beside(cells, values), values, xp.full_like(values, float("nan")))


def _nowhere(unseen: Array, cells: np.ndarray | None) -> Array:
    """Return the channels that no cell has values of, for all cells: a basin, or a pixel of a tile, is as another."""
    xp = array_namespace(unseen)
    own = unseen if cells is None else unseen | ~beside(cells, unseen)
    return xp.broadcast_to(xp.all(own, axis=(1, 2), keepdims=True), unseen.shape)


def is_table(grid: Grid, target: Grid) -> bool:
    """Whether inputs are series of the target's own stations, several of them: samples of their own."""
    return len(grid.stations) > 1 and grid.stations == target.stations


def _transforms(asked: Mapping[str, str], names: Sequence[str]) -> tuple[str, ...]:
    """Return the transform of every channel; a predictor is named with or without its dataset."""
    plain = [name.rpartition(":")[2] for name in names]
    unknown = [name for name in asked if name not in names and name not in plain]
    if unknown:
        raise ConfigError(
            f"prepare.inputs.transform: no predictor {unknown[0]!r}.{suggest(unknown[0], names)} "
            f"Known: {', '.join(names)}."
        )
    return tuple(asked.get(name, asked.get(short, "none")) for name, short in zip(names, plain, strict=True))


def _transformed(raw: Array, transforms: Sequence[str]) -> Array:
    """Return the root or logarithm of the channels that ask for it; NaN stays."""
    if set(transforms) == {"none"}:
        return raw
    if isinstance(raw, Rows):
        return raw.map(lambda block, _: _transformed(block, transforms))
    parts = [forward(raw[:, number : number + 1, ...], kind) for number, kind in enumerate(transforms)]
    return array_namespace(raw).concat(parts, axis=1)


def _less(raw: Array, anomaly: Climatology, phase: np.ndarray) -> Array:
    if isinstance(raw, Rows):
        return raw.map(lambda block, places: anomaly.anomalies(block, phase[places]))
    return anomaly.anomalies(raw, phase)
