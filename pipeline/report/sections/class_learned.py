"""What a segmentation learned from: the blocks of its images, shares and weights of its classes, augmentations."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pipeline.report import class_tables, event_words, numbers, tables
from pipeline.report.sampling import block_in_words
from pipeline.report.sections import Block, Heading, Words
from pipeline.report.study import Study
from pipeline.report.tables import Cell, Column, Table

_WEIGHTS = re.compile(r"weights (inverse_sqrt|inverse|none)\b")


def split_table(study: Study) -> Table | None:
    """Return which tiles belong to which split; None where samples are no tiles."""
    if study.sampling is None or study.sampling.step != "tile":
        return None
    prepared = study.run.stage("prepare").get("splits") or {}
    named = (study.run.experiment.get("split") or {}).get("images") or {}
    every = (study.run.experiment.get("data") or {}).get("images") or ()
    rows = []
    for name, facts in prepared.items():
        images = named.get(name) or every
        rows.append(
            (
                tables.text(name),
                tables.text(block_in_words(facts.get("span") or ()) or numbers.MISSING),
                tables.text(numbers.listing(numbers.label(str(image)) for image in images) or numbers.MISSING),
                Cell(f"{int(facts.get('samples') or 0):,}", float(facts.get("samples") or 0)),
            )
        )
    columns = (*(Column(head, numeric=False) for head in ("Split", "Pixels", "Images")), Column("Tiles"))
    return Table("split", f"The splits, by blocks of pixels.{_cut(study)}", columns, tuple(rows)) if rows else None


def lead(study: Study) -> str:
    """Say on how many tiles models were fitted, chosen and tested; empty where samples are no tiles."""
    if study.sampling is None or study.sampling.step != "tile":
        return ""
    prepared = study.run.stage("prepare").get("splits") or {}
    parts = []
    for name, words in (("train", "fitted on"), ("validation", "chosen on"), (study.split, "tested on")):
        facts = prepared.get(name)
        if facts and not (name == "validation" and words == "tested on"):
            block = block_in_words(facts.get("span") or ())
            tiles = numbers.plural(int(facts.get("samples") or 0), "tile")
            parts.append(f"{words} {tiles}{f' of {block}' if block else ''}")
    return f"were {numbers.listing(parts)}" if parts else ""


def blocks(study: Study) -> list[Block]:
    """Return shares and weights of the classes, and what augmentations did."""
    found: list[Block] = []
    for variable in study.variables:
        table = class_tables.shares(study, variable, _weights(study))
        found += [table] if table is not None else []
    said = tuple(text for text in (event_words.definition(study), event_words.shift(study)) if text)
    found += [Words(said, listed=True)] if said else []
    lines = _augmentations(study)
    if found:
        found.insert(0, Heading("Classes"))
    if lines:
        found += [Heading("Augmentation"), Words(lines, listed=True)]
    return found


def _cut(study: Study) -> str:
    split = study.run.experiment.get("split") or {}
    tile, stride, margin = (split.get(key) for key in ("tile", "stride", "margin"))
    words = f" Tiles of {tile[0]} by {tile[1]} pixels" if isinstance(tile, (list, tuple)) and len(tile) == 2 else ""
    if words and isinstance(stride, (list, tuple)) and list(stride) != list(tile or ()):
        words += f", those of train every {stride[0]} by {stride[1]}"
    words += "." if words else ""
    return f"{words} Between train and the others lie {numbers.plural(int(margin), 'pixel')}." if margin else words


def _weights(study: Study) -> dict[str, list[float]]:
    """Return the weights of each weighting that a model's loss has, from the shares of the train split."""
    said = {str(one["name"]): float(one["share"]) for one in study.run.stage("prepare").get("classes") or ()}
    share = [said.get(name, 0.0) for name in study.classes]
    used: list[str] = []
    for member in study.run.members:
        used += _WEIGHTS.findall(str(member.summary.get("loss") or ""))
    found = {}
    for how in dict.fromkeys(name for name in used if name != "none"):
        power = 1.0 if how == "inverse" else 0.5
        raw = [part**-power if part > 0 else 0.0 for part in share]
        mean = sum(part * weight for part, weight in zip(share, raw, strict=True))
        if mean > 0:
            found[how] = [weight / mean for weight in raw]
    return found


def _augmentations(study: Study) -> tuple[str, ...]:
    """Return one line an augmentation of the experiment, with its options and the models it was for."""
    lines = []
    for entry in study.run.experiment.get("augment") or ():
        if not isinstance(entry, Mapping):
            continue
        options = {key: value for key, value in entry.items() if key not in {"kind", "models"} and value is not None}
        words = f" ({', '.join(_option(key, value) for key, value in options.items())})" if options else ""
        models = [str(name) for name in entry.get("models") or ()]
        whom = f", for {numbers.listing(numbers.label(name) for name in models)}" if models else ""
        lines.append(f"{numbers.label(str(entry.get('kind')))}{words}{whom}.")
    return tuple(lines)


def _option(key: str, value: Any) -> str:
    return f"{numbers.label(key)} {f'{value:g}' if isinstance(value, float) else tables.plain(value)}"
