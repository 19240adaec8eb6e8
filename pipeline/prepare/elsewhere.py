"""Test sets with data of their own: another model run or period, prepared with what was fitted on train."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from pipeline.errors import DataError, SplitError
from pipeline.grid import Grid
from pipeline.prepare.align import Predictors, crop, steps_at
from pipeline.prepare.arrays import anywhere
from pipeline.prepare.dates import calendar_of, components, iso, microseconds, parse
from pipeline.prepare.frequencies import class_names, require_numbers
from pipeline.prepare.inputs import only
from pipeline.prepare.places import of_same_stations, placed
from pipeline.prepare.recipe import Recipe, Steps
from pipeline.prepare.spans import beyond
from pipeline.prepare.targets import Observed
from pipeline.prepare.windows import Windows
from pipeline.rows import Room, Rows, whole

Array = Any


@dataclass(frozen=True, eq=False)
class TestSource:
    """What a test set with data of its own is made of.

    Parameters
    ----------
    predictors : sequence of (str, Dataset)
        Under the dataset names of the training predictors, whose place they take.
    target : Dataset or None
        The truth; None where there is none.
    forcings : sequence of Dataset
        Series without a place.
    span : tuple of str, or None
        First and last date, both included; None for all.
    """

    predictors: Predictors
    target: xr.Dataset | None = None
    forcings: Sequence[xr.Dataset] = ()
    span: tuple[str, str] | None = None


@dataclass(frozen=True, eq=False)
class Elsewhere:
    """A prepared test set with data of its own.

    Parameters
    ----------
    steps : Steps
        Its encoded dates.
    target : array of float32, shape (time, target, lat, lon), or None
        In units, NaN outside the mask and where there is no truth, on the device.
    windows : Windows
        Its samples.
    notes : tuple of str
        What a reader should know of its dates.
    """

    steps: Steps
    target: Array | None
    windows: Windows
    notes: tuple[str, ...] = ()


def prepare_elsewhere(
    recipe: Recipe,
    name: str,
    source: TestSource,
    months: Sequence[int] | None,
    region: Mapping[str, tuple[float, float]] | None,
    room: Room | None = None,
) -> Elsewhere:
    """Return the test set called ``name``; nothing is fitted on it.

    Its dates may be those of the train split: it is another world. Channels are chosen by name.

    Raises
    ------
    DataError
        If a channel is missing, the times cannot be matched, or the truth lies on another grid.
    SplitError
        If no date is left, or there is no truth where one was given.
    """
    try:
        there = recipe.encode_steps(source.predictors, source.forcings, room=room)
        steps = _within(there, source.span, months)
        target = None if source.target is None else truth_on(recipe, crop(source.target, region), steps.time, room)
    except (DataError, SplitError) as error:
        raise type(error)(f"test set {name!r}: {error}") from error
    known = None
    if target is not None:
        known = anywhere(target, recipe.backend.xp.isfinite, recipe.backend)
    asked = {} if source.span is None else {f"data.tests.{name}.span": source.span}
    return Elsewhere(steps, target, recipe.windows_of(steps, name, known), beyond(asked, there.time, months))


def _within(steps: Steps, span: tuple[str, str] | None, months: Sequence[int] | None) -> Steps:
    chosen = np.ones(len(steps.time), bool)
    if span is not None:
        calendar = calendar_of(steps.time)
        try:
            first, after = parse(span[0], calendar)[0], parse(span[1], calendar)[1]
        except ValueError as error:
            raise SplitError(f"span: {error}.") from error
        count = microseconds(steps.time)
        chosen &= (count >= first) & (count < after)
    if months is not None:
        chosen &= np.isin(components(steps.time)[:, 1], list(months))
    index = np.flatnonzero(chosen)
    if not index.size:
        raise SplitError(
            f"expected dates in {span or 'its span'} and data.months {months!r}, got none; the predictors span "
            f"{iso(steps.time[0])} to {iso(steps.time[-1])}."
        )
    return steps.take(index)


def truth_on(recipe: Recipe, target: xr.Dataset, time: np.ndarray, room: Room | None = None) -> Array:
    """Return the target on the dates of ``time``, float32, shape (time, target, lat, lon), in units, kept in ``room``.

    NaN outside the mask and where it has none.

    Raises
    ------
    DataError
        If it is another target, has other units or lies elsewhere.
    SplitError
        If it has no value on any of the dates.
    """
    schema, backend = recipe.schema, recipe.backend
    label = recipe.label
    names, units_of = schema.variables, schema.target_units
    if label is not None:  # classes are made of the one variable, whatever they are called
        names, units_of = tuple(map(str, target.data_vars))[:1], (label.facts()["units"],)
    target = placed(target, names[0])
    if schema.target_grid.stations and "station" in target.dims:
        (_, target), *_ = of_same_stations([("the target", target)], schema.target_grid.stations, "the models")
    grid = Grid.of(target)
    if not grid.same(schema.target_grid):
        raise DataError(
            f"expected the truth on the {schema.target_grid.shape} cells that the models were fitted on, got "
            f"{grid.shape} cells elsewhere."
        )
    missing = [name for name in names if name not in target]
    if missing:
        raise DataError(f"expected the targets {', '.join(names)}, got {', '.join(map(str, target.data_vars))}.")
    where = steps_at(time, target, "the target", schema.step_us)
    for name, units in zip(names, units_of[: len(names)], strict=True):
        got = str(target[name].attrs.get("units", ""))
        if schema.classes and label is None:
            _require_classes(target, name, schema.classes)
        elif got != units:
            raise DataError(f"target {name!r}: expected units {units!r}, got {got!r}; convert it in the catalog.")
    room = Room(backend) if room is None else room
    values: Rows | Array = Observed(backend, target[list(names)], grid, where)
    if schema.classes:  # classes are small, and labels look over whole series
        host = np.array(backend.to_host(whole(values)))
        if label is None:
            require_numbers(host, schema.classes)
        else:
            host = np.array(backend.to_host(label.label(backend.asarray(host[:, 0]), time, grid)))[:, None]
        values = backend.asarray(host)
    kept = room.keep(only(values, schema.mask), "truth")
    if not anywhere(kept, backend.xp.isfinite, backend).any():
        raise SplitError(
            "expected truth on some date of the predictors, got none; leave `target` out, and it is not scored."
        )
    return kept


def _require_classes(target: xr.Dataset, name: str, classes: tuple[str, ...]) -> None:
    got = class_names(target, name)
    if got != classes:
        raise DataError(
            f"target {name!r}: expected the classes {', '.join(classes)} that the models were fitted on, got "
            f"{', '.join(got) or 'none'}. Write the same classes in the catalog, in the same order."
        )
