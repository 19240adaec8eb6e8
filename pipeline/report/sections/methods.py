"""The methods side by side: how accurate, how well calibrated, and what they cost; what was calibrated on what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pipeline.report import numbers, tables
from pipeline.report.sections import Block, slug
from pipeline.report.study import Study

OF_NUMBERS = ("crps", "coverage_90", "spread_skill", "ence")
OF_CLASSES = ("brier", "log_loss", "ece")
_PARTS = 4  # numbers of a calibration's summary that are told


def blocks(study: Study, variable: str, *, classes: bool = False) -> list[Block]:
    """Return the table of methods, and what was calibrated on what; nothing without uncertainty methods."""
    if not study.run.methods:
        return []
    found = _table(study, variable, classes=classes)
    calibrated = _calibrated(study) if variable == study.variable else None
    return [block for block in (found, calibrated) if block is not None]


def _table(study: Study, variable: str, *, classes: bool) -> tables.Table | None:
    """Return every model that answers a distribution by its scores, with the time to fit it and to predict."""
    metrics = (study.metrics[variable], *(OF_CLASSES if classes else OF_NUMBERS))
    made = tables.skill_table(
        study, variable, study.split, tuple(dict.fromkeys(metrics)), slug("methods", variable),
        f"Ways to say how uncertain {variable} is, on {study.split}: accuracy, calibration, and time. Fits of all "
        "members and folds are added up, though they may run side by side; predicting is of validation and test sets.",
    )  # fmt: skip
    if made is None:
        return None
    fit, predict = (study.run.stage(stage).get("seconds") or {} for stage in ("fit", "predict"))
    rows = []
    for row in made.rows:
        model = str(row[0].key)
        if all(cell.text == numbers.MISSING for cell in row[2:]):
            continue  # a point forecast is no way to say how uncertain one is
        rows.append((*row, _time(fit, model), _time(predict, model)))
    columns = (*made.columns, tables.Column("Fit", note="time"), tables.Column("Predict", note="time"))
    return replace(made, columns=columns, rows=tuple(rows), source=None) if rows else None


def _time(seconds: Mapping[str, Any], model: str) -> tables.Cell:
    value = seconds.get(model)
    if not isinstance(value, (int, float)):
        return tables.Cell(numbers.MISSING, float("inf"))
    return tables.Cell(numbers.duration(float(value)), float(value))


def _calibrated(study: Study) -> tables.Table | None:
    """Return what each calibration was learned on, and what it learned."""
    rows = []
    for name, summary in study.run.methods.items():
        if "calibrated_on" not in summary:
            continue
        learned = dict(summary.get("calibration") or {})
        kind = numbers.label(str(learned.pop("kind", "")))
        told = list(learned.items())[:_PARTS]
        words = "; ".join(f"{numbers.label(key)}: {_said(value)}" for key, value in told if value not in ([], ""))
        rows.append(tuple(tables.text(part) for part in (numbers.label(name), kind, summary["calibrated_on"], words)))
    columns = tuple(
        tables.Column(head, numeric=False) for head in ("Model", "Calibration", "Learned on", "What it learned")
    )
    caption = "What was calibrated on what. No calibration has seen a test set, but an adaptive one its earlier days."
    return tables.Table(slug("calibrated"), caption, columns, tuple(rows)) if rows else None


def _said(value: Any) -> str:
    """Return what a calibration learned, of groups the middle one and the reach."""
    if not isinstance(value, Mapping):
        return tables.plain(value)
    if set(value) == {"least", "median", "most"}:
        least, median, most = (tables.plain(value[key]) for key in ("least", "median", "most"))
        return f"{median} ({least} to {most})"
    return ", ".join(f"{numbers.label(key)} {_said(part)}" for key, part in value.items())
