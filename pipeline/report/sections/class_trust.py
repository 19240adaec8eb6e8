"""Can the probabilities of classes be trusted? Reliability of every class, and what they are unsure of, and why."""

from __future__ import annotations

import numpy as np
import xarray as xr

from pipeline.grid import Grid
from pipeline.report import class_tables, class_words, numbers, tables
from pipeline.report.figures import Picture, class_curves
from pipeline.report.palette import LIGHT, class_lines
from pipeline.report.places import placed
from pipeline.report.sections import Block, Figure, Heading, Section, class_structure, methods, slug, unsure
from pipeline.report.study import Study, best_first
from pipeline.report.tables import Cell, Column, Table

_MOST = "most likely"
_AXES = ("predicted probability", "observed frequency")
_CORNERS = ("observed more often", "observed less often")


def build(study: Study) -> Section | None:
    """Return the section; None where the run holds nothing of probabilities."""
    found: list[Block] = []
    lead = ""
    for variable in study.variables:
        shown = [study.headline, *([study.rival] if study.rival else [])]
        pictures = [
            picture
            for model in shown
            if (picture := reliability(study, variable, model, numbers.label(model), class_curves.HEIGHT)) is not None
        ]
        if not pictures:
            continue
        if len(study.variables) > 1:
            found.append(Heading(variable))
        caption = (
            f"How often a class of {variable} is there on {study.split} where it is given some probability, in bins of "
            f"ten per cent that hold a ten-thousandth of the area or more; thick: the most likely class, whichever it "
            "is. On the diagonal, probabilities are right."
        )
        found.append(Figure(slug("reliability", variable), tuple(pictures), caption))
        table = _table(study, variable)
        found += [table] if table is not None else []
        caption = (
            f"Calibration of the probabilities of {variable} on {study.split}: expected errors of the most likely "
            "class over fifteen bins (above: ten), parts of the Brier score, which is reliability less resolution plus "
            "an uncertainty that all models share, and how far the entropy is from sorting all wrong cells out."
        )
        table = tables.skill_table(
            study, variable, study.split, class_tables.CALIBRATION, slug("calibration-scores", variable), caption
        )
        found += [table] if table is not None else []
        found += methods.blocks(study, variable, classes=True)
        found += _unsure(study, variable)
        lead = lead or class_words.trust(study, variable)
    return Section("trust", "Can the probabilities be trusted?", lead, tuple(found)) if found else None


def _unsure(study: Study, variable: str) -> list[Block]:
    data = study.run.diagnostics(study.headline)
    if data is None:
        return []
    grid = Grid.of(data)
    told = unsure.blocks(study, data, variable, mapped=not grid.image and placed(grid))
    return told + (unsure.images(study, variable) if told and grid.image else [])


def verdict_pictures(study: Study, highest: int) -> list[Picture]:
    """Return the picture for the first screen: reliability, or precision against recall where it is not known."""
    title = "Do the probabilities hold?"
    found = reliability(study, study.variable, study.headline, title, highest)
    if found is None:
        title = "Precision against recall"
        found = class_structure.precision_recall(study, study.variable, study.headline, title, highest)
    return [found] if found is not None else []


def reliability(study: Study, variable: str, model: str, title: str, height: int) -> Picture | None:
    """Return observed frequency by probability of every class and of the most likely one; None if unknown."""
    data = study.run.diagnostics(model)
    names = [
        f"{variable}_{which}_{part}"
        for which in ("reliability", "confidence")
        for part in ("probability", "frequency", "area")
    ]
    if data is None or any(name not in data for name in names):
        return None
    of_classes, of_most = ([np.asarray(data[name].values, float) for name in half] for half in (names[:3], names[3:]))
    lines = class_lines(len(study.classes))
    # Of two classes, what is said of one says the other.
    first = 1 if len(study.classes) == 2 else 0
    curves = [
        class_curves.ClassCurve(
            numbers.label(study.classes[of]), lines[of], *_known(*(part[of] for part in of_classes))
        )
        for of in range(first, len(study.classes))
    ]
    curves = [curve for curve in curves if np.isfinite(curve.x).any()]
    curves.append(class_curves.ClassCurve(_MOST, LIGHT.text, *_known(*of_most), strong=True))
    alt = _finding(study, data, variable, model)
    return class_curves.class_curves(curves, _AXES, alt, title, diagonal=True, corners=_CORNERS, height=height)


def _known(probability: np.ndarray, frequency: np.ndarray, area: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Leave out bins that hold next to nothing."""
    few = area < 1e-4
    return np.where(few, np.nan, probability), np.where(few, np.nan, frequency)


def _finding(study: Study, data: xr.Dataset, variable: str, model: str) -> str:
    found = class_words.Confidence.of(data, variable)
    if found is None:
        return f"Reliability of the probabilities of {numbers.label(model)}."
    way = "more" if found.gap < 0 else "less"
    return (
        f"The most likely class of {numbers.label(model)} has {numbers.coverage(found.sure)} on average and is right "
        f"{numbers.coverage(found.right)} of the time, {numbers.percent(abs(found.gap))} {way}; by bins it is off by "
        f"{numbers.percent(found.error)}."
    )


def _table(study: Study, variable: str) -> Table | None:
    """Return by model how sure and how right it is, and its expected calibration error for every class."""
    models = best_first(study.scores(study.metrics[variable], variable=variable).dropna(subset=["value"]))["model"]
    said = {}
    for model in dict.fromkeys(models):
        data = study.run.diagnostics(model)
        found = None if data is None else class_words.Confidence.of(data, variable)
        if data is not None and found is not None:
            said[model] = (found, np.asarray(data[f"{variable}_reliability_error"].values, float))
    if not said:
        return None
    errors = 100 * np.array([[found.error, *of_classes] for found, of_classes in said.values()])
    # Of a rare class all errors are small: two decimals where one would show nothing.
    decimals = [2 if ((column > 0) & (column < 0.05)).any() else 1 for column in errors.T]
    rows = []
    for (model, (found, _)), values in zip(said.items(), errors, strict=True):
        note = numbers.interval(100 * found.low, 100 * found.high, 1) if found.known else ""
        rows.append(
            (
                tables.model_cell(study, model),
                Cell(numbers.number(100 * found.sure, 1), found.sure),
                Cell(numbers.number(100 * found.right, 1), found.right),
                Cell(numbers.number(100 * found.gap, 1, sign=True), found.gap, note),
                *(
                    Cell(numbers.number(float(value), places), float(value))
                    for value, places in zip(values, decimals, strict=True)
                ),
            )
        )
    columns = (
        Column("Model", numeric=False), Column("Sure", "%"), Column("Right", "%"),
        Column("Sure less right", "%", note="best 0"), Column("Error, most likely", "%", note="lower is better"),
        *(Column(f"Error, {numbers.label(name)}", "%", note="lower is better") for name in study.classes),
    )  # fmt: skip
    caption = (
        f"Mean probability of the most likely class, the share of the area where it is the true one, and the expected "
        f"calibration error over ten bins, of that class and of every class; {variable} on {study.split}. Small print: "
        "95\u00a0% interval."
    )
    return Table(slug("calibration", variable), caption, columns, tuple(rows))
