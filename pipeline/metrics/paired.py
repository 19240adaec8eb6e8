"""What paired losses say of a difference: its interval where the truth has too few blocks for one, and its tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from pipeline.metrics._losses import OWN, PAIRED, USUAL, Losses
from pipeline.metrics.blocks import ENOUGH_BLOCKS, FEWEST_BLOCKS, make_blocks
from pipeline.metrics.bootstrap import Interval, difference_interval, resample
from pipeline.metrics.groups import Group
from pipeline.metrics.paired_tests import diebold_mariano, sign_test
from pipeline.metrics.tables import Comparison, Score


def with_paired(
    rows: Iterable[Comparison],
    groups: Sequence[Group],
    losses: Mapping[str, Losses],
    time: np.ndarray,
    *,
    ahead: int,
    seed: int,
    purpose: str,
    resamples: int,
) -> Iterator[Comparison]:
    """Yield rows; those of ``rmse``, ``mae`` and ``crps`` with their tests, and an interval where they had none.

    Rows of months of the year stay as they are: twelve tests of a model would find something somewhere.

    Parameters
    ----------
    rows : iterable of Comparison
        Of one variable.
    groups : sequence of Group
        That they are of.
    losses : mapping of str to Losses
        By model; none for scores of two variables, whose rows stay as they are.
    time : ndarray, shape (time,)
        Of all groups.
    ahead : int
        How many steps ahead the forecasts are, at least 1.
    seed, purpose, resamples
        As for :func:`paired_interval`.
    """
    by_name = {name: group for group in groups for name in group.names}
    for row in rows:
        group = by_name[row.group]
        if not losses or row.metric not in PAIRED or group.of_month:
            yield row
            continue
        model, reference = losses[row.model], losses[row.reference]
        gap, dates = model.less(reference, row.metric, group.index), time[group.index]
        row = replace(row, p_dm=diebold_mariano(dates, gap, ahead=ahead).p, p_sign=sign_test(dates, gap))
        if len(group.blocks) < ENOUGH_BLOCKS:
            found = paired_interval(
                row.metric, model, reference, group, time, seed=seed, purpose=purpose, resamples=resamples
            )
            row = replace(row, low=float(found.low), high=float(found.high))
        yield row


def with_skill(
    rows: Iterable[Score],
    groups: Sequence[Group],
    losses: Losses,
    time: np.ndarray,
    *,
    seed: int,
    purpose: str,
    resamples: int,
) -> Iterator[Score]:
    """Yield the rows of a model; those of ``crpss`` with an interval where the truth has too few blocks for one.

    The skill is the difference of two mean losses, in units of that of the climatology: what it is over these times is
    taken as known, so that the interval holds zero where that of the difference does. It ends at 1.

    Parameters
    ----------
    rows : iterable of Score
        Of one model and variable.
    groups, time, seed, purpose, resamples
        As for :func:`with_paired`.
    losses : Losses
        Of the model; its scores of the climatology stand for the reference.
    """
    by_name = {name: group for group in groups for name in group.names}
    for row in rows:
        group = by_name.get(row.group)
        few = group is not None and not group.of_month and len(group.blocks) < ENOUGH_BLOCKS
        if group is None or not few or row.metric != "crpss" or USUAL not in losses.sums:
            yield row
            continue
        own, usual = (Losses(losses.area, {"crps": losses.sums[name]}) for name in (OWN, USUAL))
        found = paired_interval("crps", own, usual, group, time, seed=seed, purpose=purpose, resamples=resamples)
        total, area = float(usual.sums["crps"][group.index].sum()), float(losses.area[group.index].sum())
        if not total > 0.0:  # a climatology that does not err
            yield row
            continue
        low, high = (-float(end) * area / total for end in (found.high, found.low))
        yield replace(row, low=low, high=min(1.0, high))


def paired_interval(
    metric: str,
    model: Losses,
    reference: Losses,
    group: Group,
    time: np.ndarray,
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
    :func:`~pipeline.metrics.bootstrap.difference_interval`, NaN where fewer than three blocks are left. Of two
    models as good it leaves zero out in 2 to 8 cases of 100, held by a test for ten years of months of errors without
    memory and with some, and in up to 15 where they remember for a year. To ask for eight blocks as for a score would
    leave zero out in 15 to 33 then: what is left are the cases whose memory was taken for too short.

    Parameters
    ----------
    metric : str
        ``rmse``, ``mae`` or ``crps``.
    model, reference : Losses
        With the same truth.
    group : Group
        Which times.
    time : ndarray, shape (time,)
        All times.
    seed, purpose, resamples
        Of the bootstrap; the same for all models.
    """
    count, own, other = (part[group.index] for part in (model.area, model.sums[metric], reference.sums[metric]))
    blocks = make_blocks(time[group.index], model.less(reference, metric, group.index))
    if len(blocks) < FEWEST_BLOCKS:
        return Interval(np.asarray(np.nan), np.asarray(np.nan))
    drawn = resample(len(blocks), seed, f"{purpose}:{group.names[0]}:paired", count=resamples)
    drawn = np.concatenate([np.ones((1, len(blocks)), drawn.dtype), drawn])  # the times themselves come first
    sums = [np.add.reduceat(part, blocks.edges[:, 0]) for part in (count, own, other)]
    times, mine, theirs = (drawn @ part for part in sums)
    means = [np.where(times > 0.0, part, np.nan) / np.where(times > 0.0, times, 1.0) for part in (mine, theirs)]
    if metric == "rmse":
        means = [np.sqrt(part) for part in means]
    gaps = means[0] - means[1]
    return difference_interval(gaps[0], gaps[1:], len(blocks), least=FEWEST_BLOCKS)
