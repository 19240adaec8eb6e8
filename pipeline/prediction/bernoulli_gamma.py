"""Wet or dry, and how much where wet: the distribution of daily precipitation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pipeline.backend import array_namespace
from pipeline.prediction import FAMILIES, Array, Parameters, _gamma
from pipeline.prediction._arrays import narrow, stacked, wide
from pipeline.prediction._gamma import Law
from pipeline.prediction._variance import InVariances


@FAMILIES.register("bernoulli_gamma")
class BernoulliGamma(InVariances):
    """Zero with probability ``1 - wet``, else Gamma(``shape``, ``scale``); the variance is aleatoric.

    The distribution of Williams (1998, "Modelling rainfall with neural networks") and Cannon (2008,
    doi:10.1175/2008JHM960.1). ``wet`` lies in [0, 1], ``shape`` and ``scale`` are not negative;
    ``scale`` has the units of the field, where dry is 0. Where one of them is 0, every amount is.
    """

    parameters: ClassVar[tuple[str, ...]] = ("wet", "shape", "scale")
    leading: ClassVar[Mapping[str, str]] = {}
    unitless: ClassVar[tuple[str, ...]] = ("wet", "shape")
    mixture: ClassVar[str] = "bernoulli_gamma_mixture"
    has_likelihood: ClassVar[bool] = True
    unbounded: ClassVar[bool] = False

    def mean(self, p: Parameters) -> Array:
        """Return ``wet shape scale``."""
        return narrow(_law(p).mean, p["wet"])

    def variances(self, p: Parameters) -> tuple[Array | None, Array | None]:
        """Return (``wet shape scale^2 (1 + shape (1 - wet))``, None)."""
        return narrow(_law(p).variance, p["wet"]), None

    def quantile(self, p: Parameters, level: float) -> Array:
        """Return 0 up to ``1 - wet``, above it the gamma quantile at ``(level - 1 + wet) / wet``."""
        law = _law(p)
        xp = array_namespace(law.wet)
        dry = level <= 1.0 - law.wet
        share = 1.0 - (1.0 - level) / xp.where(dry, xp.ones_like(law.wet), law.wet)
        amount = _gamma.wet_quantile(share, law)
        return narrow(xp.where(dry, 0.0 * (law.shape + law.scale), amount), p["wet"])

    def cdf(self, p: Parameters, value: Array) -> Array:
        """Return ``1 - wet + wet F(value)`` from 0 on, 0 below."""
        (value,) = wide(value)
        return narrow(_gamma.cdf(value, _law(p)), p["wet"])

    def exceedance(self, p: Parameters, threshold: Array) -> Array:
        """Return the probability of at least ``threshold``; 1 up to 0."""
        (threshold,) = wide(threshold)
        return narrow(_gamma.exceedance(threshold, _law(p)), p["wet"])

    def sample(self, p: Parameters, count: int, seed: int) -> Array:
        """Return draws that are independent between times, targets and cells."""
        return narrow(_gamma.draw(_law(p), count, seed), p["wet"])

    def crps(self, p: Parameters, truth: Array) -> Array:
        """Return ``E|X - y| - E|X - X'| / 2`` in closed form.

        With wet = 1 it is the score of a gamma distribution (Scheuerer and Moeller 2015,
        doi:10.1214/15-AOAS843).
        """
        (truth,) = wide(truth)
        law = _law(p)
        return narrow(_gamma.distance(truth, law) - 0.5 * _gamma.spread(law), p["wet"])

    def tail_crps(self, p: Parameters, truth: Array, threshold: Array) -> Array:
        """Return ``E|X - max(y, t)| - E|X - t| + integral above t of (1 - F)^2``, all in closed form."""
        truth, threshold = wide(truth, threshold)
        law = _law(p)
        above = _gamma.distance(array_namespace(law.wet).maximum(truth, threshold), law)
        return narrow(above - _gamma.distance(threshold, law) + _gamma.square_above(threshold, law), p["wet"])

    def nll(self, p: Parameters, truth: Array) -> Array:
        """Return ``-log(1 - wet)`` at 0, ``-log(wet f(y))`` above, f the gamma density.

        The density is one by the counting measure at 0 and by length above, so it says how wet and
        dry go, and how much, but does not compare with densities of other families. Values below 0,
        left by packing or interpolation, count as dry.
        """
        (truth,) = wide(truth)
        return narrow(-_gamma.log_density(truth, _law(p)), p["wet"])

    def affine(self, p: Parameters, scale: Array, shift: Array) -> dict[str, Array]:
        """Return the parameters of ``scale * X``; ``shift`` must be 0, or NaN outside a mask.

        Raises
        ------
        DataError
            If ``shift`` is anything else: no amount then stays at zero.
        """
        return _gamma.scaled_law(p, scale, shift)

    def at_least(self, p: Parameters, least: Array) -> dict[str, Array]:
        """Return them as they are: amounts begin at zero."""
        return dict(p)

    def members(self, p: Parameters) -> Array | None:
        """Return None."""
        return None

    def mix(self, answers: Sequence[Parameters]) -> dict[str, Array]:
        """Return the parameters of the equal mixture of ``answers``."""
        return stacked(answers)


def _law(p: Parameters) -> Law:
    return Law(*wide(p["wet"], p["shape"], p["scale"]))
