"""Formulas of a point mass at zero beside a gamma distribution, the building stones of its CRPS, cell by cell.

Everywhere ``shape`` and ``scale`` are those of the gamma distribution and ``wet`` its weight, all in
float64. Where ``shape`` or ``scale`` is 0, so is every amount. Arguments broadcast.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import array_api_compat
import numpy as np

from pipeline.backend import array_namespace
from pipeline.backend.special import betainc, gammainc, gammaincinv, gammaln, to_host
from pipeline.errors import DataError
from pipeline.prediction._arrays import narrow, wide

Array = Any
_FAR = 1e300


@dataclass(frozen=True, eq=False)
class Law:
    """Parameters in float64 of zero with probability ``1 - wet``, else Gamma(shape, scale).

    Examples
    --------
    >>> law = Law(np.array(0.5), np.array(1.0), np.array(2.0))
    >>> float(law.mean), float(law.variance)
    (1.0, 3.0)
    """

    wet: Array
    shape: Array
    scale: Array

    @property
    def amount(self) -> Array:
        """Mean on a wet day."""
        return self.shape * self.scale

    @property
    def mean(self) -> Array:
        """Mean over wet and dry days."""
        return self.wet * self.amount

    @property
    def variance(self) -> Array:
        """``wet shape scale^2 (1 + shape (1 - wet))``: a sum of positive terms, so nothing cancels."""
        return self.wet * self.amount * self.scale * (1.0 + self.shape * (1.0 - self.wet))

    @property
    def arrays(self) -> tuple[Array, Array, Array]:
        """All three."""
        return self.wet, self.shape, self.scale

    def rows(self, index: Any) -> Law:
        """Return the laws at ``index`` of the leading axis."""
        return Law(*(array[index, ...] for array in self.arrays))


def wet_cdf(value: Array, law: Law) -> Array:
    """Return the distribution function of the gamma part, 0 where ``value`` is not positive."""
    shape, scaled = _scaled(value, law)
    return gammainc(shape, scaled)


def cdf(value: Array, law: Law) -> Array:
    """Return ``1 - wet + wet F(value)`` from 0 on, 0 below."""
    xp = array_namespace(value, law.wet)
    total = 1.0 - law.wet + law.wet * wet_cdf(value, law)
    return xp.where(value < 0.0, 0.0 * total, total)


def exceedance(threshold: Array, law: Law) -> Array:
    """Return the probability of at least ``threshold``: 1 up to 0, which even a dry day reaches."""
    xp = array_namespace(threshold, law.wet)
    above = law.wet * (1.0 - wet_cdf(threshold, law))
    return xp.where(threshold <= 0.0, 0.0 * above + 1.0, above)


def wet_slope(value: Array, law: Law) -> Array:
    """Return the derivative of :func:`wet_cdf` by the logarithm of ``value``."""
    shape, scaled = _scaled(value, law)
    return shape * _bump(shape, scaled)


def wet_quantile(level: Array, law: Law) -> Array:
    """Return the quantile of the gamma part at ``level``."""
    xp = array_namespace(law.shape)
    degenerate = (law.shape == 0.0) | (law.scale == 0.0)
    found = law.scale * gammaincinv(xp.where(degenerate, xp.ones_like(law.shape), law.shape), level)
    return xp.where(degenerate, 0.0 * (found + law.shape), found)


def log_density(value: Array, law: Law) -> Array:
    """Return log(1 - wet) up to 0 and ``log wet + log gamma density`` above; minus infinity where that is 0."""
    xp = array_namespace(value, law.wet)
    one = xp.ones_like(value * law.wet)
    shape, scaled = _scaled(value, law)
    inside = xp.where(scaled == 0.0, one, scaled)
    degenerate = (law.shape == 0.0) | (law.scale == 0.0)
    width = xp.where(degenerate, one, law.scale * one)
    amount = (shape - 1.0) * xp.log(inside) - inside - gammaln(shape) - xp.log(width)
    amount = xp.where(degenerate, -xp.inf * one, amount)
    dry = _log((1.0 - law.wet) * one) + 0.0 * (law.shape + law.scale)  # NaN in these too is NaN
    return xp.where(value <= 0.0, dry, _log(law.wet * one) + amount)


def distance(value: Array, law: Law) -> Array:
    """Return E|X - y|.

    Of the gamma part and y >= 0 it is ``(y - m)(2 F(y) - 1) + 2 m g(y)`` with ``m = shape scale`` and
    ``g(y) = (y / scale)^shape exp(-y / scale) / Gamma(shape + 1)``, the difference between the
    distribution functions of shapes k and k + 1 (Scheuerer and Moeller 2015, doi:10.1214/15-AOAS843).
    """
    xp = array_namespace(value, law.wet)
    shape, scaled = _scaled(value, law)
    bump = _bump(shape, scaled)
    above = xp.maximum(value, xp.zeros_like(value))
    gamma = (above - law.amount) * (2.0 * gammainc(shape, scaled) - 1.0) + 2.0 * law.amount * bump
    # Below 0 every amount is further off by as much; the dry part always is |y| away.
    gamma = gamma + (above - value)
    return (1.0 - law.wet) * xp.abs(value) + law.wet * gamma


def spread(law: Law) -> Array:
    """Return E|X - X'| of two independent draws: ``2 wet (1 - wet) m + 2 wet^2 scale / B(1/2, shape)``."""
    xp = array_namespace(law.wet)
    shape = xp.where(law.shape == 0.0, xp.ones_like(law.shape), law.shape)
    # 1 / B(1/2, k), with Gamma(k) = Gamma(k + 1) / k so that a tiny k keeps its digits.
    inverse = law.shape * xp.exp(gammaln(shape + 0.5) - gammaln(shape + 1.0)) / float(np.sqrt(np.pi))
    return 2.0 * law.wet * ((1.0 - law.wet) * law.amount + law.wet * law.scale * inverse)


def square_above(threshold: Array, law: Law) -> Array:
    """Return the integral of ``(1 - F)^2`` above ``threshold``.

    With ``x = t / scale`` and Q_k the survival function of Gamma(k, 1) it is from 0 on ``wet^2 scale (k Q_{k+1}(x)^2 -
    x Q_k(x)^2 - 2 k c Q_{2k+1}(2 x))``, ``c = Gamma(2k+1) / (2^(2k+1) Gamma(k+1)^2)``: by parts. The density of
    Gamma(k, 1) times x is k times that of Gamma(k+1, 1), whose square is c times that of Gamma(2k+1, 1/2).
    """
    xp = array_namespace(threshold, law.wet)
    shape, scaled = _scaled(threshold, law)
    beyond = 1.0 - gammainc(shape, scaled)
    further = beyond + _bump(shape, scaled)
    share = xp.exp(gammaln(2.0 * shape + 1.0) - 2.0 * gammaln(shape + 1.0) - (2.0 * shape + 1.0) * float(np.log(2.0)))
    last = 2.0 * shape * share * (1.0 - gammainc(2.0 * shape + 1.0, 2.0 * scaled))
    amount = law.scale * (shape * further * further - scaled * beyond * beyond - last)
    below = xp.maximum(-threshold, xp.zeros_like(threshold))  # where even a dry day lies above
    return below + law.wet * law.wet * amount


def apart(one: Law, two: Law) -> Array:
    """Return E|X1 - X2| of independent draws of two laws.

    Of the gamma parts it is ``(m1 - m2)(2 I - 1) + 2 (s1 + s2) D`` with scales s, shapes k, means m,
    ``I = I_c(k2, k1)`` the probability that the first is the larger, ``c = s1 / (s1 + s2)`` and
    ``D = c^k2 (1 - c)^k1 / B(k1, k2)``. It follows from ``E|G1 - G2| = 2 E max - m1 - m2`` and
    ``E[G1; G1 > G2] = m1 I_c(k2, k1 + 1)``, since a gamma density times its argument is one of shape
    k + 1 and G1 / (G1 + G2) of equal scales is a beta variable.
    """
    xp = array_namespace(one.wet, two.wet)
    degenerate = (one.amount == 0.0) | (two.amount == 0.0)
    unit = xp.ones_like(one.shape * two.shape)
    k1, k2 = (xp.where(degenerate, unit, law.shape * unit) for law in (one, two))
    s1, s2 = (xp.where(degenerate, unit, law.scale * unit) for law in (one, two))
    share = s1 / (s1 + s2)
    beta = gammaln(k1) + gammaln(k2) - gammaln(k1 + k2)
    bump = xp.exp(k2 * xp.log(share) + k1 * xp.log(s2 / (s1 + s2)) - beta)
    first = betainc(k2, k1, share)
    gamma = (one.amount - two.amount) * (2.0 * first - 1.0) + 2.0 * (s1 + s2) * bump
    gamma = xp.where(degenerate, one.amount + two.amount, gamma)
    dry = one.wet * (1.0 - two.wet) * one.amount + two.wet * (1.0 - one.wet) * two.amount
    return dry + one.wet * two.wet * gamma


def draw(law: Law, count: int, seed: int) -> Array:
    """Return ``count`` draws on a new leading axis where ``law`` lives; made on the host, cell by cell."""
    xp = array_namespace(law.wet)
    wet, shape, scale = (to_host(array) for array in (law.wet, law.shape, law.scale))
    missing = np.isnan(wet) | np.isnan(shape) | np.isnan(scale)
    random = np.random.default_rng(seed)
    size = (count, *missing.shape)
    amounts = random.standard_gamma(np.where(missing, 1.0, shape), size) * scale
    draws = np.where(random.random(size) < wet, amounts, 0.0)
    draws = np.where(missing, np.nan, draws)
    return xp.asarray(draws, device=array_api_compat.device(law.wet))


def scaled_law(p: Any, scale: Array, shift: Array) -> dict[str, Array]:
    """Return the parameters of ``scale * X``, NaN where ``shift`` is: cells outside a mask.

    Raises
    ------
    DataError
        If ``shift`` is anything else than 0: no amount then stays at zero.
    """
    xp = array_namespace(p["wet"])
    moved = xp.asarray(shift, dtype=xp.float64, device=array_api_compat.device(p["wet"]))
    if bool(xp.any((moved != 0.0) & ~xp.isnan(moved))):
        raise DataError(
            "expected a shift of 0 for a distribution with a point mass at zero, got a target with a mean or an "
            "anomaly taken off. Set prepare.target.anomaly: none for this target."
        )
    wet, shape, width = wide(p["wet"], p["shape"], p["scale"])
    parts = {"wet": wet + moved, "shape": shape + moved, "scale": scale * width + moved}
    return {name: narrow(values, p[name]) for name, values in parts.items()}


def _scaled(value: Array, law: Law) -> tuple[Array, Array]:
    """Return a shape to compute with and ``value / scale``, not below 0.

    Where every amount is 0 the latter is so large that the distribution function is 1 and the density
    0: the step stands at 0 itself, where the distribution function of a gamma still is 0.
    """
    xp = array_namespace(value, law.wet)
    degenerate = (law.shape == 0.0) | (law.scale == 0.0)
    one = xp.ones_like(law.shape)
    above = xp.maximum(value, xp.zeros_like(value))
    scaled = above / xp.where(degenerate, one, law.scale)
    far = _FAR + 0.0 * (scaled + law.shape)  # NaN in the value or the shape stays NaN
    return xp.where(degenerate, one, law.shape), xp.where(degenerate, far, scaled)


def _bump(shape: Array, scaled: Array) -> Array:
    """Return ``scaled^shape exp(-scaled) / Gamma(shape + 1)``, 0 at 0."""
    xp = array_namespace(scaled)
    inside = xp.where(scaled == 0.0, xp.ones_like(scaled), scaled)
    bump = xp.exp(shape * xp.log(inside) - inside - gammaln(shape + 1.0))
    return xp.where(scaled == 0.0, xp.zeros_like(bump), bump)


def _log(x: Array) -> Array:
    """Return the logarithm, minus infinity at 0, without a warning."""
    xp = array_namespace(x)
    return xp.where(x == 0.0, xp.full_like(x, -xp.inf), xp.log(xp.where(x == 0.0, xp.ones_like(x), x)))
