"""Scores of one confusion matrix: overlap, precision, recall, accuracy and agreement beyond chance.

With hits TP, false alarms FP and misses FN of a class by area (Jolliffe and Stephenson 2012,
doi:10.1002/9781119960003). A class that is neither in the truth nor predicted has no score; one that is predicted
and not in the truth has an overlap and a precision of 0 and no recall; one that is in the truth and never
predicted an overlap and a recall of 0 and no precision. What has no score is left out of the mean over classes.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from pipeline.metrics import METRICS, Case, ClassMetric
from pipeline.metrics._bins import share
from pipeline.metrics.classes._cells import class_count, confusions, mean_over_classes, time_parts


@dataclass(frozen=True, eq=False)
class Confusion:
    """How much of every true class was predicted as which; arrays of shape (class, class), true classes in rows.

    Parameters
    ----------
    area : ndarray
        Sums of area weights over all times with truth.
    shares : ndarray
        The same as shares of each true class: the diagonal is the recall; NaN for a class that is not in the truth.
    """

    area: np.ndarray
    shares: np.ndarray


def confusion(case: Case) -> Confusion:
    """Return the confusion matrix of a case of classes over all its times, on the host.

    Examples
    --------
    >>> from pipeline.prediction import Prediction
    >>> chance = np.array([[[0.9, 0.2, 0.6]], [[0.1, 0.8, 0.4]]])
    >>> usual = Prediction("categorical", {"probabilities": chance})
    >>> confusion(Case(usual, np.array([[0.0, 1.0, 1.0]]), usual)).area.tolist()
    [[1.0, 0.0], [1.0, 1.0]]
    """
    number = class_count(case)
    area = sum((confusions(part).sum(axis=0) for part in time_parts(case)), np.zeros((number, number)))
    return Confusion(area, share(area, area.sum(axis=1, keepdims=True)))


class _OfConfusion(ClassMetric):
    def counts(self, case: Case) -> np.ndarray:
        """Return the confusion matrix of every time, laid out."""
        found = confusions(case)
        return found.reshape(len(found), -1)


def _matrix(sums: np.ndarray) -> np.ndarray:
    number = round(sums.shape[-1] ** 0.5)
    return sums.reshape(*sums.shape[:-1], number, number)


def _rates(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (TP, FP, FN) of every class, each of shape (..., class)."""
    matrix = _matrix(sums)
    hits = np.diagonal(matrix, axis1=-2, axis2=-1)
    # Added up without the diagonal: a difference of sums would leave rounding where there is nothing.
    wrong = matrix * (1.0 - np.eye(matrix.shape[-1]))
    return hits, wrong.sum(axis=-2), wrong.sum(axis=-1)


class _OfClasses(_OfConfusion):
    """A score of every class; overall their mean."""

    def value(self, sums: np.ndarray) -> np.ndarray:
        """Return the mean over the classes that have a score."""
        return mean_over_classes(self.by_class(sums))

    def by_class(self, sums: np.ndarray) -> np.ndarray:
        """Return the score of every class."""
        return self.of_rates(*_rates(sums))

    @abstractmethod
    def of_rates(self, hits: np.ndarray, false: np.ndarray, missed: np.ndarray) -> np.ndarray:
        """Return the score from TP, FP and FN."""


@METRICS.register("iou")
class Iou(_OfClasses):
    """Intersection over union of predicted and true cells, ``TP / (TP + FP + FN)``, by class and their mean.

    Jaccard's index; of a class, the critical success index of its cells.
    """

    label = "IoU"

    def of_rates(self, hits: np.ndarray, false: np.ndarray, missed: np.ndarray) -> np.ndarray:
        """Return the intersection over the union."""
        return share(hits, hits + false + missed)


class _Dice(_OfClasses):
    def of_rates(self, hits: np.ndarray, false: np.ndarray, missed: np.ndarray) -> np.ndarray:
        """Return twice the intersection over both areas."""
        return share(2.0 * hits, 2.0 * hits + false + missed)


@METRICS.register("dice")
class Dice(_Dice):
    """Dice coefficient, ``2 TP / (2 TP + FP + FN)``, by class and their mean; the same numbers as ``f1``."""

    label = "Dice"


@METRICS.register("f1")
class F1(_Dice):
    """F1, the harmonic mean of precision and recall, by class and their mean; the same numbers as ``dice``."""

    label = "F1"


@METRICS.register("precision")
class Precision(_OfClasses):
    """Share of what is predicted as a class that is one, ``TP / (TP + FP)``, by class and their mean.

    A class that is never predicted has none: read the mean beside the recall, which is 0 then.
    """

    label = "precision"

    def of_rates(self, hits: np.ndarray, false: np.ndarray, missed: np.ndarray) -> np.ndarray:
        """Return the hits among what is predicted."""
        return share(hits, hits + false)


@METRICS.register("recall")
class Recall(_OfClasses):
    """Share of a class that is found, ``TP / (TP + FN)``, by class and their mean, the balanced accuracy."""

    label = "recall"

    def of_rates(self, hits: np.ndarray, false: np.ndarray, missed: np.ndarray) -> np.ndarray:
        """Return the hits among what is true."""
        return share(hits, hits + missed)


@METRICS.register("accuracy")
class Accuracy(_OfConfusion):
    """Share of the area whose class is right; with a rare class high for whoever never predicts it."""

    label = "accuracy"

    def value(self, sums: np.ndarray) -> np.ndarray:
        """Return the share of the diagonal."""
        return share(np.trace(_matrix(sums), axis1=-2, axis2=-1), sums.sum(axis=-1))


@METRICS.register("kappa")
class Kappa(_OfConfusion):
    """Cohen's kappa, ``(p_o - p_e) / (1 - p_e)``: agreement beyond that of the same class shares by chance.

    Of a class: that class against the rest (Cohen 1960, doi:10.1177/001316446002000104). NaN where truth and
    prediction are one and the same class throughout.
    """

    label = "Cohen's kappa"

    def value(self, sums: np.ndarray) -> np.ndarray:
        """Return kappa of all classes."""
        matrix = _matrix(sums)
        total = sums.sum(axis=-1)
        agreed = share(np.trace(matrix, axis1=-2, axis2=-1), total)
        return _beyond_chance(agreed, share((matrix.sum(axis=-1) * matrix.sum(axis=-2)).sum(axis=-1), total**2))

    def by_class(self, sums: np.ndarray) -> np.ndarray:
        """Return kappa of every class against the rest."""
        (hits, false, missed), total = _rates(sums), sums.sum(axis=-1)[..., None]
        true, predicted = share(hits + missed, total), share(hits + false, total)
        return _beyond_chance(share(total - false - missed, total), true * predicted + (1.0 - true) * (1.0 - predicted))


def _beyond_chance(agreed: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Return kappa; where chance alone agrees, to the rounding of sums, there is nothing beyond it."""
    some = 1.0 - chance > 1e-12
    return np.where(some, (agreed - chance) / np.where(some, 1.0 - chance, 1.0), np.nan)
