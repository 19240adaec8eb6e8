"""Peaks of daily series, as ``scipy.signal.find_peaks`` finds them, where values or days may be missing."""

from __future__ import annotations

import numpy as np


def find_peaks(series: np.ndarray, day: np.ndarray, *, distance: int, prominence: np.ndarray) -> np.ndarray:
    """Return where the peaks of every series are, bool, shape (time, cell).

    A peak is higher than the values beside it, or the middle of a level stretch that is; of peaks less than
    ``distance`` apart the highest stays, of equal ones that which ``scipy.signal.find_peaks`` keeps; and it stands at
    least ``prominence`` above the higher of the two lowest points on the way to higher values, or to the ends. Without
    gaps they are those of SciPy. The loop is over series: about a millisecond for fifty years of days.

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
    from scipy import signal

    found = np.zeros(series.shape, bool)
    # Every day has a place, and NaN is neither below nor above a value: beside it there is no peak.
    place = day - day[0] if len(day) else day
    even = np.full(int(place[-1]) + 1 if len(day) else 0, np.nan)
    row = np.full(len(even), -1)
    row[place] = np.arange(len(day))
    for cell in range(series.shape[1]):
        even[place] = series[:, cell]
        known = np.flatnonzero(~np.isnan(even))
        peaks, _ = signal.find_peaks(even, distance=distance)
        # Prominence is looked for over the known values alone, so that it does not end at a gap.
        height = signal.peak_prominences(even[known], np.searchsorted(known, peaks))[0]
        found[row[peaks[height >= prominence[cell]]], cell] = True
    return found
