"""A mixture of Bernoulli-gamma distributions, one a member: an ensemble of models of precipitation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pipeline.backend import array_namespace
from pipeline.backend.special import gammainc
from pipeline.prediction import FAMILIES, Array, Parameters, _gamma
from pipeline.prediction._arrays import index_draws, member_mean, narrow, on_cells, pooled, wide, with_nan
from pipeline.prediction._gamma import Law
from pipeline.prediction._tail import integral
from pipeline.prediction._variance import InVariances

_STEPS = 100
_VALUES = 2**16  # members times cells in one piece: 512 KiB an array
_PRECISION = 1e-11  # relative, of a quantile
_LAST_STEP = 1e-6
_LEAST = 1e-300  # a quantile below it is 0
_BEYOND = 10.0  # the chance of so much is exp(-10), and its square is what is left out
_NODES, _LONGEST = 24, 16.0


@FAMILIES.register("bernoulli_gamma_mixture")
class BernoulliGammaMixture(InVariances):
    """Equal mixture of Bernoulli-gamma distributions, parameters with a leading ``member`` axis.

    By the law of total variance the mean of the members' variances is aleatoric, the variance of
    their means epistemic (Lakshminarayanan et al. 2017, arXiv:1612.01474).
    """

    parameters: ClassVar[tuple[str, ...]] = ("wet", "shape", "scale")
    leading: ClassVar[Mapping[str, str]] = {"wet": "member", "shape": "member", "scale": "member"}
    unitless: ClassVar[tuple[str, ...]] = ("wet", "shape")
    mixture: ClassVar[str] = "bernoulli_gamma_mixture"
    has_likelihood: ClassVar[bool] = True
    unbounded: ClassVar[bool] = False

    def mean(self, p: Parameters) -> Array:
        """Return the mean of the members' means."""
        return narrow(member_mean(_law(p).mean), p["wet"])

    def variances(self, p: Parameters) -> tuple[Array | None, Array | None]:
        """Return (mean of the variances, variance of the means), the latter with a divisor of M."""
        law = _law(p)
        deviation = law.mean - member_mean(law.mean)[None, ...]
        return narrow(member_mean(law.variance), p["wet"]), narrow(member_mean(deviation * deviation), p["wet"])

    def quantile(self, p: Parameters, level: float) -> Array:
        """Return 0 up to the mean of ``1 - wet``, above it the root of the exact distribution function."""
        law = _law(p)
        return narrow(with_nan(_quantile(law, level), law.wet + law.shape + law.scale), p["wet"])

    def cdf(self, p: Parameters, value: Array) -> Array:
        """Return the mean of the members' distribution functions."""
        (value,) = wide(value)
        return narrow(member_mean(_gamma.cdf(value[None, ...], _law(p))), p["wet"])

    def exceedance(self, p: Parameters, threshold: Array) -> Array:
        """Return the mean of the members' probabilities of at least ``threshold``."""
        (threshold,) = wide(threshold)
        return narrow(member_mean(_gamma.exceedance(threshold[None, ...], _law(p))), p["wet"])

    def sample(self, p: Parameters, count: int, seed: int) -> Array:
        """Return draws that are independent between times, targets and cells."""
        law = _law(p)
        xp = array_namespace(law.wet)
        size = law.wet.shape[0]
        member = index_draws((count, *law.wet.shape[1:]), size, seed, law.wet)
        first = law.rows(0).arrays
        chosen = Law(*(xp.broadcast_to(array[None, ...], member.shape) for array in first))
        for index in range(1, size):
            own = law.rows(index).arrays
            pairs = zip(own, chosen.arrays, strict=True)
            chosen = Law(*(xp.where(member == index, new[None, ...], old) for new, old in pairs))
        return narrow(_gamma.draw(chosen, 1, seed + 1)[0, ...], p["wet"])

    def crps(self, p: Parameters, truth: Array) -> Array:
        """Return ``mean_m E|X_m - y| - sum_mn E|X_m - X_n| / (2 M^2)``, every term in closed form.

        Costs M (M - 1) / 2 incomplete beta functions a cell.
        """
        (truth,) = wide(truth)
        law = _law(p)
        xp = array_namespace(law.wet)
        size = law.wet.shape[0]
        total = xp.sum(_gamma.spread(law), axis=0)
        for lag in range(1, size):  # every other pair stands twice
            total = total + 2.0 * xp.sum(_gamma.apart(law.rows(slice(lag, None)), law.rows(slice(None, -lag))), axis=0)
        distance = member_mean(_gamma.distance(truth[None, ...], law))
        return narrow(distance - total / (2.0 * size * size), p["wet"])

    def tail_crps(self, p: Parameters, truth: Array, threshold: Array) -> Array:
        """Return ``E|X - max(y, t)| - E|X - t| + integral above t of (1 - F)^2``.

        The distances in closed form; the integral by Gauss and Legendre over the cube root of the distance from t,
        which takes the sharp bend of small shapes: to 1e-6 of the widest member's spread. Costs 24 to 50
        incomplete gamma functions a member and cell, and nothing where all members lie below the threshold.
        """
        truth, threshold = wide(truth, threshold)
        law = _law(p)
        top = array_namespace(law.wet).maximum(truth, threshold)
        above = [member_mean(_gamma.distance(end[None, ...], law)) for end in (top, threshold)]
        return narrow(above[0] - above[1] + _square_above(threshold, law), p["wet"])

    def nll(self, p: Parameters, truth: Array) -> Array:
        """Return the negative log of the members' mean density, see ``bernoulli_gamma``."""
        (truth,) = wide(truth)
        logs = _gamma.log_density(truth[None, ...], _law(p))
        xp = array_namespace(logs)
        top = xp.max(logs, axis=0)
        # An infinite top is the answer itself: no member thinks the truth possible.
        base = xp.where(xp.isinf(top), xp.zeros_like(top), top)
        total = member_mean(xp.exp(logs - base[None, ...]))
        finite = base + xp.log(xp.where(xp.isinf(top), xp.ones_like(total), total))
        return narrow(-xp.where(xp.isinf(top), top, finite), p["wet"])

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
        """Return the members' means, ``wet shape scale``."""
        return narrow(_law(p).mean, p["wet"])

    def mix(self, answers: Sequence[Parameters]) -> dict[str, Array]:
        """Return the parameters of all members of ``answers``."""
        return pooled(answers)


def _law(p: Parameters) -> Law:
    return Law(*wide(p["wet"], p["shape"], p["scale"]))


def _square_above(threshold: Array, law: Law) -> Array:
    """Return the integral of ``(1 - F)^2`` above ``threshold``, shape of a member."""
    xp, size = array_namespace(law.wet), law.wet.shape[0]
    low = xp.maximum(threshold, xp.zeros_like(threshold))
    # P(Gamma(k) > k + sqrt(2 k u) + u) <= exp(-u) (Laurent and Massart 2000, doi:10.1214/aos/1015957395).
    last = xp.max(law.scale * (law.shape + xp.sqrt(2.0 * _BEYOND * law.shape) + _BEYOND), axis=0)
    start, span = (xp.reshape(end, (-1,)) for end in (low, xp.maximum(last - low, xp.zeros_like(low))))
    none = (law.shape == 0.0) | (law.scale == 0.0)  # amounts of zero: nothing lies above
    shape = xp.where(none, xp.ones_like(law.shape), law.shape)
    rate = xp.where(none, xp.full_like(law.scale, xp.inf), 1.0 / xp.where(none, xp.ones_like(law.scale), law.scale))
    flat = [xp.reshape(array, (size, -1)) for array in (law.wet, shape, rate)]
    known = span > 0.0
    ends = (xp.zeros_like(span), xp.where(known, xp.ones_like(span), xp.zeros_like(span)))
    found = integral(_survival, _rough, ends, [*flat, start, span], nodes=_NODES)
    return low - threshold + xp.reshape(found, threshold.shape)


def _survival(v: Array, wet: Array, shape: Array, rate: Array, start: Array, span: Array) -> Array:
    """Return ``(1 - F(z))^2 dz / dv`` at ``z = start + span v^3``."""
    square = v * v * span
    beyond = array_namespace(v).sum(wet * (1.0 - gammainc(shape, (start + v * square)[None, ...] * rate)), axis=0)
    return beyond * beyond * square * (3.0 / wet.shape[0] ** 2)


def _rough(low: Array, high: Array, wet: Array, shape: Array, rate: Array, start: Array, span: Array) -> Array:
    """Return whether an interval of v is long beside the place where the distribution function of a member bends."""
    xp = array_namespace(wet)
    width, middle = xp.sqrt(xp.maximum(shape, xp.ones_like(shape))) / rate, shape / rate
    place = xp.maximum(middle - start[None, ...], xp.zeros_like(width))
    left, right = ((start + span * end**3)[None, ...] for end in (low, high))
    bends = (width > 0.0) & (left < middle + _BEYOND * width) & (right > middle - _BEYOND * width)
    # dz / dv there, times the interval's length.
    length = 3.0 * (high - low) * span ** (1.0 / 3.0) * (place + width) ** (2.0 / 3.0)
    return xp.any(bends & (length > _LONGEST * width), axis=0)


def _quantile(law: Law, level: float) -> Array:
    """Return the quantile, shape of a member; only cells that it is wet in are worked on, in pieces."""
    xp = array_namespace(law.wet)
    field, size = law.wet.shape[1:], law.wet.shape[0]
    flat = Law(*(xp.reshape(array, (size, -1)) for array in law.arrays))
    weight = member_mean(flat.wet)
    # The quantile of X is that of the wet mixture alone, at a level that leaves the dry days out.
    within = 1.0 - (1.0 - level) / xp.where(weight == 0.0, xp.full_like(weight, _LEAST), weight)

    def solve(cells: Array) -> Array:
        own = Law(*(xp.take(array, cells, axis=1) for array in flat.arrays))
        return _root(own, xp.take(within, cells))

    # Not positive, or NaN: the level is reached at 0, or nothing is known.
    return xp.reshape(on_cells(solve, within > 0.0, max(1, _VALUES // size)), field)


def _root(law: Law, level: Array) -> Array:
    """Solve ``sum wet F(x) / sum wet = level`` for laws of shape (member, cell).

    Newton's steps in log x on log F, which for small x are a straight line; by halves where they
    lead astray.
    """
    xp = array_namespace(level)
    weight = law.wet / xp.sum(law.wet, axis=0)[None, ...]
    each = _gamma.wet_quantile(level[None, ...], law)
    highest = xp.max(each, axis=0)
    # Below every member's own quantile the mixture has less than ``level``, above every one more.
    low, high = (xp.log(xp.maximum(edge, xp.full_like(edge, _LEAST))) for edge in (xp.min(each, axis=0), highest))
    x = xp.minimum(xp.maximum(xp.log(xp.maximum(xp.sum(weight * each, axis=0), xp.full_like(low, _LEAST))), low), high)
    last = high - low
    done = last <= _PRECISION
    for _ in range(_STEPS):
        if not bool(xp.any(~done & ~xp.isnan(x))):
            break
        value = xp.exp(x)[None, ...]
        share = xp.sum(weight * _gamma.wet_cdf(value, law), axis=0)
        slope = xp.sum(weight * _gamma.wet_slope(value, law), axis=0)
        low, high = xp.where(share < level, x, low), xp.where(share < level, high, x)
        steep = (slope > 1e-100) & (share > 0.0)
        miss = share * xp.log(xp.where(steep, share / level, xp.ones_like(share)))
        newton = x - miss / xp.where(steep, slope, xp.ones_like(slope))
        good = steep & (newton >= low) & (newton <= high) & (xp.abs(newton - x) <= 0.5 * last)
        following = xp.where(done, x, xp.where(good, newton, 0.5 * (low + high)))
        last = xp.abs(following - x)
        x = following
        # The error that a Newton step leaves is about the square of the step.
        done = done | (last <= _PRECISION) | (good & (last <= _LAST_STEP))
    return xp.where(highest <= _LEAST, xp.zeros_like(x), xp.exp(x))
