"""Extremes and structure of a segmentation: what is taken for what, rare classes, boundaries and objects."""

from __future__ import annotations

import numpy as np
import xarray as xr

from pipeline.grid import Grid
from pipeline.report import class_tables, numbers, sentences, tables
from pipeline.report.figures import Picture, class_curves
from pipeline.report.palette import class_lines
from pipeline.report.sections import Block, Figure, Heading, Section, slug
from pipeline.report.study import Study


def build(study: Study) -> Section | None:
    """Return the section; None where there is neither a confusion nor a score of boundaries or objects."""
    found: list[Block] = []
    lead = ""
    for variable in study.variables:
        data = study.run.diagnostics(study.headline)
        part: list[Block] = []
        if data is not None and f"{variable}_confusion" in data:
            part.append(_confusion(study, variable))
            lead = lead or _lead(study, variable, data)
        part += _curves(study, variable)
        part += _shapes(study, variable)
        if part and len(study.variables) > 1:
            found.append(Heading(variable))
        found += part
    title = "Extremes and structure"
    return Section("extremes", title, lead or _shape_lead(study), tuple(found)) if found else None


def precision_recall(study: Study, variable: str, model: str, title: str, height: int) -> Picture | None:
    """Return the precision of every class at each recall; None where the run holds no curves."""
    data = study.run.diagnostics(model)
    names = [f"{variable}_precision", f"{variable}_share"]
    if data is None or any(name not in data for name in (*names, "recall")):
        return None
    precision, share = (np.asarray(data[name].values, float) for name in names)
    recall, lines = np.asarray(data["recall"].values, float), class_lines(len(study.classes))
    curves, told = [], []
    for of, name in enumerate(study.classes):
        if not np.isfinite(precision[of]).any():
            continue
        own = study.score(model, "average_precision", variable=variable, group=f"class={name}")
        area = "" if own is None else f" {numbers.number(float(own['value']), 2)}"
        curves.append(
            class_curves.ClassCurve(f"{_short(name)}{area}", lines[of], recall, precision[of], float(share[of]), of > 0)
        )
        told.append(f"{numbers.label(name)}{area}")
    if not curves:
        return None
    alt = f"Average precision of {numbers.label(model)}: {numbers.listing(told)}."
    return class_curves.class_curves(
        curves, ("recall: share of the class that is found", "precision"), alt, title, height=height
    )


def _short(name: str) -> str:
    shown = numbers.label(name)
    return shown if len(shown) <= 18 else f"{shown[:17]}\u2026"


def _lead(study: Study, variable: str, data: xr.Dataset) -> str:
    """Say which mistake is the largest, as a share of its true class."""
    area = np.asarray(data[f"{variable}_confusion"].values, float)
    whole = area.sum(axis=1, keepdims=True)
    shares = np.where(whole > 0, area / np.where(whole > 0, whole, 1.0), 0.0)
    wrong = shares * (1 - np.eye(len(shares)))
    if not wrong.any():
        return f"{numbers.label(study.headline)} takes no class for another on {sentences.named_set(study.split)}."
    row, column = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
    true, said = (numbers.label(study.classes[int(place)]) for place in (row, column))
    return (
        f"{numbers.label(study.headline)} finds {numbers.percent(float(shares[row, row]))} of {true} and takes "
        f"{numbers.percent(float(wrong[row, column]))} of it for {said}, the largest such share of a class."
    )


def _shape_lead(study: Study) -> str:
    row = study.score(study.headline, "object_csi")
    if row is None:
        return f"Boundaries and objects of {study.variable} on {sentences.named_set(study.split)}."
    return (
        f"Of the objects on {sentences.named_set(study.split)}, true or predicted by {numbers.label(study.headline)}, "
        f"{numbers.percent(float(row['value']))} are hits, in the mean over classes."
    )


def _confusion(study: Study, variable: str) -> Figure:
    pictures = []
    shown = [study.headline, *([study.rival] if study.rival else [])]
    counted = False
    for model in shown:
        data = study.run.diagnostics(model)
        if data is None or f"{variable}_confusion" not in data:
            continue
        area = np.asarray(data[f"{variable}_confusion"].values, float)
        counted = Grid.of(data).image
        right = float(np.trace(area) / area.sum()) if area.sum() else float("nan")
        alt = f"{numbers.label(model)} names the right class on {numbers.percent(right)} of the area. "
        alt += " ".join(_recall(study, area, of) for of in range(1, len(study.classes)))
        what = "best baseline" if model == study.reference else "headline model"
        pictures.append(
            class_curves.confusion_matrix(area, study.classes, counted, alt.strip(), f"{numbers.label(model)}, {what}")
        )
    small = f", below them {'numbers of cells' if counted else 'shares of the whole area'}"
    small = small if class_curves.has_room_below(study.classes) else ""
    caption = (
        f"What true classes of {variable} (rows) were predicted as on {study.split}: shares of each true class{small}. "
        "The diagonal is right."
    )
    return Figure(slug("confusion", variable), tuple(pictures), caption)


def _recall(study: Study, area: np.ndarray, of: int) -> str:
    whole = float(area[of].sum())
    name = numbers.label(study.classes[of])
    return f"Of {name}, {numbers.percent(float(area[of, of]) / whole)} is found." if whole else f"No {name} is there."


def _curves(study: Study, variable: str) -> list[Block]:
    shown = [study.headline, *([study.rival] if study.rival else [])]
    pictures = [
        picture
        for model in shown
        if (picture := precision_recall(study, variable, model, numbers.label(model), class_curves.HEIGHT)) is not None
    ]
    if not pictures:
        return []
    caption = (
        f"Precision against recall of every class of {variable} on {study.split} as the probability from which on a "
        "cell counts goes down; behind each name the average precision. Dashed: the share of the class, the precision "
        "of a forecast without skill."
    )
    return [Figure(slug("precision-recall", variable), tuple(pictures), caption)]


def _shapes(study: Study, variable: str) -> list[Block]:
    found: list[Block] = []
    units = study.scores("boundary_distance", variable=variable)["units"]
    cells = " in cells" if len(units) and str(units.iloc[0]) == "1" else ""
    caption = (
        f"Shapes of {variable} on {study.split}: how far boundaries lie apart{cells}, and connected areas of a class "
        "as objects; means over classes."
    )
    name = slug("structure", variable)
    table = tables.skill_table(study, variable, study.split, class_tables.STRUCTURE, name, caption)
    found += [table] if table else []
    name = slug("boundaries", variable)
    caption = f"Distance of true and predicted boundaries by class{cells}, {variable} on {study.split}."
    table = class_tables.by_class(study, variable, study.split, "boundary_distance", name, caption)
    found += [table] if table else []
    counts = class_tables.objects(study, variable)
    return [*found, *([counts] if counts else [])]
