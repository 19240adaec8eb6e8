"""What this machine has and lacks, for ``finescale doctor``: findings as text or JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby

from flows.health import Finding
from pipeline import __version__

MARKS = {"ok": "ok", "note": "note", "fault": "FAULT"}
_WIDTH = 100


def examine(deep: bool = False) -> tuple[Finding, ...]:
    """Return everything a bug report should say of the machine.

    ``deep`` looks at what takes longer: it starts a worker, and checks the bytes of all data files that are here.
    """
    from flows.health import gpu, machine, prefect, software, storage

    return (
        *software.findings(),
        *gpu.findings(),
        *machine.findings(deep),
        *storage.findings(deep),
        *prefect.findings(),
    )


def as_text(findings: Sequence[Finding]) -> str:
    """Return findings as lines of text, what is wrong and what mends it below each."""
    what = max(len(one.what) for one in findings)
    mark = max(map(len, MARKS.values()))
    lines: list[str] = []
    for subject, group in groupby(findings, key=lambda one: one.subject):
        lines += ["", subject] if lines else [subject]
        for one in group:
            first = f"  {MARKS[one.state]:<{mark}}  {one.what:<{what}}  "
            below = " " * len(first)
            lines += _wrapped(one.found, first, below)
            if one.wrong:
                lines += _wrapped(one.wrong, f"{below}wrong: ", f"{below}       ")
            if one.mend:
                lines.append(f"{below}mend:  {one.mend}")  # whole, so that it can be copied
    return "\n".join([*lines, "", _verdict(findings)])


def as_json(findings: Sequence[Finding]) -> str:
    """Return findings as JSON, for bug reports."""
    told = {"finescale": __version__, "findings": [asdict(one) for one in findings]}
    return json.dumps(told, indent=1, ensure_ascii=False)


def _verdict(findings: Sequence[Finding]) -> str:
    faults = [one.what for one in findings if one.state == "fault"]
    notes = [one.what for one in findings if one.state == "note"]
    if faults:
        return f"{len(faults)} to mend before runs work: {', '.join(faults)}."
    if notes:
        return f"Runs work here. To look at: {', '.join(notes)}."
    return "Runs work here."


def _wrapped(text: str, first: str, below: str) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent=first, subsequent_indent=below, break_long_words=False, break_on_hyphens=False
    )
