"""Rows of ``scores.csv``, ``comparisons.csv`` and of samplings, from scores with their bootstrap values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.metrics import METRICS
from pipeline.metrics.bootstrap import difference_interval, percentile_interval
from pipeline.metrics.groups import Group, Sampling
from pipeline.metrics.sums import Resampled
from pipeline.metrics.tables import Comparison, Score


@dataclass(frozen=True, eq=False)
class Part:
    """What was scored together: a group of times, or a class in it.

    Parameters
    ----------
    names : tuple of str
        What the rows say as group; several where they hold the same times.
    blocks : int
        Number of bootstrap blocks.
    times : int
        Number of times with truth.
    scores : mapping of str to mapping of str to Resampled
        By model and metric.
    """

    names: tuple[str, ...]
    blocks: int
    times: int
    scores: Mapping[str, Mapping[str, Resampled]]


def score_rows(
    model: str, parts: Sequence[Part], *, split: str, variable: str, units: Mapping[str, str]
) -> Iterator[Score]:
    """Yield the scores of a model; ``units`` are by metric."""
    for part in parts:
        found = part.scores[model]
        intervals = {
            name: percentile_interval(score.draws, score.blocks or part.blocks) for name, score in found.items()
        }
        for label in part.names:
            for name, score in found.items():
                yield Score(
                    model=model,
                    split=split,
                    variable=variable,
                    group=label,
                    metric=name,
                    value=float(score.value),
                    units=units[name],
                    low=float(intervals[name].low),
                    high=float(intervals[name].high),
                    n=part.times,
                )


def comparison_rows(
    model: str, reference: str | None, parts: Sequence[Part], *, split: str, variable: str
) -> Iterator[Comparison]:
    """Yield the differences of a model to the reference, for the scores that both have; none without a reference."""
    if reference is None or model == reference:
        return
    for part in parts:
        found, other = part.scores[model], part.scores[reference]
        for label in part.names:
            for name in (name for name in found if name in other):
                base, difference = float(other[name].value), float(found[name].value - other[name].value)
                draws, blocks = found[name].draws - other[name].draws, found[name].blocks or part.blocks
                interval = difference_interval(np.asarray(difference), draws, blocks)
                yield Comparison(
                    model=model,
                    reference=reference,
                    split=split,
                    variable=variable,
                    group=label,
                    metric=name,
                    difference=difference,
                    low=float(interval.low),
                    high=float(interval.high),
                    relative=difference / base if _is_error(name) and base > 0.0 else math.nan,
                    n=part.times,
                )


def sampling_rows(groups: Sequence[Group], times: Sequence[int], *, split: str, variable: str) -> Iterator[Sampling]:
    """Yield how much every group of times can tell; ``times`` says how many of each have truth."""
    for group, number in zip(groups, times, strict=True):
        blocks = group.blocks
        for label in group.names:
            yield Sampling(
                split=split,
                variable=variable,
                group=label,
                times=number,
                blocks=len(blocks),
                kind=blocks.kind,
                decorrelation=blocks.decorrelation,
                independent=blocks.independent,
            )


def _is_error(name: str) -> bool:
    """Whether a score is a size of errors, zero at best: a share of it can be said."""
    metric = METRICS.get(name)
    return metric.better == "lower" and metric.perfect == 0.0
