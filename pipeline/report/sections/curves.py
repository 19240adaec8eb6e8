"""Reads calibration from the diagnostics of a model, for the first screen and the section on trust."""

from __future__ import annotations

import numpy as np
import xarray as xr

from pipeline.report import numbers
from pipeline.report.figures.trust import Curve


def calibration(data: xr.Dataset, variable: str, model: str, colour: str) -> Curve | None:
    """Return the calibration curve; None for a model without a distribution."""
    name = f"{variable}_calibration_observed"
    if name not in data or not np.isfinite(data[name].values).any():
        return None
    observed = np.asarray(data[name].values, float)
    levels = f"{variable}_calibration_level"
    level = np.asarray((data[levels] if levels in data else data[data[name].dims[0]]).values, float)
    low, high = (
        np.asarray(data[f"{variable}_calibration_{end}"].values, float)
        if f"{variable}_calibration_{end}" in data
        else observed
        for end in ("low", "high")
    )
    return Curve(model, colour, level, observed, low, high)


def finding(curve: Curve) -> str:
    """Say how far the curve is from the diagonal, and where."""
    worst = int(np.nanargmax(np.abs(curve.observed - curve.level)))
    level, seen = float(curve.level[worst]), float(curve.observed[worst])
    if curve.gap < 0.02:
        return f"Observed frequencies follow the forecast ones within {numbers.percent(max(curve.gap, 0.001))}."
    return (
        f"Observed frequencies leave the forecast ones by at most {numbers.percent(curve.gap)}: "
        f"of the truths, {numbers.percent(seen)} lie below the {numbers.percent(level)} quantile."
    )
