"""Samples of every split, and the way back from predictions to units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import xarray as xr

from pipeline.backend import Backend
from pipeline.errors import DataError
from pipeline.prepare.affine import channel_affine, target_affine
from pipeline.prepare.align import Axis, Predictors, align, crop
from pipeline.prepare.arrays import beside, rows
from pipeline.prepare.climatology import Climatology
from pipeline.prepare.config import PrepareConfig
from pipeline.prepare.elsewhere import Elsewhere, TestSource, prepare_elsewhere
from pipeline.prepare.empirical import EmpiricalClimatology
from pipeline.prepare.inputs import build_inputs, lag_names
from pipeline.prepare.recipe import Recipe, Steps
from pipeline.prepare.scalars import ScalarTransform, forcing_names, forcing_values, require_different
from pipeline.prepare.splits import TimeSplit
from pipeline.prepare.summary import summarise
from pipeline.prepare.targets import build_statics, build_truth
from pipeline.prepare.transform import TargetTransform
from pipeline.prepare.windows import Windows, windows
from pipeline.samples import Samples, Schema
from pipeline.units import quantity

Array = Any


@dataclass(frozen=True, eq=False, kw_only=True)
class Prepared(Recipe):
    """An experiment's data, ready for models, beside what was fitted on them.

    Parameters
    ----------
    splits : mapping of str to Windows
        The samples of every split, in the order train, validation, tests.
    steps : Steps
        All dates of the splits, encoded.
    target : array of float32, shape (time, target, lat, lon)
        In units, NaN outside the mask and where there is no truth, on the device.
    elsewhere : mapping of str to Elsewhere
        Test sets with data of their own.
    facts : mapping
        For the report; see :meth:`summary`.
    """

    splits: Mapping[str, Windows]
    steps: Steps
    target: Array
    elsewhere: Mapping[str, Elsewhere]
    facts: Mapping[str, Any]

    @property
    def windows(self) -> dict[str, Windows]:
        """The samples of every split and of every test set with data of its own, by name."""
        return {**self.splits, **{name: part.windows for name, part in self.elsewhere.items()}}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the splits: train, validation, the test sets, and those with data of their own."""
        return tuple(self.windows)

    def samples(self, name: str) -> Samples:
        """Return the samples of the split called ``name``.

        ``previous`` is the anomaly of the step before by that step's own day of the year.

        Raises
        ------
        DataError
            If there is no such split.
        """
        chosen, (steps, truth) = self._windows(name), self._data(name)
        xp = self.backend.xp
        target = previous = None
        if chosen.truth and truth is not None:
            target = self._transformed(truth, steps, chosen.now)
            there = beside(chosen.previous >= 0, target)[:, None, None, None]
            before = self._transformed(truth, steps, np.maximum(chosen.previous, 0))
            previous = xp.where(there, before, xp.full_like(before, float("nan")))
        return self._samples(name, chosen, steps, target, previous)

    def truth(self, name: str) -> np.ndarray | None:
        """Return the truth of a split in units, float32 on the host, (time, target, lat, lon).

        NaN where it is missing and outside the mask; None for a test set without truth.

        Raises
        ------
        DataError
            If there is no such split.
        """
        chosen, (_, truth) = self._windows(name), self._data(name)
        return self.backend.to_host(rows(truth, chosen.now)) if chosen.truth and truth is not None else None

    def summary(self) -> dict[str, Any]:
        """Return what a report says of the data, as JSON values; keys are those of ``summarise``."""
        return dict(self.facts)

    def save(self, folder: Path) -> None:
        """Write everything into ``folder`` (made if needed): the recipe, and the data as npy."""
        from pipeline.prepare.storage import save_data

        super().save(folder)
        save_data(self, folder)

    @classmethod
    def load(cls, folder: Path, backend: Backend) -> Self:
        """Return what :meth:`save` wrote, on the device of ``backend``.

        Raises
        ------
        DataError
            If the folder does not hold it.
        """
        from pipeline.prepare.storage import data_parts, recipe_parts

        return cls(**recipe_parts(folder, backend), **data_parts(folder, backend), backend=backend)

    def _transformed(self, truth: Array, steps: Steps, index: np.ndarray) -> Array:
        return self.transform.forward(rows(truth, index), steps.phase[index])

    def _data(self, name: str) -> tuple[Steps, Array | None]:
        part = self.elsewhere.get(name)
        return (self.steps, self.target) if part is None else (part.steps, part.target)

    def _windows(self, name: str) -> Windows:
        if name not in self.windows:
            raise DataError(f"expected a split of {', '.join(self.windows)}, got {name!r}.")
        return self.windows[name]


def prepare(
    predictors: Predictors,
    target: xr.Dataset,
    static: Sequence[xr.Dataset] = (),
    forcings: Sequence[xr.Dataset] = (),
    *,
    tests: Mapping[str, TestSource] | None = None,
    config: PrepareConfig,
    split: TimeSplit,
    months: Sequence[int] | None = None,
    region: Mapping[str, tuple[float, float]] | None = None,
    backend: Backend,
    notes: Sequence[str] = (),
) -> Prepared:
    """Turn regular datasets into samples; everything fitted is fitted on the train split alone.

    Parameters
    ----------
    predictors : sequence of (str, Dataset)
        Name and data of each dataset: variables of dims (time, lat, lon) or (time, y, x), attr ``units``.
    target : Dataset
        The same for what is asked for. A test set whose dates it lacks is predicted and not scored.
    static : sequence of Dataset
        Fields of dims (lat, lon) or (y, x), or values of the target's stations.
    forcings : sequence of Dataset
        Series of dims (time,), which become channels without a place.
    tests : mapping of str to TestSource, optional
        Test sets with data of their own; nothing is fitted on them.
    config : PrepareConfig
        The experiment's ``prepare`` section.
    split : TimeSplit
        Which dates belong to which split.
    months : sequence of int, optional
        Months that are kept, 1 to 12; lags and the step before never reach across what is left out.
    region : mapping of str to (float, float), optional
        Bounds in ``lat`` and ``lon`` [degrees] inside which target cells are kept.
    backend : Backend
        Where arrays are made and kept.
    notes : sequence of str
        What was done to the data before, for the report.

    Raises
    ------
    DataError
        If data are missing, out of order, of other dims, or have no value where one is needed.
    SplitError
        If a split is left without data or truth.
    ConfigError
        If ``config.regrid`` asks for what is not there.
    """
    target = crop(target, region)
    axis = align(predictors, target, split, months, config.calendars)
    train = axis.split.train_split(axis.time)
    truth = build_truth(target, axis, config.target, train, backend)
    inputs = build_inputs(predictors, truth.grid, axis, config, train, backend)
    statics = build_statics(static, truth.grid, config.regrid.method)
    cycle = Climatology.fit(truth.values, train, harmonics=config.harmonics)
    transform = TargetTransform.fit(truth.values, train, cycle, config.target, truth.names)
    rain = any(quantity(units) == "precipitation" for units in truth.units)
    reference = EmpiricalClimatology.fit(truth.values, train) if rain else cycle
    lags, encoder = config.inputs.lags, inputs.transform
    names, units = forcing_names(forcings)
    raw = forcing_values(forcings, axis.time)
    scalars = ScalarTransform.fit(raw, names, units, train, calendar=config.inputs.calendar)
    require_different(encoder.names, scalars.names)
    schema = Schema(
        channels=(*lag_names(encoder.names, lags), *scalars.names),
        channel_units=(*encoder.units * len(lags), *scalars.channel_units),
        targets=truth.names,
        target_units=truth.units,
        input_grid=encoder.grid,
        target_grid=truth.grid,
        mask=truth.mask,
        static=statics.values,
        statics=statics.names,
        step=np.timedelta64(axis.step, "us"),
        scalars=scalars.names,
        channel_affine=channel_affine(encoder, scalars, backend),
        target_affine=target_affine(transform, backend),
    )
    chosen = _windows_of(axis, lags, inputs.complete, truth.known, truth.without)
    fitted: dict[str, Any] = {
        "schema": schema,
        "transform": transform,
        "reference": reference,
        "encoder": encoder,
        "scalars": scalars,
        "backend": backend,
    }
    recipe = Recipe(**fitted)
    elsewhere = {
        name: prepare_elsewhere(recipe, name, source, months, region) for name, source in (tests or {}).items()
    }
    return Prepared(
        **fitted,
        splits=chosen,
        steps=Steps(axis.time, axis.phase, inputs.values, scalars.forward(raw, axis.phase), inputs.complete),
        target=truth.values,
        elsewhere=elsewhere,
        facts=summarise(
            axis, inputs, truth, statics, cycle, transform, chosen, config, months, elsewhere, scalars, notes
        ),
    )


def _windows_of(
    axis: Axis, lags: Sequence[int], complete: np.ndarray, known: np.ndarray, without: frozenset[str]
) -> dict[str, Windows]:
    return {
        name: windows(name, index, axis.count, axis.step, lags, complete, None if name in without else known)
        for name, index in axis.positions.items()
    }
