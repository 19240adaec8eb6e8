"""Heat and cold extremes by a percentile of the day of the year, as the ETCCDI indices count them."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field

from pipeline.backend import array_namespace
from pipeline.prepare.labels._contract import LABELS, EventLabel, Excess, Fitted
from pipeline.prepare.labels._options import BACKGROUND, ClassName, WindowConfig
from pipeline.prepare.labels._seasonal import at_days, fit_seasonal
from pipeline.prepare.splits import TrainSplit

Array = Any


class PercentileExtremeConfig(WindowConfig):
    """Options of an extreme by percentile."""

    percentile: float = Field(
        default=90.0, gt=0, lt=100, description="Of the day of the year: 90 with 'above', 10 with 'below'."
    )
    side: Literal["above", "below"] = Field(default="above", description="Which side of the percentile is the event.")
    name: ClassName = Field(default="extreme", description="Name of the class, such as heat or cold.")


@LABELS.register("percentile_extreme")
class PercentileExtreme(EventLabel):
    """Days past a percentile of their day of the year, at least ``min_days`` in a row.

    With the defaults these are the days that TX90p and TN90p count, with ``percentile: 10, side: below`` those of
    TX10p and TN10p: a 5-day window (Zhang et al. 2011, doi:10.1002/wcc.147); ``min_days: 6`` makes the spells of
    WSDI and CSDI. Inside the train split more than outside it are as usual as the percentile says, as its
    days set it: the resampling by which ETCCDI evens that step out of long series is not made here.

    The intensity is how far a value lies past the percentile.
    """

    kind = "percentile_extreme"
    Config = PercentileExtremeConfig

    @property
    def classes(self) -> tuple[str, ...]:
        """Background and the extreme."""
        return (BACKGROUND, self.config.name)

    def learn(self, values: Array, time: np.ndarray, train: TrainSplit, units: str) -> Fitted:
        """Return the percentile of every day of the year."""
        found = fit_seasonal(
            values,
            time,
            train,
            window=self.config.window,
            smooth=self.config.smooth,
            percentile=self.config.percentile,
            what=f"the label {self.kind!r}",
        )
        return Fitted({"threshold": found.threshold}, {})

    def excess(self, values: Array, time: np.ndarray) -> Excess:
        """Return how far days are past the percentile."""
        xp = array_namespace(values)
        limit = at_days(self.arrays()["threshold"], time, f"the label {self.kind!r}")
        past = (xp.astype(values, xp.float32) - limit) * (1.0 if self.config.side == "above" else -1.0)
        past = xp.where(xp.isfinite(past), past, xp.full_like(past, float("nan")))
        return Excess(past > 0, past)
