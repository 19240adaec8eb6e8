"""A small world of files: a catalog, netCDF files and an experiment, to be broken one thing at a time."""

from __future__ import annotations

import copy
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

EXPERIMENT = {
    "name": "small",
    "question": "Does it run?",
    "data": {
        "predictors": [{"dataset": "coarse", "variables": ["tas", "psl"]}],
        "target": {"dataset": "fine", "variables": ["tas"]},
    },
    "split": {
        "train": ["2001-01-01", "2001-12-31"],
        "validation": ["2002-01-01", "2002-06-30"],
        "test": ["2002-07-01", "2002-12-31"],
    },
    "prepare": {"harmonics": 1},
    "models": {"climatology": {"kind": "climatology"}, "ridge": {"kind": "ridge"}},
    "scores": ["rmse", "bias", "crps"],
}
CATALOG = {
    "schema_version": 1,
    "coarse": {
        "format": "netcdf",
        "files": [{"path": "coarse.nc"}],
        "variables": {"tas": {"units": "K"}, "psl": {"units": "Pa"}},
        "licence": "CC0-1.0",
    },
    "fine": {
        "format": "netcdf",
        "files": [{"path": "fine.nc"}],
        "variables": {"tas": {"units": "degC"}},
        "licence": "CC0-1.0",
    },
}


@dataclass
class World:
    """Files in one folder; change them, then `write` and `run`."""

    folder: Path
    experiment: dict = field(default_factory=lambda: copy.deepcopy(EXPERIMENT))
    catalog: dict = field(default_factory=lambda: copy.deepcopy(CATALOG))
    coarse: xr.Dataset = field(default_factory=lambda: fields((3, 4), seed=0))
    fine: xr.Dataset = field(default_factory=lambda: fields((6, 8), seed=1))

    def write(self) -> World:
        self.coarse.to_netcdf(self.folder / "coarse.nc")
        self.fine[["tas"]].to_netcdf(self.folder / "fine.nc")
        (self.folder / "data_catalog.yaml").write_text(yaml.safe_dump(self.catalog))
        (self.folder / "small.yaml").write_text(yaml.safe_dump(self.experiment))
        return self

    def run(self, *words: str) -> int:
        return finescale("run", "small.yaml", "--out", str(self.folder / "runs"), "--no-server", *words)


def fields(shape: tuple[int, int], seed: int) -> xr.Dataset:
    """Two years of daily fields that share one weather index, so that ridge has something to find."""
    time = pd.date_range("2001-01-01", "2002-12-31")
    weather = np.random.default_rng(7).normal(size=len(time))
    rng = np.random.default_rng(seed)
    season = 8 * np.cos(2 * np.pi * (time.dayofyear.to_numpy() - 200) / 365.25)
    base = (season + 3 * weather)[:, None, None] + rng.normal(size=shape) + rng.normal(size=(len(time), *shape))
    coords = {"time": time, "lat": np.linspace(40, 42, shape[0]), "lon": np.linspace(-5, -2, shape[1])}
    dims = ("time", "lat", "lon")
    return xr.Dataset(
        {
            "tas": (dims, (base + 285).astype("float32"), {"units": "K"}),
            "psl": (dims, (101325 + 500 * rng.normal(size=base.shape)).astype("float32"), {"units": "Pa"}),
        },
        coords,
    )


def finescale(*words: str) -> int:
    """Call the command line in this process; return its exit code."""
    from flows.cli import run_command

    before = sys.argv
    sys.argv = ["finescale", *words]
    try:
        return run_command()
    finally:
        sys.argv = before


@pytest.fixture
def world(tmp_path, monkeypatch) -> World:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FINESCALE_DATA", raising=False)
    monkeypatch.setenv("FINESCALE_CACHE", str(tmp_path / "cache"))
    return World(tmp_path)


@pytest.fixture
def command():
    return finescale
