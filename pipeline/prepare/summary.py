"""What a report says of the prepared data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.backend import array_namespace
from pipeline.grid import Grid
from pipeline.prepare.align import Axis
from pipeline.prepare.climatology import Climatology
from pipeline.prepare.config import PrepareConfig
from pipeline.prepare.dates import DAY, calendar_of, components, iso
from pipeline.prepare.elsewhere import Elsewhere
from pipeline.prepare.inputs import Inputs
from pipeline.prepare.labels import EventLabel
from pipeline.prepare.recipe import Steps
from pipeline.prepare.regions import Regions
from pipeline.prepare.scalars import ScalarTransform
from pipeline.prepare.statics import Statics
from pipeline.prepare.targets import Truth
from pipeline.prepare.transform import TargetTransform
from pipeline.prepare.windows import Windows


def summarise(
    axis: Axis,
    inputs: Inputs,
    truth: Truth,
    statics: Statics,
    reference: Climatology,
    transform: TargetTransform,
    windows: Mapping[str, Windows],
    config: PrepareConfig,
    months: Sequence[int] | None,
    elsewhere: Mapping[str, Elsewhere],
    scalars: ScalarTransform,
    notes: Sequence[str],
    shares: Sequence[float] = (),
    *,
    steps: Steps,
    label: EventLabel | None = None,
    cells: Mapping[str, np.ndarray] | None = None,
    regions: Regions,
) -> dict[str, Any]:
    """Return JSON values, by these keys.

    ``splits``: for each, the span asked for, first and last sample, steps, samples, segments (seasons),
    what was dropped and why, of a table the values of single stations that miss predictors (``without_inputs``),
    whether there is truth, and whether its data are its own. ``gap, calendar,
    step_days, matched_by, months, notes``: of the time axis. ``channels, scalars, targets, statics``: names,
    units, and cells that never vary or were never seen. ``input_grid, target_grid``: shape and bounds.
    ``mask``: cells in it and in all.
    ``leads, missing, stations, classes``: steps ahead, what became of missing predictors and the share that was
    filled, names of stations, names of classes and their shares in the train split. ``label``: the definition that
    classes were computed by, with all its options and what it learnt; None where they come as they are.
    ``regions``: how the parts came about that scores are told of, and the cells and the share of the area of each.
    ``regridding``: for each dataset. ``scaling``: the options taken. ``climatology``: harmonics asked for
    and used, and cells with their plain mean.
    """
    tiles = axis.time.dtype.kind in "iu"
    return {
        "splits": {
            name: _split(axis, name, chosen)
            | _without_inputs(steps, chosen, truth.mask if cells is None else cells[name] & truth.mask)
            for name, chosen in windows.items()
        }
        | {
            name: _elsewhere(part) | _without_inputs(part.steps, part.windows, truth.mask)
            for name, part in elsewhere.items()
        },
        "gap": axis.split.gap,
        "calendar": "none" if tiles else calendar_of(axis.time),
        "step_days": None if tiles else axis.step / DAY,
        "matched_by": axis.matched_by,
        "months": None if months is None else list(months),
        "notes": [
            *notes,
            *axis.notes,
            *statics.notes,
            *regions.notes,
            *_notes(reference, inputs, tiles),
            *(note for part in elsewhere.values() for note in part.notes),
            *_shared_dates(axis, elsewhere),
        ],
        "channels": _channels(inputs),
        "scalars": [
            {"name": name, "units": units} for name, units in zip(scalars.names, scalars.channel_units, strict=True)
        ],
        "targets": [
            {"name": name, "units": units, "standard_name": standard, "constant_cells": constant}
            for name, units, standard, constant in zip(
                truth.names, truth.units, truth.standard_names, transform.constant, strict=True
            )
        ],
        "statics": [{"name": name, "units": units} for name, units in zip(statics.names, statics.units, strict=True)],
        "input_grid": _grid(inputs.transform.grid),
        "target_grid": _grid(truth.grid),
        "mask": {"cells": int(truth.mask.sum()), "of": int(truth.mask.size)},
        "leads": list(config.target.leads),
        "missing": {"how": config.inputs.missing, "filled": inputs.filled},
        "stations": list(truth.grid.stations),
        "classes": [{"name": name, "share": share} for name, share in zip(truth.classes, shares, strict=True)],
        "label": None if label is None else label.facts(),
        "regions": regions.facts(truth.grid.area),
        "regridding": list(inputs.regridding),
        "scaling": {"inputs": config.inputs.model_dump(), "target": config.target.model_dump()},
        "climatology": {
            "harmonics_asked": reference.asked,
            "harmonics_used": reference.used,
            "cells_with_mean_only": reference.means_only,
        },
    }


def _split(axis: Axis, name: str, chosen: Windows) -> dict[str, Any]:
    return {
        "span": list(axis.split.spans[name]),
        "first": _stamp(axis.time[chosen.now[0]]),
        "last": _stamp(axis.time[chosen.now[-1]]),
        "steps": chosen.steps,
        "samples": len(chosen.now),
        "segments": chosen.segments,
        "dropped": {reason: number for reason, number in chosen.dropped.items() if number},
        "truth": chosen.truth,
    }


def _without_inputs(steps: Steps, chosen: Windows, mask: np.ndarray) -> dict[str, Any]:
    """Return how many values of the stations of ``mask`` get no answer, since their window misses a predictor."""
    usable = steps.cells_of(chosen)
    if usable is None:
        return {}
    here = usable[:, mask]
    return {"without_inputs": {"values": int((~here).sum()), "of": int(here.size)}}


def _stamp(time: Any) -> str:
    """Return a date, or the number of a tile."""
    return f"tile {time}" if isinstance(time, np.integer) else iso(time)


def _elsewhere(part: Elsewhere) -> dict[str, Any]:
    time, chosen = part.steps.time, part.windows
    return {
        "span": [iso(time[0])[:10], iso(time[-1])[:10]],
        "first": iso(time[chosen.now[0]]),
        "last": iso(time[chosen.now[-1]]),
        "steps": chosen.steps,
        "samples": len(chosen.now),
        "segments": chosen.segments,
        "dropped": {reason: number for reason, number in chosen.dropped.items() if number},
        "truth": chosen.truth,
        "own_data": True,
        "calendar": calendar_of(time),
    }


def _shared_dates(axis: Axis, elsewhere: Mapping[str, Elsewhere]) -> list[str]:
    """Return a sentence on every test set with data of its own whose dates are dates of the train split too."""
    if not elsewhere:
        return []
    trained, notes = _dates(axis.time[axis.positions["train"]]), []
    for name, part in elsewhere.items():
        shared = int(np.isin(_dates(part.steps.time[part.windows.now]), trained).sum())
        if shared:
            notes.append(
                f"Test set {name} has data of its own: {shared} of its {len(part.windows.now)} dates are dates of the "
                "train split too, in another source."
            )
    return notes


def _dates(time: np.ndarray) -> np.ndarray:
    """Return one number a date, whatever the calendar."""
    numbers: np.ndarray = components(time)[:, :3] @ np.array([10_000, 100, 1])
    return numbers


def _channels(inputs: Inputs) -> list[dict[str, Any]]:
    fitted = inputs.transform
    xp = array_namespace(fitted.unseen)
    unseen = [int(number) for number in xp.sum(xp.astype(fitted.unseen, xp.int64), axis=(1, 2))]
    return [
        {
            "name": name,
            "units": units,
            "constant_cells": fitted.scaler.constant[position],
            "cells_without_data": unseen[position],
        }
        for position, (name, units) in enumerate(zip(fitted.names, fitted.units, strict=True))
    ]


def _grid(grid: Grid) -> dict[str, Any]:
    return {
        "shape": list(grid.shape),
        "dims": list(grid.dims),
        "lat": [float(grid.lat.min()), float(grid.lat.max())],
        "lon": [float(grid.lon.min()), float(grid.lon.max())],
    }


def _notes(reference: Climatology, inputs: Inputs, tiles: bool) -> list[str]:
    notes = []
    if reference.used < reference.asked and not tiles:  # tiles of images have no season
        notes.append(
            f"The climatology has {reference.used} of {reference.asked} harmonics: the train days see too little of "
            "the year to tell more of them apart."
        )
    notes.extend(
        f"{how['cells_outside']} cells of the common grid lie outside the cells of {how['dataset']} "
        "and take its nearest value."
        for how in inputs.regridding
        if how["cells_outside"]
    )
    return notes
