"""The data of some splits on disk: encoded dates, truth, windows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.backend import Backend
from pipeline.prepare.dates import calendar_of, from_microseconds, microseconds, phase_of_year
from pipeline.prepare.recipe import Steps
from pipeline.prepare.state import Arrays, read_state, write_state
from pipeline.prepare.windows import Windows
from pipeline.rows import Room, keep_rows

Array = Any
POSITIONS = ("index", "now", "previous", "ahead", "first")  # of a split's samples on the axis


@dataclass(frozen=True, eq=False)
class Part:
    """Dates of one axis, their truth in units (None: there is none), and the samples that are made of them."""

    steps: Steps
    target: Array | None
    windows: Mapping[str, Windows]


def save_part(stem: Path, part: Part, backend: Backend) -> None:
    """Write ``part`` beside ``stem``: npy for the large arrays."""
    keep_rows(Path(f"{stem}-inputs.npy"), part.steps.inputs, backend)
    if part.target is not None:
        keep_rows(Path(f"{stem}-target.npy"), part.target, backend)
    time = part.steps.time
    tiles = time.dtype.kind == "i"
    arrays: Arrays = {
        "time": time if tiles else microseconds(time),
        "scalars": part.steps.scalars,
        "complete": part.steps.complete,
    }
    arrays |= {} if part.steps.usable is None else {"usable": part.steps.usable}
    for name, chosen in part.windows.items():
        arrays |= {f"windows/{name}/{key}": getattr(chosen, key) for key in POSITIONS}
    facts = {
        "calendar": "tiles" if tiles else calendar_of(time),
        "native_time": time.dtype.kind == "M",
        "truth": part.target is not None,
        "windows": {
            name: {key: getattr(chosen, key) for key in ("segments", "steps", "dropped", "truth")}
            for name, chosen in part.windows.items()
        },
    }
    write_state(stem, arrays, facts, backend)


def load_part(stem: Path, room: Room) -> Part:
    """Return what :func:`save_part` wrote, on the device of the room's backend; what has no room there as rows.

    Raises
    ------
    DataError
        If a file is missing or of another format.
    """
    arrays, facts = read_state(stem, f"{stem.name}-inputs.npy")
    tiles = facts["calendar"] == "tiles"
    time = (
        arrays["time"] if tiles else from_microseconds(arrays["time"], facts["calendar"], native=facts["native_time"])
    )
    inputs = room.opened(Path(f"{stem}-inputs.npy"))
    phase = np.zeros(len(time)) if tiles else phase_of_year(time)
    steps = Steps(time, phase, inputs, arrays["scalars"], arrays["complete"], arrays.get("usable"))
    target = None
    if facts["truth"]:
        read_state(stem, f"{stem.name}-target.npy")
        target = room.opened(Path(f"{stem}-target.npy"))
    return Part(steps, target, {name: _windows(name, kept, arrays) for name, kept in facts["windows"].items()})


def _windows(name: str, kept: dict[str, Any], arrays: Arrays) -> Windows:
    positions = {part: arrays[f"windows/{name}/{part}"] for part in POSITIONS}
    return Windows(**positions, **kept)
