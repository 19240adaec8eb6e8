"""Extremes and structure: indices, spectra, how days vary and follow each other; what averages hide."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
import xarray as xr

from pipeline.grid import Grid
from pipeline.metrics.indices import INDICES
from pipeline.report import flow_words, numbers, palette, sentences, structure_words, tables
from pipeline.report.figures import Picture, maps, spectra
from pipeline.report.places import kind, mapped
from pipeline.report.sections import Block, Figure, Heading, Section, Words, flow, slug
from pipeline.report.study import Study
from pipeline.report.tables import Table

_MOST_LINES = 5  # beside the truth
_MOST_MAPS = 2
_MAPPED = ("r01", "rx1day", "p98_wet", "txx", "tnn")
_OF_ALL_DAYS = frozenset({"r01", "p98_wet"})


def build(study: Study) -> Section | None:
    """Return the section; None where the run scored none of it."""
    data = study.run.diagnostics(study.headline)
    blocks: list[Block] = []
    lead = ""
    for split in study.splits:
        for variable in study.variables:
            main = split == study.split
            drawn = _figures(study, data, variable) if main else []
            # What draws are not is said once: below the spectra, or the tables where there are none.
            spectrum = data is not None and structure_words.spectrum(data, variable) is not None
            note = "" if spectrum or not main else _independent(study, study.models)
            part = [*drawn, *_tables(study, variable, split, note)]
            rivers = flow_words.extremes(study, variable) if study.run.is_series else ""
            sentence = (rivers or structure_words.extremes(study, variable, data)) if main else ""
            if not part:
                continue
            if len(study.splits) * len(study.variables) > 1:
                blocks.append(Heading(f"Extremes of {variable}, {split}"))
            if sentence and lead:
                blocks.append(Words((sentence,)))
            lead = lead or sentence
            blocks += part
        blocks += _pairs(study, split)
    return Section("extremes", "Extremes and structure", lead or _plain_lead(study), tuple(blocks)) if blocks else None


def _plain_lead(study: Study) -> str:
    return f"What averages over {sentences.named_set(study.split)} hide, of every model that has such scores."


def _tables(study: Study, variable: str, split: str, note: str) -> list[Block]:
    found: list[Block] = []
    late = persistent(study)
    judged: dict[str, Any] = {"note": _late_note(study, late), "exempt": late}
    present = set(study.scores(variable=variable, split=split).dropna(subset=["value"])["metric"])
    for number, (names, words) in enumerate(packed(present), 1):
        each = words.replace("cell by cell", "series by series") if study.run.is_series else words
        caption = f"{_capital(each)}; {variable} on {split}."
        name = slug("extremes", variable, split, *([] if number == 1 else [str(number)]))
        table = tables.skill_table(study, variable, split, names, name, caption, **judged)
        found += [table] if table else []
    step = study.step
    what, where = ("series", "") if study.run.is_series else ("fields and series", "in space or ")
    caption = (
        f"How {what} of {variable} on {split} vary: a prediction that is right on average may still be too "
        f"smooth or too rough, {where}from {step} to {step}.{note}"
    )
    names = [name for name in tables.STRUCTURE if name in present]
    half = -(-len(names) // 2) if len(names) > tables.WIDEST else len(names)
    for number, part in enumerate((names[:half], names[half:]), 1):
        name = slug("structure", variable, split, *([] if number == 1 else [str(number)]))
        table = tables.skill_table(study, variable, split, part, name, caption, **judged)
        found += [table] if table else []
    return [*flow.score_tables(study, variable, split), *found]


def persistent(study: Study) -> frozenset[str]:
    """Return the models whose values are the truth of the step before, and so vary as it does with no skill at all."""
    entries = study.run.experiment.get("models") or {}
    kinds = {model: (entries.get(model) or {}).get("kind") for model in study.models}
    return frozenset(model for model, kind in kinds.items() if kind == "persistence")


def _late_note(study: Study, late: Collection[str]) -> str:
    there = [numbers.label(model) for model in study.models if model in late]
    if not there:
        return ""
    when = "a truth known before" if study.run.leads else f"the truth of the {study.step} before"
    return f"Never marked: {numbers.listing(there)}, whose values are {when} and so vary as the truth does."


def packed(present: set[str]) -> list[tuple[list[str], str]]:
    """Return scores on extremes that are present, for tables of at most seven columns, and words for each.

    Examples
    --------
    >>> [names for names, _ in packed({"bias_txx", "bias_q98", "rmse"})]
    [['bias_txx', 'bias_q98']]
    """
    found: list[tuple[list[str], str]] = []
    for words, group in tables.EXTREMES.items():
        names = [name for name in group if name in present]
        if not names:
            continue
        if found and len(found[-1][0]) + len(names) <= tables.WIDEST:
            found[-1] = ([*found[-1][0], *names], f"{found[-1][1]}; {words}")
        else:
            parts = range(0, len(names), tables.WIDEST)
            found += [(names[start : start + tables.WIDEST], words) for start in parts]
    return found


def _pairs(study: Study, split: str) -> list[Block]:
    """Return a table for every two variables that were scored together."""
    there = study.run.scores[study.run.scores["split"] == split]["variable"]
    found: list[Block] = []
    for pair in dict.fromkeys(name for name in there if "~" in name):
        first, _, second = pair.partition("~")
        metrics = list(dict.fromkeys(study.scores(variable=pair, split=split)["metric"]))
        each = "series by series" if study.run.is_series else "cell by cell"
        caption = f"Whether {first} and {second} go together on {split} as they do in truth, draw by draw and {each}."
        table: Table | None = tables.skill_table(study, pair, split, metrics, slug("pair", pair, split), caption)
        found += [Heading(f"{first} and {second} together, {split}"), table] if table else []
    return found


def _figures(study: Study, data: xr.Dataset | None, variable: str) -> list[Block]:
    rivers = flow.figures(study, variable) if flow.is_flow(study, variable) and study.run.is_series else []
    if data is None or not mapped(data, variable):
        return rivers
    curves = _spectra(study, data, variable)
    return [*rivers, *([curves] if curves is not None else []), *_index_maps(study, data, variable)]


def _spectra(study: Study, data: xr.Dataset, variable: str) -> Figure | None:
    own = structure_words.spectrum(data, variable)
    if own is None:
        return None
    wavelength, truth, power = own
    found = {study.headline: power}
    for model in _others(study, variable):
        other = study.run.diagnostics(model) if len(found) < _MOST_LINES else None
        curve = None if other is None else structure_words.spectrum(other, variable)
        found |= {} if curve is None else {model: curve[2]}
    lines = [spectra.Spectrum("truth", palette.LIGHT.truth, wavelength, truth, strong=True)]
    lines += [
        spectra.Spectrum(
            model, study.colours[model], wavelength, values, strong=model == study.headline, cue=study.cues[model]
        )
        for model, values in found.items()
    ]
    waves = structure_words.short_waves(wavelength, truth, power)
    name = numbers.label(study.headline)
    alt = f"The fields of {name} hold {waves.words}." if waves else f"Spectra of the truth and of {name}."
    unit = numbers.units(str(data[f"{variable}_psd"].attrs.get("units", "")))
    caption = (
        f"Mean power spectra of {variable} on {study.split}, of {study.step}s that each forecast would give: below the "
        f"truth, fields are too smooth at that wavelength, above it too rough.{_independent(study, found)}"
    )
    return Figure(slug("spectra", variable), (spectra.spectra(lines, unit, alt),), caption)


def _others(study: Study, variable: str) -> list[str]:
    """Return the models to compare with: the best baseline, then by their score where models were chosen."""
    ranked = study.scores(study.metrics[variable], variable=variable, split=study.chosen_on).sort_values(
        "value", kind="stable"
    )["model"]
    order = [model for model in (study.reference, *ranked, *study.models) if model in study.models]
    return [model for model in dict.fromkeys(order) if model != study.headline]


def _independent(study: Study, models: Iterable[str]) -> str:
    """Say of which models draws are no fields: those whose distributions are of every cell by itself."""
    loose = [numbers.label(model) for model in models if structure_words.without_members(study, model)]
    if not loose:
        return ""
    verb, whose = ("gives", "its") if len(loose) == 1 else ("give", "their")
    if study.run.is_series:
        return (
            f" {numbers.listing(loose)} {verb} a distribution of every {study.step} by itself: {whose} draws are "
            f"independent from {study.step} to {study.step}, so they follow each other as no series does."
        )
    return (
        f" {numbers.listing(loose)} {verb} a distribution of every cell by itself: {whose} draws are independent from "
        f"cell to cell and {study.step} to {study.step}, so their spectra and spells are not those of fields."
    )


def _index_maps(study: Study, data: xr.Dataset, variable: str) -> list[Block]:
    found: list[Block] = []
    for index in _MAPPED:
        names = (f"{variable}_{index}", f"{variable}_{index}_bias")
        if len(found) < _MOST_MAPS and all(name in data for name in names):
            truth, bias = (data[name] for name in names)
            if np.isfinite(np.asarray(bias.values, float)).any():
                found.append(_row(study, Grid.of(data), variable, index, truth, bias))
    return found


def _row(study: Study, grid: Grid, variable: str, index: str, truth: xr.DataArray, bias: xr.DataArray) -> Figure:
    units, units_of_bias = (str(part.attrs.get("units", "")) for part in (truth, bias))
    share = units == "1"  # of days: said in per cent
    true, gap = (np.asarray(part.values, float) * (100.0 if share else 1.0) for part in (truth, bias))
    shown = ("%", "percentage points") if share else (units, units_of_bias)
    label = INDICES[index].label if index in INDICES else str(truth.attrs.get("long_name", index)).partition(" of ")[0]
    pictures = truth_and_prediction(study, grid, label, true, gap, shown, study.diagnostics_of(str(bias.name)))
    over = f"all {study.step}s" if index in _OF_ALL_DAYS else _years(study)
    caption = (
        f"{variable}, {label}: {over} of {sentences.named_set(study.split)}. Left to right: the truth, the "
        f"{study.step}s that {numbers.label(study.headline)} would give, and the difference."
    )
    return Figure(slug("index", variable, index), pictures, caption)


def _years(study: Study) -> str:
    """Say what an index of a year is of, where a test set holds a part of each alone."""
    sampling = study.sampling
    if sampling is None or not (sampling.part or sampling.counted < sampling.years):
        return "mean over the years"
    if sampling.counted == 1:
        return sampling.part or f"the one whole year of {sampling.years}"
    alone = f", {sampling.part} alone," if sampling.part else " that are whole"
    return f"mean over {sampling.counted} years{alone}"


def truth_and_prediction(
    study: Study,
    grid: Grid,
    label: str,
    truth: np.ndarray,
    gap: np.ndarray,
    units: tuple[str, str],
    source: str = "",
) -> tuple[Picture, ...]:
    """Return maps of truth, prediction (truth and gap added) and gap in one row, the first two on one scale."""
    predicted = truth + gap
    scale = maps.Scale.of("sequential", units[0], truth, predicted)
    signed = maps.Scale.of("field", units[1], gap)
    mean = float(np.nanmean(gap))
    amount = numbers.with_units(numbers.number(abs(mean)), units[1])
    parts = (
        ("Truth", truth, scale, f"Truth, {label}: {_span(truth)}."),
        ("Prediction", predicted, scale, f"Prediction, {label}: {_span(predicted)}."),
        ("Prediction less truth", gap, signed,
         f"Prediction less truth, {label}: on average over the {kind(grid)}s {amount} too "
         f"{'high' if mean > 0 else 'low'}."),
    )  # fmt: skip
    return tuple(
        maps.draw_map(maps.MapPanel(field, title, alt, source=source), grid, of, earth=study.on_earth)
        for title, field, of, alt in parts
    )


def _span(field: np.ndarray) -> str:
    low, high = (float(bound) for bound in np.nanquantile(field, [0.05, 0.95]))
    return f"{numbers.interval(low, high)} in nine of ten places"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
