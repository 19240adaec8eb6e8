"""What a model is fitted on and asked about."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.grid import Grid
from pipeline.lagged import Lagged
from pipeline.prepare.arrays import rows
from pipeline.prepare.dates import ahead, phase_of_year
from pipeline.rows import Rows, whole
from pipeline.units import Quantity, quantity, step_word

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
        Names and units of what is answered, in array order: the target variables, or with ``leads`` every
        variable at every lead, all variables of the first lead before those of the second: ``"tmax@+1"``.
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
    leads : tuple of int
        Steps ahead of a sample's time that are answered; 0 alone: the sample's own time.
    classes : tuple of str
        Of a segmentation: names of the classes, whose numbers 0, 1, ... the target holds; else empty.
    class_shares : tuple of float
        Share of each class in the train split, by area; zero for one that the train split never has.
    target_standard_names : tuple of str
        CF names of the targets, empty for one without; no names at all if none is known.
    regions : tuple of str
        Names of parts of the target grid that scores and calibrations are worked out for; none if there are none.
    region : ndarray of int64, shape (lat, lon), or None
        The number of each cell's region, -1 outside of all; None without regions.
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
    leads: tuple[int, ...] = (0,)
    classes: tuple[str, ...] = ()
    class_shares: tuple[float, ...] = ()
    target_standard_names: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    region: np.ndarray | None = None

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """What every target is, told from its units and standard name: see :func:`pipeline.units.quantity`."""
        names = self.target_standard_names or ("",) * len(self.target_units)
        return tuple(quantity(units, name) for units, name in zip(self.target_units, names, strict=True))

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the target variables, without leads."""
        return tuple(variable_of(name) for name in self.targets[: len(self.targets) // len(self.leads)])

    def column(self, variable: str, lead: int) -> int:
        """Return where ``variable`` at ``lead`` stands among ``targets``."""
        return self.leads.index(lead) * len(self.variables) + self.variables.index(variable)

    @property
    def step_us(self) -> int:
        """The step in whole microseconds."""
        return int(self.step / np.timedelta64(1, "us"))

    @property
    def step_word(self) -> str:
        """What one sample is: ``day``, ``month``."""
        return step_word(self.step / np.timedelta64(1, "D"))


def lead_name(variable: str, lead: int) -> str:
    """Return what a variable at a lead is called among targets.

    Examples
    --------
    >>> lead_name("tmax", 3), lead_name("tmax", 0)
    ('tmax@+3', 'tmax')
    """
    return f"{variable}@+{lead}" if lead else variable


def variable_of(name: str) -> str:
    """Return the variable of a target's or a channel's name.

    Examples
    --------
    >>> variable_of("tmax@+3"), variable_of("rain@-2"), variable_of("tas")
    ('tmax', 'rain', 'tas')
    """
    return name.partition("@")[0]


class _LaidOut:
    """The field ``inputs``: an array, or :class:`Lagged` inputs that are laid out when they are first looked at."""

    def __get__(self, instance: object, owner: type) -> Array:
        own = vars(instance)
        if isinstance(own["_inputs"], Lagged) and "_laid" not in own:
            own["_laid"] = own["_inputs"].array()
        return own.get("_laid", own["_inputs"])

    def __set__(self, instance: object, value: Any) -> None:
        vars(instance)["_inputs"] = value


@dataclass(frozen=True, eq=False)
class Past:
    """What was known of the target when each sample was made, for models of a series' own past.

    Parameters
    ----------
    values : array of float32, shape (step, variable, lat, lon)
        The target at every step in the numbers of the samples, each less its own day's normal where an anomaly is
        taken; NaN where the truth is missing.
    first, last : ndarray of int64, shape (time,)
        On the host, by sample: the first step of its run without a gap, and the last whose truth is known: the
        sample's own step where leads are 1 or more, else the one before (then maybe less than ``first``).
    """

    values: Array
    first: np.ndarray
    last: np.ndarray

    def take(self, chosen: np.ndarray) -> Past:
        """Return what is known for the samples at the positions ``chosen``."""
        return replace(self, first=self.first[chosen], last=self.last[chosen])


@dataclass(frozen=True, eq=False)
class Samples:
    """Model-ready samples of one split, on the device of one backend.

    Parameters
    ----------
    name : str
        ``train``, ``validation`` or the name of a test set.
    inputs : array of float32, shape (time, channel, lat, lon)
        Standardised predictors on ``schema.input_grid``; finite. May be given as :class:`Lagged`. They, ``target`` and
        ``previous`` are :class:`~pipeline.rows.Rows` where the data are larger than memory has room for.
    target : array of float32, shape (time, target, lat, lon), or None
        Transformed target (an anomaly, scaled); NaN where the truth is missing and outside the mask.
        None where a test set has no truth. Of a segmentation the number of the class.
    previous : array of float32, like ``target``, or None
        The last target that was known: one step earlier, or with leads of 1 and more that of the sample's own
        time, the same at every lead. An anomaly from that step's own day of the year where the target
        is one; NaN where that step lies across a gap or in another split.
    time : ndarray, shape (time,)
        Host array of ``datetime64[ns]`` or of cftime objects.
    day : ndarray of float64, shape (time,)
        Phase of the year in [0, 1), from the calendar of ``time``.
    schema : Schema
        What all splits share.
    past : Past or None
        Of a series: the target's own past; None where there is none, as for new predictors.
    valid : ndarray, shape (time, lead), or None
        What time each answer is for, as the data have it; None: as the calendar says.
    usable : ndarray of bool, shape (time, lat, lon), or None
        Of a table: stations that have all values of the window. The others have no truth and get no answer.
    """

    name: str
    inputs: Array
    target: Array | None
    previous: Array | None
    time: np.ndarray
    day: np.ndarray
    schema: Schema
    past: Past | None = None
    valid: np.ndarray | None = None
    usable: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.time)

    def take(self, index: np.ndarray | slice) -> Samples:
        """Return the samples at ``index`` along time: a slice, positions or a mask, on the host."""
        chosen = np.arange(len(self))[index]

        def pick(array: Array | None) -> Array | None:
            return None if array is None else rows(array, chosen)

        lagged = self.lagged
        return replace(
            self,
            inputs=rows(self.inputs, chosen) if lagged is None else lagged.take(chosen),
            target=pick(self.target),
            previous=pick(self.previous),
            time=self.time[chosen],
            day=self.day[chosen],
            past=None if self.past is None else self.past.take(chosen),
            valid=None if self.valid is None else self.valid[chosen],
            usable=None if self.usable is None else self.usable[chosen],
        )

    @property
    def in_memory(self) -> bool:
        """Whether all of it lies in memory, none of it in a file."""
        kept = vars(self)["_inputs"]
        first = kept.values if isinstance(kept, Lagged) else kept
        return not any(isinstance(part, Rows) for part in (first, self.target, self.previous))

    @property
    def nbytes(self) -> int:
        """Bytes that inputs, target and step before take in memory, windows not laid out."""
        kept = vars(self)["_inputs"]
        shapes = [part.shape for part in (self.target, self.previous) if part is not None]
        if isinstance(kept, Lagged):
            steps = len(np.unique(kept.index))
            shapes.append((steps, *kept.values.shape[1:]))
        else:
            shapes.append(kept.shape)
        return 4 * sum(map(math.prod, shapes))

    def held(self) -> Samples:
        """Return the same samples with all of them in memory."""
        if self.in_memory:
            return self
        lagged = self.lagged
        return replace(
            self,
            inputs=whole(self.inputs) if lagged is None else lagged.held(),
            target=whole(self.target),
            previous=whole(self.previous),
        )

    def valid_time(self, lead: int) -> np.ndarray:
        """Return what time each sample's answer at ``lead`` is for, shape (time,)."""
        if self.valid is not None:
            found: np.ndarray = self.valid[:, self.schema.leads.index(lead)]
            return found
        return ahead(self.time, lead, self.schema.step_us) if lead else self.time

    @property
    def valid_day(self) -> np.ndarray:
        """Phase of the year that each answer is for, float64, shape (time, lead)."""
        phases = [phase_of_year(self.valid_time(lead)) if lead else self.day for lead in self.schema.leads]
        return np.stack(phases, axis=1)

    @property
    def lagged(self) -> Lagged | None:
        """The inputs as they are before they are laid out; None where they are an array."""
        kept = vars(self)["_inputs"]
        return kept if isinstance(kept, Lagged) else None

    def with_inputs(self, inputs: Array) -> Samples:
        """Return the same samples with other inputs of the same shape."""
        return replace(self, inputs=inputs)


# Set behind the class, where a dataclass would take it for a default.
setattr(Samples, "inputs", _LaidOut())  # noqa: B010
