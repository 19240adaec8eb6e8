# ruff: noqa: TID251 - one of the doors that the rule names
"""The only door to statsmodels (cpu) and cuml.tsa (gpu): parameters of classical models of single series.

Both fit; neither forecasts for us, as models forecast from every origin at once. cuML's side was
written against the source of cuML 26.10, which says that ``cuml.tsa`` is deprecated since 26.08 and
leaves with 26.12.
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

CUML_PERIODS = 2  # seasons that cuML's Holt-Winters starts from; the fewest it takes


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
    backend: Backend,
    *,
    trend: Trend = "none",
    period: int | None = None,
    done: Callable[[int], None] = lambda count: None,
) -> SmoothingFit:
    """Return the least-squares gains of additive Holt-Winters smoothing of every series.

    Parameters
    ----------
    series : array, shape (time, series)
        Equal steps, nothing missing.
    backend : Backend
        cuML has one kind alone, an additive trend with a season; others are statsmodels' on both sides.
    trend : {"none", "additive", "damped"}
        Whether there is a trend.
    period : int, optional
        Steps of a season; None: no season.
    done : callable
        Told how many series are fitted, as they are.

    Raises
    ------
    DataError
        If the series are shorter than two seasons, or ten steps where there is none, or a value is missing.

    Examples
    --------
    >>> from pipeline.backend import get_backend
    >>> walk = np.cumsum(np.random.default_rng(0).normal(size=(500, 1)), axis=0)
    >>> bool(fit_holt_winters(walk, get_backend("cpu")).level_gain[0] > 0.9)
    True
    """
    fewest = max(10, 2 * (period or 0))
    if series.shape[0] < fewest:
        raise DataError(f"expected series of {fewest} steps or more, got {series.shape[0]}; ask for a shorter period.")
    if not bool(backend.xp.all(backend.xp.isfinite(series))):
        raise DataError("expected series without missing values, got some that are not finite; fill them first.")
    if backend.name != "gpu":
        return _smoothing_of_statsmodels(backend.to_host(series), trend, period, backend, done)
    if trend == "additive" and period is not None:
        return _smoothing_of_cuml(series, period, done)
    option = f"trend={trend!r}, period={period!r}"
    fallback = Fallback("ExponentialSmoothing", option, "cuML has an additive trend with a season alone")
    return _smoothing_of_statsmodels(backend.to_host(series), trend, period, backend, done, fallback)


def gains_of_states(series: Array, level: Array, trend: Array, season: Array, xp: Any) -> tuple[Array, Array, Array]:
    """Return the three gains, shape (series,), of additive smoothing whose states are known.

    cuML keeps the states and not its parameters. Each state moves by its gain times the error of the
    one-step forecast, so the gain is the slope of the moves on the errors, exact up to rounding.

    Parameters
    ----------
    series : array of float64, shape (time, series)
        What was smoothed.
    level, trend, season : array of float64, shape (time - period, series)
        States after each step from the step ``period`` on.
    xp : module
        Their namespace.
    """
    period = series.shape[0] - level.shape[0]
    before = slice(period - 1, -1)  # the step before, of those whose season of a period ago is known
    expected = level[before, :] + trend[before, :]
    error = series[2 * period :, :] - expected - season[:-period, :]
    moves = (
        level[period:, :] - expected,
        trend[period:, :] - trend[before, :],
        season[period:, :] - season[:-period, :],
    )
    square = xp.sum(error * error, axis=0)
    square = xp.where(square > 0, square, xp.ones_like(square))
    first, second, third = (xp.sum(error * move, axis=0) / square for move in moves)
    return first, second, third


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
    series: np.ndarray,
    trend: Trend,
    period: int | None,
    backend: Backend,
    done: Callable[[int], None],
    fallback: Fallback | None = None,
) -> SmoothingFit:
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    options: dict[str, Any] = {"initialization_method": "estimated"}
    if trend != "none":
        options |= {"trend": "add", "damped_trend": trend == "damped"}
    if period is not None:
        options |= {"seasonal": "add", "seasonal_periods": period}
    count = series.shape[1]
    found, converged = np.zeros((4, count)), np.ones(count, bool)
    for place in range(count):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = ExponentialSmoothing(series[:, place].astype(float), **options).fit()
        alpha, beta, gamma, damping = (
            result.params[name]
            for name in ("smoothing_level", "smoothing_trend", "smoothing_seasonal", "damping_trend")
        )
        found[0, place] = alpha
        found[1, place] = 0.0 if trend == "none" else alpha * beta
        found[2, place] = 0.0 if period is None else gamma
        found[3, place] = {"none": 0.0, "additive": 1.0, "damped": damping}[trend]
        converged[place] = bool(result.mle_retvals.success)
        done(1)
    level, slope, season, damped = (backend.asarray(part) for part in found)
    return SmoothingFit(level, slope, season, damped, converged, fallback)


def _smoothing_of_cuml(series: Array, period: int, done: Callable[[int], None]) -> SmoothingFit:
    import array_api_compat.cupy as xp
    from cuml.tsa.holtwinters import ExponentialSmoothing

    count = series.shape[1]
    wide = xp.astype(series, xp.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        model = ExponentialSmoothing(
            xp.asarray(wide.T, order="C"),  # one series a row
            seasonal="additive",
            seasonal_periods=period,
            start_periods=CUML_PERIODS,
            ts_num=count,
            output_type="cupy",
        )
    model.fit()
    done(count)
    level, trend, season = (xp.asarray(part).T for part in (model.level, model.trend, model.season))
    level, trend, season = gains_of_states(wide, level, trend, season, xp)
    return SmoothingFit(level, trend, season, xp.ones_like(level), np.ones(count, bool))
