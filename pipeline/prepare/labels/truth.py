"""The truth of a segmentation: class numbers as they come, or made of values by the definition of an event."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from pipeline.backend import Backend
from pipeline.errors import DataError
from pipeline.prepare.align import Axis
from pipeline.prepare.arrays import rows
from pipeline.prepare.config import TargetConfig
from pipeline.prepare.frequencies import class_names
from pipeline.prepare.labels import EventLabel, make_label
from pipeline.prepare.splits import TrainSplit
from pipeline.prepare.targets import Truth

Array = Any


def as_classes(
    truth: Truth, target: xr.Dataset, axis: Axis, config: TargetConfig, train: TrainSplit, backend: Backend
) -> tuple[Truth, EventLabel | None]:
    """Return the truth as class numbers with their names, and the fitted label that made them, if one did.

    Parameters
    ----------
    truth : Truth
        Of one target: numbers of classes, or values in units.
    target : Dataset
        Where the attribute ``flag_meanings`` of the target's variable names the classes.
    axis : Axis
        Times of the values.
    config : TargetConfig
        Its ``label``.
    train : TrainSplit
        What the label may learn of.
    backend : Backend
        Whose arrays the values are.

    Raises
    ------
    DataError
        If there is more than one target, neither a label nor names of classes, or a class that the label never makes
        in the train split.
    """
    if len(truth.names) != 1:
        raise DataError(f"a segmentation: expected one target, got {', '.join(truth.names)}.")
    name = truth.names[0]
    if config.label is None:
        meanings = class_names(target, name)
        if not meanings:
            raise DataError(
                f"the target {name!r}: expected numbers of classes with names, got none. Write classes: [first, "
                "second] for it in the catalog, or what makes classes of its values under prepare.target.label."
            )
        return replace(truth, classes=meanings, units=("1",), standard_names=("",)), None
    label = make_label(config.label)
    values = truth.values[:, 0, ...]
    label.fit(values, axis.time, train, truth.grid, units=truth.units[0])
    # Split by split: an event that reached over a border would let validation say what happened in train.
    host = np.full(tuple(values.shape), np.nan, np.float32)
    for index in axis.positions.values():
        host[index] = backend.to_host(label.label(rows(values, index), axis.time[index], truth.grid))
    numbers = backend.asarray(host)[:, None, ...]
    _require_every_class(label, values, host, axis, train, backend)
    return replace(
        truth, values=numbers, names=(label.kind,), units=("1",), classes=label.classes, standard_names=("",)
    ), label


def _require_every_class(
    label: EventLabel, values: Array, numbers: np.ndarray, axis: Axis, train: TrainSplit, backend: Backend
) -> None:
    """Refuse a label of which the train split lacks a class, and say why: nothing can be learned of it."""
    there = np.unique(train.take(numbers))
    lacking = [name for number, name in enumerate(label.classes) if number not in there]
    if lacking:
        known = train.take(values)
        raise DataError(
            f"the target: class {lacking[0]!r} never occurs in the train split: "
            f"{label.explain_lack(known, axis.time[train.index])}"
        )
