"""Prepared data on disk: npy for the large arrays, safetensors for what was fitted, JSON for the rest."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.backend import Backend
from pipeline.errors import DataError
from pipeline.grid import Grid
from pipeline.prepare.climatology import Climatology
from pipeline.prepare.dates import calendar_of, from_microseconds, microseconds, phase_of_year
from pipeline.prepare.inputs import InputTransform
from pipeline.prepare.scaling import Standardiser
from pipeline.prepare.transform import TargetTransform
from pipeline.prepare.windows import Windows
from pipeline.samples import Schema

if TYPE_CHECKING:
    from pipeline.prepare.prepared import Prepared
    from pipeline.prepare.recipe import Recipe

FORMAT = 1
Arrays = dict[str, Any]
Facts = dict[str, Any]


def save_recipe(recipe: Recipe, folder: Path) -> None:
    """Write what was fitted into ``folder``; the same state gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays, facts = state(recipe)
    _write(folder / "recipe", arrays, facts, recipe.backend)


def save_data(prepared: Prepared, folder: Path) -> None:
    """Write the data of all splits into ``folder``, which is there."""
    host = prepared.backend.to_host
    np.save(folder / "inputs.npy", host(prepared.inputs), allow_pickle=False)
    np.save(folder / "target.npy", host(prepared.target), allow_pickle=False)
    arrays: Arrays = {"time": microseconds(prepared.time)}
    for name, chosen in prepared.windows.items():
        arrays |= {f"windows/{name}/{part}": getattr(chosen, part) for part in ("index", "now", "previous")}
    facts = {
        "calendar": calendar_of(prepared.time),
        "native_time": prepared.time.dtype.kind == "M",
        "windows": {
            name: {part: getattr(chosen, part) for part in ("segments", "steps", "dropped", "truth")}
            for name, chosen in prepared.windows.items()
        },
        "summary": prepared.summary(),
    }
    _write(folder / "prepared", arrays, facts, prepared.backend)


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
        "target_scale": transform.scale,
    }
    climatologies = {"reference": recipe.reference, "shift": transform.shift}
    if encoder.anomaly is not None:
        climatologies["anomaly"] = encoder.anomaly
    for name, fitted in climatologies.items():
        arrays |= {f"{name}_{part}": getattr(fitted, part) for part in ("mean", "variance", "constant")}
    texts = ("channels", "channel_units", "targets", "target_units", "statics")
    facts = {
        "step_us": int(schema.step / np.timedelta64(1, "us")),
        "schema": {name: list(getattr(schema, name)) for name in texts},
        "dims": {"input": list(schema.input_grid.dims), "target": list(schema.target_grid.dims)},
        "encoder": {part: getattr(encoder, part) for part in ("names", "units", "lags", "method")},
        "input_constant": encoder.scaler.constant,
        "target_constant": transform.constant,
        "climatologies": {
            name: {part: getattr(fitted, part) for part in ("asked", "used", "means_only")}
            for name, fitted in climatologies.items()
        },
    }
    return arrays, facts


def recipe_parts(folder: Path, backend: Backend) -> dict[str, Any]:
    """Return the fields of the recipe that :func:`save_recipe` wrote.

    Raises
    ------
    DataError
        If a file is missing or of another format.
    """
    arrays, facts = _read(folder / "recipe")
    climatologies = {name: _climatology(name, kept, arrays, backend) for name, kept in facts["climatologies"].items()}
    schema = _schema(facts, arrays)
    scale = backend.asarray(arrays["target_scale"])
    return {
        "schema": schema,
        "encoder": _encoder(facts, arrays, schema.input_grid, climatologies.get("anomaly"), backend),
        "transform": TargetTransform(climatologies["shift"], scale, tuple(facts["target_constant"])),
        "reference": climatologies["reference"],
    }


def data_parts(folder: Path, backend: Backend) -> dict[str, Any]:
    """Return the fields that :func:`save_data` wrote.

    Raises
    ------
    DataError
        If a file is missing or of another format.
    """
    arrays, facts = _read(folder / "prepared", "inputs.npy", "target.npy")
    time = from_microseconds(arrays["time"], facts["calendar"], native=facts["native_time"])
    return {
        "windows": {name: _windows(name, kept, arrays) for name, kept in facts["windows"].items()},
        "time": time,
        "phase": phase_of_year(time),
        "inputs": backend.asarray(np.load(folder / "inputs.npy", allow_pickle=False)),
        "target": backend.asarray(np.load(folder / "target.npy", allow_pickle=False)),
        "facts": facts["summary"],
    }


def _write(stem: Path, arrays: Arrays, facts: Facts, backend: Backend) -> None:
    from safetensors.numpy import save_file

    host = {name: np.ascontiguousarray(backend.to_host(array)) for name, array in arrays.items()}
    save_file(host, stem.with_suffix(".safetensors"))
    stem.with_suffix(".json").write_text(json.dumps({"format": FORMAT, **facts}, indent=1) + "\n")


def _read(stem: Path, *beside: str) -> tuple[Arrays, Facts]:
    from safetensors.numpy import load_file

    names = (f"{stem.name}.json", f"{stem.name}.safetensors", *beside)
    missing = [name for name in names if not (stem.parent / name).is_file()]
    if missing:
        raise DataError(f"expected prepared data in {stem.parent}; {', '.join(missing)} is not there. Prepare again.")
    facts = json.loads(stem.with_suffix(".json").read_text())
    if facts.get("format") != FORMAT:
        raise DataError(f"expected prepared data of format {FORMAT} in {stem.parent}, got {facts.get('format')!r}.")
    return load_file(stem.with_suffix(".safetensors")), facts


def _schema(facts: dict[str, Any], arrays: Arrays) -> Schema:
    grids: dict[str, Any] = {
        f"{side}_grid": Grid(arrays[f"{side}_lat"], arrays[f"{side}_lon"], (dims[0], dims[1]))
        for side, dims in facts["dims"].items()
    }
    texts: dict[str, Any] = {name: tuple(values) for name, values in facts["schema"].items()}
    step = np.timedelta64(facts["step_us"], "us")
    return Schema(**texts, **grids, mask=arrays["mask"], static=arrays["static"], step=step)


def _climatology(name: str, kept: dict[str, int], arrays: Arrays, backend: Backend) -> Climatology:
    parts = {part: backend.asarray(arrays[f"{name}_{part}"]) for part in ("mean", "variance", "constant")}
    return Climatology(**parts, **kept)


def _encoder(facts: Facts, arrays: Arrays, grid: Grid, anomaly: Climatology | None, backend: Backend) -> InputTransform:
    mean, deviation, unseen = (backend.asarray(arrays[f"input_{part}"]) for part in ("mean", "deviation", "unseen"))
    kept = facts["encoder"]
    return InputTransform(
        names=tuple(kept["names"]),
        units=tuple(kept["units"]),
        lags=tuple(kept["lags"]),
        method=kept["method"],
        grid=grid,
        anomaly=anomaly,
        scaler=Standardiser(mean, deviation, tuple(facts["input_constant"])),
        unseen=unseen,
    )


def _windows(name: str, kept: dict[str, Any], arrays: Arrays) -> Windows:
    positions = {part.name: arrays[f"windows/{name}/{part.name}"] for part in fields(Windows)[:3]}
    return Windows(**positions, **kept)
