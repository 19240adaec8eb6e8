"""What of a test set is not scored, each cause by itself: no truth, or no answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from pipeline.grid import Grid
from pipeline.report import class_samples, numbers
from pipeline.report.places import kind
from pipeline.report.sentences import named_set
from pipeline.report.study import Study

_MOST_VALUES = 20_000_000


def sentences(study: Study) -> list[str]:
    """Say how many cells are predicted, and of how many values there is no truth or no answer."""
    data = study.run.predictions(study.headline)
    if data is None:
        return []
    with data:
        if f"{study.variable}_truth" not in data:
            return []
        if study.sampling is not None and study.sampling.step == "tile":
            return _of_tiles(study, data)
        test = data.isel(time=np.flatnonzero(data["split"].values.astype(str) == study.split))
        every = max(1, test[study.variable].size // _MOST_VALUES)
        test = test[[study.variable, f"{study.variable}_truth"]].isel(time=slice(None, None, every)).load()
        grid = Grid.of(data)
    truth, mean = (np.isfinite(test[name].values) for name in (f"{study.variable}_truth", study.variable))
    if every == 1:
        ends = len(truth) - _behind(truth, (study.run.shown_lead or 0) - min(study.run.leads, default=0))
        truth, mean = truth[:ends], mean[:ends]
    by_basin = (study.run.experiment.get("split") or {}).get("by") == "basin"
    if by_basin:  # those of other splits are predicted too, and no truth of theirs is known here
        mean = mean & truth.any(axis=0)
    return [*_cells(study, grid, mean, by_basin), *_values(study, grid, truth, mean)]


def unanswered(prepared: Mapping[str, Any], split: str) -> float:
    """Return the share of a split's values at single stations that miss a predictor in their window."""
    found = ((prepared.get("splits") or {}).get(split) or {}).get("without_inputs") or {}
    return float(found.get("values", 0)) / max(1, int(found.get("of", 0)))


def _behind(truth: np.ndarray, further: int) -> int:
    """Return how many of the last times are forecasts of what lies behind the test set, which is no gap.

    A sample needs truth at its first lead: one ``further`` steps ahead lacks it that often at the end.
    """
    known = np.flatnonzero(truth.reshape(len(truth), -1).any(axis=1))
    return min(further, len(truth) - 1 - int(known[-1])) if len(known) else 0


def _cells(study: Study, grid: Grid, mean: np.ndarray, by_basin: bool) -> list[str]:
    cells = mean.any(axis=0)
    if cells.all():
        return []
    others = "the others are of other splits" if by_basin else "the others have too little truth to learn from"
    return [
        f"{numbers.plural(int(cells.sum()), kind(grid, study.quantities[study.variable]))} of {cells.size:,} "
        f"{'is' if cells.sum() == 1 else 'are'} predicted; {others}."
    ]


def _values(study: Study, grid: Grid, truth: np.ndarray, mean: np.ndarray) -> list[str]:
    """Say of how many values of the cells that are predicted there is no truth, and of how many no answer."""
    whose = f"{kind(grid, study.quantities[study.variable])}-{study.step}s" if grid.stations else "predicted values"
    asked = int(mean.any(axis=0).sum()) * len(mean)
    untold = float((mean & ~truth).sum()) / max(asked if grid.stations else int(mean.sum()), 1)
    told = [f"{numbers.percent(untold)} have no truth and are not scored"] if untold > 0 else []
    lost = unanswered(study.run.stage("prepare"), study.split)
    if lost > 0:
        told.append(f"{numbers.percent(lost)} have no answer, because a predictor is missing{_within(study)}")
    return [f"Of the {whose} of {named_set(study.split)}, {'; '.join(told)}."] if told else []


def _within(study: Study) -> str:
    inputs = (study.run.stage("prepare").get("scaling") or {}).get("inputs") or {}
    lags = inputs.get("lags") or [0]
    window = max(int(inputs.get("window") or 0), 1 + max(int(lag) for lag in lags))
    words = f" within the window of {numbers.plural(window, study.step)}" if window > 1 else ""
    return f"{words} (prepare.inputs.missing: {inputs.get('missing')})"


def _of_tiles(study: Study, data: xr.Dataset) -> list[str]:
    """Say how many pixels have no truth: what two tiles share is known in one of them, which is no gap."""
    parts = class_samples.blocks(study, data, study.variable)
    covered = sum(int((part.predicted >= 0).sum()) for part in parts)
    untold = sum(int(((part.predicted >= 0) & (part.truth < 0)).sum()) for part in parts)
    if not untold:
        return []
    share = numbers.percent(untold / covered)
    return [f"Truth is missing for {share} of the pixels of {named_set(study.split)}; those are not scored."]
