"""How prediction and truth vary together over time: cell by cell, then the area mean over cells.

A cell counts with two values or more and a truth that varies. A prediction that does not vary there, but for rounding,
has no correlation. Where it varies in other cells, a cell without counts as 0 in their mean: leaving it out would
reward the model; where it varies in none, the mean has no value either.

Source: Wilks (2019), Statistical Methods in the Atmospheric Sciences, doi:10.1016/C2017-0-03921-6.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.backend import array_namespace
from pipeline.metrics import METRICS, Array, Case, Metric, SharingMetric
from pipeline.metrics.pooling import area_mean, ratio
from pipeline.prediction._arrays import wide

_ROUNDING = 1e-12  # a variance below this share of the mean square is rounding, not variation
_STEADY = 1e-6  # so is a prediction's deviation below this share of its size or of the truth's deviation, in float32


@dataclass(frozen=True, eq=False)
class _Moments:
    """Moments over time, shape (..., cell); NaN where fewer than two times have truth."""

    mean_error: Array
    variance: Array
    truth_variance: Array
    covariance: Array
    varies: Array


def _shifted(case: Case) -> tuple[Array, Array, Array]:
    """Return prediction and truth less a constant a cell, which keeps the digits of sums of squares."""
    mean, truth = wide(case.mean, case.truth)
    xp = array_namespace(truth)
    zero = xp.zeros_like(truth)
    count = xp.sum(xp.astype(case.valid, xp.float64), axis=0)
    shift = ratio(xp.sum(xp.where(case.valid, truth, zero), axis=0), count, otherwise=0.0)
    return mean - shift, truth - shift, shift


def _terms(case: Case) -> tuple[Array, ...]:
    def make() -> tuple[Array, ...]:
        f, o, shift = _shifted(case)
        return f, o, f * f, o * o, f * o, f + shift

    found: tuple[Array, ...] = case.once(("moments",), make)
    return found


def _moments(count: Array, sums: tuple[Array, ...]) -> _Moments:
    xp = array_namespace(count)
    some = xp.where(count >= 2.0, count, xp.full_like(count, xp.nan))
    f, o, ff, oo, fo, level = (total / some for total in sums[:6])

    def variation(square: Array, mean: Array) -> Array:
        variance = square - mean * mean
        return xp.where(variance <= _ROUNDING * square, xp.zeros_like(variance), variance)

    own, other = variation(ff, f), variation(oo, o)
    least = xp.maximum(level * level, other) * _STEADY**2
    return _Moments(f - o, own, other, fo - f * o, own > least)


def _correlation(m: _Moments, steady: float) -> Array:
    """Return Pearson's r, ``steady`` for a prediction that does not vary, NaN for such a truth."""
    xp = array_namespace(m.variance)
    r = ratio(m.covariance, xp.sqrt(m.variance * m.truth_variance), otherwise=0.0)
    r = xp.minimum(xp.maximum(r, -xp.ones_like(r)), xp.ones_like(r))
    r = xp.where(m.varies, r, xp.full_like(r, steady))
    return xp.where(m.truth_variance > 0.0, r, xp.full_like(r, xp.nan))


def _over_cells(values: Array, weights: Array | None) -> Array:
    return values if weights is None else area_mean(values, weights)


class _OfMoments(SharingMetric):
    def terms(self, case: Case) -> tuple[Array, ...]:
        """Return first and second moments."""
        return _terms(case)

    def shared(self, count: Array, sums: tuple[Array, ...]) -> _Moments:
        """Return the moments over time."""
        return _moments(count, sums)


@METRICS.register("pearson_r")
class PearsonR(_OfMoments):
    """Correlation of prediction and truth over time; a prediction that never changes has none."""

    perfect = 1.0
    better = "higher"
    units = "1"
    label = "Pearson r"

    def of_shared(self, shared: _Moments, weights: Array | None) -> Array:
        """Return the correlation."""
        if weights is None:
            return _correlation(shared, float("nan"))
        overall, xp = area_mean(_correlation(shared, 0.0), weights), array_namespace(shared.variance)
        return xp.where(xp.any(shared.varies, axis=-1), overall, xp.full_like(overall, xp.nan))


@METRICS.register("sd_ratio")
class SdRatio(_OfMoments):
    """Standard deviation of the prediction over time by that of the truth."""

    perfect = 1.0
    better = "closer"
    units = "1"
    label = "ratio of standard deviations"

    def of_shared(self, shared: _Moments, weights: Array | None) -> Array:
        """Return the ratio."""
        xp = array_namespace(shared.variance)
        return _over_cells(xp.sqrt(ratio(shared.variance, shared.truth_variance)), weights)


@METRICS.register("nse")
class Nse(_OfMoments):
    """Nash-Sutcliffe efficiency: 1 - mean square error / variance of the truth (doi:10.1016/0022-1694(70)90255-6)."""

    perfect = 1.0
    better = "higher"
    units = "1"
    over_series = "median"
    label = "NSE"

    def of_shared(self, shared: _Moments, weights: Array | None) -> Array:
        """Return the efficiency; the mean square error from the moments is exact, as 0 of a perfect forecast."""
        m = shared
        square_error = m.mean_error * m.mean_error + m.variance + m.truth_variance - 2.0 * m.covariance
        return _over_cells(1.0 - ratio(square_error, m.truth_variance), weights)


@METRICS.register("kge")
class Kge(Metric):
    """Kling-Gupta efficiency of correlation, ratio of sds and ratio of means (doi:10.1016/j.jhydrol.2009.08.003).

    For flow and precipitation alone, whose zero is that nothing flows or falls: a ratio of means of temperatures is
    another in K than in degC, and that of anomalies, whose mean is about zero, is anything at all (Santos et al. 2018,
    doi:10.5194/hess-22-4583-2018). A prediction that never changes counts with a correlation of 0, so that the mean
    flow itself has 1 - sqrt(2), as Knoben et al. (2019, doi:10.5194/hess-23-4323-2019) have it.
    """

    perfect = 1.0
    better = "higher"
    units = "1"
    quantity = "amount"
    over_series = "median"
    label = "KGE"

    def terms(self, case: Case) -> tuple[Array, ...]:
        """Return first and second moments, and the truth itself."""
        _, truth, shift = _shifted(case)
        return (*_terms(case), truth + shift)

    def value(self, count: Array, sums: tuple[Array, ...], weights: Array | None) -> Array:
        """Return the efficiency; NaN for a cell whose truth has a mean of zero."""
        xp = array_namespace(count)
        m = _moments(count, sums)
        alpha = xp.sqrt(ratio(m.variance, m.truth_variance))
        off = ratio(m.mean_error * count, sums[6])  # beta - 1
        r = _correlation(m, 0.0)
        return _over_cells(1.0 - xp.sqrt((r - 1.0) ** 2 + (alpha - 1.0) ** 2 + off**2), weights)


@METRICS.register("acc")
class Acc(Metric):
    """Anomaly correlation against the train split's climatology, uncentred, over all times and cells by area.

    0 for the climatology itself, whose anomaly is zero.
    """

    adds_cells = True
    perfect = 1.0
    better = "higher"
    units = "1"
    label = "ACC"

    def terms(self, case: Case) -> tuple[Array, ...]:
        """Return products of the anomalies."""
        mean, truth, usual = wide(case.mean, case.truth, case.climatology.mean())
        f, o = mean - usual, truth - usual
        return f * o, f * f, o * o

    def value(self, count: Array, sums: tuple[Array, ...], weights: Array | None) -> Array:
        """Return the correlation; NaN where the truth has no anomaly."""
        xp = array_namespace(count)
        fo, ff, oo = sums if weights is None else (xp.sum(total * weights, axis=-1) for total in sums)
        r = ratio(fo, xp.sqrt(ff * oo), otherwise=0.0)
        return xp.where(oo == 0.0, xp.full_like(r, xp.nan), r)
