"""Calibration of the probabilities of classes in one number: expected errors by bins, and parts of the Brier score.

Rows are classes, each by its own probability against its own frequency, and last the most likely class, any of them.

Source: Brier (1950), doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2; the parts, Murphy (1973),
doi:10.1175/1520-0450(1973)012<0595:ANVPOT>2.0.CO;2.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipeline.backend import array_namespace
from pipeline.metrics import METRICS, Array, Case, ClassMetric
from pipeline.metrics._bins import binned, share
from pipeline.metrics.brier import BINS, BrierParts, brier_parts, probability_sums
from pipeline.metrics.classes._cells import class_count, known_weights, predicted_class, probabilities, true_class
from pipeline.metrics.classes.ranking import log_odds_bin
from pipeline.prediction._arrays import wide

WIDTH_BINS = 15
FINE = 256  # of which bins of equal mass are made
_STEP = 4  # bins of ranking.py in one of these: 8 % wide in odds


def row_sums(case: Case, place: Callable[[Array], Array], size: int) -> np.ndarray:
    """Return probability, event and area added up by time, row and bin, shape (time, row, bin, 3), on the host.

    Parameters
    ----------
    place : callable
        From probabilities to their bins, int64 from 0 to ``size - 1``.
    """
    (chances,), truth, weights = wide(probabilities(case)), true_class(case), known_weights(case)
    xp = array_namespace(chances)
    rows = [(chances[of, ...], truth == of) for of in range(class_count(case))]
    rows.append((xp.max(chances, axis=0), truth == predicted_class(case)))
    found = []
    for chance, event in rows:
        # Outside the truth anything may stand; it has no weight, but needs a bin, and NaN times zero is NaN.
        chance = xp.where(case.valid, chance, xp.zeros_like(chance))
        parts, bins = (chance * weights, xp.astype(event, xp.float64) * weights, weights), place(chance)
        found.append(np.stack([binned(bins, part, size) for part in parts], axis=-1))
    return np.stack(found, axis=1)


def width_bins(chance: Array, size: int) -> Array:
    """Return the bin of every probability among ``size`` of equal width from 0 to 1, int64."""
    xp = array_namespace(chance)
    return xp.astype(xp.clip(xp.floor(chance * size), 0.0, size - 1.0), xp.int64)


def expected_error(sums: np.ndarray) -> np.ndarray:
    """Return the mean distance of probability and frequency over bins by area, shape (..., bin, 3) to (...)."""
    total, true, area = np.moveaxis(sums, -1, 0)
    return share(np.abs(total - true).sum(axis=-1), area.sum(axis=-1))


class _Ece(ClassMetric):
    perfect = 0.0
    better = "lower"
    probabilistic = True
    upward = True
    bins = WIDTH_BINS

    def place(self, chance: Array) -> Array:
        """Return the bin of every probability."""
        return width_bins(chance, self.bins)

    def counts(self, case: Case) -> np.ndarray:
        """Return probability, event and area by row and bin."""
        found = row_sums(case, self.place, self.bins)
        return found.reshape(len(found), -1)

    def errors(self, sums: np.ndarray) -> np.ndarray:
        """Return the error of every row, shape (..., row)."""
        return expected_error(sums.reshape(*sums.shape[:-1], -1, self.bins, 3))

    def value(self, sums: np.ndarray) -> np.ndarray:
        """Return that of the most likely class."""
        return np.asarray(self.errors(sums)[..., -1])

    def by_class(self, sums: np.ndarray) -> np.ndarray:
        """Return that of every class."""
        return np.asarray(self.errors(sums)[..., :-1])


@METRICS.register("ece")
class Ece(_Ece):
    """Expected calibration error of the most likely class, and of every class by its own probability.

    Mean distance of probability and frequency over fifteen bins of equal width, by area (Naeini et al. 2015,
    doi:10.1609/aaai.v29i1.9602; Guo et al. 2017, arXiv:1706.04599). A right forecast of few independent times has one
    above zero. The error in the tables of reliability is of the ten bins that are drawn.
    """

    label = "expected calibration error"


@METRICS.register("ece_mass")
class EceMass(_Ece):
    """Expected calibration error over fifteen bins that hold the same area each (Nixon et al. 2019, arXiv:1904.01685).

    For models whose probabilities lie close together, such as near 1, where most bins of equal width are empty. Bins
    are made of 256 finer ones, even in log-odds and 8 % wide in odds, none of which is divided: one that holds more
    than a fifteenth of the area is a bin of its own.
    """

    label = "expected calibration error, equal mass"
    bins = FINE

    def place(self, chance: Array) -> Array:
        """Return the bin in log-odds."""
        return log_odds_bin(chance) // _STEP

    def errors(self, sums: np.ndarray) -> np.ndarray:
        """Return the error of every row over bins of equal mass."""
        total, true, area = np.moveaxis(sums.reshape(*sums.shape[:-1], -1, FINE, 3), -1, 0)
        whole = area.sum(axis=-1, keepdims=True)
        middle = (np.cumsum(area, axis=-1) - 0.5 * area) / np.where(whole > 0.0, whole, 1.0)
        gap = np.concatenate([np.zeros((*whole.shape[:-1], 1)), np.cumsum(total - true, axis=-1)], axis=-1)
        # Bins of equal mass are stretches of fine ones: their gaps are differences of the sum so far.
        ends = [(middle < (of + 1) / WIDTH_BINS).sum(axis=-1, keepdims=True) for of in range(WIDTH_BINS - 1)]
        ends = [np.zeros_like(ends[0]), *ends, np.full_like(ends[0], FINE)]
        parts = np.diff(np.take_along_axis(gap, np.concatenate(ends, axis=-1), axis=-1), axis=-1)
        return share(np.abs(parts).sum(axis=-1), whole[..., 0])


class _Part(ClassMetric):
    probabilistic = True

    def counts(self, case: Case) -> np.ndarray:
        """Return the sums of every class by bin of its probability, worked out once."""

        def make() -> np.ndarray:
            (chances,), truth, weights = wide(probabilities(case)), true_class(case), known_weights(case)
            xp = array_namespace(chances)
            rows = [
                probability_sums(chances[of, ...], xp.astype(truth == of, xp.float64), weights)
                for of in range(class_count(case))
            ]
            return np.stack(rows, axis=1).reshape(len(rows[0]), -1)

        found: np.ndarray = case.once(("brier_parts",), make)
        return found

    def parts(self, sums: np.ndarray) -> BrierParts:
        """Return the parts of the Brier score of every class, each of shape (..., class)."""
        return brier_parts(sums.reshape(*sums.shape[:-1], -1, BINS, 5))


@METRICS.register("brier_reliability")
class BrierReliability(_Part):
    """Reliability, a part of the Brier score of all classes: how far probabilities are from frequencies, added up.

    The score is reliability - resolution + uncertainty, class by class and so in all, see
    :class:`~pipeline.metrics.brier.BrierParts`; the uncertainty is that of the truth, the same for all models.
    """

    perfect = 0.0
    better = "lower"
    upward = True
    label = "reliability of the Brier score"

    def value(self, sums: np.ndarray) -> np.ndarray:
        """Return the sum over classes."""
        return np.asarray(self.parts(sums).reliability.sum(axis=-1))

    def by_class(self, sums: np.ndarray) -> np.ndarray:
        """Return the part of every class."""
        return self.parts(sums).reliability


@METRICS.register("brier_resolution")
class BrierResolution(_Part):
    """Resolution, a part of the Brier score of all classes: how far frequencies differ with the probability, added up.

    With what is told within bins; the uncertainty where a forecast is always sure and right.
    """

    perfect = None
    label = "resolution of the Brier score"

    def value(self, sums: np.ndarray) -> np.ndarray:
        """Return the sum over classes."""
        return np.asarray(self.parts(sums).generalised_resolution.sum(axis=-1))

    def by_class(self, sums: np.ndarray) -> np.ndarray:
        """Return the part of every class."""
        return self.parts(sums).generalised_resolution
