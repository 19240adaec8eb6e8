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
from pipeline.prepare.align import Axis, Predictors, align, crop
from pipeline.prepare.arrays import beside, rows
from pipeline.prepare.climatology import Climatology
from pipeline.prepare.config import PrepareConfig
from pipeline.prepare.inputs import build_inputs, lag_names
from pipeline.prepare.recipe import Recipe
from pipeline.prepare.splits import TimeSplit
from pipeline.prepare.summary import summarise
from pipeline.prepare.targets import build_statics, build_truth
from pipeline.prepare.transform import TargetTransform
from pipeline.prepare.windows import Windows, windows
from pipeline.samples import Samples, Schema

Array = Any


@dataclass(frozen=True, eq=False, kw_only=True)
class Prepared(Recipe):
    """An experiment's data, ready for models, beside what was fitted on them.

    Parameters
    ----------
    windows : mapping of str to Windows
        The samples of every split, in the order train, validation, tests.
    time, phase : ndarray, shape (time,)
        Stamps and phases of the year of all steps, on the host.
    inputs : array of float32, shape (time, channel, lat, lon)
        Standardised channels without lags, on the device.
    target : array of float32, shape (time, target, lat, lon)
        In units, NaN outside the mask and where there is no truth, on the device.
    facts : mapping
        For the report; see :meth:`summary`.
    """

    windows: Mapping[str, Windows]
    time: np.ndarray
    phase: np.ndarray
    inputs: Array
    target: Array
    facts: Mapping[str, Any]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the splits: train, validation and the test sets."""
        return tuple(self.windows)

    def samples(self, name: str) -> Samples:
        """Return the samples of the split called ``name``.

        ``previous`` is the anomaly of the step before by that step's own day of the year.

        Raises
        ------
        DataError
            If there is no such split.
        """
        chosen = self._windows(name)
        xp = self.backend.xp
        target = previous = None
        if chosen.truth:
            target = self._transformed(chosen.now)
            there = beside(chosen.previous >= 0, target)[:, None, None, None]
            before = self._transformed(np.maximum(chosen.previous, 0))
            previous = xp.where(there, before, xp.full_like(before, float("nan")))
        return self._samples(name, chosen, self.inputs, self.time, self.phase, target, previous)

    def truth(self, name: str) -> np.ndarray | None:
        """Return the truth of a split in units, float32 on the host, (time, target, lat, lon).

        NaN where it is missing and outside the mask; None for a test set without truth.

        Raises
        ------
        DataError
            If there is no such split.
        """
        chosen = self._windows(name)
        return self.backend.to_host(rows(self.target, chosen.now)) if chosen.truth else None

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

    def _transformed(self, index: np.ndarray) -> Array:
        return self.transform.forward(rows(self.target, index), self.phase[index])

    def _windows(self, name: str) -> Windows:
        if name not in self.windows:
            raise DataError(f"expected a split of {', '.join(self.windows)}, got {name!r}.")
        return self.windows[name]


def prepare(
    predictors: Predictors,
    target: xr.Dataset,
    static: Sequence[xr.Dataset] = (),
    *,
    config: PrepareConfig,
    split: TimeSplit,
    months: Sequence[int] | None = None,
    region: Mapping[str, tuple[float, float]] | None = None,
    backend: Backend,
) -> Prepared:
    """Turn regular datasets into samples; everything fitted is fitted on the train split alone.

    Parameters
    ----------
    predictors : sequence of (str, Dataset)
        Name and data of each dataset: variables of dims (time, lat, lon) or (time, y, x), attr ``units``.
    target : Dataset
        The same for what is asked for. A test set whose dates it lacks is predicted and not scored.
    static : sequence of Dataset
        Fields of dims (lat, lon) or (y, x).
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
    reference = Climatology.fit(truth.values, train, harmonics=config.harmonics)
    transform = TargetTransform.fit(truth.values, train, reference, config.target, truth.names)
    lags = config.inputs.lags
    encoder = inputs.transform
    schema = Schema(
        channels=lag_names(encoder.names, lags),
        channel_units=encoder.units * len(lags),
        targets=truth.names,
        target_units=truth.units,
        input_grid=encoder.grid,
        target_grid=truth.grid,
        mask=truth.mask,
        static=statics.values,
        statics=statics.names,
        step=np.timedelta64(axis.step, "us"),
    )
    chosen = _windows_of(axis, lags, inputs.complete, truth.known, truth.without)
    return Prepared(
        schema=schema,
        transform=transform,
        reference=reference,
        encoder=encoder,
        windows=chosen,
        time=axis.time,
        phase=axis.phase,
        inputs=inputs.values,
        target=truth.values,
        facts=summarise(axis, inputs, truth, statics, reference, transform, chosen, config, months),
        backend=backend,
    )


def _windows_of(
    axis: Axis, lags: Sequence[int], complete: np.ndarray, known: np.ndarray, without: frozenset[str]
) -> dict[str, Windows]:
    return {
        name: windows(name, index, axis.count, axis.step, lags, complete, None if name in without else known)
        for name, index in axis.positions.items()
    }
