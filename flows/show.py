"""``finescale runs show``: a run in one screen of text."""

from __future__ import annotations

from pathlib import Path

from pipeline.run_folder import STAGES, RunFolder
from pipeline.stage import StageRecord

SHOWN = ("rmse", "bias", "crps", "coverage_90", "spread_skill")


def describe_run(run: RunFolder) -> str:
    """Return stages with time and memory, the main scores of every model, and the report's path."""
    lines = [str(run.path), "", "stage      seconds  peak MiB"]
    for name in STAGES:
        if (run / f"stages/{name}.json").is_file():
            record = StageRecord.read(run, name)
            lines.append(f"{name:<9} {record.seconds:8.1f}  {record.peak_memory_mib:8.0f}")
        else:
            lines.append(f"{name:<9}    to do")
    if (run / "scores.csv").is_file():
        lines += ["", *_scores(run / "scores.csv")]
    else:
        lines += ["", f"scores.csv is not there; finescale run --resume {run.path} makes it"]
    if (run / "report.html").is_file():
        lines += ["", f"report: {run / 'report.html'}"]
    return "\n".join(lines)


def _scores(path: Path) -> list[str]:
    """Return one table a test set and variable, models by RMSE."""
    import pandas as pd

    scores = pd.read_csv(path)
    scores = scores[(scores["group"] == "all") & scores["metric"].isin(SHOWN)]
    lines: list[str] = []
    for (split, variable), part in scores.groupby(["split", "variable"], sort=False):
        table = part.pivot_table(index="model", columns="metric", values="value")
        columns = [name for name in SHOWN if name in table]
        width = max(map(len, table.index))
        lines.append(f"{split}, {variable}")
        lines.append(" " * width + "".join(f"  {name:>12}" for name in columns))
        for model, row in table.sort_values(columns[0]).iterrows():
            cells = "".join(f"  {row[name]:12.4g}" if pd.notna(row[name]) else f"  {'':>12}" for name in columns)
            lines.append(f"{model!s:<{width}}{cells}")
        lines.append("")
    return lines[:-1]
