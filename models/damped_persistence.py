"""The anomaly of the origin, less of it the further ahead."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from pydantic import Field

from models import MODELS
from models._past import Forecast, PastConfig, PastModel, sd_where_known
from models._seasonal import cycle_at, fit_cycle
from pipeline.errors import DataError
from pipeline.metrics.blocks import months
from pipeline.model import Context
from pipeline.samples import Samples

Array = Any

MONTHS = 12


class DampedPersistenceConfig(PastConfig):
    """Options of :class:`DampedPersistence`."""

    by_month: bool = Field(
        default=False, description="A coefficient for each calendar month of the sample's time; usual for monthly data."
    )


@MODELS.register("damped_persistence")
class DampedPersistence(PastModel):
    """The last known anomaly times a coefficient, one for every variable, lead and cell.

    Anomalies are from the mean cycle of the train split, by harmonics of the year: that of the
    origin for the last known value, that of the target's own day for the answer. The coefficient
    is the least-squares slope through the origin, ``sum(x y) / sum(x x)``, over the train samples
    that know both; of an AR(1) process it is its autocorrelation at the lead, ``phi ** lead``.
    ``by_month`` fits one for each calendar month of the sample's time, as the memory of the ocean
    differs through the year; a month that the train split has none of takes that of all months.
    The error is normal, its standard deviation that of the train residuals of the column. Where the
    last value is not known the mean cycle stands.

    References
    ----------
    von Storch and Zwiers (1999), Statistical Analysis in Climate Research, Cambridge University Press,
    doi:10.1017/CBO9780511612336.
    """

    Config = DampedPersistenceConfig
    traits: ClassVar[frozenset[str]] = frozenset({"baseline", "probabilistic", "previous"})

    def fit(self, train: Samples, validation: Samples, context: Context) -> Self:
        """Fit cycles and coefficients; the validation split is not looked at."""
        truth, backend, xp = self.start_cycle(train, context), context.backend, context.backend.xp
        if train.previous is None:
            raise DataError(
                f"expected the last known target of every sample in the split {train.name!r}, got none; "
                "damped_persistence has nothing to fit its coefficients on."
            )
        before = self.table.columns(train.previous)
        self.arrays["before"] = fit_cycle(before, train.day, self.choices["harmonics"], backend)
        known = before - cycle_at(self.arrays["before"], train.day, backend)
        away = truth - cycle_at(self.arrays["cycle"], train.day, backend)
        self.arrays["damping"] = _slopes(known, away, self._groups(train), MONTHS if self.config.by_month else 1, xp)
        self.arrays["sd"] = sd_where_known(self._mean(train, known), truth, xp)
        self.choices["damping"] = self._overview()
        return self

    def forecast(self, inputs: Samples) -> Forecast | None:
        """Return the damped anomaly on top of the cycle, NaN where the last value is not known."""
        if inputs.previous is None:
            return None
        before = self.table.columns(inputs.previous)
        known = before - cycle_at(self.arrays["before"], inputs.day, self.table.backend)
        return Forecast(self._mean(inputs, known), self.arrays["sd"])

    def _mean(self, samples: Samples, known: Array) -> Array:
        backend = self.table.backend
        damping = backend.xp.take(self.arrays["damping"], backend.asarray(self._groups(samples)), axis=0)
        return cycle_at(self.arrays["cycle"], samples.day, backend) + damping * known

    def _groups(self, samples: Samples) -> np.ndarray:
        return months(samples.time) - 1 if self.config.by_month else np.zeros(len(samples), np.int64)

    def _overview(self) -> dict[str, float]:
        """Return the mean coefficient of every target, for the report."""
        mean = self.table.backend.to_host(self.table.backend.xp.mean(self.arrays["damping"], axis=0))
        each = mean.reshape(len(self.table.layout.targets), -1).mean(axis=1)
        return {name: float(value) for name, value in zip(self.table.layout.targets, each, strict=True)}


def _slopes(known: Array, away: Array, group: np.ndarray, groups: int, xp: Any) -> Array:
    """Return slopes through the origin of ``away`` on ``known``, shape (group, column).

    Both have the shape (time, column), NaN where missing; a group without pairs takes the slope of all.
    """
    both = xp.isfinite(known) & xp.isfinite(away)
    zero = xp.zeros_like(known)
    member = xp.asarray((group[None, :] == np.arange(groups)[:, None]).astype(float))
    products = member @ xp.where(both, known * away, zero)
    squares = member @ xp.where(both, known * known, zero)
    overall = _ratio(xp.sum(products, axis=0), xp.sum(squares, axis=0), xp.zeros_like(known[0, :]), xp)
    return _ratio(products, squares, xp.broadcast_to(overall, products.shape), xp)


def _ratio(above: Array, below: Array, otherwise: Array, xp: Any) -> Array:
    there = below > 0
    return xp.where(there, above / xp.where(there, below, xp.ones_like(below)), otherwise)
