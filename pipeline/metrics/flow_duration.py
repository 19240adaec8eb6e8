"""Errors of the flow duration curve: of its peak, its middle and its low end.

The curve says which flow is exceeded how much of the time; when it flows is left out. Its three errors are those
of Yilmaz et al. (2008, doi:10.1029/2007WR006716), of the mean prediction.
"""

from __future__ import annotations

from abc import abstractmethod

from pipeline.backend import array_namespace
from pipeline.metrics import METRICS, Array, Case, SeriesMetric
from pipeline.metrics._flow import OfFlow, log_case
from pipeline.metrics._tails import lowest_sum
from pipeline.metrics.extremes import resampled_quantile
from pipeline.metrics.pooling import ratio
from pipeline.prediction._arrays import wide

_PEAK, _LOW = 0.02, 0.3  # shares of the time
_MIDDLE = (0.2, 0.7)  # exceeded that share of the time
_LEAST = 1e-6  # of the mean true flow: the log of no flow is not known


class _OfCurve(OfFlow, SeriesMetric):
    """An error of one part of the curve: what it is there in the prediction and in the truth."""

    def cells(self, case: Case, counts: Array) -> Array:
        """Return the error in per cent, over the times that have truth; NaN where the truth has nothing there."""
        predicted, true = (self.part(flow, counts) for flow in self.flows(case))
        return 100.0 * ratio(predicted - true, true)

    def flows(self, case: Case) -> tuple[Array, Array]:
        """Return the logs of prediction and truth, shape (time, cell), NaN without truth."""
        logs = case.once(("log_flow", _LEAST), lambda: log_case(case, least=_LEAST))
        return _known(case, logs)

    @abstractmethod
    def part(self, flow: Array, counts: Array) -> Array:
        """Return what the part of a curve is measured by, shape (resample, cell)."""


def _known(case: Case, shown: Case) -> tuple[Array, Array]:
    mean, truth = wide(shown.mean, shown.truth)
    xp = array_namespace(truth)
    gone = xp.full_like(truth, xp.nan)
    return xp.where(case.valid, mean, gone), xp.where(case.valid, truth, gone)


@METRICS.register("fhv")
class Fhv(_OfCurve):
    """Bias of the highest flows: of the volume of the 2 % of times with most flow, each curve's own."""

    label = "bias of peak flows (FHV)"

    def flows(self, case: Case) -> tuple[Array, Array]:
        """Return prediction and truth themselves."""
        return _known(case, case)

    def part(self, flow: Array, counts: Array) -> Array:
        """Return the sum of the highest flows."""
        return -lowest_sum(-flow, counts, _PEAK).total


@METRICS.register("fms")
class Fms(_OfCurve):
    """Bias of the slope of the middle of the curve, in logs: a steep one is of a basin that answers rain at once.

    Between the flows that are exceeded 20 % and 70 % of the time.
    """

    label = "bias of the mid slope of the flow duration curve (FMS)"

    def part(self, flow: Array, counts: Array) -> Array:
        """Return the fall of the curve between its two ends of the middle."""
        high, low = (resampled_quantile(flow, counts, 1.0 - exceeded) for exceeded in _MIDDLE)
        return high - low


@METRICS.register("flv")
class Flv(_OfCurve):
    """Bias of the lowest flows, in logs: of how far the 30 % of times with least flow lie above the least of all.

    Positive where low flow varies too little, as in the source. Flows below a millionth of the mean true flow
    count as that: a prediction that runs dry on one day has a very large error.
    """

    label = "bias of low flows (FLV)"

    def cells(self, case: Case, counts: Array) -> Array:
        """Return the error in per cent, with the sign of the source."""
        return -super().cells(case, counts)

    def part(self, flow: Array, counts: Array) -> Array:
        """Return the sum of the lowest logs, each less the least."""
        low = lowest_sum(flow, counts, _LOW)
        return low.total - low.number * resampled_quantile(flow, counts, 0.0)
