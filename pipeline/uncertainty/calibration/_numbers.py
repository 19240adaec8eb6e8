"""What calibrations of numbers share: moments on the host, and lists of three for the report."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pipeline.backend.special import to_host
from pipeline.prediction import Prediction
from pipeline.samples import Samples, Schema
from pipeline.units import NEVER_NEGATIVE

SCALED = frozenset({"normal", "mixture", "weighted_mixture", "members", "quantiles"})
"""Families that can be shifted and scaled."""


class Moments(NamedTuple):
    """Forecast and truth on the host in float64, shape (time, target, lat, lon).

    Parameters
    ----------
    truth, mean, variance : ndarray
        Zero where one of them is not known; the variance of a point is zero.
    known : ndarray of bool
        Where all are.
    """

    truth: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    known: np.ndarray


def moments(prediction: Prediction, samples: Samples) -> Moments:
    """Return what was forecast and what came true."""
    mean, truth = (np.asarray(to_host(part), float) for part in (prediction.mean(), samples.target))
    spread = prediction.variance()
    variance = np.zeros_like(mean) if spread is None else np.asarray(to_host(spread), float)
    known = np.isfinite(truth) & np.isfinite(mean) & np.isfinite(variance)
    truth, mean, variance = (np.where(known, part, 0.0) for part in (truth, mean, variance))
    return Moments(truth, mean, variance, known)


def of_amounts(schema: Schema) -> bool:
    """Whether a target is never below zero, such as rain and flow."""
    return bool(set(schema.quantities) & set(NEVER_NEGATIVE))


def middle(values: np.ndarray) -> float | dict[str, float]:
    """Return the least, the median and the largest value, for the report; one number where all are the same.

    Examples
    --------
    >>> middle(np.array([3.0, 1.0, 2.0]))
    {'least': 1.0, 'median': 2.0, 'most': 3.0}
    """
    least, most = float(np.min(values)), float(np.max(values))
    return least if least == most else {"least": least, "median": float(np.median(values)), "most": most}


def weighted_quantiles(values: np.ndarray, weight: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return quantiles at the levels ``wanted``: the i-th of n values of equal weight is that at i / (n + 1).

    Examples
    --------
    >>> weighted_quantiles(np.array([3.0, 1.0, 2.0]), np.ones(3), np.array([0.1, 0.25, 0.5, 0.625])).tolist()
    [1.0, 1.0, 2.0, 2.5]
    """
    order = np.argsort(values, kind="stable")
    weight = weight[order] / weight.mean()
    reached = (np.cumsum(weight) - 0.5 * weight + 0.5) / (len(weight) + 1)
    return np.asarray(np.interp(wanted, reached, values[order]))


def odd(count: int) -> int:
    """Refuse an even number of quantiles: none of them is the median.

    Raises
    ------
    ValueError
        If it is even.
    """
    if count % 2 == 0:
        raise ValueError(f"expected an odd number of quantiles, so that the median is among them, got {count}")
    return count
