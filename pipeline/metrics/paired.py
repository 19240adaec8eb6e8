"""The interval of a difference of errors where the truth alone has too few independent times for one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pipeline.backend import array_namespace
from pipeline.backend.special import to_host
from pipeline.metrics.blocks import ENOUGH_BLOCKS, make_blocks
from pipeline.metrics.bootstrap import Interval, difference_interval, resample
from pipeline.metrics.case import Case
from pipeline.metrics.groups import Group
from pipeline.metrics.tables import Comparison
from pipeline.prediction._arrays import wide

Array = Any
PAIRED = ("rmse", "mae", "crps")
"""Scores that are means over time (the root of one) of a loss at every time."""


def with_intervals(
    rows: Iterable[Comparison],
    groups: Sequence[Group],
    cases: Mapping[str, Case],
    weights: np.ndarray,
    *,
    seed: int,
    purpose: str,
    resamples: int,
) -> Iterator[Comparison]:
    """Yield rows; those of :data:`PAIRED` that have no interval, for want of blocks, with that of the difference.

    Parameters
    ----------
    rows : iterable of Comparison
        Of one variable.
    groups : sequence of Group
        That they are of.
    cases : mapping of str to Case
        By model; none for scores of two variables, whose rows stay as they are.
    weights, seed, purpose, resamples
        As for :func:`paired_interval`.
    """
    by_name = {name: group for group in groups for name in group.names}
    for row in rows:
        group = by_name[row.group]
        if not cases or row.metric not in PAIRED or group.of_month or len(group.blocks) >= ENOUGH_BLOCKS:
            yield row
            continue
        model, reference = cases[row.model], cases[row.reference]
        found = paired_interval(
            row.metric, model, reference, group, weights, seed=seed, purpose=purpose, resamples=resamples
        )
        yield replace(row, low=float(found.low), high=float(found.high))


def paired_interval(
    metric: str,
    model: Case,
    reference: Case,
    group: Group,
    weights: np.ndarray,
    *,
    seed: int,
    purpose: str,
    resamples: int,
) -> Interval:
    """Return the 95 % interval of a model's score less the reference's, from blocks of their own difference.

    Blocks for a score are as long as the truth remembers: an index that swings for years has few of them in a
    decade, and a score no interval. The difference of two models' losses forgets much faster, since both are wrong
    together, and its own decorrelation time is what the blocks of a paired comparison have to outlast (Diebold and
    Mariano 1995, doi:10.1080/07350015.1995.10524599). The interval is that of
    :func:`~pipeline.metrics.bootstrap.difference_interval`, NaN where that leaves fewer than eight blocks, too. Of two
    models as good it leaves zero out in 2 to 8 cases of 100, held by a test for ten years of months of errors without
    memory and with some; where the memory is so long that hardly eight blocks are left it is estimated from little.

    Parameters
    ----------
    metric : str
        One of :data:`PAIRED`.
    model, reference : Case
        With the same truth.
    group : Group
        The times.
    weights : ndarray, shape (cell,)
        Area weights.
    seed, purpose, resamples
        Of the bootstrap; the same for all models.
    """
    count, own = _losses(metric, model, group, weights)
    _, other = _losses(metric, reference, group, weights)
    known = count > 0.0
    gap = np.where(known, own - other, np.nan) / np.where(known, count, 1.0)
    blocks = make_blocks(np.asarray(model.time)[group.index], gap)
    if len(blocks) < ENOUGH_BLOCKS:
        return Interval(np.asarray(np.nan), np.asarray(np.nan))
    drawn = resample(len(blocks), seed, f"{purpose}:{group.names[0]}:paired", count=resamples)
    drawn = np.concatenate([np.ones((1, len(blocks)), drawn.dtype), drawn])  # the times themselves come first
    sums = [np.add.reduceat(part, blocks.edges[:, 0]) for part in (count, own, other)]
    times, mine, theirs = (drawn @ part for part in sums)
    means = [np.where(times > 0.0, part, np.nan) / np.where(times > 0.0, times, 1.0) for part in (mine, theirs)]
    if metric == "rmse":
        means = [np.sqrt(part) for part in means]
    gaps = means[0] - means[1]
    return difference_interval(gaps[0], gaps[1:], len(blocks))


def _losses(metric: str, case: Case, group: Group, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the area with truth and the loss added up over it, both of every time of the group, float64."""
    if metric == "crps":
        (loss,) = wide(case.crps)
    else:
        mean, truth = wide(case.mean, case.truth)
        loss = (mean - truth) ** 2 if metric == "rmse" else array_namespace(mean).abs(mean - truth)
    valid = to_host(case.valid)[group.index]
    area = np.where(valid, weights, 0.0)
    values = np.where(valid, to_host(loss)[group.index], 0.0)
    return area.sum(axis=1), (area * values).sum(axis=1)
