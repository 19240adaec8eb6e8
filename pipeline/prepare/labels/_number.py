"""Thresholds given as numbers in units, of values or of anomalies from the day of the year."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Literal

import numpy as np
from pydantic import Field, field_validator

from pipeline.backend import array_namespace
from pipeline.backend.special import to_host
from pipeline.errors import DataError
from pipeline.model_config import ModelConfig
from pipeline.prepare.labels._contract import EventLabel, Excess, Fitted
from pipeline.prepare.labels._options import require_odd
from pipeline.prepare.labels._seasonal import at_days, fit_seasonal
from pipeline.prepare.splits import TrainSplit
from pipeline.units import converted

Array = Any
Of = Literal["value", "anomaly"]


class NumberConfig(ModelConfig):
    """What the number is of."""

    of: Of = Field(
        default="value", description="The field itself, or its anomaly from the mean of the day of the year."
    )
    window: int = Field(default=31, ge=1, description="Days round the day of the year of that mean; odd.")

    @field_validator("window")
    @classmethod
    def _odd(cls, days: int) -> int:
        return require_odd(days)


class NumberLabel(EventLabel):
    """A label whose threshold is a number in the units of its options, converted to those of the values."""

    @property
    @abstractmethod
    def number(self) -> float:
        """The threshold, in ``config.units``."""

    @property
    def sign(self) -> float:
        """1 where events are above the threshold, -1 where they are below."""
        return 1.0

    @property
    def daily(self) -> bool:
        """Whether daily values are needed: a mean of the day of the year is one of days."""
        return bool(self.config.of == "anomaly")

    def learn(self, values: Array, time: np.ndarray, train: TrainSplit, units: str) -> Fitted:
        """Return the threshold in ``units``, and the mean of every day of the year where it is asked for."""
        what = f"the label {self.kind!r}"
        try:
            limit = converted(self.number, self.config.units, units)
            if self.config.of == "anomaly":
                limit -= converted(0.0, self.config.units, units)
        except DataError as error:
            raise DataError(f"{what}: {error} Its threshold is {self.number:g} {self.config.units}.") from None
        if self.config.of == "value":
            return Fitted({}, {"threshold": limit})
        found = fit_seasonal(values, time, train, window=self.config.window, what=what)
        return Fitted({"mean": found.mean}, {"threshold": limit})

    def strength(self, values: Array, time: np.ndarray) -> Array:
        """Return the field or its anomaly, float32; NaN where it is not known."""
        xp = array_namespace(values)
        found = xp.astype(values, xp.float32)
        if self.config.of == "anomaly":
            found = found - at_days(self.arrays()["mean"], time, f"the label {self.kind!r}")
        return xp.where(xp.isfinite(found), found, xp.full_like(found, float("nan")))

    def explain_lack(self, values: Array, time: np.ndarray) -> str:
        """Return the threshold, the range of the values, and which option to change."""
        side, facts = "above" if self.sign > 0 else "below", self.facts()
        known = np.asarray(to_host(self.strength(values, time)))
        past = (known[np.isfinite(known)] - facts["threshold"]) * self.sign > 0
        if past.any() and not past.all():  # but never for as long as is asked for
            return super().explain_lack(values, time)
        what = "values" if self.config.of == "value" else "anomalies"
        return (
            f"the label {self.kind!r} wants {what} {side} {self.number:g} {self.config.units} "
            f"({facts['threshold']:g} {facts['units']}), and those of the train split are {np.nanmin(known):g} to "
            f"{np.nanmax(known):g} {facts['units']}. Write a threshold within under prepare.target.label, {side}: "
            "NUMBER with its units."
        )

    def excess(self, values: Array, time: np.ndarray) -> Excess:
        """Return how far values are past the threshold; one that is met is not passed."""
        past = (self.strength(values, time) - self.facts()["threshold"]) * self.sign
        return Excess(past > 0, past)
