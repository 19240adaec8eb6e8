"""How unsure the headline model is, and why, in numbers and in words: both parts of its uncertainty, and its error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray as xr

from pipeline.grid import Grid
from pipeline.report import places, targets
from pipeline.report.numbers import label, number, percent
from pipeline.report.sections.cell import calendar_free, spot
from pipeline.report.study import Study

PARTS = ("aleatoric", "epistemic")
_MANY = 400  # times that are shown one by one; of more the means of their months
_LEAST = 1.05  # times its mean that the uncertainty must reach, for a time to be told of
_ERRORS = {"variance": ("squared_error", "squared error"), "entropy": ("error_rate", "share of wrong classes")}


@dataclass(frozen=True, eq=False)
class History:
    """Means over the area by time.

    Parameters
    ----------
    time : ndarray of datetime64, shape (time,)
        In order; of a month its middle.
    parts : mapping of str to ndarray, shape (time,)
        Aleatoric and epistemic, as far as the model tells them.
    error : ndarray, shape (time,)
        Squared error of the mean; of classes the share of the area where the most likely one is wrong.
    monthly : bool
        Whether each is the mean of a month.
    """

    time: np.ndarray
    parts: Mapping[str, np.ndarray]
    error: np.ndarray
    monthly: bool

    @property
    def total(self) -> np.ndarray:
        """All parts together."""
        return np.asarray(sum(self.parts.values()))

    def date(self, place: int) -> str:
        """Return the day or the month at a place, with ``on`` or ``in`` before it."""
        text = str(self.time[place])
        return f"in {text[:7]}" if self.monthly else f"on {text[:10]}"


@dataclass(frozen=True, eq=False)
class Unsure:
    """Both parts of the uncertainty of a target: variances of numbers, entropies of classes in nat.

    Parameters
    ----------
    measure : {"variance", "entropy"}
        What they are.
    grid : Grid
        Of the maps.
    maps : mapping of str to ndarray, shape (lat, lon)
        Means over time of the parts that the model tells.
    means : mapping of str to float
        Means of the same over all times and the area, as far as there is truth.
    history : History or None
        None where there are no dates, as of tiles of images.
    """

    measure: str
    grid: Grid
    maps: Mapping[str, np.ndarray]
    means: Mapping[str, float]
    history: History | None

    @classmethod
    def of(cls, study: Study, data: xr.Dataset, variable: str) -> Unsure | None:
        """Return what diagnostics say of a target; None where they say nothing."""
        measure = "entropy" if study.classes else "variance"
        names = [part for part in PARTS if f"{variable}_{part}_by_time" in data and f"{variable}_{part}" in data]
        if not names:
            return None
        maps = {part: np.asarray(data[f"{variable}_{part}"].values, float) for part in names}
        asked = (*names, _ERRORS[measure][0], "area")
        *parts, error, area = (np.asarray(data[f"{variable}_{name}_by_time"].values, float) for name in asked)
        means = {part: _mean(values, area) for part, values in zip(names, parts, strict=True)}
        dates = data["time"].values
        history = None
        if dates.dtype.kind not in "iu" and len(dates) > 1:
            history = _history(dates, dict(zip(names, parts, strict=True)), error, area)
        return cls(measure, Grid.of(data), maps, means, history)

    @property
    def error(self) -> str:
        """What the error is called that stands beside them."""
        return _ERRORS[self.measure][1]

    @cached_property
    def total(self) -> float:
        """Mean of all parts together."""
        return sum(self.means.values())


def _mean(values: np.ndarray, area: np.ndarray) -> float:
    """Return the mean of area means, NaN where none is known."""
    return float(np.nansum(values * area) / area.sum()) if area.sum() > 0 else float("nan")


def _history(dates: np.ndarray, parts: Mapping[str, np.ndarray], error: np.ndarray, area: np.ndarray) -> History:
    if len(dates) <= _MANY:
        return History(calendar_free(dates), parts, error, monthly=False)
    months, of = np.unique([str(date)[:7] for date in dates], return_inverse=True)

    def by_month(values: np.ndarray) -> np.ndarray:
        return np.array([_mean(values[of == k], area[of == k]) for k in range(len(months))])

    middles = months.astype("datetime64[M]").astype("datetime64[D]") + np.timedelta64(14, "D")
    return History(middles, {part: by_month(values) for part, values in parts.items()}, by_month(error), monthly=True)


def words(study: Study, variable: str, found: Unsure) -> str:
    """Say what share of the uncertainty is what, where it is largest, and when."""
    name, said = f"{label(study.headline)}{targets.of(study, variable)}", f"predictive {found.measure}"
    if not found.total > 0:
        return f"The {said} of {name} is zero throughout."
    if len(found.means) == 2:
        why = _shares(study, variable, found, f"{said} of {name}")
    elif "aleatoric" in found.means:
        why = (
            f"{name} answers one distribution and has no members that could disagree: all of its {said} counts as "
            "aleatoric, and what it does not know for want of data is not told apart."
        )
    else:
        why = (
            f"{name} answers members, none of which has a spread of its own: all of its {said} is between them, and "
            "noise is not told apart."
        )
    return f"{why} {_when(found)}".strip()


def _shares(study: Study, variable: str, found: Unsure, said: str) -> str:
    share = found.means["aleatoric"] / found.total
    doubt = "noise" if found.measure == "variance" else "doubt"
    first = (
        f"{percent(share)} of the {said} is aleatoric: by the model's own account, {doubt} that no further data of "
        "this kind would remove."
    )
    if not found.means["epistemic"] > 0:
        return f"{first} Its members do not disagree."
    mutual = ", the mutual information of class and member" if found.measure == "entropy" else ""
    where = _most(study, variable, found, "epistemic")
    return f"{first} The other {percent(1 - share)} is epistemic{mutual}: its members disagree{where}."


def _most(study: Study, variable: str, found: Unsure, part: str) -> str:
    """Say where a part is largest; empty for a single place, and for images, whose tiles have none."""
    field = found.maps[part]
    if found.grid.image or int(np.isfinite(field).sum()) < 2:
        return ""
    row, column = (int(index) for index in np.unravel_index(int(np.nanargmax(field)), field.shape))
    times = number(float(field[row, column]) / found.means[part], 1)
    place = spot(found.grid, row, column, study.quantities[variable])
    return f", most at {place} ({times} times the mean{over(study, variable, found)})"


def over(study: Study, variable: str, found: Unsure) -> str:
    """Return what means of one time are over, such as `` over the area``; empty for a single series."""
    if not found.grid.stations:
        return " over the area"
    return f" over the {places.several(found.grid, study.quantities[variable])}" if len(found.grid.stations) > 1 else ""


def _when(found: Unsure) -> str:
    """Say when the model was least sure, and what its error was then; empty where times are not known."""
    history = found.history
    if history is None or not np.isfinite(history.total).any():
        return ""
    total, error = history.total, history.error
    least = int(np.nanargmax(total))
    usual, missed = float(np.nanmean(total)), float(np.nanmean(error))
    if not (missed > 0 and float(total[least]) > _LEAST * usual):
        return ""
    return (
        f"It is least sure {history.date(least)}: the {found.measure} is then {number(float(total[least]) / usual, 1)} "
        f"times, and the {found.error} {number(float(error[least]) / missed, 1)} times the mean over "
        f"{'the months' if history.monthly else 'all times'}."
    )
