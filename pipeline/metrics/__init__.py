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
gets every resample as how often each time is drawn. An index of every year, such as its wettest day,
is a :class:`YearMetric`; a score of fields, such as their spectrum, a :class:`FieldMetric`; a score of two
variables together a :class:`PairMetric`; a score of times and cells sorted into bins, such as by predicted spread, a
:class:`BinnedMetric`; a score of classes, such as their overlap, a :class:`ClassMetric`.

Scores of days that a forecast would give (indices, spectra, patterns) are taken of draws of its
distribution, never of its mean, which is smoother than any day: the members, where it has some, else
:data:`DRAWS` seeded draws. Draws of a distribution without members are independent between cells, days
and variables: what they lack in pattern is a lack of the forecast.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from pipeline.metrics.case import DRAWS, Case, Place
from pipeline.registry import Registry
from pipeline.units import NEVER_NEGATIVE, quantity

__all__ = [
    "DRAWS", "METRICS", "Array", "BinnedMetric", "Case", "ClassMetric", "FieldMetric", "Metric", "MetricBase",
    "PairMetric", "Place", "SeriesMetric", "SharingMetric", "YearMetric",
]  # fmt: skip

Array = Any


class MetricBase:
    """A score: what it is called and how it is read; what all kinds of scores share.

    Class attributes
    ----------------
    perfect : float or None
        Value of a perfect forecast; None where there is no best value.
    better : {"lower", "higher", "closer"}
        Which direction is better; ``closer`` to ``perfect``.
    units : {"target", "1", "d", "%", "km", "nat"}
        Units of the value; ``target``: those of a difference of two values of the target.
    probabilistic : bool
        Whether it needs a distribution; point forecasts have no such score then.
    least_members : int
        How many members the prediction must have; 0: none.
    quantity : {"any", "precipitation", "temperature", "flow", "amount"}
        Of which kind of variable it is a score, told from units and standard name. An ``amount`` is precipitation or
        flow: never below zero, so that a ratio of two means is the same in all units. Scores with such a ratio are of
        amounts alone.
    daily : bool
        Whether it is of days, and so needs daily values.
    uses_draws : bool
        Whether it looks at ``Case.draws``.
    absolute : bool
        Of scores worked out cell by cell: whether the area mean is of their sizes, so that what is too
        much in one cell does not make up for what is too little in another.
    upward : bool
        Whether resampling makes it larger, as it does sizes of differences: days drawn twice lie further
        from the truth's than all days do. Its bootstrap values are then moved to have the score as mean.
    tasks : frozenset of str
        For which tasks of an experiment it is.
    over_series : {"mean", "median"}
        How the values of cells become one where cells are the series of the task ``series``: their area mean,
        or the median, in which a basin counts as a basin and one that no model can do pulls nothing down. Of several
        leads together it is the mean over leads of the median over series at each.
    resamples : int
        Of the bootstrap, at most.
    label : str
        Name as readers know it: ``"RMSE"``.
    """

    perfect: ClassVar[float | None] = 0.0
    better: ClassVar[str] = "lower"
    units: ClassVar[str] = "target"
    probabilistic: ClassVar[bool] = False
    least_members: ClassVar[int] = 0
    quantity: ClassVar[str] = "any"
    daily: ClassVar[bool] = False
    uses_draws: ClassVar[bool] = False
    absolute: ClassVar[bool] = False
    upward: ClassVar[bool] = False
    tasks: ClassVar[frozenset[str]] = frozenset({"downscaling", "series"})
    over_series: ClassVar[str] = "mean"
    resamples: ClassVar[int] = 1000
    label: ClassVar[str] = ""

    def applies(self, case: Case, units: str) -> bool:
        """Whether the score means something for this prediction in these units."""
        return (
            (case.is_distribution or not self.probabilistic)
            and self._is_of(quantity(units, case.standard_name))
            and (not self.daily or case.is_daily)
            and case.prediction.member_count >= self.least_members
        )

    def _is_of(self, kind: str) -> bool:
        """Whether it is a score of that kind of variable."""
        return self.quantity in ("any", kind) or (self.quantity == "amount" and kind in NEVER_NEGATIVE)


class Metric(MetricBase, ABC):
    """A score made of sums over time.

    Class attributes
    ----------------
    adds_cells : bool
        Whether the overall score is that of a single cell with the sums of all, each by its area, as that of a mean
        over times and cells is. Cells are then added up before blocks are drawn, which saves most of the work.
    """

    adds_cells: ClassVar[bool] = False

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


class SharingMetric(Metric):
    """A score made of something that other scores of the same sums are made of, too: it is worked out once for all.

    Scores share it where they have the same ``shared`` and their terms are the very same arrays, see ``Case.once``.
    """

    @abstractmethod
    def shared(self, count: Array, sums: tuple[Array, ...]) -> Any:
        """Return what is shared, from sums over time."""

    @abstractmethod
    def of_shared(self, shared: Any, weights: Array | None) -> Array:
        """Return the score from what is shared, as ``value`` does."""

    def value(self, count: Array, sums: tuple[Array, ...], weights: Array | None) -> Array:
        """Return the score."""
        return self.of_shared(self.shared(count, sums), weights)


class SeriesMetric(MetricBase, ABC):
    """A score of the whole series of every cell; its overall value is the area mean over cells.

    A resample costs a pass over the series, where that of a sum costs a matrix product.
    """

    resamples = 250

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


class YearMetric(MetricBase):
    """A score of an index that every year of a cell has; years are resampled.

    Draws are compared with the truth one by one; a cell's score is their mean, and the overall score its
    area mean. Years count where :func:`pipeline.metrics.years.whole` says so.

    Class attributes
    ----------------
    index : str
        A name of :data:`pipeline.metrics.indices.INDICES`.
    over_years : {"mean", "sd"}
        What is taken of the index over the years before prediction and truth are compared.
    """

    uses_draws = True
    resamples = 250
    index: ClassVar[str]
    over_years: ClassVar[str] = "mean"

    def applies(self, case: Case, units: str) -> bool:
        """Whether the score means something, and the case knows its dates."""
        return super().applies(case, units) and case.time is not None

    def compared(self, prediction: Array, truth: Array) -> Array:
        """Return the score of cells from means over years, shape (..., cell): their difference."""
        return prediction - truth


class FieldMetric(MetricBase, ABC):
    """A score of whole fields, made of sums over time.

    Class attributes
    ----------------
    needs_grid : bool
        Whether it looks at where cells lie beside each other, and so needs a grid, which stations have none of.
    least_side : int
        Cells that such a grid must have along each side.
    """

    uses_draws = True
    needs_grid: ClassVar[bool] = True
    least_side: ClassVar[int] = 4

    def applies(self, case: Case, units: str) -> bool:
        """Whether the score means something, and the cells make a field if it needs one."""
        place = case.place
        on_grid = place is not None and not place.grid.stations and min(place.grid.shape) >= self.least_side
        return super().applies(case, units) and (on_grid or not self.needs_grid)

    @abstractmethod
    def terms(self, case: Case) -> tuple[Array, ...]:
        """Return arrays of shape (time, k), any k; zero at times without any truth."""

    @abstractmethod
    def value(self, count: Array, sums: tuple[Array, ...]) -> Array:
        """Return the score, shape (...).

        Parameters
        ----------
        count : array of float64, shape (...)
            Number of times with truth.
        sums : tuple of array of float64, shape (..., k)
            The terms, added up over them.
        """


class PairMetric(MetricBase, ABC):
    """A score of two variables together, made of sums over time; its rows are of the variable ``tas~pr``."""

    uses_draws = True

    @abstractmethod
    def terms(self, first: Case, second: Case) -> tuple[Array, ...]:
        """Return arrays of shape (time, cell); what stands where either truth is NaN is not looked at."""

    @abstractmethod
    def value(self, count: Array, sums: tuple[Array, ...], weights: Array | None) -> Array:
        """Return the score from sums over time, as that of a :class:`Metric`."""


class BinnedMetric(MetricBase, ABC):
    """A score of all times and cells of a group sorted into bins, made of sums; see :mod:`pipeline.metrics.binned`.

    Bins are those of the group itself, the same for all its resamples.
    """

    probabilistic = True

    @abstractmethod
    def counts(self, case: Case, times: np.ndarray) -> np.ndarray:
        """Return what the score is made of, float64 of shape (chosen, k), on the host; zero where there is no truth.

        Parameters
        ----------
        case : Case
            All times; knows its area weights. What several scores need of it is worked out once.
        times : ndarray of int, shape (chosen,)
            The times of the group.
        """

    @abstractmethod
    def value(self, sums: np.ndarray) -> np.ndarray:
        """Return the score from counts added up over times, shape (..., k) to (...); NaN where there is none."""


class ClassMetric(MetricBase, ABC):
    """A score of classes, made of sums over time; see :mod:`pipeline.metrics.classes`.

    Class attributes
    ----------------
    needs_place : bool
        Whether it looks at neighbouring cells, and so needs a grid.
    of_background : bool
        Whether class 0 has a value of its own; objects and what is made of them have none.
    """

    perfect: ClassVar[float | None] = 1.0
    better = "higher"
    units = "1"
    tasks = frozenset({"segmentation"})
    needs_place: ClassVar[bool] = False
    of_background: ClassVar[bool] = True

    def applies(self, case: Case, units: str) -> bool:
        """Whether the prediction is one of classes, on a grid if the score needs one."""
        grid = None if case.place is None else case.place.grid
        on_grid = grid is not None and not grid.stations and min(grid.shape) >= 2
        return case.prediction.is_categorical and (on_grid or not self.needs_place)

    def units_of(self, case: Case) -> str:
        """Return the units of the value: distances in an image are in cells."""
        return self.units

    @abstractmethod
    def counts(self, case: Case) -> np.ndarray:
        """Return what the score is made of, float64 of shape (time, k), on the host; zero where there is no truth."""

    @abstractmethod
    def value(self, sums: np.ndarray) -> np.ndarray:
        """Return the score from counts added up over times, shape (..., k) to (...); NaN where there is none."""

    def by_class(self, sums: np.ndarray) -> np.ndarray | None:
        """Return the score of every class, shape (..., class), NaN where a class has none; None if no class has."""
        return None


METRICS: Registry[type[MetricBase]] = Registry("metric", "pipeline.metrics")
