"""Tables of the documents: what a run's files say, as Markdown."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline.run_folder import STAGES, RunFolder
from pipeline.stage import StageRecord

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Goal:
    """A figure to be reached on a test set: a score of a model within bounds."""

    model: str
    metric: str
    low: float
    high: float


def run(experiment: str, out: Path, *words: str) -> RunFolder:
    """Run a shipped experiment in a process of its own; return its folder."""
    out.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "flows.cli", "run", experiment, "--out", str(out), "--no-server", *words]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True)
    if done.returncode:
        sys.exit(f"finescale run {experiment} ended with {done.returncode}:\n{done.stderr}")
    return RunFolder(next(out.glob(f"{experiment}-*")))


def scores_of(run_: RunFolder, split: str, variable: str | None = None) -> pd.DataFrame:
    """Return the scores of a test set over all times, one row a model, one column a metric; the values alone."""
    scores = pd.read_csv(run_ / "scores.csv")
    scores = scores[(scores["split"] == split) & (scores["group"] == "all")]
    if variable is not None:
        scores = scores[scores["variable"] == variable]
    return scores


def table(run_: RunFolder, columns: Sequence[tuple[str, str]], split: str = "test", by: str = "rmse") -> list[str]:
    """Return scores as Markdown, the least ``by`` first.

    Parameters
    ----------
    columns : sequence of (str, str)
        Metric and head; the first has its interval.
    """
    rows = {(row.model, row.metric): row for row in scores_of(run_, split).itertuples()}
    order = sorted({model for model, _ in rows}, key=lambda model: rows[model, by].value)
    lines = ["| model | " + " | ".join(head for _, head in columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for model in order:
        cells = []
        for place, (metric, _) in enumerate(columns):
            row = rows.get((model, metric))
            text = "" if row is None or pd.isna(row.value) else f"{row.value:.3f}"
            cells.append(f"{text} ({row.low:.3f} to {row.high:.3f})" if text and place == 0 else text)
        lines.append(f"| {model} | {' | '.join(cells)} |")
    return lines


def goals(run_: RunFolder, wanted: Sequence[Goal], split: str = "test") -> list[str]:
    """Return whether each figure to be reached was."""
    values = scores_of(run_, split).set_index(["model", "metric"])["value"]
    lines = ["| figure | to be reached | reached |", "|---|---|---|"]
    for goal in wanted:
        value = values[goal.model, goal.metric]
        low = f"{goal.low:g} to " if goal.low > float("-inf") else "at most "
        verdict = "yes" if goal.low <= value <= goal.high else "NO"
        lines.append(f"| {goal.metric} of {goal.model} | {low}{goal.high:g} | {value:.3f}: {verdict} |")
    return lines


def margins(run_: RunFolder, model: str, others: Sequence[str], metric: str) -> list[str]:
    """Return by how much ``model`` is better than each of ``others``: paired differences with 95 % intervals."""
    from flows.stages.score import cases_of
    from flows.workspace import Workspace
    from pipeline.metrics.evaluate import evaluate

    space = Workspace.open(run_.path)
    schema, cases = space.prepared.schema, cases_of(space, "test")
    lines = [f"| {metric} of {model} less that of | difference | 95 % interval |", "|---|---|---|"]
    for other in others:
        found = evaluate(
            {name: cases[name] for name in (model, other)},
            split="test",
            time=space.prepared.samples("test").time,
            weights=schema.target_grid.area[schema.mask],
            units=dict(zip(schema.targets, schema.target_units, strict=True)),
            seed=space.plan.experiment.seed,
            metrics=(metric,),
            reference=other,
        )
        row = next(row for row in found.comparisons if row.group == "all" and row.metric == metric)
        lines.append(f"| {other} | {row.difference:.3f} | {row.low:.3f} to {row.high:.3f} |")
    return lines


def seconds(run_: RunFolder) -> str:
    """Return the time of each stage in a sentence; absolute times say little, their shares do."""
    records = [StageRecord.read(run_, name) for name in STAGES]
    whole = sum(record.seconds for record in records)
    shares = ", ".join(f"{record.stage} {100 * record.seconds / whole:.0f} %" for record in records)
    return f"Share of the time by stage: {shares}."
