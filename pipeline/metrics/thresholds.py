"""Scores of the upper tail of the predictive distribution: the CRPS above a threshold.

Source: Gneiting and Ranjan (2011), doi:10.1198/jbes.2010.08110.
"""

from __future__ import annotations

from abc import abstractmethod

from pipeline.metrics import METRICS, Array, Case, Metric
from pipeline.metrics.pooling import pooled
from pipeline.units import converted


class _TailCrps(Metric):
    """Mean of ``integral over z > t of (F(z) - 1{y <= z})^2``, see ``Prediction.tail_crps``."""

    adds_cells = True

    @abstractmethod
    def threshold(self, case: Case) -> Array | float:
        """Return the threshold, for all times and cells or one for each, in the case's units."""

    def terms(self, case: Case) -> tuple[Array, ...]:
        """Return the CRPS of what lies above the threshold."""
        return (case.prediction.tail_crps(case.truth, self.threshold(case)),)

    def value(self, count: Array, sums: tuple[Array, ...], weights: Array | None) -> Array:
        """Return the mean."""
        return pooled(count, sums[0], weights)


@METRICS.register("twcrps_q90")
class TwcrpsQ90(_TailCrps):
    """Threshold-weighted CRPS above the 90 % quantile of the train climatology of that day and cell.

    Every day counts, also those on which neither forecast nor truth is so high, and which score 0: a forecast cannot
    gain by saying high values more often than they come (Gneiting and Ranjan 2011, doi:10.1198/jbes.2010.08110; Allen
    et al. 2023, doi:10.1137/22M1532184). A point forecast's is the absolute error of what is above.
    """

    label = "twCRPS above the 90 % quantile"

    def applies(self, case: Case, units: str) -> bool:
        """Say whether the climatology is a distribution, which has such a quantile."""
        return super().applies(case, units) and case.climatology.family != "point"

    def threshold(self, case: Case) -> Array | float:
        """Return the quantile of the climatology."""
        return case.of_truth(("climatology", 0.9), lambda: case.climatology.quantile(0.9))


@METRICS.register("twcrps_r10")
class TwcrpsR10(_TailCrps):
    """Threshold-weighted CRPS above 10 mm a day, see ``twcrps_q90``: how well heavy precipitation is foreseen."""

    quantity = "precipitation"
    daily = True
    label = "twCRPS above 10 mm"

    def threshold(self, case: Case) -> Array | float:
        """Return 10 mm a day in the case's units."""
        return converted(10.0, "mm d-1", case.units)
