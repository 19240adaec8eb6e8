"""Whether models err more, and their intervals hold less, where samples are unusual."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.backend import array_namespace
from pipeline.backend.special import to_host
from pipeline.metrics import Case
from pipeline.metrics.bootstrap import percentile_interval
from pipeline.metrics.groups import Group
from pipeline.metrics.intervals import bounds
from pipeline.metrics.sums import chunks

LEVEL = 0.9


@dataclass(frozen=True)
class Value:
    """A number and its 95 % interval by block bootstrap; NaN where unknown."""

    value: float
    low: float
    high: float


NOTHING = Value(float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True)
class Side:
    """The unusual samples, or the rest.

    Parameters
    ----------
    error : Value
        RMSE over samples and area; of classes the share of the area with the wrong class.
    coverage : Value
        Share of truths in the central 90 % interval; of classes, and of point forecasts, none.
    """

    error: Value
    coverage: Value


@dataclass(frozen=True, eq=False)
class Relation:
    """The errors of one model and variable beside the novelty of the samples.

    Parameters
    ----------
    unusual, rest : Side
        Of the samples that are unusual, and of the others.
    rank : Value
        Spearman's correlation of novelty and error.
    error : ndarray of float64, shape (time,)
        Root mean square error of each time over the area; of classes the share that is wrong. NaN without truth.
    """

    unusual: Side
    rest: Side
    rank: Value
    error: np.ndarray


@dataclass(frozen=True, eq=False)
class _Sums:
    """Sums over the area, or the leads, of every sample; arrays of shape (time, cell), one cell for fields."""

    loss: np.ndarray
    inside: np.ndarray | None
    area: np.ndarray


def relate(case: Case, weights: np.ndarray, novelty: np.ndarray, group: Group) -> Relation:
    """Return how the errors of a case go with the novelty of its samples.

    Resamples are of blocks of time. Where fewer than eight of them hold an unusual sample, the numbers of the unusual
    ones have no interval. For the interval of the correlation the ranks are those among all samples.

    Parameters
    ----------
    case : Case
        Predictions and truth, cells (of all leads) in one row; of classes the family ``categorical``.
    weights : ndarray, shape (cell,)
        Area weights.
    novelty : ndarray, shape (time, sample)
        Of every time, or of every time and station, then of as many as there are cells (of one lead); NaN is neither
        usual nor unusual.
    group : Group
        Blocks of all times and their resamples, those of the scores.
    """
    sums = _summed(case, weights, novelty.shape[1])
    known = np.isfinite(novelty) & (sums.area > 0.0)
    root = not case.prediction.is_categorical
    unusual, rest = (
        Side(
            _pooled(sums.loss, sums.area, chosen, group, root=root),
            NOTHING if sums.inside is None else _pooled(sums.inside, sums.area, chosen, group, root=False),
        )
        for chosen in (known & (novelty > 1.0), known & (novelty <= 1.0))
    )
    area = np.where(sums.area > 0.0, sums.area, 1.0)
    each = np.where(sums.area > 0.0, sums.loss / area, np.nan)
    of_time = sums.area.sum(axis=1)
    error = np.where(of_time > 0.0, sums.loss.sum(axis=1) / np.where(of_time > 0.0, of_time, 1.0), np.nan)
    return Relation(unusual, rest, _rank(novelty, each, known, group), np.sqrt(error) if root else error)


def unusual_share(novelty: np.ndarray, group: Group) -> Value:
    """Return the share of unusual samples with its interval; arguments as of :func:`relate`."""
    known = np.isfinite(novelty)
    blocks = _block_sums(np.stack([(novelty > 1.0).sum(axis=1), known.sum(axis=1)]).astype(float), group)
    return _share(blocks, group, len(group.blocks), root=False)


def _summed(case: Case, weights: np.ndarray, samples: int) -> _Sums:
    times = case.truth.shape[0]
    covered = case.is_distribution and not case.prediction.is_categorical
    found = np.zeros((3, times, samples))
    for cells in chunks(case):
        part = case.select(cells, -1)
        xp = array_namespace(part.truth)
        area = xp.asarray(weights[cells], dtype=xp.float64, device=part.truth.device)
        there = xp.astype(part.valid, xp.float64) * area
        mean, truth = (xp.astype(values, xp.float64) for values in (part.mean, part.truth))
        if case.prediction.is_categorical:
            loss = xp.astype(mean != truth, xp.float64)
        else:
            loss = (mean - truth) ** 2
        terms = [loss]
        if covered:
            lower, upper = bounds(part, LEVEL)
            terms.append(xp.astype((truth >= lower) & (truth <= upper), xp.float64))
        terms = [xp.where(part.valid, term, xp.zeros_like(term)) * area for term in terms]
        for into, term in zip(found, [there, *terms], strict=False):
            _add(into, term, np.arange(cells.start, cells.stop))
    return _Sums(found[1], found[2] if covered else None, found[0])


def _add(into: np.ndarray, term: object, cells: np.ndarray) -> None:
    """Add up a term, (time, cell), over the area, or over the leads of every station."""
    if into.shape[1] == 1:
        into[:, 0] += to_host(array_namespace(term).sum(term, axis=1))
    else:  # the stations of every lead stand behind those of the lead before
        np.add.at(into.T, cells % into.shape[1], to_host(term).T)


def _pooled(total: np.ndarray, area: np.ndarray, chosen: np.ndarray, group: Group, *, root: bool) -> Value:
    """Return a mean over the chosen samples with its interval."""
    if not chosen.any():
        return NOTHING
    sums = np.stack([np.where(chosen, part, 0.0).sum(axis=1) for part in (total, area)])
    blocks = _block_sums(sums, group)
    return _share(blocks, group, int((blocks[1] > 0.0).sum()), root=root)


def _share(blocks: np.ndarray, group: Group, count: int, *, root: bool) -> Value:
    """Return the ratio of two sums over ``count`` blocks that have any, and its interval."""
    if blocks[1].sum() <= 0.0:
        return NOTHING
    drawn = group.counts @ blocks.T
    ratio = np.where(drawn[:, 1] > 0.0, drawn[:, 0] / np.where(drawn[:, 1] > 0.0, drawn[:, 1], 1.0), np.nan)
    value = blocks[0].sum() / blocks[1].sum()
    if root:
        ratio, value = np.sqrt(ratio), np.sqrt(value)
    ends = percentile_interval(ratio, count)
    return Value(float(value), float(ends.low), float(ends.high))


def _block_sums(values: np.ndarray, group: Group) -> np.ndarray:
    """Return the sums over every block of values of shape (..., time)."""
    ordered = values[..., group.index]
    return np.asarray(np.add.reduceat(ordered, group.blocks.edges[:, 0], axis=-1))


def _rank(novelty: np.ndarray, error: np.ndarray, known: np.ndarray, group: Group) -> Value:
    if known.sum() < 3:
        return NOTHING
    ranks = []
    for values in (novelty, error):
        of = np.zeros(values.shape)
        found = np.asarray(pd.Series(values[known]).rank())
        of[known] = (found - found.mean()) / max(len(found), 1)
        ranks.append(of)
    x, y = ranks
    terms = (known.astype(float), x, y, x * x, y * y, x * y)
    sums = _block_sums(np.stack([term.sum(axis=1) for term in terms]), group)
    ends = percentile_interval(_correlation(group.counts @ sums.T), len(group.blocks))
    return Value(float(_correlation(sums.sum(axis=1)[None, :])[0]), float(ends.low), float(ends.high))


def _correlation(sums: np.ndarray) -> np.ndarray:
    """Return correlations from sums of 1, x, y, x^2, y^2 and xy, each of shape (resample,); NaN without variance."""
    count, x, y, xx, yy, xy = sums.T
    n = np.maximum(count, 1.0)
    spread = (xx - x * x / n) * (yy - y * y / n)
    good = spread > 1e-12
    return np.asarray(np.where(good, (xy - x * y / n) / np.sqrt(np.where(good, spread, 1.0)), np.nan))
