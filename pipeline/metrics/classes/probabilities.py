"""Scores of the probabilities of classes: logarithmic and quadratic.

Source: Gneiting and Raftery (2007), doi:10.1198/016214506000001437.
"""

from __future__ import annotations

import numpy as np

from pipeline.backend import array_namespace
from pipeline.backend.special import to_host
from pipeline.metrics import METRICS, Case, ClassMetric
from pipeline.metrics._bins import binned, share
from pipeline.metrics.classes._cells import class_count, known_weights, probabilities, true_class
from pipeline.prediction._arrays import wide

FLOOR = 2.0**-23  # the step of float32 at 1, below which a probability beside others says nothing: 15.9 nat


@METRICS.register("log_loss")
class LogLoss(ClassMetric):
    """Mean of ``-log p`` of the true class [nat], over all cells and over those of every true class.

    Probabilities below 2^-23 count as that much: a forecast that gives a class no chance is held to be as far
    off as float32 can say, 15.9 nat, and not infinitely far.
    """

    perfect = 0.0
    better = "lower"
    units = "nat"
    probabilistic = True
    label = "log loss"

    def counts(self, case: Case) -> np.ndarray:
        """Return loss and area by true class."""
        (chances,), truth, weights = wide(probabilities(case)), true_class(case), known_weights(case)
        xp, number = array_namespace(chances), class_count(case)
        true = xp.zeros_like(weights)
        for of in range(number):
            true = xp.where(truth == of, chances[of, ...], true)
        # What stands outside the truth has no weight, but NaN times zero is NaN.
        true = xp.where(case.valid & (true > FLOOR), true, xp.full_like(true, FLOOR))
        loss = binned(truth, -xp.log(true) * weights, number)
        return np.concatenate([loss, binned(truth, weights, number)], axis=1)

    def value(self, sums: np.ndarray) -> np.ndarray:
        """Return the mean loss."""
        loss, area = np.split(sums, 2, axis=-1)
        return share(loss.sum(axis=-1), area.sum(axis=-1))

    def by_class(self, sums: np.ndarray) -> np.ndarray:
        """Return the mean loss where each class is true."""
        loss, area = np.split(sums, 2, axis=-1)
        return share(loss, area)


@METRICS.register("brier")
class Brier(ClassMetric):
    """Brier score of all classes, the mean of ``sum_k (p_k - o_k)^2``, from 0 to 2.

    As Brier defined it (1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2); that of a class is its own term,
    the mean of ``(p_k - o_k)^2`` over all cells, and they add up to the whole.
    """

    perfect = 0.0
    better = "lower"
    probabilistic = True
    label = "Brier score"

    def counts(self, case: Case) -> np.ndarray:
        """Return the squared errors of every class, and the area."""
        (chances,), truth, weights = wide(probabilities(case)), true_class(case), known_weights(case)
        xp = array_namespace(chances)
        parts = []
        for of in range(class_count(case)):
            error = chances[of, ...] - xp.astype(truth == of, xp.float64)
            error = xp.where(case.valid, error, xp.zeros_like(error))
            parts.append(xp.sum(error * error * weights, axis=1))
        return np.asarray(to_host(xp.stack([*parts, xp.sum(weights, axis=1)], axis=1)), float)

    def value(self, sums: np.ndarray) -> np.ndarray:
        """Return the sum over classes."""
        return share(sums[..., :-1].sum(axis=-1), sums[..., -1])

    def by_class(self, sums: np.ndarray) -> np.ndarray:
        """Return the part of every class."""
        return share(sums[..., :-1], sums[..., -1:])
