"""What conformal intervals are laid around: a mean, a mean in standard deviations, or quantiles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.backend import array_namespace
from pipeline.prediction import Prediction
from pipeline.prediction._arrays import wide

Array = Any


@dataclass(frozen=True, eq=False)
class Frame:
    """An interval that is widened by a number of units on both sides.

    Parameters
    ----------
    end : callable
        Returns the end of the interval at a level, shape (time, target, lat, lon), float64.
    unit : array of that shape, or float
        What one step of widening is.
    flat : bool
        Whether ends are the same at all levels.
    """

    end: Callable[[float], Array]
    unit: Array | float
    flat: bool


def _absolute(prediction: Prediction) -> Frame:
    (mean,) = wide(prediction.mean())
    return Frame(lambda level: mean, 1.0, flat=True)


def _normalised(prediction: Prediction) -> Frame:
    mean, variance = wide(prediction.mean(), prediction.variance())
    return Frame(lambda level: mean, array_namespace(mean).sqrt(variance), flat=True)


def _cqr(prediction: Prediction) -> Frame:
    return Frame(lambda level: wide(prediction.quantile(level))[0], 1.0, flat=False)


FRAMES: Mapping[str, Callable[[Prediction], Frame]] = {
    "absolute": _absolute, "normalised": _normalised, "cqr": _cqr,
}  # fmt: skip


def steps_out(end: np.ndarray, truth: np.ndarray, unit: np.ndarray | float, side: float) -> np.ndarray:
    """Return how many units outside of an end the truth lies, negative inside.

    Where the unit is zero it is 0 for what lies on the end and infinite for anything else.

    Parameters
    ----------
    end, truth : ndarray
        In float64.
    unit : ndarray or float
        Not negative.
    side : {-1.0, 1.0}
        Whether it is the lower end, or the upper.
    """
    apart = side * (truth - end)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(apart == 0.0, 0.0, apart / unit)
