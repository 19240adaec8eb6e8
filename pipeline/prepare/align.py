"""One time axis for all datasets, matched by date, and the target's region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import xarray as xr

from pipeline.errors import DataError, SplitError
from pipeline.grid import Grid
from pipeline.prepare.basin_split import BasinSplit
from pipeline.prepare.dates import (
    DAY,
    as_times,
    calendar_of,
    components,
    elapsed,
    iso,
    microseconds,
    phase_of_year,
)
from pipeline.prepare.spans import beyond
from pipeline.prepare.splits import TimeSplit
from pipeline.prepare.windows import TOLERANCE, usual_step

if TYPE_CHECKING:
    from pipeline.prepare.tiles import TileSplit

Predictors = Sequence[tuple[str, xr.Dataset]]
Split = TimeSplit | BasinSplit
Calendars = Literal["same", "match_dates"]

_SAME = frozenset({"standard", "gregorian", "proleptic_gregorian"})
"""Names of one calendar for all dates that data are of; the Julian days before 1582 are none."""

# Least step [us], what two stamps must share, and how many of year, month, day, second that is.
_MATCHES = ((300 * DAY, "year", 1), (27 * DAY, "month", 2), (DAY // 2 + 1, "date", 3), (0, "time", 4))


@dataclass(frozen=True, eq=False)
class Axis:
    """The steps of all splits, in order, and where each dataset has them.

    Parameters
    ----------
    time : ndarray, shape (time,)
        Stamps of the first predictor.
    count : ndarray of int64, shape (time,)
        The same as microseconds since 1970-01-01, leap days closed that the dates leave out.
    phase : ndarray, shape (time,)
        Phase of the year in [0, 1).
    step : int
        Usual time between two steps before months were chosen [us].
    positions : mapping of str to ndarray
        Positions on this axis of every split.
    predictors : tuple of ndarray
        For every predictor dataset, its step at each position.
    target : ndarray
        The target's step at each position, -1 where it has none.
    split : TimeSplit, BasinSplit or TileSplit
        The splits, in the calendar of ``time``.
    matched_by : str
        ``date`` for daily data, so that 00:00 meets 12:00; ``year``, ``month`` or ``time`` otherwise.
    notes : tuple of str
        What a reader should know, such as stamps that differ, or spans that reach past the data.
    """

    time: np.ndarray
    count: np.ndarray
    phase: np.ndarray
    step: int
    positions: Mapping[str, np.ndarray]
    predictors: tuple[np.ndarray, ...]
    target: np.ndarray
    split: Split | TileSplit
    matched_by: str
    notes: tuple[str, ...]


def align(
    predictors: Predictors,
    target: xr.Dataset,
    split: Split,
    months: Sequence[int] | None,
    calendars: Calendars = "same",
) -> Axis:
    """Return the axis of the dates that all predictors have, inside the splits and ``months``.

    Raises
    ------
    DataError
        If times are missing, out of order or doubled, the steps of two datasets differ, or their calendars
        do and ``calendars`` is ``"same"``.
    SplitError
        If the splits do not suit the calendar, or one of them is left without data.
    """
    sources = [*_named(predictors), ("target", target)]
    keys = _Keys.of(sources)
    if calendars == "same":
        _refuse_calendars(keys)
    common = keys.shared(len(predictors))
    notes = _notes(keys, common)
    time = keys.times[0][_where(keys.keys[0], common)]
    step = usual_step(microseconds(time))
    chosen = np.ones(len(time), bool) if months is None else np.isin(components(time)[:, 1], list(months))
    split = split.on(calendar_of(time))
    inside = _positions(split, time, chosen, months)
    notes += beyond(_asked(split), time, months)
    kept = np.unique(np.concatenate(list(inside.values())))
    time, common = time[kept], common[kept]
    return Axis(
        time=time,
        count=elapsed(time),
        phase=phase_of_year(time),
        step=step,
        positions={name: np.searchsorted(kept, index) for name, index in inside.items()},
        predictors=tuple(_where(key, common) for key in keys.keys[:-1]),
        target=_where(keys.keys[-1], common),
        split=split,
        matched_by=keys.matched_by,
        notes=notes,
    )


def shared_dates(predictors: Predictors, step: int | None = None) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the dates that all predictors have, as stamps of the first, and each one's steps there.

    Calendars may differ: that they do was refused or asked for where the models were trained.

    Parameters
    ----------
    predictors : sequence of (str, Dataset)
        Their times are looked at.
    step : int, optional
        Usual time between two steps [us], where these are a few dates of a longer series; else it is worked out.

    Raises
    ------
    DataError
        As for :func:`align`.
    """
    keys = _Keys.of(_named(predictors), step)
    common = keys.shared(len(predictors))
    steps = [_where(key, common) for key in keys.keys]
    return keys.times[0][steps[0]], steps


def steps_at(time: np.ndarray, data: xr.Dataset, what: str, step: int | None = None) -> np.ndarray:
    """Return the step of ``data`` on each date of ``time``, -1 where it has none.

    ``step`` is the usual time between two steps [us], where these are a few dates of a longer series.

    Raises
    ------
    DataError
        As for :func:`align`.
    """
    keys = _Keys.of([("the axis", xr.Dataset(coords={"time": time})), (what, data)], step)
    return _where(keys.keys[1], keys.keys[0])


def crop(target: xr.Dataset, region: Mapping[str, tuple[float, float]] | None) -> xr.Dataset:
    """Return the target's cells inside ``region``, longitudes ascending from its western edge.

    On a projected grid the box of rows and columns that hold the region is kept, and cells of it
    outside the region are set to missing. Of stations those inside are kept, in their order.

    Raises
    ------
    DataError
        If no cell lies inside.
    """
    if not region:
        return target
    grid = Grid.of(target)
    south, north = region.get("lat", (-90.0, 90.0))
    west, east = region.get("lon", (float(grid.lon.min()), float(grid.lon.max())))
    lon = grid.lon - 360.0 * np.floor((grid.lon - west) / 360.0)
    rows, columns = (grid.lat >= south) & (grid.lat <= north), lon <= east
    if grid.lat.ndim == 1:
        if not rows.any() or not columns.any():
            raise _empty(region, grid)
        order = np.flatnonzero(columns)[np.argsort(lon[columns])]
        cropped = target.isel(lat=np.flatnonzero(rows), lon=order)
        return cropped.assign_coords(lon=("lon", lon[order], target["lon"].attrs))
    inside = rows & columns
    if not inside.any():
        raise _empty(region, grid)
    if grid.stations:
        return target.isel(station=np.flatnonzero(inside[0]))
    box = {dim: np.flatnonzero(inside.any(axis=1 - axis)) for axis, dim in enumerate(grid.dims)}
    window = {dim: slice(index[0], index[-1] + 1) for dim, index in box.items()}
    return target.where(xr.DataArray(inside, dims=grid.dims)).isel(window)


def _empty(region: Mapping[str, tuple[float, float]], grid: Grid) -> DataError:
    return DataError(
        f"data.region {dict(region)!r} holds no target cell; the target spans lat {grid.lat.min():g} to "
        f"{grid.lat.max():g} and lon {grid.lon.min():g} to {grid.lon.max():g}."
    )


def _time(data: xr.Dataset, what: str) -> np.ndarray:
    if "time" not in data.dims or "time" not in data.coords:
        image = {"y", "x"} <= set(data.dims) and "lat" not in data.coords
        instead = (
            "Images, which have neither place nor time, stand under data.images, with task: segmentation and split.by: "
            "block."
            if image
            else "Predictors that do not change in time stand under data.static."
        )
        raise DataError(f"{what}: expected a dim and a coordinate time, got dims {tuple(data.dims)}. {instead}")
    return np.asarray(data["time"].values)


def _named(predictors: Predictors) -> list[tuple[str, xr.Dataset]]:
    return [(f"predictor {name!r}", data) for name, data in predictors]


@dataclass(frozen=True, eq=False)
class _Keys:
    """Times of several datasets, and one ascending number a step that equal dates share."""

    names: list[str]
    times: list[np.ndarray]
    keys: list[np.ndarray]
    matched_by: str

    @classmethod
    def of(cls, sources: Sequence[tuple[str, xr.Dataset]], step: int | None = None) -> _Keys:
        names = [what for what, _ in sources]
        times = [as_times(_time(data, what), what) for what, data in sources]
        steps = [step or usual_step(microseconds(time), what) for what, time in zip(names, times, strict=True)]
        low, high = int(np.argmin(steps)), int(np.argmax(steps))
        if steps[high] > TOLERANCE * steps[low]:
            raise DataError(
                f"expected the same step everywhere, got {steps[low] / DAY:g} days in {names[low]} and "
                f"{steps[high] / DAY:g} days in {names[high]}; average the finer one first."
            )
        matched_by, parts = next((word, parts) for least, word, parts in _MATCHES if steps[low] >= least)
        keys = [_key(time, parts, what, matched_by) for what, time in zip(names, times, strict=True)]
        return cls(names, times, keys, matched_by)

    def shared(self, predictors: int) -> np.ndarray:
        """Return the keys that the first ``predictors`` datasets have."""
        common = self.keys[0]
        for other in self.keys[1:predictors]:
            common = common[np.isin(common, other)]
        if len(common) < 2:
            spans = "; ".join(
                f"{name} {iso(time[0])} to {iso(time[-1])}" for name, time in zip(self.names, self.times, strict=True)
            )
            raise DataError(f"expected two or more dates that all predictors have, got {len(common)}: {spans}.")
        return common


def _refuse_calendars(keys: _Keys) -> None:
    first, other = keys.names[0], calendar_of(keys.times[0])
    for name, time in zip(keys.names, keys.times, strict=True):
        calendar = calendar_of(time)
        if calendar != other and not {calendar, other} <= _SAME:
            raise DataError(
                f"expected all datasets in one calendar, got {other} in {first} and {calendar} in {name}: the same "
                "date is another day of the season in each, and some dates are in one alone. Convert one of them, or "
                "write calendars: match_dates under prepare to pair them by year, month and day."
            )


def _key(time: np.ndarray, parts: int, what: str, matched_by: str) -> np.ndarray:
    """Return numbers from the leading ``parts`` of year, month, day and second."""
    key = np.zeros(len(time), np.int64)
    for column, size in zip(components(time).T[:parts], (1, 12 + 1, 31 + 1, 86_400 + 1), strict=False):
        key = key * size + column
    double = np.flatnonzero(np.diff(key) == 0)
    if double.size:
        raise DataError(f"{what}: expected one step a {matched_by}, got two in {iso(time[double[0]])}.")
    return key


def _where(key: np.ndarray, common: np.ndarray) -> np.ndarray:
    """Return the position of each of ``common`` in ``key``, -1 where it is not there."""
    place = np.minimum(np.searchsorted(key, common), len(key) - 1)
    return np.where(key[place] == common, place, -1)


def _positions(
    split: Split, time: np.ndarray, chosen: np.ndarray, months: Sequence[int] | None
) -> dict[str, np.ndarray]:
    found = {}
    for name, span in split.spans.items():
        index = split.select(name, time)
        found[name] = index[chosen[index]]
        if not found[name].size:
            raise SplitError(
                f"split {name!r} ({span[0]} to {span[1]}) holds {len(index)} steps and none in data.months {months!r}."
            )
    return found


def _asked(split: Split) -> dict[str, tuple[str, str]]:
    """Return first and last date of what the experiment says, by its key."""
    if isinstance(split, BasinSplit):
        return {} if split.span is None else {"split.span": split.span}
    return {f"split.{name}": span for name, span in split.spans.items()}


def _notes(keys: _Keys, common: np.ndarray) -> tuple[str, ...]:
    """Return sentences on stamps and calendars that differ, and on dates that not all have."""
    notes = []
    times = keys.times
    first = components(times[0])[0, 3]
    for name, time, key in zip(keys.names, times, keys.keys, strict=True):
        second = components(time)[0, 3]
        if second != first:
            notes.append(f"{name} is stamped {_clock(second)}, the first predictor {_clock(first)}.")
        if calendar_of(time) != calendar_of(times[0]):
            notes.append(f"{name} counts in the calendar {calendar_of(time)}, the axis in {calendar_of(times[0])}.")
        missing = int((~np.isin(common, key)).sum())
        if missing:
            notes.append(f"{name} lacks {missing} of the {len(common)} dates that the predictors share.")
        alone = int((~np.isin(key[(key >= common[0]) & (key <= common[-1])], common)).sum())
        if alone:
            notes.append(f"{name} has {alone} dates that not all predictors have; they are left out.")
    return tuple(notes)


def _clock(second: int) -> str:
    return f"{second // 3600:02d}:{second % 3600 // 60:02d}"
