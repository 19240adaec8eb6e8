"""Daily fields of any size as netCDF files, written some times at a time, with a target that follows the predictors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import yaml

VARIABLES = {"tas": "K", "psl": "Pa"}
A_DAY = 4  # times


def write_world(
    folder: Path,
    times: int,
    side: int,
    cells: int,
    models: Mapping[str, Mapping[str, Any]],
    explained: Sequence[str] = (),
    scores: Sequence[str] | None = None,
    **compute: Any,
) -> Path:
    """Write two files, their catalog and an experiment into an empty folder; return the experiment's path.

    Parameters
    ----------
    folder : Path
        Where they go.
    times : int
        Six-hourly times.
    side, cells : int
        Cells a side, of the two predictors and of the target.
    models : mapping of str to mapping
        Those of the experiment.
    explained : sequence of str
        Networks whose saliency is asked for.
    scores : sequence of str, optional
        Those of the experiment; left out, those of its default.
    **compute
        Its ``compute``.
    """
    _write_fields(folder, times, side, cells)
    catalog = {"schema_version": 1, "coarse": _entry("coarse.nc", VARIABLES), "fine": _entry("fine.nc", {"tas": "K"})}
    (folder / "data_catalog.yaml").write_text(yaml.safe_dump(catalog), encoding="utf-8")

    def day(share: float) -> str:
        return str(np.datetime64("1981-01-01") + np.timedelta64(int(share * times / A_DAY), "D"))

    experiment = {
        "name": "large",
        "question": "What does it take?",
        "data": {"predictors": [{"dataset": "coarse"}], "target": {"dataset": "fine"}},
        "split": {
            "train": [day(0.0), day(0.7)],
            "validation": [day(0.72), day(0.85)],
            "test": [day(0.87), day(0.99)],
            "gap": "2D",
        },
        "models": {name: dict(options) for name, options in models.items()},
        "explain": [{"method": "saliency", "models": list(explained), "days": 4, "check_days": 2}] if explained else [],
        "compute": compute,
    }
    if scores is not None:
        experiment["scores"] = list(scores)
    path = folder / "large.yaml"
    path.write_text(yaml.safe_dump(experiment), encoding="utf-8")
    return path


def _entry(path: str, variables: Mapping[str, str]) -> dict[str, Any]:
    units = {name: {"units": own} for name, own in variables.items()}
    return {"format": "netcdf", "files": [{"path": path}], "variables": units, "licence": "CC0-1.0"}


def _write_fields(folder: Path, times: int, side: int, cells: int) -> None:
    rng = np.random.default_rng(0)
    patterns = {name: rng.normal(size=(3, side * side)).astype("f4") for name in VARIABLES}
    fine = rng.normal(size=(3, cells * cells)).astype("f4")
    with (
        closing(_file(folder / "coarse.nc", times, side, VARIABLES)) as coarse,
        closing(_file(folder / "fine.nc", times, cells, {"tas": "K"})) as target,
    ):
        for first, last in pairwise([*range(0, times, 2000), times]):
            weather = rng.normal(size=(last - first, 3)).astype("f4")
            season = 280.0 + 8.0 * np.cos(2 * np.pi * np.arange(first, last) / (365.25 * A_DAY))[:, None]
            for name, level, scale in (("tas", season, 1.0), ("psl", 1.01e5, 100.0)):
                field = level + scale * (weather @ patterns[name] + 0.3 * rng.normal(size=(len(weather), side**2)))
                coarse[name][first:last] = field.reshape(-1, side, side)
            truth = season + weather @ fine + 0.3 * rng.normal(size=(len(weather), cells**2))
            target["tas"][first:last] = truth.reshape(-1, cells, cells)


def _file(path: Path, times: int, side: int, variables: Mapping[str, str]) -> netCDF4.Dataset:
    file = netCDF4.Dataset(path, "w")
    file.createDimension("time", times)
    time = file.createVariable("time", "f8", ("time",))
    time.units = "hours since 1981-01-01"
    time[:] = np.arange(times) * 24 // A_DAY
    for name, first, last, units in (("lat", 40, 50, "degrees_north"), ("lon", 0, 10, "degrees_east")):
        file.createDimension(name, side)
        place = file.createVariable(name, "f8", (name,))
        place.units = units
        place[:] = np.linspace(first, last, side)
    for name, units in variables.items():
        file.createVariable(name, "f4", ("time", "lat", "lon"), contiguous=True).units = units
    return file
