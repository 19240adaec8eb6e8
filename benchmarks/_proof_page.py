"""The table of what ran on which GPU, between two marks of a page, and the JSON that it is made of."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks._proof_host import Host
from benchmarks._proof_results import Outcome
from pipeline.files import write_atomic

BEGIN, END = "<!-- gpu-proof: begin -->", "<!-- gpu-proof: end -->"
HEAD = ("date", "GPU", "driver, CUDA", "torch, RAPIDS, cupy", "part", "command", "passed, failed, skipped", "measured")
EMPTY = "| | | | | | | nothing yet | |"


@dataclass(frozen=True)
class Page:
    """A page with a table of outcomes, one row a GPU and part.

    A newer outcome takes the place of an older one of the same part on the same GPU; one that was not run leaves an
    older one that was, for that still holds, with its date.

    Parameters
    ----------
    path : Path
        The page, which has the two marks; the JSON has its name and lies beside it.
    """

    path: Path

    @property
    def json(self) -> Path:
        """Where the rows are."""
        return self.path.with_suffix(".json")

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows, oldest part first; none where there is no file yet."""
        if not self.json.is_file():
            return []
        rows: list[dict[str, Any]] = json.loads(self.json.read_text(encoding="utf-8"))["rows"]
        return rows

    def add(self, date: str, host: Host, outcome: Outcome) -> None:
        """Put an outcome into the JSON and the table.

        Raises
        ------
        ValueError
            If the page lacks its marks.
        """
        new = {
            "date": date,
            **{**asdict(host), "versions": dict(host.versions)},
            **asdict(outcome),
            "summary": outcome.summary,
            "measured": outcome.measured,
        }
        rows = self.rows()
        places = [place for place, row in enumerate(rows) if (row["gpu"], row["part"]) == (host.gpu, outcome.part)]
        if not places:
            rows.append(new)
        elif outcome.state != "not run" or rows[places[0]]["state"] == "not run":
            rows[places[0]] = new
        text = json.dumps({"rows": rows}, indent=1, allow_nan=False) + "\n"
        page = self._with(table(rows))
        for path, words in ((self.json, text), (self.path, page)):
            with write_atomic(path) as temporary:
                temporary.write_text(words, encoding="utf-8")

    def _with(self, lines: list[str]) -> str:
        text = self.path.read_text(encoding="utf-8") if self.path.is_file() else f"{BEGIN}\n{END}\n"
        if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
            raise ValueError(
                f"{self.path}: expected the marks {BEGIN} and {END} once each, in this order. Put them back."
            )
        before, rest = text.split(BEGIN)
        return before + "\n".join([BEGIN, "", *lines, "", END]) + rest.split(END)[1]


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Return rows as Markdown."""
    lines = [f"| {' | '.join(HEAD)} |", "|---" * len(HEAD) + "|"]
    for row in rows:
        libraries = ", ".join(f"{name} {version}" for name, version in row["versions"].items())
        failed = "; ".join(row["notes"][:3]) if row["state"] in ("failed", "out of time") else ""
        cells = (
            row["date"],
            row["gpu"],
            f"{row['driver']}, {row['cuda']}",
            libraries,
            row["part"],
            f"`{row['command']}`",
            row["summary"],
            "; ".join(filter(None, [row["measured"], failed])),
        )
        lines.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
    return lines if rows else [*lines, EMPTY]


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
