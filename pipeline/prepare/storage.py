"""Prepared data on disk: npy for the large arrays, safetensors for what was fitted, JSON for the rest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.backend import Backend
from pipeline.grid import Grid
from pipeline.prepare.climatology import Climatology
from pipeline.prepare.elsewhere import Elsewhere
from pipeline.prepare.empirical import EmpiricalClimatology
from pipeline.prepare.frequencies import ClassFrequencies
from pipeline.prepare.inputs import InputTransform
from pipeline.prepare.labels import EventLabel, restore_label
from pipeline.prepare.parts import Part, load_part, save_part
from pipeline.prepare.quantiles import YearWindows
from pipeline.prepare.scalars import ScalarTransform
from pipeline.prepare.scaling import Standardiser
from pipeline.prepare.state import Arrays, Facts, read_state, write_state
from pipeline.prepare.tiles import Tile
from pipeline.prepare.transform import TargetTransform
from pipeline.projection import Projection
from pipeline.rows import Room
from pipeline.samples import Affine, Schema

if TYPE_CHECKING:
    from pipeline.prepare.prepared import Prepared
    from pipeline.prepare.recipe import Recipe


def save_recipe(recipe: Recipe, folder: Path) -> None:
    """Write what was fitted into ``folder``; the same state gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays, facts = state(recipe)
    write_state(folder / "recipe", arrays, facts, recipe.backend)


def save_data(prepared: Prepared, folder: Path) -> None:
    """Write the data of all splits into ``folder``, which is there."""
    save_part(folder / "prepared", Part(prepared.steps, prepared.target, prepared.splits), prepared.backend)
    for number, (name, part) in enumerate(prepared.elsewhere.items()):
        save_part(
            folder / f"elsewhere-{number:02d}", Part(part.steps, part.target, {name: part.windows}), prepared.backend
        )
    facts: Facts = {
        "elsewhere": list(prepared.elsewhere),
        "summary": prepared.summary(),
        "cells": list(prepared.cells or {}),
    }
    facts["origins"] = [[tile.image, tile.y, tile.x] for tile in prepared.origins]
    cells = {f"cells/{name}": inside for name, inside in (prepared.cells or {}).items()}
    write_state(folder / "facts", {"none": np.zeros(0)} | cells, facts, prepared.backend)


def state(recipe: Recipe) -> tuple[Arrays, Facts]:
    """Return all fitted arrays by name, and everything else as JSON values."""
    schema, encoder, transform = recipe.schema, recipe.encoder, recipe.transform
    arrays: Arrays = {
        "mask": schema.mask,
        "static": schema.static,
        "input_lat": schema.input_grid.lat,
        "input_lon": schema.input_grid.lon,
        "target_lat": schema.target_grid.lat,
        "target_lon": schema.target_grid.lon,
        "input_mean": encoder.scaler.mean,
        "input_deviation": encoder.scaler.deviation,
        "input_unseen": encoder.unseen,
        "input_covered": encoder.covered,
        "target_divisor": transform.scale,
        "forcing_mean": recipe.scalars.mean,
        "forcing_deviation": recipe.scalars.deviation,
    }
    climatologies = {"shift": transform.shift}
    if isinstance(recipe.reference, ClassFrequencies):
        arrays["class_frequencies"] = recipe.reference.values
    elif isinstance(recipe.reference, EmpiricalClimatology):
        known = {"values": recipe.reference.values, **recipe.reference.windows.arrays()}
        arrays |= {f"reference_{name}": array for name, array in known.items()}
    else:
        climatologies["reference"] = recipe.reference
    if encoder.anomaly is not None:
        climatologies["anomaly"] = encoder.anomaly
    for name, fitted in climatologies.items():
        arrays |= {f"{name}_{part}": getattr(fitted, part) for part in ("mean", "variance", "constant")}
    for side in ("channel", "target"):
        affine = getattr(schema, f"{side}_affine")
        arrays |= {} if affine is None else {f"{side}_scale": affine.scale, f"{side}_shift": affine.shift}
    arrays |= {} if schema.region is None else {"region": schema.region}
    texts = (
        "channels", "channel_units", "targets", "target_units", "statics", "scalars",
        "leads", "classes", "class_shares", "target_standard_names", "regions",
    )  # fmt: skip
    facts = {
        "step_us": schema.step_us,
        "transforms": [] if schema.channel_affine is None else list(schema.channel_affine.transforms),
        "schema": {name: list(getattr(schema, name)) for name in texts},
        "scalars": {part: getattr(recipe.scalars, part) for part in ("forcings", "units", "calendar")},
        "stations": {"input": list(schema.input_grid.stations), "target": list(schema.target_grid.stations)},
        "dims": {"input": list(schema.input_grid.dims), "target": list(schema.target_grid.dims)},
        "projections": {
            side: None if grid.projection is None else grid.projection.facts()
            for side, grid in (("input", schema.input_grid), ("target", schema.target_grid))
        },
        "encoder": {
            part: getattr(encoder, part) for part in ("names", "units", "lags", "method", "transforms", "missing")
        },
        "input_constant": encoder.scaler.constant,
        "target_constant": transform.constant,
        "label": None if recipe.label is None else recipe.label.facts(),
        "climatologies": {
            name: {part: getattr(fitted, part) for part in ("asked", "used", "means_only")}
            for name, fitted in climatologies.items()
        },
    }
    if recipe.label is not None:
        arrays |= {f"label/{name}": array for name, array in recipe.label.arrays().items()}
    return arrays, facts


def recipe_parts(folder: Path, backend: Backend) -> dict[str, Any]:
    """Return the fields of the recipe that :func:`save_recipe` wrote.

    Raises
    ------
    DataError
        If a file is missing or of another format.
    """
    arrays, facts = read_state(folder / "recipe")
    climatologies = {name: _climatology(name, kept, arrays, backend) for name, kept in facts["climatologies"].items()}
    schema = _schema(facts, arrays)
    scale = backend.asarray(arrays["target_divisor"])
    return {
        "schema": schema,
        "encoder": _encoder(facts, arrays, schema.input_grid, climatologies.get("anomaly"), backend),
        "scalars": ScalarTransform(
            tuple(facts["scalars"]["forcings"]),
            tuple(facts["scalars"]["units"]),
            arrays["forcing_mean"],
            arrays["forcing_deviation"],
            facts["scalars"]["calendar"],
        ),
        "transform": TargetTransform(climatologies["shift"], scale, tuple(facts["target_constant"])),
        "reference": climatologies.get("reference") or _reference(arrays, backend),
        "label": None if facts["label"] is None else _label(facts["label"], arrays, backend),
    }


def data_parts(folder: Path, room: Room) -> dict[str, Any]:
    """Return the fields that :func:`save_data` wrote, on the device of the room's backend.

    Raises
    ------
    DataError
        If a file is missing or of another format.
    """
    arrays, facts = read_state(folder / "facts")
    main = load_part(folder / "prepared", room)
    elsewhere = {}
    for number, name in enumerate(facts["elsewhere"]):
        part = load_part(folder / f"elsewhere-{number:02d}", room)
        elsewhere[name] = Elsewhere(part.steps, part.target, part.windows[name])
    return {
        "splits": main.windows,
        "steps": main.steps,
        "target": main.target,
        "elsewhere": elsewhere,
        "facts": facts["summary"],
        "cells": {name: arrays[f"cells/{name}"] for name in facts["cells"]} or None,
        "origins": tuple(Tile(*origin) for origin in facts["origins"]),
    }


def _schema(facts: dict[str, Any], arrays: Arrays) -> Schema:
    planes = facts.get("projections", {})  # of runs before these were kept there are none
    grids: dict[str, Any] = {
        f"{side}_grid": Grid(
            arrays[f"{side}_lat"],
            arrays[f"{side}_lon"],
            (dims[0], dims[1]),
            tuple(facts["stations"][side]),
            projection=Projection.of_facts(planes[side]) if planes.get(side) else None,
        )
        for side, dims in facts["dims"].items()
    }
    affines: dict[str, Any] = {
        f"{side}_affine": Affine(arrays[f"{side}_scale"], arrays[f"{side}_shift"], transforms)
        for side, transforms in (("channel", tuple(facts["transforms"])), ("target", ()))
        if f"{side}_scale" in arrays
    }
    texts: dict[str, Any] = {name: tuple(values) for name, values in facts["schema"].items()}
    step = np.timedelta64(facts["step_us"], "us")
    parts: dict[str, Any] = {name: arrays.get(name) for name in ("mask", "static", "region")}
    return Schema(**texts, **grids, **affines, **parts, step=step)


def _climatology(name: str, kept: dict[str, int], arrays: Arrays, backend: Backend) -> Climatology:
    parts = {part: backend.asarray(arrays[f"{name}_{part}"]) for part in ("mean", "variance", "constant")}
    return Climatology(**parts, **kept)


def _label(facts: Facts, arrays: Arrays, backend: Backend) -> EventLabel:
    own = {name.removeprefix("label/"): array for name, array in arrays.items() if name.startswith("label/")}
    return restore_label({name: backend.asarray(array) for name, array in own.items()}, facts)


def _reference(arrays: Arrays, backend: Backend) -> EmpiricalClimatology | ClassFrequencies:
    if "class_frequencies" in arrays:
        return ClassFrequencies(backend.asarray(arrays["class_frequencies"]))
    windows = YearWindows.of_arrays({name: arrays[f"reference_{name}"] for name in YearWindows.NAMES})
    return EmpiricalClimatology(backend.asarray(arrays["reference_values"]), windows)


def _encoder(facts: Facts, arrays: Arrays, grid: Grid, anomaly: Climatology | None, backend: Backend) -> InputTransform:
    mean, deviation, unseen = (backend.asarray(arrays[f"input_{part}"]) for part in ("mean", "deviation", "unseen"))
    kept = facts["encoder"]
    return InputTransform(
        names=tuple(kept["names"]),
        units=tuple(kept["units"]),
        lags=tuple(kept["lags"]),
        method=kept["method"],
        transforms=tuple(kept["transforms"]),
        grid=grid,
        anomaly=anomaly,
        scaler=Standardiser(mean, deviation, tuple(facts["input_constant"])),
        unseen=unseen,
        covered=arrays["input_covered"],
        missing=kept["missing"],
    )
