"""Where and when: maps of skill, bias and error, the best and the worst day, a cell's series."""

from __future__ import annotations

import numpy as np
import xarray as xr

from pipeline.grid import Grid
from pipeline.report import numbers, sentences
from pipeline.report.figures import maps
from pipeline.report.places import kind, mapped, placed
from pipeline.report.sections import Block, Figure, Heading, Section, days, hydrograph, slug
from pipeline.report.sections.cell import Cell, median_cell, series, spot
from pipeline.report.sections.reduction import Reduction, bound
from pipeline.report.study import Study

_HIGH = 330


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
                    chosen = days.choose(test, variable, days.wet(study, variable))
                    blocks += days.figures(study, test, variable, chosen)
                    lead = lead or days.lead(study, variable, chosen)
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
        f"{unit} in nine of ten {kind(Grid.of(data), study.quantities[variable])}s{days.ahead(study)}."
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
        f"{name} on {sentences.named_set(study.split)}, {variable}{days.ahead(study)}, mean over all times of each "
        f"{kind(grid, quantity)}. {dots}"
        f"{f' Ring: the median {kind(grid, quantity)}.' if cell is not None else ''}{other}"
    )
    return Figure(slug("maps", variable), tuple(pictures), caption)


def _corner(field: np.ndarray, grid: Grid, pick: object, quantity: str) -> str:
    row, column = np.unravel_index(pick(field), field.shape)  # type: ignore[operator]
    return f"{spot(grid, int(row), int(column), quantity)} ({numbers.number(float(field[row, column]))})"
