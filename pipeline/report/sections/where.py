"""Where and when: maps of skill, bias and error, the best and the worst day, a cell's series."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import xarray as xr

from pipeline.grid import Grid
from pipeline.report import numbers, sentences
from pipeline.report.figures import maps, time
from pipeline.report.sections import Block, Figure, Heading, Section, slug
from pipeline.report.sections.verdict import bound, skill_map
from pipeline.report.study import Study

_LONGEST = 180


@dataclass(frozen=True, eq=False)
class Day:
    """One time of the test set: truth and prediction of shape (lat, lon), and its RMSE."""

    date: str
    truth: np.ndarray
    mean: np.ndarray
    rmse: float


def build(study: Study) -> Section | None:
    """Return the section; None where the headline model has neither maps nor predictions."""
    data = study.run.diagnostics(study.headline)
    blocks: list[Block] = []
    lead = ""
    for variable in study.variables:
        part, sentence = _variable(study, data, variable)
        if part and len(study.variables) > 1:
            blocks.append(Heading(variable))
        blocks += part
        lead = lead or sentence
    return Section("where", "Where and when", lead, tuple(blocks)) if blocks else None


def _variable(study: Study, data: xr.Dataset | None, variable: str) -> tuple[list[Block], str]:
    blocks: list[Block] = []
    lead = ""
    if data is not None and f"{variable}_rmse" in data:
        blocks.append(_maps(study, data, variable))
        lead = _lead(study, data, variable)
    predictions = study.run.predictions(study.headline)
    if predictions is not None:
        with predictions:
            test = predictions.isel(time=np.flatnonzero(predictions["split"].values.astype(str) == study.split))
            if f"{variable}_truth" in test and test.sizes["time"]:
                days = _days(test, variable)
                blocks += _day_figures(study, test, variable, days)
                lead = lead or _days_lead(study, variable, days)
                blocks += _series(study, test, data, variable)
    return blocks, lead


def _lead(study: Study, data: xr.Dataset, variable: str) -> str:
    field, low, high = (bound(data, f"{variable}_skill{end}") for end in ("", "_low", "_high"))
    if study.reference is not None and np.isfinite(field).any():
        return sentences.where(study.headline, study.reference, field, low, high)
    rmse = bound(data, f"{variable}_rmse")
    low_rmse, high_rmse = (float(x) for x in np.nanquantile(rmse, [0.05, 0.95]))
    unit = numbers.units(study.units[variable])
    return (
        f"The RMSE of {numbers.label(study.headline)} runs from {numbers.interval(low_rmse, high_rmse)} "
        f"{unit} in nine of ten cells."
    )


def _maps(study: Study, data: xr.Dataset, variable: str) -> Figure:
    grid, unit, name = Grid.of(data), study.units[variable], numbers.label(study.headline)
    bias, low, high = (bound(data, f"{variable}_bias{end}") for end in ("", "_low", "_high"))
    rmse = bound(data, f"{variable}_rmse")
    pictures = []
    if np.isfinite(bias).any():
        mean = float(np.nanmean(bias))
        direction = "too high" if mean > 0 else "too low"
        sure = float(np.mean(((low > 0) | (high < 0))[np.isfinite(bias)]))
        alt = (
            f"{name} is on average {numbers.with_units(numbers.number(abs(mean)), unit)} {direction}; "
            f"the bias differs from zero beyond doubt in {numbers.percent(sure)} of the cells."
        )  # fmt: skip
        panel = maps.MapPanel(bias, "Bias", alt, (low <= 0) & (high >= 0))
        pictures.append(maps.draw_map(panel, grid, maps.Scale.of("field", unit, bias)))
    lowest, highest = _corner(rmse, grid, np.nanargmin), _corner(rmse, grid, np.nanargmax)
    alt = f"The RMSE of {name} is lowest at {lowest} and highest at {highest}."
    pictures.append(maps.draw_map(maps.MapPanel(rmse, "RMSE", alt), grid, maps.Scale.of("spread", unit, rmse)))
    skill = skill_map(study, data, variable)
    pictures += [skill] if skill is not None else []
    caption = (
        f"{name} on {study.split}, {variable}, mean over all times of each cell. Dots: the 95\u00a0% "
        "interval includes zero."
    )
    return Figure(slug("maps", variable), tuple(pictures), caption)


def _corner(field: np.ndarray, grid: Grid, pick: object) -> str:
    row, column = np.unravel_index(pick(field), field.shape)  # type: ignore[operator]
    lat, lon = _position(grid, int(row), int(column))
    value = float(field[row, column])
    return f"{place(lat, lon)} ({numbers.number(value)})"


def _position(grid: Grid, row: int, column: int) -> tuple[float, float]:
    if grid.lat.ndim == 2:
        return float(grid.lat[row, column]), float(grid.lon[row, column])
    return float(grid.lat[row]), float(grid.lon[column])


def place(lat: float, lon: float) -> str:
    """Return a position in words.

    Examples
    --------
    >>> place(40.25, 355.25)
    '40.25° N, 4.75° W'
    """
    lon = (lon + 180) % 360 - 180
    return f"{abs(lat):g}\u00b0 {'N' if lat >= 0 else 'S'}, {abs(lon):g}\u00b0 {'E' if lon >= 0 else 'W'}"


def _days(test: xr.Dataset, variable: str) -> tuple[Day, Day] | None:
    """Return the day with the lowest and the one with the highest RMSE over the area."""
    truth, mean = test[f"{variable}_truth"], test[variable]
    weights = xr.DataArray(Grid.of(test).area, dims=Grid.of(test).dims)
    square = ((mean - truth).astype(float) ** 2).weighted(weights).mean(weights.dims)
    rmse = np.sqrt(square.values)
    if not np.isfinite(rmse).any():
        return None

    def day(index: int) -> Day:
        fields = [np.asarray(part.isel(time=index).values, float) for part in (truth, mean)]
        return Day(str(test["time"].values[index])[:10], fields[0], fields[1], float(rmse[index]))

    return day(int(np.nanargmin(rmse))), day(int(np.nanargmax(rmse)))


def _days_lead(study: Study, variable: str, days: tuple[Day, Day] | None) -> str:
    if days is None:
        return f"The test set {study.split} has no truth for {variable}."
    best, worst = days
    unit = study.units[variable]
    return (
        f"The RMSE over the area runs from {numbers.with_units(numbers.number(best.rmse), unit)} on {best.date} "
        f"to {numbers.with_units(numbers.number(worst.rmse), unit)} on {worst.date}."
    )  # fmt: skip


def _day_figures(study: Study, test: xr.Dataset, variable: str, days: tuple[Day, Day] | None) -> list[Block]:
    if days is None:
        return []
    unit, grid = study.units[variable], Grid.of(test)
    field = maps.Scale.of(
        "sequential", study.field_units[variable], *(f for day in days for f in (day.truth, day.mean))
    )
    error = maps.Scale.of("field", unit, *(day.mean - day.truth for day in days))
    blocks: list[Block] = []
    for word, day in zip(("best", "worst"), days, strict=True):
        gap = day.mean - day.truth
        row, column = np.unravel_index(int(np.nanargmax(np.abs(gap))), gap.shape)
        amount = numbers.with_units(numbers.number(float(gap[row, column]), sign=True), unit)
        spot = place(*_position(grid, int(row), int(column)))
        alts = (
            f"Truth on {day.date}: from {numbers.interval(float(np.nanmin(day.truth)), float(np.nanmax(day.truth)))}.",
            f"Prediction on {day.date}: from "
            f"{numbers.interval(float(np.nanmin(day.mean)), float(np.nanmax(day.mean)))}.",
            f"Error on {day.date}: the largest, {amount}, is at {spot}.",
        )
        parts = (("Truth", day.truth, field), ("Prediction", day.mean, field), ("Prediction less truth", gap, error))
        pictures = tuple(
            maps.draw_map(maps.MapPanel(values, title, alt), grid, scale)
            for (title, values, scale), alt in zip(parts, alts, strict=True)
        )
        caption = (
            f"The {word} day of {study.split}, {day.date}: {variable}, RMSE "
            f"{numbers.with_units(numbers.number(day.rmse), unit)}. "
            "Colours mean the same on the best and the worst day."
        )
        blocks.append(Figure(slug(word, "day", variable), pictures, caption))
    return blocks


def _series(study: Study, test: xr.Dataset, data: xr.Dataset | None, variable: str) -> list[Block]:
    grid = Grid.of(test)
    ranked, by = _ranking_map(study, test, data, variable)
    good = np.flatnonzero(np.isfinite(ranked).ravel())
    times = calendar_free(test["time"].values)
    if not len(good) or len(times) < 2:
        return []
    middle = good[np.argsort(ranked.ravel()[good], kind="stable")[(len(good) - 1) // 2]]
    row, column = (int(i) for i in np.unravel_index(int(middle), ranked.shape))
    cell = test.isel({grid.dims[0]: row, grid.dims[1]: column})
    truth, mean = (np.asarray(cell[name].values, float) for name in (f"{variable}_truth", variable))
    part = _stretch(times, np.abs(mean - truth))
    bands = tuple(
        (
            np.asarray(cell[f"{variable}_{low}"].values, float)[part],
            np.asarray(cell[f"{variable}_{high}"].values, float)[part],
            name,
        )
        for low, high, name in (("q05", "q95", "90\u00a0% band"), ("q25", "q75", "50\u00a0% band"))
        if f"{variable}_{low}" in cell and f"{variable}_{high}" in cell
    )
    record = time.Series(times[part], truth[part], mean[part], bands)
    spot = place(*_position(grid, row, column))
    first, last = str(record.time[0])[:10], str(record.time[-1])[:10]
    unit = numbers.units(study.field_units[variable])
    alt = f"Truth and prediction at {spot}, {first} to {last}{_inside(record)}."
    picture = time.series(record, study.colours[study.headline], f"{variable} [{unit}]" if unit else variable, alt)
    caption = (
        f"{variable} at {spot}, the cell with the median {by}, in the stretch with the median error, {first} to {last}"
        f"{_inside(record)}. Model: {numbers.label(study.headline)}."
    )
    return [Figure(slug("series", variable), (picture,), caption)]


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


def _ranking_map(study: Study, test: xr.Dataset, data: xr.Dataset | None, variable: str) -> tuple[np.ndarray, str]:
    if data is not None:
        skill = bound(data, f"{variable}_skill")
        if np.isfinite(skill).any():
            return skill, f"skill against {numbers.label(study.reference or 'the baseline')}"
        return bound(data, f"{variable}_rmse"), "RMSE"
    error = (test[variable] - test[f"{variable}_truth"]).astype(float)
    return np.sqrt((error**2).mean("time").values), "RMSE"


def _stretch(times: np.ndarray, error: np.ndarray) -> slice:
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


def _inside(record: time.Series) -> str:
    if not record.bands:
        return ""
    low, high, name = record.bands[0]
    good = np.isfinite(record.truth)
    if not good.any():
        return ""
    share = float(np.mean(((record.truth >= low) & (record.truth <= high))[good]))
    return f"; {numbers.percent(share)} of the truths lie in the {name}"
