"""Isotonic: the levels of a distribution are moved to where truth falls as often as they say."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from pydantic import Field, field_validator

from pipeline.backend import array_namespace
from pipeline.backend.special import to_host
from pipeline.model import Context
from pipeline.model_config import ModelConfig
from pipeline.prediction import Prediction
from pipeline.prediction.quantiles import levels
from pipeline.prepare.arrays import beside
from pipeline.samples import Samples, Schema
from pipeline.seeding import generator
from pipeline.uncertainty.calibration import CALIBRATIONS, Calibration, Evidence
from pipeline.uncertainty.calibration._answers import QUANTILES, least_of, of_quantiles, says_nothing
from pipeline.uncertainty.calibration._groups import BY, By, Groups, groups_of
from pipeline.uncertainty.calibration._numbers import odd, weighted_quantiles

Array = Any
_END = 1e-6  # quantiles of the base are taken between this level and 1 less it


class IsotonicConfig(ModelConfig):
    """Options of :class:`Isotonic`."""

    by: tuple[By, ...] = Field(default=(), description=BY)
    quantiles: int = Field(default=39, ge=3, le=999, description=QUANTILES)
    least: int = Field(default=100, ge=20, description="Fewest values with truth that a group needs.")

    _odd = field_validator("quantiles")(odd)


@CALIBRATIONS.register("isotonic")
class Isotonic(Calibration):
    """The quantile at p becomes the base's at R^-1(p), R(q) being how often truth fell below its quantile at q.

    The recalibration of Kuleshov et al. (2018, arXiv:1807.00263): R is the distribution function of the probability
    integral transform of the evidence, by area, which is monotone as it is. On a mass, such as that of dry days, the
    transform is drawn evenly from the levels of the mass. R^-1 is a line between the i-th of n sorted transforms at
    the level i / (n + 1), so that a new transform falls below each as often as it says; beyond the outermost it is
    constant. The answer, of whatever shape, is of the family ``quantiles``.

    Members know no quantile beyond the outermost two: there must be as many as there are quantiles asked for.
    """

    Config: ClassVar[type[ModelConfig]] = IsotonicConfig

    def why_not(self, prediction: Prediction, schema: Schema) -> str | None:
        """Refuse classes, single values and few members."""
        if prediction.is_categorical or says_nothing(prediction):
            return (
                f"expected a distribution of numbers for isotonic, got the family {prediction.family!r}. Take "
                "temperature for classes, and conformal with score: absolute or emos for single values."
            )
        if prediction.family == "members" and prediction.member_count < self.config.quantiles:
            return (
                f"expected {self.config.quantiles} members or more for isotonic, as many as quantiles, got "
                f"{prediction.member_count}, which know nothing of what lies beyond them. Take conformal or emos."
            )
        return None

    def learn(self, evidence: Evidence, context: Context) -> dict[str, np.ndarray]:
        """Return the levels of the base that hold the levels of the answer.

        Raises
        ------
        CalibrationError
            If a group has too few values.
        """
        samples = evidence.samples
        level = transform(evidence.prediction, samples.target, context.seed_for("isotonic"))
        known = np.isfinite(level)
        groups, wanted = groups_of(samples, self.config.by), levels(self.config.quantiles)
        groups.enough(known, self.config.least)
        found = np.zeros((len(wanted), known.shape[1], *groups.shape))
        for chosen in groups.selections(known):
            there = chosen.of(known)
            weight = np.broadcast_to(groups.area.ravel()[chosen.cells], there.shape)[there]
            own = weighted_quantiles(chosen.of(level)[there], weight, wanted)
            for when, where in chosen.places:
                found[:, chosen.target, when, where] = own
        return {"level": np.clip(found, _END, 1.0 - _END), "least": least_of(samples)}

    def apply(self, prediction: Prediction, inputs: Samples, context: Context) -> Prediction:
        """Return the base's quantiles at other levels."""
        groups = groups_of(inputs, self.config.by)
        return of_quantiles(prediction, by_group(prediction, groups, self.arrays["level"]), self.arrays["least"])

    def summary(self) -> dict[str, Any]:
        """Return the levels of the base that hold the median and the 90 % interval, on average of the groups."""
        mean = self.arrays["level"].mean(axis=(1, 2, 3))
        wanted = {"5 %": 0.05, "50 %": 0.5, "95 %": 0.95}
        at = np.interp(tuple(wanted.values()), levels(len(mean)), mean)
        return {
            "kind": "isotonic",
            "by": list(self.config.by),
            "levels": {name: round(float(level), 4) for name, level in zip(wanted, at, strict=True)},
            **super().summary(),
        }


def transform(prediction: Prediction, truth: Array, seed: int) -> np.ndarray:
    """Return the level of the quantile that each truth is, on the host in float64; NaN where it is not known.

    The probability integral transform; where many levels have the same quantile one of them is drawn. Of members it
    is the inverse of the line between them: 0 below all of them, 1 above.

    Parameters
    ----------
    prediction : Prediction
        Of numbers.
    truth : array, shape (time, target, lat, lon)
        What came true.
    seed : int
        Of the draws.
    """
    xp = array_namespace(truth)
    if prediction.family == "members":
        x, y = (np.asarray(to_host(part), float) for part in (prediction.parameters["members"], truth))
        lower, upper = _between_members(np.sort(x, axis=0), y)
    else:
        wide = xp.astype(truth, xp.float64)
        lower, upper = (
            np.asarray(to_host(part), float) for part in (1.0 - prediction.exceedance(wide), prediction.cdf(wide))
        )
    drawn = generator(seed, "transform").random(lower.shape)
    return np.asarray(np.clip(lower + drawn * np.maximum(upper - lower, 0.0), 0.0, 1.0))


def _between_members(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the largest level whose quantile, on the line between sorted members, is ``y``."""
    size, last = len(x), len(x) - 1
    below, at_most = (x < y).sum(axis=0), (x <= y).sum(axis=0)
    tied = at_most > below
    left = np.clip(below - 1, 0, max(last - 1, 0))
    low, high = (np.take_along_axis(x, (left + step)[None], axis=0)[0] for step in (0, 1))
    share = np.clip((y - low) / np.where(high > low, high - low, 1.0), 0.0, 1.0)
    # The m-th of M members is the quantile at (m - 1/2) / M, the outermost also those beyond.
    between = np.where(below == 0, 0.0, np.where(below == size, 1.0, (left + share + 0.5) / size))
    lower = np.where(tied, np.where(below == 0, 0.0, (below + 0.5) / size), between)
    upper = np.where(tied, np.where(at_most == size, 1.0, (at_most - 0.5) / size), between)
    gap = np.isnan(x).any(axis=0) | np.isnan(y)
    return np.where(gap, np.nan, lower), np.where(gap, np.nan, upper)


def by_group(prediction: Prediction, groups: Groups, wanted: np.ndarray) -> Array:
    """Return quantiles at levels that differ from group to group.

    Parameters
    ----------
    prediction : Prediction
        What is asked.
    groups : Groups
        Of its samples and cells.
    wanted : ndarray, shape (quantile, target, group in time, group in space)
        Levels.

    Returns
    -------
    array, shape (quantile, time, target, lat, lon)
    """
    like = next(iter(prediction.parameters.values()))
    xp, shape = array_namespace(like), groups.of_cell.shape
    flat = prediction.map(lambda array: xp.reshape(array, (*array.shape[:-2], 1, -1)))
    targets = []
    for target in range(wanted.shape[1]):
        own = flat.map(lambda array, at=target: array[..., at : at + 1, :, :])
        rows = []
        for when in np.unique(groups.of_time):
            part = _taken(own, np.flatnonzero(groups.of_time == when), -4)
            rows.append(_over_cells(part, groups.of_cell.ravel(), wanted[:, target, when]))
        order = np.argsort(groups.of_time, kind="stable")
        targets.append(xp.take(xp.concat(rows, axis=1), beside(np.argsort(order), like), axis=1))
    together = xp.concat(targets, axis=2)
    return xp.reshape(together, (*together.shape[:-2], *shape))


def _over_cells(prediction: Prediction, of_cell: np.ndarray, wanted: np.ndarray) -> Array:
    """Return quantiles, shape (quantile, time, 1, 1, cell), at the levels of each cell's group, (quantile, group)."""
    xp = array_namespace(*prediction.parameters.values())
    parts, order = [], np.argsort(of_cell, kind="stable")
    for where in np.unique(of_cell):
        part = _taken(prediction, np.flatnonzero(of_cell == where), -1)
        # Outside of the mask, group -1, all are NaN whatever the level.
        own = wanted[:, max(where, 0)]
        parts.append(xp.stack([part.quantile(float(level)) for level in own], axis=0))
    return xp.take(xp.concat(parts, axis=-1), beside(np.argsort(order), parts[0]), axis=-1)


def _taken(prediction: Prediction, index: np.ndarray, axis: int) -> Prediction:
    """Return the prediction at some positions of an axis of the field."""
    return prediction.map(
        lambda array: array_namespace(array).take(array, beside(index, array), axis=array.ndim + axis)
    )
