"""Skill of a segmentation: the tables, scores by class, season and test set, differences to the best baseline."""

from __future__ import annotations

import numpy as np

from pipeline.report import class_tables, numbers, sentences, tables
from pipeline.report.figures import bars
from pipeline.report.sections import Block, Figure, Heading, Section, Words, skill, slug
from pipeline.report.study import Study, best_first


def build(study: Study) -> Section:
    """Return the section."""
    blocks: list[Block] = []
    for variable in study.variables:
        blocks += _test_sets(study, variable)
        for split in study.splits:
            if not len(study.scores(study.metrics[variable], variable=variable, split=split)):
                continue
            if len(study.splits) * len(study.variables) > 1:
                blocks.append(Heading(f"{variable}, {split}"))
                if (variable, split) != (study.variable, study.split):
                    blocks.append(Words((sentences.skill(study, variable, split),)))
            blocks += _blocks(study, variable, split)
    return Section("skill", "Skill", sentences.skill(study, study.variable, study.split), tuple(blocks))


def _blocks(study: Study, variable: str, split: str) -> list[Block]:
    cells = class_tables.skill_metrics(study, variable, split)
    shown = (
        ("scores", cells,
         f"Overlap and agreement of the most likely class, {variable} on {split}; means over classes, those of a class "
         "that is not there left out."),
        ("probabilities", (*class_tables.PROBABILITIES, *class_tables.others(study, variable, split)),
         f"The probabilities of the classes, {variable} on {split}."),
    )  # fmt: skip
    blocks: list[Block] = []
    # Of further test sets, what the verdict is about.
    for name, metrics, caption in shown if split == study.split else shown[:1]:
        table = tables.skill_table(study, variable, split, metrics, slug(name, variable, split), caption)
        blocks += [table] if table else []
    caption = f"{numbers.label(study.word(variable).removeprefix('mean '))} of each class, {variable} on {split}."
    table = class_tables.by_class(
        study, variable, split, study.metrics[variable], slug("iou", variable, split), caption
    )
    blocks += [table] if table else []
    if split != study.split:
        return blocks
    blocks += skill.differences(study, variable) if study.reference is not None else []
    return blocks + skill.groups(study, variable, split)


def _test_sets(study: Study, variable: str) -> list[Block]:
    """Return the score of each test set in a panel of its own, where there are several."""
    if len(study.splits) < 2:
        return []
    panels: dict[str, list[bars.Row]] = {}
    order = list(best_first(study.scores(study.metrics[variable], variable=variable).dropna(subset=["value"]))["model"])
    kept = {row.name for row in bars.shortened([bars.Row(m, 0, 0, 0, "") for m in order], skill.main(study))}
    for split in study.splits:
        rows = study.scores(study.metrics[variable], variable=variable, split=split).dropna(subset=["value"])
        rows = rows.drop_duplicates("model").set_index("model")
        panel = [
            bars.Row(m, rows.at[m, "value"], rows.at[m, "low"], rows.at[m, "high"], study.colours[m], cue=study.cues[m])
            for m in order
            if m in kept and m in rows.index
        ]
        panels |= {split: panel} if panel else {}
    word = study.word(variable)
    pictures = bars.multiples(panels, word, f"{word} by test set", higher=study.better(variable) == "higher")
    known = any(np.isfinite(row.low) for panel in panels.values() for row in panel)
    spread = "with 95\u00a0% interval" if known else "no interval is known"
    caption = f"{word[:1].upper()}{word[1:]} of {variable} on each test set, {spread}; same scale."
    return [Figure(slug("by-test-set", variable), tuple(pictures), caption)]
