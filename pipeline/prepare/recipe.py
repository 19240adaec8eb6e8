"""All that was fitted: enough to encode new predictors and to turn predictions back into units."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from pipeline.backend import Backend
from pipeline.errors import DataError
from pipeline.prediction import Prediction
from pipeline.prepare.align import Predictors, shared_dates
from pipeline.prepare.arrays import rows
from pipeline.prepare.climatology import Climatology
from pipeline.prepare.dates import microseconds, phase_of_year
from pipeline.prepare.inputs import InputTransform, carry, channel_names, channel_units
from pipeline.prepare.transform import TargetTransform
from pipeline.prepare.windows import Windows, windows
from pipeline.samples import Samples, Schema

Array = Any


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
    reference : Climatology
        The day-of-year climatology of the target, in units.
    backend : Backend
        Whose arrays these are.
    """

    schema: Schema
    encoder: InputTransform
    transform: TargetTransform
    reference: Climatology
    backend: Backend

    def to_units(self, prediction: Prediction, samples: Samples) -> Prediction:
        """Return a prediction for ``samples`` in units of the target, NaN outside the mask."""
        return self.transform.to_units(prediction, samples.day)

    def climatology(self, samples: Samples) -> Prediction:
        """Return the train split's climatology as a normal forecast for ``samples``, in units."""
        return self.reference.forecast(samples.day)

    def encode(self, predictors: Predictors, *, name: str = "input") -> Samples:
        """Return samples of new predictors, channels chosen by name; steps that miss a value or a lag are left out.

        Parameters
        ----------
        predictors : sequence of (str, Dataset)
            As for ``prepare``; the same dataset names where channels are called ``dataset:variable``.
        name : str
            What the samples are called.

        Raises
        ------
        DataError
            If a channel is missing or has other units, or the times cannot be matched.
        SplitError
            If no step is complete.
        """
        names = channel_names(predictors)
        units = dict(zip(names, channel_units(predictors), strict=True))
        for channel, wanted in zip(self.encoder.names, self.encoder.units, strict=True):
            if channel not in units:
                raise DataError(f"expected a channel {channel!r} among the predictors, got {', '.join(names)}.")
            if units[channel] != wanted:
                raise DataError(f"channel {channel!r}: expected units {wanted!r}, got {units[channel]!r}; convert it.")
        time, steps = shared_dates(predictors)
        raw, _ = carry(predictors, steps, self.encoder.grid, self.encoder.method, self.backend)
        order = np.array([names.index(channel) for channel in self.encoder.names])
        raw = self.backend.xp.take(raw, self.backend.asarray(order), axis=1)
        phase = phase_of_year(time)
        values, missing = self.encoder.forward(raw, phase)
        complete = np.logical_not(self.backend.to_host(missing)).all(axis=1)
        step = int(self.schema.step / np.timedelta64(1, "us"))
        chosen = windows(name, np.arange(len(time)), microseconds(time), step, self.encoder.lags, complete, None)
        return self._samples(name, chosen, values, time, phase)

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
        inputs: Array,
        time: np.ndarray,
        phase: np.ndarray,
        target: Array | None = None,
        previous: Array | None = None,
    ) -> Samples:
        lagged = [rows(inputs, index) for index in chosen.index.T]
        return Samples(
            name=name,
            inputs=lagged[0] if len(lagged) == 1 else self.backend.xp.concat(lagged, axis=1),
            target=target,
            previous=previous,
            time=time[chosen.now],
            day=phase[chosen.now],
            schema=self.schema,
        )
