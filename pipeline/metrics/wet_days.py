"""Scores of wet days: how many there are, whether they are known beforehand, how much the wettest of them bring.

A wet day has 1 mm or more. Shares and Brier scores use the exact probability of the distribution, which counts
the threshold itself; the quantile of wet days is of draws, a point forecast's of itself.

Sources: the indices, Zhang et al. (2011), doi:10.1002/wcc.147; as scores of downscaling, Maraun et al. (2015),
doi:10.1002/2014EF000259.
"""

from __future__ import annotations

from typing import ClassVar

from pipeline.backend import array_namespace
from pipeline.metrics import METRICS, Array, Case, Metric, SeriesMetric
from pipeline.metrics.extremes import resampled_quantile
from pipeline.metrics.index_scores import Size
from pipeline.metrics.indices import WET_LEVEL, wet_threshold
from pipeline.metrics.pooling import area_mean, pooled, ratio
from pipeline.prediction._arrays import wide

MEMBERS = 5  # that a quantile is taken of: each costs a sort of all days


def wet_chance(case: Case, millimetres: float) -> tuple[Array, Array]:
    """Return the probability of at least so many mm a day, and 1 where it happened, both float64 (time, cell)."""
    limit = wet_threshold(case.units, millimetres)
    chance, truth = wide(case.exceedance(limit), case.truth)
    return chance, array_namespace(truth).astype(truth >= limit, chance.dtype)


@METRICS.register("bias_r01")
class BiasR01(Metric):
    """Bias of the share of wet days, by the exact probabilities of the distribution; the area mean over cells."""

    units, better, quantity, daily = "1", "closer", "precipitation", True
    label = "bias of the share of wet days (R01)"

    def terms(self, case: Case) -> tuple[Array, ...]:
        """Return the probability of a wet day, and whether it was one."""
        return wet_chance(case, 1.0)

    def value(self, count: Array, sums: tuple[Array, ...], weights: Array | None) -> Array:
        """Return the mean difference of every cell, and its area mean."""
        cells = ratio(sums[0] - sums[1], count)
        if weights is None:
            return cells
        return area_mean(array_namespace(cells).abs(cells) if self.absolute else cells, weights)


@METRICS.register("abs_bias_r01")
class AbsBiasR01(Size, BiasR01):
    """Bias of the share of wet days, its size cell by cell."""

    label = "size of the bias of the share of wet days (R01)"


class _Brier(Metric):
    adds_cells = True
    millimetres: ClassVar[float]
    units, quantity, daily = "1", "precipitation", True

    def terms(self, case: Case) -> tuple[Array, ...]:
        """Return the squared error of the probability."""
        chance, event = wet_chance(case, self.millimetres)
        return ((chance - event) ** 2,)

    def value(self, count: Array, sums: tuple[Array, ...], weights: Array | None) -> Array:
        """Return the mean over times and, by area, cells."""
        return pooled(count, sums[0], weights)


@METRICS.register("brier_r01")
class BrierR01(_Brier):
    """Brier score of a day of 1 mm or more, by the exact probability (Brier 1950)."""

    millimetres, label = 1.0, "Brier score of 1 mm a day"


@METRICS.register("brier_r10")
class BrierR10(_Brier):
    """Brier score of a day of 10 mm or more, by the exact probability (Brier 1950)."""

    millimetres, label = 10.0, "Brier score of 10 mm a day"


@METRICS.register("brier_r20")
class BrierR20(_Brier):
    """Brier score of a day of 20 mm or more, by the exact probability (Brier 1950)."""

    millimetres, label = 20.0, "Brier score of 20 mm a day"


def wet_quantiles(case: Case, counts: Array) -> tuple[Array, Array]:
    """Return the 98 % quantile of all wet days of draws and of truth, each (resample, cell), worked out once.

    The wet days of all draws are one sample; of many members five, evenly over their order. NaN in a cell
    without wet days.

    Parameters
    ----------
    case : Case
        Times without truth are left out of both.
    counts : array of int32, shape (time, resample)
        How often every time is drawn.
    """

    def make() -> tuple[Array, Array, Array]:
        xp = array_namespace(case.truth)
        wet, draws = wet_threshold(case.units), case.some_draws(MEMBERS)
        number = draws.shape[0]

        def quantile(series: Array, known: Array, drawn: Array) -> Array:
            (values,) = wide(series)
            known = known & (values >= wet)
            return resampled_quantile(xp.where(known, values, xp.full_like(values, xp.nan)), drawn, WET_LEVEL)

        pooled = xp.reshape(draws, (-1, draws.shape[-1]))
        prediction = quantile(pooled, xp.tile(case.valid, (number, 1)), xp.tile(counts, (number, 1)))
        return prediction, quantile(case.truth, case.valid, counts), counts

    # The counts are kept with the answer: their id then names them alone.
    prediction, truth, _ = case.once(("wet_quantiles", id(counts)), make)
    return prediction, truth


@METRICS.register("bias_p98_wet")
class BiasP98Wet(SeriesMetric):
    """Bias of the 98 % quantile of all wet days, those of draws taken together."""

    better, quantity, daily, uses_draws = "closer", "precipitation", True, True
    resamples = 100
    label = "bias of the 98 % quantile of wet days"

    def cells(self, case: Case, counts: Array) -> Array:
        """Return the difference of the quantiles."""
        prediction, truth = wet_quantiles(case, counts)
        return prediction - truth


@METRICS.register("abs_bias_p98_wet")
class AbsBiasP98Wet(Size, BiasP98Wet):
    """Bias of the 98 % quantile of all wet days, its size cell by cell."""

    label = "size of the bias of the 98 % quantile of wet days"


@METRICS.register("relative_bias_p98_wet")
class RelativeBiasP98Wet(BiasP98Wet):
    """Bias of the 98 % quantile of all wet days in per cent of the truth's, cell by cell; the area mean over cells."""

    units, label = "%", "relative bias of the 98 % quantile of wet days"

    def cells(self, case: Case, counts: Array) -> Array:
        """Return the relative difference [%]."""
        prediction, truth = wet_quantiles(case, counts)
        return 100.0 * (ratio(prediction, truth) - 1.0)
