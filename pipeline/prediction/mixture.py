"""A mixture of normals, one a member, all of the same weight: an ensemble of probabilistic models."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import ClassVar

from pipeline.backend import array_namespace
from pipeline.backend.special import ndtr
from pipeline.prediction import FAMILIES, Array, Parameters
from pipeline.prediction._arrays import (
    SQRT_PI,
    density,
    expected_distance,
    index_draws,
    log_density,
    member_mean,
    narrow,
    normal_cdf,
    normal_draws,
    pooled,
    wide,
    with_nan,
)

_STEPS = 100
_VALUES = 2**18  # members times cells in one piece: 2 MiB
_PRECISION = 1e-10  # of the bracket's width


@FAMILIES.register("mixture")
class Mixture:
    """Equal mixture of normals of ``mean`` and ``sd``, both with a leading ``member`` axis.

    By the law of total variance the mean of the members' variances is aleatoric, the variance of
    their means epistemic (Lakshminarayanan et al. 2017, arXiv:1612.01474).
    """

    parameters: ClassVar[tuple[str, ...]] = ("mean", "sd")
    member_parameters: ClassVar[tuple[str, ...]] = ("mean", "sd")
    class_parameters: ClassVar[tuple[str, ...]] = ()
    unitless: ClassVar[tuple[str, ...]] = ()
    mixture: ClassVar[str] = "mixture"

    def mean(self, p: Parameters) -> Array:
        """Return the mean of the members' means."""
        return narrow(member_mean(p["mean"]), p["mean"])

    def variances(self, p: Parameters) -> tuple[Array | None, Array | None]:
        """Return (mean of the variances, variance of the means), the latter with a divisor of M."""
        mean, sd = wide(p["mean"], p["sd"])
        deviation = mean - member_mean(mean)[None, ...]
        return narrow(member_mean(sd * sd), p["sd"]), narrow(member_mean(deviation * deviation), p["mean"])

    def quantile(self, p: Parameters, level: float) -> Array:
        """Return the root of the exact distribution function, by Newton steps kept in a bracket."""
        mean, sd = wide(p["mean"], p["sd"])
        return narrow(with_nan(_quantile(mean, sd, level), mean + sd), p["mean"])

    def cdf(self, p: Parameters, value: Array) -> Array:
        """Return the mean of the members' distribution functions."""
        value, mean, sd = wide(value, p["mean"], p["sd"])
        return narrow(_cdf(value, mean, sd), p["mean"])

    def exceedance(self, p: Parameters, threshold: Array) -> Array:
        """Return the mean of the members' probabilities of at least ``threshold``."""
        threshold, mean, sd = wide(threshold, p["mean"], p["sd"])
        return narrow(_cdf(-threshold, -mean, sd), p["mean"])  # P(-X <= -x)

    def sample(self, p: Parameters, count: int, seed: int) -> Array:
        """Return draws that are independent between times, targets and cells."""
        mean, sd = wide(p["mean"], p["sd"])
        xp = array_namespace(mean)
        shape = (count, *mean.shape[1:])
        member = index_draws(shape, mean.shape[0], seed, mean)
        noise = normal_draws(shape, seed + 1, mean)
        result = xp.zeros_like(noise)
        for index in range(mean.shape[0]):
            result = xp.where(member == index, mean[index, ...][None, ...] + sd[index, ...][None, ...] * noise, result)
        return narrow(result, p["mean"])

    def crps(self, p: Parameters, truth: Array) -> Array:
        """Return the closed form of Grimit et al. (2006, doi:10.1256/qj.05.235).

        ``mean_m A(y - mu_m, s_m^2) - sum_mn A(mu_m - mu_n, s_m^2 + s_n^2) / (2 M^2)``; costs M^2 / 2
        distribution functions a cell.
        """
        truth, mean, sd = wide(truth, p["mean"], p["sd"])
        xp = array_namespace(mean)
        size = mean.shape[0]
        # m = n: A(0, 2 s^2) = 2 s / sqrt(pi); every other pair stands twice.
        spread = xp.sum(sd, axis=0) * (2.0 / SQRT_PI)
        for lag in range(1, size):
            apart = mean[lag:, ...] - mean[:-lag, ...]
            joint = xp.sqrt(sd[lag:, ...] ** 2 + sd[:-lag, ...] ** 2)
            spread = spread + 2.0 * xp.sum(expected_distance(apart, joint), axis=0)
        distance = member_mean(expected_distance(truth[None, ...] - mean, sd))
        return narrow(distance - spread / (2.0 * size * size), p["mean"])

    def nll(self, p: Parameters, truth: Array) -> Array:
        """Return the negative log of the members' mean density."""
        truth, mean, sd = wide(truth, p["mean"], p["sd"])
        xp = array_namespace(mean)
        logs = log_density(truth[None, ...], mean, sd)
        top = xp.max(logs, axis=0)
        # An infinite top (sd of 0) is the answer itself; inf - inf would make it NaN.
        endless = xp.isinf(top)
        base = xp.where(endless, xp.zeros_like(top), top)
        total = member_mean(xp.exp(logs - base[None, ...]))
        finite = base + xp.log(xp.where(endless, xp.ones_like(total), total))
        return narrow(-xp.where(endless, top, finite), p["mean"])

    def affine(self, p: Parameters, scale: Array, shift: Array) -> dict[str, Array]:
        """Return the parameters of ``scale * X + shift``."""
        mean, sd = p["mean"], p["sd"]
        return {"mean": narrow(scale * mean + shift, mean), "sd": narrow(scale * sd + 0.0 * mean, sd)}

    def members(self, p: Parameters) -> Array | None:
        """Return the members' means."""
        return p["mean"]

    def mix(self, answers: Sequence[Parameters]) -> dict[str, Array]:
        """Return the parameters of all members of ``answers``."""
        return pooled(answers)


def _cdf(value: Array, mean: Array, sd: Array) -> Array:
    return member_mean(normal_cdf(value[None, ...], mean, sd))


def _quantile(mean: Array, sd: Array, level: float) -> Array:
    """Return the quantile, shape of a member; worked out in pieces that stay in the cache."""
    xp = array_namespace(mean)
    size = mean.shape[0]
    flat_mean, flat_sd = (xp.reshape(array, (size, -1)) for array in (mean, sd))
    cells = flat_mean.shape[1]
    width = max(1, _VALUES // size)
    pieces = [
        _root(flat_mean[:, start : min(start + width, cells)], flat_sd[:, start : min(start + width, cells)], level)
        for start in range(0, cells, width)
    ]
    return xp.reshape(xp.concat(pieces), mean.shape[1:]) if pieces else member_mean(mean)


def _root(mean: Array, sd: Array, level: float) -> Array:
    """Solve ``cdf(x) = level`` for arrays of shape (member, cell): Newton, by halves where that leads astray."""
    xp = array_namespace(mean)
    z = NormalDist().inv_cdf(level)
    # Below every member's own quantile the mixture has less than ``level``, above every one more.
    low, high = xp.min(mean + z * sd, axis=0), xp.max(mean + z * sd, axis=0)
    # The second part is the rounding of large values, which no step gets below.
    tolerance = _PRECISION * (high - low) + 4e-16 * (xp.abs(low) + xp.abs(high))
    # A member without spread becomes a step narrower than the tolerance; tiny where all have none.
    least = xp.maximum(0.1 * tolerance, xp.full_like(tolerance, 1e-300))
    inverse = 1.0 / xp.maximum(sd, least[None, ...])
    deviation = mean - member_mean(mean)[None, ...]
    x = member_mean(mean) + z * xp.sqrt(member_mean(sd * sd + deviation * deviation))
    x = xp.minimum(xp.maximum(x, low), high)
    last = high - low
    done = last <= tolerance
    for _ in range(_STEPS):
        scaled = (x[None, ...] - mean) * inverse
        excess = member_mean(ndtr(scaled)) - level
        slope = member_mean(density(scaled) * inverse)
        low, high = xp.where(excess < 0.0, x, low), xp.where(excess < 0.0, high, x)
        steep = slope > 1e-100  # between far modes it is flatter than a division bears
        newton = x - excess / xp.where(steep, slope, xp.ones_like(slope))
        # Newton only while it stays inside and at least halves its step; else the middle.
        good = steep & (newton >= low) & (newton <= high) & (xp.abs(newton - x) <= 0.5 * last)
        following = xp.where(done, x, xp.where(good, newton, 0.5 * (low + high)))
        last = xp.abs(following - x)
        x = following
        done = done | (last <= tolerance)
        if not bool(xp.any(~done & ~xp.isnan(x))):
            break
    return x
