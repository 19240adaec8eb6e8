# ruff: noqa: TID251 - one of the doors that the rule names
"""The only door to statsmodels (cpu) and cuml.tsa (gpu): parameters of classical models of single series.

Both fit; neither forecasts for us, as models forecast from every origin at once. cuML's side was
written against the source of cuML 26.10, which says that ``cuml.tsa`` is deprecated since 26.08 and
leaves with 26.12. Smoothing is statsmodels' on both sides: cuML's works out initial states of its own
and takes none, so that its gains would belong to another model than the one that forecasts.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pipeline.backend._wrapped import Fallback
from pipeline.errors import DataError

if TYPE_CHECKING:
    from pipeline.backend.base import Backend

Array = Any
Trend = Literal["none", "additive", "damped"]


@dataclass(frozen=True, eq=False)
class ArmaFit:
    """ARMA models of several series, ``x = y - mean``, ``x[t] = sum ar x[t-i] + e[t] + sum ma e[t-j]``.

    Parameters
    ----------
    mean : array of float64, shape (series,)
        Zero where none was asked for.
    ar, ma : array of float64, shapes (p, series) and (q, series)
        Nearest lag first.
    variance : array of float64, shape (series,)
        Of the innovations e.
    converged : ndarray of bool, shape (series,)
        On the host: whether the search for the greatest likelihood came to an end; a series whose likelihood cannot
        be computed stays white noise and counts as not. cuML does not tell: all true.
    """

    mean: Array
    ar: Array
    ma: Array
    variance: Array
    converged: np.ndarray


@dataclass(frozen=True, eq=False)
class SmoothingStart:
    """States of several series before the first step.

    Parameters
    ----------
    level : array of float64, shape (series,)
        NaN: what makes the first known value its own forecast.
    trend : array of float64, shape (series,)
        Slope a step; not looked at without a trend.
    season : array of float64, shape (phase, series)
        From the phase of the first step on; a single row of zeros where there is no season.
    """

    level: Array
    trend: Array
    season: Array


@dataclass(frozen=True, eq=False)
class SmoothingFit:
    """Gains of additive Holt-Winters smoothing of several series, in error-correction form.

    With the error e of the one-step forecast, ``level += damping * trend + level_gain * e``,
    ``trend = damping * trend + trend_gain * e`` and ``season += season_gain * e``.

    Parameters
    ----------
    level_gain, trend_gain, season_gain : array of float64, shape (series,)
        alpha, alpha * beta and gamma of statsmodels; zero for a part that is not there.
    damping : array of float64, shape (series,)
        One for a trend that is not damped, zero without a trend.
    converged : ndarray of bool, shape (series,)
        As in :class:`ArmaFit`.
    fallback : Fallback, optional
        Set where the gpu backend had to take statsmodels.
    """

    level_gain: Array
    trend_gain: Array
    season_gain: Array
    damping: Array
    converged: np.ndarray
    fallback: Fallback | None = None


def fit_arma(
    series: Array,
    order: tuple[int, int],
    backend: Backend,
    *,
    mean: bool = True,
    done: Callable[[int], None] = lambda count: None,
) -> ArmaFit:
    """Return the maximum-likelihood ARMA model of every series, by its state-space form.

    Parameters
    ----------
    series : array, shape (time, series)
        Equal steps; NaN where missing, which the Kalman filter passes over.
    order : tuple of int
        p and q, not both zero.
    backend : Backend
        statsmodels, one series after the other, or cuML, all at once.
    mean : bool
        Whether the series have a mean that is not zero.
    done : callable
        Told how many series are fitted, as they are.

    Raises
    ------
    DataError
        If a series has no more known values than the model has parameters.

    Examples
    --------
    >>> from pipeline.backend import get_backend
    >>> noise = np.random.default_rng(0).normal(size=2000)
    >>> walk = np.zeros(2000)
    >>> for t in range(1, 2000):
    ...     walk[t] = 0.8 * walk[t - 1] + noise[t]
    >>> fit = fit_arma(walk[:, None], (1, 0), get_backend("cpu"))
    >>> bool(abs(fit.ar[0, 0] - 0.8) < 0.03)
    True
    """
    xp, parameters = backend.xp, sum(order) + mean + 1
    known = backend.to_host(xp.sum(xp.astype(xp.isfinite(series), xp.int64), axis=0))
    if int(known.min()) <= parameters:
        raise DataError(
            f"expected more known values in every series than the {parameters} parameters of ARMA{order}, "
            f"got {int(known.min())} in one; leave that series out or ask for a smaller order."
        )
    if backend.name == "gpu":
        return _arma_of_cuml(series, order, mean, done)
    return _arma_of_statsmodels(backend.to_host(series), order, mean, backend, done)


def fit_holt_winters(
    series: Array,
    start: SmoothingStart,
    backend: Backend,
    *,
    trend: Trend = "none",
    done: Callable[[int], None] = lambda count: None,
) -> SmoothingFit:
    """Return the least-squares gains of additive Holt-Winters smoothing of every series from a start that is known.

    Parameters
    ----------
    series : array, shape (time, series)
        Equal steps; NaN before the first and behind the last known value of a series, which are cut off, and
        nowhere between.
    start : SmoothingStart
        States before the first row; the season's phase moves on over the rows that are cut off.
    backend : Backend
        Where the gains are wanted; statsmodels finds them on both sides.
    trend : {"none", "additive", "damped"}
        Whether there is a trend.
    done : callable
        Told how many series are fitted, as they are.

    Raises
    ------
    DataError
        If a series is shorter than two seasons, or ten steps where there is none, or a value between others is
        missing.

    Examples
    --------
    >>> from pipeline.backend import get_backend
    >>> walk = np.cumsum(np.random.default_rng(0).normal(size=(500, 1)), axis=0)
    >>> start = SmoothingStart(np.zeros(1), np.zeros(1), np.zeros((1, 1)))
    >>> bool(fit_holt_winters(walk, start, get_backend("cpu")).level_gain[0] > 0.9)
    True
    """
    host = np.asarray(backend.to_host(series), float)
    states = [np.asarray(backend.to_host(part), float) for part in (start.level, start.trend, start.season)]
    period = len(states[2])
    fewest = max(10, 2 * period if period > 1 else 0)
    found, converged = np.zeros((4, host.shape[1])), np.ones(host.shape[1], bool)
    for place in range(host.shape[1]):
        values, first = _known_part(host[:, place], fewest)
        level, slope, season = (part[..., place] for part in states)
        season = np.roll(season, -first)
        level = values[0] - season[0] - (slope if trend != "none" else 0.0) if np.isnan(level) else level
        found[:, place], converged[place] = _smoothing_of_statsmodels(values, trend, float(level), float(slope), season)
        done(1)
    fallback = None
    if backend.name == "gpu":
        fallback = Fallback("ExponentialSmoothing", "initial states that are given", "cuML works out its own")
    level_gain, trend_gain, season_gain, damping = (backend.asarray(part) for part in found)
    return SmoothingFit(level_gain, trend_gain, season_gain, damping, converged, fallback)


def _known_part(values: np.ndarray, fewest: int) -> tuple[np.ndarray, int]:
    """Return a series from its first known value to its last, and where that first one is."""
    known = np.flatnonzero(np.isfinite(values))
    first, stop = (int(known[0]), int(known[-1]) + 1) if known.size else (0, 0)
    if stop - first < fewest:
        raise DataError(f"expected series of {fewest} steps or more, got {stop - first}; ask for a shorter period.")
    if len(known) < stop - first:
        raise DataError(
            f"expected series without missing values between others, got {stop - first - len(known)} in one; fill "
            "them first."
        )
    return values[first:stop], first


def _arma_of_statsmodels(
    series: np.ndarray, order: tuple[int, int], mean: bool, backend: Backend, done: Callable[[int], None]
) -> ArmaFit:
    from statsmodels.tsa.arima.model import ARIMA

    p, q = order
    count = series.shape[1]
    found = np.zeros((2 + p + q, count))  # mean, ar, ma, variance: statsmodels' own order
    converged = np.ones(count, bool)
    for place in range(count):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a search without an end is told by `converged`
            model = ARIMA(series[:, place].astype(float), order=(p, 0, q), trend="c" if mean else "n")
            try:
                result = model.fit()
            except np.linalg.LinAlgError:  # the filter met a covariance that it cannot invert
                found[0, place] = np.nanmean(series[:, place]) if mean else 0.0
                found[-1, place] = np.nanmean((series[:, place] - found[0, place]) ** 2)
                converged[place] = False
            else:
                found[0 if mean else 1 :, place] = result.params
                converged[place] = bool(result.mle_retvals["converged"])
        done(1)
    level, ar, ma, variance = (
        backend.asarray(part) for part in (found[0], found[1 : 1 + p], found[1 + p : 1 + p + q], found[-1])
    )
    return ArmaFit(level, ar, ma, variance, converged)


def _arma_of_cuml(series: Array, order: tuple[int, int], mean: bool, done: Callable[[int], None]) -> ArmaFit:
    import cupy
    from cuml.tsa.arima import ARIMA

    (p, q), count = order, series.shape[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # that the module leaves with 26.12
        model = ARIMA(series, order=(p, 0, q), fit_intercept=mean, output_type="cupy")
    model.fit()
    done(count)
    found = model.get_fit_params()
    ar = cupy.reshape(found["ar"], (p, count)) if p else cupy.zeros((0, count))
    ma = cupy.reshape(found["ma"], (q, count)) if q else cupy.zeros((0, count))
    # cuML's mu is added to the state at every step, so the mean is mu / (1 - sum of ar).
    level = found["mu"] / (1.0 - cupy.sum(ar, axis=0)) if mean else cupy.zeros(count)
    return ArmaFit(level, ar, ma, found["sigma2"], np.ones(count, bool))


def _smoothing_of_statsmodels(
    values: np.ndarray, trend: Trend, level: float, slope: float, season: np.ndarray
) -> tuple[tuple[float, float, float, float], bool]:
    """Return the gains of level, trend and season, and the damping, of one series; and whether their search ended."""
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    options: dict[str, Any] = {"initialization_method": "known", "initial_level": level}
    if trend != "none":
        options |= {"trend": "add", "damped_trend": trend == "damped", "initial_trend": slope}
    if len(season) > 1:
        options |= {"seasonal": "add", "seasonal_periods": len(season), "initial_seasonal": season}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a search without an end is told by `converged`
        result = ExponentialSmoothing(values, **options).fit()
    alpha, beta, gamma, phi = (
        float(result.params[name])
        for name in ("smoothing_level", "smoothing_trend", "smoothing_seasonal", "damping_trend")
    )
    damping = {"none": 0.0, "additive": 1.0, "damped": phi}[trend]
    gains = (alpha, 0.0 if trend == "none" else alpha * beta, gamma if len(season) > 1 else 0.0, damping)
    return gains, bool(result.mle_retvals.success)
