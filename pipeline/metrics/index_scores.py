"""Biases of climate indices: prediction less truth, mean over years, area mean over cells."""

from __future__ import annotations

from typing import ClassVar

from pipeline.backend import array_namespace
from pipeline.metrics import METRICS, Array, Case, Metric, SeriesMetric, YearMetric
from pipeline.metrics.extremes import resampled_quantile
from pipeline.metrics.indices import INDICES, wet_threshold, yearly
from pipeline.metrics.pooling import area_mean, ratio
from pipeline.metrics.years import years_of
from pipeline.prediction._arrays import wide


class _IndexBias(YearMetric):
    index: ClassVar[str]
    better = "closer"

    def yearly(self, series: Array, valid: Array, case: Case) -> Array:
        """Return the index of every year."""
        assert case.time is not None  # `applies` asks for it
        return yearly(INDICES[self.index], series, valid, years_of(case.time), case.units)


@METRICS.register("bias_sdii")
class BiasSdii(_IndexBias):
    """Bias of the mean amount of wet days."""

    index, quantity, label = "sdii", "precipitation", "bias of the mean wet day (SDII)"


@METRICS.register("bias_rx1day")
class BiasRx1day(_IndexBias):
    """Bias of the wettest day of the year."""

    index, quantity, label = "rx1day", "precipitation", "bias of the wettest day of a year (Rx1day)"


@METRICS.register("bias_cdd")
class BiasCdd(_IndexBias):
    """Bias of the longest dry spell of the year [d]."""

    index, quantity, units, label = "cdd", "precipitation", "d", "bias of the longest dry spell (CDD)"


@METRICS.register("bias_cwd")
class BiasCwd(_IndexBias):
    """Bias of the longest wet spell of the year [d]."""

    index, quantity, units, label = "cwd", "precipitation", "d", "bias of the longest wet spell (CWD)"


@METRICS.register("bias_txx")
class BiasTxx(_IndexBias):
    """Bias of the hottest day of the year: TXx of daily maxima, that of the mean for daily means."""

    index, quantity, label = "txx", "temperature", "bias of the hottest day of a year"


@METRICS.register("bias_tnn")
class BiasTnn(_IndexBias):
    """Bias of the coldest day of the year: TNn of daily minima, that of the mean for daily means."""

    index, quantity, label = "tnn", "temperature", "bias of the coldest day of a year"


@METRICS.register("interannual_sd_ratio")
class InterannualSdRatio(YearMetric):
    """Deviation of yearly means of the forecast over that of the truth."""

    units, better, perfect, label = "1", "closer", 1.0, "ratio of interannual deviations"

    def yearly(self, series: Array, valid: Array, case: Case) -> Array:
        """Return the mean of every year."""
        assert case.time is not None
        return yearly(INDICES["mean"], series, valid, years_of(case.time), case.units)

    over_years = "sd"

    def compared(self, prediction: Array, truth: Array) -> Array:
        """Return the ratio."""
        return ratio(prediction, truth)


@METRICS.register("bias_r01")
class BiasR01(Metric):
    """Bias of the share of wet days, those of 1 mm or more, by the forecast's exact probabilities."""

    units, better, quantity, label = "1", "closer", "precipitation", "bias of the share of wet days (R01)"

    def terms(self, case: Case) -> tuple[Array, ...]:
        """Return forecast probabilities less what happened."""
        wet = wet_threshold(case.units)
        chance, truth = wide(case.prediction.exceedance(wet), case.truth)
        xp = array_namespace(truth)
        return (chance - xp.astype(truth >= wet, xp.float64),)

    def value(self, count: Array, sums: tuple[Array, ...], weights: Array | None) -> Array:
        """Return the mean difference of every cell, and its area mean."""
        cells = ratio(sums[0], count)
        return cells if weights is None else area_mean(cells, weights)


class _Brier(Metric):
    threshold: ClassVar[float]
    units, quantity = "1", "precipitation"

    def terms(self, case: Case) -> tuple[Array, ...]:
        """Return the squared error of the probability."""
        limit = self.threshold * wet_threshold(case.units)
        chance, truth = wide(case.prediction.exceedance(limit), case.truth)
        xp = array_namespace(truth)
        return ((chance - xp.astype(truth >= limit, xp.float64)) ** 2,)

    def value(self, count: Array, sums: tuple[Array, ...], weights: Array | None) -> Array:
        """Return the mean over times and, by area, cells."""
        cells = ratio(sums[0], count)
        return cells if weights is None else area_mean(cells, weights)


@METRICS.register("brier_r01")
class BrierR01(_Brier):
    """Brier score of a wet day, 1 mm or more (Brier 1950)."""

    threshold, label = 1.0, "Brier score of 1 mm a day"


@METRICS.register("brier_r10")
class BrierR10(_Brier):
    """Brier score of a day of 10 mm or more (Brier 1950)."""

    threshold, label = 10.0, "Brier score of 10 mm a day"


class _WetQuantile(SeriesMetric):
    level: ClassVar[float] = 0.98
    better, quantity, uses_draws = "closer", "precipitation", True
    resamples = 100

    def _quantiles(self, case: Case, counts: Array) -> tuple[Array, Array]:
        """Return the quantile of wet days of the draws, their mean, and of truth, each (resample, cell)."""
        wet = wet_threshold(case.units)
        (truth,) = wide(case.truth)
        xp = array_namespace(truth)
        gone = xp.full_like(truth, xp.nan)

        def quantile(series: Array) -> Array:
            return resampled_quantile(xp.where(case.valid & (series >= wet), series, gone), counts, self.level)

        draws = [quantile(wide(case.draws[k, ...])[0]) for k in range(min(case.draws.shape[0], 5))]
        return xp.mean(xp.stack(draws), axis=0), quantile(truth)


@METRICS.register("bias_p98_wet")
class BiasP98Wet(_WetQuantile):
    """Bias of the 98 % quantile of wet days; of members the first five are looked at."""

    label = "bias of the 98 % quantile of wet days"

    def cells(self, case: Case, counts: Array) -> Array:
        """Return the difference of the quantiles."""
        prediction, truth = self._quantiles(case, counts)
        return prediction - truth


@METRICS.register("relative_bias_p98_wet")
class RelativeBiasP98Wet(_WetQuantile):
    """The same as a share of the truth's quantile, cell by cell."""

    units, label = "1", "relative bias of the 98 % quantile of wet days"

    def cells(self, case: Case, counts: Array) -> Array:
        """Return the relative difference."""
        prediction, truth = self._quantiles(case, counts)
        return ratio(prediction, truth) - 1.0


@METRICS.register("sd_ratio_draws")
class SdRatioDraws(Metric):
    """Deviation over time of the days a forecast would give by that of the truth."""

    units, better, perfect, uses_draws, label = "1", "closer", 1.0, True, "ratio of deviations of drawn days"

    def terms(self, case: Case) -> tuple[Array, ...]:
        """Return first and second moments of draws and truth, less the truth's mean of a cell."""
        draws, truth = wide(case.draws, case.truth)
        xp = array_namespace(truth)
        known = xp.where(case.valid, truth, xp.zeros_like(truth))
        count = xp.sum(xp.astype(case.valid, xp.float64), axis=0)
        shift = ratio(xp.sum(known, axis=0), count, otherwise=0.0)
        first, second = xp.mean(draws - shift, axis=0), xp.mean((draws - shift) ** 2, axis=0)
        return first, second, truth - shift, (truth - shift) ** 2

    def value(self, count: Array, sums: tuple[Array, ...], weights: Array | None) -> Array:
        """Return the ratio of every cell, and its area mean."""
        xp = array_namespace(count)
        some = xp.where(count >= 2.0, count, xp.full_like(count, xp.nan))
        m, mm, o, oo = (total / some for total in sums)
        zero = xp.zeros_like(mm)
        cells = xp.sqrt(ratio(xp.maximum(mm - m * m, zero), xp.maximum(oo - o * o, zero)))
        return cells if weights is None else area_mean(cells, weights)


@METRICS.register("bias_lag1")
class BiasLag1(Metric):
    """Bias of the correlation between neighbouring days, never across a gap."""

    units, better, uses_draws, label = "1", "closer", True, "bias of the lag-1 autocorrelation"

    def applies(self, case: Case, units: str) -> bool:
        """Whether the case knows its dates."""
        return super().applies(case, units) and case.time is not None and len(case.time) > 2

    def terms(self, case: Case) -> tuple[Array, ...]:
        """Return moments of pairs of neighbouring days, of draws and of truth."""
        assert case.time is not None
        draws, truth = wide(case.draws, case.truth)
        xp = array_namespace(truth)
        begins = xp.asarray(years_of(case.time).begins)[:, None]
        valid = case.valid & ~begins
        before_valid = xp.concat([case.valid[:1, :], case.valid[:-1, :]], axis=0)
        pair = xp.astype(valid & before_valid, xp.float64)
        count = xp.sum(xp.astype(case.valid, xp.float64), axis=0)
        shift = ratio(xp.sum(xp.where(case.valid, truth, xp.zeros_like(truth)), axis=0), count, otherwise=0.0)
        found = [pair]
        for series, mean in ((draws - shift, True), (xp.where(case.valid, truth - shift, xp.zeros_like(truth)), False)):
            here, before = series, xp.concat([series[..., :1, :], series[..., :-1, :]], axis=-2)
            parts = (here, before, here * here, before * before, here * before)
            found += [(xp.mean(part, axis=0) if mean else part) * pair for part in parts]
        return tuple(found)

    def value(self, count: Array, sums: tuple[Array, ...], weights: Array | None) -> Array:
        """Return the difference of the correlations of every cell, and its area mean."""
        xp = array_namespace(count)
        some = xp.where(sums[0] >= 3.0, sums[0], xp.full_like(sums[0], xp.nan))

        def correlation(parts: tuple[Array, ...]) -> Array:
            a, b, aa, bb, ab = (part / some for part in parts)
            zero = xp.zeros_like(aa)
            return ratio(ab - a * b, xp.sqrt(xp.maximum(aa - a * a, zero) * xp.maximum(bb - b * b, zero)))

        cells = correlation(sums[1:6]) - correlation(sums[6:11])
        return cells if weights is None else area_mean(cells, weights)
