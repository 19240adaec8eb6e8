"""What of a prediction is explained: its mean, how unsure it is, a chance, an amount, a class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.backend import array_namespace
from pipeline.errors import ConfigError
from pipeline.prediction import Prediction
from pipeline.registry import suggest

Array = Any

_CERTAIN = 1e-12  # chances are kept this far from 0 and 1, where log odds are infinite


@dataclass(frozen=True)
class Quantity:
    """A number for every day, answer and cell, worked out of a prediction.

    Parameters
    ----------
    words : str
        What it is, with the target as ``{}``: ``"logarithm of the variance of {}"``.
    value : callable
        From a prediction and a threshold (or None) to an array of shape (time, answer, ...), of any array library
        that the prediction is of; an answer is a target, or a class.
    of_classes : bool
        Whether it is one of classes.
    scaled : bool
        Whether it has the units of the target; else it has none.
    threshold : bool
        Whether it needs a threshold.
    families : tuple of str
        Families of predictions that have it; none: all of numbers, or of classes, do.
    lacking : tuple of str
        Families without it, although they are none of the others.
    """

    words: str
    value: Callable[[Prediction, Array | None], Array]
    of_classes: bool = False
    scaled: bool = False
    threshold: bool = False
    families: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()


def _log_variance(prediction: Prediction, threshold: Array | None) -> Array:
    variance = prediction.variance()
    xp = array_namespace(variance)
    return xp.log(xp.astype(variance, xp.float64))


def _rain_amount(prediction: Prediction, threshold: Array | None) -> Array:
    p = prediction.parameters
    xp = array_namespace(p["shape"])
    return xp.astype(p["shape"], xp.float64) * xp.astype(p["scale"], xp.float64)


def _probability(prediction: Prediction, threshold: Array | None) -> Array:
    return _as_answers(prediction.parameters["probabilities"])


def _log_odds(prediction: Prediction, threshold: Array | None) -> Array:
    chances = prediction.parameters["probabilities"]
    xp = array_namespace(chances)
    own = xp.astype(chances, xp.float64)
    # The chance of the others is small where 1 - p in float32 has no digits left.
    others = xp.sum(own, axis=0, keepdims=True) - own
    return _as_answers(xp.log(xp.clip(own, _CERTAIN, None)) - xp.log(xp.clip(others, _CERTAIN, None)))


def _as_answers(of_classes: Array) -> Array:
    """Return classes in front of time as answers behind it."""
    xp = array_namespace(of_classes)
    apart = xp.permute_dims(of_classes, (1, 0, *range(2, of_classes.ndim)))
    return xp.reshape(apart, (apart.shape[0], apart.shape[1] * apart.shape[2], *apart.shape[3:]))


_TWO_PART = ("bernoulli_gamma",)

QUANTITIES = {
    "mean": Quantity("{}", lambda prediction, threshold: prediction.mean(), scaled=True),
    "log_variance": Quantity("logarithm of the variance of {}", _log_variance, lacking=("point",)),
    "exceedance": Quantity(
        "probability that {} reaches its threshold",
        lambda prediction, threshold: prediction.exceedance(threshold),
        threshold=True,
        lacking=("point",),
    ),
    "rain_probability": Quantity(
        "probability of any {}", lambda prediction, threshold: prediction.parameters["wet"], families=_TWO_PART
    ),
    "rain_amount": Quantity("{} where there is any", _rain_amount, scaled=True, families=_TWO_PART),
    "probability": Quantity("probability of {}", _probability, of_classes=True),
    "log_odds": Quantity("log odds of {}", _log_odds, of_classes=True),
}
"""By the names of YAML files, ``explain: [{of: mean}]``."""

NO_GRADIENT = frozenset({("exceedance", "members")})
"""Quantities and families whose gradient is zero nearly everywhere: the share of members above a threshold."""


def default_quantity(*, classes: bool) -> str:
    """Return what is explained where an experiment does not say: the mean, or of classes the log odds.

    Probabilities near 0 or 1 hardly move whatever the inputs do; log odds do not saturate.

    Examples
    --------
    >>> default_quantity(classes=False), default_quantity(classes=True)
    ('mean', 'log_odds')
    """
    return "log_odds" if classes else "mean"


def check_quantity(name: str, *, classes: bool, family: str | None = None) -> Quantity:
    """Return the quantity called ``name``, sure that such a prediction has it.

    Parameters
    ----------
    name : str
        Of ``QUANTITIES``.
    classes : bool
        Whether the predictions are of classes.
    family : str, optional
        Of the predictions, where it is known.

    Raises
    ------
    ConfigError
        If there is none of that name, or such predictions do not have it.

    Examples
    --------
    >>> check_quantity("mean", classes=False).scaled
    True
    """
    if name not in QUANTITIES:
        raise ConfigError(
            f"explain: of: no quantity {name!r}.{suggest(name, QUANTITIES)} Known: {', '.join(QUANTITIES)}."
        )
    found = QUANTITIES[name]
    fitting = [key for key, each in QUANTITIES.items() if each.of_classes == classes and _has(each, family)]
    if found.of_classes != classes or not _has(found, family):
        what = f"of the family {family}" if family else ("of classes" if classes else "of numbers")
        raise ConfigError(
            f"explain: of: {name}: expected a quantity that predictions {what} have, got one that they have not. "
            f"Take {' or '.join(fitting)}."
        )
    return found


def value(name: str, prediction: Prediction, threshold: Array | None = None) -> Array:
    """Return the quantity ``name`` of a prediction, shape (time, answer, ...).

    Examples
    --------
    >>> import numpy as np
    >>> sure = Prediction("normal", {"mean": np.zeros((1, 1, 1, 1)), "sd": np.full((1, 1, 1, 1), 2.0)})
    >>> round(float(value("log_variance", sure)[0, 0, 0, 0]), 3)
    1.386
    """
    check_quantity(name, classes=prediction.is_categorical, family=prediction.family)
    return QUANTITIES[name].value(prediction, threshold)


def _has(quantity: Quantity, family: str | None) -> bool:
    return family is None or ((not quantity.families or family in quantity.families) and family not in quantity.lacking)
