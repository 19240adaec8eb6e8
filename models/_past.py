"""Models of a series' own past: what stands in where nothing of it is known."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from models._classical import known_truth, residual_sd, wide_rows
from models._layout import Layout
from models._normal import NormalAnswer, NormalConfig
from models._seasonal import cycle_at, fit_cycle
from models.climatology import HarmonicsConfig
from pipeline.errors import DataError
from pipeline.model import Context, samples_bytes
from pipeline.prediction import Prediction
from pipeline.prepare.climatology import usable_harmonics
from pipeline.samples import Past, Samples, variable_of

Array = Any


class PastConfig(HarmonicsConfig, NormalConfig):
    """Options of every model of a series' own past: those of the mean cycle that stands in, and of the answer."""


@dataclass(frozen=True, eq=False)
class Forecast:
    """Means and standard deviations from the past alone.

    Parameters
    ----------
    mean : array of float64, shape (time, column)
        NaN where nothing of the past is known.
    sd : array of float64, shape (time, column) or (column,)
        Of the mean's error.
    """

    mean: Array
    sd: Array


class PastModel(NormalAnswer):
    """A forecast from the target's own past; where none of it is known, the mean cycle of the train split.

    Subclasses call :meth:`start_cycle` in ``fit`` and answer :meth:`forecast`. The mean cycle
    (``cycle`` among the arrays) is by harmonics of the year, its standard deviation (``cycle_sd``)
    that of the train truth round it. A split without truth has no past at all: its forecast is the
    mean cycle, and a warning says so.
    """

    traits: ClassVar[frozenset[str]] = frozenset({"baseline", "probabilistic", "past"})
    tasks: ClassVar[frozenset[str]] = frozenset({"series"})
    simpler: ClassVar[str] = ""
    """What to do about a search that did not end, a sentence; of models that search."""

    def expected_memory(self, few: Samples, train: int, other: int, context: Context) -> int:
        """Return what the truth takes and is made of: inputs are not looked at."""
        return samples_bytes(few, train + other) + 6 * wide_rows(few, train + other, inputs=False)

    def start_cycle(self, train: Samples, context: Context) -> Array:
        """Fit the mean cycle and what is answered; return the train truth, float64, shape (time, column)."""
        table, backend = self.start(train, context), context.backend
        truth = known_truth(table, train)
        harmonics = usable_harmonics(train.day, self.config.harmonics)
        cycle = fit_cycle(truth, train.day, harmonics, backend)
        spread = residual_sd(cycle_at(cycle, train.day, backend), truth, backend.xp)
        self.arrays = {"cycle": cycle, "cycle_sd": spread}
        self.choices = {"harmonics": harmonics}
        self.bound(train, truth)
        return truth

    def own_past(self, samples: Samples, context: Context) -> Past:
        """Return the past of a split that something is fitted on.

        Raises
        ------
        DataError
            If it has none.
        """
        if samples.past is None:
            raise DataError(
                f"expected the target's own past in the split {samples.name!r}, got none; {context.name} has nothing "
                "to be fitted on. Give the split truth."
            )
        return samples.past

    def tell_unfitted(
        self, fitted: np.ndarray, converged: np.ndarray, context: Context, instead: str = "their mean"
    ) -> None:
        """Say which series were left out of the fit, and for which of those in it the search did not end.

        Parameters
        ----------
        fitted : ndarray of int64
            Which were not left out.
        converged : ndarray of bool
            Of each of these, whether its search ended.
        context : Context
            Who is told.
        instead : str
            What the forecast of those left out is.
        """
        names = series_names(self.table.layout)
        left = [names[place] for place in np.setdiff1d(np.arange(len(names)), fitted)]
        unfinished = [names[place] for place in fitted[~converged]]
        if left:
            context.warn(
                f"{context.name}: {len(left)} of {len(names)} series are constant or have too few known values to be "
                f"fitted ({_listed(left)}); their forecast is {instead}."
            )
        if unfinished:
            context.warn(
                f"{context.name}: the search for the parameters of {len(unfinished)} of {len(names)} series did not "
                f"end ({_listed(unfinished)}); those it had reached are kept. {self.simpler}"
            )
        self.choices |= {"series": len(names), "not_fitted": len(left), "unfinished": len(unfinished)}

    @abstractmethod
    def forecast(self, inputs: Samples) -> Forecast | None:
        """Return the forecast from what is known of the past of ``inputs``; None if they hold no past."""

    def predict(self, inputs: Samples, context: Context) -> Prediction:
        """Return the forecast, the mean cycle where nothing of the past is known."""
        xp, spread = self.table.backend.xp, self.arrays["cycle_sd"]
        cycle = cycle_at(self.arrays["cycle"], inputs.day, self.table.backend)
        found = self.forecast(inputs)
        if found is None:
            context.warn(
                f"{context.name}: the split {inputs.name!r} has no truth to go on from, so its forecast is the mean "
                "cycle."
            )
            return self.answer(cycle, spread)
        known = xp.isfinite(found.mean)
        sd = xp.where(known, xp.broadcast_to(found.sd, cycle.shape), xp.broadcast_to(spread, cycle.shape))
        return self.answer(xp.where(known, found.mean, cycle), sd)


def sd_where_known(mean: Array, truth: Array, xp: Any) -> Array:
    """Return the root mean square residual of every column over what both know, see ``residual_sd``."""
    both = xp.isfinite(mean) & xp.isfinite(truth)
    return residual_sd(mean, xp.where(both, truth, xp.full_like(truth, xp.nan)), xp)


def series_names(layout: Layout) -> list[str]:
    """Return what the series are called, in the order of the columns: all cells of the first variable come first.

    By their stations where there are any, else by their cells' coordinates; with the variable where there are several.
    """
    variables = list(dict.fromkeys(variable_of(name) for name in layout.targets))
    grid, places = layout.target_grid, np.flatnonzero(layout.mask)
    if grid.stations:
        cells = [grid.stations[place] for place in places]
    else:
        lat, lon = np.meshgrid(grid.lat, grid.lon, indexing="ij") if grid.lat.ndim == 1 else (grid.lat, grid.lon)
        cells = [f"{lat.flat[place]:g} N {lon.flat[place]:g} E" for place in places]
    return [f"{name} at {cell}" if len(variables) > 1 else cell for name in variables for cell in cells]


def _listed(names: list[str]) -> str:
    """Return up to five names, and how many more there are."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
