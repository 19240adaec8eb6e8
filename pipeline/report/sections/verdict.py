"""Verdict: the first screen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from pipeline.grid import Grid
from pipeline.report import error_bars, numbers, sentences
from pipeline.report.figures import Picture, bars, maps, trust
from pipeline.report.sections import curves
from pipeline.report.sections.cell import kind
from pipeline.report.study import VALIDATION, Study

_HIGH = 292


@dataclass(frozen=True)
class Verdict:
    """What the first screen says and shows."""

    question: str
    answer: sentences.Answer
    trust: str
    chosen: str
    warnings: tuple[str, ...]
    pictures: tuple[Picture, ...]


def build(study: Study) -> Verdict:
    """Return the verdict."""
    diagnostics = study.run.diagnostics(study.headline)
    pictures = [_bars(study)]
    if diagnostics is not None:
        skill = skill_map(study, diagnostics, study.variable, highest=_HIGH)
        pictures += [skill] if skill is not None else []
        curve = curves.calibration(diagnostics, study.variable, study.headline, study.colours[study.headline])
        if curve is not None:
            pictures.append(
                trust.calibration_curve([curve], curves.finding(curve), "Do the error bars hold?", height=_HIGH)
            )
    return Verdict(
        question=sentences.question(study),
        answer=sentences.answer(study),
        trust=error_bars.trust(study),
        # Where there is no validation, a warning says so.
        chosen=sentences.chosen(study) if study.reference and study.chosen_on == VALIDATION else "",
        warnings=sentences.warnings(study),
        pictures=tuple(pictures),
    )


def _bars(study: Study) -> Picture:
    table = study.scores(study.metric).dropna(subset=["value"]).sort_values("value").drop_duplicates("model")
    rows = [
        bars.Row(
            r.model,
            r.value,
            r.low,
            r.high,
            study.colours[r.model],
            "best baseline" if r.model == study.reference else "",
        )
        for r in table.itertuples()
    ]
    kept = bars.shortened(rows, tuple(model for model in (study.headline, study.reference) if model), 8)
    best, hidden = rows[0], len(rows) - len(kept)
    value = numbers.with_units(numbers.number(best.value), study.unit)
    finding = f"{numbers.label(best.name)} has the lowest {study.word()}, {value}"
    against = (
        f"; the best baseline, {numbers.label(study.reference)}, is marked by the dashed line"
        if study.reference
        else ""
    )
    title = study.word() if not hidden else f"{study.word()}, {len(kept)} of {len(rows)} models"
    return bars.skill_bars(
        kept, sentences.score_axis(study.metric, study.unit), f"{finding}{against}.", title, width=344, height=_HIGH
    )


def skill_map(study: Study, data: xr.Dataset, variable: str, *, highest: int = 330) -> Picture | None:
    """Draw skill against the best baseline, dots where the interval includes zero; None without such a map."""
    if study.rival is None or f"{variable}_skill" not in data:
        return None
    field, low, high = (bound(data, f"{variable}_skill{end}") for end in ("", "_low", "_high"))
    if not np.isfinite(field).any():
        return None
    alt = sentences.where(study.headline, study.rival, field, low, high, kind(Grid.of(data)))
    # Without an interval nothing is dotted: NaN compares as false.
    panel = maps.MapPanel(field, f"RMSE reduction against {numbers.label(study.rival)}", alt, (low <= 0) & (high >= 0))
    return maps.draw_map(
        panel, Grid.of(data), maps.Scale.of("skill", "%", field), highest=highest, earth=study.on_earth
    )


def bound(data: xr.Dataset, name: str) -> np.ndarray:
    """Return a map as floats; all NaN where the run has none."""
    if name in data:
        return np.asarray(data[name].values, float)
    return np.full(Grid.of(data).shape, np.nan)
