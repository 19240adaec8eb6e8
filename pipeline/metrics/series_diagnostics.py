"""What the report draws of series: flow duration curves."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from pipeline.backend.special import to_host
from pipeline.errors import ConfigError
from pipeline.metrics import Case

_ENDS, _POINTS = 0.0005, 101


def _evenly() -> np.ndarray:
    ends = NormalDist().inv_cdf(1.0 - _ENDS)
    return np.array([NormalDist().cdf(x) for x in np.linspace(-ends, ends, _POINTS)])


PROBABILITIES = _evenly()
"""From 0.05 % to 99.95 %, even on the axis of a normal distribution: close together at both ends of the curve."""


@dataclass(frozen=True, eq=False)
class FlowDuration:
    """Flow duration curves of truth and prediction, on the host.

    Parameters
    ----------
    probability : ndarray of float64, shape (probability,)
        Share of the time in which the flow is exceeded.
    truth, prediction : ndarray of float64, shape (probability, cell)
        Flow that is exceeded, in units; the prediction's of its mean, over the times that have truth. NaN for a
        cell without truth.
    """

    probability: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray


def flow_duration(case: Case, probabilities: np.ndarray = PROBABILITIES) -> FlowDuration:
    """Return the flow duration curves of every cell.

    The flow that is exceeded with probability p is the quantile over time of level 1 - p, linear between values
    (Vogel and Fennessey 1994, doi:10.1061/(ASCE)0733-9496(1994)120:4(485)).

    Parameters
    ----------
    case : Case
        Of any variable.
    probabilities : ndarray, shape (probability,)
        In [0, 1]; 0 is the highest flow.

    Raises
    ------
    ConfigError
        If a probability is none.

    Examples
    --------
    >>> from pipeline.prediction import Prediction
    >>> flow = np.array([[4.0], [2.0], [8.0]])
    >>> point = Prediction("point", {"mean": flow / 2})
    >>> curve = flow_duration(Case(point, flow, point), np.array([0.0, 0.25, 1.0]))
    >>> curve.truth[:, 0].tolist(), curve.prediction[:, 0].tolist()
    ([8.0, 6.0, 2.0], [4.0, 3.0, 1.0])
    """
    probability = np.asarray(probabilities, float)
    if not ((probability >= 0.0) & (probability <= 1.0)).all():
        raise ConfigError(f"expected probabilities of exceedance in [0, 1], got {probability.tolist()!r}.")
    valid = to_host(case.valid)
    curves = (_exceeded(to_host(flow).astype(float), valid, probability) for flow in (case.truth, case.mean))
    return FlowDuration(probability, *curves)


def _exceeded(flow: np.ndarray, valid: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Return the values exceeded with each probability, shape (probability, cell); NaN where nothing is valid."""
    ordered = np.sort(np.where(valid, flow, np.inf), axis=0)
    last = np.maximum(valid.sum(axis=0) - 1, 0)
    position = (1.0 - probability)[:, None] * last
    lower = np.floor(position).astype(int)
    low, high = (np.take_along_axis(ordered, rank, axis=0) for rank in (lower, np.minimum(lower + 1, last)))
    known = valid.any(axis=0)
    step = np.where(known, high, 0.0) - np.where(known, low, 0.0)
    return np.where(known, low + (position - lower) * step, np.nan)
