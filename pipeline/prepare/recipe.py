"""All that was fitted: enough to encode new predictors and to turn predictions back into units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import xarray as xr

from pipeline.backend import Backend
from pipeline.errors import DataError
from pipeline.lagged import Lagged
from pipeline.prediction import Prediction
from pipeline.prepare.align import Predictors, shared_dates
from pipeline.prepare.arrays import rows
from pipeline.prepare.carried import carry, channel_names, channel_units
from pipeline.prepare.climatology import Climatology
from pipeline.prepare.coverage import carriers_of, require_covered
from pipeline.prepare.dates import ahead, as_times, elapsed, phase_of_year
from pipeline.prepare.empirical import EmpiricalClimatology
from pipeline.prepare.frequencies import ClassFrequencies
from pipeline.prepare.inputs import InputTransform, is_table, only
from pipeline.prepare.labels import EventLabel
from pipeline.prepare.missing import deal_with
from pipeline.prepare.places import of_same_stations, placed_predictors
from pipeline.prepare.scalars import ScalarTransform, forcing_values
from pipeline.prepare.transform import TargetTransform
from pipeline.prepare.windows import Windows, require_step, segments, windows
from pipeline.rows import Room, Rows
from pipeline.samples import Past, Samples, Schema

Array = Any


@dataclass(frozen=True, eq=False)
class Steps:
    """Encoded dates of one source, before lags make samples of them.

    Parameters
    ----------
    time : ndarray, shape (time,)
        Stamps, on the host.
    phase : ndarray, shape (time,)
        Phase of the year in [0, 1).
    inputs : array of float32, shape (time, channel, lat, lon)
        Standardised channels without lags and scalars, on the device.
    scalars : ndarray of float32, shape (time, scalar)
        Channels without a place, on the host.
    complete : ndarray of bool, shape (time,)
        Whether a sample can be made of a date.
    usable : ndarray of bool, shape (time, lat, lon), or None
        Of a table with missing values: stations of each date that have all of them.
    """

    time: np.ndarray
    phase: np.ndarray
    inputs: Array
    scalars: np.ndarray
    complete: np.ndarray
    usable: np.ndarray | None = None

    def take(self, index: np.ndarray) -> Steps:
        """Return the dates at the positions ``index``."""
        return Steps(
            self.time[index],
            self.phase[index],
            rows(self.inputs, index),
            self.scalars[index],
            self.complete[index],
            None if self.usable is None else self.usable[index],
        )

    def cells_of(self, windows: Windows) -> np.ndarray | None:
        """Return which cells of each sample have every value of its window, (sample, lat, lon); None for all."""
        if self.usable is None:
            return None
        known: np.ndarray = self.usable[windows.now]
        for index in windows.index.T:
            known = known & self.usable[index]
        return known


@dataclass(frozen=True, eq=False, kw_only=True)
class Recipe:
    """What was fitted on the train split; arrays live on the device of ``backend``.

    Parameters
    ----------
    schema : Schema
        What all samples share.
    encoder : InputTransform
        From predictors to channels.
    transform : TargetTransform
        From the target to the space of the samples, and back.
    scalars : ScalarTransform
        From forcings and dates to the channels without a place.
    reference : Climatology, EmpiricalClimatology or ClassFrequencies
        What is known of the target without predictors, in units: a normal curve round the day-of-year
        climatology, or where a target is precipitation the quantiles of the train days at that time of the year;
        of classes, how often each was seen.
    label : EventLabel or None
        What makes classes of the target's values, where they are no class numbers.
    backend : Backend
        Whose arrays these are.
    """

    schema: Schema
    encoder: InputTransform
    scalars: ScalarTransform
    transform: TargetTransform
    reference: Climatology | EmpiricalClimatology | ClassFrequencies
    label: EventLabel | None = None
    backend: Backend

    def to_units(self, prediction: Prediction, samples: Samples) -> Prediction:
        """Return a prediction for ``samples`` in units of the target.

        NaN outside the mask, and at stations of a table that miss predictors.
        """
        answer = self.transform.to_units(prediction, samples.valid_day)
        if samples.usable is None:
            return answer
        return answer.map(partial(only, cells=samples.usable[:, None]))

    def climatology(self, samples: Samples) -> Prediction:
        """Return the train split's climatology as a forecast for ``samples``, in units: normal, or members."""
        parts = [self.reference.forecast(phase) for phase in samples.valid_day.T]
        return parts[0] if len(parts) == 1 else side_by_side(parts, self.backend.xp)

    def encode(
        self,
        predictors: Predictors,
        forcings: Sequence[xr.Dataset] = (),
        *,
        name: str = "input",
        step: int | None = None,
    ) -> Samples:
        """Return samples of new predictors, channels chosen by name; steps that miss a value or a lag are left out.

        Of a table a station that misses one is left out alone: its answer is NaN.

        Parameters
        ----------
        predictors : sequence of (str, Dataset)
            As for ``prepare``; the same dataset names where channels are called ``dataset:variable``.
        forcings : sequence of Dataset
            Series of the names that the recipe was fitted with; others are not looked at.
        name : str
            What the samples are called.
        step : int, optional
            Usual time between two steps [us], where these are a few dates of a longer series; else it is worked out.

        Raises
        ------
        DataError
            If a channel is missing or has other units, the times cannot be matched or are of another step, or the
            cells do not cover what those of the training data did.
        SplitError
            If no step is complete.
        """
        return self.encode_with(predictors, forcings, name=name, step=step)[0]

    def encode_with(
        self,
        predictors: Predictors,
        forcings: Sequence[xr.Dataset] = (),
        *,
        name: str = "input",
        step: int | None = None,
    ) -> tuple[Samples, Windows, Steps]:
        """Return the samples of :meth:`encode` and the encoded dates that each is made of."""
        steps = self.encode_steps(predictors, forcings, step)
        chosen = self.windows_of(steps, name)
        return self._samples(name, chosen, steps), chosen, steps

    def encode_steps(
        self,
        predictors: Predictors,
        forcings: Sequence[xr.Dataset] = (),
        step: int | None = None,
        room: Room | None = None,
    ) -> Steps:
        """Return every date that all predictors have, encoded and kept in ``room``; for errors see :meth:`encode`."""
        time, raw = self.carried(predictors, step)
        room = Room(self.backend) if room is None else room
        phase = phase_of_year(time)
        values, missing = self.encoder.forward(raw, phase, room)
        filled = deal_with(
            values,
            missing,
            self.encoder.missing,
            segments(elapsed(time), self.schema.step_us),
            table=is_table(self.encoder.grid, self.schema.target_grid),
            room=room,
        )
        return Steps(time, phase, filled.values, self._numbers(forcings, time, phase), filled.complete, filled.usable)

    def _numbers(self, forcings: Sequence[xr.Dataset], time: np.ndarray, phase: np.ndarray) -> np.ndarray:
        return self.scalars.forward(self.forcing_values(forcings, time), phase)

    def forcing_values(self, forcings: Sequence[xr.Dataset], time: np.ndarray) -> np.ndarray:
        """Return the series without a place in units at every date, shape (time, forcing)."""
        return forcing_values(self._forcings(forcings), time)

    def carried(self, predictors: Predictors, step: int | None = None) -> tuple[np.ndarray, Rows]:
        """Return the dates that all predictors have, and the channels there in units on the grid of the inputs."""
        predictors = of_same_stations(placed_predictors(predictors), self.encoder.grid.stations, "the models")
        names = channel_names(predictors)
        units = dict(zip(names, channel_units(predictors), strict=True))
        for channel, wanted in zip(self.encoder.names, self.encoder.units, strict=True):
            if channel not in units:
                raise DataError(f"expected a channel {channel!r} among the predictors, got {', '.join(names)}.")
            if units[channel] != wanted:
                raise DataError(f"channel {channel!r}: expected units {wanted!r}, got {units[channel]!r}; convert it.")
        time, index = shared_dates(predictors, step)
        if step is None:
            for dataset, data in predictors:
                require_step(elapsed(as_times(data["time"].values)), self.schema.step_us, dataset)
        carriers = carriers_of(predictors, self.encoder.grid, self.encoder.method)
        require_covered(carriers, predictors, dict(zip(self.encoder.names, self.encoder.covered, strict=True)), names)
        order = self.backend.asarray(np.array([names.index(channel) for channel in self.encoder.names]))
        raw = carry(predictors, index, carriers, self.backend).map(
            lambda block, _: self.backend.xp.take(block, order, axis=1),
            (len(self.encoder.names), *self.encoder.grid.shape),
        )
        return time, raw

    def windows_of(self, steps: Steps, name: str, known: np.ndarray | None = None) -> Windows:
        """Return the samples of ``steps``; ``known`` says which have truth, where there is any."""
        count = elapsed(steps.time)
        return windows(
            name,
            np.arange(len(count)),
            count,
            self.schema.step_us,
            self.encoder.lags,
            steps.complete,
            known,
            self.schema.leads,
        )

    def _forcings(self, forcings: Sequence[xr.Dataset]) -> list[xr.Dataset]:
        """Return the series that were fitted, each as a dataset of its own, in their order."""
        there = {str(name): data[[name]] for data in forcings for name in data.data_vars}
        for name, units in zip(self.scalars.forcings, self.scalars.units, strict=True):
            if name not in there:
                known = ", ".join(there) or "none"
                raise DataError(f"expected the forcing {name!r} that the models were fitted with, got {known}.")
            got = str(there[name][name].attrs.get("units", ""))
            if got != units:
                raise DataError(f"forcing {name!r}: expected units {units!r}, got {got!r}; convert it.")
        return [there[name] for name in self.scalars.forcings]

    def save(self, folder: Path) -> None:
        """Write all of it into ``folder`` (made if needed) as safetensors and JSON."""
        from pipeline.prepare.storage import save_recipe

        save_recipe(self, folder)

    @classmethod
    def load(cls, folder: Path, backend: Backend) -> Self:
        """Return what :meth:`save` wrote, on the device of ``backend``.

        Raises
        ------
        DataError
            If the folder does not hold it.
        """
        from pipeline.prepare.storage import recipe_parts

        return cls(**recipe_parts(folder, backend), backend=backend)

    def _samples(
        self,
        name: str,
        chosen: Windows,
        steps: Steps,
        target: Array | None = None,
        previous: Array | None = None,
        past: Past | None = None,
    ) -> Samples:
        lagged = Lagged(steps.inputs, self.backend.asarray(steps.scalars), chosen.index, chosen.now)
        return Samples(
            name=name,
            # A window on a long series is many times the series; it is laid out for what asks for it.
            inputs=lagged if chosen.index.shape[1] > 1 else lagged.array(),
            target=target,
            previous=previous,
            time=steps.time[chosen.now],
            day=steps.phase[chosen.now],
            schema=self.schema,
            past=past,
            valid=self._valid(chosen, steps),
            usable=steps.cells_of(chosen),
        )

    def _valid(self, chosen: Windows, steps: Steps) -> np.ndarray | None:
        """Return what times are answered: the data's own stamps, those of the calendar behind their end."""
        leads = self.schema.leads
        if leads == (0,):
            return None
        columns = []
        for lead, index in zip(leads, chosen.ahead.T, strict=True):
            known, later = index >= 0, ahead(steps.time[chosen.now], lead, self.schema.step_us)
            columns.append(np.where(known, steps.time[np.maximum(index, 0)], later))
        return np.stack(columns, axis=1)


def side_by_side(parts: Sequence[Prediction], xp: Any) -> Prediction:
    """Return predictions of one family as one, their targets one behind the other."""
    first = parts[0]
    joined = {name: xp.concat([part.parameters[name] for part in parts], axis=-3) for name in first.parameters}
    return Prediction(first.family, joined)
