"""From a case to the scores of times and cells in bins, with resamples of blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pipeline.metrics import BinnedMetric, Case
from pipeline.metrics.groups import Group
from pipeline.metrics.sums import Resampled, metrics_of_kind


def score_binned(
    names: Sequence[str], case: Case, groups: Sequence[Group], weights: np.ndarray, resamples: int
) -> list[dict[str, Resampled]]:
    """Return all :class:`~pipeline.metrics.BinnedMetric` among ``names`` with bootstrap values, one record a group.

    A pass over the data and, for bins by spread, a sort a group; a resample is a product of few numbers.

    Parameters
    ----------
    names : sequence of str
        Those of other kinds are passed over.
    weights : ndarray, shape (cell,)
        Area weights.
    resamples : int
        How many of the group's resamples serve.
    """
    metrics: dict[str, BinnedMetric] = metrics_of_kind(names, BinnedMetric)
    own = replace(case, weights=weights)  # what its scores share is forgotten with it
    found: list[dict[str, Resampled]] = []
    for group in groups:
        scores = {}
        for name, metric in metrics.items():
            sums = np.add.reduceat(metric.counts(own, group.index), group.blocks.edges[:, 0], axis=0)
            drawn = group.counts[: min(resamples, metric.resamples)].astype(float) @ sums
            scores[name] = Resampled(np.asarray(metric.value(sums.sum(axis=0))), np.asarray(metric.value(drawn)))
        found.append(scores)
    return found
