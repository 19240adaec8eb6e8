"""Whether the entropy of probabilities says where the most likely class is wrong.

Entropy is sorted into 256 bins that are even in its logarithm, 9 % wide each, from 2^-32 of the most that there can be:
models that are sure have most of theirs near zero. Cells in one bin count as equally uncertain.
"""

from __future__ import annotations

import math

import numpy as np

from pipeline.backend import array_namespace
from pipeline.metrics import METRICS, Array, Case, ClassMetric
from pipeline.metrics._bins import binned
from pipeline.metrics.classes._cells import class_count, known_weights, predicted_class, probabilities, true_class
from pipeline.prediction._arrays import wide

BINS = 256
_OCTAVES = 32.0


def entropy_bin(case: Case) -> Array:
    """Return the bin of the entropy of every time and cell, int64; the last is that of all classes as likely."""
    (chances,) = wide(probabilities(case))
    xp = array_namespace(chances)
    known = chances > 0.0
    entropy = xp.sum(
        xp.where(known, -chances * xp.log(xp.where(known, chances, xp.ones_like(chances))), xp.zeros_like(chances)),
        axis=0,
    )
    # Outside the truth anything may stand, which has no weight but needs a bin.
    entropy = xp.where(case.valid, entropy, xp.zeros_like(entropy)) / math.log(max(2, class_count(case)))
    octaves = xp.log2(xp.clip(entropy, 2.0**-_OCTAVES, 1.0)) / _OCTAVES + 1.0
    return xp.astype(xp.clip(xp.floor(octaves * BINS), 0.0, BINS - 1.0), xp.int64)


@METRICS.register("ause_entropy")
class AuseEntropy(ClassMetric):
    """Area under the sparsification error curve of entropy: how well it says where the most likely class is wrong.

    The error rate of what is left when cells of the highest entropy are left out first, less that when wrong cells are,
    as shares of the error rate of all, over all shares left out (Ilg et al. 2018, arXiv:1802.07095, with errors of
    classes for square errors). 0 where all wrong cells are less sure than all right ones; of an entropy that says
    nothing it is about 1 less half the error rate. 0 where nothing is wrong.
    """

    perfect = 0.0
    better = "lower"
    probabilistic = True
    label = "sparsification error by entropy (AUSE)"

    def counts(self, case: Case) -> np.ndarray:
        """Return area, and area that is wrong, by bin of entropy."""
        bins, weights = entropy_bin(case), known_weights(case)
        xp = array_namespace(weights)
        wrong = xp.astype(true_class(case) != predicted_class(case), xp.float64) * weights
        return np.concatenate([binned(bins, weights, BINS), binned(bins, wrong, BINS)], axis=1)

    def value(self, sums: np.ndarray) -> np.ndarray:
        """Return the area between the curve and that of an oracle."""
        area, wrong = np.split(sums, 2, axis=-1)
        whole, all_wrong = area.sum(axis=-1), wrong.sum(axis=-1)
        # An oracle has two bins: all that is right, then all that is wrong.
        oracle = (np.stack([whole - all_wrong, all_wrong], axis=-1), np.stack([0.0 * all_wrong, all_wrong], axis=-1))
        return np.asarray(area_under_rate(area, wrong) - area_under_rate(*oracle))


def area_under_rate(area: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """Return the area under the error rate of what is left, as a share of that of all, the last bin left out first.

    Within a bin cells are left out in any order: with area A and error W below, a bin of a and w adds the integral of
    ``(W + u w) / (A + u a)`` over its share u, which is ``w + (W - w A / a) log((A + a) / A)``.

    Parameters
    ----------
    area, wrong : ndarray, shape (..., bin)
        Area, and area that is wrong.

    Returns
    -------
    ndarray, shape (...)
        0 where nothing is wrong, NaN without any area.
    """
    below, wrong_below = (np.cumsum(part, axis=-1) - part for part in (area, wrong))
    there = (area > 0.0) & (below > 0.0)
    grown = np.log(np.where(there, (below + area) / np.where(there, below, 1.0), 1.0))
    added = wrong + (wrong_below - wrong * below / np.where(there, area, 1.0)) * grown
    whole, all_wrong = area.sum(axis=-1), wrong.sum(axis=-1)
    under = np.divide(added.sum(axis=-1), all_wrong, out=np.zeros(whole.shape), where=all_wrong > 0.0)
    return np.where(whole > 0.0, under, np.nan)
