"""Peaks of many series at once: the highest of their surroundings, which stand out by their prominence."""

from __future__ import annotations

import numpy as np


def find_peaks(series: np.ndarray, day: np.ndarray, *, distance: int, prominence: np.ndarray) -> np.ndarray:
    """Return where the peaks of every series are, bool, shape (time, cell).

    A peak is higher than the values beside it, or the middle of a level stretch that is; of peaks less than
    ``distance`` apart the highest stays; and it stands at least ``prominence`` above the higher of the two
    lowest points on the way to higher values, or to the ends. Without gaps they are those of
    ``scipy.signal.find_peaks``; the loop is over peaks, all cells at once.

    Parameters
    ----------
    series : ndarray of float64, shape (time, cell)
        NaN where missing: nothing beside a missing value is a peak, and no prominence ends at one.
    day : ndarray of int, shape (time,)
        Increasing numbers of the steps, to know gaps by.
    distance : int
        In steps.
    prominence : ndarray, shape (cell,)
        In units of the series.

    Examples
    --------
    >>> series = np.array([0.0, 1.0, 0.0, 5.0, 5.0, 5.0, 2.0, 3.0, 0.0])[:, None]
    >>> np.flatnonzero(find_peaks(series, np.arange(9), distance=3, prominence=np.ones(1))).tolist()
    [1, 4, 7]
    """
    left = local_maxima(series, day)
    found = np.zeros_like(left)
    cells = np.arange(series.shape[1])
    while left.any():
        at = np.where(left, series, -np.inf).argmax(axis=0)
        some = left[at, cells] & (_prominence(series, at) >= prominence)
        found[at[some], cells[some]] = True
        left &= np.abs(day[:, None] - day[at]) >= distance
    return found


def local_maxima(series: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Return where a series is higher than on both sides, of a level stretch its middle; bool, shape (time, cell)."""
    times = len(series)
    row = np.arange(times)[:, None]
    step, joined = np.diff(series, axis=0), (np.diff(day) == 1)[:, None]
    edge = np.ones((1, series.shape[1]), bool)
    level = joined & (step == 0.0)
    start = np.maximum.accumulate(np.where(np.concatenate([edge, ~level]), row, 0), axis=0)
    end = np.minimum.accumulate(np.where(np.concatenate([~level, edge]), row, times)[::-1], axis=0)[::-1]
    rises = np.concatenate([~edge, joined & (step > 0.0)])
    falls = np.concatenate([joined & (step < 0.0), ~edge])
    alone = np.take_along_axis(rises, start, axis=0) & np.take_along_axis(falls, end, axis=0)
    return np.asarray(alone & (row == (start + end) // 2))


def _prominence(series: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return how far the values at ``at``, one a cell, stand above the way to higher ones, shape (cell,)."""
    row = np.arange(len(series))[:, None]
    height = series[at, np.arange(series.shape[1])]
    higher = series > height
    before = np.where(higher & (row < at), row, -1).max(axis=0)
    after = np.where(higher & (row > at), row, len(series)).min(axis=0)
    low = np.where(np.isnan(series), np.inf, series)
    sides = ((row > before) & (row <= at), (row >= at) & (row < after))
    return np.asarray(height - np.maximum(*(np.where(side, low, np.inf).min(axis=0) for side in sides)))
