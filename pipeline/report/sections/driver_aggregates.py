"""How far away what a cell's answer depends on lies: aggregated saliency and its dispersion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from pipeline.attribution.joined import ranked
from pipeline.grid import Grid
from pipeline.report import driver_words, numbers, tables
from pipeline.report.aggregated import Aggregated, Distances, aggregates
from pipeline.report.figures import Picture, maps
from pipeline.report.numbers import interval, label, number, percent, with_units
from pipeline.report.sections import Block, Figure, Heading, Words, slug
from pipeline.report.study import Study

_MOST_CHANNELS = 2
_WIDTH, _HIGHEST = 255, 240


def blocks(study: Study, model: str) -> list[Block]:
    """Return what the file of a model says of aggregates; nothing where it holds none."""
    found: list[Block] = []
    for one in aggregates(study, model):
        pictures = _pictures(study, one, f"attributions/{model}.nc")
        found += [Heading(f"{label(model)}: aggregated saliency of single target cells"), Words((_words(model, one),))]
        if pictures:
            found.append(Figure(slug("aggregates", model, one.prefix), tuple(pictures), _caption(one)))
        if len(one.distances) > 1:
            found.append(_table(study, model, one))
    return found


def _words(model: str, one: Aggregated) -> str:
    said = []
    whole = next((each for each in one.distances if not each.group), None)
    if whole is not None and np.isfinite(whole.mean):
        said.append(
            f"For {label(model)}, the saliency of a target cell lies {_distance(whole, one.units)} away from it on "
            "average."
        )
    elif np.isfinite(one.dispersion).any():
        low, high = (with_units(number(float(end(one.dispersion))), one.units) for end in (np.nanmin, np.nanmax))
        said.append(f"For {label(model)}, the mean distance of a target cell's saliency lies between {low} and {high}.")
    if len(one.variables) > 1:
        order = ranked(one.shares)
        first, second = order[:2]
        said.append(
            f"{label(one.variables[first])} carries {percent(float(one.shares[first]))} of that saliency, "
            f"{label(one.variables[second])} {percent(float(one.shares[second]))}."
        )
    if one.note:
        said.append(one.note)
    return " ".join(said)


def _distance(one: Distances, units: str) -> str:
    text = with_units(number(one.mean), units)
    if not (np.isfinite(one.low) and np.isfinite(one.high)):
        return text
    return f"{text} (95\u00a0% interval {interval(one.low, one.high)})"


def _pictures(study: Study, one: Aggregated, source: str) -> list[Picture]:
    found = []
    if one.target is not None and np.isfinite(one.dispersion).any():
        mean = with_units(number(float(np.nanmean(one.dispersion))), one.units)
        panel = maps.MapPanel(
            one.dispersion,
            "Dispersion",
            f"The mean distance over target cells is {mean}.",
            source=source,
        )
        scale = maps.Scale.of("spread", one.units, one.dispersion)
        found.append(_map(study, panel, one.target, scale))
    if one.saliency is not None and one.grid is not None and np.isfinite(one.saliency).any():
        weight = np.nansum(one.saliency.reshape(len(one.saliency), -1), axis=1)
        fields = {"Saliency, all channels": one.saliency.sum(axis=0)}
        if len(weight) > 1:
            fields |= {label(one.channels[k]): one.saliency[k] for k in ranked(weight)[:_MOST_CHANNELS]}
        for name, field in fields.items():
            scale = maps.Scale.of("sequential", "1", field)
            scale = replace(scale, low=0.0, clips=(False, scale.clips[1]))
            share = percent(driver_words.concentration(field))
            found.append(
                _map(
                    study,
                    maps.MapPanel(field, name, f"{name}: a tenth of the cells carries {share}.", source=source),
                    one.grid,
                    scale,
                )
            )
    return found


def _map(study: Study, panel: maps.MapPanel, grid: Grid, scale: maps.Scale) -> Picture:
    return maps.draw_map(panel, grid, scale, width=_WIDTH, highest=_HIGHEST, earth=study.on_earth)


def _caption(one: Aggregated) -> str:
    said = []
    if one.target is not None:
        said.append(
            "Dispersion: mean distance of the saliency of each target cell from it, weighted by how much its answer "
            "changes with each input."
        )
    if one.saliency is not None and one.grid is not None:
        said.append(
            "Saliency: share of each input cell, the mean over target cells; all channels, then the leading ones, each "
            "with a scale of its own."
        )
    return " ".join(said)


def _table(study: Study, model: str, one: Aggregated) -> tables.Table:
    columns = (
        tables.Column("Group", numeric=False), tables.Column(f"{study.step}s".capitalize()),
        tables.Column("Mean distance", numbers.units(one.units)), tables.Column("Low"), tables.Column("High"),
    )  # fmt: skip
    parts = [tables.figures([getattr(each, key) for each in one.distances]) for key in ("mean", "low", "high")]
    rows = tuple(
        (
            tables.text(each.group or "all"),
            tables.Cell(numbers.MISSING if each.days is None else f"{each.days:,}", float(each.days or 0)),
            *cells,
        )
        for each, cells in zip(one.distances, zip(*parts, strict=True), strict=True)
    )
    frame = pd.DataFrame(
        [(each.group or "all", each.days, each.mean, each.low, each.high) for each in one.distances],
        columns=("group", "samples", "mean", "low", "high"),
    )
    caption = f"Mean distance by groups of {study.step}s, with 95\u00a0% interval."
    return tables.Table(slug("distances", model, one.prefix), caption, columns, rows, frame)
