"""What a finished run came to, read from its folder, for the end of a command and the pages of a Prefect server."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from pipeline.errors import RunFolderError
from pipeline.report.result import Result
from pipeline.run_folder import RunFolder
from pipeline.stage import StageRecord


def outcome(run: RunFolder) -> Result | None:
    """Return the result that the report stage kept; None where it is not done, or another version did it."""
    try:
        return Result.from_plain(StageRecord.read(run, "report").summary["result"])
    except (RunFolderError, KeyError, TypeError):
        return None


def text(result: Result) -> str:
    """Return the verdict and a table of all models, as lines of plain text."""
    head, rows = result.table()
    rows = [("model", head[1], head[2], ""), *rows]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [result.verdict, *([result.trust] if result.trust else []), ""]
    for model, value, interval, role in rows:
        lines.append(f"  {model:<{widths[0]}}  {value:>{widths[1]}}  {interval:>{widths[2]}}  {role}".rstrip())
    lines.append(f"  {_of(result)}")
    if result.models and all(one.low is None for one in result.models):
        lines.append(
            "  no intervals: the truth has too few independent blocks for one; a difference may have one still"
        )
    if result.warnings:
        lines += ["", "before you rely on this:", *(f"- {warning}" for warning in result.warnings)]
    return "\n".join(lines).replace("\u00a0", " ")


def markdown(result: Result) -> str:
    """Return the same as GitHub's Markdown, the model that stands for the answer in bold."""
    from pipeline.report.markdown import escaped

    head, rows = result.table()
    lines = [f"**{escaped(result.verdict)}**", ""]
    lines += [escaped(result.trust), ""] if result.trust else []
    lines += ["| " + " | ".join(map(escaped, head)) + " |", "| --- | ---: | ---: | --- |"]
    for model, *cells in rows:
        name = f"**{escaped(model)}**" if model == result.model else escaped(model)
        lines.append(f"| {name} | " + " | ".join(map(escaped, cells)) + " |")
    lines += ["", escaped(_of(result)), ""]
    lines += [f"> {escaped(warning)}\n>" for warning in result.warnings]
    return "\n".join(lines).rstrip() + "\n"


@dataclass(frozen=True)
class Thumbnail:
    """The report's small picture: a ``data:`` URI, a few words above it, and its text."""

    uri: str
    title: str
    alt: str


def thumbnail(run: RunFolder) -> Thumbnail | None:
    """Return the report's small picture; None where there is none."""
    try:
        kept = StageRecord.read(run, "report").summary["thumbnail"]
        content = base64.b64encode((run / kept["path"]).read_bytes()).decode()
        return Thumbnail(f"data:{kept['mime']};base64,{content}", str(kept["title"]), str(kept["alt"]))
    except (RunFolderError, KeyError, TypeError, OSError):
        return None


def _of(result: Result) -> str:
    return f"of {result.variable} on {result.split}; {result.better} is better"
