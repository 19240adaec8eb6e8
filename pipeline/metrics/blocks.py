"""Blocks of time for the bootstrap, and how many independent samples a split holds."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.errors import DataError
from pipeline.prepare.dates import elapsed

SEASONS = ("DJF", "MAM", "JJA", "SON")
ENOUGH_BLOCKS = 8  # fewer whole years or seasons than this make a poor bootstrap
FEWEST_BLOCKS = 3  # of a difference whose interval goes by Student's t
ENOUGH_SAMPLES = 30
BLOCK_LENGTH = 3.0  # in decorrelation times: 2 leave the interval of an AR(1) process short, 4 leave few blocks
_SURE = 1.96  # deviations
_WINDOW = 5.0  # Sokal's: the sum of autocorrelations stops at this many decorrelation times


@dataclass(frozen=True, eq=False)
class Blocks:
    """Stretches of time that are drawn whole.

    Parameters
    ----------
    kind : {"years", "seasons", "runs", "strips", "samples"}
        Meteorological years (December to November), seasons of a year, runs of about equal length
        that never cross a gap longer than themselves, neighbouring strips of an image that never go on in another
        one, or single samples that have no dates.
    edges : ndarray of int, shape (block, 2)
        First time of each block and the one behind its last.
    decorrelation : float
        Decorrelation time of the truth, in time steps; of images its decorrelation length in strips.
    independent : float
        Number of times by the decorrelation time, or of strips by the length.

    Examples
    --------
    >>> time = np.arange("1990-12-01", "2000-12-01", dtype="datetime64[D]")
    >>> blocks = make_blocks(time, np.random.default_rng(0).normal(size=len(time)))
    >>> blocks.kind, len(blocks.edges)
    ('years', 10)
    """

    kind: str
    edges: np.ndarray
    decorrelation: float
    independent: float

    def __len__(self) -> int:
        return len(self.edges)


def has_dates(time: np.ndarray) -> bool:
    """Whether times are dates, not numbers of samples."""
    return not np.issubdtype(time.dtype, np.integer)


def months(time: np.ndarray) -> np.ndarray:
    """Return the month, 1 to 12, of ``datetime64`` or cftime times."""
    return _part(time, "month")


def year_of(time: np.ndarray) -> np.ndarray:
    """Return the calendar year of ``datetime64`` or cftime times."""
    return _part(time, "year")


def usual_step(time: np.ndarray) -> float:
    """Return the step between two times with nothing missing [s]; NaN of fewer than two times.

    Examples
    --------
    >>> usual_step(np.array(["2001-01-01", "2001-01-02", "2001-01-05"], dtype="datetime64[D]"))
    86400.0
    """
    return _usual(_steps(time)) if len(time) > 1 else float("nan")


def runs_of(time: np.ndarray) -> np.ndarray:
    """Return the number of the run of consecutive times that each belongs to: a gap is longer than 1.5 usual steps.

    Examples
    --------
    >>> runs_of(np.array(["2001-01-01", "2001-01-02", "2001-01-05"], dtype="datetime64[D]")).tolist()
    [0, 0, 1]
    """
    return _runs(_steps(time), 1.5)


def seasons(time: np.ndarray) -> np.ndarray:
    """Return the season of every time, a name of ``SEASONS``.

    Examples
    --------
    >>> seasons(np.array(["1999-12-31", "2000-07-01"], dtype="datetime64[D]")).tolist()
    ['DJF', 'JJA']
    """
    return np.asarray(np.asarray(SEASONS)[months(time) % 12 // 3])


def make_blocks(time: np.ndarray, series: np.ndarray, *, one_month: bool = False) -> Blocks:
    """Return the blocks of a split.

    Whole years where there are eight or more and each is longer than a block must be, else whole
    seasons by the same rule, else runs of three decorrelation times or more. Weather outlasts a few
    missing days: only a gap longer than a block ends a run.

    Parameters
    ----------
    time : ndarray, shape (time,)
        Increasing ``datetime64`` or cftime objects, or whole numbers of samples without dates: each is a block of
        its own then. Tiles of images have blocks of their own, :func:`strip_blocks`.
    series : ndarray, shape (time,)
        One number a time that stands for the split, such as the area mean of the truth's anomaly;
        NaN where there is none.
    one_month : bool
        Whether the times are of one month of every year. If each year has then a single value, as of monthly
        data, single years are the blocks unless neighbouring years are surely alike: decorrelation times
        estimated from so few values are mostly noise, and three of them a block would leave hardly any.

    Raises
    ------
    DataError
        If times do not increase.
    """
    if not has_dates(time):
        each = np.arange(len(time))
        return Blocks("samples", np.stack([each, each + 1], axis=1), 1.0, float(np.isfinite(series).sum()))
    steps = _steps(time)
    if np.any(steps <= 0.0):
        first = int(np.flatnonzero(steps <= 0.0)[0])
        raise DataError(f"expected times that increase, got {time[first]!s} before {time[first + 1]!s}.")
    decorrelation = decorrelation_time(_evenly(series, steps))
    independent = float(np.isfinite(series).sum()) / decorrelation
    length = math.ceil(BLOCK_LENGTH * decorrelation)
    month, year = months(time), _part(time, "year")
    year = year + (month == 12)
    if one_month and len(np.unique(year)) == len(time) and not _neighbours_alike(_evenly(series, steps)):
        return Blocks("years", _edges(year), decorrelation, independent)
    for kind, label in (("years", year), ("seasons", year * 4 + month % 12 // 3)):
        edges = _edges(label)
        if len(edges) >= ENOUGH_BLOCKS and np.median(np.diff(edges, axis=1)) >= length:
            return Blocks(kind, edges, decorrelation, independent)
    return Blocks("runs", _cut(_edges(_runs(steps, length)), length), decorrelation, independent)


def strip_blocks(strip: np.ndarray, series: np.ndarray) -> Blocks:
    """Return the blocks of tiles of images: parts of an image, at least three decorrelation lengths long.

    Neighbouring tiles show the same clouds. A strip is a row of tiles across an image; blocks are neighbouring strips
    of one image, three or more, and a whole image where it is shorter or as alike throughout.

    Parameters
    ----------
    strip : ndarray of int, shape (tile,)
        The strip of each tile, never falling; that of the next strip of the same image is one more, that of the next
        image more than one.
    series : ndarray, shape (tile,)
        One number a tile that stands for it; NaN where there is none.

    Examples
    --------
    >>> blocks = strip_blocks(np.array([0, 0, 1, 1, 2, 2, 9, 9]), np.array([1.0, 2.0, 1.0, 3.0, 0.0, 1.0, 0.0, 1.0]))
    >>> blocks.edges.tolist()
    [[0, 6], [6, 8]]
    """
    edges = _edges(strip)
    numbers = strip[edges[:, 0]]
    known = np.isfinite(series)
    count = np.add.reduceat(known.astype(float), edges[:, 0])
    total = np.add.reduceat(np.where(known, series, 0.0), edges[:, 0])
    means = np.where(count > 0.0, total, np.nan) / np.maximum(count, 1.0)
    image = np.concatenate([[0], np.cumsum(np.diff(numbers) > 1)])
    place = np.arange(len(numbers)) + image * len(numbers)  # so far apart that no two images are compared
    even = np.full(int(place[-1]) + 1, np.nan)
    even[place] = means
    length = decorrelation_time(even)
    pieces = _cut(_edges(image), math.ceil(BLOCK_LENGTH * length))
    ends = np.stack([edges[pieces[:, 0], 0], edges[pieces[:, 1] - 1, 1]], axis=1)
    return Blocks("strips", ends, length, float(np.isfinite(means).sum()) / length)


def decorrelation_time(series: np.ndarray) -> float:
    """Return ``1 + 2 sum r_k`` of the lag autocorrelations, in time steps, at least 1.

    The sum ends at the first r_k that is not positive and at five decorrelation times at the latest,
    behind which it would add up noise (Sokal 1997, doi:10.1007/978-1-4899-0319-8_6).

    Parameters
    ----------
    series : ndarray, shape (time,)
        At equal steps of time, NaN where there is none.

    Examples
    --------
    >>> decorrelation_time(np.array([1.0, -1.0] * 50))
    1.0
    """
    known = np.isfinite(series)
    if known.sum() < 3:
        return 1.0
    x = np.where(known, series - series[known].mean(), 0.0)
    variance = float((x * x).sum() / known.sum())
    if variance == 0.0:
        return 1.0
    total = 1.0
    for lag in range(1, len(x)):
        pairs = known[lag:] & known[:-lag]
        count = int(pairs.sum())
        correlation = float((x[lag:] * x[:-lag])[pairs].sum() / count) / variance if count > 2 else 0.0
        if correlation <= 0.0 or lag > _WINDOW * total:
            break
        total += 2.0 * correlation
    return total


def at_equal_steps(time: np.ndarray, series: np.ndarray) -> np.ndarray:
    """Return a series at equal steps of its time, NaN in gaps; months count as equal.

    Examples
    --------
    >>> time = np.array(["2001-01-01", "2001-01-02", "2001-01-04"], dtype="datetime64[D]")
    >>> at_equal_steps(time, np.array([1.0, 2.0, 3.0])).tolist()
    [1.0, 2.0, nan, 3.0]
    """
    return _evenly(series, _steps(time)) if has_dates(time) else series


def _neighbours_alike(series: np.ndarray) -> bool:
    """Whether neighbouring values are correlated, and more so than independent ones are 97.5 times in a hundred.

    The correlation of n independent values with their neighbours has a deviation of 1 / sqrt(n) (Bartlett 1946,
    doi:10.2307/2983611).
    """
    x = series - np.nanmean(series)
    pairs = x[1:] * x[:-1]
    known = int(np.isfinite(pairs).sum())
    square = float(np.nansum(x * x)) / max(1, int(np.isfinite(x).sum()))
    return known > 0 and float(np.nansum(pairs)) / known > _SURE / math.sqrt(known) * square


def _part(time: np.ndarray, name: str) -> np.ndarray:
    if np.issubdtype(time.dtype, np.datetime64):
        return np.asarray(getattr(pd.DatetimeIndex(time), name))
    return np.array([getattr(stamp, name) for stamp in time])


def _steps(time: np.ndarray) -> np.ndarray:
    """Return the times between neighbours in seconds."""
    return np.asarray(np.diff(elapsed(time)) / 1e6, float)


def _usual(steps: np.ndarray) -> float:
    """Return the step between two times with nothing missing: short among all, as up to nine in ten may be missing."""
    return float(np.quantile(steps, 0.1, method="lower"))


def _runs(steps: np.ndarray, longest: float) -> np.ndarray:
    """Return the number of the run of every time; a run ends where a step is longer than ``longest`` usual ones."""
    gap = steps > longest * _usual(steps) if len(steps) else np.zeros(0, bool)
    return np.concatenate([[0], np.cumsum(gap)]).astype(int)


def _evenly(series: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Return the series at equal steps of time, NaN in the gaps; months count as equal."""
    if not len(steps):
        return series
    apart = np.maximum(1, np.round(steps / _usual(steps))).astype(int)
    place = np.concatenate([[0], np.cumsum(apart)])
    even = np.full(place[-1] + 1, np.nan)
    even[place] = series
    return even


def _edges(label: np.ndarray) -> np.ndarray:
    change = np.flatnonzero(np.diff(label)) + 1
    return np.stack([np.concatenate([[0], change]), np.concatenate([change, [len(label)]])], axis=1).astype(int)


def _cut(runs: np.ndarray, length: int) -> np.ndarray:
    """Return runs cut into equal pieces of at least ``length``; a shorter run stays whole."""
    pieces = []
    for start, stop in runs:
        cuts = np.linspace(start, stop, max(1, (stop - start) // length) + 1).round().astype(int)
        pieces += list(itertools.pairwise(cuts))
    return np.array(pieces)
