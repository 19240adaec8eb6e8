"""What drives the predictions? Importance with intervals, attribution maps with their checks."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from pipeline.grid import Grid
from pipeline.report import numbers, sentences, tables
from pipeline.report.figures import Picture, bars, maps
from pipeline.report.places import placed
from pipeline.report.sections import Block, Figure, Heading, Section, Words, slug
from pipeline.report.study import Study

_MOST_MAPS = 9
_MOST_BARS = 25
_MOST_PANEL_BARS = 12
# What a method tried, by the name in the file, and what its number is.
_CHECKS = {
    "rmse": ("the RMSE with nothing shuffled is {value}", "units"),
    "all_channels_increase": ("shuffling all channels together raises it by {value}", "units"),
    "blocks": ("{value} blocks were shuffled (ten are enough)", "count"),
    "completeness_gap": ("attributions add up to the change of the prediction within {value}", "share"),
    "completeness_gap_worst_day": ("on the worst {step} within {value}", "share"),
    "steps": ("{value} steps from the baseline to the input", "count"),
}


@dataclass(frozen=True, eq=False)
class Explanation:
    """One method's answer for one model, as ``attributions/<model>.nc`` holds it."""

    model: str
    method: str
    channels: tuple[str, ...]
    importance: np.ndarray
    low: np.ndarray
    high: np.ndarray
    maps: np.ndarray | None
    grid: Grid | None
    measure: str
    unit: str
    note: str
    checks: Mapping[str, Any]
    trusted: bool

    @property
    def order(self) -> list[int]:
        """Channels, the most important first."""
        return [int(i) for i in np.argsort(-np.nan_to_num(self.importance, nan=-np.inf), kind="stable")]

    @property
    def axis(self) -> str:
        """What importance measures, with printed units."""
        shown = numbers.units(self.unit)
        return f"{self.measure} [{shown}]" if shown else self.measure

    @property
    def title(self) -> str:
        """The method in words."""
        return numbers.label(self.method).capitalize()


def _measure(text: str) -> tuple[str, str]:
    """Split ``"increase of the RMSE [degC]"`` into words and units."""
    words, bracket, unit = text.rpartition(" [")
    return (words, unit.removesuffix("]")) if bracket and unit.endswith("]") else (text, "")


def build(study: Study) -> Section | None:
    """Return the section; None where no model was explained."""
    order = sorted(study.run.explained, key=lambda model: not study.headline.startswith(model))
    found = {model: _explanations(study, model) for model in order}
    found = {model: explanations for model, explanations in found.items() if explanations}
    if not found:
        return None
    main, *others = found.values()
    blocks: list[Block] = [Heading(numbers.label(main[0].model))] if others else []
    for explanation in main:
        blocks += _blocks(study, explanation)
    if others:
        blocks += [Heading("Other models"), *_others(study, [one for several in others for one in several])]
    first = main[0]
    lead = sentences.drivers(first.model, first.channels, first.importance, (first.measure, first.unit), first.trusted)
    return Section("drivers", "What drives the predictions?", lead, tuple(blocks))


def _explanations(study: Study, model: str) -> list[Explanation]:
    data = study.run.attributions(model)
    if data is None or "channel" not in data.coords:
        return []
    channels = tuple(str(name) for name in data["channel"].values)
    methods = [str(name).removesuffix("_importance") for name in data.data_vars if str(name).endswith("_importance")]
    return [_explanation(data, model, method, channels) for method in methods]


def _explanation(data: xr.Dataset, model: str, method: str, channels: tuple[str, ...]) -> Explanation:
    importance = np.asarray(data[f"{method}_importance"].values, float)

    def optional(end: str) -> np.ndarray:
        name = f"{method}_{end}"
        return np.asarray(data[name].values, float) if name in data else np.full(importance.shape, np.nan)

    field = data.get(f"{method}_map")
    field = field if field is None or placed(Grid.of(field)) else None
    said = data[f"{method}_importance"].attrs
    return Explanation(
        model, method, channels, importance, optional("low"), optional("high"),
        None if field is None else np.asarray(field.values, float), None if field is None else Grid.of(field),
        *_measure(said["measure"]), said["note"], json.loads(said["checks"]), json.loads(said["trusted"]),
    )  # fmt: skip


def _others(study: Study, explanations: list[Explanation]) -> list[Block]:
    """Return small multiples of importance, one figure a method, and the checks of all in one table."""
    blocks: list[Block] = []
    for method in dict.fromkeys(one.method for one in explanations):
        several = [one for one in explanations if one.method == method]
        deaf = [numbers.label(one.model) for one in several if not np.nan_to_num(one.importance).any()]
        used = [one for one in several if np.nan_to_num(one.importance).any()]
        first = several[0]
        # The same channels in the same order, so that models can be told apart at a glance.
        order = sorted(
            range(len(first.channels)), key=lambda i: -sum(float(np.nan_to_num(one.importance[i])) for one in used)
        )[:_MOST_PANEL_BARS]
        more = f" The {len(order)} most important of {len(first.channels)} channels." * (
            len(order) < len(first.channels)
        )
        nothing = f"{numbers.listing(deaf)} {'uses' if len(deaf) == 1 else 'use'} no channel." if deaf else ""
        if not used:
            blocks.append(Words((f"{first.title} on {study.split}: {nothing}",)))
            continue
        same = "; same scale in all panels" if len(used) > 1 else ""
        parts = (
            f"{first.title} on {study.split}: {first.measure}, with 95\u00a0% interval, hollow where it includes zero"
            f"{same}.{more}", nothing[:1].upper() + nothing[1:], _shared_note(used),
        )  # fmt: skip
        ends = np.array([[one.importance[order], one.low[order], one.high[order]] for one in used])
        low, high = min(np.nanmin(ends), 0.0), np.nanmax(ends)
        limits = (float(low - 0.04 * (high - low)), float(high + 0.04 * (high - low)))
        pictures = tuple(
            _bars(study, one, order, width=344, title=numbers.label(one.model), limits=limits) for one in used
        )
        caption = " ".join(part for part in parts if part)
        blocks.append(Figure(slug("importance", "others", method), pictures, caption))
    return [*blocks, _checks(study, explanations)]


def _shared_note(explanations: list[Explanation]) -> str:
    """Return the sentences that all notes share: the others tell of one model alone."""
    first, *others = (re.split(r"(?<=\.) ", one.note) for one in explanations)
    return " ".join(sentence for sentence in first if all(sentence in other for other in others))


def _checks(study: Study, explanations: list[Explanation]) -> tables.Table:
    columns = tuple(tables.Column(head, numeric=False) for head in ("Model", "Method", "Trusted", "Checks"))
    rows = tuple(
        (
            tables.text(numbers.label(one.model)),
            tables.text(one.title.lower()),
            tables.text("yes" if one.trusted else ("no" if one.checks else "not checked")),
            tables.text("; ".join(_checked(study, one)) or numbers.MISSING),
        )
        for one in explanations
    )
    return tables.Table("checks", "Whether each explanation passed its checks.", columns, rows)


def _blocks(study: Study, explanation: Explanation) -> list[Block]:
    trusted = "The checks passed" if explanation.trusted else "The checks did not pass: do not rely on this"
    if not explanation.checks:
        trusted = "This method has no check of its own"
    checks = "; ".join(_checked(study, explanation))
    blocks: list[Block] = [
        Words((f"{explanation.title}. {trusted}{f': {checks}' if checks else ''}. {explanation.note}".strip(),))
    ]
    blocks.append(_importance(study, explanation))
    if len(explanation.channels) > _MOST_BARS:
        blocks.append(_table(explanation))
    if explanation.maps is not None and explanation.grid is not None:
        blocks.append(_maps(study, explanation))
    return blocks


def _checked(study: Study, explanation: Explanation) -> list[str]:
    """Return each check in words, with what came out."""
    return [_check(name, value, explanation.unit, study.step) for name, value in explanation.checks.items()]


def _check(name: str, value: Any, unit: str, step: str) -> str:
    words = numbers.label(name)
    known = _CHECKS.get(name)
    if known is not None and isinstance(value, float):
        text, kind = known
        shown = numbers.percent(value) if kind == "share" else tables.plain(value)
        if kind == "units":
            shown = numbers.with_units(numbers.number(value), unit)
        return text.format(value=shown, step=step)
    if isinstance(value, float) and ("gap" in name or name.endswith("share")):
        return f"{words} {numbers.percent(value)}"
    return f"{words} {tables.plain(value)}"


def _importance(study: Study, explanation: Explanation) -> Figure:
    order = explanation.order[:_MOST_BARS]
    more = len(explanation.channels) - len(order)
    caption = (
        f"{explanation.title} for {numbers.label(explanation.model)} on {study.split}: {explanation.measure}, with "
        f"95\u00a0% interval, hollow where it includes zero."
        f"{f' {more} less important channels are in the table.' if more else ''}"
    )
    name = slug("importance", explanation.model, explanation.method)
    return Figure(name, (_bars(study, explanation, order, width=640),), caption)


def _bars(
    study: Study,
    explanation: Explanation,
    order: list[int],
    *,
    width: int,
    title: str = "",
    limits: tuple[float, float] | None = None,
) -> Picture:
    colour = study.colours.get(explanation.model, study.colours[study.headline])
    rows = [
        bars.Row(
            explanation.channels[i], float(explanation.importance[i]),
            float(explanation.low[i]), float(explanation.high[i]),
            colour, hollow=bool(explanation.low[i] <= 0 <= explanation.high[i]),
        )
        for i in order
        if np.isfinite(explanation.importance[i])
    ]  # fmt: skip
    first = explanation.channels[explanation.order[0]]
    alt = f"{numbers.label(first)} matters most to {numbers.label(explanation.model)} by {explanation.title.lower()}."
    # In a panel the caption says what is measured, and the axis in which units.
    axis = explanation.axis if limits is None else numbers.units(explanation.unit)
    return bars.dots(rows, axis, alt, title, width=width, limits=limits)


def _maps(study: Study, explanation: Explanation) -> Figure:
    fields, grid = explanation.maps, explanation.grid
    assert fields is not None
    assert grid is not None
    order = explanation.order[:_MOST_MAPS]
    scale = maps.Scale.of("field", explanation.unit, *(fields[i] for i in order))
    pictures = []
    for i in order:
        total = float(np.nansum(np.abs(fields[i])))
        inner = float(
            np.nansum(np.sort(np.abs(fields[i][np.isfinite(fields[i])]))[::-1][: max(fields[i].size // 10, 1)])
        )
        share = numbers.percent(inner / total) if total > 0 else numbers.percent(0.0)
        alt = f"{numbers.label(explanation.channels[i])}: a tenth of the cells carries {share} of the attribution."
        pictures.append(
            maps.draw_map(
                maps.MapPanel(fields[i], numbers.label(explanation.channels[i]), alt),
                grid,
                scale,
                width=262,
                highest=240,
                earth=study.on_earth,
            )
        )
    more = len(explanation.channels) - len(order)
    belief = "its checks passed" if explanation.trusted else "its checks did not pass: do not rely on it"
    caption = (
        f"Mean attribution of each input cell, {explanation.title.lower()} for "
        f"{numbers.label(explanation.model)}; same scale; {belief}."
        f"{f' The {len(order)} most important of {len(explanation.channels)} channels.' if more else ''}"
    )
    return Figure(slug("attribution", explanation.model, explanation.method), tuple(pictures), caption)


def _table(explanation: Explanation) -> tables.Table:
    order = explanation.order
    parts = [
        tables.figures([float(part[i]) for i in order])
        for part in (explanation.importance, explanation.low, explanation.high)
    ]
    rows = tuple(
        (tables.text(numbers.label(explanation.channels[i])), *cells)
        for i, cells in zip(order, zip(*parts, strict=True), strict=True)
    )
    columns = (
        tables.Column("Channel", numeric=False),
        tables.Column("Importance"),
        tables.Column("Low"),
        tables.Column("High"),
    )
    frame = pd.DataFrame({
        "channel": [explanation.channels[i] for i in order], "importance": explanation.importance[order],
        "low": explanation.low[order], "high": explanation.high[order],
    })  # fmt: skip
    return tables.Table(
        slug("channels", explanation.model, explanation.method),
        f"All channels: {explanation.axis}, 95\u00a0% interval.",
        columns,
        rows,
        frame,
    )
