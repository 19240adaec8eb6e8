"""Holt-Winters: every series from its own level, trend and season, smoothed."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from pydantic import Field

from models import MODELS
from models._classical import column_mean, known_truth
from models._past import Forecast, PastConfig, PastModel, sd_where_known
from models._runs import Run, by_run, horizons, runs_of, spread_out
from models._smoothing import Smoothing, forecasts, phases, turned
from pipeline.backend.tsa import SmoothingFit, SmoothingStart, Trend, fit_holt_winters
from pipeline.errors import BackendUnavailableError, DataError
from pipeline.model import Context
from pipeline.samples import Past, Samples

Array = Any

GAINS = ("level_gain", "trend_gain", "season_gain", "damping")
STATES = (*GAINS, "level", "slope", "season")
FEWEST = 30  # known values of a series that its gains are fitted on
FILLED = 5  # missing values in a row that are filled on a line for the fit; at more of them a series is cut


class HoltWintersConfig(PastConfig):
    """Options of :class:`HoltWinters`."""

    trend: Trend = Field(
        default="none",
        description="none: the level alone; additive: a trend that goes on; damped: one that dies away.",
    )
    period: int | None = Field(
        default=None,
        ge=2,
        description="Steps of a season, 12 of monthly data. Not needed where the target is an anomaly from its season.",
    )


@MODELS.register("holt_winters")
class HoltWinters(PastModel):
    """Additive exponential smoothing of every series, a variable at a cell; no other series is looked at.

    Every run starts from states that are fitted on the train split: the mean season where a ``period`` is
    asked for; without a trend the mean level, with one the level of the run's own first value, and with
    one that goes on (``additive``) the mean slope. A missing value leaves the states as they are, so that
    the forecast runs on over a gap of any length. From each origin the forecast sees the values of its
    own run alone, see :mod:`models._smoothing`.

    The gains are those of least squares from the same start, over the part of the train split's longest run in
    which no more than five values in a row are missing; these are filled on a line between their
    neighbours. The error is normal, its standard deviation the root mean square validation residual of
    the column.

    A series with too few known values is not fitted: its forecast is its mean, and a warning tells
    which these are.

    Fitted by statsmodels, one series after the other, on either backend: cuML takes no states to start from.

    References
    ----------
    Winters (1960), Management Science 6, 324-342, doi:10.1287/mnsc.6.3.324.
    """

    Config = HoltWintersConfig
    simpler: ClassVar[str] = "Leave out trend or period, or take another model."

    def fit(self, train: Samples, validation: Samples, context: Context) -> Self:
        """Fit the gains on the train split, the error on the validation split."""
        self.start_cycle(train, context)
        past, xp = self.own_past(train, context), context.backend.xp
        self.own_past(validation, context)
        runs = runs_of(past)
        longest = max(runs, key=lambda run: run.stop - run.first)
        filled, count = fillable(np.asarray(context.backend.to_host(self._values(past, longest))))
        fewest = max(FEWEST, 2 * (self.config.period or 0))
        fitted = np.flatnonzero(count >= fewest)
        if not len(fitted):
            raise DataError(
                f"expected a series with {fewest} known values or more in the longest run of the split "
                f"{train.name!r}, nowhere more than {FILLED} missing in a row, got {int(count.max())} at most; "
                f"{context.name} has nothing to be fitted on."
            )
        start, chosen = self._start(train, past, runs), xp.asarray(fitted)
        season = turned(start.season, self._starts(train, past)[longest.first], xp)
        own = SmoothingStart(*(xp.take(part, chosen, axis=-1) for part in (start.level, start.trend, season)))
        values, trend = context.backend.asarray(filled[:, fitted]), self.config.trend
        with context.progress(f"fit {context.name}", len(fitted)) as step:
            fit = fit_holt_winters(values, own, context.backend, trend=trend, done=step.advance)
        self._keep(fit, start, fitted, context)
        mean = column_mean(xp.concat([self._values(past, run) for run in runs], axis=0), xp)
        # A series that was not fitted has gains of zero: it stays at its mean.
        rest = xp.asarray(~np.isin(np.arange(len(count)), fitted))
        self.arrays["level"] = xp.where(rest, mean, start.level)
        self.arrays["slope"] = xp.where(rest, xp.zeros_like(mean), start.trend)
        self.arrays["season"] = xp.where(rest, xp.zeros_like(start.season), start.season)
        self.choices |= {"trend": self.config.trend, "period": self.config.period}
        self.arrays["sd"] = sd_where_known(self._means(validation), known_truth(self.table, validation), xp)
        return self

    def forecast(self, inputs: Samples) -> Forecast | None:
        """Return the forecasts from the last known step of every sample."""
        return None if inputs.past is None else Forecast(self._means(inputs), self.arrays["sd"])

    def _means(self, samples: Samples) -> Array:
        past, xp, ahead = samples.past, self.table.backend.xp, horizons(samples)
        assert past is not None  # the caller has looked
        smoothing = Smoothing(*(self.arrays[name] for name in STATES))
        starts = self._starts(samples, past)

        def one(values: Array, run: Run) -> tuple[Array]:
            return (forecasts(values, starts[run.first], run.origins, ahead, smoothing, xp),)

        return by_run(samples, self.table.columns, one, xp)[0]

    def _values(self, past: Past, run: Run) -> Array:
        return self.table.columns(past.values[run.first : run.stop, ...])

    def _starts(self, samples: Samples, past: Past) -> dict[int, int]:
        """Return the phase of the season at the first step of every run."""
        period = self.config.period or 1
        own = past.last if min(samples.schema.leads) > 0 else past.last + 1
        first = (phases(samples, period) - (own - past.first)) % period
        return {int(past.first[place]): int(first[place]) for place in range(len(samples))}

    def _start(self, train: Samples, past: Past, runs: list[Run]) -> SmoothingStart:
        """Return what every run starts from; the season from phase 0 on."""
        xp, starts, period = self.table.backend.xp, self._starts(train, past), self.config.period or 1
        values = [self._values(past, run) for run in runs]
        level = column_mean(xp.concat(values, axis=0), xp)
        slope = xp.zeros_like(level)
        away = [each - level for each in values]
        if self.config.trend != "none":
            slope = mean_slope(values, xp)
            away = [_centred(each, xp) - slope * _steps_from_middle(each, xp) for each in values]
            level = xp.full_like(level, xp.nan)
        season = xp.zeros_like(level)[None, :]
        if period > 1:
            phase = np.concatenate([(starts[run.first] + np.arange(run.stop - run.first)) % period for run in runs])
            rows = [xp.asarray(np.flatnonzero(phase == part)) for part in range(period)]
            whole = xp.concat(away, axis=0)
            season = xp.stack([column_mean(xp.take(whole, steps, axis=0), xp) for steps in rows])
            season = season - xp.mean(season, axis=0)
        return SmoothingStart(level, slope if self.config.trend == "additive" else xp.zeros_like(slope), season)

    def _keep(self, fit: SmoothingFit, start: SmoothingStart, fitted: np.ndarray, context: Context) -> None:
        if fit.fallback is not None:
            if context.strict:
                raise BackendUnavailableError(f"{fit.fallback} Take another model, or compute.strict: false.")
            context.fall_back(str(fit.fallback))
        for name in GAINS:
            self.arrays[name] = spread_out(getattr(fit, name), fitted, start.level.shape[0], context.backend.xp)
        self.tell_unfitted(fitted, fit.converged, context)


def fillable(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the best known part of every series, filled, and how many known values it has.

    Parameters
    ----------
    values : ndarray of float64, shape (step, series)
        NaN where missing.

    Returns
    -------
    ndarray of float64, shape (step, series)
        Of each series the part with most known values in which no more than ``FILLED`` in a row are missing, these
        on a line between their neighbours; NaN outside it.
    ndarray of int64, shape (series,)
        Known values of that part.

    Examples
    --------
    >>> series = np.array([1.0, np.nan, 3.0] + 6 * [np.nan] + [9.0])
    >>> part, known = fillable(series[:, None])
    >>> part.ravel()[:4].tolist(), known.tolist()
    ([1.0, 2.0, 3.0, nan], [2])
    """
    filled, count = np.full_like(values, np.nan), np.zeros(values.shape[1], np.int64)
    for place in range(values.shape[1]):
        known = np.flatnonzero(np.isfinite(values[:, place]))
        if not known.size:
            continue
        parts = np.split(known, np.flatnonzero(np.diff(known) > FILLED + 1) + 1)
        best = max(parts, key=len)
        step = np.arange(best[0], best[-1] + 1)
        filled[step, place], count[place] = np.interp(step, best, values[best, place]), len(best)
    return filled, count


def mean_slope(runs: list[Array], xp: Any) -> Array:
    """Return the least-squares slope a step, shape (series,), of lines that share it and differ in their height.

    ``runs`` are float64, shape (step, series), NaN where missing; the slope is zero where nothing tells it.
    """
    above = below = xp.zeros_like(runs[0][0, :])
    for values in runs:
        step, none = _steps_from_middle(values, xp), xp.zeros_like(values)
        known = xp.isfinite(values)
        above = above + xp.sum(xp.where(known, step * _centred(values, xp), none), axis=0)
        below = below + xp.sum(xp.where(known, step * step, none), axis=0)
    return xp.where(below > 0, above / xp.where(below > 0, below, xp.ones_like(below)), xp.zeros_like(below))


def _centred(values: Array, xp: Any) -> Array:
    """Return series less the mean of what is known of them."""
    return values - column_mean(values, xp)


def _steps_from_middle(values: Array, xp: Any) -> Array:
    """Return the number of every step less the mean of those at which a series is known, shape (step, series)."""
    step = xp.broadcast_to(xp.astype(xp.arange(values.shape[0]), xp.float64)[:, None], values.shape)
    return step - column_mean(xp.where(xp.isfinite(values), step, xp.full_like(values, xp.nan)), xp)
