"""Tables of a segmentation: a score by class, objects found and missed, shares and weights of the classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from pipeline.report import numbers, tables
from pipeline.report.metric_words import metric_words
from pipeline.report.study import Study, best_first
from pipeline.report.tables import Cell, Column, Table

SKILL = ("iou", "kappa", "f1", "precision", "recall", "accuracy")
PROBABILITIES = ("average_precision", "log_loss", "brier")
CALIBRATION = ("ece", "ece_mass", "brier_reliability", "brier_resolution", "ause_entropy")
STRUCTURE = (
    "boundary_distance", "boundary_unmatched", "object_recall", "object_false_alarms", "object_csi",
    "object_count_bias",
)  # fmt: skip


def skill_metrics(study: Study, variable: str, split: str) -> tuple[str, ...]:
    """Return the scores of cells that a run has; Dice, which is F1 by another name, only where that is not there."""
    there = set(study.scores(variable=variable, split=split)["metric"])
    return tuple("dice" if name == "f1" and "f1" not in there else name for name in SKILL)


def others(study: Study, variable: str, split: str) -> list[str]:
    """Return scores that no table of classes knows, so that a plug-in's score is shown too."""
    known = {*SKILL, "dice", *PROBABILITIES, *CALIBRATION, *STRUCTURE}
    there = study.scores(variable=variable, split=split)["metric"]
    return [metric for metric in dict.fromkeys(there) if metric not in known]


def by_class(study: Study, variable: str, split: str, metric: str, name: str, caption: str) -> Table | None:
    """Return models by classes of one score, with intervals, the best of each class bold; None without such scores."""
    scores = study.scores(metric, variable=variable, split=split, group=None)
    groups = {f"class={of}": of for of in study.classes}
    scores = scores[scores["group"].isin(groups) & scores["value"].notna()]
    present = set(scores["group"])
    shown = [group for group in groups if group in present]
    overall = best_first(study.scores(metric, variable=variable, split=split).dropna(subset=["value"]))["model"]
    have = set(scores["model"])
    models = list(dict.fromkeys(model for model in (*overall, *study.models) if model in have))
    if not shown or not models:
        return None
    words, unit = metric_words(metric), numbers.units(str(scores["units"].iloc[0]))
    rows = {model: [tables.model_cell(study, model)] for model in models}
    for group in shown:
        part = scores[scores["group"] == group].drop_duplicates("model").set_index("model")
        for model, cell in zip(models, tables.score_cells(words, part, models, ()), strict=True):
            rows[model].append(cell)
    columns = (
        Column("Model", numeric=False),
        *(Column(numbers.label(groups[group]), unit, note=words.direction) for group in shown),
    )
    marks = tables.marks(scores)
    return Table(name, f"{caption} {marks}", columns, tuple(tuple(rows[model]) for model in models), scores)


def objects(study: Study, variable: str) -> Table | None:
    """Return objects found, missed and falsely seen by class and model; None where there are no objects."""
    rows = []
    models = best_first(study.scores(study.metrics[variable], variable=variable).dropna(subset=["value"]))["model"]
    found = {model: study.run.diagnostics(model) for model in dict.fromkeys(models)}
    for of in range(1, len(study.classes)):
        for model, data in found.items():
            counts = None if data is None else _counts(data, variable, of)
            if counts is not None:
                rows.append(_object_row(study, of, model, counts))
    columns = (
        Column("Class", numeric=False), Column("Model", numeric=False), Column("Hits"), Column("Misses"),
        Column("False alarms"), Column("Found", note="POD, higher is better"),
        Column("False", note="FAR, lower is better"), Column("CSI", note="higher is better"),
    )  # fmt: skip
    caption = (
        f"Connected areas of each class of {variable} on {study.split}, by sample: an object is found where a "
        "predicted one of its class overlaps it by a tenth of both together. Found: hits among true objects; false: "
        "false alarms among predicted ones; CSI: hits among all three."
    )
    return Table(f"objects-{variable}", caption, columns, tuple(rows)) if rows else None


def shares(study: Study, variable: str, weights: Mapping[str, Sequence[float]]) -> Table | None:
    """Return the share of each class in the train split and the test set, and its weight in losses; None if unknown.

    Parameters
    ----------
    weights : mapping of str to sequence of float
        By name of the weighting.
    """
    said = study.run.stage("prepare").get("classes") or ()
    train = {str(one["name"]): float(one["share"]) for one in said}
    data = study.run.diagnostics(study.headline)
    known = data is not None and f"{variable}_share" in data
    test = np.asarray(data[f"{variable}_share"].values, float) if data is not None and known else None
    if not train and test is None:
        return None
    rows = []
    for of, name in enumerate(study.classes):
        own, there = train.get(name, float("nan")), float("nan") if test is None else float(test[of])
        cells = [tables.text(numbers.label(name)), *(Cell(numbers.percent(part), part) for part in (own, there))]
        cells += [Cell(numbers.number(values[of]), float(values[of])) for values in weights.values()]
        rows.append(tuple(cells))
    tested = "Test set" if study.split == "test" else f"Test set {study.split}"
    columns = (
        Column("Class", numeric=False), Column("Train split"), Column(tested),
        *(Column(f"Weight, {numbers.label(name)}") for name in weights),
    )  # fmt: skip
    how = (
        " Weights of losses come from the train split alone, scaled so that their mean over its area is 1."
        if weights
        else ""
    )
    return Table(f"classes-{variable}", f"Shares of the classes by area.{how}", columns, tuple(rows))


def _counts(data: xr.Dataset, variable: str, of: int) -> tuple[int, int, int] | None:
    names = [f"{variable}_object_{part}" for part in ("hits", "misses", "false_alarms")]
    if any(name not in data for name in names):
        return None
    values = [float(data[name].values[of]) for name in names]
    return (int(values[0]), int(values[1]), int(values[2])) if np.isfinite(values).all() else None


def _object_row(study: Study, of: int, model: str, counts: tuple[int, int, int]) -> tuple[Cell, ...]:
    hits, misses, false = counts
    rates = [
        part / whole if whole else float("nan")
        for part, whole in ((hits, hits + misses), (false, hits + false), (hits, hits + misses + false))
    ]
    return (
        tables.text(numbers.label(study.classes[of])),
        tables.model_cell(study, model),
        *(Cell(f"{count:,}", float(count)) for count in counts),
        *(Cell(numbers.number(rate, 2), rate if rate == rate else -1.0) for rate in rates),
    )
