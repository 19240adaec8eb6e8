"""Errors of the mean: RMSE, MAE and bias, over all times and cells by area.

Source: Wilks (2019), Statistical Methods in the Atmospheric Sciences, doi:10.1016/C2017-0-03921-6.
"""

from __future__ import annotations

from pipeline.backend import array_namespace
from pipeline.metrics import METRICS, Array, Case, Metric
from pipeline.metrics.pooling import pooled
from pipeline.prediction._arrays import wide


def error(case: Case) -> Array:
    """Return mean minus truth in float64."""

    def make() -> Array:
        mean, truth = wide(case.mean, case.truth)
        return mean - truth

    return case.once(("error",), make)


@METRICS.register("rmse")
class Rmse(Metric):
    """Root of the mean square error of the mean."""

    adds_cells = True
    label = "RMSE"

    def terms(self, case: Case) -> tuple[Array, ...]:
        """Return the square error."""
        difference = error(case)
        return (difference * difference,)

    def value(self, count: Array, sums: tuple[Array, ...], weights: Array | None) -> Array:
        """Return the root of the mean, drawn last."""
        return array_namespace(count).sqrt(pooled(count, sums[0], weights))


@METRICS.register("mae")
class Mae(Metric):
    """Mean absolute error of the mean."""

    adds_cells = True
    label = "MAE"

    def terms(self, case: Case) -> tuple[Array, ...]:
        """Return the absolute error."""
        difference = error(case)
        return (array_namespace(difference).abs(difference),)

    def value(self, count: Array, sums: tuple[Array, ...], weights: Array | None) -> Array:
        """Return the mean."""
        return pooled(count, sums[0], weights)


@METRICS.register("bias")
class Bias(Metric):
    """Mean of prediction minus truth."""

    adds_cells = True
    better = "closer"
    label = "bias"

    def terms(self, case: Case) -> tuple[Array, ...]:
        """Return the error."""
        return (error(case),)

    def value(self, count: Array, sums: tuple[Array, ...], weights: Array | None) -> Array:
        """Return the mean."""
        return pooled(count, sums[0], weights)
