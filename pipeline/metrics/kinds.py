"""From a case to the scores that are not sums of single cells: of years, of fields, of two variables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import array_api_compat
import numpy as np

from pipeline.backend import array_namespace
from pipeline.backend.special import to_host
from pipeline.metrics import Array, Case, FieldMetric, PairMetric, YearMetric
from pipeline.metrics.bootstrap import resample
from pipeline.metrics.groups import Group
from pipeline.metrics.pooling import area_mean
from pipeline.metrics.sums import BlockSums, Resampled, chunks, metrics_of_kind
from pipeline.metrics.years import years_of
from pipeline.prediction._arrays import wide

YEAR_RESAMPLES = 250


def score_years(name: str, case: Case, group: Group, weights: np.ndarray, seed: int, purpose: str) -> Resampled:
    """Return the area mean of the :class:`YearMetric` ``name`` over a group, and its values for resampled years.

    Draws are compared one by one and averaged after, so that the interval is of years alone.
    """
    metric: YearMetric = metrics_of_kind([name], YearMetric)[name]
    assert case.time is not None  # `applies` asks for it
    xp, device = array_namespace(case.truth), array_api_compat.device(case.truth)
    count = len(years_of(case.time[group.index]))
    drawn = resample(count, seed, f"{purpose}:{group.names[0]}:years", count=YEAR_RESAMPLES)
    counts = xp.asarray(np.concatenate([np.ones((1, count)), drawn]), dtype=xp.float64, device=device)
    rows = xp.asarray(group.index, device=device)
    values = [_cells_of_years(metric, case.select(cells, -1).select(rows, -2), counts) for cells in chunks(case)]
    area = xp.asarray(weights, dtype=xp.float64, device=device)
    pooled = to_host(area_mean(xp.concat(values, axis=1), area))
    return Resampled(pooled[0], pooled[1:])


def _cells_of_years(metric: YearMetric, case: Case, counts: Array) -> Array:
    """Return the score of every resample and cell, shape (resample, cell)."""
    xp = array_namespace(case.truth)
    over = _deviation if metric.over_years == "sd" else _mean
    truth = over(metric.yearly(wide(case.truth)[0], case.valid, case), counts)
    size = case.draws.shape[0]
    found = xp.zeros_like(truth)
    for number in range(size):
        drawn = metric.yearly(wide(case.draws[number, ...])[0], case.valid, case)
        found = found + metric.compared(over(drawn, counts), truth) / size
    return found


def _mean(yearly: Array, counts: Array) -> Array:
    xp = array_namespace(yearly)
    known = ~xp.isnan(yearly)
    number = counts @ xp.astype(known, xp.float64)
    total = counts @ xp.where(known, yearly, xp.zeros_like(yearly))
    return total / xp.where(number > 0.0, number, xp.full_like(number, xp.nan))


def _deviation(yearly: Array, counts: Array) -> Array:
    """Return the deviation over years; NaN with fewer than two."""
    xp = array_namespace(yearly)
    known = ~xp.isnan(yearly)
    number = xp.astype(known, xp.float64)
    centre = xp.sum(xp.where(known, yearly, xp.zeros_like(yearly)), axis=0) / xp.maximum(
        xp.sum(number, axis=0), xp.ones_like(number[0, :])
    )
    away = xp.where(known, yearly - centre, xp.zeros_like(yearly))
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

    drawn = value(group.counts[:resamples].astype(float))
    return Resampled(value(np.ones((1, len(group.blocks))))[0], drawn)


def pair_sums(first: Case, second: Case, names: Sequence[str], groups: Sequence[Group]) -> list[BlockSums]:
    """Return the sums of all :class:`PairMetric` among ``names``, over times at which both variables have truth."""
    metrics: Mapping[str, PairMetric] = metrics_of_kind(names, PairMetric)
    xp = array_namespace(first.truth)
    valid = first.valid & second.valid
    count = xp.astype(valid, xp.float64)

    def clean(term: Array) -> Array:
        values = xp.astype(term, xp.float64)
        return xp.where(valid, values, xp.zeros_like(values))

    terms = {name: tuple(clean(term) for term in metric.terms(first, second)) for name, metric in metrics.items()}
    found = []
    for group in groups:
        device = array_api_compat.device(count)
        rows = [xp.asarray(group.index[a:b], device=device) for a, b in group.blocks.edges]

        def add(term: Array, rows: list[Array] = rows) -> Array:
            return xp.stack([xp.sum(xp.take(term, row, axis=0), axis=0) for row in rows])

        found.append(BlockSums(add(count), {name: tuple(map(add, parts)) for name, parts in terms.items()}))
    return found
