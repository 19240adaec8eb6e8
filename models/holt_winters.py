"""Holt-Winters: every series from its own level, trend and season, smoothed."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from pydantic import Field

from models import MODELS
from models._classical import column_mean, known_truth
from models._past import Forecast, PastConfig, PastModel, sd_where_known
from models._runs import Run, by_run, horizons, runs_of, spread_out
from models._smoothing import Smoothing, forecasts, phases
from pipeline.backend.tsa import SmoothingFit, Trend, fit_holt_winters
from pipeline.errors import BackendUnavailableError, DataError
from pipeline.model import Context
from pipeline.samples import Past, Samples

Array = Any

GAINS = ("level_gain", "trend_gain", "season_gain", "damping")
STATES = (*GAINS, "level", "season")
FEWEST = 30  # known values of a series in the longest run that its gains are fitted on


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

    The gains are those of least squares over the longest run without a gap of the train split, missing
    values in it interpolated. Every run starts from the train mean without a trend and, where a
    ``period`` is asked for, from the train split's mean season; a missing value leaves the states as
    they are. From each origin the forecast sees the values of its own run alone, see
    :mod:`models._smoothing`. The error is normal, its standard deviation the root mean square
    validation residual of the column.

    A series with too few known values is not fitted: its forecast is its mean, and a warning tells
    how many there are.

    Fitted by statsmodels on the cpu, one series after the other; by cuML on the gpu, all at once, where
    there are an additive trend and a season, the only kind it has.

    References
    ----------
    Winters (1960), Management Science 6, 324-342, doi:10.1287/mnsc.6.3.324.
    """

    Config = HoltWintersConfig
    traits: ClassVar[frozenset[str]] = frozenset({"baseline", "probabilistic"})

    def fit(self, train: Samples, validation: Samples, context: Context) -> Self:
        """Fit the gains on the train split, the error on the validation split."""
        self.start_cycle(train, context)
        past, xp = self.own_past(train, context), context.backend.xp
        self.own_past(validation, context)
        runs = runs_of(past)
        level = column_mean(xp.concat([self._values(past, run) for run in runs], axis=0), xp)
        self.arrays |= {"level": level, "season": self._season(train, past, runs, level, xp)}
        longest = self._values(past, max(runs, key=lambda run: run.stop - run.first))
        count, fewest = self._known(longest), max(FEWEST, 2 * (self.config.period or 0))
        fitted = np.flatnonzero(count >= fewest)
        if not len(fitted):
            raise DataError(
                f"expected a series with {fewest} known values or more in the longest run of the split "
                f"{train.name!r}, got {int(count.max())} at most; {context.name} has nothing to be fitted on."
            )
        filled = _interpolated(xp.take(longest, xp.asarray(fitted), axis=1), context)
        options: dict[str, Any] = {"trend": self.config.trend, "period": self.config.period}
        with context.progress(f"fit {context.name}", len(fitted)) as step:
            fit = fit_holt_winters(filled, context.backend, done=step.advance, **options)
        self._keep(fit, fitted, len(count), context)
        self.choices |= options
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

    def _known(self, values: Array) -> np.ndarray:
        xp = self.table.backend.xp
        return self.table.backend.to_host(xp.sum(xp.astype(xp.isfinite(values), xp.int64), axis=0))

    def _values(self, past: Past, run: Run) -> Array:
        return self.table.columns(past.values[run.first : run.stop, ...])

    def _starts(self, samples: Samples, past: Past) -> dict[int, int]:
        """Return the phase of the season at the first step of every run."""
        period = self.config.period or 1
        own = past.last if min(samples.schema.leads) > 0 else past.last + 1
        first = (phases(samples, period) - (own - past.first)) % period
        return {int(past.first[place]): int(first[place]) for place in range(len(samples))}

    def _season(self, train: Samples, past: Past, runs: list[Run], level: Array, xp: Any) -> Array:
        """Return the mean of every phase of the season less that of all, shape (phase, series)."""
        period, starts = self.config.period, self._starts(train, past)
        if period is None:
            return xp.zeros_like(level)[None, :]
        phase = np.concatenate([(starts[run.first] + np.arange(run.stop - run.first)) % period for run in runs])
        away = xp.concat([self._values(past, run) for run in runs], axis=0) - level
        of_phase = [xp.asarray(np.flatnonzero(phase == part)) for part in range(period)]
        season = xp.stack([column_mean(xp.take(away, steps, axis=0), xp) for steps in of_phase])
        return season - xp.mean(season, axis=0)

    def _keep(self, fit: SmoothingFit, fitted: np.ndarray, count: int, context: Context) -> None:
        if fit.fallback is not None:
            if context.strict:
                raise BackendUnavailableError(f"{fit.fallback} Take another option, or compute.strict: false.")
            context.fall_back(str(fit.fallback))
        for name in GAINS:
            self.arrays[name] = spread_out(getattr(fit, name), fitted, count, context.backend.xp)
        self.tell_unfitted(count - len(fitted), int((~fit.converged).sum()), count, context)


def _interpolated(values: Array, context: Context) -> Array:
    """Return series, shape (step, series), with what is missing on a line between its neighbours."""
    host = np.array(context.backend.to_host(values))
    step = np.arange(len(host))
    for place in np.flatnonzero(~np.isfinite(host).all(axis=0)):
        known = np.isfinite(host[:, place])
        host[:, place] = np.interp(step, step[known], host[known, place])
    return context.backend.asarray(host)
