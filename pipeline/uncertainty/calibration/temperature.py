"""Temperature: one number that makes probabilities of classes less sure, or surer."""

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
from pipeline.rows.parts import blocks
from pipeline.samples import Samples, Schema
from pipeline.uncertainty.calibration import CALIBRATIONS, Calibration, Evidence
from pipeline.uncertainty.calibration._classes import CHANCES, refusal, with_chances
from pipeline.uncertainty.calibration._groups import BY, By, Groups, filled, groups_of
from pipeline.uncertainty.calibration._numbers import middle

Array = Any
COLDEST, HOTTEST = 0.02, 50.0
_STEPS, _PRECISION = 50, 1e-9


class TemperatureConfig(ModelConfig):
    """Options of :class:`Temperature`."""

    by: tuple[By, ...] = Field(default=(), description=BY)
    least: int = Field(default=30, ge=2, description="Fewest values with truth that a group needs.")


@CALIBRATIONS.register("temperature")
class Temperature(Calibration):
    """Probabilities are raised to the power 1 / T and made to sum to 1 again (Guo et al. 2017, arXiv:1706.04599).

    T minimises the mean negative log probability of the true class over the evidence, by area: a convex problem in
    1 / T. The most likely class stays the same, and so do scores of it such as IoU. T lies between 0.02 and 50; an end
    says that the evidence has classes without an overlap, or probabilities that say nothing.

    No temperature helps a true class of probability zero. Such cells take no part in T; the report says how many
    there are. The share of epistemic entropy in the whole is kept.
    """

    Config: ClassVar[type[ModelConfig]] = TemperatureConfig
    of_classes: ClassVar[bool] = True

    def why_not(self, prediction: Prediction, schema: Schema) -> str | None:
        """Refuse predictions of numbers."""
        return refusal(prediction)

    def learn(self, evidence: Evidence, context: Context) -> dict[str, np.ndarray]:
        """Return T for every group.

        Raises
        ------
        CalibrationError
            If a group has too few cells with truth.
        """
        samples, chances = evidence.samples, evidence.prediction.parameters[CHANCES]
        groups = groups_of(samples, self.config.by)
        told = np.isfinite(to_host(samples.target)) & np.isfinite(to_host(chances[0, ...]))
        own = to_host(evidence.prediction.nll(samples.target))
        known = told & np.isfinite(own)
        groups.enough(known, self.config.least)
        lost = int(told.sum() - known.sum())
        if lost:
            context.warn(
                f"{context.name}: {lost} cells of {evidence.origin} are of a class that had no chance at all; "
                "a temperature cannot give it one."
            )
        slopes = _Slopes(chances, np.where(known, own, 0.0), known, groups)
        return {"temperature": 1.0 / _coldness(slopes), "impossible": np.array([lost])}

    def apply(self, prediction: Prediction, inputs: Samples, context: Context) -> Prediction:
        """Return the prediction at its group's temperature."""
        chances = prediction.parameters[CHANCES]
        groups, real = groups_of(inputs, self.config.by), array_namespace(chances).float64
        power = groups.spread(1.0 / self.arrays["temperature"], chances, real)
        return with_chances(prediction, powered(chances, power))

    def summary(self) -> dict[str, Any]:
        """Return the temperatures: the least, the middle one and the largest."""
        return {
            "kind": "temperature",
            "by": list(self.config.by),
            "temperature": middle(self.arrays["temperature"]),
            "impossible": int(self.arrays["impossible"][0]),
            **super().summary(),
        }


def powered(chances: Array, power: Array) -> Array:
    """Return ``p^power / sum p^power`` over the leading axis, float64; what has no chance gets none.

    Parameters
    ----------
    chances : array, shape (class, time, target, lat, lon)
        Probabilities.
    power : array, shape (time, target, lat, lon)
        Positive.

    Examples
    --------
    >>> import numpy as np
    >>> powered(np.array([[0.8], [0.2]]), np.array([2.0])).round(3).ravel().tolist()
    [0.941, 0.059]
    """
    xp = array_namespace(chances)
    logs = _logs(chances) * power[None, ...]
    raised = xp.exp(logs - xp.max(logs, axis=0, keepdims=True))
    return raised / xp.sum(raised, axis=0, keepdims=True)


def _logs(chances: Array) -> Array:
    (p,) = wide(chances)
    xp = array_namespace(p)
    none = p <= 0.0
    return xp.where(none, xp.full_like(p, -xp.inf), xp.log(xp.where(none, xp.ones_like(p), p)))


class _Slopes:
    """First and second derivative of the mean log loss with respect to 1 / T, by group."""

    def __init__(self, chances: Array, own: np.ndarray, known: np.ndarray, groups: Groups) -> None:
        self.chances, self.known, self.groups = chances, known, groups
        self._counted = groups.sums(known.astype(float))
        self.count, total = filled(self._counted, groups.sums(own))
        self.own = total / self.count

    def __call__(self, power: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return both at ``power``, shape (target, group in time, group in space)."""
        mean, spread = np.zeros(self.known.shape), np.zeros(self.known.shape)
        xp = array_namespace(self.chances)
        field = self.groups.spread(power, self.chances, xp.float64)
        field = xp.broadcast_to(field, self.chances.shape[1:])
        for part in blocks(self.chances[0, ...], 4 * self.chances.shape[0] * int(np.prod(self.known.shape[1:]))):
            chances = self.chances[:, part, ...]
            share, logs = powered(chances, field[part, ...]), _logs(chances)
            logs = xp.where(xp.isinf(logs), xp.zeros_like(logs), logs)
            first = xp.sum(share * logs, axis=0)
            mean[part] = to_host(first)
            spread[part] = to_host(xp.sum(share * (logs - first[None, ...]) ** 2, axis=0))
        sums = (self.groups.sums(np.where(self.known, values, 0.0)) for values in (mean, spread))
        _, first, second = filled(self._counted, *sums)
        return self.own + first / self.count, second / self.count


def _coldness(slopes: _Slopes) -> np.ndarray:
    """Return the 1 / T where the loss is least: Newton, by halves where that leads astray."""
    low, high = np.full_like(slopes.count, 1.0 / HOTTEST), np.full_like(slopes.count, 1.0 / COLDEST)
    power = np.ones_like(low)
    for _ in range(_STEPS):
        slope, bend = slopes(power)
        low, high = np.where(slope < 0.0, power, low), np.where(slope < 0.0, high, power)
        newton = power - slope / np.maximum(bend, 1e-300)
        good = (newton > low) & (newton < high)
        following = np.where(good, newton, np.sqrt(low * high))
        moved = np.abs(following - power)
        power = following
        if (moved <= _PRECISION * power).all():
            break
    return power
