"""``finescale runs compare``: runs side by side in plain text."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from pipeline.report import numbers
from pipeline.report.compared import Comparison, Score, ScoreTable, Setting, compare, explained
from pipeline.report.metric_words import metric_words

MARK = "*"
_WIDTH = 100
_MOST = 34


def compared(paths: Sequence[Path], scores: Sequence[str] = ()) -> Comparison:
    """Return the runs at ``paths`` side by side; see :func:`pipeline.report.compared.compare`."""
    return compare(paths, scores)


def as_text(found: Comparison) -> str:
    """Return a comparison as text: runs, cautions, scores, what differs."""
    lines = [*_runs(found), ""]
    for caution in found.cautions:
        lines += _wrapped(f"warning: {caution}", "  ")
    if found.cautions:
        lines.append("")
    for (split, variable), tables in groupby(found.tables, key=lambda table: (table.split, table.variable)):
        lines += [f"{split}, {variable}", "=" * len(f"{split}, {variable}"), ""]
        for table in tables:
            lines += [*score_lines(table, found.letters), ""]
    lines += [*_wrapped(explained(found, MARK), ""), ""]
    lines += [*_settings("Experiments differ in", found.experiment, found.letters, "nothing but their names"), ""]
    lines += _settings("Also different", found.surroundings, found.letters, "nothing: same code, libraries and data")
    return "\n".join(lines)


def _runs(found: Comparison) -> list[str]:
    width = max(len(run.path.resolve().name) for run in found.runs)
    lines = []
    for letter, run in zip(found.letters, found.runs, strict=True):
        said = run.provenance
        commit = str((said.get("source") or {}).get("commit") or "")[:7]
        made = " ".join(filter(None, [str(said.get("started", ""))[:16].replace("T", " "), commit]))
        lines.append(f"{letter}  {run.path.resolve().name:<{width}}  {made}".rstrip())
    return lines


def score_lines(table: ScoreTable, letters: Sequence[str]) -> list[str]:
    r"""Return the lines of one score: models down, runs across, then the differences to the first run.

    Examples
    --------
    >>> from pipeline.report.compared import ScoreRow
    >>> row = ScoreRow("unet", (Score(2.0, 1.9, 2.1, 9), Score(1.0, 0.9, 1.1, 9)))
    >>> print("\n".join(score_lines(ScoreTable("test", "tas", "rmse", "K", (row,), True), "AB")))
    RMSE [K], lower is better
    model  A                       B                       B - A
    unet   2.000 (1.900 to 2.100)  1.000 (0.900 to 1.100)  -1.000 *
    """
    words = metric_words(table.metric)
    unit = f" [{table.units}]" if table.units not in ("", "1") else ""
    direction = f", {words.direction}" if words.direction else ""
    decimals = _decimals(table)
    grid = [["model", *letters, *(f"{letter} - {letters[0]}" for letter in letters[1:])]]
    for row in table.rows:
        cells = [row.model, *(_score(score, decimals) for score in row.scores)]
        for number in range(1, len(letters)):
            gap = row.difference(number)
            mark = f" {MARK}" if row.separate(number) else ""
            cells.append("" if math.isnan(gap) else f"{_signed(gap, decimals)}{mark}")
        grid.append(cells)
    return [f"{words.label}{unit}{direction}", *aligned(grid)]


def aligned(grid: Sequence[Sequence[str]]) -> list[str]:
    """Return the rows of a table as lines, its columns two blanks apart."""
    widths = [max(len(row[column]) for row in grid) for column in range(len(grid[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in grid]


def _decimals(table: ScoreTable) -> int:
    """Return the decimals at which the largest score of the table has four digits: differences need one more."""
    return numbers.decimals_for([score.value for row in table.rows for score in row.scores if score is not None], 4)


def _score(score: Score | None, decimals: int) -> str:
    if score is None:
        return "-"
    value = f"{score.value:.{decimals}f}"
    return f"{value} ({score.low:.{decimals}f} to {score.high:.{decimals}f})" if score.known else value


def _signed(gap: float, decimals: int) -> str:
    text = f"{gap:+.{decimals}f}"
    return "0" if not text.strip("+-0.") else text


def _settings(title: str, settings: Sequence[Setting], letters: Sequence[str], none: str) -> list[str]:
    if not settings:
        return [f"{title}: {none}."]
    lines = [f"{title}:"]
    short = all(len(value) <= _MOST for setting in settings for value in setting.values)
    width = max(len(setting.key) for setting in settings) + sum(
        max(len(setting.values[run]) for setting in settings) + 2 for run in range(len(letters))
    )
    if short and width <= _WIDTH:
        grid = [["key", *letters], *([setting.key, *setting.values] for setting in settings)]
        return lines + [f"  {line}" for line in aligned(grid)]
    for setting in settings:
        lines.append(f"  {setting.key}")
        lines += [f"    {letter}  {value}" for letter, value in zip(letters, setting.values, strict=True)]
    return lines


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
