"""Daily series of many cells, cut into years and seasons; what the CORDEX indices are made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from pipeline.data.units import conversion
from pipeline.errors import ConfigError, DataError
from pipeline.metrics.years import Years
from pipeline.metrics.years import longest_spell as years_longest_spell
from pipeline.prepare.dates import DAY, components, elapsed

SEASONS = {"DJF": (12, 1, 2), "MAM": (3, 4, 5), "JJA": (6, 7, 8), "SON": (9, 10, 11)}
UNITS = {"tasmax": "K", "pr": "mm d-1"}
_WHOLE = 0.9
_BLOCK = 2**20  # values worked on at a time: 8 MiB in float64


@dataclass(frozen=True, eq=False)
class Series:
    """Daily values of many cells, those of one season or of all the year.

    Parameters
    ----------
    values : ndarray, shape (time, cell)
        As stored, NaN where missing; those of :meth:`blocks` are float64.
    follows : ndarray of bool, shape (time,)
        Whether the time before is the day before.
    starts : ndarray of int, shape (year,)
        First position of each year or season.
    whole : ndarray of bool, shape (year,)
        Whether it has nine tenths of the days of the fullest.
    """

    values: np.ndarray
    follows: np.ndarray
    starts: np.ndarray
    whole: np.ndarray

    def blocks(self) -> Iterator[Series]:
        """Yield the same series a few cells at a time: sums in float64 of all at once would take much memory."""
        width = max(1, _BLOCK // len(self.values))
        for start in range(0, self.values.shape[1], width):
            yield replace(self, values=self.values[:, start : start + width].astype(np.float64))

    def yearly(self, reduce: np.ufunc, values: np.ndarray | None = None) -> np.ndarray:
        """Return the reduction over each whole year, shape (year, cell)."""
        reduced: np.ndarray = reduce.reduceat(self.values if values is None else values, self.starts, axis=0)
        chosen: np.ndarray = reduced[self.whole]
        return chosen


def series_of(data: xr.DataArray, season: str | None) -> Iterator[Series]:
    """Yield the cells' series of every member in the benchmark's units, those of the season."""
    if season is not None and season not in SEASONS:
        raise ConfigError(f"unknown season {season!r}. Known: {', '.join(SEASONS)}.")
    time = np.asarray(data["time"].values)
    parts = components(time)
    chosen = np.isin(parts[:, 1], SEASONS[season]) if season else np.ones(len(time), bool)
    if not chosen.any():
        raise DataError(f"expected days in {season}, got none among {len(time)} times.")
    days = elapsed(time)[chosen] // DAY  # the training files have no leap days in a calendar that has
    follows = np.diff(days, prepend=days[0]) == 1
    year = parts[chosen, 0] + (parts[chosen, 1] == 12 if season == "DJF" else 0)
    _, starts, count = np.unique(year, return_index=True, return_counts=True)
    turn = conversion(str(data.attrs["units"]), UNITS[str(data.name)])
    members = [data] if "member" not in data.dims else [data.isel(member=n) for n in range(data.sizes["member"])]
    for member in members:
        values = member.transpose("time", *places(data)).to_numpy().reshape(len(time), -1)
        values = values if chosen.all() else values[chosen]
        values = turn(values) if turn.changes else values
        yield Series(values, follows, starts, count >= _WHOLE * count.max())


def places(data: xr.DataArray) -> tuple[str, ...]:
    """Return the names of the horizontal dims."""
    return tuple(str(dim) for dim in data.dims if dim not in ("time", "member"))


def longest_spell(series: Series, condition: np.ndarray) -> np.ndarray:
    """Return the longest run of days that fulfil ``condition``, the mean over whole years, shape (cell,).

    A run ends with its year or season and where a day is missing.
    """
    begins = ~series.follows
    begins[series.starts] = True
    ends = np.append(series.starts[1:], len(condition))
    years = Years(np.arange(len(ends)), np.stack([series.starts, ends], axis=1), begins)
    return mean_of_years(series, years_longest_spell(condition, years)[series.whole].astype(float))


def mean_of_years(series: Series, yearly: np.ndarray) -> np.ndarray:
    """Return the mean over years; NaN for a cell that is always missing."""
    never = ~np.isfinite(series.values).any(axis=0)
    return np.where(never, np.nan, nanmean(yearly))


def correlation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return Pearson's correlation over the first axis, pairs with a missing value left out; NaN without variation."""
    known = np.isfinite(one) & np.isfinite(other)
    a, b = (np.where(known, values, np.nan) for values in (one, other))
    a, b = a - nanmean(a), b - nanmean(b)
    square = nanmean(a * a) * nanmean(b * b)
    answer: np.ndarray = np.divide(nanmean(a * b), np.sqrt(square), out=np.full_like(square, np.nan), where=square > 0)
    return answer


def nanmean(values: np.ndarray) -> np.ndarray:
    """Return the mean over the first axis of what is not NaN, NaN where nothing is, and no warning."""
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    answer: np.ndarray = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return answer
