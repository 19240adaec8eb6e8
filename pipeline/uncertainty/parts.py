"""Which samples a member is fitted on: all of them, blocks drawn with replacement, or all but a fold of years."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from pipeline.backend import array_namespace
from pipeline.backend.special import to_host
from pipeline.errors import ConfigError, DataError, TrainingError
from pipeline.lagged import Lagged
from pipeline.metrics.blocks import has_dates, make_blocks, months, year_of
from pipeline.prepare.arrays import beside
from pipeline.prepare.dates import microseconds
from pipeline.samples import Past, Samples
from pipeline.seeding import generator

Array = Any


@dataclass(frozen=True, order=True)
class Part:
    """A part of the train and validation splits.

    Parameters
    ----------
    bagged : bool
        Whether blocks of the train split are drawn with replacement, anew for every member (Kuensch 1989,
        doi:10.1214/aos/1176347265): weather of one day is no sample of its own.
    fold : int
        Number of the fold that is held out, 1 to ``folds``; 0: none.
    folds : int
        How many folds there are; 0: none.
    """

    bagged: bool = False
    fold: int = 0
    folds: int = 0

    @property
    def name(self) -> str:
        """What folders and seeds call it; empty for all samples as they are.

        Examples
        --------
        >>> Part().name, Part(bagged=True).name, Part(fold=2, folds=5).name
        ('', 'bag', 'fold-2-of-5')
        """
        fold = f"fold-{self.fold}-of-{self.folds}" if self.fold else ""
        return "-".join(word for word in (fold, "bag" if self.bagged else "") if word)

    def without(self, fold: Part) -> Part:
        """Return the same part less a fold."""
        return replace(self, fold=fold.fold, folds=fold.folds)


WHOLE = Part()
"""All samples, as they are."""
FEWEST_BLOCKS = 3
HARMONICS = 2  # of the cycle of the year


@dataclass(frozen=True, eq=False)
class Lesson:
    """What a fit on a part gets.

    Parameters
    ----------
    train, validation : Samples
        As in :meth:`pipeline.model.Model.fit`.
    held_out : Samples or None
        Samples that neither of the two has seen; None without folds.
    """

    train: Samples
    validation: Samples
    held_out: Samples | None


def lesson(part: Part, train: Samples, validation: Samples, *, seed: int, member: int = 0, gap: str = "0D") -> Lesson:
    """Return the samples of a part.

    With folds, train and validation together are cut into as many stretches of whole years (December to November; of
    seasons or steps where there are too few years) that follow one another. One is held out, the next one, or behind
    the last the first, is the validation split, and the others are learned from, less what lies within ``gap`` of
    either.

    Parameters
    ----------
    part : Part
        Which one.
    train, validation : Samples
        The splits, train first.
    seed : int
        Draws of blocks follow from it and ``member``.
    member : int
        Number of the member.
    gap : str
        Least time between two splits, such as ``10D``.

    Raises
    ------
    ConfigError
        If folds are asked of samples that have no dates.
    DataError
        If there are fewer stretches than folds, or nothing is left to learn from.
    """
    held_out = None
    if part.fold:
        whole = join(train, validation)
        fold = fold_of(whole.time, part.folds)
        following = part.fold % part.folds + 1
        out, check = fold == part.fold, fold == following
        rest = _apart(whole, out, gap) & _apart(whole, check, gap)
        check &= _apart(whole, out, gap)
        if not (rest.any() and check.any()):
            raise DataError(
                f"expected samples to learn from beside fold {part.fold} of {part.folds} and the one it is checked on, "
                f"got none with a gap of {gap}. Take more folds, or a shorter split.gap."
            )
        train = replace(_without_past(whole, rest, out, check).take(rest), name=train.name)
        validation = replace(_without_past(whole, check, out).take(check), name=validation.name)
        held_out = replace(whole.take(out), name="held_out")
    if part.bagged:
        train = train.take(drawn_blocks(train, generator(seed, f"blocks:{part.name}", member)))
    return Lesson(train, validation, held_out)


def drawn_blocks(samples: Samples, random: np.random.Generator) -> np.ndarray:
    """Return the positions of as many blocks as ``samples`` have, drawn with replacement, in the order of time.

    Blocks are those of the intervals of scores (:func:`pipeline.metrics.blocks.make_blocks`): whole years or seasons
    where there are enough, else runs longer than the target, less its cycle of the year, stays alike.

    Raises
    ------
    TrainingError
        If there are fewer than three blocks: draws would hardly differ.
    """
    edges = make_blocks(samples.time, _anomaly(samples)).edges
    if len(edges) < FEWEST_BLOCKS:
        raise TrainingError(
            f"expected at least {FEWEST_BLOCKS} blocks of time that are independent of each other to draw from, got "
            f"{len(edges)} in {samples.name}. Take a longer train split, or members that differ by their seed."
        )
    chosen = np.sort(random.integers(0, len(edges), len(edges)))
    return np.concatenate([np.arange(*edges[number]) for number in chosen])


def fold_of(time: np.ndarray, folds: int) -> np.ndarray:
    """Return the fold of every time, 1 to ``folds``: stretches of whole years of about equal length.

    Years go from December to November, so that no winter is cut. Where there are fewer years than folds, seasons are
    kept whole, and where there are fewer of these, single steps.

    Parameters
    ----------
    time : ndarray, shape (time,)
        Ascending dates.
    folds : int
        Two or more.

    Raises
    ------
    ConfigError
        If times are no dates.
    DataError
        If there are fewer times than folds.

    Examples
    --------
    >>> fold_of(np.array(["1990-12-01", "1991-02-01", "1991-12-01", "1992-01-01"], dtype="datetime64[D]"), 2).tolist()
    [1, 1, 2, 2]
    """
    if not has_dates(time):
        raise ConfigError(
            "expected dates to cut into folds of years, got numbered tiles of images. "
            "Calibrate on the validation split: leave out calibration.folds."
        )
    if len(time) < folds:
        raise DataError(f"expected at least {folds} samples for {folds} folds, got {len(time)}. Take fewer folds.")
    month = months(time)
    year = year_of(time) + (month == 12)
    for label in (year, year * 4 + month % 12 // 3, np.arange(len(time))):
        _, number, sizes = np.unique(label, return_inverse=True, return_counts=True)
        if len(sizes) >= folds:
            break
    ends, total = np.cumsum(sizes), sizes.sum()
    border, borders = 0, []
    for cut in range(1, folds):
        # The nearest end of a stretch, leaving one at least for this fold and each one behind it.
        nearest = int(np.argmin(np.abs(ends - total * cut / folds))) + 1
        border = min(max(nearest, border + 1), len(sizes) - folds + cut)
        borders.append(border)
    return np.asarray(np.searchsorted(borders, number, side="right") + 1)


def join(first: Samples, second: Samples) -> Samples:
    """Return the samples of two splits of one experiment one behind the other.

    Raises
    ------
    DataError
        If one has truth and the other has none, or the second begins before the first ends.
    """
    for name in ("target", "previous", "past", "valid", "usable"):
        if (getattr(first, name) is None) != (getattr(second, name) is None):
            raise DataError(
                f"expected {first.name} and {second.name} to have the same parts, got one of them without {name}."
            )
    if has_dates(first.time) and len(first) and len(second) and not first.time[-1] < second.time[0]:
        raise DataError(
            f"expected {second.name} after {first.name}, got {second.time[0]!s} and {first.time[-1]!s}. Splits by "
            "basin have the same dates: calibrate on the validation split."
        )
    one, two = first.lagged, second.lagged
    joint = one is not None and two is not None and one.values.shape == two.values.shape
    inputs = _lagged(one, two) if joint and one is not None and two is not None else _rows(first.inputs, second.inputs)
    return replace(
        first,
        name=f"{first.name} and {second.name}",
        inputs=inputs,
        target=_rows(first.target, second.target),
        previous=_rows(first.previous, second.previous),
        time=np.concatenate([first.time, second.time]),
        day=np.concatenate([first.day, second.day]),
        past=None if first.past is None or second.past is None else _past(first.past, second.past),
        valid=_rows(first.valid, second.valid),
        usable=_rows(first.usable, second.usable),
    )


def _lagged(first: Lagged, second: Lagged) -> Lagged:
    """Return windows on the same steps: all splits of an experiment share them."""
    index, now = (np.concatenate([getattr(first, name), getattr(second, name)]) for name in ("index", "now"))
    return replace(first, index=index, now=now)


def _past(first: Past, second: Past) -> Past:
    steps, last = (np.concatenate([getattr(first, name), getattr(second, name)]) for name in ("first", "last"))
    return replace(first, first=steps, last=last)


def _rows(first: Array | None, second: Array | None) -> Any:
    if first is None or second is None:
        return None
    return array_namespace(first, second).concat([first, second], axis=0)


def _apart(samples: Samples, out: np.ndarray, gap: str) -> np.ndarray:
    """Return which samples, from their own time to that of their last answer, are ``gap`` away from a fold."""
    least = pd.Timedelta(gap).total_seconds() * 1e6
    first = microseconds(samples.time)
    last = np.maximum(first, microseconds(samples.valid_time(max(samples.schema.leads))))
    begin, end = first[out].min(), last[out].max()
    return np.asarray(((last < begin) & (begin - last >= least)) | ((first > end) & (first - end >= least)))


def _without_past(samples: Samples, chosen: np.ndarray, *folds: np.ndarray) -> Samples:
    """Return the samples, of which those chosen behind a fold know no truth of it: neither run nor step before."""
    past, previous = samples.past, samples.previous
    if past is not None:
        own = past.last if min(samples.schema.leads) > 0 else past.last + 1
        first = past.first
        for fold in folds:
            end = own[fold].max() + max(samples.schema.leads)
            first = np.where(chosen & (own > own[fold].max()), np.maximum(first, end + 1), first)
        past = replace(past, first=first)
    if previous is not None:
        behind = np.zeros(len(samples), bool)
        for fold in folds:
            behind |= np.concatenate([[False], fold[:-1]]) & chosen & ~fold
        if behind.any():
            xp = array_namespace(previous)
            lost = beside(behind, previous)[:, None, None, None]
            previous = xp.where(lost, xp.full_like(previous, xp.nan), previous)
    return replace(samples, past=past, previous=previous)


def _anomaly(samples: Samples) -> np.ndarray:
    """Return the mean of the target over cells less its cycle of the year, shape (time,); NaN where there is none."""
    if samples.target is None:
        raise DataError(f"{samples.name}: expected truth to draw blocks of, got a split without.")
    target = np.asarray(to_host(samples.target), float).reshape(len(samples), -1)
    known = np.isfinite(target)
    count = known.sum(axis=1)
    mean = np.where(known, target, 0.0).sum(axis=1) / np.maximum(count, 1)
    there = count > 0
    angle = 2.0 * np.pi * samples.day[:, None] * np.arange(1, HARMONICS + 1)
    waves = np.concatenate([np.ones((len(samples), 1)), np.cos(angle), np.sin(angle)], axis=1)
    fitted = waves @ np.linalg.lstsq(waves[there], mean[there], rcond=None)[0]
    return np.where(there, mean - fitted, np.nan)
