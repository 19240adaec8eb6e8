"""An ensemble of values: each member as likely as the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import array_api_compat
import numpy as np

from pipeline.backend import array_namespace
from pipeline.prediction import FAMILIES, Array, Parameters
from pipeline.prediction._arrays import index_draws, member_mean, narrow, pooled, uniform_draws, wide, with_nan
from pipeline.prediction._ensemble import crps_ensemble, missing_members
from pipeline.prediction._variance import InVariances

__all__ = ["Members", "crps_ensemble", "evenly", "filled", "missing_members"]


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


def filled(members: Array) -> Array:
    """Return the members, each missing value taken from the next member that is there, in their order and round.

    So that every member is a whole field; the array itself where there is nothing to fill. NaN where no member is
    there.

    Parameters
    ----------
    members : array, shape (member, ...)
        NaN where a member is missing.

    Examples
    --------
    >>> filled(np.array([[1.0, np.nan], [2.0, np.nan], [np.nan, 3.0]])).tolist()
    [[1.0, 3.0], [2.0, 3.0], [1.0, 3.0]]
    """
    xp = array_namespace(members)
    if _there(members) is None:
        return members
    rows = [members[number, ...] for number in range(members.shape[0])]
    for number in [*range(len(rows) - 1, -1, -1)] * 2:  # twice round: the last one's next may be far down
        following = rows[(number + 1) % len(rows)]
        rows[number] = xp.where(xp.isnan(rows[number]), following, rows[number])
    return xp.stack(rows, axis=0)


@FAMILIES.register("members")
class Members(InVariances):
    """Empirical distribution of ``members``; all of its variance is between them, hence epistemic.

    It has steps and no density: ``nll`` is NaN. A member that is NaN is missing: where others are there, the
    distribution is theirs alone, and it is NaN where none is.
    """

    parameters: ClassVar[tuple[str, ...]] = ("members",)
    leading: ClassVar[Mapping[str, str]] = {"members": "member"}
    unitless: ClassVar[tuple[str, ...]] = ()
    mixture: ClassVar[str] = "members"
    has_likelihood: ClassVar[bool] = False
    unbounded: ClassVar[bool] = False

    def mean(self, p: Parameters) -> Array:
        """Return the mean of the members."""
        return narrow(_mean(p["members"], _there(p["members"])), p["members"])

    def variances(self, p: Parameters) -> tuple[Array | None, Array | None]:
        """Return (None, variance of the members), the latter with a divisor of M."""
        x = p["members"]
        there = _there(x)
        (wider,) = wide(x)
        deviation = wider - _mean(x, there)[None, ...]
        return None, narrow(_mean(deviation * deviation, there), x)

    def quantile(self, p: Parameters, level: float) -> Array:
        """Return the quantile, linear between members, the m-th of M of which stands for the level (m - 1/2) / M.

        Type 5 of Hyndman and Fan (1996, doi:10.2307/2684934), the outermost members beyond their levels. Of truth that
        is one more draw of what M members are drawn of, the 90 % interval holds about 0.9 M / (M + 1), with ten
        members or more; NumPy's default, type 7, 0.9 (M - 1) / (M + 1).
        """
        (x,) = wide(p["members"])
        xp, there = array_namespace(x), _there(x)
        if there is not None:
            return narrow(_quantile_there(x, there, level), p["members"])
        ordered = xp.sort(x, axis=0)
        position = min(max(level * x.shape[0] - 0.5, 0.0), x.shape[0] - 1.0)
        lower = min(int(position), x.shape[0] - 1)
        upper = min(lower + 1, x.shape[0] - 1)
        result = ordered[lower, ...] + (position - lower) * (ordered[upper, ...] - ordered[lower, ...])
        return narrow(with_nan(result, x), p["members"])

    def cdf(self, p: Parameters, value: Array) -> Array:
        """Return the share of members that are at most ``value``."""
        x, value = wide(p["members"], value)
        xp, there = array_namespace(x), _there(x)
        share = xp.astype(x <= value[None, ...], xp.float64)
        share = _mean(share, there) if there is not None else with_nan(xp.mean(share, axis=0), x)
        return narrow(xp.where(xp.isnan(value), value, share), p["members"])

    def exceedance(self, p: Parameters, threshold: Array) -> Array:
        """Return the share of members that are at least ``threshold``."""
        return self.cdf({"members": -p["members"]}, -threshold)

    def sample(self, p: Parameters, count: int, seed: int) -> Array:
        """Return members drawn with replacement, independently between times, targets and cells."""
        x = p["members"]
        xp, there = array_namespace(x), _there(x)
        drawn = index_draws((count, *x.shape[1:]), x.shape[0], seed, x)
        if there is not None:
            drawn = _drawn_there(drawn, there, uniform_draws(drawn.shape, seed + 1, x))
        result = xp.zeros(drawn.shape, dtype=x.dtype, device=array_api_compat.device(x))
        for member in range(x.shape[0]):
            result = xp.where(drawn == member, x[member, ...][None, ...], result)
        return result

    def crps(self, p: Parameters, truth: Array) -> Array:
        """Return the CRPS of the empirical distribution, see :func:`crps_ensemble`."""
        return narrow(crps_ensemble(p["members"], truth, skip_missing=True), p["members"])

    def tail_crps(self, p: Parameters, truth: Array, threshold: Array) -> Array:
        """Return the CRPS of the members and the truth, both not below the threshold."""
        return narrow(crps_ensemble(p["members"], truth, floor=threshold, skip_missing=True), p["members"])

    def nll(self, p: Parameters, truth: Array) -> Array:
        """Return NaN: there is no density."""
        x = p["members"]
        xp = array_namespace(x)
        return xp.full_like(x[0, ...], xp.nan)

    def affine(self, p: Parameters, scale: Array, shift: Array) -> dict[str, Array]:
        """Return the parameters of ``scale * X + shift``."""
        return {"members": narrow(scale * p["members"] + shift, p["members"])}

    def at_least(self, p: Parameters, least: Array) -> dict[str, Array]:
        """Return the members, none of them below ``least``."""
        x = p["members"]
        return {"members": array_namespace(x).maximum(x, narrow(least, x))}

    def members(self, p: Parameters) -> Array | None:
        """Return the members."""
        return p["members"]

    def mix(self, answers: Sequence[Parameters]) -> dict[str, Array]:
        """Return the parameters of all members of ``answers``."""
        return pooled(answers)


def _there(x: Array) -> Array | None:
    """Return where members are there; None where every cell has all of them or none, as outside a mask."""
    xp = array_namespace(x)
    there = ~xp.isnan(x)
    return there if bool(xp.any(xp.any(there, axis=0) & ~xp.all(there, axis=0))) else None


def _mean(x: Array, there: Array | None) -> Array:
    """Return the mean over the members that are there, in float64; NaN where none is."""
    if there is None:
        return member_mean(x)
    xp, (values,) = array_namespace(x), wide(x)
    count = xp.sum(xp.astype(there, xp.float64), axis=0)
    total = xp.sum(xp.where(there, values, xp.zeros_like(values)), axis=0)
    return total / xp.where(count > 0.0, count, xp.full_like(count, xp.nan))


def _quantile_there(x: Array, there: Array, level: float) -> Array:
    """Return the quantile of the members that are there; NaN where none is."""
    xp = array_namespace(x)
    ordered = xp.sort(xp.where(there, x, xp.full_like(x, xp.inf)), axis=0)
    last = xp.sum(xp.astype(there, xp.int64), axis=0) - 1
    none = last < 0
    last = xp.where(none, xp.zeros_like(last), last)
    end = xp.astype(last, xp.float64)
    position = level * (end + 1.0) - 0.5
    position = xp.minimum(xp.maximum(position, xp.zeros_like(position)), end)
    lower = xp.astype(xp.floor(position), xp.int64)
    below, above = (
        xp.take_along_axis(ordered, rank[None, ...], axis=0)[0, ...] for rank in (lower, xp.minimum(lower + 1, last))
    )
    below, above = (xp.where(none, xp.full_like(end, xp.nan), end) for end in (below, above))
    return below + (position - xp.astype(lower, xp.float64)) * (above - below)


def _drawn_there(drawn: Array, there: Array, share: Array) -> Array:
    """Return numbers of members that are there, as likely as each other, from those drawn among all."""
    xp, size = array_namespace(there), there.shape[0]
    count = xp.sum(xp.astype(there, xp.int64), axis=0)
    rank = xp.astype(xp.floor((xp.astype(drawn, xp.float64) + share) * xp.astype(count, xp.float64) / size), xp.int64)
    found, reached = xp.zeros_like(drawn), xp.zeros_like(count)
    for member in range(size):
        here = there[member, ...]
        found = xp.where(here & (rank == reached), xp.full_like(drawn, member), found)
        reached = reached + xp.astype(here, xp.int64)
    # Members all there keep the draws that they have where none is missing anywhere.
    return xp.where(xp.all(there, axis=0), drawn, found)
