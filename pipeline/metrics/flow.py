"""How much water, and how well low flow follows: scores of a river's flow that are made of sums."""

from __future__ import annotations

from pipeline.metrics import METRICS, Array, Case, Metric
from pipeline.metrics._flow import OfFlow, log_case
from pipeline.metrics.association import Nse
from pipeline.metrics.deterministic import error
from pipeline.metrics.pooling import area_mean, ratio
from pipeline.prediction._arrays import wide

_ADDED = 0.01  # of the mean true flow, so that days without any have a log too


@METRICS.register("log_nse")
class LogNse(OfFlow, Nse):
    """Nash-Sutcliffe efficiency of the log of flow, which low flow weighs in as high flow does.

    Of log(q + 1 % of the mean true flow of the cell), which days without flow have too (Pushpalatha et al. 2012,
    doi:10.1016/j.jhydrol.2011.11.055). A flow predicted below zero counts as none. The mean is that of the whole
    split, in seasons and resamples too.
    """

    units, better, perfect, label = "1", "higher", 1.0, "log NSE"

    def terms(self, case: Case) -> tuple[Array, ...]:
        """Return first and second moments of the logs."""
        return super().terms(log_case(case, added=_ADDED))


@METRICS.register("pbias")
class Pbias(OfFlow, Metric):
    """Percent bias: what is predicted too much, as a share of what flowed.

    Positive for too much, as all biases here; with the other sign in Moriasi et al. (2007,
    doi:10.13031/2013.23153).
    """

    label = "percent bias"

    def terms(self, case: Case) -> tuple[Array, ...]:
        """Return the error and the truth."""
        return error(case), *wide(case.truth)

    def value(self, count: Array, sums: tuple[Array, ...], weights: Array | None) -> Array:
        """Return the share of every cell, and its area mean; NaN for a cell without flow."""
        cells = 100.0 * ratio(sums[0], sums[1])
        return cells if weights is None else area_mean(cells, weights)
