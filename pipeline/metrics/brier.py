"""Parts of the Brier score: reliability, resolution, uncertainty, and what varies within bins of probability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.backend import array_namespace
from pipeline.metrics import Array
from pipeline.metrics._bins import binned, share

BINS = 10


@dataclass(frozen=True, eq=False)
class BrierParts:
    """Parts of a Brier score that add up to it exactly, each of shape (...).

    Murphy's three parts (1973, doi:10.1175/1520-0450(1973)012<0595:ANVPOT>2.0.CO;2) with the two of probabilities
    that differ within a bin (Stephenson et al. 2008, doi:10.1175/2007WAF2006116.1): the score is ``reliability -
    resolution + uncertainty + within_variance - within_covariance``.

    Parameters
    ----------
    reliability : ndarray
        Mean square distance of mean probability and frequency of the bins; 0 is best.
    resolution : ndarray
        Mean square distance of the frequencies of the bins and that of all; larger is better.
    uncertainty : ndarray
        Variance of the event: the score of a forecast of its frequency, the same for all models.
    within_variance, within_covariance : ndarray
        Mean variance of the probabilities within bins, and twice their mean covariance with the event.
    """

    reliability: np.ndarray
    resolution: np.ndarray
    uncertainty: np.ndarray
    within_variance: np.ndarray
    within_covariance: np.ndarray

    @property
    def generalised_resolution(self) -> np.ndarray:
        """Resolution with what is told within bins, so that ``reliability - this + uncertainty`` is the score."""
        return np.asarray(self.resolution - self.within_variance + self.within_covariance)

    @property
    def score(self) -> np.ndarray:
        """The Brier score."""
        return np.asarray(self.reliability - self.generalised_resolution + self.uncertainty)


def probability_sums(chance: Array, event: Array, area: Array, bins: int = BINS) -> np.ndarray:
    """Return by time and bin of probability the sums that parts are made of, shape (time, bin, 5), on the host.

    Area, and times area: probability, event, probability squared, and probability where the event is.

    Parameters
    ----------
    chance, event : array of float64, shape (time, cell)
        Probability from 0 to 1, and 1 where it happened; NaN makes the sums of its bin NaN.
    area : array of float64, shape (time, cell)
        Weights; where they are 0 nothing else is looked at.
    bins : int
        Of equal width from 0 to 1.
    """
    xp = array_namespace(chance)
    there, zero = area > 0.0, xp.zeros_like(chance)
    chance, event = (xp.where(there, part, zero) for part in (chance, event))
    place = xp.where(xp.isnan(chance), zero, xp.floor(chance * bins))
    at = xp.astype(xp.clip(place, 0.0, bins - 1.0), xp.int64)
    parts = (area, chance * area, event * area, chance * chance * area, chance * event * area)
    return np.stack([binned(at, part, bins) for part in parts], axis=-1)


def brier_parts(sums: np.ndarray) -> BrierParts:
    """Return the parts from sums of shape (..., bin, 5); NaN without any area.

    Examples
    --------
    >>> chance, event = np.array([[0.1, 0.1, 0.7, 0.9]]), np.array([[0.0, 1.0, 1.0, 1.0]])
    >>> parts = brier_parts(probability_sums(chance, event, np.ones((1, 4)))[0])
    >>> round(float(parts.score), 6) == round(float(((chance - event) ** 2).mean()), 6)
    True
    """
    area, chance, event, square, both = np.moveaxis(sums, -1, 0)
    held, whole = area > 0.0, area.sum(axis=-1)
    some = np.where(held, area, 1.0)
    probability, frequency = chance / some, event / some
    usual = share(event.sum(axis=-1), whole)

    def mean(values: np.ndarray) -> np.ndarray:
        return share(np.where(held, values, 0.0).sum(axis=-1), whole)

    return BrierParts(
        reliability=mean(area * (probability - frequency) ** 2),
        resolution=mean(area * (frequency - usual[..., None]) ** 2),
        uncertainty=usual * (1.0 - usual),
        within_variance=mean(square - area * probability**2),
        within_covariance=2.0 * mean(both - area * probability * frequency),
    )
