"""Tables of error bars: skill against the climatology, coverage and spread with their intervals, by month too."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks._tables import Goal, run
from benchmarks._tables import seconds as seconds_of
from flows.stages._cases import cases_of, weights_of
from flows.workspace import Workspace
from pipeline.metrics.evaluate import evaluate
from pipeline.run_folder import RunFolder
from pipeline.stage import StageRecord

COLUMNS = (("crpss", "CRPS skill"), ("coverage_90", "coverage of 90 %"), ("width_90", "width of 90 %"),
           ("spread_skill", "spread / skill"), ("ence", "ENCE"))  # fmt: skip
COVERAGE = (0.85, 0.95)
OF_RAIN = (*COLUMNS[:2], ("pit_coverage_90", "middle 90 % by PIT"), *COLUMNS[2:])


def error_bars(run_: RunFolder, columns: Sequence[tuple[str, str]] = COLUMNS) -> list[str]:
    """Return the scores of error bars of a test set as Markdown, the best CRPS skill first, with 95 % intervals."""
    scores = pd.read_csv(run_ / "scores.csv")
    scores = scores[(scores["split"] == "test") & (scores["group"] == "all") & scores["value"].notna()]
    rows = {(row.model, row.metric): row for row in scores.itertuples()}
    order = sorted(
        (model for model, metric in rows if metric == "crpss"), key=lambda model: -rows[model, "crpss"].value
    )
    lines = ["| model | " + " | ".join(head for _, head in columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for model in order:
        cells = [with_interval(rows[model, metric]) if (model, metric) in rows else "" for metric, _ in columns]
        lines.append(f"| {model} | {' | '.join(cells)} |")
    return lines


def skilled(
    model: str, coverage: tuple[float, float] = COVERAGE, group: str = "all", held: str = "coverage_90"
) -> tuple[Goal, Goal]:
    """Return what error bars that are of use reach: a skill above 0 with all of its interval, and their coverage."""
    return (
        Goal(model, "crpss", 0.0, math.inf, group=group, whole=True),
        Goal(model, held, *coverage, group=group),
    )


def by_month(run_: RunFolder, model: str, low: float, high: float) -> list[str]:
    """Return the coverage of a model's 90 % intervals in every month of the year as Markdown, and whether it is inside.

    The score stage has seasons only of days: this is worked out from the predictions, with the same function.
    """
    space = Workspace.open(run_.path)
    schema, time = space.prepared.schema, space.prepared.samples("test").time
    found = evaluate(
        cases_of(space, "test", [model]),
        split="test",
        time=time,
        weights=weights_of(space, 1),
        units=dict(zip(schema.variables, schema.target_units, strict=True)),
        seed=space.plan.experiment.seed,
        metrics=("rmse", "coverage_90"),
        months=True,
        month_metrics=("coverage_90",),
    )
    lines = [f"| month | coverage of 90 % of {model}, {low:.3g} to {high:.3g} to be reached |", "|---|---|"]
    for row in found.scores:
        if row.metric == "coverage_90" and row.group.startswith("month="):
            verdict = "yes" if low <= row.value <= high else "NO"
            lines.append(f"| {row.group.removeprefix('month=')} | {with_interval(row)}: {verdict} |")
    return lines


def with_interval(row: object) -> str:
    """Return a score and its interval, where there is one."""
    value, low, high = (float(getattr(row, name)) for name in ("value", "low", "high"))
    return f"{value:.3f} ({low:.3f} to {high:.3f})" if np.isfinite(low) and np.isfinite(high) else f"{value:.3f}"


SIDE_BY_SIDE = (("crps", "CRPS [K]"), ("rmse", "RMSE [K]"), ("coverage_90", "coverage of 90 %"),
                ("spread_skill", "spread / skill"), ("ence", "ENCE"))  # fmt: skip


def methods(out: Path) -> list[str]:
    """Return all uncertainty methods side by side on the made climate: scores, time to fit and to predict."""
    from pipeline.data.synthetic import SyntheticConfig, generate, known_best

    run_ = run("error-bars", out)
    best = known_best(generate(SyntheticConfig()), days=slice(4 * 365 + 1, 6 * 365 + 1))  # 2005 and 2006
    cost = {stage: StageRecord.read(run_, stage).summary["seconds"] for stage in ("fit", "predict")}
    lines = error_bars(run_, SIDE_BY_SIDE)
    lines[0] += " fit [s] | predict [s] |"
    lines[1] += "---|---|"
    for number, line in enumerate(lines[2:], 2):
        model = line.split(" | ")[0].removeprefix("| ")
        lines[number] = line + "".join(f" {seconds[model]:.1f} |" for seconds in cost.values())
    said = (
        f"The best CRPS that any model can expect is {best.crps:.3f} K, the best RMSE {best.rmse:.3f} K. Time is that "
        "of all fits of a method and its folds, though they run side by side; sorted by CRPS skill."
    )
    return ["## error-bars", "", "    finescale run error-bars", "", *lines, "", said, "", seconds_of(run_), ""]
