"""Marine heatwaves after Hobday et al. (2016), and their categories after Hobday et al. (2018)."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field

from pipeline.backend import array_namespace
from pipeline.prepare.labels._contract import LABELS, EventLabel, Excess, Fitted
from pipeline.prepare.labels._options import BACKGROUND, WindowConfig
from pipeline.prepare.labels._seasonal import at_days, fit_seasonal
from pipeline.prepare.splits import TrainSplit

Array = Any

CATEGORIES = ("moderate", "strong", "severe", "extreme")


class MarineHeatwaveConfig(WindowConfig):
    """Options of a marine heatwave; the defaults are those of the definition."""

    percentile: float = Field(default=90.0, gt=50, lt=100, description="Of the day of the year, that is exceeded.")
    window: int = Field(default=11, ge=1, description="Days round the day of the year that are pooled; odd.")
    smooth: int = Field(default=31, ge=1, description="Days of the running mean over both curves; odd.")
    min_days: int = Field(default=5, ge=1, description="Shortest event.")
    max_gap: int = Field(default=2, ge=0, description="Days between two events that are one.")
    categories: bool = Field(default=False, description="Classes moderate, strong, severe and extreme in place of one.")


@LABELS.register("marine_heatwave")
class MarineHeatwave(EventLabel):
    """Five days or more above the 90th percentile of the day of the year, gaps of two days or less joined.

    Mean and percentile of the day of the year are of an 11-day window over the train years, smoothed by a
    31-day running mean, 29 February between its neighbours (Hobday et al. 2016,
    doi:10.1016/j.pocean.2015.12.014). A missing day is a day that is not above.

    With ``categories`` a day has the class of its anomaly in multiples of the distance between percentile and mean:
    moderate to 2, strong to 3, severe to 4, extreme beyond (Hobday et al. 2018, doi:10.5670/oceanog.2018.205). The
    category of an event is that of its strongest day. A day in a joined gap is moderate.

    The intensity is the anomaly from the mean of the day of the year. The whole train split is the baseline: the
    authors ask for thirty years.
    """

    kind = "marine_heatwave"
    Config = MarineHeatwaveConfig

    @property
    def classes(self) -> tuple[str, ...]:
        """Background, and the event or its categories."""
        return (BACKGROUND, *(CATEGORIES if self.config.categories else (self.kind,)))

    def learn(self, values: Array, time: np.ndarray, train: TrainSplit, units: str) -> Fitted:
        """Return mean and percentile of every day of the year."""
        found = fit_seasonal(
            values,
            time,
            train,
            window=self.config.window,
            smooth=self.config.smooth,
            percentile=self.config.percentile,
            what=f"the label {self.kind!r}",
        )
        return Fitted({"mean": found.mean, "threshold": found.threshold}, {})

    def excess(self, values: Array, time: np.ndarray) -> Excess:
        """Return anomalies, and which days are above the percentile."""
        xp = array_namespace(values)
        mean, limit = (at_days(self.arrays()[name], time, f"the label {self.kind!r}") for name in ("mean", "threshold"))
        known = xp.isfinite(values) & xp.isfinite(limit)
        anomaly = xp.where(known, xp.astype(values, xp.float32) - mean, xp.full_like(mean, float("nan")))
        category = None
        if self.config.categories:
            room = limit - mean
            spread = known & (room > 0)
            ratio = xp.where(spread, anomaly, xp.ones_like(mean)) / xp.where(spread, room, xp.ones_like(mean))
            category = xp.minimum(xp.maximum(xp.floor(ratio), xp.ones_like(mean)), xp.full_like(mean, len(CATEGORIES)))
        return Excess(known & (values > limit), anomaly, category)
