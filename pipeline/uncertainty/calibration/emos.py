"""EMOS: a normal distribution whose mean and variance are linear in those of the forecast."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np
from pydantic import Field

from pipeline.backend import array_namespace
from pipeline.backend.special import ndtr
from pipeline.errors import CalibrationError
from pipeline.model import Context
from pipeline.model_config import ModelConfig
from pipeline.prediction import Prediction
from pipeline.prediction._arrays import SQRT_PI, density, member_mean, narrow, wide
from pipeline.prediction.members import evenly, filled
from pipeline.prepare.arrays import beside
from pipeline.samples import Samples, Schema
from pipeline.uncertainty.calibration import CALIBRATIONS, Calibration, Evidence
from pipeline.uncertainty.calibration._groups import BY, By, groups_of
from pipeline.uncertainty.calibration._numbers import SCALED, middle, moments, of_amounts

Array = Any
NAMES = ("a", "b", "c", "d")
DRESSED = 20  # members: the CRPS of a mixture costs half the square of their number
_SHARPEST = 1e-3  # least c, as a share of the root mean square error: no answer is certain


class EmosConfig(ModelConfig):
    """Options of :class:`Emos`."""

    by: tuple[By, ...] = Field(default=(), description=BY)
    least: int = Field(default=60, ge=10, description="Fewest values with truth that a group needs.")


@CALIBRATIONS.register("emos")
class Emos(Calibration):
    """Normal with the mean ``a + b m`` and the variance ``c^2 + d^2 v`` of the forecast's m and v.

    Ensemble model output statistics (Gneiting et al. 2005, doi:10.1175/MWR2904.1): a, b, c, d minimise the mean CRPS
    of the normal distribution over the evidence, by area; b, c and d are not negative. Points have no v: they get a
    constant spread c.

    Members stay: each mean m_k becomes ``a + b m + d (m_k - m)``, each own variance ``c^2 + d^2 s_k^2``, so that what
    members disagree by, times d, is still epistemic, and c aleatoric. The answer is then a mixture of normals with
    the mean and variance above, of at most 20 members, evenly chosen. Other distributions answer a single normal,
    whose variance is all aleatoric.
    """

    Config: ClassVar[type[ModelConfig]] = EmosConfig

    def why_not(self, prediction: Prediction, schema: Schema) -> str | None:
        """Refuse classes and amounts, which no normal distribution describes."""
        if prediction.is_categorical:
            return "expected a prediction of numbers for emos, got one of classes. Take temperature."
        if prediction.family not in SCALED | {"point"} or of_amounts(schema):
            return (
                "expected targets with normal errors for emos, got amounts, which are never below zero: the family "
                f"{prediction.family!r} of {', '.join(schema.quantities)}. Take isotonic or conformal."
            )
        return None

    def learn(self, evidence: Evidence, context: Context) -> dict[str, np.ndarray]:
        """Return a, b, c and d of every group, and the mean CRPS of the normal distribution before and behind it.

        Raises
        ------
        CalibrationError
            If a group has too few values, or all errors are zero.
        """
        found = moments(evidence.prediction, evidence.samples)
        groups = groups_of(evidence.samples, self.config.by)
        groups.enough(found.known, self.config.least)
        shape = (found.known.shape[1], *groups.shape)
        learned = {name: np.zeros(shape) for name in (*NAMES, "crps_before", "crps")}
        for chosen in groups.selections(found.known):
            known = chosen.of(found.known)
            truth, mean, variance = (
                chosen.of(part)[known] for part in (found.truth, found.mean, found.variance)
            )  # fmt: skip
            weight = np.broadcast_to(groups.area.ravel()[chosen.cells], known.shape)[known]
            best = fitted(Cloud(truth, mean, variance, weight / weight.sum()))
            for place in chosen.places:
                for name, value in zip(learned, best, strict=True):
                    learned[name][chosen.target, *place] = value
        return learned

    def apply(self, prediction: Prediction, inputs: Samples, context: Context) -> Prediction:
        """Return the normal distributions, or mixtures of them."""
        groups = groups_of(inputs, self.config.by)
        like = next(iter(prediction.parameters.values()))
        real = array_namespace(like).float64
        a, b, c, d = (groups.spread(self.arrays[name], like, real) for name in NAMES)
        (m,) = wide(prediction.mean())
        mean, least = a + b * m, c * c + 0.0 * m
        if prediction.members is None:
            spread = prediction.variance()
            variance = least if spread is None else least + d * d * wide(spread)[0]
        else:
            apart, own = _dressed(prediction)
            mean = mean[None, ...] + d[None, ...] * apart
            variance = least[None, ...] + (d * d)[None, ...] * own
        family = "normal" if prediction.members is None else "mixture"
        sd = array_namespace(variance).sqrt(variance)
        return Prediction(family, {"mean": narrow(mean, like), "sd": narrow(sd, like)})

    def summary(self) -> dict[str, Any]:
        """Return the coefficients, the least, the middle one and the largest, and the mean CRPS of the evidence."""
        return {
            "kind": "emos",
            "by": list(self.config.by),
            **{name: middle(self.arrays[name]) for name in NAMES},
            "crps_before": float(np.mean(self.arrays["crps_before"])),
            "crps": float(np.mean(self.arrays["crps"])),
            **super().summary(),
        }


def _dressed(prediction: Prediction) -> tuple[Array, Array]:
    """Return deviations of members from their mean, and their own variances: all of the variance in both together."""
    of_values = prediction.family == "members"  # which alone may lack some
    (means,) = wide(filled(prediction.members) if of_values else prediction.members)
    within, all_between = prediction.variances()
    own = 0.0 * means if within is None else 0.0 * means + wide(within)[0][None, ...]
    if prediction.family == "mixture":
        (sd,) = wide(prediction.parameters["sd"])
        own = sd * sd
    xp = array_namespace(means)
    chosen = beside(evenly(means.shape[0], DRESSED), means)
    some, whole = xp.take(means, chosen, axis=0), member_mean(own)
    own = xp.take(own, chosen, axis=0)
    apart = some - member_mean(some)[None, ...]
    kept = member_mean(apart * apart)
    between = wide(all_between)[0] if of_values else member_mean((means - member_mean(means)[None, ...]) ** 2)
    # Some of many members differ a little less, or more, than all do: their spread is made that of all.
    none = kept == 0.0
    ratio = xp.where(none, xp.zeros_like(kept), between / xp.where(none, xp.ones_like(kept), kept))
    lost = xp.where(none, between, xp.zeros_like(kept)) + whole - member_mean(own)
    return apart * xp.sqrt(ratio)[None, ...], xp.maximum(own + lost[None, ...], xp.zeros_like(own))


class Cloud(NamedTuple):
    """Forecasts and truths of one group, one a value.

    Parameters
    ----------
    truth, mean, variance : ndarray
        Known values.
    weight : ndarray
        Their sum is 1.
    """

    truth: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    weight: np.ndarray


def fitted(cloud: Cloud) -> tuple[float, ...]:
    """Return a, b, c, d, and the mean CRPS of the normal distribution before and with them.

    Raises
    ------
    CalibrationError
        If all errors are zero.
    """
    from scipy.optimize import minimize

    error = cloud.truth - cloud.mean
    size = float(np.sqrt(np.sum(cloud.weight * error * error)))
    if size == 0.0:
        raise CalibrationError(
            "expected errors for emos to learn from, got a group that is right to the last digit. Calibrate on samples "
            "that the fit has not seen: folds: 5."
        )
    # In units of the error and about the mean forecast, so that all four are about as large.
    middle_one = float(np.sum(cloud.weight * cloud.mean))
    scaled = Cloud(
        (cloud.truth - middle_one) / size, (cloud.mean - middle_one) / size, cloud.variance / size**2, cloud.weight
    )
    bounds = [(None, None), (0.0, None), (_SHARPEST, None), (0.0, None)]
    starts = ((0.0, 1.0, _SHARPEST, 1.0), (*_line(scaled), 0.7, 0.5))
    found = min(
        (minimize(mean_crps, start, tuple(scaled), jac=True, method="L-BFGS-B", bounds=bounds) for start in starts),
        key=lambda result: float(result.fun),
    )
    a, b, c, d = map(float, found.x)
    before = mean_crps(np.array([0.0, 1.0, 0.0, 1.0]), *scaled)[0]
    return a * size + middle_one * (1.0 - b), b, c * size, d, before * size, float(found.fun) * size


def mean_crps(
    parameters: np.ndarray, truth: np.ndarray, mean: np.ndarray, variance: np.ndarray, weight: np.ndarray
) -> tuple[float, np.ndarray]:
    """Return the mean CRPS of N(a + b m, c^2 + d^2 v), and its gradient with respect to a, b, c and d.

    Parameters
    ----------
    parameters : ndarray, shape (4,)
        a, b, c, d.
    truth, mean, variance, weight : ndarray
        The parts of a :class:`Cloud`.

    Examples
    --------
    >>> one = np.ones(1)
    >>> round(mean_crps(np.array([0.0, 1.0, 0.0, 1.0]), one, one, one, one)[0], 4)
    0.2337
    """
    a, b, c, d = parameters
    sd = np.sqrt(c * c + d * d * variance)
    apart = truth - a - b * mean
    certain = sd == 0.0
    safe = np.where(certain, 1.0, sd)
    share = np.where(certain, np.sign(apart), 2.0 * ndtr(apart / safe) - 1.0)
    above = 2.0 * density(apart / safe) - 1.0 / SQRT_PI
    by_sd = np.where(certain, 0.0, above / safe)
    parts = (-share, -share * mean, by_sd * c, by_sd * d * variance)
    score = apart * share + sd * above
    return float(np.sum(weight * score)), np.array([float(np.sum(weight * part)) for part in parts])


def _line(cloud: Cloud) -> tuple[float, float]:
    """Return the weighted least-squares line of truth on forecast, its slope not negative."""
    mean, truth = (float(np.sum(cloud.weight * part)) for part in (cloud.mean, cloud.truth))
    apart = cloud.mean - mean
    square = float(np.sum(cloud.weight * apart * apart))
    slope = max(0.0, float(np.sum(cloud.weight * apart * (cloud.truth - truth))) / square) if square > 0.0 else 1.0
    return truth - slope * mean, slope
