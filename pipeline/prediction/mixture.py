"""A mixture of normals, one a member, all of the same weight: an ensemble of probabilistic models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pipeline.backend import array_namespace
from pipeline.prediction import FAMILIES, Array, Parameters, _normals, _normals_tail
from pipeline.prediction._arrays import (
    index_draws,
    member_mean,
    narrow,
    normal_draws,
    pooled,
    wide,
    with_nan,
)
from pipeline.prediction._variance import InVariances


@FAMILIES.register("mixture")
class Mixture(InVariances):
    """Equal mixture of normals of ``mean`` and ``sd``, both with a leading ``member`` axis.

    By the law of total variance the mean of the members' variances is aleatoric, the variance of
    their means epistemic (Lakshminarayanan et al. 2017, arXiv:1612.01474).
    """

    parameters: ClassVar[tuple[str, ...]] = ("mean", "sd")
    leading: ClassVar[Mapping[str, str]] = {"mean": "member", "sd": "member"}
    unitless: ClassVar[tuple[str, ...]] = ()
    mixture: ClassVar[str] = "mixture"
    has_likelihood: ClassVar[bool] = True
    unbounded: ClassVar[bool] = True

    def mean(self, p: Parameters) -> Array:
        """Return the mean of the members' means."""
        return narrow(member_mean(p["mean"]), p["mean"])

    def variances(self, p: Parameters) -> tuple[Array | None, Array | None]:
        """Return (mean of the variances, variance of the means), the latter with a divisor of M."""
        aleatoric, epistemic = _normals.variance(*wide(p["mean"], p["sd"]))
        return narrow(aleatoric, p["sd"]), narrow(epistemic, p["mean"])

    def quantile(self, p: Parameters, level: float) -> Array:
        """Return the root of the exact distribution function, by Newton steps kept in a bracket."""
        mean, sd = wide(p["mean"], p["sd"])
        return narrow(with_nan(_normals.quantile(level, mean, sd), mean + sd), p["mean"])

    def cdf(self, p: Parameters, value: Array) -> Array:
        """Return the mean of the members' distribution functions."""
        value, mean, sd = wide(value, p["mean"], p["sd"])
        return narrow(_normals.cdf(value, mean, sd), p["mean"])

    def exceedance(self, p: Parameters, threshold: Array) -> Array:
        """Return the mean of the members' probabilities of at least ``threshold``."""
        threshold, mean, sd = wide(threshold, p["mean"], p["sd"])
        return narrow(_normals.cdf(-threshold, -mean, sd), p["mean"])  # P(-X <= -x)

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
        """Return the closed form of Grimit et al. (2006, doi:10.1256/qj.05.235)."""
        return narrow(_normals.crps(*wide(truth, p["mean"], p["sd"])), p["mean"])

    def tail_crps(self, p: Parameters, truth: Array, threshold: Array) -> Array:
        """Return it from distances in closed form and an integral, to 1e-6 of the largest sd."""
        return narrow(_normals_tail.tail_crps(*wide(truth, threshold, p["mean"], p["sd"])), p["mean"])

    def nll(self, p: Parameters, truth: Array) -> Array:
        """Return the negative log of the members' mean density."""
        return narrow(-_normals.log_likelihood(*wide(truth, p["mean"], p["sd"])), p["mean"])

    def affine(self, p: Parameters, scale: Array, shift: Array) -> dict[str, Array]:
        """Return the parameters of ``scale * X + shift``."""
        mean, sd = p["mean"], p["sd"]
        return {"mean": narrow(scale * mean + shift, mean), "sd": narrow(scale * sd + 0.0 * mean, sd)}

    def at_least(self, p: Parameters, least: Array) -> dict[str, Array]:
        """Return them as they are: a normal distribution has no end."""
        return dict(p)

    def members(self, p: Parameters) -> Array | None:
        """Return the members' means."""
        return p["mean"]

    def mix(self, answers: Sequence[Parameters]) -> dict[str, Array]:
        """Return the parameters of all members of ``answers``."""
        return pooled(answers)
