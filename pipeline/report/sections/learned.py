"""How it was learned: the split, the data, the learning curves, what was chosen, time and memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.report import data_facts, numbers, tables
from pipeline.report.figures import Picture, time
from pipeline.report.load import Member
from pipeline.report.prepare_facts import prepare_facts
from pipeline.report.sections import Block, Figure, Heading, Section, Words, class_learned, slug
from pipeline.report.series_facts import basin_table, series_facts
from pipeline.report.study import VALIDATION, Study

_MOST_CURVES = 12
_MOST_SETTINGS = 14
_MOST_ITEMS = 40  # of a setting that is a list, such as the names of features


def build(study: Study) -> Section | None:
    """Return the section; None where the run says nothing of data, split or fits."""
    basins = basin_table(study.run.experiment, study.run.stage("prepare"))
    spans = _spans(study) if basins is None else []
    blocks: list[Block] = [] if basins is None else [basins]
    tiles = class_learned.split_table(study)
    if tiles is not None:
        blocks.append(tiles)
    elif spans:
        blocks.append(_timeline(study, spans))
    blocks += class_learned.blocks(study) if study.classes else []
    found = data_facts.datasets(study.run.ingest)
    table = data_facts.table(found)
    facts = prepare_facts(study.run.stage("prepare"))
    if study.run.is_series:
        facts = (*series_facts(study.run.stage("prepare")), *facts)
    if table is not None or facts:
        blocks.append(Heading("Data"))
    blocks += [table] if table is not None else []
    blocks += [Words(facts, listed=True)] if facts else []
    repairs = tuple(f"{dataset.name}: {repair}" for dataset in found for repair in dataset.repairs)
    if repairs:
        blocks += [Heading("Repairs on reading"), Words(repairs, listed=True)]
    blocks += _curves(study)
    settings = _settings(study)
    if settings is not None:
        blocks += [Heading("Chosen settings"), settings]
    stages = _stages(study)
    if stages is not None:
        blocks += [Heading("Time and memory"), stages]
    lead = _lead(study, spans) if basins is None else _of_basins(study, basins)
    return Section("learned", "How it was learned", lead, tuple(blocks)) if blocks else None


def _spans(study: Study) -> list[time.Span]:
    split = study.run.experiment.get("split") or {}
    prepared = study.run.stage("prepare").get("splits") or {}
    tests = split.get("test") or {}
    wanted: dict[str, Any] = {"train": split.get("train"), "validation": split.get("validation")}
    wanted |= dict(tests) if isinstance(tests, Mapping) else {"test": tests}
    wanted |= {name: facts.get("span") for name, facts in prepared.items() if facts.get("own_data")}
    spans = []
    for name, span in wanted.items():
        facts = prepared.get(name) or {}
        edges = [facts.get("first"), facts.get("last")] if facts.get("first") else span
        if not isinstance(edges, (list, tuple)) or len(edges) != 2:
            continue
        count = facts.get("samples")
        if count is None and name == study.split and study.sampling:
            count = study.sampling.count
        spans.append(time.Span(name, str(edges[0])[:10], str(edges[1])[:10], count))
    return spans


def _lead(study: Study, spans: list[time.Span]) -> str:
    by_name = {span.name: span for span in spans}
    parts = []
    for name, words in (("train", "were fitted on"), ("validation", "chosen on"), (study.split, "tested on")):
        span = by_name.get(name)
        if span is not None and (words != "tested on" or name != VALIDATION):
            count = f"{span.count:,} samples, " if span.count is not None else ""
            parts.append(f"{words} {count}{span.first} to {span.last}")
    parts = [tiles] if (tiles := class_learned.lead(study)) else parts
    deep = sum(member.history is not None for member in study.run.members)
    nets = f"; {numbers.plural(deep, 'network')} {'was' if deep == 1 else 'were'} trained" if deep else ""
    if not parts:
        return (
            f"{numbers.plural(len(study.models), 'model')} {'was' if len(study.models) == 1 else 'were'} fitted{nets}."
        )
    return f"Models {numbers.listing(parts)}{nets}."


def _of_basins(study: Study, table: tables.Table) -> str:
    """Say how many basins models learned from, where the splits are by basins."""
    counts = {row[0].text: int(row[1].key) for row in table.rows}
    parts = [
        f"{words} {numbers.plural(counts[name], 'basin')}"
        for name, words in (("train", "were fitted on"), (VALIDATION, "chosen on"), (study.split, "tested on"))
        if name in counts
    ]
    parts = [tiles] if (tiles := class_learned.lead(study)) else parts
    deep = sum(member.history is not None for member in study.run.members)
    nets = f"; {numbers.plural(deep, 'network')} {'was' if deep == 1 else 'were'} trained" if deep else ""
    return f"Models {numbers.listing(parts)}, no basin in two of these{nets}."


def _timeline(study: Study, spans: list[time.Span]) -> Figure:
    gap = study.run.stage("prepare").get("gap") or (study.run.experiment.get("split") or {}).get("gap")
    words = f" Between two splits lie at least {gap}." if gap and str(gap) not in {"0D", "0 days", "0"} else ""
    alt = "; ".join(f"{span.name} {span.first} to {span.last}" for span in spans) + "."
    prepared = study.run.stage("prepare").get("splits") or {}
    own = [span.name for span in spans if (prepared.get(span.name) or {}).get("own_data")]
    if own:
        have, their = ("has", "its") if len(own) == 1 else ("have", "their")
        words += f" {numbers.listing(own)} {have} data of {their} own."
    return Figure("split", (time.timeline(spans, alt),), f"The splits: {alt}{words}")


def _curves(study: Study) -> list[Block]:
    groups: dict[str, list[Member]] = defaultdict(list)
    for member in study.run.members:
        history = member.history
        if history is not None and len(history) and {"epoch", "train_loss", "validation_loss"} <= set(history.columns):
            groups[member.model].append(member)
    pictures = [_curve(study, model, members) for model, members in list(groups.items())[:_MOST_CURVES]]
    if not pictures:
        return []
    more = f" The first {_MOST_CURVES} of {len(groups)} models." if len(groups) > _MOST_CURVES else ""
    caption = f"Loss of every member over its epochs; the dot marks the lowest validation loss.{more}"
    return [Heading("Learning curves"), Figure("learning", tuple(pictures), caption)]


def _curve(study: Study, model: str, members: list[Member]) -> Picture:
    curves = {member.name: member.history for member in members if member.history is not None}
    best = [
        int(h.loc[h["validation_loss"].idxmin(), "epoch"])
        for h in curves.values()
        if h["validation_loss"].notna().any()
    ]
    last = [int(h["epoch"].iloc[-1]) for h in curves.values()]
    alt = f"{numbers.plural(len(curves), 'member')} of {numbers.label(model)}, no finite validation loss."
    if best:
        alt = (
            f"{numbers.plural(len(curves), 'member')} of {numbers.label(model)}: the lowest validation loss is in "
            f"epoch {_few(best)}, the last epoch is {_few(last)}."
        )
    return time.learning(curves, study.colours.get(model, study.colours[study.headline]), alt, numbers.label(model))


def _few(values: list[int]) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"


def _settings(study: Study) -> tables.Table | None:
    rows = []
    for member in study.run.members:
        if member.name == "member-00":
            rows += _setting_rows(member.model, member.summary)
    for name, summary in study.run.methods.items():
        rows += _setting_rows(name, summary)
    columns = tuple(tables.Column(head, numeric=False) for head in ("Model", "Setting", "Value"))
    caption = (
        "What each model chose or learned while it was fitted (its first member), by itself or on the validation split."
    )
    return tables.Table("settings", caption, columns, tuple(rows)) if rows else None


def _setting_rows(model: str, summary: Mapping[str, Any]) -> list[tuple[tables.Cell, ...]]:
    items = [(key, value) for key, value in summary.items() if key not in {"seconds", "member"}]
    rows: list[tuple[tables.Cell, ...]] = []
    for key, value in items[:_MOST_SETTINGS]:
        unit = numbers.units(key.rpartition("[")[2].rstrip("]")) if key.endswith("]") else ""
        shown = tables.plain(value, _MOST_ITEMS)
        rows.append(
            (
                tables.text(numbers.label(model)),
                tables.text(numbers.label(key)),
                tables.Cell(f"{shown} {unit}".strip(), str(value)),
            )
        )
    return rows


def _stages(study: Study) -> tables.Table | None:
    rows: list[tuple[tables.Cell, ...]] = []
    memory = [stage.memory for stage in study.run.stages]
    for stage in study.run.stages:
        most = tables.figures([stage.memory], 0 if np.nanmax(memory) >= 100 else 1)[0]
        rows.append((tables.text(stage.name), tables.Cell(numbers.duration(stage.seconds), stage.seconds), most))
    fits: dict[str, list[float]] = defaultdict(list)
    for member in study.run.members:
        if isinstance(member.summary.get("seconds"), (int, float)):
            fits[member.model].append(float(member.summary["seconds"]))
    for model, seconds in fits.items():
        count = f", {len(seconds)} members" if len(seconds) > 1 else ""
        cell = tables.Cell(numbers.duration(sum(seconds)), sum(seconds))
        rows.append(
            (
                tables.Cell(f"fit: {numbers.label(model)}{count}", f"fit {model}"),
                cell,
                tables.Cell(numbers.MISSING, 0.0),
            )
        )
    columns = (tables.Column("Stage", numeric=False), tables.Column("Time"), tables.Column("Peak memory", "MiB"))
    caption = (
        "Wall time and most memory of each stage; times of fits are sums over members, which may run side by side."
    )
    return tables.Table(slug("stages"), caption, columns, tuple(rows)) if rows else None
