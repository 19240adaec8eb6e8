"""The report as Markdown: the same sentences and tables, figures as files in ``figures/``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from pipeline.files import write_atomic
from pipeline.report.figures import Picture
from pipeline.report.sections import Block, Code, Figure, Folded, Heading, Signal, Words, contents, verdict
from pipeline.report.study import Study
from pipeline.report.tables import Table

FOLDER = "figures"


def write(study: Study) -> Path:
    """Write ``report.md`` and its figures into the run folder; return the former's path."""
    run = study.run.path
    first, sections = verdict.build(study), contents.sections(study)
    lines = [f"# {escaped(first.question)}", "", f"**{escaped(first.answer.text)}**", ""]
    lines += [line for sentence in first.further for line in (escaped(sentence), "")]
    lines += [escaped(" ".join(part for part in (first.trust, first.chosen) if part)), ""]
    lines += [*(f"> {escaped(warning)}\n>" for warning in first.warnings), ""]
    lines += [*_pictures(run, "verdict", first.pictures), _numbers(run, first.figure).strip(), ""]
    for section in sections:
        lines += [f"## {section.title}", "", escaped(section.lead), ""]
        for block in section.blocks:
            lines += _block(run, block)
    path = run / "report.md"
    with write_atomic(path) as temporary:
        temporary.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    return path


def escaped(text: str) -> str:
    r"""Return text in which nothing is read as Markdown or HTML.

    Examples
    --------
    >>> escaped("a_b <script>")
    'a\\_b &lt;script&gt;'
    """
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#])", r"\\\1", text).replace("\n", " ")


def _block(run: Path, block: Block) -> list[str]:
    if isinstance(block, Heading):
        return [f"### {escaped(block.text)}", ""]
    if isinstance(block, Words):
        return [*(f"- {escaped(item)}" if block.listed else escaped(item) + "\n" for item in block.items), ""]
    if isinstance(block, Code):
        # A fence longer than any in the text cannot be closed by it.
        fence = "`" * max(3, max((len(ticks) + 1 for ticks in re.findall("`+", block.text)), default=0))
        return [f"{escaped(block.title)}:", "", fence, block.text.rstrip(), fence, ""]
    if isinstance(block, Signal):
        return [f"**{escaped(block.flag.words)}** {escaped(block.text)}".rstrip(), ""]
    if isinstance(block, Folded):
        return [f"**{escaped(block.summary)}**", "", *(line for part in block.blocks for line in _block(run, part))]
    if isinstance(block, Figure):
        flag = f"**{escaped(block.flag.words)}** " if block.flag else ""
        return [*_pictures(run, block.name, block.pictures), flag + escaped(block.caption) + _numbers(run, block), ""]
    return _table(block)


def _pictures(run: Path, name: str, pictures: Iterable[Picture]) -> list[str]:
    lines = []
    for number, picture in enumerate(pictures, 1):
        file = f"{FOLDER}/{name}-{number}{picture.suffix}"
        with write_atomic(run / file) as temporary:
            temporary.write_bytes(picture.light)
        lines += [f"![{escaped(picture.alt)}]({file})", ""]
    return lines


def _numbers(run: Path, figure: Figure) -> str:
    """Write the numbers behind a figure beside it; return what is said of them."""
    if not figure.csv:
        return f" {escaped(figure.elsewhere)}" if figure.elsewhere else ""
    file = f"{FOLDER}/{figure.name}.csv"
    with write_atomic(run / file) as temporary:
        temporary.write_text(figure.csv, encoding="utf-8")
    return f" Numbers: [{figure.name}.csv]({file})"


def _table(table: Table) -> list[str]:
    heads = [f"{c.title} [{c.unit}]" if c.unit else c.title for c in table.columns]
    lines = [escaped(table.caption), "", "| " + " | ".join(map(escaped, heads)) + " |"]
    lines.append("|" + "|".join(" ---: " if column.numeric else " --- " for column in table.columns) + "|")
    for row in table.rows:
        cells = []
        for cell in row:
            text = escaped(cell.text) + (f" ({escaped(cell.note)})" if cell.note else "")
            text += ", ".join(
                f"[{escaped(words)}]({to.replace('(', '%28').replace(')', '%29')})" for words, to in cell.links
            )
            cells.append(f"**{text}**" if cell.mark == "best" else ("\u2248 " if cell.mark == "tie" else "") + text)
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]
