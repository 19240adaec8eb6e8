"""Scores of a segmentation: of its classes, and the maps and curves that the report draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import xarray as xr

from flows.header import of_stage
from flows.stages._cases import Cases, regions_of, weights_of
from flows.workspace import Workspace
from pipeline.cf import conforming
from pipeline.files import write_atomic
from pipeline.metrics import Case, Place
from pipeline.metrics.bootstrap import RESAMPLES
from pipeline.metrics.classes.confusion import confusion
from pipeline.metrics.classes.evaluate import evaluate_classes, event_series
from pipeline.metrics.classes.maps import class_maps
from pipeline.metrics.classes.objects import object_table
from pipeline.metrics.classes.ranking import precision_recall
from pipeline.metrics.classes.reliability import reliability
from pipeline.metrics.evaluate import Evaluation
from pipeline.metrics.fields import on_grid
from pipeline.metrics.groups import Group, make_groups
from pipeline.metrics.uncertainty import mean_uncertainties, to_variables, uncertainty_series
from pipeline.prepare.prepared import Prepared
from pipeline.prepare.tiles import strips

_POINTS = 101  # of a precision-recall curve that is drawn
_MAPS = {
    "accuracy": "share of times with the right class",
    "truth": "share of times that a class is there",
    "predicted": "share of times that a class is predicted",
}
_DOUBT = ("mean aleatoric entropy [nat]", "mean epistemic entropy [nat]")
_OBJECTS = {
    "hits": ("true objects that are found", "1"),
    "misses": ("true objects that are not found", "1"),
    "false_alarms": ("predicted objects that are not there", "1"),
}


def evaluate(
    space: Workspace, split: str, cases: Cases, reference: str | None, metrics: Sequence[str] | None = None
) -> Evaluation:
    """Return the scores of a split: overall, by season and by class."""
    schema = space.prepared.schema
    return evaluate_classes(
        cases,
        split=split,
        time=space.prepared.samples(split).time,
        weights=weights_of(space, 1),
        classes=schema.classes,
        place=Place(schema.target_grid, schema.mask),
        seed=space.plan.experiment.seed,
        metrics=space.plan.metrics if metrics is None else metrics,
        reference=reference,
        strip=strips_of(space, split),
        regions=regions_of(space, 1) if metrics is None else None,
    )


def strips_of(space: Workspace, split: str) -> np.ndarray | None:
    """Return the strip that each tile of a split is in; None where samples are no tiles."""
    origins = space.prepared.origins
    if not origins:
        return None
    return strips(tuple(origins[number] for number in space.prepared.samples(split).time.tolist()))


def write_diagnostics(space: Workspace, split: str, cases: Cases, reference: str | None) -> None:
    """Write maps, confusion, curves of precision and reliability, and objects of every model on one test set."""
    prepared, weights = space.prepared, weights_of(space, 1)
    of_variable = groups(space, split, next(iter(cases.values()), {}), weights)
    for model, by_variable in cases.items():
        dataset = _dataset(prepared, by_variable, weights, of_variable)
        dataset.attrs = {
            "Conventions": "CF-1.11",
            "title": f"Diagnostics of {model} on {split}",
            "model": model,
            "split": split,
            **({} if reference is None else {"reference": reference}),
            **of_stage(space, "score", model),
        }
        with write_atomic(space.run / f"diagnostics/{model}.nc") as temporary:
            conforming(dataset).to_netcdf(temporary, engine="netcdf4")


def groups(space: Workspace, split: str, cases: Mapping[str, Case], weights: np.ndarray) -> dict[str, Group]:
    """Return all times of a split with their resamples by variable, those of its scores."""
    time, seed = space.prepared.samples(split).time, space.plan.experiment.seed
    return {
        name: make_groups(
            time,
            event_series(case, weights),
            seed=seed,
            purpose=f"{split}:{name}",
            resamples=RESAMPLES,
            seasons=False,
            strip=strips_of(space, split),
        )[0]
        for name, case in cases.items()
    }


def _dataset(
    prepared: Prepared, cases: Mapping[str, Case], weights: np.ndarray, groups: Mapping[str, Group]
) -> xr.Dataset:
    schema = prepared.schema
    grid, place = schema.target_grid, Place(schema.target_grid, schema.mask)
    coords = {**grid.coords(), "class": ("class", np.array(schema.classes, dtype=object))}
    parts: dict[str, xr.Variable] = {}
    series = {
        name: None if case.time is None else uncertainty_series(case, weights, case.time)
        for name, case in cases.items()
    }
    parts |= to_variables(series, dict.fromkeys(cases, "1"))
    for name, case in cases.items():
        whole = replace(case, weights=weights, place=place)
        maps = class_maps(whole)
        drawn = {part: (getattr(maps, part), words) for part, words in _MAPS.items()}
        doubt = zip(("aleatoric", "epistemic"), mean_uncertainties(whole), _DOUBT, strict=True)
        drawn |= {part: (values, words) for part, values, words in doubt if values is not None}
        for part, (row, words) in drawn.items():
            values = grid.to_file(on_grid(row, schema.mask))
            dims = ("class", *grid.file_dims) if values.ndim > len(grid.file_dims) else grid.file_dims
            parts[f"{name}_{part}"] = xr.Variable(dims, values, {"long_name": words, "units": "1"})
        found = {"long_name": "area of the cells by true class (rows) and predicted class", "units": "1"}
        parts[f"{name}_confusion"] = xr.Variable(("class", "predicted_class"), confusion(whole).area, found)
        parts |= _curves(name, whole, len(schema.classes)) | _objects(name, whole, schema.classes)
        parts |= _reliability(name, whole, groups[name])
    return xr.Dataset(parts, coords)


def _curves(name: str, case: Case, classes: int) -> dict[str, xr.Variable]:
    """Return precision by recall of every class, on the same recalls, and the area below each curve."""
    curves = [precision_recall(case, number) for number in range(classes)]
    levels = np.linspace(0.0, 1.0, _POINTS)
    precision = np.stack([_at(levels, curve.recall, curve.precision) for curve in curves])
    rows = ("class", "recall")
    return {
        "recall": xr.Variable("recall", levels, {"long_name": "share of the true area that is found", "units": "1"}),
        f"{name}_precision": xr.Variable(rows, precision, {"long_name": "precision at each recall", "units": "1"}),
        f"{name}_share": xr.Variable(
            "class", [curve.share for curve in curves], {"long_name": "share of the class in the truth", "units": "1"}
        ),
    }


def _at(levels: np.ndarray, recall: np.ndarray, precision: np.ndarray) -> np.ndarray:
    """Return the precision of the first point of a curve that reaches each recall, NaN where there is no curve."""
    known = np.isfinite(recall) & np.isfinite(precision)
    if not known.any():
        return np.full(len(levels), np.nan)
    order = np.argsort(recall[known], kind="stable")
    reached = np.searchsorted(recall[known][order], levels - 1e-9)
    inside = np.minimum(reached, len(order) - 1)
    return np.where(reached < len(order), precision[known][order][inside], np.nan)


def _reliability(name: str, case: Case, group: Group) -> dict[str, xr.Variable]:
    """Return probability against frequency of every class and of the most likely one, and their errors."""
    found = reliability(case, group)
    fields = {
        "probability": (found.probability, "mean probability in a bin of probability"),
        "frequency": (found.frequency, "share of the area in the bin where it came true"),
        "area": (found.area, "share of the area that lies in the bin"),
        "error": (found.error, "expected calibration error"),
    }
    parts = {}
    for key, (values, words) in fields.items():
        dims = ("probability_bin",) if values.ndim > 1 else ()
        parts[f"{name}_reliability_{key}"] = xr.Variable(
            ("class", *dims), values[:-1], {"long_name": f"{words}, of each class", "units": "1"}
        )
        parts[f"{name}_confidence_{key}"] = xr.Variable(
            dims, values[-1], {"long_name": f"{words}, of the most likely class", "units": "1"}
        )
    means = {
        "mean": (found.sure, "mean probability of the most likely class"),
        "right": (found.right, "share of the area where the most likely class is the true one"),
        "gap_low": (found.low, "lower end of the 95 % interval of mean probability less share"),
        "gap_high": (found.high, "upper end of the 95 % interval of mean probability less share"),
    }
    return parts | {
        f"{name}_confidence_{key}": xr.Variable((), value, {"long_name": words, "units": "1"})
        for key, (value, words) in means.items()
    }


def _objects(name: str, case: Case, classes: Sequence[str]) -> dict[str, xr.Variable]:
    """Return counts and mean areas of the objects of every class but the background."""
    rows = {row.class_name: row for row in object_table(case, classes)}
    return {
        f"{name}_object_{part}": xr.Variable(
            "class",
            [float(getattr(rows[each], part)) if each in rows else np.nan for each in classes],
            {"long_name": words, "units": units},
        )
        for part, (words, units) in _OBJECTS.items()
    }
