"""Classes without an order: a probability for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NoReturn

import array_api_compat

from pipeline.backend import array_namespace
from pipeline.errors import DataError
from pipeline.prediction import FAMILIES, Array, Parameters
from pipeline.prediction._arrays import member_mean, narrow, stacked, uniform_draws, wide, with_nan


def entropy(probabilities: Array) -> Array:
    """Return ``-sum p log p`` over the leading axis [nat]: 0 where one class is certain, ``log C`` at most.

    How uncertain a forecast of classes is; a class of probability zero adds nothing.

    Parameters
    ----------
    probabilities : array, shape (class, ...)
        Their sum over classes is 1.

    Returns
    -------
    array of float64, shape (...)
        NaN where any probability is.

    References
    ----------
    Shannon (1948), doi:10.1002/j.1538-7305.1948.tb01338.x.

    Examples
    --------
    >>> import numpy as np
    >>> entropy(np.array([[0.5, 1.0], [0.5, 0.0]])).round(4).tolist()
    [0.6931, 0.0]
    """
    (p,) = wide(probabilities)
    xp = array_namespace(p)
    logs = xp.log(xp.where(p > 0.0, p, xp.ones_like(p)))
    return with_nan(xp.abs(xp.sum(p * logs, axis=0)), p)  # never positive: abs takes the sign off zero too


@FAMILIES.register("categorical")
class Categorical:
    """Probabilities of classes 0, 1, ..., ``probabilities`` with a leading ``class`` axis over which they sum to 1.

    A truth is the number of its class, as a float; NaN where unknown. Numbers of classes have no order and no
    distance: there is no variance, quantile, distribution function or CRPS. What stands in place of the
    mean is the most likely class.
    """

    parameters: ClassVar[tuple[str, ...]] = ("probabilities",)
    leading: ClassVar[Mapping[str, str]] = {"probabilities": "class"}
    unitless: ClassVar[tuple[str, ...]] = ("probabilities",)
    mixture: ClassVar[str] = "categorical_mixture"
    measure: ClassVar[str] = "entropy"
    has_likelihood: ClassVar[bool] = True
    unbounded: ClassVar[bool] = False

    def mean(self, p: Parameters) -> Array:
        """Return the number of the most likely class; of several as likely the lowest."""
        chances = p["probabilities"]
        xp = array_namespace(chances)
        return with_nan(xp.astype(xp.argmax(chances, axis=0), chances.dtype), chances)

    def variances(self, p: Parameters) -> tuple[Array | None, Array | None]:
        """Return (None, None): classes lie at no distance from each other."""
        return None, None

    def uncertainties(self, p: Parameters) -> tuple[Array | None, Array | None]:
        """Return (entropy [nat], None): one distribution has nothing to disagree with."""
        return narrow(entropy(p["probabilities"]), p["probabilities"]), None

    def quantile(self, p: Parameters, level: float) -> Array:
        """Refuse."""
        _refuse("quantile")

    def cdf(self, p: Parameters, value: Array) -> Array:
        """Refuse."""
        _refuse("distribution function")

    def exceedance(self, p: Parameters, threshold: Array) -> Array:
        """Refuse."""
        _refuse("exceedance")

    def sample(self, p: Parameters, count: int, seed: int) -> Array:
        """Return drawn numbers of classes, independently between times, targets and cells."""
        (chances,) = wide(p["probabilities"])
        xp = array_namespace(chances)
        # Probabilities in float32 do not sum to 1 to the last digit.
        drawn = uniform_draws((count, *chances.shape[1:]), seed, chances) * xp.sum(chances, axis=0)[None, ...]
        result, reached = xp.zeros_like(drawn), xp.zeros_like(chances[0, ...])
        for number in range(chances.shape[0] - 1):  # the last class takes what is left
            reached = reached + chances[number, ...]
            result = result + xp.astype(drawn >= reached[None, ...], xp.float64)
        return narrow(result + 0.0 * drawn, p["probabilities"])  # NaN where a probability is

    def crps(self, p: Parameters, truth: Array) -> Array:
        """Refuse."""
        _refuse("CRPS")

    def tail_crps(self, p: Parameters, truth: Array, threshold: Array) -> Array:
        """Refuse."""
        _refuse("CRPS")

    def nll(self, p: Parameters, truth: Array) -> Array:
        """Return ``-log p`` of the class in ``truth``; infinite where that had no chance or is no class."""
        chances, truth = wide(p["probabilities"], truth)
        xp = array_namespace(chances)
        chance = xp.zeros_like(chances[0, ...] + truth)
        for number in range(chances.shape[0]):
            chance = xp.where(truth == number, chances[number, ...], chance)
        there = chance > 0.0
        logs = 0.0 - xp.log(xp.where(there, chance, xp.ones_like(chance)))  # not its negative: no -0
        logs = xp.where(there, logs, xp.full_like(chance, xp.inf))
        return narrow(with_nan(xp.where(xp.isnan(truth), truth, logs), chances), p["probabilities"])

    def affine(self, p: Parameters, scale: Array, shift: Array) -> dict[str, Array]:
        """Return the parameters, NaN where ``scale`` or ``shift`` is: cells outside a mask.

        Raises
        ------
        DataError
            If anything is scaled or shifted: classes have no units.
        """
        chances = p["probabilities"]
        xp = array_namespace(chances)
        for name, value, neutral in (("scale", scale, 1.0), ("shift", shift, 0.0)):
            wrong = _other(value, neutral, chances)
            if wrong is not None:
                raise DataError(
                    f"expected a {name} of {neutral:g} for a prediction of classes, which have no units, got "
                    f"{wrong:g}. Set prepare.target: {{anomaly: none, scale: none}}."
                )
        gaps = 0.0 * scale + 0.0 * shift
        return {name: narrow(xp.zeros_like(values) + gaps + values, values) for name, values in p.items()}

    def at_least(self, p: Parameters, least: Array) -> dict[str, Array]:
        """Return them as they are: classes have no order."""
        return dict(p)

    def members(self, p: Parameters) -> Array | None:
        """Return None."""
        return None

    def mix(self, answers: Sequence[Parameters]) -> dict[str, Array]:
        """Return the means of the probabilities and of their entropies."""
        own = ({**answer, "expected_entropy": self.uncertainties(answer)[0]} for answer in answers)
        return {name: narrow(member_mean(values), values) for name, values in stacked(list(own)).items()}


def _refuse(what: str) -> NoReturn:
    raise DataError(
        f"expected a prediction of numbers for its {what}, got one of classes, whose numbers have no order. "
        "Take the probabilities, the most likely class or the negative log likelihood."
    )


def _other(value: Any, neutral: float, like: Array) -> float | None:
    """Return the first number of ``value`` that is neither ``neutral`` nor NaN; None if there is none."""
    xp = array_namespace(like)
    flat = xp.reshape(xp.asarray(value, dtype=xp.float64, device=array_api_compat.device(like)), (-1,))
    found = xp.nonzero((flat != neutral) & ~xp.isnan(flat))[0]
    return float(flat[int(found[0])]) if found.shape[0] else None
