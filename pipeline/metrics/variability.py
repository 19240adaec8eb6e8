"""How much days vary, and how much they have in common with the day before: of a forecast's days, not of its mean.

Source: the VALUE framework, Maraun et al. (2015), doi:10.1002/2014EF000259.
"""

from __future__ import annotations

import array_api_compat

from pipeline.backend import array_namespace
from pipeline.metrics import METRICS, Array, Case, Metric
from pipeline.metrics.blocks import runs_of
from pipeline.metrics.pooling import area_mean, ratio
from pipeline.prediction._arrays import wide

_ROUNDING = 1e-12  # a variance below this share of the mean square is rounding, not variation
_LEAST_PAIRS = 3


def _usual(case: Case) -> Array:
    """Return the mean of the truth of every cell, 0 where there is none: less it, squares keep their digits."""
    (truth,) = wide(case.truth)
    xp = array_namespace(truth)
    total = xp.sum(xp.where(case.valid, truth, xp.zeros_like(truth)), axis=0)
    return ratio(total, xp.sum(xp.astype(case.valid, xp.float64), axis=0), otherwise=0.0)


def _variation(square: Array, mean: Array) -> Array:
    variance = square - mean * mean
    return array_namespace(square).where(variance <= _ROUNDING * square, 0.0 * square, variance)


@METRICS.register("sd_ratio_draws")
class SdRatioDraws(Metric):
    """Deviation over time of the days a forecast would give by that of the truth; the area mean over cells.

    The forecast's is exact: the mean over time of its variance, and the variance over time of its mean. It is
    what ever more draws of all days would have, where ``sd_ratio`` is of the mean alone.
    """

    units, better, perfect, label = "1", "closer", 1.0, "ratio of deviations of drawn days"
    resamples = 250

    def terms(self, case: Case) -> tuple[Array, ...]:
        """Return first and second moments of forecast and truth, less the truth's mean of a cell."""
        mean, truth = wide(case.mean, case.truth)
        usual, variance = _usual(case), case.prediction.variance()
        first, observed = mean - usual, truth - usual
        second = first * first if variance is None else first * first + wide(variance)[0]
        return first, second, observed, observed * observed

    def value(self, count: Array, sums: tuple[Array, ...], weights: Array | None) -> Array:
        """Return the ratio of every cell, and its area mean."""
        xp = array_namespace(count)
        some = xp.where(count >= 2.0, count, xp.full_like(count, xp.nan))
        f, ff, o, oo = (total / some for total in sums)
        cells = xp.sqrt(ratio(_variation(ff, f), _variation(oo, o)))
        return cells if weights is None else area_mean(cells, weights)


@METRICS.register("bias_lag1")
class BiasLag1(Metric):
    """Bias of the correlation of a day with the day before, never across a gap; the area mean over cells.

    Of draws, all as one sample. Draws of a distribution without members are independent between days: they
    follow one another no more than its means do. Of data of any step.
    """

    units, better, uses_draws, label = "1", "closer", True, "bias of the lag-1 autocorrelation"
    resamples = 250  # eleven sums each

    def applies(self, case: Case, units: str) -> bool:
        """Whether the case knows its dates."""
        return super().applies(case, units) and case.time is not None

    def terms(self, case: Case) -> tuple[Array, ...]:
        """Return the number of pairs of neighbouring times, and moments of pairs, of draws and of truth."""
        if case.time is None:
            raise ValueError("expected a case that knows its times, got one without.")
        xp, usual = array_namespace(case.truth), _usual(case)
        run = runs_of(case.time)
        follows = xp.asarray([False, *(run[1:] == run[:-1]).tolist()], device=array_api_compat.device(case.truth))
        pair = xp.astype(follows[:, None] & case.valid & _before(case.valid), xp.float64)
        drawn = [_of_pairs(case.draws[number, ...], usual, pair) for number in range(case.draws.shape[0])]
        mean = tuple(sum(parts[1:], start=parts[0]) / len(drawn) for parts in zip(*drawn, strict=True))
        truth = xp.where(case.valid, case.truth, xp.zeros_like(case.truth))
        return (pair, *mean, *_of_pairs(truth, usual, pair))

    def value(self, count: Array, sums: tuple[Array, ...], weights: Array | None) -> Array:
        """Return the difference of the correlations of every cell, and its area mean."""
        xp, pairs = array_namespace(count), sums[0]
        some = xp.where(pairs >= _LEAST_PAIRS, pairs, xp.full_like(pairs, xp.nan))
        cells = _correlation(some, sums[1:6], 0.0) - _correlation(some, sums[6:11], float("nan"))
        return cells if weights is None else area_mean(cells, weights)


def _before(values: Array) -> Array:
    """Return the values of the time before, at the first time its own."""
    return array_namespace(values).concat([values[:1, :], values[:-1, :]], axis=0)


def _of_pairs(series: Array, usual: Array, pair: Array) -> tuple[Array, ...]:
    """Return moments of pairs of neighbours, 0 where there is no pair."""
    xp = array_namespace(pair)
    away = wide(series)[0] - usual
    here, before = (xp.where(pair > 0.0, side, xp.zeros_like(pair)) for side in (away, _before(away)))
    return here, before, here * here, before * before, here * before


def _correlation(count: Array, sums: tuple[Array, ...], constant: float) -> Array:
    """Return the correlation of pairs; ``constant`` where one side does not vary."""
    a, b, aa, bb, ab = (part / count for part in sums)
    return ratio(ab - a * b, array_namespace(a).sqrt(_variation(aa, a) * _variation(bb, b)), otherwise=constant)
