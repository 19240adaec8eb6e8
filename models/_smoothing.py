"""Forecasts of additive Holt-Winters smoothing from every origin, on any kind of array.

In error-correction form, with the error e of the one-step forecast:

    level[t]  = level[t-1] + damping trend[t-1] + level_gain e
    trend[t]  = damping trend[t-1] + trend_gain e
    season[t] = season[t-m] + season_gain e

Hyndman, Koehler, Ord and Snyder (2008), Forecasting with Exponential Smoothing,
doi:10.1007/978-3-540-71918-2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from models._runs import seen
from pipeline.prepare.dates import components, microseconds
from pipeline.samples import Samples

Array = Any


@dataclass(frozen=True, eq=False)
class Smoothing:
    """Gains of several series, and the states that every run starts from.

    Parameters
    ----------
    level_gain, trend_gain, season_gain, damping : array of float64, shape (series,)
        See the formulas; zero for a part that is not there.
    level, slope : array of float64, shape (series,)
        Level and trend before the first step of a run. A level that is NaN is what makes the first known value of
        the run its own forecast.
    season : array of float64, shape (phase, series)
        Before the first step, by phase of the season; one row of zeros where there is no season.
    """

    level_gain: Array
    trend_gain: Array
    season_gain: Array
    damping: Array
    level: Array
    slope: Array
    season: Array


@dataclass(frozen=True, eq=False)
class States:
    """After every step of a run.

    Parameters
    ----------
    level, trend : array of float64, shape (step, series)
        Of each step.
    season : array of float64, shape (phase + step, series)
        The last season before the run, then that of each step.
    """

    level: Array
    trend: Array
    season: Array


def states(values: Array, phase: int, smoothing: Smoothing, xp: Any) -> States:
    """Run through the ``values``, float64, shape (step, series), NaN where missing: there the error is zero.

    ``phase`` is that of the first step, 0 to the season's length less one.
    """
    start = turned(smoothing.season, phase, xp)
    seasons = [start[place, :] for place in range(start.shape[0])]
    level, trend, none = smoothing.level, smoothing.slope, xp.zeros_like(smoothing.level)
    levels, trends = [], []
    for step in range(values.shape[0]):
        value, base, season = values[step, :], level + smoothing.damping * trend, seasons[step]
        base = xp.where(xp.isfinite(base), base, value - season)
        error = xp.where(xp.isfinite(value), value - base - season, none)
        level = base + smoothing.level_gain * error
        trend = smoothing.damping * trend + smoothing.trend_gain * error
        levels.append(level)
        trends.append(trend)
        seasons.append(season + smoothing.season_gain * error)
    if not levels:
        return States(values, values, start)
    return States(xp.stack(levels), xp.stack(trends), xp.stack(seasons))


def turned(season: Array, phase: int, xp: Any) -> Array:
    """Return a season of shape (phase, series) from ``phase`` on.

    Examples
    --------
    >>> turned(np.array([[1.0], [2.0], [3.0]]), 2, np).ravel().tolist()
    [3.0, 1.0, 2.0]
    """
    period = season.shape[0]
    return xp.take(season, xp.asarray((phase + np.arange(period)) % period), axis=0)


def forecasts(
    values: Array, phase: int, origins: np.ndarray, steps: np.ndarray, smoothing: Smoothing, xp: Any
) -> Array:
    """Return means ``steps`` ahead of every origin, shape (origin, step ahead, series).

    Parameters
    ----------
    values : array of float64, shape (step, series)
        Of one run, NaN where missing.
    phase : int
        Phase of the season at the run's first step.
    origins : ndarray of int64, shape (origin,)
        Last known step of each forecast; -1 where none is.
    steps : ndarray of int64, shape (step ahead,)
        1 and more.
    smoothing : Smoothing
        The model.
    xp : module
        Namespace of ``values``.

    Returns
    -------
    array of float64
        NaN where nothing of the run is known at the origin.
    """
    shape = (len(origins), len(steps), values.shape[1])
    missing = xp.full(shape, xp.nan, dtype=xp.float64)
    if not values.shape[0]:
        return missing
    found, period = states(values, phase, smoothing, xp), smoothing.season.shape[0]
    here = xp.asarray(np.maximum(origins, 0))
    level, trend = xp.take(found.level, here, axis=0), xp.take(found.trend, here, axis=0)
    means, slope = [], xp.zeros_like(smoothing.damping)
    power, reached = smoothing.damping, 0
    for step in sorted(set(steps.tolist())):
        while reached < step:  # slope: damping + damping^2 + ... + damping^step
            slope, power, reached = slope + power, power * smoothing.damping, reached + 1
        # Of the same phase, the newest that the origin knows; the rows before the run make up for -1.
        newest = np.maximum(origins, 0) + step - period * (-(-step // period)) + period
        means.append(level + slope * trend + xp.take(found.season, xp.asarray(newest), axis=0))
    order = xp.asarray(np.unique(steps, return_inverse=True)[1])
    whole = xp.take(xp.stack(means, axis=1), order, axis=1)
    age = xp.take(seen(values, xp), here, axis=0)
    known = (age >= 0) & xp.asarray(origins >= 0)[:, None]
    return xp.where(xp.broadcast_to(known[:, None, :], shape), whole, missing)


def phases(samples: Samples, period: int) -> np.ndarray:
    """Return the phase of every sample's own step in seasons of ``period`` steps, int64, shape (time,).

    Months are counted by the calendar, other steps by their length.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> from pipeline.samples import Schema
    >>> months = np.array(["2001-01-15", "2001-02-15", "2002-01-15"], dtype="datetime64[ns]")
    >>> schema = SimpleNamespace(step_word="month")
    >>> phases(SimpleNamespace(time=months, schema=schema), 12).tolist()
    [0, 1, 0]
    """
    if samples.schema.step_word == "month":
        parts = components(samples.time)
        count = parts[:, 0] * 12 + parts[:, 1] - 1
    else:
        step = samples.schema.step_us
        count = (microseconds(samples.time) + step // 2) // step
    return np.asarray(count % period, np.int64)
