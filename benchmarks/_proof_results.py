"""What a part of the proof found, from the files and the output that it left."""

from __future__ import annotations

import json
import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FAILED_NAMES = 20  # tests that failed, by name, in the JSON
LAST_LINES = 8  # of the output of a part that failed
FIGURES = 6  # in the table; the JSON has all
LIMIT = "of the limit"
SOURCES = ("ratios", "figures", "numbers")  # where a benchmark's result.json may have them, the most telling first


@dataclass(frozen=True)
class Outcome:
    """What came of one part.

    Parameters
    ----------
    part : str
        Its name.
    state : {"passed", "failed", "out of time", "not run"}
        Out of time: it was ended at its limit, and counts are of what it had done.
    counts : tuple of int or None
        Tests that passed, failed and were skipped; None for a part that is no test.
    seconds : float
        How long it took.
    figures : mapping of str to float
        What was measured, by name.
    differences : mapping of str to float
        Of parity: the largest difference of every record, as a share of its tolerance.
    notes : tuple of str
        Why it was not run, what failed, or the end of its output.
    proves, command : str
        Filled in by who ran it.
    """

    part: str
    state: str
    counts: tuple[int, int, int] | None = None
    seconds: float = 0.0
    figures: Mapping[str, float] = field(default_factory=dict)
    differences: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    proves: str = ""
    command: str = ""

    @classmethod
    def not_run(cls, part: str, why: str) -> Outcome:
        """Return the outcome of a part that was left out."""
        return cls(part, "not run", notes=(why,))

    @property
    def passed_whole(self) -> bool:
        """Whether it was run to its end and nothing failed."""
        return self.state == "passed"

    @property
    def summary(self) -> str:
        """The state and the counts in a line."""
        if self.state == "not run":
            return f"not run: {self.notes[0]}"
        counted = "" if self.counts is None else " {} passed, {} failed, {} skipped".format(*self.counts)
        said = f"{self.state},{counted}" if counted else self.state
        return f"{said} ({self.seconds:.0f} s)"

    @property
    def measured(self) -> str:
        """The first figures, or of parity the records nearest to their tolerance."""
        if self.differences:
            worst = sorted(self.differences.items(), key=lambda item: -item[1])[:3]
            named = ", ".join(f"{name} {share:.2g}" for name, share in worst)
            return f"{len(self.differences)} records; largest differences as a share of the tolerance: {named}"
        shown = list(self.figures.items())
        rest = f", {len(shown) - FIGURES} more" if len(shown) > FIGURES else ""
        return ", ".join(f"{name} {value:.4g}" for name, value in shown[:FIGURES]) + rest


def read_results(part: str, out: Path, code: int, seconds: float, *, limit: float | None = None) -> Outcome:
    """Return the outcome of a part that has ended.

    Parameters
    ----------
    part : str
        Its name.
    out : Path
        Its folder: ``output.txt``, and ``junit.xml`` or ``result.json`` where it has written them.
    code : int
        Its exit status.
    seconds : float
        How long it took.
    limit : float, optional
        The limit at which it was ended; None where it ended by itself.
    """
    counts, differences, notes = None, {}, []
    junit = out / "junit.xml"
    if junit.is_file():
        counts, differences, notes = _tests(junit)
    figures = {
        name: value for path in sorted(out.rglob("result.json")) for name, value in _figures(_json(path)).items()
    }
    figures |= _stages(out) | _printed(out / "output.txt")
    if limit is not None:
        state = "out of time"
        notes = [f"ended after {limit:.0f} s", *notes]
    else:
        state = "passed" if code == 0 else "failed"
    if counts is not None and counts[0] == 0 and state == "passed":
        state, notes = "failed", ["nothing was tested", *notes]
    if state == "failed" and not notes:
        notes = [f"exit status {code}", *_last_lines(out / "output.txt")]
    return Outcome(part, state, counts, seconds, figures, differences, tuple(notes))


def _tests(junit: Path) -> tuple[tuple[int, int, int], dict[str, float], list[str]]:
    """Return (passed, failed, skipped), the differences of parity and the names of what failed."""
    cases = list(ElementTree.parse(junit).getroot().iter("testcase"))
    failed = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    skipped = [case for case in cases if case.find("skipped") is not None and case not in failed]
    differences = {
        found.get("name", "").removeprefix("parity "): float(found.get("value", "nan"))
        for case in cases
        for found in case.iter("property")
        if found.get("name", "").startswith("parity ")
    }
    names = [f"{case.get('classname')}::{case.get('name')}" for case in failed]
    more = [f"and {len(names) - FAILED_NAMES} more"] if len(names) > FAILED_NAMES else []
    passed = len(cases) - len(failed) - len(skipped)
    return (passed, len(failed), len(skipped)), differences, [*names[:FAILED_NAMES], *more]


def _figures(tree: Any) -> dict[str, float]:
    """Return the numbers of a benchmark's result, nested ones by their names joined.

    Of one with rows that have ratios, as those of speed, these and the share of the limit that was reached.
    """
    if not isinstance(tree, Mapping):
        return {}
    found: dict[str, float] = {}
    rows = [row for row in tree.get("rows") or [] if isinstance(row, Mapping) and "ratios" in row]
    source: Any = {str(row.get("name", "")): {**row["ratios"], LIMIT: row.get("share_of_limit")} for row in rows}
    source = source or next((tree[name] for name in SOURCES if tree.get(name)), {})

    def collect(value: Any, name: str) -> None:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                collect(inner, f"{name} {key}".strip())
        elif isinstance(value, list):
            for place, inner in enumerate(value):
                label = inner.get("name", str(place)) if isinstance(inner, Mapping) else str(place)
                collect(inner, f"{name} {label}".strip())
        elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            found[name] = float(value)

    collect(source, "")
    return found


def _stages(out: Path) -> dict[str, float]:
    """Return the seconds that each stage of a run took."""
    records = ((path.stem, _json(path)) for path in sorted(out.rglob("stages/*.json")))
    return {f"{stage} s": float(record["seconds"]) for stage, record in records if record and "seconds" in record}


def _printed(output: Path) -> dict[str, float]:
    """Return the ratios that a benchmark prints, each at the end of a line that begins with a name and a colon."""
    text = output.read_text(encoding="utf-8", errors="replace") if output.is_file() else ""
    return {name: float(ratio) for name, ratio in re.findall(r"^(\w[\w -]*): .*\bratio ([\d.]+)$", text, re.MULTILINE)}


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _last_lines(output: Path) -> list[str]:
    text = output.read_text(encoding="utf-8", errors="replace") if output.is_file() else ""
    return [line.rstrip() for line in text.splitlines() if line.strip()][-LAST_LINES:]
