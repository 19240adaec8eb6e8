"""Where and when: maps of skill, bias and error, the best and the worst day, a cell's series."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import xarray as xr

from pipeline.grid import Grid
from pipeline.metrics.indices import wet_threshold
from pipeline.report import leads, numbers, sentences
from pipeline.report.figures import maps
from pipeline.report.places import kind, mapped, placed
from pipeline.report.sections import Block, Figure, Heading, Section, hydrograph, slug
from pipeline.report.sections.cell import Cell, median_cell, series, spot
from pipeline.report.sections.reduction import Reduction, bound
from pipeline.report.study import Study

_HIGH = 330
_RAINY = 0.1
_NEARLY = 0.9


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
    """The best and the worst day, and the least number of cells with truth on the days they were chosen among.

    Parameters
    ----------
    least, of : int
        Cells with truth on each of them, and on the day with most.
    among, every : int
        How many days they are, and how many have truth at all.
    """

    best: Day
    worst: Day
    least: int
    of: int
    among: int
    every: int


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
    lead, cell = "", None
    if data is not None and f"{variable}_rmse" in data and mapped(data, variable):
        cell = median_cell(study, data, variable)
        blocks.append(_maps(study, data, variable, cell))
        lead = _lead(study, data, variable)
    predictions = study.run.predictions(study.headline)
    if predictions is not None:
        with predictions:
            test = predictions.isel(time=np.flatnonzero(predictions["split"].values.astype(str) == study.split))
            if f"{variable}_truth" in test and test.sizes["time"]:
                if placed(Grid.of(test), test[f"{variable}_truth"].values):
                    days = _days(test, variable, _wet(study, variable))
                    blocks += _day_figures(study, test, variable, days)
                    lead = lead or _days_lead(study, variable, days)
                figure = series(study, test, variable, cell) if cell is not None and not study.run.is_series else None
                blocks += [figure] if figure is not None else []
    if study.run.is_series:
        drawn, sentence = hydrograph.blocks(study, variable)
        blocks, lead = blocks + drawn, lead or sentence
    return blocks, lead


def _lead(study: Study, data: xr.Dataset, variable: str) -> str:
    skill = Reduction.of(study, data, variable)
    if skill is not None:
        return skill.sentence(study, data, variable)
    rmse = bound(data, f"{variable}_rmse")
    low_rmse, high_rmse = (float(x) for x in np.nanquantile(rmse, [0.05, 0.95]))
    unit = numbers.units(study.units[variable])
    return (
        f"The RMSE of {numbers.label(study.headline)} runs from {numbers.interval(low_rmse, high_rmse)} "
        f"{unit} in nine of ten {kind(Grid.of(data), study.quantities[variable])}s{_at(study)}."
    )


def _maps(study: Study, data: xr.Dataset, variable: str, cell: Cell | None) -> Figure:
    grid, unit, name = Grid.of(data), study.units[variable], numbers.label(study.headline)
    quantity = study.quantities[variable]
    bias, low, high = (bound(data, f"{variable}_bias{end}") for end in ("", "_low", "_high"))
    rmse = bound(data, f"{variable}_rmse")
    pictures = []
    if np.isfinite(bias).any():
        mean = float(np.nanmean(bias))
        direction = "too high" if mean > 0 else "too low"
        sure = float(np.mean(((low > 0) | (high < 0))[np.isfinite(bias)]))
        known = f"the bias differs from zero beyond doubt in {numbers.percent(sure)} of the {kind(grid, quantity)}s"
        alt = (
            f"{name} is on average {numbers.with_units(numbers.number(abs(mean)), unit)} {direction}; "
            f"{known if np.isfinite(low).any() else 'no interval is known'}."
        )  # fmt: skip
        panel = maps.MapPanel(
            bias, "Bias", alt, (low <= 0) & (high >= 0), source=study.diagnostics_of(f"{variable}_bias")
        )
        pictures.append(maps.draw_map(panel, grid, maps.Scale.of("field", unit, bias), earth=study.on_earth))
    lowest, highest = (_corner(rmse, grid, pick, quantity) for pick in (np.nanargmin, np.nanargmax))
    alt = f"The RMSE of {name} is lowest at {lowest} and highest at {highest}."
    ring = None if cell is None else (cell.lon, cell.lat)
    panel = maps.MapPanel(rmse, "RMSE", alt, ring=ring, source=study.diagnostics_of(f"{variable}_rmse"))
    pictures.append(maps.draw_map(panel, grid, maps.Scale.of("spread", unit, rmse), earth=study.on_earth))
    skill = Reduction.of(study, data, variable)
    pictures += [skill.picture(study, data, variable, _HIGH)] if skill is not None else []
    other = ""
    if skill is not None and not skill.own:
        other = f" The verdict is by the {study.word(variable)}, of which this run holds no map."
    dots = "Dots: the 95\u00a0% interval includes zero." if np.isfinite(low).any() else "No interval is known."
    caption = (
        f"{name} on {sentences.named_set(study.split)}, {variable}{_at(study)}, mean over all times of each "
        f"{kind(grid, quantity)}. {dots}"
        f"{f' Ring: the median {kind(grid, quantity)}.' if cell is not None else ''}{other}"
    )
    return Figure(slug("maps", variable), tuple(pictures), caption)


def _at(study: Study) -> str:
    """Say how far ahead it was forecast, where there are several leads and one is shown."""
    lead = study.run.shown_lead
    return "" if lead is None else f", {leads.ahead(lead, study.step)}"


def _corner(field: np.ndarray, grid: Grid, pick: object, quantity: str) -> str:
    row, column = np.unravel_index(pick(field), field.shape)  # type: ignore[operator]
    return f"{spot(grid, int(row), int(column), quantity)} ({numbers.number(float(field[row, column]))})"


def _wet(study: Study, variable: str) -> float | None:
    """Return from which value on a cell is wet; None for what is no precipitation, or no mean of a day."""
    unit = study.field_units[variable]
    return wet_threshold(unit) if study.quantities[variable] == "precipitation" and study.step == "day" else None


def _days(test: xr.Dataset, variable: str, wet: float | None) -> Days | None:
    """Return the day with the lowest and the one with the highest RMSE over the area.

    Both are days with truth at nearly as many cells as half of the days have or more: a day on which one station of
    three has truth says little of the others. Of precipitation a dry day that was foreseen says little: the best one
    is among those on which a tenth of the cells or more is wet in truth, where there are such days.
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
    if wet is not None:
        known = truth.notnull().sum(weights.dims).values
        rainy = (truth >= wet).sum(weights.dims).values >= _RAINY * np.maximum(known, 1)
        shown = np.where(rainy, rmse, np.nan) if np.isfinite(rmse[rainy]).any() else rmse

    def day(index: int) -> Day:
        fields = [np.asarray(part.isel(time=index).values, float) for part in (truth, mean)]
        return Day(str(test["time"].values[index])[:10], fields[0], fields[1], float(rmse[index]))

    best, worst = day(int(np.nanargmin(shown))), day(int(np.nanargmax(rmse)))
    return Days(best, worst, least, int(there.max()), int(np.isfinite(rmse).sum()), int(every.sum()))


def _days_lead(study: Study, variable: str, days: Days | None) -> str:
    if days is None:
        return f"The{sentences.named_set(study.split)[3:]} has no truth for {variable}."
    best, worst = days.best, days.worst
    unit, cells = study.units[variable], _cells(study)
    rain = f"On days with rain in a tenth of the {cells} or more, the" if _wet(study, variable) is not None else "The"
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


def _day_figures(study: Study, test: xr.Dataset, variable: str, days: Days | None) -> list[Block]:
    if days is None:
        return []
    unit, grid, quantity = study.units[variable], Grid.of(test), study.quantities[variable]
    pair = (days.best, days.worst)
    field = maps.Scale.of(
        "sequential", study.field_units[variable], *(f for day in pair for f in (day.truth, day.mean))
    )
    error = maps.Scale.of("field", unit, *(day.mean - day.truth for day in pair))
    blocks: list[Block] = []
    for word, day in zip(("best", "worst"), pair, strict=True):
        gap = day.mean - day.truth
        row, column = np.unravel_index(int(np.nanargmax(np.abs(gap))), gap.shape)
        amount = numbers.with_units(numbers.number(float(gap[row, column]), sign=True), unit)
        here = spot(grid, int(row), int(column), quantity)
        alts = (
            f"Truth on {day.date}: from {numbers.interval(float(np.nanmin(day.truth)), float(np.nanmax(day.truth)))}.",
            f"Prediction on {day.date}: from "
            f"{numbers.interval(float(np.nanmin(day.mean)), float(np.nanmax(day.mean)))}.",
            f"Error on {day.date}: the largest, {amount}, is at {here}.",
        )
        parts = (("Truth", day.truth, field), ("Prediction", day.mean, field), ("Prediction less truth", gap, error))
        pictures = tuple(
            maps.draw_map(maps.MapPanel(values, title, alt), grid, scale, earth=study.on_earth)
            for (title, values, scale), alt in zip(parts, alts, strict=True)
        )
        chosen = ""
        if word == "best" and _wet(study, variable) is not None:
            chosen = f" among those on which a tenth of the {kind(grid)}s or more is wet"
        caption = (
            f"The {word} {study.step} of {sentences.named_set(study.split)}{chosen}, {day.date}: "
            f"{variable}{_at(study)}, RMSE {numbers.with_units(numbers.number(day.rmse), unit)}"
            f"{_known(study, days, day, kind(grid, quantity))}. "
            f"Colours mean the same on the best and the worst {study.step}."
        )
        blocks.append(Figure(slug(word, study.step, variable), pictures, caption))
    return blocks
