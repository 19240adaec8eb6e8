"""When a river peaks, and how low it falls: scores of single events of daily flow."""

from __future__ import annotations

import array_api_compat
import numpy as np

from pipeline.backend import array_namespace
from pipeline.backend.special import to_host
from pipeline.metrics import METRICS, Array, Case, Metric
from pipeline.metrics._flow import OfFlow
from pipeline.metrics._peaks import find_peaks
from pipeline.metrics.blocks import months, runs_of, year_of
from pipeline.metrics.pooling import area_mean, ratio
from pipeline.metrics.years import Years, rolling_sum, whole
from pipeline.prediction._arrays import wide
from pipeline.prepare.dates import elapsed

_APART = 100  # days between two peaks
_WINDOW = 3  # days before and after a peak in which the predicted one is looked for
_DAY = 86_400e6  # microseconds
_DAYS = 7  # of the mean whose minimum is low flow


def _dates(case: Case) -> np.ndarray:
    if case.time is None:
        raise ValueError("expected a case that knows its times, got one without.")
    return case.time


@METRICS.register("peak_timing")
class PeakTiming(OfFlow, Metric):
    """Mean time between a true peak and the predicted one, whichever is earlier; of daily flow.

    Peaks of the truth are at least 100 days apart and as prominent as its standard deviation. The predicted peak
    is there and then if the prediction is higher than on the days beside, else on the highest of the three days
    before and after; a peak with a missing day among these does not count. Three days is thus the most that
    can be: 0 says in time, 3 that there is no peak. The measure is usual since Kratzert et al. (2021,
    doi:10.5194/hess-25-2685-2021).
    """

    units, better, daily, label = "d", "lower", True, "mean error of peak timing"

    def terms(self, case: Case) -> tuple[Array, ...]:
        """Return how many days off the prediction is on days with a true peak, and which days these are."""
        xp, device = array_namespace(case.truth), array_api_compat.device(case.truth)
        # On the host: the flow of basins is small, and a search for peaks is no work for a device.
        truth, mean = (to_host(flow) for flow in wide(case.truth, case.mean))
        truth = np.where(np.isfinite(truth), truth, np.nan)
        day = np.round((elapsed(_dates(case)) - elapsed(_dates(case))[0]) / _DAY).astype(int)
        off, peak = _timing(truth, mean, day)
        return xp.asarray(off, device=device), xp.asarray(peak, device=device)

    def value(self, count: Array, sums: tuple[Array, ...], weights: Array | None) -> Array:
        """Return the mean over the peaks of every cell, and its area mean; NaN for a cell without peaks."""
        cells = ratio(sums[0], sums[1])
        return cells if weights is None else area_mean(cells, weights)


def _timing(truth: np.ndarray, mean: np.ndarray, day: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return days off at the peaks of the truth and 1 there, both 0 elsewhere, shape (time, cell)."""
    known = np.isfinite(truth)
    number = np.maximum(known.sum(axis=0), 1)
    usual = np.where(known, truth, 0.0).sum(axis=0) / number
    deviation = np.sqrt((np.where(known, truth - usual, 0.0) ** 2).sum(axis=0) / number)
    peaks = find_peaks(truth, day, distance=_APART, prominence=deviation)
    row, cell = np.nonzero(peaks)
    shift = np.arange(-_WINDOW, _WINDOW + 1)[:, None]
    near = np.clip(row + shift, 0, len(day) - 1)
    there = ((day[near] - day[row] == shift) & known[near, cell]).all(axis=0)
    row, cell, near = row[there], cell[there], near[:, there]
    window = mean[near, cell]
    in_time = (window[_WINDOW] > window[_WINDOW - 1]) & (window[_WINDOW] > window[_WINDOW + 1])
    off, peak = np.zeros(truth.shape), np.zeros(truth.shape)
    off[row, cell] = np.where(in_time, 0, np.abs(window.argmax(axis=0) - _WINDOW))
    peak[row, cell] = 1.0
    return off, peak


@METRICS.register("low_flow_bias")
class LowFlowBias(OfFlow, Metric):
    """Bias of the mean annual minimum of the 7-day mean flow (MAM7), as a share of the true one; of daily flow.

    The recognised measure of low flow (WMO 2008, Manual on low-flow estimation and prediction, No. 1029). The years
    of a basin begin in the month in which it flows most, so that neither a dry summer nor a frozen winter is cut in
    two, and count with nine tenths of the days of the longest. In scores of seasons a year is of the season in which
    the true minimum ends.
    """

    daily, label = True, "bias of low flow (MAM7)"

    def terms(self, case: Case) -> tuple[Array, ...]:
        """Return, on the day of the true minimum of each year, how far the predicted one lies off, and the true one."""
        xp, device = array_namespace(case.truth), array_api_compat.device(case.truth)
        time, begins = _dates(case), high_flow_month(case)
        truth, mean = wide(case.truth, case.mean)
        gone = xp.full_like(truth, xp.nan)
        truth, mean = (xp.where(case.valid, flow, gone) for flow in (truth, mean))
        found = [xp.zeros_like(truth), xp.zeros_like(truth)]
        for month in np.unique(begins).tolist():
            own = xp.asarray(begins == month, device=device)[None, :]
            parts = _minima(mean, truth, case.valid, years_from(time, month))
            found = [xp.where(own, part, known) for part, known in zip(parts, found, strict=True)]
        return tuple(found)

    def value(self, count: Array, sums: tuple[Array, ...], weights: Array | None) -> Array:
        """Return the share of every cell, and its area mean; NaN for a cell that runs dry each year."""
        cells = 100.0 * ratio(sums[0], sums[1])
        return cells if weights is None else area_mean(cells, weights)


def _minima(mean: Array, truth: Array, valid: Array, years: Years) -> tuple[Array, ...]:
    """Return difference and truth of the minima of all years on the days of the true ones, 0 on others."""
    xp, counted = array_namespace(truth), whole(valid, years)
    weeks = [rolling_sum(flow, _DAYS, years) / _DAYS for flow in (mean, truth)]
    parts = [
        _minimum(weeks[0][a:b, :], weeks[1][a:b, :], counted[year, :])
        for year, (a, b) in enumerate(years.edges.tolist())
    ]
    return tuple(xp.concat(list(side), axis=0) for side in zip(*parts, strict=True))


def _minimum(mean: Array, truth: Array, counted: Array) -> tuple[Array, Array]:
    """Return difference and truth of a year's minima on the day of the true one, 0 on others, shape (time, cell)."""
    xp = array_namespace(truth)
    high = xp.full_like(truth, xp.inf)
    low_mean, low = (xp.where(xp.isnan(flow), high, flow) for flow in (mean, truth))
    row = xp.arange(truth.shape[0], device=array_api_compat.device(truth))[:, None]
    there = (row == xp.argmin(low, axis=0)[None, :]) & xp.isfinite(low) & counted[None, :]
    zero = xp.zeros_like(truth)
    least, least_mean = (xp.where(there, xp.min(flow, axis=0)[None, :], zero) for flow in (low, low_mean))
    return least_mean - least, least


def high_flow_month(case: Case) -> np.ndarray:
    """Return the month, 1 to 12, whose mean true flow is highest, int on the host, shape (cell,)."""
    xp, month = array_namespace(case.truth), months(_dates(case))
    (truth,) = wide(case.truth)
    truth = xp.where(case.valid, truth, xp.zeros_like(truth))
    known, there = xp.astype(case.valid, xp.float64), np.unique(month)
    means = []
    for number in there.tolist():
        rows = xp.asarray(np.flatnonzero(month == number), device=array_api_compat.device(truth))
        total, count = (xp.sum(xp.take(part, rows, axis=0), axis=0) for part in (truth, known))
        means.append(ratio(total, count, otherwise=-np.inf))
    return np.asarray(there[to_host(xp.argmax(xp.stack(means), axis=0))])


def years_from(time: np.ndarray, month: int) -> Years:
    """Return the years that begin with a month, labelled by the calendar year of their beginning.

    Examples
    --------
    >>> time = np.array(["1990-03-31", "1990-04-01", "1991-03-31"], dtype="datetime64[D]")
    >>> years_from(time, 4).label.tolist()
    [1989, 1990]
    """
    year = year_of(time) - (months(time) < month)
    change = np.flatnonzero(np.diff(year)) + 1
    starts = np.concatenate([[0], change])
    edges = np.stack([starts, np.concatenate([change, [len(year)]])], axis=1)
    run = runs_of(time)
    return Years(year[starts], edges, np.concatenate([[True], (np.diff(run) != 0) | (np.diff(year) != 0)]))
