"""The fitted train climate on disk: it travels with every bundle, so that new data get the same score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pipeline.backend import Backend
from pipeline.novelty.climate import Climate
from pipeline.novelty.fitted import Novelty
from pipeline.novelty.reference import Reference
from pipeline.novelty.season import Season
from pipeline.novelty.space import Space
from pipeline.prepare.state import Arrays, read_state, write_state
from pipeline.samples import Schema

STEM = "novelty"
FILES = (f"{STEM}.json", f"{STEM}.safetensors")
_CLIMATE = ("centre", "scale", "components", "variance")
_REFERENCE = ("distance", "residual", "phase")


def save_novelty(novelty: Novelty, folder: Path, backend: Backend) -> None:
    """Write what was fitted into ``folder``, which is there."""
    arrays, facts = state(novelty)
    write_state(folder / STEM, arrays, facts, backend)


def load_novelty(folder: Path, schema: Schema, backend: Backend) -> Novelty | None:
    """Return what :func:`save_novelty` wrote, on the device of ``backend``; None where there is none.

    Raises
    ------
    FormatError
        If another version of Finescale wrote it.
    """
    if not all((folder / name).is_file() for name in FILES):
        return None
    arrays, facts = read_state(folder / STEM)
    season = None
    if facts["season"] is not None:
        own = facts["season"]
        season = Season(
            own["harmonics"],
            arrays["season_cycle"],
            Climate(**_climate(arrays, "season_"), harmonics=0, total=own["total"]),
            Reference(**_reference(arrays, "season_"), deviation=own["deviation"]),
        )
    on_device = {name: backend.asarray(array) for name, array in _climate(arrays, "").items()}
    return Novelty(
        Space(schema, facts["statics"], tuple(facts["forcings"])),
        Climate(**on_device, harmonics=facts["harmonics"], total=facts["total"]),
        Reference(**_reference(arrays, ""), deviation=facts["deviation"]),
        season,
        arrays["forcing_ranges"],
        facts["kind"],
        facts["folds"],
        facts["samples"],
    )


def state(novelty: Novelty) -> tuple[Arrays, dict[str, Any]]:
    """Return all fitted arrays by name, and everything else as JSON values."""
    climate, season = novelty.climate, novelty.season
    arrays: Arrays = {name: getattr(climate, name) for name in _CLIMATE}
    arrays["forcing_ranges"] = novelty.ranges
    arrays |= {f"train_{name}": getattr(novelty.reference, name) for name in _REFERENCE}
    facts: dict[str, Any] = {
        "statics": novelty.space.statics,
        "forcings": list(novelty.space.forcings),
        "harmonics": climate.harmonics,
        "total": climate.total,
        "deviation": novelty.reference.deviation,
        "kind": novelty.kind,
        "folds": novelty.folds,
        "samples": novelty.samples,
        "season": None,
    }
    if season is not None:
        arrays |= {f"season_{name}": getattr(season.climate, name) for name in _CLIMATE}
        arrays |= {f"season_train_{name}": getattr(season.reference, name) for name in _REFERENCE}
        arrays["season_cycle"] = season.cycle
        facts["season"] = {
            "harmonics": season.harmonics,
            "total": season.climate.total,
            "deviation": season.reference.deviation,
        }
    return arrays, facts


def _climate(arrays: Arrays, prefix: str) -> dict[str, np.ndarray]:
    return {name: arrays[f"{prefix}{name}"] for name in _CLIMATE}


def _reference(arrays: Arrays, prefix: str) -> dict[str, np.ndarray]:
    return {name: arrays[f"{prefix}train_{name}"] for name in _REFERENCE}
