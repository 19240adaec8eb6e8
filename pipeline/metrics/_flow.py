"""What scores of a river's flow share: for which targets they are, and how flows become their logs."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from pipeline.backend import array_namespace
from pipeline.metrics import Array, Case
from pipeline.metrics.pooling import ratio
from pipeline.prediction import Prediction
from pipeline.prediction._arrays import wide


class OfFlow:
    """A score of the flow of basins, in per cent; over several the median basin's.

    For volumes in a time, such as m3 s-1, also of an area, and for mm d-1 if the standard name says that it is flow.

    The median over basins has been usual since Kratzert et al. (2019, doi:10.5194/hess-23-5089-2019).
    """

    tasks: ClassVar[frozenset[str]] = frozenset({"series"})
    quantity: ClassVar[str] = "flow"
    over_series: ClassVar[str] = "median"
    units: ClassVar[str] = "%"
    better: ClassVar[str] = "closer"


def mean_flow(case: Case) -> Array:
    """Return the mean of the truth of every cell, shape (cell,), in float64; NaN where there is none or no flow."""
    (truth,) = wide(case.truth)
    xp = array_namespace(truth)
    total = xp.sum(xp.where(case.valid, truth, xp.zeros_like(truth)), axis=0)
    mean = ratio(total, xp.sum(xp.astype(case.valid, xp.float64), axis=0))
    return xp.where(mean > 0.0, mean, xp.full_like(mean, xp.nan))


def log_case(case: Case, *, added: float = 0.0, least: float = 0.0) -> Case:
    """Return a case of the logs of predicted and true flow, a point forecast.

    Parameters
    ----------
    case : Case
        Of flow; below zero counts as no flow.
    added, least : float
        Shares of the mean true flow of a cell: what is added to all flows, and what stands for smaller ones.
    """
    xp, mean = array_namespace(case.truth), mean_flow(case)
    flows = wide(case.mean, case.truth)
    zero = xp.zeros_like(mean)
    logs = [xp.log(xp.maximum(xp.maximum(flow, zero) + added * mean, least * mean)) for flow in flows]
    return replace(case, prediction=Prediction("point", {"mean": logs[0]}), truth=logs[1], drawn=None)
