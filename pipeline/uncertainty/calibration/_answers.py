"""What calibrations that change the shape of a distribution answer: quantiles, with the base's members."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.backend import array_namespace
from pipeline.backend.special import to_host
from pipeline.lowest import lowest
from pipeline.prediction import Prediction
from pipeline.prediction._arrays import member_mean, narrow, wide
from pipeline.prediction.members import filled
from pipeline.prediction.quantiles import from_quantiles
from pipeline.prepare.arrays import beside
from pipeline.samples import Samples

Array = Any
QUANTILES = (
    "How many quantiles are answered, at the levels i / (n + 1): an odd number, so that the median is among them."
)


def says_nothing(prediction: Prediction) -> bool:
    """Whether it is a single value, which has no spread."""
    return bool(prediction.map(lambda array: array[..., :1, :, :, :]).variance() is None)


def least_of(samples: Samples) -> np.ndarray:
    """Return the number that no amount goes below, minus infinity for others, shape (target, lat, lon)."""
    truth, schema = to_host(samples.target), samples.schema
    signed = [bool((truth[:, place] < 0).any()) for place in range(len(schema.targets))]
    mask = schema.mask
    return np.where(mask, lowest(schema.quantities, schema.target_affine, (mask.shape[0], mask.shape[1]), signed), 0.0)


def of_quantiles(base: Prediction, quantiles: Array, least: np.ndarray) -> Prediction:
    """Return a distribution of given quantiles, none below ``least``.

    The members of the base lie as far from the new mean as they lay from the old one, in standard deviations: the
    share of epistemic variance stays what it was. In place of a missing one stands the next that is there.

    Parameters
    ----------
    base : Prediction
        What was calibrated.
    quantiles : array, shape (quantile, time, target, lat, lon)
        Never falling.
    least : ndarray, shape (target, lat, lon)
        From :func:`least_of`.
    """
    bound = beside(least, quantiles, quantiles.dtype)
    made = Prediction("quantiles", from_quantiles(quantiles)).at_least(bound)
    members = base.members
    if members is None:
        return made
    if base.family == "members":
        members = filled(members)
    xp = array_namespace(quantiles)
    means, before, after, mean = wide(members, base.variance(), made.variance(), made.mean())
    certain = before == 0.0
    grown = xp.sqrt(after / xp.where(certain, xp.ones_like(before), before))
    apart = (means - member_mean(means)[None, ...]) * xp.where(certain, xp.zeros_like(grown), grown)[None, ...]
    return Prediction("quantiles", {**made.parameters, "centre": narrow(mean[None, ...] + apart, quantiles)})
