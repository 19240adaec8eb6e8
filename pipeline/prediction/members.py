"""An ensemble of values: each member as likely as the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from pipeline.backend import array_namespace
from pipeline.prediction import FAMILIES, Array, Parameters
from pipeline.prediction._arrays import index_draws, member_mean, narrow, pooled, wide, with_nan


def crps_ensemble(members: Array, truth: Array, *, fair: bool = False) -> Array:
    """Return the CRPS of an ensemble, from one sort.

    With members x and truth y: ``mean |x - y| - G / M^2``, where ``G = sum (2 i - M - 1) x_(i)`` is
    half the sum of all distances between members. ``fair`` divides by ``M (M - 1)`` instead and
    estimates the score of the distribution that the members were drawn from (Ferro 2014,
    doi:10.1002/qj.2270).

    Parameters
    ----------
    members : array, shape (member, ...)
        Members; at least two where ``fair``.
    truth : array, shape (...)
        What came true.
    fair : bool
        Whether to correct for the number of members.

    Returns
    -------
    array of float64, shape (...)
        NaN where any member or the truth is.

    Examples
    --------
    >>> import numpy as np
    >>> float(crps_ensemble(np.array([0.0, 2.0]), np.array(1.0)))
    0.5
    >>> float(crps_ensemble(np.array([0.0, 2.0]), np.array(1.0), fair=True))
    0.0
    """
    x, y = wide(members, truth)
    xp = array_namespace(x)
    size = x.shape[0]
    ordered = xp.sort(x, axis=0)
    gini = xp.zeros_like(ordered[0, ...])
    for rank in range(size):  # one row at a time: no second array of all members
        gini = gini + (2.0 * rank + 1.0 - size) * ordered[rank, ...]
    pairs = size * (size - 1) if fair else size * size
    distance = xp.mean(xp.abs(x - y[None, ...]), axis=0)
    return with_nan(distance - gini / pairs, x)


def evenly(count: int, number: int) -> np.ndarray:
    """Return ``number`` of ``count`` members, evenly over their order; all of them where there are no more.

    Members stand network after network, or nearest first: the first few of them are a part of the
    distribution and no sample of it.

    Examples
    --------
    >>> evenly(20, 5)
    array([ 0,  4,  8, 12, 16])
    >>> evenly(3, 5)
    array([0, 1, 2])
    """
    return np.arange(min(count, number)) * count // min(count, number)


@FAMILIES.register("members")
class Members:
    """Empirical distribution of ``members``; all of its variance is between them, hence epistemic.

    It has steps and no density: ``nll`` is NaN.
    """

    parameters: ClassVar[tuple[str, ...]] = ("members",)
    member_parameters: ClassVar[tuple[str, ...]] = ("members",)
    class_parameters: ClassVar[tuple[str, ...]] = ()
    unitless: ClassVar[tuple[str, ...]] = ()
    mixture: ClassVar[str] = "members"

    def mean(self, p: Parameters) -> Array:
        """Return the mean of the members."""
        return narrow(member_mean(p["members"]), p["members"])

    def variances(self, p: Parameters) -> tuple[Array | None, Array | None]:
        """Return (None, variance of the members), the latter with a divisor of M."""
        x = p["members"]
        (wider,) = wide(x)
        deviation = wider - member_mean(x)[None, ...]
        return None, narrow(member_mean(deviation * deviation), x)

    def quantile(self, p: Parameters, level: float) -> Array:
        """Return the quantile, linear between members (type 7 of Hyndman and Fan 1996)."""
        (x,) = wide(p["members"])
        xp = array_namespace(x)
        ordered = xp.sort(x, axis=0)
        position = level * (x.shape[0] - 1)
        lower = min(int(position), x.shape[0] - 1)
        upper = min(lower + 1, x.shape[0] - 1)
        result = ordered[lower, ...] + (position - lower) * (ordered[upper, ...] - ordered[lower, ...])
        return narrow(with_nan(result, x), p["members"])

    def cdf(self, p: Parameters, value: Array) -> Array:
        """Return the share of members that are at most ``value``."""
        x, value = wide(p["members"], value)
        xp = array_namespace(x)
        share = xp.mean(xp.astype(x <= value[None, ...], xp.float64), axis=0)
        share = xp.where(xp.isnan(value), value, share)
        return narrow(with_nan(share, x), p["members"])

    def exceedance(self, p: Parameters, threshold: Array) -> Array:
        """Return the share of members that are at least ``threshold``."""
        return self.cdf({"members": -p["members"]}, -threshold)

    def sample(self, p: Parameters, count: int, seed: int) -> Array:
        """Return members drawn with replacement, independently between times, targets and cells."""
        x = p["members"]
        xp = array_namespace(x)
        drawn = index_draws((count, *x.shape[1:]), x.shape[0], seed, x)
        result = xp.zeros(drawn.shape, dtype=x.dtype, device=drawn.device)
        for member in range(x.shape[0]):
            result = xp.where(drawn == member, x[member, ...][None, ...], result)
        return result

    def crps(self, p: Parameters, truth: Array) -> Array:
        """Return the CRPS of the empirical distribution, see :func:`crps_ensemble`."""
        return narrow(crps_ensemble(p["members"], truth), p["members"])

    def nll(self, p: Parameters, truth: Array) -> Array:
        """Return NaN: there is no density."""
        x = p["members"]
        xp = array_namespace(x)
        return xp.full_like(x[0, ...], xp.nan)

    def affine(self, p: Parameters, scale: Array, shift: Array) -> dict[str, Array]:
        """Return the parameters of ``scale * X + shift``."""
        return {"members": narrow(scale * p["members"] + shift, p["members"])}

    def members(self, p: Parameters) -> Array | None:
        """Return the members."""
        return p["members"]

    def mix(self, answers: Sequence[Parameters]) -> dict[str, Array]:
        """Return the parameters of all members of ``answers``."""
        return pooled(answers)
