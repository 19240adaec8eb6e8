"""Figures of the experiments on series: an index months ahead, a river without its own past, many stations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks._error_bars import error_bars, skilled
from benchmarks._tables import Goal, beside, difference, goals, interval, run, scores_of, seconds, table
from pipeline.run_folder import RunFolder

FLOW = (("rmse", "RMSE [m3/s] (95 %)"), ("nse", "NSE"), ("kge", "KGE"), ("log_nse", "log NSE"), ("fhv", "FHV [%]"),
        ("flv", "FLV [%]"), ("fms", "FMS [%]"), ("low_flow_bias", "low flow [%]"))  # fmt: skip
WARMTH = (("rmse", "RMSE [K] (95 %)"), ("crps", "CRPS [K]"), ("coverage_90", "coverage of 90 %"))
LEADS = (1, 3, 6, 9, 12)
RIDGE = {3: 0.829, 6: 0.709}  # correlation of a ridge on 15 principal components of three months, test from 1993


def nino34(out: Path, data: Path) -> list[str]:
    """Return correlation and RMSE by lead, and the margins over damped persistence."""
    run_ = run("nino34", out, "--data", str(data))
    best = _best(run_)
    by_lead = _table_by_lead(run_, ("pearson_r", "rmse"), LEADS)
    wanted = (
        *(Goal(best, "pearson_r", value, np.inf, group=f"lead={lead}") for lead, value in RIDGE.items()),
        *skilled("damped_persistence"),
        *(skilled("damped_persistence", group=f"lead={lead}")[0] for lead in (1, 3, 6)),
    )
    said = (
        f"Best on the validation split by its RMSE over all leads: {best}. Ten years hold few independent errors of "
        "forecasts up to a year ahead: intervals go by three to six blocks, and most reach below 0."
    )
    body = [*by_lead, "", *error_bars(run_), "", said, "", *goals(run_, wanted), "",
            *_margins_by_lead(run_, best, "damped_persistence"), "", seconds(run_), ""]  # fmt: skip
    return ["## nino34", "", "    finescale run nino34 --data MIRROR", "", *body]


def salmon_flow(out: Path, data: Path) -> list[str]:
    """Return the scores of flow, and whether each goal was reached."""
    run_ = run("salmon-flow", out, "--data", str(data))
    best = _best(run_)
    forest = _value(run_, "lag_forest", "nse")
    lstm = max(("lstm", "lstm+deep_ensemble"), key=lambda name: _value(run_, name, "nse", "validation"))
    sure = "lstm+quantile_regression+isotonic"
    wanted = (
        Goal(best, "nse", 0.80, np.inf),
        Goal(lstm, "nse", forest, np.inf),
        *skilled(sure),
        *skilled("lag_forest"),
    )
    said = f"Best on the validation split: {best}. The LSTM is to be no worse than lag_forest ({forest:.3f})."
    body = [*table(run_, FLOW), "", *error_bars(run_), "", said, "", *goals(run_, wanted), "", seconds(run_), ""]
    return ["## salmon-flow", "", "    finescale run salmon-flow --data MIRROR", "", *body]


def us_stations(out: Path, data: Path) -> list[str]:
    """Return scores over all leads, and the RMSE by lead."""
    run_ = run("us-stations", out, "--data", str(data))
    body = [*table(run_, WARMTH), "", *_table_by_lead(run_, ("rmse",), (1, 2, 3)), "", seconds(run_), ""]
    return ["## us-stations", "", "    finescale run us-stations --data MIRROR", "", *body]


BASINS = ("01022500", "01547700", "02064000")


def camels(out: Path, data: Path) -> list[str]:
    """Return the NSE of every basin from models that never saw it, with what they do not show."""
    found: dict[str, pd.Series] = {}
    for number, basin in enumerate(BASINS):
        chosen_on = BASINS[number - 1]
        words = ("--set", f"split.test=['{basin}']", "--set", f"split.validation=['{chosen_on}']")
        run_ = run("camels", out / f"basin-{basin}", "--data", str(data), *words)
        rows = scores_of(run_, "test")
        found[f"of {basin}"] = rows[rows["metric"] == "nse"].set_index("model")["value"]
    said = (
        "Each basin left out in turn, one of the other two learned from and one chosen on, three years: that the parts "
        "fit together is what this shows, nothing of a model's worth."
    )
    command = "    finescale run camels --data MIRROR --set split.test=['ID'] --set split.validation=['OTHER']"
    return ["## camels", "", command, "", *beside("NSE", found), "", said, ""]


def _best(run_: RunFolder) -> str:
    """Return the model with the least RMSE on the validation split."""
    rows = scores_of(run_, "validation")
    values: pd.Series = rows[rows["metric"] == "rmse"].set_index("model")["value"]
    return str(values.idxmin())


def _value(run_: RunFolder, model: str, metric: str, split: str = "test") -> float:
    rows = scores_of(run_, split)
    return float(rows[(rows["model"] == model) & (rows["metric"] == metric)]["value"].iloc[0])


def _table_by_lead(run_: RunFolder, metrics: tuple[str, ...], leads: tuple[int, ...]) -> list[str]:
    scores = pd.read_csv(run_ / "scores.csv")
    heads = [f"{metric}, lead {lead}" for metric in metrics for lead in leads]
    lines = ["| model | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    test = scores[(scores["split"] == "test") & scores["metric"].isin(metrics)].set_index(["model", "metric", "group"])
    overall = scores[(scores["split"] == "test") & (scores["group"] == "all") & (scores["metric"] == "rmse")]
    for model in overall.sort_values("value")["model"]:
        values = [test["value"].get((model, metric, f"lead={lead}"), np.nan) for metric in metrics for lead in leads]
        lines.append(f"| {model} | " + " | ".join("" if np.isnan(v) else f"{v:.3f}" for v in values) + " |")
    return lines


def _margins_by_lead(run_: RunFolder, best: str, other: str) -> list[str]:
    """Return by how much the RMSE of ``best`` is below that of ``other``, by lead, both from the same resamples."""
    lines = [f"| lead | RMSE of {best} less that of {other} [K] | 95 % interval |", "|---|---|---|"]
    for lead in LEADS:
        row = difference(run_, best, other, "rmse", lead)
        lines.append(f"| {lead} | {row.difference:.3f} | {interval(row)} |")
    return lines
