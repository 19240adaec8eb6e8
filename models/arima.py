"""ARIMA: every series from its own past values and surprises.

Source of the choice of orders: Hyndman and Khandakar (2008), doi:10.18637/jss.v027.i03.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from pydantic import Field, field_validator

from models import MODELS
from models._arma import Arma, forecasts
from models._classical import column_mean
from models._past import Forecast, PastConfig, PastModel
from models._runs import Run, by_run, horizons, runs_of, spread_out
from pipeline.backend.tsa import fit_arma
from pipeline.errors import DataError
from pipeline.model import Context
from pipeline.samples import Samples

Array = Any

BETWEEN = 50  # missing steps laid between two runs: an ARMA process has forgotten the first by then
EACH = 10  # known values a parameter that a series needs to be fitted
MOST = 8  # largest p and q that cuML takes
ROUNDING = 1e-6  # standard deviation, of a series' own size, below which it is constant: a few roundings of float32


class ArimaConfig(PastConfig):
    """Options of :class:`Arima`."""

    order: list[int] = Field(
        default=[2, 0, 1], description="p past values, d differences (0 or 1) and q past surprises of every series."
    )

    @field_validator("order")
    @classmethod
    def _known(cls, order: list[int]) -> list[int]:
        if len(order) != 3 or min(order) < 0 or order[1] > 1 or max(order) > MOST or order[0] + order[2] == 0:
            raise ValueError(
                f"expected an order [p, d, q] with p and q from 0 to {MOST}, not both 0, and d 0 or 1, got {order!r}"
            )
        return order


@MODELS.register("arima")
class Arima(PastModel):
    """An ARIMA(p, d, q) model of every series, a variable at a cell; no other series is looked at.

    Parameters are those of the greatest likelihood over the train split, runs without a gap laid
    one behind another with missing steps between them; missing values are passed over. With d = 0
    the series has a mean; with d = 1 it is differenced and has no drift. From each origin the
    forecast starts anew from the values of its own run, see :mod:`models._arma`. The error is
    normal with the variance of the model's own errors at the lead.

    A series with too few known values, or constant, is not fitted: its forecast is its mean, with
    d = 1 its last value, and a warning tells which these are.

    Fitted by statsmodels on the cpu, one series after the other (0.5 s for 9000 steps), by cuML on the
    gpu, all at once.

    References
    ----------
    Box, Jenkins, Reinsel and Ljung (2015), Time Series Analysis, 5th edition, Wiley.
    """

    Config = ArimaConfig
    simpler: ClassVar[str] = "Ask for a smaller order, or take another model."

    def fit(self, train: Samples, validation: Samples, context: Context) -> Self:
        """Fit every series on the train split; the validation split is not looked at."""
        self.start_cycle(train, context)
        (p, d, q), backend, xp = self.config.order, context.backend, context.backend.xp
        series, size = self._series(train, context)
        count, mean, variance = _moments(series, xp)
        enough, varies = count >= EACH * (p + q + 2), variance > (ROUNDING * size) ** 2
        fitted = np.flatnonzero(backend.to_host(enough & varies))
        if not len(fitted):
            raise DataError(
                f"expected a series with {EACH * (p + q + 2)} known values or more in the split {train.name!r}, got "
                f"{int(xp.max(count))} at most, or constant ones; ask for a smaller order."
            )
        with context.progress(f"fit {context.name}", len(fitted)) as step:
            chosen = xp.take(series, xp.asarray(fitted), axis=1)
            fit = fit_arma(chosen, (p, q), backend, mean=d == 0, done=step.advance)
        every = series.shape[1]
        rest = xp.asarray(~np.isin(np.arange(every), fitted))
        variance = xp.where(variance > 0, variance, xp.sum(fit.variance) / len(fitted))
        self.arrays |= {
            "mean": xp.where(rest, mean if d == 0 else xp.zeros_like(mean), spread_out(fit.mean, fitted, every, xp)),
            "ar": spread_out(fit.ar, fitted, every, xp),
            "ma": spread_out(fit.ma, fitted, every, xp),
            "variance": xp.where(rest, variance, spread_out(fit.variance, fitted, every, xp)),
        }
        instead = "their last value" if d else "their mean"
        self.tell_unfitted(fitted, fit.converged, context, instead)
        self.choices["order"] = [p, d, q]
        return self

    def forecast(self, inputs: Samples) -> Forecast | None:
        """Return the forecasts from the last known step of every sample."""
        if inputs.past is None:
            return None
        xp, parts = self.table.backend.xp, self.arrays
        arma = Arma(parts["mean"], parts["ar"], parts["ma"], parts["variance"], self.config.order[1] == 1)
        ahead = horizons(inputs)

        def one(values: Array, run: Run) -> tuple[Array, Array]:
            return forecasts(values, run.origins, ahead, arma, xp)

        return Forecast(*by_run(inputs, self.table.columns, one, xp))

    def _series(self, train: Samples, context: Context) -> tuple[Array, Array]:
        """Return the runs of the train split one behind another, (step, series), and the size of each series.

        They are differenced where asked, a difference with a missing value on either side being missing; the size is
        the root mean square of the values themselves.
        """
        past, xp = self.own_past(train, context), context.backend.xp
        parts: list[Array] = []
        square = []
        for run in runs_of(past):
            values = self.table.columns(past.values[run.first : run.stop, ...])
            square.append(values * values)
            if self.config.order[1]:
                values = values[1:, :] - values[:-1, :]
            if parts:
                parts.append(xp.full((BETWEEN, values.shape[1]), xp.nan, dtype=xp.float64))
            parts.append(values)
        return xp.concat(parts, axis=0), xp.sqrt(column_mean(xp.concat(square, axis=0), xp))


def _moments(series: Array, xp: Any) -> tuple[Array, Array, Array]:
    """Return number, mean and variance of the known values of every series; zeros of none."""
    mean = column_mean(series, xp)
    count = xp.sum(xp.astype(xp.isfinite(series), xp.int64), axis=0)
    return count, mean, column_mean((series - mean) ** 2, xp)
