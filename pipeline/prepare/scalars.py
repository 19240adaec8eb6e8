"""Inputs without a place: the day of the year, forcings such as greenhouse gases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from pipeline.errors import DataError
from pipeline.prepare.dates import DAY, components, iso, microseconds
from pipeline.prepare.scaling import CONSTANT
from pipeline.prepare.splits import TrainSplit
from pipeline.prepare.windows import usual_step

CALENDAR = ("day_cos", "day_sin")
# Least step [us] of a series, and how many of year, month and day its value holds for.
_HOLDS = ((300 * DAY, 1), (27 * DAY, 2), (0, 3))


@dataclass(frozen=True, eq=False)
class ScalarTransform:
    """What was fitted to make scalar channels.

    Parameters
    ----------
    forcings, units : tuple of str
        Names and units of the series.
    mean, deviation : ndarray of float64, shape (forcing,)
        Of the train split.
    calendar : bool
        Whether the day of the year is given, behind the forcings.

    Examples
    --------
    >>> only_days = ScalarTransform((), (), np.zeros(0), np.zeros(0), True)
    >>> only_days.forward(np.zeros((2, 0)), np.array([0.0, 0.25])).round(3).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """

    forcings: tuple[str, ...]
    units: tuple[str, ...]
    mean: np.ndarray
    deviation: np.ndarray
    calendar: bool

    @classmethod
    def fit(
        cls, raw: np.ndarray, names: Sequence[str], units: Sequence[str], train: TrainSplit, *, calendar: bool
    ) -> ScalarTransform:
        """Fit on the train rows of ``raw``, shape (time, forcing), in units."""
        TrainSplit.require(train, "ScalarTransform")
        seen = train.take(raw)
        mean, deviation = seen.mean(axis=0), seen.std(axis=0)
        deviation = np.where(deviation > CONSTANT * np.abs(mean), deviation, 1.0)
        return cls(tuple(names), tuple(units), mean, deviation, calendar)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the channels."""
        return (*self.forcings, *(CALENDAR if self.calendar else ()))

    @property
    def channel_units(self) -> tuple[str, ...]:
        """Units of the channels before standardisation."""
        return (*self.units, *(("1", "1") if self.calendar else ()))

    @property
    def affine(self) -> tuple[np.ndarray, np.ndarray]:
        """Scale and shift from numbers to units, each (channel,)."""
        more = 2 if self.calendar else 0
        return np.append(self.deviation, np.ones(more)), np.append(self.mean, np.zeros(more))

    def forward(self, raw: np.ndarray, phase: np.ndarray) -> np.ndarray:
        """Return the channels, float32, shape (time, channel).

        Parameters
        ----------
        raw : ndarray, shape (time, forcing)
            In units.
        phase : ndarray, shape (time,)
            Phase of the year in [0, 1).
        """
        parts = [(raw - self.mean) / self.deviation]
        if self.calendar:
            angle = 2 * np.pi * np.asarray(phase)[:, None]
            parts.append(np.concatenate([np.cos(angle), np.sin(angle)], axis=1))
        return np.concatenate(parts, axis=1).astype(np.float32)


def forcing_names(forcings: Sequence[xr.Dataset]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return names and units of all series.

    Raises
    ------
    DataError
        If a name stands twice.
    """
    pairs = [(str(name), str(data[name].attrs.get("units", ""))) for data in forcings for name in data.data_vars]
    names = tuple(name for name, _ in pairs)
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise DataError(f"data.forcings: expected names that differ, got {', '.join(doubled)} twice.")
    return names, tuple(units for _, units in pairs)


def require_different(fields: Sequence[str], scalars: Sequence[str]) -> None:
    """Refuse scalar channels of one name, among themselves or with a field.

    Raises
    ------
    DataError
        If a name stands twice.
    """
    names = [*fields, *scalars]
    doubled = sorted({name for name in scalars if names.count(name) > 1})
    if doubled:
        raise DataError(
            f"expected channels with names of their own, got {', '.join(doubled)} both as a channel without a place "
            "(data.forcings, prepare.inputs.calendar) and as another; rename it in the data catalog."
        )


def forcing_values(forcings: Sequence[xr.Dataset], time: np.ndarray) -> np.ndarray:
    """Return the value of every series on every date, float64, shape (time, forcing).

    A yearly value holds for its year and a monthly one for its month, whatever the day it is stamped with.

    Raises
    ------
    DataError
        If a series has a place, or no value for a date.
    """
    columns = [_held(data, str(name), time) for data in forcings for name in data.data_vars]
    return np.stack(columns, axis=1) if columns else np.zeros((len(time), 0))


def _held(data: xr.Dataset, name: str, time: np.ndarray) -> np.ndarray:
    if data[name].dims != ("time",):
        raise DataError(
            f"data.forcings: expected {name!r} to be a series of dims ('time',), got {tuple(data[name].dims)}; fields "
            "go under data.predictors."
        )
    values = data[name].values.astype(float)
    own = np.asarray(data["time"].values)
    step = usual_step(microseconds(own), f"forcing {name!r}") if len(own) > 1 else 300 * DAY
    parts = next(parts for least, parts in _HOLDS if step >= least)
    known = {key: value for key, value in zip(_keys(own, parts), values, strict=True) if np.isfinite(value)}
    found = np.array([known.get(key, np.nan) for key in _keys(time, parts)])
    missing = np.flatnonzero(np.isnan(found))
    if missing.size:
        what = {1: "year", 2: "month", 3: "day"}[parts]
        raise DataError(
            f"data.forcings: expected a value of {name!r} for the {what} of every date, got none for "
            f"{iso(time[missing[0]])}; it spans {iso(own[0])} to {iso(own[-1])}."
        )
    return found


def _keys(time: np.ndarray, parts: int) -> list[tuple[int, ...]]:
    return [tuple(row) for row in components(time)[:, :parts].tolist()]
