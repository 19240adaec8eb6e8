"""Skill: the tables, small multiples by group, paired differences to the best baseline."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pandas as pd

from pipeline.report import numbers, sentences, tables, targets
from pipeline.report.figures import bars
from pipeline.report.sections import Block, Figure, Heading, Section, Words, leads, paired, slug
from pipeline.report.study import Study, best_first

_SEASONS = ("DJF", "MAM", "JJA", "SON")
_ENDS = {True: ("\u2190 better", "worse \u2192"), False: ("\u2190 worse", "better \u2192")}  # lower is better, or not


def build(study: Study) -> Section:
    """Return the section."""
    blocks: list[Block] = []
    several = len(study.splits) * len(study.variables) > 1
    for split in study.splits:
        for variable in study.variables:
            if not len(study.scores(study.metrics[variable], variable=variable, split=split)):
                continue
            if several:
                blocks.append(Heading(f"{variable}, {split}"))
                if (variable, split) != (study.variable, study.split):
                    blocks.append(Words((sentences.skill(study, variable, split),)))
            blocks += _blocks(study, variable, split)
    return Section("skill", "Skill", sentences.skill(study, study.variable, study.split), tuple(blocks))


def _blocks(study: Study, variable: str, split: str) -> list[Block]:
    shown = (
        ("scores", tables.ACCURACY, f"Errors of the mean prediction, {variable} on {split}.", ""),
        ("distribution", (*tables.DISTRIBUTION, *tables.others(study, variable, split)),
         f"The whole distribution, and whether values spread as the truth does, {variable} on {split}.",
         _of_points(study, variable, split)),
    )  # fmt: skip
    blocks: list[Block] = []
    for name, metrics, caption, note in shown:
        table = tables.skill_table(study, variable, split, metrics, slug(name, variable, split), caption, note=note)
        blocks += [table] if table else []
    if split == study.split and study.reference is not None:
        blocks += differences(study, variable)
    blocks += groups(study, variable, split)
    return blocks


def _of_points(study: Study, variable: str, split: str) -> str:
    """Say what the CRPS of point forecasts is, where they stand beside distributions."""
    crps, mae = (
        study.scores(metric, variable=variable, split=split).drop_duplicates("model").set_index("model")["value"]
        for metric in ("crps", "mae")
    )
    # Both are worked out by themselves: they agree to the digits that are written.
    points = [model for model in crps.dropna().index if np.isclose(crps[model], mae.get(model, np.nan), rtol=1e-4)]
    if not points or len(points) == len(crps.dropna()):
        return ""
    verb = "gives" if len(points) == 1 else "give"
    return (
        f"{numbers.listing(numbers.label(model) for model in points)} {verb} one value and no distribution: the CRPS "
        "of a point forecast is its mean absolute error."
    )


def differences(study: Study, variable: str) -> list[Block]:
    """Return every model's score less that of the best baseline, as points with their intervals."""
    best = targets.reference(study, variable)
    # A run may hold differences to the best baseline of its first target alone.
    known = best if len(study.comparisons(variable=variable, reference=best)) else study.reference
    lower = study.better(variable) == "lower"
    table = (
        study.comparisons(variable=variable, reference=known)
        .sort_values("difference", ascending=lower)
        .drop_duplicates("model")
    )
    table = table[table["model"] != known]
    if not len(table):
        return []
    rows = [
        bars.Row(row.model, row.difference, row.low, row.high, study.colours[row.model], cue=study.cues[row.model])
        for row in table.itertuples()
        if row.model in study.colours
    ]
    ahead, way, side = (table["high"] < 0, "lower", "below") if lower else (table["low"] > 0, "higher", "above")
    better, name = int(ahead.sum()), numbers.label(known or "")
    finding = (
        f"{better} of {numbers.plural(len(table), 'model')} {'has' if better == 1 else 'have'} a {way} "
        f"{study.word(variable)} than {name}, with the whole interval {side} zero."
    )
    bounds = ", with 95\u00a0% interval"
    if not table["high"].notna().any():
        bounds, better = "", int((table["difference"] < 0 if lower else table["difference"] > 0).sum())
        finding = (
            f"{better} of {numbers.plural(len(table), 'model')} {'has' if better == 1 else 'have'} a {way} "
            f"{study.word(variable)} than {name}; no interval is known of so few samples."
        )
    axis = f"difference of the {sentences.score_axis(study.metrics[variable], study.units[variable])}"
    shown = bars.shortened(rows, (study.headline,), 30)
    chart = bars.dots(shown, axis, finding, "", width=640, ends=_ENDS[lower])
    step = study.step
    whose = f"the best baseline, {name}," if known == best else f"the baseline {name}"
    caption = (
        f"{_capital(study.word(variable))} of each model less that of {whose} for {variable} on {study.split}, "
        f"paired {step} by {step}{bounds}. {finding}"
    )
    found = paired.paired_table(study, variable, known or "", table)
    return [Figure(slug("difference", variable), (chart,), caption), *([found] if found else [])]


def groups(study: Study, variable: str, split: str) -> list[Block]:
    """Return the score by season, class or other group, one panel each."""
    scores = study.scores(study.metrics[variable], variable=variable, split=split, group=None)
    scores = scores[scores["value"].notna() & scores["group"].str.fullmatch(r"(?!lead=)[^=;]+=[^=;]+")]
    blocks: list[Block] = leads.blocks(study, variable, split)
    for key, rows in scores.groupby(scores["group"].map(group_key), sort=True):
        groups = ordered_groups(rows["group"])
        if len(groups) > 1:
            blocks.append(_multiples(study, variable, split, str(key), groups, rows))
    return blocks


def group_key(group: str) -> str:
    """Return what a group is of: ``season`` of ``season=DJF``."""
    return group.partition("=")[0]


def ordered_groups(groups: Iterable[str]) -> list[str]:
    """Return each group once: seasons in the order of the year, numbers by size, else as they come.

    Examples
    --------
    >>> ordered_groups(["season=SON", "season=DJF", "season=SON"])
    ['season=DJF', 'season=SON']
    >>> ordered_groups(["lead=10", "lead=2"])
    ['lead=2', 'lead=10']
    """

    def rank(group: str) -> float:
        value = group.partition("=")[2]
        if value in _SEASONS:
            return float(_SEASONS.index(value))
        return float(value) if value.removeprefix("-").replace(".", "", 1).isdigit() else 0.0

    return sorted(dict.fromkeys(groups), key=rank)


def _multiples(study: Study, variable: str, split: str, key: str, groups: list[str], rows: pd.DataFrame) -> Figure:
    # Classes differ in how easy they are, the background most: all panels are in the order of the verdict.
    whole = study.scores(study.metrics[variable], variable=variable, split=split).dropna(subset=["value"])
    first = best_first(whole if key == "class" else rows[rows["group"] == groups[0]])
    order = list(first["model"])
    kept = {row.name for row in bars.shortened([bars.Row(m, 0, 0, 0, "") for m in order], main(study))}
    # Of one class there is no mean over classes.
    word = study.word(variable).removeprefix("mean ") if key == "class" else study.word(variable)
    panels = {}
    for group in groups:
        table = rows[rows["group"] == group].drop_duplicates("model").set_index("model")
        shown = group.partition("=")[2]
        panels[numbers.label(shown) if key == "class" else shown] = [
            bars.Row(
                m, table.at[m, "value"], table.at[m, "low"], table.at[m, "high"], study.colours[m], cue=study.cues[m]
            )
            for m in order
            if m in kept and m in table.index
        ]
    pictures = bars.multiples(
        panels,
        sentences.score_axis(study.metrics[variable], study.units[variable]),
        f"{word} by {key}",
        higher=study.better(variable) == "higher",
    )
    hidden = f" The {len(kept)} best of {len(order)} models." if len(kept) < len(order) else ""
    what = f"{_capital(word)} of {variable} on {split} by {key}"
    known = any(math.isfinite(row.low) for panel in panels.values() for row in panel)
    spread = "with 95\u00a0% interval" if known else f"no interval is known of so few samples a {key}"
    caption = f"{what}, {spread}; same scale in all panels.{hidden}"
    return Figure(slug("by", key, variable, split), tuple(pictures), caption)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def main(study: Study) -> tuple[str, ...]:
    """Return the two models of the verdict."""
    return tuple(model for model in (study.headline, study.reference) if model)
