"""Explanations: what drives the predictions, with the checks that tell whether to believe it.

A method is one file in this package and one registration of a class with ``Config``, ``needs`` and ``explain``.
Those whose answer is a number for every input cell and day derive from
:class:`pipeline.attribution.maps.MapMethod` and write ``attribute`` alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from pipeline.model import Context, Model
from pipeline.model_config import ModelConfig
from pipeline.registry import Registry
from pipeline.samples import Samples

if TYPE_CHECKING:
    from pipeline.attribution._aggregate import Aggregates
    from pipeline.attribution.baseline import Baseline
    from pipeline.attribution.groups import DayGroup
    from pipeline.attribution.question import Question

Light = Literal["green", "amber", "red", "grey"]
_WORST_FIRST: tuple[Light, ...] = ("red", "amber", "green")


@dataclass(frozen=True, eq=False)
class Finding:
    """What one check found.

    Parameters
    ----------
    check : str
        Name in ``pipeline.attribution.checks.CHECKS``, or the method's own.
    value : float
        The number; NaN where it could not be worked out, which ``words`` explains.
    limit : float
        What it is held against.
    passed : bool or None
        None: not decided.
    essential : bool
        Whether a map that fails it says something else than it claims; the others make it less sure.
    words : str
        One sentence for the report, with the number in it.
    curves : mapping of str to ndarray of float64, shape (point,)
        What to draw; ``x`` is the axis that the others share.
    """

    check: str
    value: float
    limit: float
    passed: bool | None
    essential: bool
    words: str
    curves: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def light(self) -> Light:
        """What it alone makes of the light of a map."""
        if self.passed is None:
            return "grey"
        return "green" if self.passed else "red" if self.essential else "amber"


def light(findings: Sequence[Finding]) -> Light:
    """Return whether to believe a map, as a traffic light.

    red: an essential check failed, so that the map says something else than it claims; amber: another failed; green:
    something was decided and nothing failed; grey: nothing was decided.

    Examples
    --------
    >>> light([Finding("completeness", 0.3, 0.01, False, True, "The parts miss it by 30 %.")])
    'red'
    """
    said = {one.light for one in findings}
    return next((worst for worst in _WORST_FIRST if worst in said), "grey")


@dataclass(frozen=True, eq=False)
class Curve:
    """How the explained number answers to one channel, for methods of effects.

    Parameters
    ----------
    channel : str
        Which channel is moved.
    at : ndarray of float64, shape (point,)
        Values of the channel's mean over its cells [units of the channel, or standard deviations].
    effect, low, high : ndarray of float64, shape (point,)
        Change of the explained number [its units], and the 95 % interval over days.
    units : str
        Of ``at``.
    """

    channel: str
    at: np.ndarray
    effect: np.ndarray
    low: np.ndarray
    high: np.ndarray
    units: str


@dataclass(frozen=True, eq=False)
class Attribution:
    """What one method says of one member of a model; host arrays.

    Parameters
    ----------
    method : str
        Name in ``ATTRIBUTIONS``.
    values : ndarray of float32 or None, shape (time, channel, lat, lon)
        Signed attribution of each input cell on each explained day [units of the explained number]. None for methods
        that tell of channels only.
    importance : ndarray of float64, shape (channel,)
        How much each channel matters; what it measures says ``measure``.
    low, high : ndarray of float64 or None, shape (channel,)
        95 % interval of ``importance`` over days or repeats.
    measure : str
        In words with units, such as ``"increase of the RMSE when permuted [degC]"``.
    findings : tuple of Finding
        What was checked.
    note : str
        Baseline, target and number of days, in one sentence or two for the caption.
    curves : tuple of Curve
        Of methods of effects.
    numbers : ndarray of float64 or None, shape (time,)
        The explained number on each day as predicted, less that at the baseline where there is one.
    aggregates : Aggregates or None
        Of methods that tell of all cells of the target: :class:`pipeline.attribution._aggregate.Aggregates`.
    """

    method: str
    values: np.ndarray | None
    importance: np.ndarray
    low: np.ndarray | None
    high: np.ndarray | None
    measure: str
    findings: tuple[Finding, ...]
    note: str
    curves: tuple[Curve, ...] = ()
    numbers: np.ndarray | None = None
    aggregates: Aggregates | None = None

    @property
    def maps(self) -> np.ndarray | None:
        """Mean over the days of ``values``, float64, shape (channel, lat, lon)."""
        return None if self.values is None else self.values.mean(axis=0, dtype=np.float64)

    @property
    def trusted(self) -> bool:
        """Whether something was checked and no check failed."""
        decided = [one.passed for one in self.findings if one.passed is not None]
        return bool(decided) and all(decided)


@dataclass(frozen=True, eq=False)
class Case:
    """What a method is asked.

    Parameters
    ----------
    model : Model
        One fitted member.
    samples : Samples
        The explained days, with target where the split has truth.
    question : Question
        The number that is explained.
    context : Context
        Of the member.
    baseline : Baseline
        What attributions are departures from.
    checks : tuple of str
        Names of the checks that are made, of those that suit the method.
    check_days : int
        Most days that a check looks at.
    groups : tuple of DayGroup
        Of the explained days, for methods that tell of groups themselves.
    """

    model: Model
    samples: Samples
    question: Question
    context: Context
    baseline: Baseline
    checks: tuple[str, ...] = ()
    check_days: int = 8
    groups: tuple[DayGroup, ...] = ()


class AttributionMethod(ABC):
    """A method of explanation.

    Class attributes
    ----------------
    Config : type of ModelConfig
        Options with their defaults.
    needs : frozenset of str
        Traits that the model must have.
    tasks : frozenset of str
        Tasks of experiments that it serves.
    has_baseline : bool
        Whether what it says depends on the baseline.
    baselines : tuple of str
        Names of the baselines that it can start from, its default first; none: any.
    quantities : frozenset of str
        Names in :data:`pipeline.attribution.quantity.QUANTITIES` that it can explain; none: all.
    kind : str
        What its numbers are: ``score`` (how much worse), ``effect`` (curves), ``aggregate``
        (of all cells of the target), or those of
        :class:`pipeline.attribution.maps.MapMethod`.
    title : str
        The method in words, as a sentence begins: ``"Integrated gradients"``.
    """

    Config: ClassVar[type[ModelConfig]] = ModelConfig
    needs: ClassVar[frozenset[str]] = frozenset()
    tasks: ClassVar[frozenset[str]] = frozenset({"downscaling", "series", "segmentation"})
    has_baseline: ClassVar[bool] = False
    baselines: ClassVar[tuple[str, ...]] = ()
    quantities: ClassVar[frozenset[str]] = frozenset()
    kind: ClassVar[str] = "score"
    title: ClassVar[str]

    def __init__(self, config: ModelConfig | None = None) -> None:
        self.config: Any = config if config is not None else self.Config()

    @classmethod
    def unsuited(cls, model: ModelConfig, classes: int) -> str:
        """Return why a model with such options cannot be served, in words after "a model"; empty if it can.

        Parameters
        ----------
        model : ModelConfig
            Options of a model that has what the method ``needs``.
        classes : int
            How many classes it tells apart; 0 for numbers, or where it is not known yet.
        """
        return ""

    @abstractmethod
    def explain(self, case: Case) -> Attribution:
        """Explain the question of ``case`` for its model on its days."""


ATTRIBUTIONS: Registry[type[AttributionMethod]] = Registry("attribution method", "pipeline.attribution")
