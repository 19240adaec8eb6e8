"""The normal distribution in every cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import ClassVar

from pipeline.backend import array_namespace
from pipeline.prediction import FAMILIES, Array, Parameters
from pipeline.prediction._arrays import (
    SQRT_PI,
    expected_distance,
    log_density,
    narrow,
    normal_cdf,
    normal_draws,
    square_above,
    stacked,
    wide,
)
from pipeline.prediction._variance import InVariances


@FAMILIES.register("normal")
class Normal(InVariances):
    """Normal distribution of ``mean`` and ``sd``; its variance is aleatoric, one model knows no other.

    Where ``sd`` is 0 it is a point: the distribution function is a step, and the density infinite.
    """

    parameters: ClassVar[tuple[str, ...]] = ("mean", "sd")
    leading: ClassVar[Mapping[str, str]] = {}
    unitless: ClassVar[tuple[str, ...]] = ()
    mixture: ClassVar[str] = "mixture"
    has_likelihood: ClassVar[bool] = True
    unbounded: ClassVar[bool] = True

    def mean(self, p: Parameters) -> Array:
        """Return the mean."""
        return p["mean"]

    def variances(self, p: Parameters) -> tuple[Array | None, Array | None]:
        """Return (variance, None)."""
        (sd,) = wide(p["sd"])
        return narrow(sd * sd, p["sd"]), None

    def quantile(self, p: Parameters, level: float) -> Array:
        """Return ``mean + sd * Phi^-1(level)``."""
        mean, sd = wide(p["mean"], p["sd"])
        return narrow(mean + sd * NormalDist().inv_cdf(level), p["mean"])

    def cdf(self, p: Parameters, value: Array) -> Array:
        """Return ``Phi((value - mean) / sd)``."""
        value, mean, sd = wide(value, p["mean"], p["sd"])
        return narrow(normal_cdf(value, mean, sd), p["mean"])

    def exceedance(self, p: Parameters, threshold: Array) -> Array:
        """Return ``Phi((mean - threshold) / sd)``."""
        threshold, mean, sd = wide(threshold, p["mean"], p["sd"])
        # P(-X <= -x): exact at a step and in the far tail, where 1 - cdf is not.
        return narrow(normal_cdf(-threshold, -mean, sd), p["mean"])

    def sample(self, p: Parameters, count: int, seed: int) -> Array:
        """Return draws that are independent between times, targets and cells."""
        mean, sd = wide(p["mean"], p["sd"])
        draws = normal_draws((count, *mean.shape), seed, mean)
        return narrow(mean[None, ...] + sd[None, ...] * draws, p["mean"])

    def crps(self, p: Parameters, truth: Array) -> Array:
        """Return ``sd (z (2 Phi(z) - 1) + 2 phi(z) - 1 / sqrt(pi))`` (Gneiting et al. 2005, doi:10.1175/MWR2904.1)."""
        value, mean, sd = wide(truth, p["mean"], p["sd"])
        return narrow(expected_distance(value - mean, sd) - sd / SQRT_PI, p["mean"])

    def tail_crps(self, p: Parameters, truth: Array, threshold: Array) -> Array:
        """Return ``E|X - max(y, t)| - E|X - t| + integral above t of (1 - F)^2``, all in closed form.

        With ``z = (t - mean) / sd`` and Q = 1 - Phi the integral is ``sd (2 phi(z) Q(z) - z Q(z)^2 -
        Q(sqrt(2) z) / sqrt(pi))``, by parts.
        """
        value, mean, sd, least = wide(truth, p["mean"], p["sd"], threshold)
        above = expected_distance(array_namespace(mean).maximum(value, least) - mean, sd)
        return narrow(above - expected_distance(least - mean, sd) + square_above(least, mean, sd), p["mean"])

    def nll(self, p: Parameters, truth: Array) -> Array:
        """Return the negative log density; where ``sd`` is 0, infinite with the sign that honesty asks."""
        value, mean, sd = wide(truth, p["mean"], p["sd"])
        return narrow(-log_density(value, mean, sd), p["mean"])

    def affine(self, p: Parameters, scale: Array, shift: Array) -> dict[str, Array]:
        """Return the parameters of ``scale * X + shift``."""
        mean, sd = p["mean"], p["sd"]
        # A scale of one row must widen ``sd`` as it widens ``mean``.
        spread = array_namespace(mean).zeros_like(mean) + scale * sd
        return {"mean": narrow(scale * mean + shift, mean), "sd": narrow(spread, sd)}

    def at_least(self, p: Parameters, least: Array) -> dict[str, Array]:
        """Return them as they are: a normal distribution has no end."""
        return dict(p)

    def members(self, p: Parameters) -> Array | None:
        """Return None."""
        return None

    def mix(self, answers: Sequence[Parameters]) -> dict[str, Array]:
        """Return the parameters of the equal mixture of ``answers``."""
        return stacked(answers)
