"""Make every figure of the documents anew: `make figures DATA=path/to/mirror` writes docs/results.md.

It runs the shipped experiments as a user would, reads their scores.csv, and says of each figure to be
reached whether it was. It fails where the data are not there: a number without its run is not kept.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline.run_folder import STAGES, RunFolder
from pipeline.stage import StageRecord

ROOT = Path(__file__).resolve().parents[1]
SHOWN = ("rmse", "crps", "coverage_90", "spread_skill")


@dataclass(frozen=True)
class Goal:
    """A figure to be reached on a test set: a score of a model within bounds."""

    model: str
    metric: str
    low: float
    high: float


GOALS = (
    Goal("ridge", "rmse", 0.0, 1.54),
    Goal("unet+deep_ensemble", "rmse", 0.0, 1.42),
    Goal("unet+deep_ensemble", "crps", 0.0, 0.80),
    Goal("unet+deep_ensemble", "coverage_90", 0.85, 0.95),
    Goal("unet+deep_ensemble", "spread_skill", 0.85, 1.15),
)


def run(experiment: str, out: Path, *words: str) -> RunFolder:
    """Run a shipped experiment in a process of its own; return its folder."""
    command = [sys.executable, "-m", "flows.cli", "run", experiment, "--out", str(out), "--no-server", *words]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True)
    if done.returncode:
        sys.exit(f"finescale run {experiment} ended with {done.returncode}:\n{done.stderr}")
    return RunFolder(next(out.glob(f"{experiment}-*")))


def table(run: RunFolder) -> list[str]:
    """Return the scores of all models on the test set as Markdown, the least RMSE first."""
    scores = pd.read_csv(run / "scores.csv")
    scores = scores[(scores.split == "test") & (scores.group == "all") & scores.metric.isin(SHOWN)]
    by = {(row.model, row.metric): row for row in scores.itertuples()}
    units = scores[scores.metric == "rmse"].units.iloc[0]
    order = scores[scores.metric == "rmse"].sort_values("value").model
    lines = [
        f"| model | RMSE [{units}] (95 %) | CRPS [{units}] | coverage of 90 % | spread / skill |",
        "|---|---|---|---|---|",
    ]
    for model in order:
        error = by[model, "rmse"]
        rest = [f"{by[model, metric].value:.3f}" if (model, metric) in by else "" for metric in SHOWN[1:]]
        lines.append(f"| {model} | {error.value:.3f} ({error.low:.3f} to {error.high:.3f}) | {' | '.join(rest)} |")
    return lines


def seconds(run: RunFolder) -> str:
    """Return the time of each stage in a sentence; absolute times say little, their shares do."""
    records = [StageRecord.read(run, name) for name in STAGES]
    whole = sum(record.seconds for record in records)
    shares = ", ".join(f"{record.stage} {100 * record.seconds / whole:.0f} %" for record in records)
    return f"Share of the time by stage: {shares}."


def quickstart(out: Path) -> list[str]:
    """Return the quickstart's table and how much of the gap to the known best score was closed."""
    from pipeline.data.synthetic import SyntheticConfig, generate, known_best

    run_ = run("quickstart", out)
    scores = pd.read_csv(run_ / "scores.csv").set_index(["model", "split", "group", "metric"]).value
    rmse = scores.xs(("test", "all", "rmse"), level=("split", "group", "metric"))
    deep = [model for model in rmse.index if model.startswith(("unet", "deepesd"))]
    best = known_best(generate(SyntheticConfig()), days=slice(-730, None))
    baseline, reached = rmse.drop(deep).min(), rmse[deep].min()
    closed = (baseline - reached) / (baseline - best.rmse)
    said = (
        f"The known best possible RMSE is {best.rmse:.3f} K. The best deep model closes {100 * closed:.0f} % of the "
        f"gap between the best baseline ({baseline:.3f} K) and it; at least 50 % are to be reached."
    )
    return ["## quickstart", "", "    finescale run quickstart", "", *table(run_), "", said, "", seconds(run_), ""]


def iberia(out: Path, data: Path) -> list[str]:
    """Return iberia-tas' table and whether each goal was reached."""
    run_ = run("iberia-tas", out, "--data", str(data))
    scores = pd.read_csv(run_ / "scores.csv").set_index(["model", "split", "group", "metric"]).value
    lines = ["| figure | to be reached | reached |", "|---|---|---|"]
    for goal in GOALS:
        value = scores[goal.model, "test", "all", goal.metric]
        bounds = f"{goal.low:g} to {goal.high:g}" if goal.low else f"at most {goal.high:g}"
        verdict = "yes" if goal.low <= value <= goal.high else "NO"
        lines.append(f"| {goal.metric} of {goal.model} | {bounds} | {value:.3f}: {verdict} |")
    head = ["## iberia-tas", "", "    finescale run iberia-tas --data MIRROR", ""]
    return [*head, *table(run_), "", *lines, "", seconds(run_), ""]


def main() -> None:
    """Write docs/results.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="local mirror with the files of iberia-tas")
    data = parser.parse_args().data.resolve()
    if not (data / "iberia-downscaling").is_dir():
        sys.exit(f"expected a mirror with the folder iberia-downscaling, got {data}: the figures cannot be made.")
    with tempfile.TemporaryDirectory() as folder:
        parts = [*quickstart(Path(folder)), *iberia(Path(folder), data)]
    head = [
        "# Results",
        "",
        "Made by `make figures DATA=MIRROR`, which runs the commands below; do not edit by hand.",
        "",
    ]
    (ROOT / "docs/results.md").write_text("\n".join([*head, *parts]), encoding="utf-8")


if __name__ == "__main__":
    main()
