"""Scores: one file a family of scores, one registration a name.

Most scores are made of sums. A :class:`Metric` says which numbers it needs of every time and
cell (``terms``), and how a score is made of their sums over time (``value``). From that follow, in
one pass over the data, the overall score, the score of every season, the map, and the block
bootstrap, which adds up the same sums block by block::

    @METRICS.register("rmse")
    class Rmse(Metric):
        label = "RMSE"

        def terms(self, case):
            return ((case.mean - case.truth) ** 2,)

        def value(self, count, sums, weights):
            return pooled(count, sums[0], weights) ** 0.5

A score of the whole series of a cell, such as a quantile over time, is a :class:`SeriesMetric`: it
gets every resample as how often each time is drawn.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from pipeline.backend import array_namespace
from pipeline.prediction import Prediction
from pipeline.registry import Registry
from pipeline.units import has_true_zero

Array = Any


@dataclass(frozen=True, eq=False)
class Case:
    """One variable of one model on one split, in units, cells in one row.

    Parameters
    ----------
    prediction : Prediction
        Parameters of shape (time, cell), members (member, time, cell).
    truth : array, shape (time, cell)
        NaN where there is none.
    climatology : Prediction
        The train split's day-of-year climatology as a forecast of the same times and cells.
    """

    prediction: Prediction
    truth: Array
    climatology: Prediction

    @cached_property
    def mean(self) -> Array:
        """Mean of the prediction, shape (time, cell)."""
        return self.prediction.mean()

    @cached_property
    def valid(self) -> Array:
        """Where there is truth, shape (time, cell)."""
        return array_namespace(self.truth).isfinite(self.truth)

    @cached_property
    def crps(self) -> Array:
        """Exact CRPS of the prediction, shape (time, cell)."""
        return self.prediction.crps(self.truth)

    def quantile(self, level: float) -> Array:
        """Quantile of the prediction, shape (time, cell), worked out once."""
        if level not in self._quantiles:
            self._quantiles[level] = self.prediction.quantile(level)
        return self._quantiles[level]

    @property
    def is_distribution(self) -> bool:
        """Whether the prediction says how uncertain it is; a point forecast does not."""
        return self.prediction.family != "point"

    def select(self, index: Any, axis: int) -> Case:
        """Return the case at ``index`` (a slice or whole numbers) along ``axis``: -2 time, -1 cell."""

        def pick(array: Array) -> Array:
            if isinstance(index, slice):
                return array[(..., index, slice(None)) if axis == -2 else (..., index)]
            return array_namespace(array).take(array, index, axis=axis)

        return Case(self.prediction.map(pick), pick(self.truth), self.climatology.map(pick))

    @cached_property
    def _quantiles(self) -> dict[float, Array]:
        return {}


class MetricBase:
    """A score: what it is called and how it is read; what :class:`Metric` and :class:`SeriesMetric` share.

    Class attributes
    ----------------
    perfect : float or None
        Value of a perfect forecast; None where there is no best value.
    better : {"lower", "higher", "closer"}
        Which direction is better; ``closer`` to ``perfect``.
    units : {"target", "1"}
        Units of the value; ``target``: those of a difference of two values of the target.
    probabilistic : bool
        Whether it needs a distribution; point forecasts have no such score then.
    needs_true_zero : bool
        Whether it divides by the truth's mean, and so needs units with a true zero.
    least_members : int
        How many members the prediction must have; 0: none.
    label : str
        Name as readers know it: ``"RMSE"``.
    """

    perfect: ClassVar[float | None] = 0.0
    better: ClassVar[str] = "lower"
    units: ClassVar[str] = "target"
    probabilistic: ClassVar[bool] = False
    needs_true_zero: ClassVar[bool] = False
    least_members: ClassVar[int] = 0
    label: ClassVar[str] = ""

    def applies(self, case: Case, units: str) -> bool:
        """Whether the score means something for this prediction in these units."""
        members = case.prediction.members
        return (
            (case.is_distribution or not self.probabilistic)
            and (not self.needs_true_zero or has_true_zero(units))
            and (0 if members is None else members.shape[0]) >= self.least_members
        )


class Metric(MetricBase, ABC):
    """A score made of sums over time."""

    @abstractmethod
    def terms(self, case: Case) -> tuple[Array, ...]:
        """Return arrays of shape (time, cell); what stands where the truth is NaN is not looked at.

        NaN anywhere else makes the score NaN: it is never left out.
        """

    @abstractmethod
    def value(self, count: Array, sums: tuple[Array, ...], weights: Array | None) -> Array:
        """Return the score from sums over time.

        Parameters
        ----------
        count : array of float64, shape (..., cell)
            How many times of a cell have truth.
        sums : tuple of array of float64, shape (..., cell)
            The terms, added up over those times.
        weights : array of float64, shape (cell,), or None
            Area weights; the answer has shape (...). None: one score a cell, shape (..., cell).
            NaN where there is nothing to score.
        """


class SeriesMetric(MetricBase, ABC):
    """A score of the whole series of every cell; its overall value is the area mean over cells."""

    @abstractmethod
    def cells(self, case: Case, counts: Array) -> Array:
        """Return one score a cell for every resample, shape (resample, cell).

        Parameters
        ----------
        case : Case
            Series; times without truth are left out, cell by cell.
        counts : array of int32, shape (time, resample)
            How often every time is drawn; a column of ones is the series itself.
        """


METRICS: Registry[type[MetricBase]] = Registry("metric", "pipeline.metrics")
