"""How far the days of a prediction and of the truth lie apart as distributions, day by day order aside.

Source: Panaretos and Zemel (2019), doi:10.1146/annurev-statistics-030718-104938.
"""

from __future__ import annotations

from functools import partial

import array_api_compat
import numpy as np

from pipeline.backend import array_namespace
from pipeline.backend.special import to_host
from pipeline.metrics import METRICS, Array, Case, SeriesMetric
from pipeline.metrics.pooling import ratio
from pipeline.prediction._arrays import wide

_MEMBERS = 5  # that are looked at: each costs a sort of all days, and steps through them for every resample
_STEPS = 128  # sorted values that are added up at a time
_VALUES = 2**18  # those times cells times resamples, so that they stay in the cache


@METRICS.register("wasserstein")
class Wasserstein(SeriesMetric):
    """Wasserstein distance of order 1 between the days of the draws and those of the truth, the area mean over cells.

    How far values must be moved, on average, to make one distribution of days the other: the order
    of days plays no part. All draws of all days are one sample; of many members five, evenly over their order.
    """

    uses_draws = True
    upward = True
    resamples = 50  # each costs as much as a rank score of all days and draws
    label = "Wasserstein distance"

    def cells(self, case: Case, counts: Array) -> Array:
        """Return the distances."""
        return wasserstein_distance(case.some_draws(_MEMBERS), case.truth, counts)


def wasserstein_distance(draws: Array, truth: Array, counts: Array) -> Array:
    """Return the Wasserstein distance of order 1 over time, cell by cell, of many resamples.

    The integral of ``|F - G|``: draws and truth of a cell are sorted together once, and a resample's
    two distribution functions step up along that order by how often each time is drawn. Exact for
    any weights; the steps are whole numbers, divided at the end. For one draw and one resample it is
    the mean distance between the two sorted series.

    Parameters
    ----------
    draws : array, shape (draw, time, cell)
        Predicted series; all draws of a day count alike.
    truth : array, shape (time, cell)
        Times where it is NaN are left out, of the draws too.
    counts : array of int32, shape (time, resample)
        How often every time is drawn.

    Returns
    -------
    array of float64, shape (resample, cell)
        NaN where a resample holds no truth.

    Examples
    --------
    >>> import numpy as np
    >>> truth = np.array([[0.0], [1.0], [2.0]])
    >>> wasserstein_distance(truth[None, ::-1] + 0.5, truth, np.ones((3, 1), np.int32))
    array([[0.5]])
    """
    xp, device = array_namespace(truth), array_api_compat.device(truth)
    size, times, cells = draws.shape
    x, y = wide(draws, truth)
    known = xp.isfinite(y)
    # How far the difference of both functions steps at a value: up at a draw, down at the truth.
    parts, mix = _together(counts, size)
    rises = xp.concat([parts, -size * parts, xp.zeros_like(parts[:1, :])], axis=0)
    row = xp.arange(times, dtype=xp.int64, device=device)
    rows = xp.concat([row] * size + [row + times], axis=0)[:, None]
    rows = xp.where(xp.concat([known] * (size + 1), axis=0), rows, xp.full_like(rows, 2 * times))
    values = xp.concat([xp.reshape(x, (size * times, cells)), y], axis=0)
    values = xp.where(rows == 2 * times, xp.full_like(values, xp.inf), values)
    order = xp.argsort(values, axis=0, stable=False)  # between equal values there is no area
    values = xp.take_along_axis(values, order, axis=0)
    rows = xp.take_along_axis(rows, order, axis=0)
    beyond = values == xp.inf  # behind the last value that counts
    values = xp.where(beyond, xp.zeros_like(values), values)
    gaps = xp.where(beyond[1:, :], xp.zeros_like(values[1:, :]), values[1:, :] - values[:-1, :])
    total = _areas(gaps, rows[:-1, :], rises, mix)
    drawn = xp.astype(known, xp.float64).T @ xp.astype(counts, xp.float64)
    return ratio(total, size * drawn).T


def _areas(gaps: Array, rows: Array, rises: Array, mix: Array | None) -> Array:
    """Return the areas between the functions, not yet divided, shape (cell, resample)."""
    xp = array_namespace(gaps)
    length, cells = gaps.shape
    resamples = rises.shape[1] if mix is None else mix.shape[1]
    width = max(1, _VALUES // (_STEPS * resamples))
    found = []
    for first in range(0, cells, width):
        part = slice(first, min(first + width, cells))
        gap, chosen = gaps[:, part], rows[:, part]
        height = xp.zeros((gap.shape[1], 1, rises.shape[1]), dtype=rises.dtype, device=array_api_compat.device(gaps))
        area = xp.zeros((gap.shape[1], resamples), dtype=xp.float64, device=array_api_compat.device(gaps))
        for start in range(0, length, _STEPS):
            some = slice(start, min(start + _STEPS, length))
            now = chosen[some, :].T
            steps = xp.reshape(xp.take(rises, xp.reshape(now, (-1,)), axis=0), (*now.shape, -1))
            heights = height + xp.cumulative_sum(steps, axis=1)
            height = heights[:, -1:, :]
            apart = xp.astype(xp.abs(heights if mix is None else heights @ mix), xp.float64)
            area = area + (gap[some, :].T[:, None, :] @ apart)[:, 0, :]
        found.append(area)
    return xp.concat(found, axis=0)


def _together(counts: Array, draws: int) -> tuple[Array, Array | None]:
    """Return what every time belongs to, shape (time, part), and how often each part is drawn, (part, resample).

    Times of one block are always drawn together: their steps are added up once a block, and the
    resamples are a matrix product of them. Where there are half as many blocks as resamples, or more, that
    costs more than it saves: then the resamples themselves are the parts, and there is nothing to mix.
    All are whole numbers, whose sums float32 holds exactly up to 2^24, in half the memory of float64.
    """
    xp, device = array_namespace(counts), array_api_compat.device(counts)
    parts, index = np.unique(to_host(counts), axis=0, return_inverse=True)
    # No partial sum is larger than all draws of the days of the largest resample.
    highest = draws * int(np.max(np.sum(to_host(counts), axis=0, dtype=np.int64)))
    dtype = xp.float32 if highest < 2**24 else xp.float64
    if len(parts) >= 0.5 * counts.shape[1]:
        return xp.astype(counts, dtype), None
    belongs = np.reshape(index, (-1, 1)) == np.arange(len(parts))
    place = partial(xp.asarray, dtype=dtype, device=device)
    return place(belongs.astype(float)), place(parts.astype(float))
