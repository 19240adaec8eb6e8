"""A mixture of normals with weights: what a mixture density network answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pipeline.backend import array_namespace
from pipeline.prediction import FAMILIES, Array, Parameters, _normals, _normals_tail
from pipeline.prediction._arrays import member_mean, narrow, normal_draws, pooled, uniform_draws, wide, with_nan
from pipeline.prediction._variance import InVariances


@FAMILIES.register("weighted_mixture")
class WeightedMixture(InVariances):
    """Mixture of normals of ``mean`` and ``sd`` with ``weight``, all with a leading ``component`` axis (Bishop 1994).

    Mixture density networks, Technical Report NCRG/94/004, Aston University. Weights are not negative and sum to 1,
    which float32 keeps to its last digits; they are divided by their sum.

    ``centre`` holds the mean of each member's own mixture, one where there is a single model: the variance between
    them is epistemic, the rest of the whole variance, between components too, is aleatoric.
    """

    parameters: ClassVar[tuple[str, ...]] = ("weight", "mean", "sd", "centre")
    leading: ClassVar[Mapping[str, str]] = {
        "weight": "component",
        "mean": "component",
        "sd": "component",
        "centre": "member",
    }
    unitless: ClassVar[tuple[str, ...]] = ("weight",)
    mixture: ClassVar[str] = "weighted_mixture"
    has_likelihood: ClassVar[bool] = True
    unbounded: ClassVar[bool] = True

    def mean(self, p: Parameters) -> Array:
        """Return the weighted mean of the components' means."""
        mean, _, weight = _law(p)
        return narrow(_normals.average(mean, weight), p["mean"])

    def variances(self, p: Parameters) -> tuple[Array | None, Array | None]:
        """Return (the rest of the variance, variance of the members' means, by a divisor of M); of one (all, None)."""
        within, between = _normals.variance(*_law(p))
        (centre,) = wide(p["centre"])
        total = within + between
        if centre.shape[0] == 1:
            return narrow(total, p["mean"]), None
        apart = centre - member_mean(centre)[None, ...]
        epistemic = array_namespace(total).minimum(member_mean(apart * apart), total)  # more only by rounding
        return narrow(total - epistemic, p["mean"]), narrow(epistemic, p["mean"])

    def quantile(self, p: Parameters, level: float) -> Array:
        """Return the root of the exact distribution function, by Newton steps kept in a bracket."""
        mean, sd, weight = _law(p)
        return narrow(with_nan(_normals.quantile(level, mean, sd, weight), mean + sd + weight), p["mean"])

    def cdf(self, p: Parameters, value: Array) -> Array:
        """Return the weighted mean of the components' distribution functions."""
        (value,) = wide(value)
        return narrow(_normals.cdf(value, *_law(p)), p["mean"])

    def exceedance(self, p: Parameters, threshold: Array) -> Array:
        """Return the weighted mean of the components' probabilities of at least ``threshold``."""
        (threshold,), (mean, sd, weight) = wide(threshold), _law(p)
        return narrow(_normals.cdf(-threshold, -mean, sd, weight), p["mean"])  # P(-X <= -x)

    def sample(self, p: Parameters, count: int, seed: int) -> Array:
        """Return draws that are independent between times, targets and cells."""
        mean, sd, weight = _law(p)
        xp = array_namespace(mean)
        shape = (count, *mean.shape[1:])
        chance, noise = uniform_draws(shape, seed, mean), normal_draws(shape, seed + 1, mean)
        reached, result = xp.zeros_like(mean[0, ...]), mean[0, ...][None, ...] + sd[0, ...][None, ...] * noise
        for index in range(1, mean.shape[0]):
            reached = reached + weight[index - 1, ...]
            own = mean[index, ...][None, ...] + sd[index, ...][None, ...] * noise
            result = xp.where(chance >= reached[None, ...], own, result)
        return narrow(with_nan(result, mean + sd + weight), p["mean"])

    def crps(self, p: Parameters, truth: Array) -> Array:
        """Return the closed form of Grimit et al. (2006, doi:10.1256/qj.05.235), with weights."""
        (truth,) = wide(truth)
        return narrow(_normals.crps(truth, *_law(p)), p["mean"])

    def tail_crps(self, p: Parameters, truth: Array, threshold: Array) -> Array:
        """Return it from distances in closed form and an integral, to 1e-6 of the largest sd."""
        (truth, threshold), (mean, sd, weight) = wide(truth, threshold), _law(p)
        return narrow(_normals_tail.tail_crps(truth, threshold, mean, sd, weight), p["mean"])

    def nll(self, p: Parameters, truth: Array) -> Array:
        """Return the negative log of the components' weighted density."""
        (truth,) = wide(truth)
        return narrow(-_normals.log_likelihood(truth, *_law(p)), p["mean"])

    def affine(self, p: Parameters, scale: Array, shift: Array) -> dict[str, Array]:
        """Return the parameters of ``scale * X + shift``."""
        gap = 0.0 * scale + 0.0 * shift
        return {
            "weight": narrow(p["weight"] + gap, p["weight"]),
            "mean": narrow(scale * p["mean"] + shift, p["mean"]),
            "sd": narrow(scale * p["sd"] + gap, p["sd"]),
            "centre": narrow(scale * p["centre"] + shift, p["centre"]),
        }

    def at_least(self, p: Parameters, least: Array) -> dict[str, Array]:
        """Return them as they are: a normal distribution has no end."""
        return dict(p)

    def members(self, p: Parameters) -> Array | None:
        """Return the means of the members' own mixtures; None of a single model."""
        return p["centre"] if p["centre"].shape[0] > 1 else None

    def mix(self, answers: Sequence[Parameters]) -> dict[str, Array]:
        """Return the parameters of all components of ``answers``, each answer as heavy as its members."""
        members = sum(int(answer["centre"].shape[0]) for answer in answers)
        shares = [int(answer["centre"].shape[0]) / members for answer in answers]
        return pooled(
            [{**answer, "weight": answer["weight"] * share} for answer, share in zip(answers, shares, strict=True)]
        )


def _law(p: Parameters) -> tuple[Array, Array, Array]:
    """Return mean, sd and weight in float64; the weights sum to 1."""
    mean, sd, weight = wide(p["mean"], p["sd"], p["weight"])
    return mean, sd, weight / array_namespace(weight).sum(weight, axis=0)[None, ...]
