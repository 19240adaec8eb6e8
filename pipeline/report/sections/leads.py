"""Skill by lead: how far ahead a forecast is of use, and in which months or seasons it is not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pipeline.report import leads, numbers, sentences, tables, targets
from pipeline.report.figures import Picture, lines
from pipeline.report.lead_scores import amount, by_lead, correlation, gains, one, ranked, sentence
from pipeline.report.metric_words import metric_words
from pipeline.report.sections import Block, Figure, Heading, slug
from pipeline.report.sections.lead_heat import lead_axis, lead_heat
from pipeline.report.study import Study

MOST_LINES = 8
_SHORT = 4  # lines of the first screen


def blocks(study: Study, variable: str, split: str) -> list[Block]:
    """Return curves, a table and heat maps by lead; nothing where there are not several leads."""
    if len(study.run.leads) < 2 or not len(by_lead(study, variable, split, study.metrics[variable])):
        return []
    found: list[Block] = [Heading("By lead"), _curves(study, variable, split)]
    table = _table(study, variable, split)
    found += [table] if table is not None else []
    heats = lead_heat(study, variable, split)
    return [*found, *([heats] if heats is not None else [])]


def verdict_picture(study: Study, variable: str, height: int) -> Picture | None:
    """Return what stands on the first screen in place of a map: gains by lead, or the score where nothing is beaten."""
    gain = gains(study, variable, study.split)
    if gain is None:
        metric = study.metrics[variable]
        if len(study.run.leads) < 2 or not len(by_lead(study, variable, study.split, metric)):
            return None
        return _picture(study, variable, study.split, metric, ranked(study, variable)[:_SHORT], 344, height)
    whom, word = numbers.label(study.rival or ""), study.word(variable)
    line = lines.Line(
        study.headline, study.colours[study.headline], np.array(gain.leads, float), gain.value, gain.low, gain.high,
        strong=True,
    )  # fmt: skip
    axis = lines.Axis(lead_axis(study), f"{word} reduction [%]", level=0.0)
    title = f"{word} reduction{targets.of(study, variable)} against {whom}"
    return lines.lines([line], axis, sentence(study, variable, study.split), title, width=344, height=height)


def _curves(study: Study, variable: str, split: str) -> Figure:
    every = ranked(study, variable)
    few = every[:MOST_LINES]
    metrics = [study.metrics[variable], *correlation(study, variable, split)]
    pictures = tuple(_picture(study, variable, split, metric, few, lines.WIDTH, lines.HEIGHT) for metric in metrics)
    known = by_lead(study, variable, split, study.metrics[variable])["low"].notna().any()
    band = f" Bands: 95\u00a0% interval, of {numbers.label(study.headline)} alone." if known else ""
    hidden = f" The {len(few)} best of {len(every)} models." if len(every) > len(few) else ""
    caption = (
        f"{variable} on {split} by how far ahead it is forecast.{band or ' No interval is known of so few samples.'}"
        f"{hidden} {sentence(study, variable, split)}"
    )
    return Figure(slug("leads", variable, split), pictures, caption)


def _picture(
    study: Study, variable: str, split: str, metric: str, shown: Sequence[str], width: int, height: int
) -> Picture:
    rows = by_lead(study, variable, split, metric)
    drawn = _drawn(study, rows, shown)
    words = metric_words(metric)
    unit = numbers.units(str(rows["units"].iloc[0]))
    axis = lines.Axis(lead_axis(study), f"{words.label} [{unit}]" if unit else words.label)
    title = f"{words.label} by lead" + (f", {words.direction}" if words.direction else "")
    return lines.lines(drawn, axis, _finding(study, rows, metric), title, width=width, height=height)


def _drawn(study: Study, rows: pd.DataFrame, models: Sequence[str]) -> list[lines.Line]:
    """Return a line a model that has scores; the headline model alone has a band."""
    drawn: list[lines.Line] = []
    quiet = 0
    for model in models:
        own = rows[rows["model"] == model].sort_values("lead").drop_duplicates("lead")
        if not len(own):
            continue
        strong = model == study.headline
        # Greys are few: baselines differ by their dashes too.
        dash, quiet = (quiet, quiet + 1) if model in study.baselines else (study.cues[model], quiet)
        x, y, low, high = (own[key].to_numpy(float) for key in ("lead", "value", "low", "high"))
        known = strong and bool(np.isfinite(low).any())
        drawn.append(
            lines.Line(model, study.colours[model], x, y, low if known else None, high if known else None, strong, dash)
        )
    return drawn


def _finding(study: Study, rows: pd.DataFrame, metric: str) -> str:
    words, told = metric_words(metric), []
    for lead in (study.run.leads[0], study.run.leads[-1]):
        part = rows[rows["lead"] == lead].drop_duplicates("model")
        best = words.best(part["value"])
        if best is not None:
            name = numbers.label(str(part.loc[part["value"] == best, "model"].iloc[0]))
            value = amount(best, str(part["units"].iloc[0]))
            told.append(f"{leads.ahead(lead, study.step)} {name} has the best {words.label}, {value}")
    text = "; ".join(told) or f"{words.label} by lead"
    return f"{text[:1].upper()}{text[1:]}."


def _table(study: Study, variable: str, split: str) -> tables.Table | None:
    """Return leads by scores of the headline model and the best baseline."""
    whom = targets.reference(study, variable)
    pair = [name for name in dict.fromkeys((study.headline, whom)) if name]
    metrics = [study.metrics[variable], *correlation(study, variable, split)]
    gain = gains(study, variable, split)
    columns = [tables.Column("Lead", f"{study.step}s")]
    cells: list[list[tables.Cell]] = [[tables.Cell(str(lead), lead)] for lead in study.run.leads]
    for metric in metrics:
        rows, words = by_lead(study, variable, split, metric), metric_words(metric)
        decimals = numbers.decimals_for(rows["value"])
        for model in pair:
            columns.append(tables.Column(f"{words.label}, {numbers.label(model)}", _unit(rows), note=words.direction))
            for line, lead in zip(cells, study.run.leads, strict=True):
                line.append(_cell(one(rows, model, lead), decimals))
    if gain is not None:
        columns.append(tables.Column(f"{study.word(variable)} reduction", "%", note="higher is better"))
        for k, line in enumerate(cells):
            line.append(_number(float(gain.value[k]), float(gain.low[k]), float(gain.high[k]), 1))
    source = pd.concat([by_lead(study, variable, split, metric) for metric in metrics]).drop(columns="lead")
    what = f"{variable} on {split} by lead, of {numbers.listing(numbers.label(model) for model in pair)}"
    known = " Small print: 95\u00a0% interval." if source["low"].notna().any() else ""
    caption = f"{what}; the download holds all models.{known}"
    return tables.Table(
        slug("by-lead", variable, split), caption, tuple(columns), tuple(tuple(line) for line in cells), source
    )


def _unit(rows: pd.DataFrame) -> str:
    return numbers.units(str(rows["units"].iloc[0])) if len(rows) else ""


def _cell(row: pd.Series | None, decimals: int) -> tables.Cell:
    if row is None:
        return tables.Cell(numbers.MISSING, float("-inf"))
    return _number(float(row["value"]), float(row["low"]), float(row["high"]), decimals)


def _number(value: float, low: float, high: float, decimals: int) -> tables.Cell:
    note = numbers.interval(low, high, decimals) if np.isfinite(low) and np.isfinite(high) else ""
    return tables.Cell(numbers.number(value, decimals), value if np.isfinite(value) else float("-inf"), note)


def coverage(study: Study, variable: str) -> Figure | None:
    """Return how often 90 % intervals hold the truth by lead; None where no model has them at several leads."""
    rows = by_lead(study, variable, study.split, "coverage_90")
    if rows["lead"].nunique() < 2:
        return None
    shown = [model for model in ranked(study, variable) if model in set(rows["model"])][:MOST_LINES]
    label = metric_words("coverage_90").label
    scaled = rows.assign(**{key: 100 * rows[key] for key in ("value", "low", "high")})
    drawn = _drawn(study, scaled, shown)
    first = drawn[0]
    alt = (
        f"The 90\u00a0% intervals of {numbers.label(first.name)} hold the truth "
        f"{numbers.coverage(float(first.y[0]) / 100)} of the time {leads.ahead(int(first.x[0]), study.step)} and "
        f"{numbers.coverage(float(first.y[-1]) / 100)} {leads.ahead(int(first.x[-1]), study.step)}."
    )
    axis = lines.Axis(lead_axis(study), f"{label} [%]", level=90.0)
    caption = (
        f"Share of truths inside the 90\u00a0% interval by lead, {variable} on "
        f"{sentences.named_set(study.split)}; the dashed line, 90 %, is right."
    )
    return Figure(slug("coverage-lead", variable), (lines.lines(drawn, axis, alt),), caption)
