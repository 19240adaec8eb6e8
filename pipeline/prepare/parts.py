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
    np.save(f"{stem}-inputs.npy", backend.to_host(part.steps.inputs), allow_pickle=False)
    if part.target is not None:
        np.save(f"{stem}-target.npy", backend.to_host(part.target), allow_pickle=False)
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


def load_part(stem: Path, backend: Backend) -> Part:
    """Return what :func:`save_part` wrote, on the device of ``backend``.

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
    inputs = _array(f"{stem}-inputs.npy", backend)
    phase = np.zeros(len(time)) if tiles else phase_of_year(time)
    steps = Steps(time, phase, inputs, arrays["scalars"], arrays["complete"], arrays.get("usable"))
    target = None
    if facts["truth"]:
        read_state(stem, f"{stem.name}-target.npy")
        target = _array(f"{stem}-target.npy", backend)
    return Part(steps, target, {name: _windows(name, kept, arrays) for name, kept in facts["windows"].items()})


def _array(path: str, backend: Backend) -> Array:
    # Mapped, on the host: what a stage does not ask for takes no memory, and processes side by side share the rest.
    return backend.asarray(np.load(path, mmap_mode="r", allow_pickle=False))


def _windows(name: str, kept: dict[str, Any], arrays: Arrays) -> Windows:
    positions = {part: arrays[f"windows/{name}/{part}"] for part in POSITIONS}
    return Windows(**positions, **kept)
