"""What is said of flow beside its RMSE: the Nash-Sutcliffe efficiency, which hydrologists read first."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline.grid import Grid
from pipeline.report import numbers
from pipeline.report.study import Study


def efficiency(study: Study) -> str:
    """Return a sentence on the NSE of the headline model and of the best baseline; empty for what is no flow."""
    if study.quantities[study.variable] != "flow":
        return ""
    own = _value(study, study.headline)
    if not own:
        return ""
    name, median = numbers.label(study.headline), "a median" if _basins(study) > 1 else "an"
    other = _value(study, study.rival) if study.rival else ""
    beside = f", {numbers.label(study.rival or '')} one of {other}" if other else ""
    return f" {name} reaches {median} NSE of {own}{beside}."


def extremes(study: Study, variable: str) -> str:
    """Say how far the headline model's high and low flows are off, and when its peaks come; empty without scores."""
    parts = []
    for metric, what in (("fhv", "volume of the highest 2\u00a0% of flows"), ("low_flow_bias", "yearly low flow")):
        row = study.score(study.headline, metric, variable=variable)
        if row is not None:
            way = "high" if float(row["value"]) > 0 else "low"
            parts.append(f"{what} is {numbers.percent(abs(float(row['value'])) / 100)} too {way}{_bounds(row)}")
    row = study.score(study.headline, "peak_timing", variable=variable)
    if row is not None:
        days = numbers.with_units(numbers.number(float(row["value"]), 1), str(row["units"]))
        parts.append(f"peaks are {days} off on average")
    if not parts:
        return ""
    return f"Of {numbers.label(study.headline)}, the {numbers.listing(parts)}."


def _bounds(row: pd.Series) -> str:
    low, high = float(row["low"]), float(row["high"])
    if not (np.isfinite(low) and np.isfinite(high)):
        return ""
    inside = ", zero inside" if low <= 0 <= high else ""
    return f" (bias {numbers.interval(low, high, 0)}\u00a0%{inside})"


def _value(study: Study, model: str) -> str:
    row = study.score(model, "nse")
    if row is None:
        return ""
    low, high = float(row["low"]), float(row["high"])
    bounds = f" ({numbers.interval(low, high, 2)})" if np.isfinite(low) and np.isfinite(high) else ""
    return f"{numbers.number(float(row['value']), 2)}{bounds}"


def _basins(study: Study) -> int:
    data = study.run.predictions(study.headline)
    if data is None:
        return 1
    with data:
        return len(Grid.of(data).stations)
