"""From block sums and resamples of blocks to scores, whose common work is done once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import array_api_compat
import numpy as np

from pipeline.backend import array_namespace
from pipeline.backend.special import to_host
from pipeline.metrics import METRICS, Array, Metric, PairMetric, SharingMetric
from pipeline.metrics.groups import Group
from pipeline.metrics.pooling import series_median
from pipeline.metrics.sums import BlockSums, Resampled, takes_median

_VALUES = 2**22  # resamples times cells in one call of a metric
_OfSums = Metric | PairMetric  # those that are made of sums of cells


def score_sums(
    names: Iterable[str],
    sums: BlockSums,
    group: Group,
    weights: np.ndarray | None,
    resamples: int,
    *,
    task: str = "downscaling",
    leads: int = 1,
) -> dict[str, Resampled]:
    """Return the scores ``names`` of a group, each with its first ``resamples`` bootstrap values.

    Parameters
    ----------
    names : iterable of str
        Metrics that there are sums of.
    weights : ndarray of shape (cell,), or None
        Area weights for one score; None: a map, with a trailing axis of cells.
    task : str
        Of the experiment; over the cells of ``series`` some scores are a median, see ``over_series``.
    leads : int
        How many leads the cells are of, one behind the other: such a median is of each, and the score their mean.
    """
    together: dict[tuple[Any, ...], dict[str, _OfSums]] = {}
    for name in names:
        metric = METRICS.get(name)()
        assert isinstance(metric, Metric | PairMetric)
        median = weights is not None and takes_median(metric, task)
        together.setdefault((*_shares(name, metric, sums), median, metric.resamples), {})[name] = metric
    found: dict[str, Resampled] = {}
    for (*_, median, most), metrics in together.items():
        own = BlockSums(sums.count, {name: sums.terms[name] for name in metrics})
        area = weights
        if area is not None and not median and all(isinstance(m, Metric) and m.adds_cells for m in metrics.values()):
            own, area = _of_one_cell(own, area), np.ones(1)
        found |= _resampled(metrics, own, group, area, min(resamples, most), leads if median else None)
    return {name: found[name] for name in names}


def _shares(name: str, metric: _OfSums, sums: BlockSums) -> tuple[Any, ...]:
    """Return what is equal for metrics that share their work."""
    if isinstance(metric, SharingMetric):
        return type(metric).shared, *map(id, sums.terms[name])
    return (name,)


def _of_one_cell(sums: BlockSums, weights: np.ndarray) -> BlockSums:
    """Return the sums of all cells, each by its area, as those of a single one."""
    xp = array_namespace(sums.count)
    area = xp.asarray(weights, dtype=xp.float64, device=array_api_compat.device(sums.count))

    def added(term: Array) -> Array:
        return xp.sum(term * area, axis=1, keepdims=True)

    return BlockSums(added(sums.count), {name: tuple(map(added, terms)) for name, terms in sums.terms.items()})


def _resampled(
    metrics: dict[str, _OfSums],
    sums: BlockSums,
    group: Group,
    weights: np.ndarray | None,
    resamples: int,
    median_of: int | None,
) -> dict[str, Resampled]:
    """Return scores that share their work; ``median_of`` so many leads where they are medians over series."""
    xp, device = array_namespace(sums.count), array_api_compat.device(sums.count)
    area = None if weights is None else xp.asarray(weights, dtype=xp.float64, device=device)
    over = area if median_of is None else None
    first = next(iter(metrics))

    def values(counts: np.ndarray) -> dict[str, np.ndarray]:
        drawn = xp.asarray(counts, dtype=xp.float64, device=device)
        count, added = drawn @ sums.count, tuple(drawn @ term for term in sums.terms[first])
        made = {}
        shared: Any = None
        for name, metric in metrics.items():
            if isinstance(metric, SharingMetric):
                shared = metric.shared(count, added) if name == first else shared
                found = metric.of_shared(shared, over)
            else:
                found = metric.value(count, added, over)
            made[name] = to_host(found if median_of is None else series_median(found, median_of))
        return made

    step = max(1, _VALUES // sums.count.shape[1])
    counts = group.counts[:resamples]
    whole = values(np.ones((1, len(group.blocks))))
    parts = [values(counts[start : start + step]) for start in range(0, len(counts), step)]
    return {name: Resampled(whole[name][0], np.concatenate([part[name] for part in parts], axis=0)) for name in metrics}
