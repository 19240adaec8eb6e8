"""What a definition of events has to answer."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from pipeline.backend import array_namespace
from pipeline.errors import ConfigError, DataError
from pipeline.grid import Grid
from pipeline.model_config import ModelConfig
from pipeline.prepare.dates import DAY, elapsed
from pipeline.prepare.label_config import LabelConfig
from pipeline.prepare.labels._runs import runs
from pipeline.prepare.splits import TrainSplit
from pipeline.prepare.windows import require_step, segments, usual_step
from pipeline.registry import Registry
from pipeline.schema import validate

Array = Any
Arrays = dict[str, Array]
Facts = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Excess:
    """How far values are past what makes an event, before it is asked how long.

    Parameters
    ----------
    beyond : array of bool, shape (time, lat, lon)
        Past the threshold; False where it is not known.
    intensity : array of float32, shape (time, lat, lon)
        How strong, in units of a difference of two values, larger is stronger; NaN where it is not known.
    category : array of float32, shape (time, lat, lon), or None
        Number of the class that a step has where it belongs to an event; 1 everywhere if None.
    """

    beyond: Array
    intensity: Array
    category: Array | None = None


@dataclass(frozen=True, eq=False)
class Fitted:
    """What a label learnt of the train split.

    Parameters
    ----------
    arrays : dict of str to array
        On the device of the values.
    facts : dict
        Numbers and texts that JSON can hold.
    """

    arrays: Arrays
    facts: Facts


class EventLabel(ABC):
    """A definition of events: fitted on the train split, answers class numbers.

    Class attributes
    ----------------
    kind : str
        Its name in the registry.
    Config : type of ModelConfig
        Options with their defaults.

    Examples
    --------
    >>> from pipeline.prepare.splits import TimeSplit
    >>> time = np.arange("2001-01-01", "2001-01-07", dtype="datetime64[D]").astype("datetime64[ns]")
    >>> split = TimeSplit(("2001-01-01", "2001-01-04"), ("2001-01-05",) * 2, {"test": ("2001-01-06",) * 2})
    >>> grid = Grid(np.array([60.0]), np.array([-20.0]))
    >>> slp = 100.0 * np.array([990.0, 979, np.nan, 981, 970, 1000], np.float32)[:, None, None]
    >>> label = make_label({"kind": "deep_low", "below": 980.0, "units": "hPa"})
    >>> label = label.fit(slp, time, split.train_split(time), grid, units="Pa")
    >>> label.classes, label.label(slp, time, grid)[:, 0, 0].tolist()
    (('background', 'deep_low'), [0.0, 1.0, nan, 0.0, 1.0, 0.0])
    """

    kind: ClassVar[str]
    Config: ClassVar[type[ModelConfig]] = ModelConfig

    def __init__(self, config: ModelConfig | None = None) -> None:
        self.config: Any = config if config is not None else self.Config()
        self._fitted: Fitted | None = None

    @property
    @abstractmethod
    def classes(self) -> tuple[str, ...]:
        """Names of the classes by number; the first is the background."""

    @property
    def daily(self) -> bool:
        """Whether its definition is of days, and so needs daily values."""
        return True

    @abstractmethod
    def learn(self, values: Array, time: np.ndarray, train: TrainSplit, units: str) -> Fitted:
        """Return thresholds and climatologies of the train split, those in ``units``."""

    @abstractmethod
    def excess(self, values: Array, time: np.ndarray) -> Excess:
        """Return how far ``values`` are past the threshold, step by step and cell by cell."""

    def fit(self, values: Array, time: np.ndarray, train: TrainSplit, grid: Grid, *, units: str) -> Self:
        """Learn thresholds of the train split.

        Parameters
        ----------
        values : array, shape (time, lat, lon)
            In ``units``, on the whole axis; NaN is missing.
        time : ndarray, shape (time,)
            Stamps, ``datetime64`` or cftime.
        train : TrainSplit
            Which of the steps may be looked at.
        grid : Grid
            Where the values live.
        units : str
            Of the values; thresholds of the options are converted to them.

        Raises
        ------
        TypeError
            If ``train`` is not a TrainSplit.
        DataError
            If shapes do not fit, values are not daily where they must be, the units cannot be converted, or there
            are too few train values.
        """
        TrainSplit.require(train, f"The label {self.kind!r}")
        self._require_shape(values, time, grid)
        step = usual_step(elapsed(time[train.index]), f"the label {self.kind!r}")
        if self.daily and step != DAY:
            raise DataError(
                f"the label {self.kind!r}: expected daily values, which its definition is of, got a step of "
                f"{step / DAY:g} days; take daily means first."
            )
        found = self.learn(values, time, train, units)
        self._fitted = Fitted(found.arrays, {"units": units, "step": step, **found.facts})
        return self

    def label(self, values: Array, time: np.ndarray, grid: Grid) -> Array:
        """Return class numbers, float32, shape (time, lat, lon); NaN where there is no value or no threshold.

        Events are looked for on all steps together, so one may reach from a split into the next; a gap in time ends it.
        A run that the first or last step cuts short counts with the days that are there.

        Parameters
        ----------
        values, time, grid
            As for :meth:`fit`, of the same cells.

        Raises
        ------
        DataError
            If it is not fitted, or values are of another step, calendar or shape.
        """
        excess = self._excess_of(values, time, grid)
        xp = array_namespace(excess.intensity)
        number = xp.ones_like(excess.intensity) if excess.category is None else excess.category
        found = xp.where(self._events_of(excess, time, grid), number, xp.zeros_like(number))
        known = xp.isfinite(excess.intensity)
        return xp.astype(xp.where(known, found, xp.full_like(found, float("nan"))), xp.float32)

    def events(self, values: Array, time: np.ndarray, grid: Grid) -> Array:
        """Return the steps that belong to an event, bool, shape (time, lat, lon); a joined missing step does."""
        return self._events_of(self._excess_of(values, time, grid), time, grid)

    def intensity(self, values: Array, time: np.ndarray, grid: Grid) -> Array:
        """Return how strong each step is, float32, shape (time, lat, lon); NaN where it is not known."""
        return self._excess_of(values, time, grid).intensity

    def arrays(self) -> Arrays:
        """Return the arrays that were fitted, for :meth:`restore`."""
        return dict(self._state().arrays)

    def facts(self) -> Facts:
        """Return what else was fitted and the options, as JSON can hold it, for :meth:`restore`."""
        return {"kind": self.kind, "options": self.config.model_dump(mode="json"), **self._state().facts}

    @classmethod
    def restore(cls, arrays: Mapping[str, Array], facts: Mapping[str, Any]) -> Self:
        """Return the fitted label of which these are :meth:`arrays`, on any device, and :meth:`facts`.

        Raises
        ------
        DataError
            If they are of another kind, or lack its options.
        """
        if facts.get("kind") != cls.kind:
            raise DataError(f"expected the facts of a label {cls.kind!r}, got those of {facts.get('kind')!r}.")
        label = cls(
            validate(cls.Config, facts.get("options"), where=f"label {cls.kind!r}", error=DataError, prefix="options")
        )
        rest = {name: value for name, value in facts.items() if name not in ("kind", "options")}
        label._fitted = Fitted(dict(arrays), rest)
        return label

    def find(self, excess: Excess, segment: np.ndarray, grid: Grid) -> Array:
        """Return which steps belong to an event: those of runs as long as ``min_days``, joined over ``max_gap``.

        Parameters
        ----------
        excess : Excess
            Of all steps.
        segment : ndarray of int, shape (time,)
            Ascending numbers of the runs of steps without a gap in time; no event reaches from one into another.
        grid : Grid
            Where the cells lie.
        """
        gap = math.floor(getattr(self.config, "max_gap", 0) * self.steps_a_day)
        return runs(excess.beyond, segment, least=self.least_steps(getattr(self.config, "min_days", 1)), gap=gap)

    def explain_lack(self, values: Array, time: np.ndarray) -> str:
        """Return why there may be none of a class in ``values`` of shape (time, lat, lon), and what to write."""
        return (
            f"the label {self.kind!r} finds none. Take a longer split.train, or other options under prepare.target."
            f"label; now they are {self.config.model_dump(mode='json')}."
        )

    @property
    def steps_a_day(self) -> float:
        """How many steps of the fitted axis a day has."""
        return DAY / float(self._state().facts["step"])

    @property
    def is_late(self) -> bool:
        """Whether the class of a step may be known some steps later only: of events that last, or go on after a gap."""
        least = max(getattr(self.config, "min_days", 1), getattr(self.config, "persistence", 1))
        return self.least_steps(least) > 1 or getattr(self.config, "max_gap", 0) > 0

    def least_steps(self, days: float) -> int:
        """Return the fewest steps of the fitted axis that are so many days."""
        return math.ceil(days * self.steps_a_day)

    def _state(self) -> Fitted:
        if self._fitted is None:
            raise DataError(f"the label {self.kind!r}: expected it to be fitted first; call fit or restore.")
        return self._fitted

    def _excess_of(self, values: Array, time: np.ndarray, grid: Grid) -> Excess:
        self._state()
        self._require_shape(values, time, grid)
        return self.excess(values, time)

    def _events_of(self, excess: Excess, time: np.ndarray, grid: Grid) -> Array:
        count, step = elapsed(time), self._state().facts["step"]
        if len(count) > 1:
            require_step(count, step, f"the label {self.kind!r}")
        return self.find(excess, segments(count, step), grid)

    def _require_shape(self, values: Array, time: np.ndarray, grid: Grid) -> None:
        wanted = (len(time), *grid.shape)
        if tuple(values.shape) != wanted:
            raise DataError(
                f"the label {self.kind!r}: expected values of shape {wanted} (time, lat, lon), got "
                f"{tuple(values.shape)}."
            )


LABELS: Registry[type[EventLabel]] = Registry("label", "pipeline.prepare.labels")


def make_label(spec: LabelConfig | dict[str, Any]) -> EventLabel:
    """Return the label that ``spec`` describes, not fitted yet.

    Parameters
    ----------
    spec : LabelConfig or dict
        ``kind`` and that kind's options.

    Raises
    ------
    ConfigError
        If the kind or an option is not known, or does not fit.

    Examples
    --------
    >>> make_label({"kind": "marine_heatwave", "categories": True}).classes
    ('background', 'moderate', 'strong', 'severe', 'extreme')
    """
    if isinstance(spec, dict):
        if not isinstance(spec.get("kind"), str):
            raise ConfigError(
                "expected a label with its name under the key 'kind', such as {kind: marine_heatwave, min_days: 5}, "
                f"got {spec!r}. Known: {', '.join(LABELS.names())}."
            )
        spec = LabelConfig(**spec)
    label = LABELS.get(spec.kind)
    return label(validate(label.Config, spec.options, where=f"label {spec.kind!r}"))


def restore_label(arrays: Mapping[str, Array], facts: Mapping[str, Any]) -> EventLabel:
    """Return the fitted label of any kind that ``arrays()`` and ``facts()`` were taken of.

    Raises
    ------
    UnknownNameError
        If its kind is not known, such as that of a plug-in that is not loaded.
    """
    return LABELS.get(str(facts.get("kind"))).restore(arrays, facts)
