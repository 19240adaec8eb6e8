"""One page over all runs of a folder: what was asked, how it went, where the report is."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from pipeline.files import write_atomic
from pipeline.report import numbers
from pipeline.report.render import package_file, policy, template
from pipeline.report.result import Result
from pipeline.report.tables import Cell
from pipeline.run_folder import STAGES, RunRecord, list_runs

__all__ = ["index_html", "write_index"]

_WORDS = re.compile(r"^(name|task):\s*(.+)$", re.MULTILINE)
_HEAD = 4096  # letters of experiment.yaml in which its name and task stand
_WHY = {
    "finished": "its report was deleted",
    "failed": "it failed before its report",
    "unfinished": "it is at work, or was stopped",
}


@dataclass(frozen=True)
class Row:
    """One run.

    Parameters
    ----------
    name, state, experiment, task : str
        Of the run; the latter two may be empty.
    report, files : str, tuple of (str, str)
        Links, relative to the page; ``report`` is empty where there is none.
    why : str
        Why there is no report.
    started, time, model, score, baseline, verdict, size, warnings : Cell
        What its columns show, and what they are sorted by.
    """

    name: str
    state: str
    experiment: str
    task: str
    report: str
    why: str
    files: tuple[tuple[str, str], ...]
    started: Cell
    time: Cell
    model: Cell
    score: Cell
    baseline: Cell
    verdict: Cell
    size: Cell
    warnings: Cell


def write_index(runs: Path) -> Path:
    """Write ``index.html`` into the folder ``runs``, which is made where it is missing; return its path."""
    folder = Path(runs)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "index.html"
    with write_atomic(path) as temporary:
        temporary.write_text(index_html(folder), encoding="utf-8")
    return path


def index_html(runs: Path) -> str:
    """Return the page over the runs in the folder ``runs``, the newest first.

    It is read from small files alone, records of stages and provenance, so that a thousand runs take seconds. What
    cannot be read is left out of its row.

    Parameters
    ----------
    runs : Path
        A folder of runs; one that is not there has none.
    """
    from markupsafe import Markup

    from pipeline import __version__

    rows = [_row(record) for record in list_runs(runs)]
    style = package_file("report.css")
    scripts = [package_file("page.js"), package_file("index.js")]
    text = template("index.html.j2").render(
        csp=policy([style], scripts),
        style=Markup(style),  # noqa: S704  (our own files, no data in them)
        scripts=[Markup(script) for script in scripts],  # noqa: S704
        folder=Path(runs).resolve().name,
        rows=rows,
        states=[state for state in ("finished", "unfinished", "failed") if any(row.state == state for row in rows)],
        experiments=sorted({row.experiment for row in rows if row.experiment}),
        version=__version__,
    )
    return str(text)


def _row(record: RunRecord) -> Row:
    path, name = record.run.path, record.name
    stages = {stage: _json(path / "stages" / f"{stage}.json") for stage in STAGES}
    provenance, said = _json(path / "provenance.json"), _experiment(path)
    result = _result(_mapping(stages[STAGES[-1]].get("summary")).get("result"))
    there = (path / "report.html").is_file()
    files = tuple((file, _link(name, file)) for file in ("scores.csv", "experiment.yaml") if (path / file).is_file())
    seconds = sum(_float(stage.get("seconds"), 0.0) for stage in stages.values())
    # What a report's first screen warns of; of a run without one, what its stages left.
    said_of = [provenance.get(key) for key in ("warnings", "fallbacks", "failed_members")]
    so_far = sum(len(each) for each in said_of if isinstance(each, (list, dict)))
    warnings = so_far if result is None else len(result.warnings)
    started = record.started.strftime("%Y-%m-%d %H:%M") if record.started else numbers.MISSING
    size = f"{record.size / 2**20:,.1f}" if record.size < 2**30 else f"{record.size / 2**20:,.0f}"
    return Row(
        name=name,
        state=record.state,
        experiment=said.get("name", ""),
        task=said.get("task", ""),
        report=_link(name, "report.html") if there else "",
        why="" if there else _WHY[record.state],
        files=files,
        started=Cell(started, started),
        time=Cell(numbers.duration(seconds) if seconds else numbers.MISSING, seconds),
        model=_name(result),
        score=_score(result),
        baseline=_baseline(result),
        verdict=Cell(record.headline or numbers.MISSING, record.headline.lower()),
        size=Cell(size, float(record.size)),
        warnings=Cell(str(warnings) if provenance or result else numbers.MISSING, float(warnings)),
    )


def _link(name: str, file: str) -> str:
    """Return a link from the page to a file of a run; a name is a path, never another scheme."""
    return f"./{quote(name, safe='')}/{file}"


def _result(plain: Any) -> Result | None:
    """Return what the report stage kept; None of a run of an older version."""
    try:
        return Result.from_plain(plain)
    except (TypeError, KeyError, ValueError, AttributeError):
        return None


def _name(result: Result | None) -> Cell:
    return Cell(numbers.label(result.model), result.model) if result else Cell(numbers.MISSING, "")


def _score(result: Result | None) -> Cell:
    own = result.of_model(result.model) if result else None
    if result is None or own is None:
        return Cell(numbers.MISSING, "")
    note = f"{result.score}{f' [{result.units}]' if result.units else ''}"
    known = own.low is not None and own.high is not None
    interval = f"{numbers.interval(own.low or 0.0, own.high or 0.0)}\n" if known else ""
    return Cell(numbers.number(own.value), own.value, f"{interval}{note}")


def _baseline(result: Result | None) -> Cell:
    own = result.of_model(result.baseline) if result else None
    if result is None or own is None:
        return Cell(numbers.MISSING, "")
    return Cell(numbers.label(own.model), own.model, numbers.number(own.value))


def _experiment(path: Path) -> dict[str, str]:
    """Return name and task of a run's experiment, without reading all of it."""
    try:
        with (path / "experiment.yaml").open(encoding="utf-8", errors="replace") as file:
            head = file.read(_HEAD)
    except OSError:
        return {}
    found = {}
    for key, text in reversed(_WORDS.findall(head)):
        try:
            found[key] = str(yaml.safe_load(text))
        except yaml.YAMLError:
            found[key] = text
    return found


def _json(path: Path) -> Mapping[str, Any]:
    try:
        return _mapping(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}  # one damaged run must not hide the others; its state says so


def _mapping(found: Any) -> Mapping[str, Any]:
    return found if isinstance(found, Mapping) else {}


def _float(value: Any, default: float) -> float:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else default
