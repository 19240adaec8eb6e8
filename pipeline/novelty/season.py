"""How unusual the season around a sample is: days that are usual one by one may make a season that never was.

A warming smaller than the deviation of the daily weather leaves nearly every day inside the train climate. Of the mean
over a season it is several deviations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.metrics.blocks import months, year_of
from pipeline.novelty.climate import Climate, Moments
from pipeline.novelty.folds import Folds
from pipeline.novelty.reference import LEAST, REACH, Judged, Reference
from pipeline.prepare.climatology import harmonics_of
from pipeline.prepare.dates import microseconds

DAYS = round(2 * REACH * 365.25)
_YEAR = 365.25 * 86_400e6  # [us]
_LEAST = 5  # samples in a season, for a mean of them to say more than each
_EACH = 5  # seasons a component
_PART = 1 / 3  # of the samples that seasons usually hold, for a mean to count


@dataclass(frozen=True, eq=False)
class Season:
    """Moving means over 91 days of the area means of all channels, less the mean annual cycle.

    Parameters
    ----------
    harmonics : int
        Waves of the cycle.
    cycle : ndarray of float64, shape (wave, channel)
        Their coefficients.
    climate : Climate
        Of the moving means, on the host.
    reference : Reference
        Of train: of years left out in turn.
    """

    harmonics: int
    cycle: np.ndarray
    climate: Climate
    reference: Reference

    @classmethod
    def fit(cls, means: np.ndarray, time: np.ndarray, phase: np.ndarray, folds: Folds, harmonics: int) -> Season | None:
        """Return what was fitted on train; None without years to leave out, or with samples too few or too far apart.

        Parameters
        ----------
        means : ndarray of float64, shape (time, channel)
            Area means of train; rows with NaN are left out.
        time, phase : ndarray, shape (time,)
            Increasing dates, and their phases of the year.
        folds : Folds
            Of the dates.
        harmonics : int
            Waves of the annual cycle.
        """
        known = np.isfinite(means).all(axis=1)
        if folds.kind != "years" or known.sum() < 2:
            return None
        means, time, phase, fold = means[known], time[known], phase[known], folds.of[known]
        if np.median(_counts(time)) < _LEAST:
            return None
        # Neighbouring means share most of their days: seasons are counted, not days.
        seasons = len(np.unique(year_of(time) * 12 + (months(time) - 1) // 3))
        most = max(1, seasons // _EACH)
        groups = np.arange(means.shape[1])
        cycle, climate = _fitted(means, time, phase, harmonics, groups, most, None)
        found = []
        for number in np.unique(fold):
            out = fold == number
            held_cycle, held = _fitted(means[~out], time[~out], phase[~out], harmonics, groups, most, climate)
            moved = moving(means[out] - harmonics_of(phase[out], harmonics) @ held_cycle, time[out])
            found.append(np.stack([*held.distances(moved, phase[out]), phase[out]]))
        whole = np.concatenate(found, axis=1)
        distance, residual, at = whole[:, np.isfinite(whole).all(axis=0)]
        if len(distance) < LEAST:
            return None
        return cls(harmonics, cycle, climate, Reference(distance, residual, at, climate.total**0.5))

    def judge(self, means: np.ndarray, time: np.ndarray, phase: np.ndarray) -> Judged:
        """Return how unusual the season around each date of one split is; arguments as of :meth:`fit`."""
        moved = moving(means - harmonics_of(phase, self.harmonics) @ self.cycle, time)
        return self.reference.judge(*self.climate.distances(moved, phase), phase)


def _fitted(
    means: np.ndarray,
    time: np.ndarray,
    phase: np.ndarray,
    harmonics: int,
    groups: np.ndarray,
    most: int,
    like: Climate | None,
) -> tuple[np.ndarray, Climate]:
    cycle = np.linalg.pinv(harmonics_of(phase, harmonics)) @ means
    moved = moving(means - harmonics_of(phase, harmonics) @ cycle, time)
    moved, at = moved[np.isfinite(moved).all(axis=1)], phase[np.isfinite(moved).all(axis=1)]
    scale, count = (None, None) if like is None else (like.scale, like.count)
    return cycle, Climate.fit(Moments.of(moved, at, 0), groups, most=most, scale=scale, count=count)


def moving(values: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Return means over an eighth of a year before and after each time, shape (time, channel).

    NaN where fewer than a third of the usual number of samples are known there: at the end of a split half of them are.

    Parameters
    ----------
    values : ndarray of float64, shape (time, channel)
        NaN where missing.
    time : ndarray, shape (time,)
        Increasing ``datetime64`` or cftime objects.

    Examples
    --------
    >>> time = np.arange("2001-01-01", "2002-01-01", dtype="datetime64[D]")
    >>> moving(np.ones((365, 1)), time)[[0, 200]].tolist()
    [[1.0], [1.0]]
    """
    known = np.isfinite(values).all(axis=1)
    first, last = _edges(time)
    count = np.concatenate([[0], np.cumsum(known)])
    total = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(np.where(known[:, None], values, 0.0), axis=0)])
    number = count[last] - count[first]
    enough = number >= max(1.0, _PART * float(np.median(last - first)))
    mean = (total[last] - total[first]) / np.maximum(number, 1)[:, None]
    return np.asarray(np.where(enough[:, None], mean, np.nan))


def _edges(time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    count = microseconds(time)
    half = int(REACH * _YEAR)
    return np.searchsorted(count, count - half, "left"), np.searchsorted(count, count + half, "right")


def _counts(time: np.ndarray) -> np.ndarray:
    first, last = _edges(time)
    return np.asarray(last - first)
