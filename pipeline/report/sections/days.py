"""Single days on maps: the best, the middle, the worst and the highest in truth, and the members of one of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import xarray as xr

from pipeline.grid import Grid
from pipeline.metrics.indices import wet_threshold
from pipeline.report import leads, numbers, sentences
from pipeline.report.figures import maps
from pipeline.report.places import kind
from pipeline.report.sections import Block, Figure, slug
from pipeline.report.sections.cell import spot
from pipeline.report.study import Study

_RAINY = 0.1
_NEARLY = 0.9
_MOST_VARIABLES = 3  # of which more days than two are drawn
_MOST_MEMBERS = 8
_HIGHEST = {"precipitation": "wettest", "temperature": "warmest"}


@dataclass(frozen=True, eq=False)
class Day:
    """One time of the test set: truth and prediction of shape (lat, lon), and its RMSE."""

    date: str
    truth: np.ndarray
    mean: np.ndarray
    rmse: float

    @property
    def known(self) -> int:
        """Number of cells with truth and a prediction."""
        return int(np.isfinite(self.truth - self.mean).sum())


@dataclass(frozen=True, eq=False)
class Days:
    """Days that tell something, and the least number of cells with truth on the days they were chosen among.

    Parameters
    ----------
    least, of : int
        Cells with truth on each of them, and on the day with most.
    among, every : int
        How many days they are, and how many have truth at all.
    middle, highest : Day
        That with the median RMSE, and that with the highest truth on average over the area.
    """

    best: Day
    worst: Day
    least: int
    of: int
    among: int
    every: int
    middle: Day
    highest: Day


def ahead(study: Study) -> str:
    """Say how far ahead it was forecast, where there are several leads and one is shown."""
    lead = study.run.shown_lead
    return "" if lead is None else f", {leads.ahead(lead, study.step)}"


def wet(study: Study, variable: str) -> float | None:
    """Return from which value on a cell is wet; None for what is no precipitation, or no mean of a day."""
    unit = study.field_units[variable]
    return wet_threshold(unit) if study.quantities[variable] == "precipitation" and study.step == "day" else None


def choose(test: xr.Dataset, variable: str, threshold: float | None) -> Days | None:
    """Return the day with the lowest and the one with the highest RMSE over the area.

    Both are days with truth at nearly as many cells as half of the days have or more: a day on which one station of
    three has truth says little of the others. Of precipitation a dry day that was foreseen says little: the best one
    is among those on which a tenth of the cells or more is wet in truth, where there are such days; so is
    the one in the middle.
    """
    truth, mean = test[f"{variable}_truth"], test[variable]
    weights = xr.DataArray(Grid.of(test).area, dims=Grid.of(test).dims)
    square = ((mean - truth).astype(float) ** 2).weighted(weights).mean(weights.dims)
    rmse = np.sqrt(square.values)
    if not np.isfinite(rmse).any():
        return None
    there = np.isfinite((mean - truth).values).reshape(len(rmse), -1).sum(axis=1)
    every = np.isfinite(rmse)
    least = max(1, math.ceil(_NEARLY * float(np.median(there[every]))))
    rmse = np.where(there >= least, rmse, np.nan)
    shown = rmse
    if threshold is not None:
        known = truth.notnull().sum(weights.dims).values
        rainy = (truth >= threshold).sum(weights.dims).values >= _RAINY * np.maximum(known, 1)
        shown = np.where(rainy, rmse, np.nan) if np.isfinite(rmse[rainy]).any() else rmse

    def day(index: int) -> Day:
        fields = [np.asarray(part.isel(time=index).values, float) for part in (truth, mean)]
        return Day(str(test["time"].values[index])[:10], fields[0], fields[1], float(rmse[index]))

    best, worst = day(int(np.nanargmin(shown))), day(int(np.nanargmax(rmse)))
    order = np.argsort(shown, kind="stable")
    middle = day(int(order[(int(np.isfinite(shown).sum()) - 1) // 2]))
    size = np.where(np.isfinite(rmse), truth.weighted(weights).mean(weights.dims).values, np.nan)
    highest = day(int(np.nanargmax(size)))
    counts = (least, int(there.max()), int(np.isfinite(rmse).sum()), int(every.sum()))
    return Days(best, worst, *counts, middle, highest)


def lead(study: Study, variable: str, days: Days | None) -> str:
    """Return the sentence that opens a section that has days alone."""
    if days is None:
        return f"The{sentences.named_set(study.split)[3:]} has no truth for {variable}."
    best, worst = days.best, days.worst
    unit, cells = study.units[variable], _cells(study)
    rain = f"On days with rain in a tenth of the {cells} or more, the" if wet(study, variable) is not None else "The"
    return (
        f"{rain} RMSE over the area runs from {numbers.with_units(numbers.number(best.rmse), unit)} on {best.date} "
        f"to {numbers.with_units(numbers.number(worst.rmse), unit)} on {worst.date}."
    )  # fmt: skip


def _known(study: Study, days: Days, day: Day, cell: str) -> str:
    """Say at how many cells a day has truth, and among which days it was chosen; empty where all have all."""
    if days.among == days.every and day.known == days.of:
        return ""
    step = study.step
    chosen = ""
    if days.among < days.every:
        chosen = (
            f"; chosen among the {days.among:,} of {numbers.plural(days.every, step)} with truth at "
            f"{numbers.plural(days.least, cell)} or more"
        )
    return f", with truth at {day.known:,} of {numbers.plural(days.of, cell)}{chosen}"


def _cells(study: Study) -> str:
    data = study.run.predictions(study.headline)
    if data is None:
        return "cells"
    with data:
        return f"{kind(Grid.of(data))}s"


def figures(study: Study, test: xr.Dataset, variable: str, days: Days | None) -> list[Block]:
    """Return a row of maps for each day, all on one colour scale; and the members of the worst day, if there are any.

    The rows are steps of one series, through which the page leads one by one where it can.
    """
    if days is None:
        return []
    unit, grid = study.units[variable], Grid.of(test)
    shown = {"best": days.best, "worst": days.worst}
    if len(study.variables) <= _MOST_VARIABLES:
        high = _HIGHEST.get(study.quantities[variable], "highest")
        shown = {"best": days.best, "middle": days.middle, "worst": days.worst, high: days.highest}
    seen: dict[str, str] = {}
    for word, day in shown.items():
        seen.setdefault(day.date, word)
    rows = {word: day for word, day in shown.items() if seen[day.date] == word or word in ("best", "worst")}
    both = (field for day in rows.values() for field in (day.truth, day.mean))
    field = maps.Scale.of("sequential", study.field_units[variable], *both)
    error = maps.Scale.of("field", unit, *(day.mean - day.truth for day in rows.values()))
    blocks: list[Block] = [_row(study, grid, variable, word, days, day, (field, error)) for word, day in rows.items()]
    if len(study.variables) <= _MOST_VARIABLES:
        blocks += _members(study, test, variable, days.worst, field)
    return blocks


def _row(
    study: Study, grid: Grid, variable: str, word: str, days: Days, day: Day, scales: tuple[maps.Scale, maps.Scale]
) -> Figure:
    field, error = scales
    unit, quantity = study.units[variable], study.quantities[variable]
    gap = day.mean - day.truth
    row, column = np.unravel_index(int(np.nanargmax(np.abs(gap))), gap.shape)
    amount = numbers.with_units(numbers.number(float(gap[row, column]), sign=True), unit)
    here = spot(grid, int(row), int(column), quantity)
    alts = (
        f"Truth on {day.date}: from {numbers.interval(float(np.nanmin(day.truth)), float(np.nanmax(day.truth)))}.",
        f"Prediction on {day.date}: from {numbers.interval(float(np.nanmin(day.mean)), float(np.nanmax(day.mean)))}.",
        f"Error on {day.date}: the largest, {amount}, is at {here}.",
    )
    parts = (("Truth", day.truth, field), ("Prediction", day.mean, field), ("Prediction less truth", gap, error))
    source = f"{study.predictions_of(variable)} on {day.date}"
    pictures = tuple(
        maps.draw_map(maps.MapPanel(values, title, alt, source=source), grid, scale, earth=study.on_earth)
        for (title, values, scale), alt in zip(parts, alts, strict=True)
    )
    caption = (
        f"{_which(study, grid, variable, word)}, {day.date}: "
        f"{variable}{ahead(study)}, RMSE {numbers.with_units(numbers.number(day.rmse), unit)}"
        f"{_known(study, days, day, kind(grid, quantity))}. "
        f"Colours mean the same on {_all(study, len(study.variables) <= _MOST_VARIABLES)}."
    )
    name = f"{word[:1].upper()}{word[1:]} {study.step}, {day.date}"
    return Figure(slug(word, study.step, variable), pictures, caption, steps=slug("days", variable), step=name)


def _all(study: Study, more: bool) -> str:
    return f"all of these {study.step}s" if more else f"the best and the worst {study.step}"


def _which(study: Study, grid: Grid, variable: str, word: str) -> str:
    """Say which day it is, and among which it was chosen."""
    whole = sentences.named_set(study.split)
    if word not in ("best", "middle", "worst"):
        return f"The {study.step} with the highest true mean over the area ({word}) of {whole}"
    chosen = ""
    if word != "worst" and wet(study, variable) is not None:
        chosen = f" among those on which a tenth of the {kind(grid)}s or more is wet"
    by = " by RMSE" if word == "middle" else ""
    return f"The {word} {study.step}{by} of {whole}{chosen}"


def _members(study: Study, test: xr.Dataset, variable: str, day: Day, scale: maps.Scale) -> list[Block]:
    """Return the members of the worst day beside each other, on the scale of the days."""
    name = f"{variable}_member"
    if name not in test or test[name].sizes.get("member", 0) < 2:
        return []
    dates = [str(time)[:10] for time in test["time"].values]
    grid, members = Grid.of(test), test[name].isel(time=dates.index(day.date)).transpose("member", *Grid.of(test).dims)
    fields = np.asarray(members.values, float)
    pictures = []
    for number, field in enumerate(fields[:_MOST_MEMBERS], 1):
        off = _root(study, variable, (field - day.truth) ** 2)
        alt = f"Member {number} on {day.date} is off by {off} (RMSE)."
        panel = maps.MapPanel(field, f"Member {number}", alt, source=f"{study.predictions_of(name)} on {day.date}")
        pictures.append(maps.draw_map(panel, grid, scale, width=255, highest=240, earth=study.on_earth))
    count = f"the {len(fields)}" if len(fields) <= _MOST_MEMBERS else f"the first {_MOST_MEMBERS} of {len(fields)}"
    spread = _root(study, variable, fields.var(axis=0, ddof=1))
    caption = (
        f"The worst {study.step}, {day.date}, as {count} members of {numbers.label(study.headline)} predict it, on the "
        f"colour scale of the maps above; their standard deviation is {spread} on average over the area."
    )
    return [Figure(slug("members", variable), tuple(pictures), caption)]


def _root(study: Study, variable: str, squares: np.ndarray) -> str:
    """Return the root of the mean of squares over the area, with its units."""
    return numbers.with_units(numbers.number(float(np.sqrt(np.nanmean(squares)))), study.units[variable])
