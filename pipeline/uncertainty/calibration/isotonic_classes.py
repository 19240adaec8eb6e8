"""Isotonic regression of every class: what is said of a class becomes how often it was true."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from pipeline.backend import array_namespace
from pipeline.backend.special import to_host
from pipeline.model import Context
from pipeline.model_config import ModelConfig
from pipeline.prediction import Prediction
from pipeline.prediction._arrays import wide
from pipeline.prepare.arrays import beside
from pipeline.rows.parts import blocks
from pipeline.samples import Samples, Schema
from pipeline.uncertainty.calibration import CALIBRATIONS, Calibration, Evidence
from pipeline.uncertainty.calibration._classes import CHANCES, refusal, with_chances
from pipeline.uncertainty.calibration._groups import groups_of

Array = Any


class IsotonicClassesConfig(ModelConfig):
    """Options of :class:`IsotonicClasses`."""

    bins: int = Field(default=500, ge=10, le=10000, description="How fine the probabilities are told apart.")
    least: int = Field(default=1000, ge=10, description="Fewest cells with truth.")


@CALIBRATIONS.register("isotonic_classes")
class IsotonicClasses(Calibration):
    """Each class has a rising curve of its own from what was said to how often it was true; then all sum to 1 again.

    One class against the rest, by isotonic regression (Zadrozny and Elkan 2002, doi:10.1145/775047.775151) on
    evenly wide bins of the probability, by area. Unlike a temperature it mends each class by itself and may change
    which class is the most likely. One cell more, spread evenly over the bins with their own probabilities, keeps
    frequencies from being 0 or 1, but for bins where nothing else was ever said: a class without any chance that never
    came keeps none. Between the middles of bins the curve is a line.
    """

    Config: ClassVar[type[ModelConfig]] = IsotonicClassesConfig
    of_classes: ClassVar[bool] = True

    def why_not(self, prediction: Prediction, schema: Schema) -> str | None:
        """Refuse predictions of numbers."""
        return refusal(prediction)

    def learn(self, evidence: Evidence, context: Context) -> dict[str, np.ndarray]:
        """Return the curve of every class at the middles of the bins, shape (class, bin).

        Raises
        ------
        CalibrationError
            If there are too few cells with truth.
        """
        from scipy.optimize import isotonic_regression

        samples, chances = evidence.samples, evidence.prediction.parameters[CHANCES]
        groups = groups_of(samples, ())
        truth = np.asarray(to_host(samples.target))
        known = np.isfinite(truth) & np.isfinite(to_host(chances[0, ...]))
        groups.enough(known, self.config.least)
        area = np.broadcast_to(groups.area, truth.shape)
        curves = []
        for number in range(int(chances.shape[0])):
            total, said, true = np.zeros((3, self.config.bins))
            for part in blocks(truth):
                there = known[part]
                p = np.clip(to_host(chances[number, part, ...])[there].astype(float), 0.0, 1.0)
                place = np.minimum((p * self.config.bins).astype(int), self.config.bins - 1)
                weight = area[part][there]
                for into, values in (
                    (total, weight),
                    (said, weight * p),
                    (true, weight * (truth[part][there] == number)),
                ):
                    into += np.bincount(place, values, minlength=self.config.bins)
            middle = (np.arange(self.config.bins) + 0.5) / self.config.bins
            own = np.where(total > 0.0, said / np.where(total > 0.0, total, 1.0), middle)
            more = 1.0 / self.config.bins
            rate = (true + more * own) / (total + more)
            curves.append(isotonic_regression(rate, weights=total + more).x)
        return {"curve": np.stack(curves)}

    def apply(self, prediction: Prediction, inputs: Samples, context: Context) -> Prediction:
        """Return what the curves make of the probabilities, divided by their sum."""
        (chances,) = wide(prediction.parameters[CHANCES])
        xp = array_namespace(chances)
        parts = [_line(chances[number, ...], curve) for number, curve in enumerate(self.arrays["curve"])]
        raised = xp.stack(parts, axis=0)
        return with_chances(prediction, raised / xp.sum(raised, axis=0, keepdims=True))

    def summary(self) -> dict[str, Any]:
        """Return what becomes of 10, 50 and 90 % of every class."""
        curve = self.arrays["curve"]
        middle = (np.arange(curve.shape[1]) + 0.5) / curve.shape[1]
        at = [[round(float(value), 4) for value in np.interp((0.1, 0.5, 0.9), middle, row)] for row in curve]
        return {"kind": "isotonic_classes", "of_10_50_90": at, **super().summary()}


def _line(chance: Array, curve: np.ndarray) -> Array:
    """Return the line through ``curve``, which stands at the middles of evenly wide bins of [0, 1], at ``chance``."""
    xp, bins = array_namespace(chance), len(curve)
    there = ~xp.isnan(chance)
    position = xp.clip(xp.where(there, chance, xp.zeros_like(chance)) * bins - 0.5, 0.0, float(bins - 1))
    below = xp.clip(xp.astype(xp.floor(position), xp.int64), 0, bins - 2)
    values = beside(curve, chance)
    flat = xp.reshape(below, (-1,))
    low, high = (xp.reshape(xp.take(values, flat + step), below.shape) for step in (0, 1))
    found = low + (position - xp.astype(below, xp.float64)) * (high - low)
    return xp.where(there, found, xp.full_like(found, xp.nan))
