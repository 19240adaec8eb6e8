"""Central prediction intervals: how often they hold the truth, and how wide they are.

Source: Gneiting, Balabdaoui and Raftery (2007), doi:10.1111/j.1467-9868.2007.00587.x.
"""

from __future__ import annotations

from typing import ClassVar

from pipeline.backend import array_namespace
from pipeline.metrics import METRICS, Array, Case, Metric
from pipeline.metrics.pooling import pooled
from pipeline.prediction._arrays import wide


def bounds(case: Case, level: float) -> tuple[Array, Array]:
    """Return the quantiles that the central interval of probability ``level`` lies between, float64."""
    tail = (1.0 - level) / 2.0
    lower, upper = wide(case.quantile(round(tail, 9)), case.quantile(round(1.0 - tail, 9)))
    return lower, upper


class _Coverage(Metric):
    adds_cells = True
    level: ClassVar[float]
    better = "closer"
    units = "1"
    probabilistic = True

    def terms(self, case: Case) -> tuple[Array, ...]:
        """Return 1 where the truth lies in the closed interval, else 0."""
        lower, upper = bounds(case, self.level)
        xp = array_namespace(lower)
        broken = xp.isnan(lower) | xp.isnan(upper)
        inside = xp.astype((case.truth >= lower) & (case.truth <= upper), xp.float64)
        return (xp.where(broken, xp.full_like(inside, xp.nan), inside),)

    def value(self, count: Array, sums: tuple[Array, ...], weights: Array | None) -> Array:
        """Return the share."""
        return pooled(count, sums[0], weights)


class _Width(Metric):
    adds_cells = True
    level: ClassVar[float]
    probabilistic = True

    def terms(self, case: Case) -> tuple[Array, ...]:
        """Return the distance between the interval's ends."""
        lower, upper = bounds(case, self.level)
        return (upper - lower,)

    def value(self, count: Array, sums: tuple[Array, ...], weights: Array | None) -> Array:
        """Return the mean."""
        return pooled(count, sums[0], weights)


class _IntervalScore(Metric):
    """Width of the interval, and for a truth outside 2 / a times its distance to it, a the chance to be outside.

    Gneiting and Raftery 2007, doi:10.1198/016214506000001437, equation 43: proper for the two quantiles, so that
    neither a narrow interval nor one that always holds the truth is best for its own sake.
    """

    adds_cells = True
    level: ClassVar[float]
    probabilistic = True

    def terms(self, case: Case) -> tuple[Array, ...]:
        """Return the score."""
        lower, upper = bounds(case, self.level)
        xp, (truth,) = array_namespace(lower), wide(case.truth)
        outside = xp.maximum(xp.maximum(lower - truth, truth - upper), xp.zeros_like(truth))
        return (upper - lower + outside * (2.0 / (1.0 - self.level)),)

    def value(self, count: Array, sums: tuple[Array, ...], weights: Array | None) -> Array:
        """Return the mean."""
        return pooled(count, sums[0], weights)


@METRICS.register("interval_score_50")
class IntervalScore50(_IntervalScore):
    """Interval score of the central 50 % interval: width, and 4 times the distance of a truth outside."""

    level = 0.5
    label = "interval score, 50 %"


@METRICS.register("interval_score_90")
class IntervalScore90(_IntervalScore):
    """Interval score of the central 90 % interval: width, and 20 times the distance of a truth outside."""

    level = 0.9
    label = "interval score, 90 %"


@METRICS.register("coverage_50")
class Coverage50(_Coverage):
    """Share of truths in the central 50 % interval."""

    level = 0.5
    perfect = 0.5
    label = "coverage of the 50 % interval"


@METRICS.register("coverage_90")
class Coverage90(_Coverage):
    """Share of truths in the central 90 % interval."""

    level = 0.9
    perfect = 0.9
    label = "coverage of the 90 % interval"


@METRICS.register("coverage_95")
class Coverage95(_Coverage):
    """Share of truths in the central 95 % interval."""

    level = 0.95
    perfect = 0.95
    label = "coverage of the 95 % interval"


@METRICS.register("width_50")
class Width50(_Width):
    """Mean width of the central 50 % interval."""

    level = 0.5
    label = "width of the 50 % interval"


@METRICS.register("width_90")
class Width90(_Width):
    """Mean width of the central 90 % interval."""

    level = 0.9
    label = "width of the 90 % interval"


@METRICS.register("width_95")
class Width95(_Width):
    """Mean width of the central 95 % interval."""

    level = 0.95
    label = "width of the 95 % interval"
