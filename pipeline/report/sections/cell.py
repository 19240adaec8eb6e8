"""The cell whose series is shown: not picked by hand, but the one in the middle of the ranking."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import xarray as xr

from pipeline.grid import Grid
from pipeline.report import numbers
from pipeline.report.figures import time
from pipeline.report.places import kind
from pipeline.report.sections import Figure, slug
from pipeline.report.study import Study

_LONGEST = 180


@dataclass(frozen=True)
class Cell:
    """A cell: its place in arrays of shape (lat, lon), its position, its place in words, what it is the middle of."""

    row: int
    column: int
    lat: float
    lon: float
    words: str
    ranked_by: str


def median_cell(study: Study, data: xr.Dataset, variable: str) -> Cell | None:
    """Return the cell with the median skill, or RMSE where there is no baseline; None where all is missing."""
    metric, rmse = study.metrics[variable], data.get(f"{variable}_rmse")
    own = f"{variable}_{metric}_skill"
    score = f" by the {metric.upper()}" if own in data else ""
    ranked = data.get(own if own in data else f"{variable}_skill")
    by = f"skill{score} against {numbers.label(study.rival or '')}"
    if study.rival is None or ranked is None or not np.isfinite(ranked.values).any():
        ranked, by = rmse, "RMSE"
    if ranked is None or not np.isfinite(ranked.values).any():
        return None
    values = ranked.values.ravel()
    good = np.flatnonzero(np.isfinite(values))
    middle = good[np.argsort(values[good], kind="stable")[(len(good) - 1) // 2]]
    row, column = (int(index) for index in np.unravel_index(int(middle), ranked.shape))
    grid = Grid.of(data)
    return Cell(row, column, *position(grid, row, column), spot(grid, row, column, study.quantities[variable]), by)


def series(study: Study, test: xr.Dataset, variable: str, cell: Cell) -> Figure | None:
    """Draw truth, prediction and bands of a cell; None for a single time."""
    grid = Grid.of(test)
    dates = test["time"].values
    times = calendar_free(dates)
    if len(times) < 2:
        return None
    data = test.isel({grid.dims[0]: cell.row, grid.dims[1]: cell.column})
    truth, mean = (np.asarray(data[name].values, float) for name in (f"{variable}_truth", variable))
    part = stretch(times, np.abs(mean - truth))
    bands = tuple(
        (_values(data, f"{variable}_{low}")[part], _values(data, f"{variable}_{high}")[part], name)
        for low, high, name in (("q05", "q95", "90\u00a0% band"), ("q25", "q75", "50\u00a0% band"))
        if f"{variable}_{low}" in data and f"{variable}_{high}" in data
    )
    record = time.Series(times[part], truth[part], mean[part], bands)
    first, last = (str(date)[:10] for date in dates[part][[0, -1]])
    where = f"{cell.words}, {first} to {last}{inside(record)}"
    unit = numbers.units(study.field_units[variable])
    axis = f"{variable} [{unit}]" if unit else variable
    picture = time.series(record, study.colours[study.headline], axis, f"Truth and prediction at {where}.")
    caption = (
        f"{variable} at {where}. It is the {kind(grid)} with the median {cell.ranked_by}, in the stretch of "
        f"{study.split} with the "
        f"median error. Model: {numbers.label(study.headline)}."
    )
    return Figure(slug("series", variable), (picture,), caption)


def _values(data: xr.Dataset, name: str) -> np.ndarray:
    return np.asarray(data[name].values, float)


def position(grid: Grid, row: int, column: int) -> tuple[float, float]:
    """Return latitude and longitude of a cell."""
    if grid.lat.ndim == 2:
        return float(grid.lat[row, column]), float(grid.lon[row, column])
    return float(grid.lat[row]), float(grid.lon[column])


def spot(grid: Grid, row: int, column: int, quantity: str = "") -> str:
    """Return where a cell is in words: its position, or the name of the station or basin."""
    return f"{kind(grid, quantity)} {grid.stations[column]}" if grid.stations else place(*position(grid, row, column))


def place(lat: float, lon: float) -> str:
    """Return a position in words.

    Examples
    --------
    >>> place(40.25, 355.25)
    '40.25° N, 4.75° W'
    """
    lon = (lon + 180) % 360 - 180
    return f"{abs(lat):g}\u00b0 {'N' if lat >= 0 else 'S'}, {abs(lon):g}\u00b0 {'E' if lon >= 0 else 'W'}"


def calendar_free(times: np.ndarray) -> np.ndarray:
    """Return ``datetime64`` for a picture: dates of other calendars keep their year and their share of it.

    Examples
    --------
    >>> import cftime
    >>> calendar_free(np.array([cftime.Datetime360Day(2000, 2, 30)])).astype("datetime64[D]")
    array(['2000-02-29'], dtype='datetime64[D]')
    """
    if np.issubdtype(times.dtype, np.datetime64):
        return times
    begins = [t.replace(month=1, day=1, hour=0) for t in times]
    share = [(t - begin) / (begin.replace(year=t.year + 1) - begin) for t, begin in zip(times, begins, strict=True)]
    years = np.array([f"{t.year:04d}" for t in times], dtype="datetime64[Y]")
    start, length = years.astype("datetime64[s]"), (years + 1).astype("datetime64[s]") - years.astype("datetime64[s]")
    moved: np.ndarray = start + (np.array(share) * length.astype(float)).astype("timedelta64[s]")
    return moved


def stretch(times: np.ndarray, error: np.ndarray) -> slice:
    """Return the unbroken stretch of times whose mean error is the median of all, cut to what can be read."""
    steps = np.diff(times)
    breaks = np.flatnonzero(steps > 1.5 * np.median(steps)) + 1
    edges = [0, *breaks.tolist(), len(times)]
    pieces = [
        (start, min(start + _LONGEST, stop))
        for begin, stop in pairwise(edges)
        for start in range(begin, stop, _LONGEST)
    ]
    longest = max(stop - start for start, stop in pieces)
    pieces = [
        piece for piece in pieces if piece[1] - piece[0] >= 0.5 * longest and np.isfinite(error[slice(*piece)]).any()
    ]
    if not pieces:
        return slice(0, min(len(times), _LONGEST))
    pieces.sort(key=lambda piece: float(np.nanmean(error[slice(*piece)])))
    return slice(*pieces[(len(pieces) - 1) // 2])


def inside(record: time.Series) -> str:
    """Say how many truths lie in the widest band, as a clause; empty without bands."""
    if not record.bands:
        return ""
    low, high, name = record.bands[0]
    good = np.isfinite(record.truth)
    if not good.any():
        return ""
    share = float(np.mean(((record.truth >= low) & (record.truth <= high))[good]))
    return f"; {numbers.percent(share)} of the truths lie in the {name}"
