"""Biases of the indices of a year: draws less truth, mean over years, area mean over cells.

Every index has two scores: ``bias_*``, signed, in which too much here makes up for too little there, and
``abs_bias_*``, the area mean of its size cell by cell. Both are of draws of the forecast, a point forecast's of
itself; the draws' indices are averaged, never the draws.

Sources: the indices, Zhang et al. (2011), doi:10.1002/wcc.147; as scores of downscaling, Maraun et al. (2015),
doi:10.1002/2014EF000259.
"""

from __future__ import annotations

from pipeline.metrics import METRICS, Array, Case, MetricBase, YearMetric
from pipeline.metrics.blocks import ENOUGH_BLOCKS
from pipeline.metrics.pooling import ratio
from pipeline.metrics.years import years_of


class IndexBias(YearMetric):
    """What biases of indices of a year share."""

    better = "closer"
    daily = True


class Size(MetricBase):
    """What makes the area mean of sizes of a bias that is worked out cell by cell."""

    better = "lower"
    absolute = True
    upward = True


@METRICS.register("bias_sdii")
class BiasSdii(IndexBias):
    """Bias of the mean amount of wet days, those of 1 mm or more; of draws."""

    index, quantity, label = "sdii", "precipitation", "bias of the mean wet day (SDII)"


@METRICS.register("abs_bias_sdii")
class AbsBiasSdii(Size, BiasSdii):
    """Bias of the mean amount of wet days, its size cell by cell."""

    label = "size of the bias of the mean wet day (SDII)"


@METRICS.register("bias_rx1day")
class BiasRx1day(IndexBias):
    """Bias of the wettest day of a year; of draws."""

    index, quantity, label = "rx1day", "precipitation", "bias of the wettest day of a year (Rx1day)"


@METRICS.register("abs_bias_rx1day")
class AbsBiasRx1day(Size, BiasRx1day):
    """Bias of the wettest day of a year, its size cell by cell."""

    label = "size of the bias of the wettest day of a year (Rx1day)"


@METRICS.register("bias_cdd")
class BiasCdd(IndexBias):
    """Bias of the longest dry spell of a year [d]; of draws, and short where those of days are independent."""

    index, quantity, units, label = "cdd", "precipitation", "d", "bias of the longest dry spell (CDD)"


@METRICS.register("abs_bias_cdd")
class AbsBiasCdd(Size, BiasCdd):
    """Bias of the longest dry spell of a year [d], its size cell by cell."""

    label = "size of the bias of the longest dry spell (CDD)"


@METRICS.register("bias_cwd")
class BiasCwd(IndexBias):
    """Bias of the longest wet spell of a year [d]; of draws, and short where those of days are independent."""

    index, quantity, units, label = "cwd", "precipitation", "d", "bias of the longest wet spell (CWD)"


@METRICS.register("abs_bias_cwd")
class AbsBiasCwd(Size, BiasCwd):
    """Bias of the longest wet spell of a year [d], its size cell by cell."""

    label = "size of the bias of the longest wet spell (CWD)"


@METRICS.register("bias_txx")
class BiasTxx(IndexBias):
    """Bias of the hottest day of a year, of draws: TXx of daily maxima, TNx of minima, of means that of the mean."""

    index, quantity, label = "txx", "temperature", "bias of the hottest day of a year (TXx)"


@METRICS.register("abs_bias_txx")
class AbsBiasTxx(Size, BiasTxx):
    """Bias of the hottest day of a year, its size cell by cell."""

    label = "size of the bias of the hottest day of a year (TXx)"


@METRICS.register("bias_tnn")
class BiasTnn(IndexBias):
    """Bias of the coldest day of a year, of draws: TNn of daily minima, TXn of maxima, of means that of the mean."""

    index, quantity, label = "tnn", "temperature", "bias of the coldest day of a year (TNn)"


@METRICS.register("abs_bias_tnn")
class AbsBiasTnn(Size, BiasTnn):
    """Bias of the coldest day of a year, its size cell by cell."""

    label = "size of the bias of the coldest day of a year (TNn)"


@METRICS.register("interannual_sd_ratio")
class InterannualSdRatio(YearMetric):
    """Deviation of the yearly means of draws over that of the truth; not said of fewer than eight years.

    Of data of any step. The area mean is of the cells' ratios; each draw has one, and they are averaged.
    """

    units, better, perfect, label = "1", "closer", 1.0, "ratio of interannual deviations"
    index, over_years = "mean", "sd"

    def applies(self, case: Case, units: str) -> bool:
        """Whether there are enough years for a deviation over them."""
        return super().applies(case, units) and case.time is not None and len(years_of(case.time)) >= ENOUGH_BLOCKS

    def compared(self, prediction: Array, truth: Array) -> Array:
        """Return the ratio."""
        return ratio(prediction, truth)
