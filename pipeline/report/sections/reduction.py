"""By how much a model's errors are smaller than the best baseline's, cell by cell."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from pipeline.grid import Grid
from pipeline.report import leads, numbers, sentences
from pipeline.report.figures import Picture, maps
from pipeline.report.places import kind
from pipeline.report.study import METRIC, Study


@dataclass(frozen=True, eq=False)
class Reduction:
    """A map of skill with its 95\u00a0% interval, in %, all of shape (lat, lon).

    Parameters
    ----------
    word : str
        Of which score it is: ``RMSE`` or ``CRPS``.
    own : bool
        Whether the target is judged by that score.
    """

    word: str
    own: bool
    field: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, study: Study, data: xr.Dataset, variable: str) -> Reduction | None:
        """Return the map of the score that the target is judged by, else of the RMSE; None without a map."""
        metric = study.metrics[variable]
        for name, by in ((f"{variable}_{metric}_skill", metric), (f"{variable}_skill", METRIC)):
            field = bound(data, name)
            if study.rival is not None and np.isfinite(field).any():
                low, high = bound(data, f"{name}_low"), bound(data, f"{name}_high")
                return cls(by.upper(), by == metric, field, low, high)
        return None

    def title(self, study: Study, variable: str) -> str:
        """Return the title of the map, which no reader takes for one of another score."""
        what = self.word if self.own else f"{self.word} (not {study.word(variable)})"
        whose = f" of {variable}" if len(study.variables) > 1 else ""
        lead = "" if study.run.shown_lead is None else f", {leads.ahead(study.run.shown_lead, study.step)}"
        return f"{what} reduction{whose} against {numbers.label(study.rival or '')}{lead}"

    def sentence(self, study: Study, data: xr.Dataset, variable: str) -> str:
        """Say in how many cells the model beats the baseline, and by which score where that is not the RMSE alone."""
        judged = "" if self.own and self.word == METRIC.upper() else f"by its {self.word}, "
        cell = kind(Grid.of(data), study.quantities[variable])
        text = sentences.where(study.headline, study.rival, self.field, self.low, self.high, cell)
        when = "" if study.run.shown_lead is None else f"{leads.ahead(study.run.shown_lead, study.step)}, "
        before = f"{judged}{when}"
        return f"{before[:1].upper()}{before[1:]}{text}"

    def picture(self, study: Study, data: xr.Dataset, variable: str, highest: int) -> Picture:
        """Draw the map, dots where the interval includes zero."""
        # Without an interval nothing is dotted: NaN compares as false.
        unsure = (self.low <= 0) & (self.high >= 0)
        panel = maps.MapPanel(self.field, self.title(study, variable), self.sentence(study, data, variable), unsure)
        name = f"{variable}_{self.word.lower()}_skill" if self.own else f"{variable}_skill"
        panel = replace(panel, source=study.diagnostics_of(name))
        scale = maps.Scale.of("skill", "%", self.field)
        return maps.draw_map(panel, Grid.of(data), scale, highest=highest, earth=study.on_earth)


def bound(data: xr.Dataset, name: str) -> np.ndarray:
    """Return a map as floats; all NaN where the run has none."""
    if name in data:
        return np.asarray(data[name].values, float)
    return np.full(Grid.of(data).shape, np.nan)
