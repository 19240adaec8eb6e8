"""Quantiles at evenly spaced levels: any distribution, in as many numbers as it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import ClassVar

import numpy as np

from pipeline.backend import array_namespace
from pipeline.errors import DataError
from pipeline.prediction import FAMILIES, Array, Parameters, _piecewise
from pipeline.prediction._arrays import member_mean, narrow, wide
from pipeline.prediction._variance import InVariances

LEAST = 2  # quantiles: one has no slope
_VALUES = 2**16  # nodes of all answers times cells in one piece of a mixture: 512 KiB an array


def levels(count: int) -> np.ndarray:
    """Return the levels of ``count`` quantiles, ``i / (count + 1)``.

    Examples
    --------
    >>> levels(3).tolist()
    [0.25, 0.5, 0.75]
    >>> levels(39)[[0, 1, -1]].round(3).tolist()
    [0.025, 0.05, 0.975]
    """
    return np.arange(1, count + 1) / (count + 1)


def from_quantiles(quantiles: Array) -> dict[str, Array]:
    """Return the parameters of the family for the quantiles of one model.

    Beyond the outermost levels a normal distribution is taken to go on: the two pieces there are as wide as gives
    them the mean of that part of a normal distribution with the same two outermost quantiles. With the slope of
    the pieces beside them the variance of a normal distribution in 39 quantiles would be 5 % too small.

    Parameters
    ----------
    quantiles : array, shape (quantile, ...)
        At the levels of :func:`levels`, never falling. Two or more.

    Raises
    ------
    DataError
        If there are fewer.

    Examples
    --------
    >>> made = from_quantiles(np.array([[1.0], [2.0], [4.0]]))
    >>> {name: made[name].round(2).tolist() for name in ("lowest", "highest", "centre")}
    {'lowest': [-0.77], 'highest': [7.54], 'centre': [[2.6]]}
    """
    if quantiles.shape[0] < LEAST:
        raise DataError(
            f"expected {LEAST} quantiles or more, of which a distribution can be made, got {quantiles.shape[0]}. "
            "Take an odd number, so that the median is one of them."
        )
    beyond = _beyond(quantiles.shape[0])
    lowest = quantiles[0, ...] - beyond * (quantiles[1, ...] - quantiles[0, ...])
    highest = quantiles[-1, ...] + beyond * (quantiles[-1, ...] - quantiles[-2, ...])
    return _of_one({"quantiles": quantiles, "lowest": lowest, "highest": highest})


@FAMILIES.register("quantiles")
class Quantiles(InVariances):
    """The values at the levels ``i / (K + 1)``, i = 1 ... K, and a line between them.

    ``quantiles``, with a leading axis ``quantile``, never fall; ``lowest`` and ``highest`` are the values at the
    levels 0 and 1. Where quantiles are equal there is a mass, such as that of dry days. All answers are exact for
    this distribution, whose quantile function is a line between its values. :func:`from_quantiles` makes its ends.

    ``centre`` holds the means of the members, one where there is a single model: they say how much of the
    variance is epistemic, and nothing else. The variance of one is all aleatoric.

    The density is that of each piece; beyond the outermost pieces there is none, and on a mass it has no bound.
    A few truths lie beyond, so that a mean of ``nll`` says little.
    """

    parameters: ClassVar[tuple[str, ...]] = ("quantiles", "lowest", "highest", "centre")
    leading: ClassVar[Mapping[str, str]] = {"quantiles": "quantile", "centre": "member"}
    unitless: ClassVar[tuple[str, ...]] = ()
    mixture: ClassVar[str] = "quantiles"
    has_likelihood: ClassVar[bool] = False
    unbounded: ClassVar[bool] = False

    def mean(self, p: Parameters) -> Array:
        """Return the mean; that of the members' means but for what lies between levels."""
        return narrow(_piecewise.mean(_nodes(p)), p["quantiles"])

    def variances(self, p: Parameters) -> tuple[Array | None, Array | None]:
        """Return (the rest of the variance, variance of the members' means, with a divisor of M); of one (all, None).

        Their sum is the variance of the distribution, of which the epistemic part is no more than all.
        """
        total, (centre,) = _piecewise.variance(_nodes(p)), wide(p["centre"])
        if centre.shape[0] == 1:
            return narrow(total, p["quantiles"]), None
        apart = centre - member_mean(centre)[None, ...]
        epistemic = array_namespace(total).minimum(member_mean(apart * apart), total)
        return narrow(total - epistemic, p["quantiles"]), narrow(epistemic, p["quantiles"])

    def quantile(self, p: Parameters, level: float) -> Array:
        """Return the quantile, on the line between the two levels beside it."""
        return narrow(_piecewise.quantile(_nodes(p), level), p["quantiles"])

    def cdf(self, p: Parameters, value: Array) -> Array:
        """Return the probability of at most ``value``, with the mass that lies on it."""
        (value,) = wide(value)
        return narrow(_piecewise.cdf(_nodes(p), value), p["quantiles"])

    def exceedance(self, p: Parameters, threshold: Array) -> Array:
        """Return the probability of at least ``threshold``, with the mass that lies on it."""
        (threshold,) = wide(threshold)
        return narrow(_piecewise.exceedance(_nodes(p), threshold), p["quantiles"])

    def sample(self, p: Parameters, count: int, seed: int) -> Array:
        """Return draws that are independent between times, targets and cells."""
        return narrow(_piecewise.draw(_nodes(p), count, seed), p["quantiles"])

    def crps(self, p: Parameters, truth: Array) -> Array:
        """Return ``2 int (1{y <= q(p)} - p)(q(p) - y) dp`` in closed form.

        The mean over levels of twice the pinball loss comes to it as levels grow (Laio and Tamea 2007,
        doi:10.5194/hess-11-1267-2007).
        """
        (truth,) = wide(truth)
        return narrow(_piecewise.crps(_nodes(p), truth), p["quantiles"])

    def tail_crps(self, p: Parameters, truth: Array, threshold: Array) -> Array:
        """Return ``crps(max(y, t)) - crps(t) + int (1 - F)^2`` above t, in closed form."""
        truth, threshold = wide(truth, threshold)
        nodes, top = _nodes(p), array_namespace(truth).maximum(truth, threshold)
        beyond = _piecewise.crps(nodes, top) - _piecewise.crps(nodes, threshold)
        return narrow(beyond + _piecewise.square_above(nodes, threshold), p["quantiles"])

    def nll(self, p: Parameters, truth: Array) -> Array:
        """Return the negative log density: plus infinity beyond the outermost pieces, minus infinity on a mass."""
        (truth,) = wide(truth)
        return narrow(-_piecewise.log_density(_nodes(p), truth), p["quantiles"])

    def affine(self, p: Parameters, scale: Array, shift: Array) -> dict[str, Array]:
        """Return the parameters of ``scale * X + shift``."""
        return {name: narrow(scale * array + shift, array) for name, array in p.items()}

    def at_least(self, p: Parameters, least: Array) -> dict[str, Array]:
        """Return the parameters with no quantile below ``least``: what lay there is a mass on it.

        The mean of a single model follows; of several members' means none is below ``least``.
        """
        xp = array_namespace(p["quantiles"])
        cut = {name: xp.maximum(array, narrow(least, array)) for name, array in p.items()}
        return _of_one(cut) if p["centre"].shape[0] == 1 else cut

    def members(self, p: Parameters) -> Array | None:
        """Return the members' means; None of a single model."""
        return p["centre"] if p["centre"].shape[0] > 1 else None

    def mix(self, answers: Sequence[Parameters]) -> dict[str, Array]:
        """Return the distribution at the same levels of the mixture of ``answers``, each as heavy as its members.

        Its quantiles are those of the mean of the distribution functions, not the mean of the quantiles. Between
        the levels it is a line again, whose outermost pieces have the mixture's own means.

        Raises
        ------
        DataError
            If the answers have different numbers of quantiles.
        """
        counts = sorted({int(answer["quantiles"].shape[0]) for answer in answers})
        if len(counts) > 1:
            raise DataError(
                f"expected as many quantiles in every answer of a mixture, got {' and '.join(map(str, counts))}. "
                "Take the same option count for all."
            )
        centre = array_namespace(answers[0]["centre"]).concat([answer["centre"] for answer in answers], axis=0)
        return {
            **_mixed(answers, [answer["centre"].shape[0] / centre.shape[0] for answer in answers]),
            "centre": centre,
        }


def _beyond(count: int) -> float:
    """Return how many times as wide as the piece beside it an outermost piece is, for the mean of a normal's tail."""
    normal = NormalDist()
    edge, inner = (normal.inv_cdf(1.0 - step / (count + 1)) for step in (1, 2))
    return 2.0 * (normal.pdf(edge) * (count + 1) - edge) / (edge - inner)


def _nodes(p: Parameters) -> Array:
    """Return the values at the levels 0, 1 / (K + 1), ..., 1 in float64."""
    lowest, quantiles, highest = wide(p["lowest"], p["quantiles"], p["highest"])
    return array_namespace(quantiles).concat([lowest[None, ...], quantiles, highest[None, ...]], axis=0)


def _of_one(p: Parameters) -> dict[str, Array]:
    """Return the parameters of a single model, whose mean is its only centre."""
    return {**p, "centre": narrow(_piecewise.mean(_nodes(p))[None, ...], p["quantiles"])}


def _mixed(answers: Sequence[Parameters], weights: Sequence[float]) -> dict[str, Array]:
    """Return the parameters of a mixture without centres, worked out in pieces that stay in the cache."""
    like = answers[0]["quantiles"]
    xp, count = array_namespace(like), like.shape[0]
    names = ("lowest", "quantiles", "highest")
    flat = [
        {name: xp.reshape(answer[name], (*answer[name].shape[: int(name == "quantiles")], -1)) for name in names}
        for answer in answers
    ]
    cells, step = flat[0]["lowest"].shape[0], max(1, _VALUES // (len(answers) * (count + 2)))
    found = []
    for start in range(0, max(cells, 1), step):
        part = slice(start, min(start + step, cells))
        nodes = [_nodes({name: array[..., part] for name, array in answer.items()}) for answer in flat]
        found.append(narrow(_piecewise.mixed(nodes, weights), like))
    whole = xp.reshape(xp.concat(found, axis=1), (count + 2, *like.shape[1:]))
    return {"quantiles": whole[1:-1, ...], "lowest": whole[0, ...], "highest": whole[-1, ...]}
