"""Writes the page on which several runs stand side by side: one HTML file that opens from disk."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

from pipeline.files import write_atomic
from pipeline.report import numbers, render, sentences
from pipeline.report.compared import Comparison, ScoreTable, Setting, explained
from pipeline.report.figures.compared import points
from pipeline.report.load import Run
from pipeline.report.metric_words import metric_words
from pipeline.report.sections import Block, Figure, Folded, Section, Words, slug
from pipeline.report.tables import Cell, Column, Table, text

MARK = "\u2021"


@dataclass(frozen=True)
class Listed:
    """A run as the page's head names it; ``link`` is empty where there is no report."""

    letter: str
    name: str
    question: str
    made: str
    link: str


def write(found: Comparison, path: Path) -> Path:
    """Write the page to ``path``; links to the reports are relative to it, so that a folder can be moved whole."""
    with write_atomic(path) as temporary:
        temporary.write_text(html(found, path), encoding="utf-8")
    return path


def html(found: Comparison, path: Path) -> str:
    """Return the page as it stands at ``path``."""
    from markupsafe import Markup

    from pipeline import __version__

    style, scripts = render.package_file("report.css"), [render.package_file(name) for name in ("page.js", "report.js")]
    names = [run.path.resolve().name for run in found.runs]
    page = render.template("comparison.html.j2")
    return str(
        page.render(
            title=f"{len(names)} runs compared: {', '.join(names)}",
            version=__version__,
            csp=render.policy([style], scripts),
            style=Markup(style),  # noqa: S704  (our own files, no data in them)
            scripts=[Markup(script) for script in scripts],  # noqa: S704
            runs=[_listed(letter, run, path) for letter, run in zip(found.letters, found.runs, strict=True)],
            cautions=found.cautions,
            sections=sections(found),
        )
    )


def _listed(letter: str, run: Run, page: Path) -> Listed:
    said = run.provenance
    commit = str((said.get("source") or {}).get("commit") or "")[:7]
    backend = str((said.get("device") or {}).get("backend") or "")
    started = str(said.get("started") or "")[:16].replace("T", " ")
    made = ", ".join(filter(None, [f"{started} UTC" if started else "", f"commit {commit}" if commit else "", backend]))
    report = run.path.resolve() / "report.html"
    link = quote(Path(os.path.relpath(report, page.resolve().parent)).as_posix()) if report.is_file() else ""
    return Listed(letter, run.path.resolve().name, str(run.experiment.get("question") or ""), made, link)


def sections(found: Comparison) -> list[Section]:
    """Return scores by test set and target, then what differs."""
    made = []
    for (split, variable), group in groupby(found.tables, key=lambda table: (table.split, table.variable)):
        made.append(_scores(found, split, variable, list(group)))
    made.append(
        _differing(
            "experiments", "What the experiments differ in", found.experiment, found.letters,
            "The experiments are the same but for their names.",
            "Keys as the option --set names them, of the experiments as resolved, every default written out.",
        )
    )  # fmt: skip
    made.append(
        _differing(
            "surroundings", "What else differs", found.surroundings, found.letters,
            "Same code, libraries, machine and data.", "Code, libraries, machine and data, from provenance.json.",
        )
    )  # fmt: skip
    return made


def _scores(found: Comparison, split: str, variable: str, group: Sequence[ScoreTable]) -> Section:
    key = slug("scores", split, variable)
    main = next((table for table in group if table.main), group[0])
    others = [table for table in group if table is not main]
    blocks: list[Block] = [
        _figure(found, main, slug("figure", split, variable)),
        _table(found, [main], slug("main", split, variable)),
    ]
    if others:
        labels = [metric_words(table.metric).label for table in others]
        table = _table(found, others, slug("more", split, variable))
        blocks.append(Folded(f"{len(others)} more scores: {numbers.listing(labels)}", (table,)))
    blocks.append(Words((explained(found, MARK),)))
    return Section(key, f"{variable} on {split}", _lead(found, main), tuple(blocks))


def _lead(found: Comparison, table: ScoreTable) -> str:
    """Return which run has the best model by the main score, and which one it is."""
    words = metric_words(table.metric)
    best: list[tuple[float, str, str]] = []
    for number, letter in enumerate(found.letters):
        there = {row.model: score.value for row in table.rows if (score := row.scores[number]) is not None}
        if there:
            turn = -1.0 if words.better == "higher" else 1.0
            model = min(there, key=lambda name: turn * there[name])
            best.append((turn * there[model], letter, model))
    decimals = numbers.decimals_for([value for value, _, _ in best])
    told = [
        f"in {letter} {numbers.label(model)} ({numbers.with_units(numbers.number(abs(value), decimals), table.units)})"
        for value, letter, model in best
    ]
    return f"Best {words.label}: {numbers.listing(told)}."


def _figure(found: Comparison, table: ScoreTable, name: str) -> Figure:
    words = metric_words(table.metric)
    values = [
        [None if score is None else (score.value, score.low, score.high) for score in row.scores] for row in table.rows
    ]
    axis = sentences.score_axis(table.metric, table.units)
    apart = sum(row.separate(number) for row in table.rows for number in range(1, len(found.letters)))
    alt = (
        f"{words.label} of {numbers.plural(len(table.rows), 'model')} in {len(found.letters)} runs; "
        f"{apart} intervals do not overlap that of run {found.letters[0]}."
    )
    labels = [f"run {letter}" for letter in found.letters]
    chart = points([row.model for row in table.rows], labels, values, axis, alt)
    bounds = " with 95\u00a0% intervals" if found.intervals else ", no interval known"
    direction = f", {words.direction}" if words.direction else ""
    return Figure(name, (chart,), f"{words.label} of every model in every run{bounds}{direction}.")


def _table(found: Comparison, group: Sequence[ScoreTable], name: str) -> Table:
    """Return scores by model and run with differences to the first; one table for several scores, sorted by either."""
    several = len(group) > 1
    first = found.letters[0]
    heads = [Column("Score", numeric=False)] if several else []
    heads.append(Column("Model", numeric=False))
    heads += [Column(letter, "" if several else numbers.units(group[0].units)) for letter in found.letters]
    heads += [Column(f"{letter} {numbers.MINUS} {first}") for letter in found.letters[1:]]
    rows = []
    for table in group:
        values = [score.value for row in table.rows for score in row.scores if score is not None]
        decimals = numbers.decimals_for(values, 4)
        for row in table.rows:
            cells = [Cell(sentences.score_axis(table.metric, table.units), table.metric)] if several else []
            cells.append(text(numbers.label(row.model)))
            for score in row.scores:
                if score is None:
                    cells.append(Cell(numbers.MISSING, math.inf))
                    continue
                note = numbers.interval(score.low, score.high, decimals) if score.known else ""
                cells.append(Cell(numbers.number(score.value, decimals), score.value, note))
            for number in range(1, len(found.letters)):
                gap = row.difference(number)
                mark = f"\u00a0{MARK}" if row.separate(number) else ""
                shown = numbers.number(gap, decimals, sign=True) + mark
                cells.append(Cell(shown, math.inf if math.isnan(gap) else gap))
            rows.append(tuple(cells))
    words = "Scores" if several else metric_words(group[0].metric).label
    caption = (
        f"{words} by model and run, small print: 95\u00a0% interval."
        if found.intervals
        else f"{words} by model and run."
    )
    return Table(name, caption, tuple(heads), tuple(rows))


def _differing(
    key: str, title: str, settings: Sequence[Setting], letters: Sequence[str], none: str, lead: str
) -> Section:
    if not settings:
        return Section(key, title, none, ())
    heads = (Column("Key", numeric=False), *(Column(letter, numeric=False) for letter in letters))
    rows = tuple((text(one.key), *(text(value) for value in one.values)) for one in settings)
    caption = numbers.plural(len(settings), "key that differs", "keys that differ")
    return Section(key, title, lead, (Table(key + "-table", caption + ".", heads, rows),))
