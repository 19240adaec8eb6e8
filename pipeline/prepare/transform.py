"""How the target is given to models, and how their predictions are turned back into units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.backend import array_namespace
from pipeline.prediction import Prediction
from pipeline.prepare.arrays import beside
from pipeline.prepare.climatology import Climatology
from pipeline.prepare.config import TargetConfig
from pipeline.prepare.scaling import Standardiser
from pipeline.prepare.splits import TrainSplit
from pipeline.rows import Rows

Array = Any


@dataclass(frozen=True, eq=False)
class TargetTransform:
    """``(truth - shift) / scale``, where ``shift`` may follow the day of the year.

    Parameters
    ----------
    shift : Climatology
        What is subtracted, in units; NaN in cells outside the mask, so that nothing is predicted there.
    scale : array of float32, shape (target, lat, lon) or (target, 1, 1)
        What is divided by, in units; positive.
    constant : tuple of int
        For each target, how many cells (or fields) never vary and are divided by 1.
    """

    shift: Climatology
    scale: Array
    constant: tuple[int, ...]

    @classmethod
    def fit(
        cls, truth: Array, train: TrainSplit, reference: Climatology, config: TargetConfig, names: Sequence[str]
    ) -> TargetTransform:
        """Fit on the train split.

        Parameters
        ----------
        truth : array of float32, shape (time, target, lat, lon)
            In units; NaN where missing and outside the mask.
        train : TrainSplit
            Which steps may be used.
        reference : Climatology
            The day-of-year climatology of ``truth``, taken where ``config.anomaly`` asks for it.
        config : TargetConfig
            Kind of anomaly and scale.
        names : sequence of str
            Names of the targets, for messages.

        Raises
        ------
        TypeError
            If ``train`` is not a TrainSplit.
        DataError
            If a target has no finite value in the train split.
        ConfigError
            If ``config`` has options of a variable that is none of ``names``.
        """
        TrainSplit.require(train, "TargetTransform")
        config.require(names)
        shift = _shift(truth, train, reference, [config.anomaly_of(name) for name in names])
        one = beside(np.ones((len(names), 1, 1), np.float32), truth)
        plain = cls(shift, one, (0,) * len(names))
        asked = [config.scale_of(name) for name in names]
        if set(asked) == {"none"}:
            return plain
        anomaly = plain.forward(train.take(truth), train.phase)
        kinds: dict[str, Standardiser] = {
            per: Standardiser.fit(anomaly, train.alone(), per=per, names=names)
            for per in ("per_cell", "per_field")
            if per in asked
        }
        xp = array_namespace(truth)
        shape = tuple(truth.shape[2:]) if "per_cell" in asked else (1, 1)
        scales = [one[k, ...] if per == "none" else kinds[per].deviation[k, ...] for k, per in enumerate(asked)]
        return cls(
            shift,
            xp.stack([xp.broadcast_to(scale, shape) for scale in scales]),
            tuple(0 if per == "none" else kinds[per].constant[k] for k, per in enumerate(asked)),
        )

    def forward(self, truth: Array, phase: np.ndarray) -> Array:
        """Return the transformed target, float32, shape (time, target, lat, lon).

        Parameters
        ----------
        truth : array of float32, shape (time, target, lat, lon)
            In units.
        phase : ndarray, shape (time,)
            Phase of the year in [0, 1) of every step.
        """
        if isinstance(truth, Rows):
            return truth.map(lambda block, places: self.shift.anomalies(block, phase[places], self.scale))
        return self.shift.anomalies(truth, phase, self.scale)

    def to_units(self, prediction: Prediction, phase: np.ndarray) -> Prediction:
        """Return ``prediction`` in units of the target; NaN outside the mask.

        Parameters
        ----------
        prediction : Prediction
            In the space of the samples, parameters of shape (time, target, lat, lon); with leads, all variables of
            the first lead before those of the second.
        phase : ndarray, shape (time,) or (time, lead)
            Phase of the year in [0, 1) that each answer is for.
        """
        xp, phase = array_namespace(self.scale), phase.reshape(len(phase), -1)
        leads = phase.shape[1]
        shifts = [self.shift.mean_at(phase[:, lead]) for lead in range(leads)]
        shift = shifts[0] if leads == 1 else xp.concat(shifts, axis=1)
        scale = self.scale if leads == 1 else xp.concat([self.scale] * leads, axis=0)
        return prediction.affine(xp.broadcast_to(scale, shift.shape), shift)


def _shift(truth: Array, train: TrainSplit, reference: Climatology, asked: Sequence[str]) -> Climatology:
    """Return what is subtracted, target by target: the reference, the plain mean or zero."""
    if set(asked) == {"day_of_year"}:
        return reference
    plain = Climatology.fit(truth, train, harmonics=0)
    base = reference if "day_of_year" in asked else plain
    xp = array_namespace(truth)
    parts = []
    for k, anomaly in enumerate(asked):
        if anomaly == "day_of_year":
            parts.append(base.mean[:, k, ...])
            continue
        mean = plain.mean[:, k, ...] * (1.0 if anomaly == "mean" else 0.0)
        # Further coefficients of zero, NaN where there is no value, as the others have.
        parts.append(xp.concat([mean, xp.concat([0.0 * mean] * (base.mean.shape[0] - 1), axis=0)], axis=0)
                     if base.mean.shape[0] > 1 else mean)  # fmt: skip
    return replace(base, mean=xp.stack(parts, axis=1))
