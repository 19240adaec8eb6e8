"""How the target is given to models, and how their predictions are turned back into units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.backend import array_namespace
from pipeline.prediction import Prediction
from pipeline.prepare.arrays import beside, blocks
from pipeline.prepare.climatology import Climatology
from pipeline.prepare.config import TargetConfig
from pipeline.prepare.scaling import Standardiser
from pipeline.prepare.splits import TrainSplit

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
        """
        TrainSplit.require(train, "TargetTransform")
        shift = reference
        if config.anomaly != "day_of_year":
            shift = Climatology.fit(truth, train, harmonics=0)
        if config.anomaly == "none":
            shift = shift.without_mean()
        one = beside(np.ones((len(names), 1, 1), np.float32), truth)
        plain = cls(shift, one, (0,) * len(names))
        if config.scale == "none":
            return plain
        anomaly = plain.forward(train.take(truth), train.phase)
        fitted = Standardiser.fit(anomaly, train.alone(), per=config.scale, names=names)
        return cls(shift, fitted.deviation, fitted.constant)

    def forward(self, truth: Array, phase: np.ndarray) -> Array:
        """Return the transformed target, float32, shape (time, target, lat, lon).

        Parameters
        ----------
        truth : array of float32, shape (time, target, lat, lon)
            In units.
        phase : ndarray, shape (time,)
            Phase of the year in [0, 1) of every step.
        """
        xp = array_namespace(truth)
        parts = [(truth[part, ...] - self.shift.mean_at(phase[part])) / self.scale for part in blocks(truth)]
        return xp.concat(parts, axis=0) if parts else truth

    def to_units(self, prediction: Prediction, phase: np.ndarray) -> Prediction:
        """Return ``prediction`` in units of the target; NaN outside the mask.

        Parameters
        ----------
        prediction : Prediction
            In the space of the samples, parameters of shape (time, target, lat, lon).
        phase : ndarray, shape (time,)
            Phase of the year in [0, 1) of every step.
        """
        xp = array_namespace(self.scale)
        shift = self.shift.mean_at(phase)
        return prediction.affine(xp.broadcast_to(self.scale, shift.shape), shift)
