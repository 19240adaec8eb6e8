"""Average precision and precision-recall curves, from histograms of the probability of each class.

Bins are even in log-odds, so that they are fine where the probabilities of rare classes and of sure models lie:
1024 of them from odds of 1 : 22000 to 22000 : 1, each 2 % wide in odds, and so at most 0.005 wide in probability.
What lies in one bin counts as equally probable; that is all that tells the result from the exact one. The average
precision is that of scikit-learn on the numbers of the bins. It may be lower than the exact one, where the order within
bins is good, or higher, where it is bad; for smooth probabilities it is within 0.003 of it (held by tests, for common
and for rare classes), and where probabilities are few, such as the votes of a hundred trees, it is exact.

Source: Davis and Goadrich (2006), doi:10.1145/1143844.1143874.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.backend import array_namespace
from pipeline.errors import ConfigError
from pipeline.metrics import METRICS, Array, Case, ClassMetric
from pipeline.metrics._bins import binned, share
from pipeline.metrics.classes._cells import (
    class_count,
    known_weights,
    mean_over_classes,
    probabilities,
    time_parts,
    true_class,
)
from pipeline.prediction._arrays import wide

BINS = 1024
WIDEST = 10.0  # log-odds of the last bins' edges


@dataclass(frozen=True, eq=False)
class PrecisionRecall:
    """Precision against recall of one class, from high thresholds to low ones; on the host.

    Parameters
    ----------
    threshold : ndarray, shape (bin,)
        Probability from which on cells count as the class; the last is 0.
    precision, recall : ndarray, shape (bin,)
        Precision is NaN where nothing lies above the threshold, recall throughout where the class is not in the truth.
    average : float
        Average precision; NaN where the class is not in the truth.
    share : float
        Share of the class in the truth, by area: the precision of a forecast without skill.
    """

    threshold: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    average: float
    share: float


def precision_recall(case: Case, of: int) -> PrecisionRecall:
    """Return the curve of the class with number ``of`` over all times of a case.

    Raises
    ------
    ConfigError
        If there is no such class.

    Examples
    --------
    >>> from pipeline.prediction import Prediction
    >>> chance = np.array([[[0.9, 0.2, 0.6]], [[0.1, 0.8, 0.4]]])
    >>> usual = Prediction("categorical", {"probabilities": chance})
    >>> curve = precision_recall(Case(usual, np.array([[0.0, 1.0, 0.0]]), usual), 1)
    >>> curve.average, round(curve.share, 3)
    (1.0, 0.333)
    """
    number = class_count(case)
    if not 0 <= of < number:
        raise ConfigError(f"expected the number of a class from 0 to {number - 1}, got {of!r}.")
    sums = sum((_histograms(part, of, of + 1).sum(axis=0) for part in time_parts(case)), np.zeros((1, 2, BINS)))
    inside, outside = sums[0]
    precision, recall = _curve(inside, outside)
    edges = np.linspace(-WIDEST, WIDEST, BINS + 1)[:-1][::-1]
    threshold = 1.0 / (1.0 + np.exp(-edges))
    threshold[-1] = 0.0
    total = inside.sum()
    return PrecisionRecall(
        threshold,
        precision,
        recall,
        float(_average(inside, outside)),
        float(share(total, total + outside.sum())),
    )


def log_odds_bin(chances: Array) -> Array:
    """Return the bin of every probability, int64; beyond the last edges the last bins.

    Examples
    --------
    >>> log_odds_bin(np.array([0.0, 0.5, 1.0])).tolist()
    [0, 512, 1023]
    """
    xp = array_namespace(chances)
    least = 1e-12
    p = xp.clip(chances, least, 1.0 - least)
    position = (xp.log(p / (1.0 - p)) + WIDEST) * (BINS / (2.0 * WIDEST))
    return xp.astype(xp.clip(xp.floor(position), 0.0, BINS - 1.0), xp.int64)


def _histograms(case: Case, first: int, behind: int) -> np.ndarray:
    """Return the area by bin inside and outside of some classes, shape (time, class, 2, bin)."""
    chances, truth, weights = probabilities(case), true_class(case), known_weights(case)
    xp = array_namespace(chances)
    found = []
    for of in range(first, behind):
        (chance,) = wide(chances[of, ...])
        # Outside the truth anything may stand; it has no weight, but needs a bin.
        bins = log_odds_bin(xp.where(case.valid, chance, xp.zeros_like(chance)))
        found.append(binned(xp.where(truth == of, bins, bins + BINS), weights, 2 * BINS))
    return np.stack(found, axis=1).reshape(len(found[0]), len(found), 2, BINS)


def _curve(inside: np.ndarray, outside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return precision and recall, shape (..., bin), from the highest threshold to the lowest."""
    hits, false = (np.cumsum(part[..., ::-1], axis=-1) for part in (inside, outside))
    return share(hits, hits + false), share(hits, hits[..., -1:])


def _average(inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """Return ``sum_n (R_n - R_(n-1)) P_n``, without interpolation; NaN where nothing is inside."""
    precision, _ = _curve(inside, outside)
    gained = np.where(inside[..., ::-1] > 0.0, inside[..., ::-1] * np.nan_to_num(precision), 0.0)
    return share(gained.sum(axis=-1), inside.sum(axis=-1))


@METRICS.register("average_precision")
class AveragePrecision(ClassMetric):
    """Area under the precision-recall curve, ``sum_n (R_n - R_(n-1)) P_n``, by class and their mean.

    From histograms of the probability, see :mod:`pipeline.metrics.classes.ranking`; a class that is not in the
    truth has none.
    """

    probabilistic = True
    label = "average precision"

    def counts(self, case: Case) -> np.ndarray:
        """Return both histograms of every class."""
        found = _histograms(case, 0, class_count(case))
        return found.reshape(len(found), -1)

    def value(self, sums: np.ndarray) -> np.ndarray:
        """Return the mean over classes."""
        return mean_over_classes(self.by_class(sums))

    def by_class(self, sums: np.ndarray) -> np.ndarray:
        """Return the average precision of every class."""
        parts = sums.reshape(*sums.shape[:-1], -1, 2, BINS)
        return _average(parts[..., 0, :], parts[..., 1, :])
