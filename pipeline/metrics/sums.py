"""From a case to block sums and, with resamples of blocks, to scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import array_api_compat
import numpy as np

from pipeline.backend import array_namespace
from pipeline.backend.special import to_host
from pipeline.metrics import METRICS, Array, Case, Metric, MetricBase, SeriesMetric
from pipeline.metrics._losses import LossSum
from pipeline.metrics.groups import Group
from pipeline.metrics.pooling import area_mean, series_median

_MEMORY = 2**28  # bytes of float64 that a chunk of cells may take


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
        cleaned = _once_each(partial(clean, valid=part.valid))
        terms = {name: tuple(map(cleaned, metric.terms(part))) for name, metric in metrics.items()}
        if losses is not None:
            losses.add(cells, count, terms)
        for found, group in zip(collected, groups, strict=True):
            add = _once_each(adder(group, part.truth))
            sums = {name: tuple(map(add, parts)) for name, parts in terms.items()}
            found.append((add(count), sums))
    return [joined(found, metrics) for found in collected]


def _once_each(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """Return the function with one answer for each array, however many scores ask for it."""
    known: dict[int, tuple[Array, Array]] = {}

    def once(array: Array) -> Array:
        if id(array) not in known:
            known[id(array)] = array, function(array)  # the array is kept, so that its id names it alone
        return known[id(array)][1]

    return once


def clean(term: Array, valid: Array) -> Array:
    """Return a term in float64, zero where it does not count."""
    xp = array_namespace(term)
    wide = xp.astype(term, xp.float64, copy=False)
    return wide if bool(xp.all(valid)) else xp.where(valid, wide, xp.zeros_like(wide))


def adder(group: Group, like: Array) -> Callable[[Array], Array]:
    """Return a function from (time, cell) to sums over the blocks of a group, (block, cell)."""
    xp, device = array_namespace(like), array_api_compat.device(like)
    rows = [_rows(group.index[start:stop], partial(xp.asarray, device=device)) for start, stop in group.blocks.edges]

    def add(term: Array) -> Array:
        parts = (term[row, :] if isinstance(row, slice) else xp.take(term, row, axis=0) for row in rows)
        return xp.stack([xp.sum(part, axis=0) for part in parts])

    return add


def _rows(index: np.ndarray, place: Callable[[np.ndarray], Array]) -> slice | Array:
    """Return positions as a slice where they follow one another, so that nothing is copied, else as an array."""
    if len(index) and np.array_equal(index, np.arange(index[0], index[0] + len(index))):
        return slice(int(index[0]), int(index[0]) + len(index))
    return place(index)


def joined(found: list[tuple[Array, dict[str, tuple[Array, ...]]]], names: Mapping[str, Any]) -> BlockSums:
    """Return the sums of all cells from count and terms of parts of them; arrays that are one stay one."""
    xp = array_namespace(found[0][0])
    known: dict[tuple[int, ...], Array] = {}

    def whole(parts: list[Array]) -> Array:
        key = tuple(map(id, parts))
        if key not in known:
            known[key] = xp.concat(parts, axis=1)
        return known[key]

    terms = {
        name: tuple(whole([sums[name][number] for _, sums in found]) for number in range(len(found[0][1][name])))
        for name in names
    }
    return BlockSums(xp.concat([count for count, _ in found], axis=1), terms)


def takes_median(metric: MetricBase, task: str) -> bool:
    """Return whether the overall score is a median over series in this task."""
    return task == "series" and metric.over_series == "median"


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
        if part.shared is not None:  # groups of the same times have other resamples
            part = replace(part, shared=part.shared.part(group.names))
        for name, metric in metrics.items():
            values = metric.cells(part, counts[metric.resamples])
            found[name].append(xp.abs(values) if metric.absolute else values)
    area = xp.asarray(weights, dtype=xp.float64, device=device)
    pooled = {}
    for name, parts in found.items():
        values = xp.concat(parts, axis=1)
        median = takes_median(metrics[name], task)
        pooled[name] = to_host(series_median(values, leads) if median else area_mean(values, area))
    return {name: Resampled(values[0], values[1:]) for name, values in pooled.items()}


def _times_drawn(group: Group, resamples: int) -> np.ndarray:
    """Return how often every time is drawn, int32 (time, 1 + resample); the first column is the series itself."""
    edges = group.blocks.edges
    times = np.repeat(group.counts[:resamples], edges[:, 1] - edges[:, 0], axis=1)
    drawn = np.concatenate([np.ones((1, times.shape[1]), np.int32), times.astype(np.int32)], axis=0)
    return np.ascontiguousarray(drawn.T)
