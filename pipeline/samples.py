"""What a model is fitted on and asked about."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.grid import Grid
from pipeline.prepare.arrays import rows
from pipeline.units import step_word

Array = Any  # NumPy or CuPy; functions follow the namespace of what they get.


@dataclass(frozen=True, eq=False)
class Affine:
    """The way from a sample's numbers to units, ``number * scale + shift``, where the day has no part in it.

    Parameters
    ----------
    scale, shift : ndarray of float32, shape (variable, lat, lon) or (variable, 1, 1)
        On the host; NaN in cells that have no values.
    transforms : tuple of str
        Of which transform of a variable this is, ``sqrt`` or ``log1p`` (:mod:`pipeline.prepare.powers`); ``none``, or
        an empty tuple, where it is of the variable itself.
    """

    scale: np.ndarray
    shift: np.ndarray
    transforms: tuple[str, ...] = ()

    def transform(self, place: int) -> str:
        """Return the transform of the variable at ``place``."""
        return self.transforms[place] if self.transforms else "none"


@dataclass(frozen=True, eq=False)
class Schema:
    """What all splits of a prepared experiment share.

    Parameters
    ----------
    channels : tuple of str
        Names of the input channels in array order, ``"tas"``, ``"tas@-1"`` for a lag of one step.
        Kept with every model, so that channels are always chosen by name.
    channel_units : tuple of str
        Units of the channels before standardisation.
    targets, target_units : tuple of str
        Names and units of the target variables in array order.
    input_grid, target_grid : Grid
        Where inputs and target live.
    mask : ndarray of bool, shape (lat, lon)
        Target cells that are predicted and scored; the others are NaN in every output.
    static : ndarray of float32, shape (static, lat, lon)
        Fields that do not change in time, such as orography, on the target grid, standardised.
    statics : tuple of str
        Their names.
    step : np.timedelta64
        Time between two samples of the same season.
    scalars : tuple of str
        Those of ``channels`` that are the same number at every cell of a sample: the day of the year,
        forcings such as greenhouse gases.
    channel_affine : Affine or None
        From the inputs' numbers to ``channel_units``; None where an anomaly by day of the year was taken.
    target_affine : Affine or None
        The same for the targets.
    """

    channels: tuple[str, ...]
    channel_units: tuple[str, ...]
    targets: tuple[str, ...]
    target_units: tuple[str, ...]
    input_grid: Grid
    target_grid: Grid
    mask: np.ndarray
    static: np.ndarray
    statics: tuple[str, ...]
    step: np.timedelta64
    scalars: tuple[str, ...] = ()
    channel_affine: Affine | None = None
    target_affine: Affine | None = None

    @property
    def step_us(self) -> int:
        """The step in whole microseconds."""
        return int(self.step / np.timedelta64(1, "us"))

    @property
    def step_word(self) -> str:
        """What one sample is: ``day``, ``month``."""
        return step_word(self.step / np.timedelta64(1, "D"))


@dataclass(frozen=True, eq=False)
class Samples:
    """Model-ready samples of one split, on the device of one backend.

    Parameters
    ----------
    name : str
        ``train``, ``validation`` or the name of a test set.
    inputs : array of float32, shape (time, channel, lat, lon)
        Standardised predictors on ``schema.input_grid``; finite.
    target : array of float32, shape (time, target, lat, lon), or None
        Transformed target (an anomaly, scaled); NaN where the truth is missing and outside the mask.
        None where a test set has no truth.
    previous : array of float32, like ``target``, or None
        The target one step earlier, an anomaly from that step's own day of the year where the target
        is one; NaN where the step before lies across a gap or in another split.
    time : ndarray, shape (time,)
        Host array of ``datetime64[ns]`` or of cftime objects.
    day : ndarray of float64, shape (time,)
        Phase of the year in [0, 1), from the calendar of ``time``.
    schema : Schema
        What all splits share.
    """

    name: str
    inputs: Array
    target: Array | None
    previous: Array | None
    time: np.ndarray
    day: np.ndarray
    schema: Schema

    def __len__(self) -> int:
        return len(self.time)

    def take(self, index: np.ndarray | slice) -> Samples:
        """Return the samples at ``index`` along time: a slice, positions or a mask, on the host."""
        chosen = np.arange(len(self))[index]

        def pick(array: Array | None) -> Array | None:
            return None if array is None else rows(array, chosen)

        return replace(
            self,
            inputs=rows(self.inputs, chosen),
            target=pick(self.target),
            previous=pick(self.previous),
            time=self.time[chosen],
            day=self.day[chosen],
        )

    def with_inputs(self, inputs: Array) -> Samples:
        """Return the same samples with other inputs of the same shape."""
        return replace(self, inputs=inputs)
