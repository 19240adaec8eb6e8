"""The best and the worst case of a series: of forecasts, of the highest flows of years, or of stretches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from pipeline.grid import Grid
from pipeline.report import leads, numbers, sentences
from pipeline.report.figures.time import Series
from pipeline.report.sections.cell import Cell, calendar_free
from pipeline.report.study import Study

_LEAST_LEADS = 5
_KNOWN = 0.8  # share of a stretch that has truth
_NEAR = 60  # samples before and after a peak
_OF_A_YEAR = 0.5
_LENGTHS = (60, 24, 12)  # samples of a stretch
_BANDS = (("q05", "q95", "90\u00a0% band"), ("q25", "q75", "50\u00a0% band"))


@dataclass(frozen=True, eq=False)
class Case:
    """A part of a series with its title; the rule by which best and worst were chosen; a time worth a line."""

    series: Series
    title: str
    alt: str
    rule: str
    mark: np.datetime64 | None = None


def best_and_worst(study: Study, variable: str, series: Series, place: Cell | None) -> tuple[Case, ...]:
    """Return the best and the worst case, or none where there are too few.

    Of five leads or more, they are forecasts by their error over all leads; of flow, the highest of each year by how
    much was predicted on that day; else stretches of the test set.
    """
    if len(study.run.leads) >= _LEAST_LEADS:
        return _forecasts(study, variable, place)
    if study.quantities[variable] == "flow":
        return _peaks(study, variable, series)
    return _stretches(study, variable, series)


def series_of(data: xr.Dataset, variable: str, time: np.ndarray) -> Series:
    """Return what a file says of one place and one lead, all variables of shape (time,)."""
    truth, mean = (np.asarray(data[name].values, float) for name in (f"{variable}_truth", variable))
    bands = tuple(
        (
            np.asarray(data[f"{variable}_{low}"].values, float),
            np.asarray(data[f"{variable}_{high}"].values, float),
            name,
        )
        for low, high, name in _BANDS
        if f"{variable}_{low}" in data and f"{variable}_{high}" in data
    )
    return Series(time, truth, mean, bands)


def cut(series: Series, part: slice) -> Series:
    """Return a part of a series."""
    bands = tuple((low[part], high[part], name) for low, high, name in series.bands)
    return Series(series.time[part], series.truth[part], series.mean[part], bands)


def _forecasts(study: Study, variable: str, place: Cell | None) -> tuple[Case, ...]:
    data = study.run.forecasts(study.headline)
    if data is None or "valid_time" not in data.variables:
        return ()
    with data:
        test = data.isel(time=np.flatnonzero(data["split"].values.astype(str) == study.split))
        grid = Grid.of(test)
        row, column = (place.row, place.column) if place is not None else (0, 0)
        test = test.isel({grid.dims[0]: row, grid.dims[1]: column})
        order = ("time", "lead")
        gap = (test[variable] - test[f"{variable}_truth"]).transpose(*order).values.astype(float)
        rmse = np.sqrt(np.mean(gap**2, axis=1))  # NaN where a lead has no truth
        if np.isfinite(rmse).sum() < 2:
            return ()
        found = []
        for word, index in (("Best", int(np.nanargmin(rmse))), ("Worst", int(np.nanargmax(rmse)))):
            one = test.isel(time=index)
            begun, valid = str(test["time"].values[index])[:10], calendar_free(one["valid_time"].values)
            amount = numbers.with_units(numbers.number(float(rmse[index])), study.units[variable])
            title = f"{word} forecast: begun {begun}, RMSE {amount}"
            alt = f"The {word.lower()} forecast, begun {begun}, is off by {amount} over its {len(valid)} leads."
            rule = (
                f"the forecasts of {sentences.named_set(study.split)} with the lowest and the highest RMSE over "
                f"{leads.span(study.run.leads, study.step)}, by the time that is forecast."
            )
            found.append(Case(series_of(one, variable, valid), title, alt, rule))
    return tuple(found)


def _peaks(study: Study, variable: str, series: Series) -> tuple[Case, ...]:
    years = series.time.astype("datetime64[Y]")
    known = np.isfinite(series.truth) & np.isfinite(series.mean)
    counts = {year: int((known & (years == year)).sum()) for year in np.unique(years)}
    most = max(counts.values())
    rows = []
    for year, count in counts.items():
        if count >= _OF_A_YEAR * most:
            there = np.flatnonzero(known & (years == year))
            rows.append(int(there[np.argmax(series.truth[there])]))
    if len(rows) < 2:
        return ()
    off = np.array([(series.mean[row] - series.truth[row]) / series.truth[row] for row in rows])
    found = []
    for word, index in (("best", int(np.argmin(np.abs(off)))), ("worst", int(np.argmax(np.abs(off))))):
        row, share = rows[index], float(off[index])
        way = "too much" if share > 0 else "too little"
        told = f"{numbers.percent(abs(share))} {way}" if abs(share) >= 0.005 else "right within 0.5\u00a0%"
        date = str(series.time[row])[:10]
        amount = numbers.with_units(numbers.number(float(series.truth[row])), study.units[variable])
        part = slice(max(row - _NEAR, 0), row + _NEAR + 1)
        rule = (
            f"of the highest flows of {numbers.plural(len(rows), 'calendar year')}, the one that was predicted best on "
            "its day and the one that was predicted worst, by the share that is missing or too much."
        )
        alt = f"The {word} predicted yearly maximum, {amount} on {date}: {told}."
        found.append(Case(cut(series, part), f"{word.capitalize()}: {date}, {told}", alt, rule, series.time[row]))
    return tuple(found)


def _stretches(study: Study, variable: str, series: Series) -> tuple[Case, ...]:
    length = next((size for size in _LENGTHS if len(series.time) >= 4 * size), 0)
    gap = series.mean - series.truth
    steps = np.diff(series.time)
    parts = []
    for start in range(0, len(gap) - length + 1, length) if length else ():
        part = slice(start, start + length)
        whole = bool((steps[start : start + length - 1] <= 1.5 * np.median(steps)).all())
        if whole and np.isfinite(gap[part]).mean() >= _KNOWN:
            parts.append((float(np.sqrt(np.nanmean(gap[part] ** 2))), part))
    if len(parts) < 2:
        return ()
    parts.sort(key=lambda item: item[0])
    when = "" if study.run.shown_lead is None else f", {leads.ahead(study.run.shown_lead, study.step)}"
    found = []
    for word, (rmse, part) in (("Best", parts[0]), ("Worst", parts[-1])):
        first = str(series.time[part][0])[:10]
        amount = numbers.with_units(numbers.number(rmse), study.units[variable])
        rule = f"the stretches of {length} {study.step}s with the lowest and the highest RMSE{when}."
        alt = f"The {word.lower()} stretch of {length} {study.step}s, from {first}, is off by {amount}."
        found.append(Case(cut(series, part), f"{word}: from {first}, RMSE {amount}", alt, rule))
    return tuple(found)
