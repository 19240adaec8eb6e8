"""A single value: all probability at one point, no uncertainty said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pipeline.backend import array_namespace
from pipeline.prediction import FAMILIES, Array, Parameters
from pipeline.prediction._arrays import narrow, normal_cdf, stacked, wide
from pipeline.prediction._variance import InVariances


@FAMILIES.register("point")
class Point(InVariances):
    """Point forecast ``mean``; its CRPS is the absolute error, and it has no density."""

    parameters: ClassVar[tuple[str, ...]] = ("mean",)
    leading: ClassVar[Mapping[str, str]] = {}
    unitless: ClassVar[tuple[str, ...]] = ()
    mixture: ClassVar[str] = "members"
    has_likelihood: ClassVar[bool] = False
    unbounded: ClassVar[bool] = False

    def mean(self, p: Parameters) -> Array:
        """Return the value itself."""
        return p["mean"]

    def variances(self, p: Parameters) -> tuple[Array | None, Array | None]:
        """Return (None, None): a point forecast says nothing of its errors."""
        return None, None

    def quantile(self, p: Parameters, level: float) -> Array:
        """Return the value itself, whatever the level."""
        return p["mean"]

    def cdf(self, p: Parameters, value: Array) -> Array:
        """Return 0 below the value and 1 from it on."""
        value, mean = wide(value, p["mean"])
        return narrow(normal_cdf(value, mean, 0.0 * mean), p["mean"])

    def exceedance(self, p: Parameters, threshold: Array) -> Array:
        """Return 1 up to the value and 0 above it."""
        return self.cdf({"mean": -p["mean"]}, -threshold)

    def sample(self, p: Parameters, count: int, seed: int) -> Array:
        """Return ``count`` copies."""
        xp = array_namespace(p["mean"])
        return xp.stack([p["mean"]] * count)

    def crps(self, p: Parameters, truth: Array) -> Array:
        """Return the absolute error."""
        value, mean = wide(truth, p["mean"])
        return narrow(array_namespace(mean).abs(value - mean), p["mean"])

    def tail_crps(self, p: Parameters, truth: Array, threshold: Array) -> Array:
        """Return the absolute error of what is above the threshold."""
        value, mean, least = wide(truth, p["mean"], threshold)
        xp = array_namespace(mean)
        return narrow(xp.abs(xp.maximum(value, least) - xp.maximum(mean, least)), p["mean"])

    def nll(self, p: Parameters, truth: Array) -> Array:
        """Return NaN: there is no density."""
        xp = array_namespace(p["mean"])
        return xp.full_like(p["mean"], xp.nan)

    def affine(self, p: Parameters, scale: Array, shift: Array) -> dict[str, Array]:
        """Return the parameters of ``scale * X + shift``."""
        return {"mean": narrow(scale * p["mean"] + shift, p["mean"])}

    def at_least(self, p: Parameters, least: Array) -> dict[str, Array]:
        """Return the larger of the value and ``least``."""
        return {"mean": array_namespace(p["mean"]).maximum(p["mean"], narrow(least, p["mean"]))}

    def members(self, p: Parameters) -> Array | None:
        """Return None."""
        return None

    def mix(self, answers: Sequence[Parameters]) -> dict[str, Array]:
        """Return the answers as members."""
        return {"members": stacked(answers)["mean"]}
