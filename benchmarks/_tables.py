"""Tables of the documents: what a run's files say, as Markdown."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.metrics.tables import Comparison
from pipeline.run_folder import STAGES, RunFolder
from pipeline.stage import StageRecord

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Goal:
    """A figure to be reached on a test set: a score of a model within bounds, or the ``whole`` of its interval."""

    model: str
    metric: str
    low: float
    high: float
    split: str = "test"
    group: str = "all"
    whole: bool = False


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


def table(
    run_: RunFolder,
    columns: Sequence[tuple[str, str]],
    split: str = "test",
    by: str = "rmse",
    *,
    ascending: bool = True,
) -> list[str]:
    """Return scores as Markdown, the least ``by`` first, or the highest.

    Parameters
    ----------
    columns : sequence of (str, str)
        Metric and head; the first has its interval.
    """
    rows = {(row.model, row.metric): row for row in scores_of(run_, split).itertuples()}
    order = sorted({model for model, _ in rows}, key=lambda model: rows[model, by].value, reverse=not ascending)
    lines = ["| model | " + " | ".join(head for _, head in columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for model in order:
        cells = []
        for place, (metric, _) in enumerate(columns):
            row = rows.get((model, metric))
            if row is None or pd.isna(row.value):
                cells.append("")
            else:
                bounds = f" ({row.low:.3f} to {row.high:.3f})" if place == 0 and pd.notna(row.low) else ""
                cells.append(f"{row.value:.3f}{bounds}")
        lines.append(f"| {model} | {' | '.join(cells)} |")
    return lines


def beside(corner: str, columns: Mapping[str, pd.Series]) -> list[str]:
    """Return values of several runs as Markdown: one column a run, one row a model; empty where a run lacks one."""
    lines = [f"| {corner} | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for model in dict.fromkeys(str(name) for values in columns.values() for name in values.index):
        values = [column.get(model, float("nan")) for column in columns.values()]
        lines.append(f"| {model} | {' | '.join('' if pd.isna(value) else f'{value:.3f}' for value in values)} |")
    return lines


def goals(run_: RunFolder, wanted: Sequence[Goal]) -> list[str]:
    """Return whether each figure to be reached was, with its 95 % interval."""
    rows = pd.read_csv(run_ / "scores.csv").set_index(["split", "group", "model", "metric"])
    lines = ["| figure | to be reached | reached |", "|---|---|---|"]
    for goal in wanted:
        row = rows.loc[(goal.split, goal.group, goal.model, goal.metric)]
        value, ends = float(row["value"]), (float(row["low"]), float(row["high"]))
        bounds = f"{goal.low:.3g} to {goal.high:.3g}"
        if goal.low == float("-inf"):
            bounds = f"at most {goal.high:.3g}"
        elif goal.high == float("inf"):
            bounds = f"at least {goal.low:.3g}"
        inside = all(goal.low <= part <= goal.high for part in (ends if goal.whole else (value,)))
        bounds += " with its interval" if goal.whole else ""
        known = f" ({ends[0]:.3f} to {ends[1]:.3f})" if np.isfinite(ends).all() else ""
        verdict = "yes" if inside else "NO"
        where = "" if goal.group == "all" else f", {goal.group.replace('=', ' ')}"
        lines.append(f"| {goal.metric} of {goal.model}{where} | {bounds} | {value:.3f}{known}: {verdict} |")
    return lines


def margins(run_: RunFolder, model: str, others: Sequence[str], metric: str) -> list[str]:
    """Return by how much ``model`` is better than each of ``others``: paired differences with 95 % intervals."""
    lines = [f"| {metric} of {model} less that of | difference | 95 % interval |", "|---|---|---|"]
    for other in others:
        row = difference(run_, model, other, metric)
        lines.append(f"| {other} | {row.difference:.3f} | {interval(row)} |")
    return lines


def interval(row: Comparison) -> str:
    """Return the interval of a difference, or why there is none."""
    if np.isfinite(row.low) and np.isfinite(row.high):
        return f"{row.low:.3f} to {row.high:.3f}"
    return "not known (too few blocks)"


def difference(run_: RunFolder, model: str, other: str, metric: str, lead: int = 0) -> Comparison:
    """Return the paired difference of two models on the test set, at one of their leads."""
    from flows.stages._cases import cases_of, weights_of
    from flows.workspace import Workspace
    from pipeline.metrics.evaluate import evaluate

    space = Workspace.open(run_.path)
    schema, samples = space.prepared.schema, space.prepared.samples("test")
    found = evaluate(
        cases_of(space, "test", (model, other), lead),
        split="test",
        time=samples.valid_time(lead),
        weights=weights_of(space, 1),
        units=dict(zip(schema.variables, schema.target_units, strict=False)),
        seed=space.plan.experiment.seed,
        metrics=(metric,),
        reference=other,
        task=space.plan.experiment.task,
    )
    return next(row for row in found.comparisons if row.group == "all" and row.metric == metric)


def seconds(run_: RunFolder) -> str:
    """Return the time of each stage in a sentence; absolute times say little, their shares do."""
    records = [StageRecord.read(run_, name) for name in STAGES]
    whole = sum(record.seconds for record in records)
    shares = ", ".join(f"{record.stage} {100 * record.seconds / whole:.0f} %" for record in records)
    return f"Share of the time by stage: {shares}."
