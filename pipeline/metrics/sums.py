"""From a case to block sums and, with resamples of blocks, to scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import array_api_compat
import numpy as np

from pipeline.backend import array_namespace
from pipeline.backend.special import to_host
from pipeline.metrics import METRICS, Array, Case, Metric, MetricBase, PairMetric, SeriesMetric
from pipeline.metrics._losses import LossSum
from pipeline.metrics.groups import Group
from pipeline.metrics.pooling import area_mean, series_median

_MEMORY = 2**28  # bytes of float64 that a chunk of cells may take
_VALUES = 2**22  # resamples times cells in one call of a metric


@dataclass(frozen=True, eq=False)
class BlockSums:
    """Sums over the times of every block.

    Parameters
    ----------
    count : array of float64, shape (block, cell)
        Number of times with truth.
    terms : mapping of str to tuple of array of float64, shape (block, cell)
        By metric.
    """

    count: Array
    terms: Mapping[str, tuple[Array, ...]]


@dataclass(frozen=True, eq=False)
class Resampled:
    """A score and its bootstrap values, on the host: of shape () and (resample,), or with cells behind.

    ``blocks`` says how many things were resampled where these are not the blocks of the group, such as whole years.
    """

    value: np.ndarray
    draws: np.ndarray
    blocks: int | None = None


def centred(score: Resampled) -> Resampled:
    """Return a size with its bootstrap values moved to have it as mean, at least 0: their bias is taken off.

    Efron and Tibshirani 1993, doi:10.1201/9780429246593, chapter 10: the bias of a resample is that of the sample.

    Examples
    --------
    >>> centred(Resampled(np.array(1.0), np.array([1.5, 2.0, 2.5]))).draws.tolist()
    [0.5, 1.0, 1.5]
    """
    known = np.isfinite(score.draws)
    bias = score.draws[known].mean() - score.value if known.any() else 0.0
    return replace(score, draws=np.maximum(score.draws - bias, 0.0))


def metrics_of_kind(names: Sequence[str], kind: type[MetricBase]) -> dict[str, Any]:
    """Return instances of those metrics that are of ``kind``, by name."""
    found = {name: METRICS.get(name)() for name in names}
    return {name: metric for name, metric in found.items() if isinstance(metric, kind)}


def chunks(case: Case, widest: int = _MEMORY) -> list[slice]:
    """Return slices of cells that are worked on at a time: about 256 MiB of float64 with all that scores need."""
    times, cells = case.truth.shape
    rows = 24 + 4 * max(case.prediction.sizes.values(), default=0)
    width = max(1, widest // (8 * max(1, times) * rows))
    return [slice(start, min(start + width, cells)) for start in range(0, cells, width)]


def block_sums(
    case: Case, names: Sequence[str], groups: Sequence[Group], losses: LossSum | None = None
) -> list[BlockSums]:
    """Return the sums of all :class:`Metric` among ``names``, one record a group, from one pass.

    Terms are worked out in float64 chunks of cells; where the truth is not finite they do not count. ``losses`` adds
    them up over cells too, time by time.
    """
    metrics = metrics_of_kind(names, Metric)
    collected: list[list[tuple[Array, dict[str, tuple[Array, ...]]]]] = [[] for _ in groups]
    for cells in chunks(case):
        part = case.select(cells, -1)
        xp = array_namespace(part.truth)
        count = xp.astype(part.valid, xp.float64)
        terms = {
            name: tuple(clean(term, part.valid) for term in metric.terms(part)) for name, metric in metrics.items()
        }
        if losses is not None:
            losses.add(cells, count, terms)
        for found, group in zip(collected, groups, strict=True):
            add = adder(group, part.truth)
            sums = {name: tuple(add(term) for term in parts) for name, parts in terms.items()}
            found.append((add(count), sums))
    return [joined(found, metrics) for found in collected]


def clean(term: Array, valid: Array) -> Array:
    """Return a term in float64, zero where it does not count."""
    xp = array_namespace(term)
    wide = xp.astype(term, xp.float64)
    return xp.where(valid, wide, xp.zeros_like(wide))


def adder(group: Group, like: Array) -> Callable[[Array], Array]:
    """Return a function from (time, cell) to sums over the blocks of a group, (block, cell)."""
    xp, device = array_namespace(like), array_api_compat.device(like)
    rows = [xp.asarray(group.index[start:stop], device=device) for start, stop in group.blocks.edges]

    def add(term: Array) -> Array:
        return xp.stack([xp.sum(xp.take(term, row, axis=0), axis=0) for row in rows])

    return add


def joined(found: list[tuple[Array, dict[str, tuple[Array, ...]]]], names: Mapping[str, Any]) -> BlockSums:
    """Return the sums of all cells from count and terms of parts of them."""
    xp = array_namespace(found[0][0])
    terms = {
        name: tuple(
            xp.concat([sums[name][number] for _, sums in found], axis=1) for number in range(len(found[0][1][name]))
        )
        for name in names
    }
    return BlockSums(xp.concat([count for count, _ in found], axis=1), terms)


def _takes_median(metric: MetricBase, task: str) -> bool:
    return task == "series" and metric.over_series == "median"


def score_sums(
    name: str,
    sums: BlockSums,
    group: Group,
    weights: np.ndarray | None,
    resamples: int,
    *,
    task: str = "downscaling",
    leads: int = 1,
) -> Resampled:
    """Return the score ``name`` of a group and its first ``resamples`` bootstrap values.

    Parameters
    ----------
    weights : ndarray of shape (cell,), or None
        Area weights for one score; None: a map, with a trailing axis of cells.
    task : str
        Of the experiment; over the cells of ``series`` some scores are a median, see ``over_series``.
    leads : int
        How many leads the cells are of, one behind the other: such a median is of each, and the score their mean.
    """
    metric = METRICS.get(name)()
    assert isinstance(metric, Metric | PairMetric)  # those that are made of sums of cells
    xp, device = array_namespace(sums.count), array_api_compat.device(sums.count)
    area = None if weights is None else xp.asarray(weights, dtype=xp.float64, device=device)
    median = area is not None and _takes_median(metric, task)

    def value(counts: np.ndarray) -> np.ndarray:
        drawn = xp.asarray(counts, dtype=xp.float64, device=device)
        added = tuple(drawn @ term for term in sums.terms[name])
        found = metric.value(drawn @ sums.count, added, None if median else area)
        return to_host(series_median(found, leads) if median else found)

    step = max(1, _VALUES // sums.count.shape[1])
    counts = group.counts[: min(resamples, metric.resamples)]
    draws = [value(counts[start : start + step]) for start in range(0, len(counts), step)]
    return Resampled(value(np.ones((1, len(group.blocks))))[0], np.concatenate(draws, axis=0))


def score_series(
    names: Sequence[str],
    case: Case,
    group: Group,
    weights: np.ndarray,
    *,
    task: str = "downscaling",
    leads: int = 1,
) -> dict[str, Resampled]:
    """Return all :class:`SeriesMetric` among ``names`` over a group and all cells, and their bootstrap values.

    A resample costs a pass over the sorted series of every cell where a sum costs a matrix product,
    so the first ones of the group's resamples serve, as many as the metric says; all models share them.
    """
    metrics: dict[str, SeriesMetric] = metrics_of_kind(names, SeriesMetric)
    if not metrics:
        return {}
    xp, device = array_namespace(case.truth), array_api_compat.device(case.truth)
    counts = {
        number: xp.asarray(_times_drawn(group, number), device=device)
        for number in dict.fromkeys(metric.resamples for metric in metrics.values())
    }
    rows = xp.asarray(group.index, device=device)
    found: dict[str, list[Array]] = {name: [] for name in metrics}
    for cells in chunks(case):
        part = case.select(cells, -1).select(rows, -2)  # one case for all: what they share is worked out once
        for name, metric in metrics.items():
            values = metric.cells(part, counts[metric.resamples])
            found[name].append(xp.abs(values) if metric.absolute else values)
    area = xp.asarray(weights, dtype=xp.float64, device=device)
    pooled = {}
    for name, parts in found.items():
        values = xp.concat(parts, axis=1)
        median = _takes_median(metrics[name], task)
        pooled[name] = to_host(series_median(values, leads) if median else area_mean(values, area))
    return {name: Resampled(values[0], values[1:]) for name, values in pooled.items()}


def _times_drawn(group: Group, resamples: int) -> np.ndarray:
    """Return how often every time is drawn, int32 (time, 1 + resample); the first column is the series itself."""
    edges = group.blocks.edges
    times = np.repeat(group.counts[:resamples], edges[:, 1] - edges[:, 0], axis=1)
    drawn = np.concatenate([np.ones((1, times.shape[1]), np.int32), times.astype(np.int32)], axis=0)
    return np.ascontiguousarray(drawn.T)
