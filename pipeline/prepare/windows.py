"""Which steps make a sample: lags and the step before, never across a gap or a split's border."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.errors import DataError, SplitError
from pipeline.prepare.dates import DAY

_EVEN = 0.6  # share of gaps; monthly values of three months of the year have two thirds, picked days a third
TOLERANCE = 1.5  # steps; months are 28 to 31 days long and still one step apart


@dataclass(frozen=True, eq=False)
class Windows:
    """The samples of one split as positions on the time axis.

    Parameters
    ----------
    index : ndarray of int64, shape (sample, lag)
        Steps whose predictors make the sample, in the order of the lags.
    now : ndarray of int64, shape (sample,)
        The sample's own step: the last whose predictors it has.
    previous : ndarray of int64, shape (sample,)
        The last step whose truth is known: the one before, or with leads of 1 and more the sample's own; -1 where
        the step before lies across a gap or in another split.
    ahead : ndarray of int64, shape (sample, lead)
        The steps that are answered, -1 where one lies across a gap or in another split.
    first : ndarray of int64, shape (sample,)
        First step of the sample's run without a gap.
    segments : int
        Number of runs of consecutive steps (seasons, where the months are chosen).
    steps : int
        Steps of the split before any were dropped.
    dropped : mapping of str to int
        How many steps make no sample, by reason; one that has several reasons counts for the first.
    truth : bool
        Whether the split has a truth at all.
    """

    index: np.ndarray
    now: np.ndarray
    previous: np.ndarray
    ahead: np.ndarray
    first: np.ndarray
    segments: int
    steps: int
    dropped: Mapping[str, int]
    truth: bool

    def take(self, chosen: np.ndarray) -> Windows:
        """Return the samples at the positions ``chosen``, or where that mask is true."""
        parts = {part: getattr(self, part)[chosen] for part in ("index", "now", "previous", "ahead", "first")}
        return replace(self, **parts)


def usual_step(count: np.ndarray, what: str = "time") -> int:
    """Return the median time between two steps [us].

    Raises
    ------
    DataError
        If there are fewer than two steps.
    """
    if len(count) < 2:
        raise DataError(f"{what}: expected two steps or more, got {len(count)}.")
    return int(np.median(np.diff(count)))


def require_step(count: np.ndarray, wanted: int, what: str, step: int | None = None) -> None:
    """Refuse times that are not a model's: finer than it was trained on, or evenly coarser.

    A day's model answers no hours and no months. Dates that were picked (the hottest, the wettest) are further
    apart, unevenly; they are welcome, and lags still reach back by the model's own step.

    Parameters
    ----------
    count : ndarray of int64
        Ascending times [us].
    wanted : int
        Step of the training data [us].
    step : int, optional
        Usual time between two [us], where ``count`` is a few of a longer series; else it is worked out.

    Raises
    ------
    DataError
        If they are of another step.

    Examples
    --------
    >>> require_step(np.arange(3) * DAY, DAY, "era5")
    >>> require_step(np.arange(3) * DAY // 4, DAY, "era5")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    pipeline.errors.DataError: era5: expected a step of 1 day, which the models were trained on, got 6 hours; ...
    """
    gaps = np.diff(count)
    step = step or usual_step(count, what)
    finer = TOLERANCE * step < wanted
    even = (gaps < TOLERANCE * step) & (gaps * TOLERANCE > step)  # some are not: the gaps between chosen months
    coarser = step > TOLERANCE * wanted and len(gaps) > 0 and even.mean() > _EVEN
    if finer or coarser:
        do = "average the values over that step first" if finer else "give values of that step"
        said = f"expected a step of {_length(wanted)}, which the models were trained on, got {_length(step)}"
        raise DataError(f"{what}: {said}; {do}.")


def _length(step: int) -> str:
    """Return a step [us] in words."""
    for unit, name in ((DAY, "day"), (DAY // 24, "hour"), (DAY // 86_400, "second")):
        if step >= unit:
            return f"{step / unit:.3g} {name}{'' if step == unit else 's'}"
    return f"{step} us"


def segments(count: np.ndarray, step: int) -> np.ndarray:
    """Return the number of the run of consecutive steps that each step belongs to, from 0.

    Parameters
    ----------
    count : ndarray of int64, shape (time,)
        Ascending times [us].
    step : int
        Usual time between two steps [us]; more than one and a half of it is a gap.

    Examples
    --------
    >>> segments(np.array([0, 1, 2, 9, 10]), 1).tolist()
    [0, 0, 0, 1, 1]
    """
    return np.concatenate([np.zeros(min(1, len(count)), int), np.cumsum(np.diff(count) > TOLERANCE * step)])


def lagged(segment: np.ndarray, lag: int) -> np.ndarray:
    """Return the position ``lag`` steps back (ahead, where it is negative) in the same segment, -1 where there is none.

    Examples
    --------
    >>> lagged(np.array([0, 0, 0, 1, 1]), 1).tolist()
    [-1, 0, 1, -1, 3]
    """
    here = np.arange(len(segment))
    back = here - lag
    known = np.clip(back, 0, max(0, len(segment) - 1))
    inside = (back == known) & (segment[known] == segment)
    return np.where(inside, back, -1)


def windows(
    name: str,
    position: np.ndarray,
    count: np.ndarray,
    step: int,
    lags: Sequence[int],
    complete: np.ndarray,
    truth: np.ndarray | None,
    leads: Sequence[int] = (0,),
) -> Windows:
    """Return the samples of the split called ``name``.

    Parameters
    ----------
    position : ndarray of int64
        Ascending positions of the split on the time axis; nothing outside them is used.
    count : ndarray of int64, shape (time,)
        Times of the whole axis [us].
    step : int
        Usual time between two steps [us].
    lags : sequence of int
        Steps back whose predictors make a sample.
    complete : ndarray of bool, shape (time,)
        Whether all predictors of a step are there.
    truth : ndarray of bool, shape (time,), or None
        Whether a step has any truth; None for a test set without truth.
    leads : sequence of int
        Steps ahead that are answered; a sample has truth at one of them or more.

    Raises
    ------
    SplitError
        If no sample is left.
    """
    segment = segments(count[position], step)
    longest = int(np.bincount(segment).max()) if len(segment) else 0
    # Without truth a lead may lie beyond the data: it is predicted all the same.
    first = min(leads) if truth is not None else 0
    if longest <= max(lags) + first:
        raise SplitError(
            f"split {name!r}: expected {max(lags) + first + 1} steps in a row or more, for a window of "
            f"{max(lags) + 1} and a first lead of {first}, got {longest} at most. Shorten prepare.inputs.window "
            "(or lags), lengthen the split, or keep more months in a row (data.months)."
        )
    local = np.stack([lagged(segment, lag) for lag in lags], axis=1)
    onward = np.stack([lagged(segment, -lead) for lead in leads], axis=1)
    there = onward >= 0
    tests = {
        "missing lag": (local >= 0).all(axis=1),
        "missing predictor": complete[position[np.maximum(local, 0)]].all(axis=1),
        "no truth": np.ones(len(position), bool)
        if truth is None
        else (truth[position[np.maximum(onward, 0)]] & there).any(axis=1),
    }
    kept = np.ones(len(position), bool)
    dropped: dict[str, int] = {}
    for reason, passed in tests.items():
        dropped[reason] = int((kept & ~passed).sum())
        kept &= passed
    if not kept.any():
        why = ", ".join(f"{number} {reason}" for reason, number in dropped.items() if number)
        raise SplitError(f"split {name!r} has {len(position)} steps, and no sample is left of them: {why}.")
    before = lagged(segment, 0 if min(leads) else 1)
    starts = np.searchsorted(segment, segment)
    return Windows(
        index=position[local[kept]],
        now=position[kept],
        previous=np.where(before >= 0, position[np.maximum(before, 0)], -1)[kept],
        ahead=np.where(there, position[np.maximum(onward, 0)], -1)[kept],
        first=position[starts[kept]],
        segments=int(segment[-1]) + 1,
        steps=len(position),
        dropped=dropped,
        truth=truth is not None,
    )


def with_truth(chosen: Windows, truth: np.ndarray, usable: np.ndarray, name: str) -> Windows:
    """Return the samples that have truth at a station that has predictors, too.

    Parameters
    ----------
    chosen : Windows
        Of a table; without truth they stay as they are.
    truth, usable : ndarray of bool, shape (time, lat, lon)
        Stations of each step with truth, and with all their predictors.
    name : str
        Of the split.

    Raises
    ------
    SplitError
        If no sample is left.
    """
    if not chosen.truth:
        return chosen
    inputs = usable[chosen.now]
    for index in chosen.index.T:
        inputs = inputs & usable[index]
    known = np.zeros(len(chosen.now), bool)
    for index in chosen.ahead.T:
        there = truth[np.maximum(index, 0)] & inputs
        known |= (index >= 0) & there.reshape(len(known), -1).any(axis=1)
    if known.all():
        return chosen
    if not known.any():
        raise SplitError(f"split {name!r}: expected a station with both truth and predictors at some step, got none.")
    lost = {**chosen.dropped, "no truth": chosen.dropped.get("no truth", 0) + int((~known).sum())}
    return replace(chosen.take(known), dropped=lost)


def require_every_lead(chosen: Mapping[str, Windows], known: np.ndarray, leads: Sequence[int]) -> None:
    """Refuse a lead that reaches behind the end of every run of train or validation.

    Raises
    ------
    SplitError
        If there is one.
    """
    for name in ("train", "validation"):
        for lead, index in zip(leads, chosen[name].ahead.T, strict=True):
            if not (known[np.maximum(index, 0)] & (index >= 0)).any():
                raise SplitError(
                    f"split {name!r}: expected truth {lead} steps ahead of some sample, got none: no run of steps is "
                    "that long. Leave the lead out of prepare.target.leads, or lengthen the split."
                )
