"""From a case to the scores that are not sums of single cells: of years, of fields, of two variables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import array_api_compat
import numpy as np

from pipeline.backend import array_namespace
from pipeline.backend.special import to_host
from pipeline.metrics import Array, Case, FieldMetric, PairMetric, YearMetric
from pipeline.metrics.bootstrap import resample
from pipeline.metrics.groups import Group
from pipeline.metrics.indices import INDICES, mean_of_years, yearly
from pipeline.metrics.pooling import area_mean
from pipeline.metrics.sums import BlockSums, Resampled, adder, chunks, clean, joined, metrics_of_kind
from pipeline.metrics.years import Years, whole, years_of


@dataclass(frozen=True, eq=False)
class YearScore:
    """A :class:`YearMetric` of a group of times, with what a map shows of it.

    Parameters
    ----------
    score : Resampled
        Area mean, and its values for resampled years; NaN where fewer than two years are whole.
    cells, truth : ndarray, shape (cell,)
        The score of every cell, and what the truth's index is there; NaN where no year is whole.
    """

    score: Resampled
    cells: np.ndarray
    truth: np.ndarray


def score_years(
    names: Sequence[str], case: Case, group: Group, weights: np.ndarray, seed: int, purpose: str
) -> dict[str, YearScore]:
    """Return all :class:`YearMetric` among ``names`` over a group; those of one index share its work.

    Resampled are the years that are whole in any cell, the same ones for all models.
    """
    metrics: Mapping[str, YearMetric] = metrics_of_kind(names, YearMetric)
    if not metrics or case.time is None:
        return {}
    xp, device = array_namespace(case.truth), array_api_compat.device(case.truth)
    years = years_of(case.time[group.index])
    chosen = xp.asarray(group.index, device=device)
    some = np.asarray(to_host(whole(xp.take(case.valid, chosen, axis=0), years)).any(axis=1))
    size = YearMetric.resamples
    drawn = np.zeros((size, len(years)))
    if some.any():
        drawn[:, some] = resample(int(some.sum()), seed, f"{purpose}:{group.names[0]}:years", count=size)
    counts = xp.asarray(np.concatenate([np.ones((1, len(years))), drawn]), dtype=xp.float64, device=device)
    found: dict[str, list[tuple[Array, Array]]] = {name: [] for name in metrics}
    for cells in chunks(case):
        for name, part in _of_cells(metrics, case, cells, chosen, years, counts).items():
            found[name].append(part)
    area = xp.asarray(weights, dtype=xp.float64, device=device)
    scores = {}
    for name, parts in found.items():
        values, truth = (xp.concat(list(side), axis=-1) for side in zip(*parts, strict=True))
        pooled = to_host(area_mean(xp.abs(values) if metrics[name].absolute else values, area))
        draws = pooled[1:] if int(some.sum()) > 1 else np.full_like(pooled[1:], np.nan)
        scores[name] = YearScore(Resampled(pooled[0], draws, int(some.sum())), to_host(values[0, :]), to_host(truth))
    return scores


def _of_cells(
    metrics: Mapping[str, YearMetric], case: Case, cells: slice, chosen: Array, years: Years, counts: Array
) -> dict[str, tuple[Array, Array]]:
    """Return by metric the scores of every resample and cell, and the truth's index of every cell."""
    xp = array_namespace(case.truth)

    def rows(array: Array) -> Array:
        return xp.take(array, chosen, axis=0)

    valid, truth = rows(case.valid[:, cells]), rows(case.truth[:, cells])
    draws = [rows(case.draws[number, :, cells]) for number in range(case.draws.shape[0])]
    found = {}
    for kind in dict.fromkeys((metric.index, metric.over_years) for metric in metrics.values()):
        index, over = INDICES[kind[0]], _deviation_of_years if kind[1] == "sd" else mean_of_years
        true, *drawn = (over(yearly(index, series, valid, years, case.units), counts) for series in (truth, *draws))
        for name, metric in metrics.items():
            if (metric.index, metric.over_years) == kind:
                # A draw may lack what others have, such as the mean wet day of a cell without any.
                found[name] = mean_of_years(xp.stack([metric.compared(d, true) for d in drawn], axis=-2)), true[0, :]
    return found


def _deviation_of_years(values: Array, counts: Array) -> Array:
    """Return the deviation over years of every resample and cell; NaN with fewer than two."""
    xp = array_namespace(values)
    known = ~xp.isnan(values)
    zero, number = xp.zeros_like(values), xp.astype(known, xp.float64)
    # Less their mean: it keeps the digits of the squares.
    away = xp.where(known, values - mean_of_years(values), zero)
    days = counts @ number
    some = xp.where(days >= 2.0, days, xp.full_like(days, xp.nan))
    mean, square = (counts @ away) / some, (counts @ (away * away)) / some
    return xp.sqrt(xp.maximum(square - mean * mean, xp.zeros_like(square)))


def field_sums(case: Case, names: Sequence[str], groups: Sequence[Group]) -> list[BlockSums]:
    """Return the sums of all :class:`FieldMetric` among ``names``, one record a group, terms (block, k)."""
    metrics = metrics_of_kind(names, FieldMetric)
    if not metrics:
        return [BlockSums(np.zeros((len(group.blocks), 1)), {}) for group in groups]
    xp = array_namespace(case.truth)
    count = to_host(xp.astype(xp.any(case.valid, axis=1), xp.float64))[:, None]
    terms = {name: tuple(np.asarray(to_host(t), float) for t in m.terms(case)) for name, m in metrics.items()}
    found = []
    for group in groups:

        def add(term: np.ndarray, group: Group = group) -> np.ndarray:
            return np.stack([term[group.index[a:b]].sum(axis=0) for a, b in group.blocks.edges])

        found.append(BlockSums(add(count), {name: tuple(map(add, parts)) for name, parts in terms.items()}))
    return found


def score_fields(name: str, sums: BlockSums, group: Group, resamples: int) -> Resampled:
    """Return the :class:`FieldMetric` ``name`` of a group and its bootstrap values."""
    metric: FieldMetric = metrics_of_kind([name], FieldMetric)[name]

    def value(counts: np.ndarray) -> np.ndarray:
        added = tuple(counts @ term for term in sums.terms[name])
        return np.asarray(metric.value((counts @ sums.count)[:, 0], added), float)

    drawn = value(group.counts[: min(resamples, metric.resamples)].astype(float))
    return Resampled(value(np.ones((1, len(group.blocks))))[0], drawn)


def pair_sums(first: Case, second: Case, names: Sequence[str], groups: Sequence[Group]) -> list[BlockSums]:
    """Return the sums of all :class:`PairMetric` among ``names``, over times at which both variables have truth."""
    metrics: Mapping[str, PairMetric] = metrics_of_kind(names, PairMetric)
    collected: list[list[tuple[Array, dict[str, tuple[Array, ...]]]]] = [[] for _ in groups]
    for cells in chunks(first):
        one, other = first.select(cells, -1), second.select(cells, -1)
        xp, valid = array_namespace(one.truth), one.valid & other.valid
        terms = {name: [clean(term, valid) for term in metric.terms(one, other)] for name, metric in metrics.items()}
        for found, group in zip(collected, groups, strict=True):
            add = adder(group, one.truth)
            sums = {name: tuple(add(term) for term in parts) for name, parts in terms.items()}
            found.append((add(xp.astype(valid, xp.float64)), sums))
    return [joined(found, metrics) for found in collected]
