"""Can the error bars be trusted: rank and PIT histograms, calibration curve, spread against error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.backend import array_namespace
from pipeline.backend.special import to_host
from pipeline.metrics import Case
from pipeline.metrics.bootstrap import RESAMPLES, percentile_interval
from pipeline.metrics.deterministic import error
from pipeline.metrics.groups import area_series, make_groups
from pipeline.metrics.probabilistic import corrected_variance
from pipeline.metrics.sums import chunks
from pipeline.metrics.uncertainty_curves import Exceedance, Sparsification, exceedance_curve, sparsification_curves
from pipeline.seeding import derive_seed, generator

DRAWS = 19  # of a distribution without members of its own, for 20 ranks
BINS = 10
LEVELS = np.linspace(0.05, 0.95, 19)


@dataclass(frozen=True, eq=False)
class Diagnostics:
    """How a predictive distribution and the truth agree, over all times and cells.

    Parameters
    ----------
    rank_count : ndarray of int, shape (rank,)
        How often the truth had each rank among the members (for other distributions, among 19 of
        its draws); equal ranks are drawn at random. Flat for a reliable forecast.
    pit_count : ndarray of int, shape (bin,)
        Histogram of the probability integral transform on [0, 1]; flat for a reliable forecast.
    level, observed, low, high : ndarray, shape (level,)
        Calibration curve: share of truths, by area, that are at most the quantile of each level,
        with its 95 % interval by block bootstrap. The quantiles are those that files and intervals have: of few
        members, which lie between the outermost, so that no few members have a curve on the diagonal although their
        ranks are even.
    spread, rmse : ndarray, shape (bin,)
        Root mean predictive variance and RMSE of the mean in bins of equal counts by spread; equal
        for a reliable forecast with many members. The spread of few is known badly, which makes the slope of error
        against spread less than one even of right ones (Spaeth and Roberts 2026, arXiv:2604.05946). NaN in bins without
        values.
    sparsification : Sparsification
        Error of what is left when the most uncertain is left out.
    exceedance : Exceedance or None
        Reliability of the upper tenth; None without a climatology that has quantiles.
    """

    rank_count: np.ndarray
    pit_count: np.ndarray
    level: np.ndarray
    observed: np.ndarray
    low: np.ndarray
    high: np.ndarray
    spread: np.ndarray
    rmse: np.ndarray
    sparsification: Sparsification
    exceedance: Exceedance | None


@dataclass(frozen=True, eq=False)
class _Part:
    """What one chunk of cells adds; flat arrays are of its times and cells with truth."""

    ranks: np.ndarray
    pit_count: np.ndarray
    below: np.ndarray  # (level, time): area of the cells whose truth is at most the quantile
    area: np.ndarray  # (time,): area of the cells with truth
    variance: np.ndarray
    square_error: np.ndarray
    weight: np.ndarray


def diagnose(
    case: Case, *, split: str, variable: str, time: np.ndarray, weights: np.ndarray, seed: int
) -> Diagnostics | None:
    """Return the diagnostics of one variable of one model; None for a point forecast.

    Parameters
    ----------
    case : Case
        Finite wherever there is truth, see :func:`~pipeline.metrics.evaluate.evaluate`.
    split, variable : str
        For the seeds: resamples are those of the scores.
    time : ndarray, shape (time,)
        Increasing ``datetime64`` or cftime objects.
    weights : ndarray, shape (cell,)
        Area weights.
    seed : int
        The experiment's seed.
    """
    if not case.is_distribution:
        return None
    purpose = f"{split}:{variable}"
    parts = [
        _part(case.select(cells, -1), weights[cells], seed, purpose, number)
        for number, cells in enumerate(chunks(case))
    ]
    group = make_groups(
        time, area_series(case, weights), seed=seed, purpose=purpose, resamples=RESAMPLES
    )[0]  # fmt: skip
    starts = group.blocks.edges[:, 0]
    below = np.add.reduceat(sum(part.below for part in parts), starts, axis=1)
    area = np.add.reduceat(sum(part.area for part in parts), starts)
    drawn = (group.counts @ area)[:, None]
    # A resample may hold blocks without truth alone: it has no curve.
    draws = np.where(drawn > 0.0, group.counts @ below.T, np.nan) / np.where(drawn > 0.0, drawn, 1.0)
    band = percentile_interval(draws, len(group.blocks))
    spread, rmse = _bins(parts)
    return Diagnostics(
        rank_count=np.asarray(sum(part.ranks for part in parts)),
        pit_count=np.asarray(sum(part.pit_count for part in parts)),
        level=LEVELS,
        observed=below.sum(axis=1) / area.sum(),
        low=band.low,
        high=band.high,
        spread=spread,
        rmse=rmse,
        sparsification=sparsification_curves(case, group, weights),
        exceedance=exceedance_curve(case, group, weights),
    )


def _part(case: Case, weights: np.ndarray, seed: int, purpose: str, number: int) -> _Part:
    valid = to_host(case.valid)
    members, ranks = _ranks(case, derive_seed(seed, f"ranks:{purpose}", number))
    noise = generator(seed, f"pit:{purpose}", number).random(ranks.shape)
    if case.prediction.family == "members":
        # A step function's PIT, spread evenly over the step that the truth stands on.
        pit = (ranks + noise) / (members + 1)
        level = _levels(to_host(case.prediction.parameters["members"]), to_host(case.truth), noise)
    else:
        # The same for a point mass, such as a dry day: anywhere between less than the truth and at most it.
        at_most = to_host(case.prediction.cdf(case.truth)).astype(float)
        less = 1.0 - to_host(case.prediction.exceedance(case.truth)).astype(float)
        level = pit = less + noise * (at_most - less)
    area = np.where(valid, weights, 0.0)
    difference = to_host(error(case))
    return _Part(
        ranks=np.bincount(ranks[valid], minlength=members + 1),
        pit_count=np.histogram(pit[valid], bins=BINS, range=(0.0, 1.0))[0],
        below=np.stack([(area * (level <= asked)).sum(axis=1) for asked in LEVELS]),
        area=area.sum(axis=1),
        variance=to_host(corrected_variance(case))[valid],
        square_error=(difference * difference)[valid],
        weight=area[valid],
    )


def _levels(members: np.ndarray, truth: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return the level at which the quantile of the members is the truth, shape (time, cell).

    The quantile is linear between members, the m-th of M of which stands for the level (m - 1/2) / M, as in
    ``Prediction.quantile``: 0 below all of them, 1 above. Where members are the truth, such as on dry days, the level
    is anywhere between theirs, as ``noise`` says; those of the outermost reach to 0 and to 1.
    """
    ordered = np.sort(members.astype(float), axis=0)  # those that are missing stand last
    there = np.maximum(len(members) - np.isnan(ordered).sum(axis=0), 1)
    below, at_most = (ordered < truth).sum(axis=0), (ordered <= truth).sum(axis=0)
    left, right = (
        np.take_along_axis(ordered, np.clip(place, 0, there - 1)[None, ...], axis=0)[0] for place in (below - 1, below)
    )
    gap = right - left
    inside = (below - 0.5 + np.divide(truth - left, gap, out=np.zeros_like(gap), where=gap > 0.0)) / there
    first = np.where(below == 0, 0.0, (below + 0.5) / there)
    last = np.where(at_most == there, 1.0, (at_most - 0.5) / there)
    found = np.where(at_most > below, first + noise * (last - first), inside)
    found = np.where((below == 0) & (at_most == 0), 0.0, found)
    return np.asarray(np.where(below == there, 1.0, found))


def _ranks(case: Case, seed: int) -> tuple[int, np.ndarray]:
    """Return the number of members or draws, and the truth's rank among them, shape (time, cell)."""
    if case.prediction.family == "members":
        members = case.prediction.parameters["members"]
    else:
        members = case.prediction.sample(DRAWS, seed=seed)
    xp = array_namespace(members)
    truth = xp.astype(case.truth, members.dtype)[None, ...]
    below, ties = (to_host(xp.sum(xp.astype(found, xp.int64), axis=0)) for found in (members < truth, members == truth))
    random, size = np.random.default_rng(seed), int(members.shape[0])
    ranks = below + np.floor(random.random(below.shape) * (ties + 1)).astype(int)
    if case.missing is None:
        return size, ranks
    # A rank among fewer members is a part of the line that several ranks among all share: one of them is drawn.
    there = size - to_host(case.missing)
    spread = np.floor((ranks + random.random(ranks.shape)) * (size + 1) / (there + 1)).astype(int)
    return size, np.where(there == size, ranks, spread)


def _bins(parts: list[_Part]) -> tuple[np.ndarray, np.ndarray]:
    """Return spread and RMSE in bins of equal counts, by spread."""
    variance, square, weight = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("variance", "square_error", "weight")
    )
    order = np.argsort(variance, kind="stable")
    found = np.full((2, BINS), np.nan)
    for number, index in enumerate(np.array_split(order, BINS)):
        total = weight[index].sum()
        if total > 0.0:
            found[:, number] = [(values[index] @ weight[index] / total) ** 0.5 for values in (variance, square)]
    return found[0], found[1]
