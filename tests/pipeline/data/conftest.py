"""Small files of every format, made on the spot, and the real ones where they are."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

from pipeline.backend import get_backend
from pipeline.data.catalog import Catalog, make_entry
from pipeline.data.describe import draft_entry
from pipeline.data.files import Places
from pipeline.data.load import load


@pytest.fixture
def make_field():
    """Factory of a field tas(time, lat, lon), 5 days on 3 x 4 cells, in K."""
    return _field


def _field(
    name="tas", *, days=5, start="2001-01-01", lat=(40.0, 41.0, 42.0), lon=(-2.0, -1.0, 0.0, 1.0), units="K", seed=0
):
    shape = (days, len(lat), len(lon))
    values = 280.0 + 5.0 * np.random.default_rng(seed).standard_normal(shape)
    return xr.Dataset(
        {name: (("time", "lat", "lon"), values.astype("f4"), {"units": units})},
        coords={
            "time": pd.date_range(start, periods=days, unit="ns"),
            "lat": ("lat", np.array(lat), {"units": "degrees_north"}),
            "lon": ("lon", np.array(lon), {"units": "degrees_east"}),
        },
    )


@pytest.fixture
def entry_of():
    """Factory of entries: entry_of("netcdf", ["a.nc"], {"tas": {"units": "K"}}, group=...)."""

    def make(format_, files, variables, **options):
        files = [{"path": str(file)} if isinstance(file, (str, Path)) else file for file in files]
        raw = {"format": format_, "files": files, "variables": variables, "options": options, "licence": "unknown"}
        return make_entry("set", raw, "catalog.yaml")

    return make


@pytest.fixture
def load_entry(tmp_path):
    """Loads an entry whose files lie in tmp_path."""

    def run(entry, variables=None, *, backend=None, **arguments):
        catalog = Catalog(tmp_path / "catalog.yaml", {entry.name: entry})
        places = Places(tmp_path, tmp_path / "cache", tmp_path)
        return load(entry, catalog, places, backend or get_backend("cpu"), variables, **arguments)

    return run


@pytest.fixture
def load_netcdf(tmp_path, entry_of, load_entry):
    """Writes a dataset to a netCDF file and loads it by the specs of its variables."""

    def run(data, specs, *, encoding=None, **arguments):
        data.to_netcdf(tmp_path / "data.nc", encoding=encoding or {})
        return load_entry(entry_of("netcdf", ["data.nc"], specs), **arguments)

    return run


@pytest.fixture
def real_data() -> Path:
    """The folder of real files; skips where there is none."""
    folder = os.environ.get("FINESCALE_DATA")
    if not folder:
        pytest.skip("FINESCALE_DATA is not set: no real files")
    return Path(folder)


@pytest.fixture
def load_real(real_data, tmp_path, entry_of):
    """Loads real files by the specs of their variables."""

    def run(format_, files, variables, *, check=True, **options):
        entry = entry_of(format_, [files] if isinstance(files, str) else files, variables, **options)
        catalog = Catalog(tmp_path / "catalog.yaml", {entry.name: entry})
        return load(entry, catalog, Places(real_data, tmp_path, tmp_path), get_backend("cpu"), check=check)

    return run


@dataclass
class Noted:
    """An R object with attributes beyond those that Python values have."""

    data: Any
    attributes: dict[str, Any]


@pytest.fixture
def noted():
    """Factory of R objects with attributes."""
    return Noted


@pytest.fixture
def write_rda():
    """Writes named objects to an .rda file."""
    return _write_rda


def _write_rda(path: Path, objects: dict[str, Any]) -> None:
    from rdata.conversion import ConverterFromPythonToR
    from rdata.unparser import unparse_file

    class Converter(ConverterFromPythonToR):
        def convert_to_r_object(self, data):
            if not isinstance(data, Noted):
                return super().convert_to_r_object(data)
            node = super().convert_to_r_object(data.data)
            new = self.convert_to_r_attributes({key: np.array(value) for key, value in data.attributes.items()})
            if node.attributes is None:
                node.attributes, node.info.attributes = new, True
                return node
            last = node.attributes
            while last.value[1].info.type == last.info.type:
                last = last.value[1]
            last.value = (last.value[0], new)
            return node

    unparse_file(path, Converter().convert_to_r_data(objects, file_type="rda"), file_type="rda", compression="gzip")


@pytest.fixture
def make_grid(noted):
    """Factory of a climate4R grid, 3 days on 2 x 3 cells, or of as many stations."""
    return _grid


def _grid(name="ta", *, level=None, units="K", stations=False, seed=0, dims=("time", "lat", "lon")):
    rng = np.random.default_rng(seed)
    days = ["1982-12-01 GMT", "1982-12-02 GMT", "1982-12-03 GMT"]
    variable = {"varName": np.array([name]), "level": None if level is None else np.array([float(level)])}
    grid = {
        "Variable": Noted(variable, {"units": [units]} if units else {"use_dictionary": [False]}),
        "Data": Noted(280.0 + rng.standard_normal((3, 2, 3)), {"dimensions": list(dims)}),
        "xyCoords": {"x": np.array([-10.0, -7.5, -5.0]), "y": np.array([35.0, 37.5])},
        "Dates": {"start": np.array(days), "end": np.array(days)},
    }
    if stations:
        grid["Data"] = Noted(280.0 + rng.standard_normal((3, 2)), {"dimensions": ["time", "loc"]})
        grid["xyCoords"] = {"x": np.array([-6.7, -9.1]), "y": np.array([41.8, 38.7])}
        grid["Metadata"] = {
            "station_id": np.array(["000212", "000214"]),
            "name": np.array(["UPPER", "LOWER"]),
            "altitude": np.array([690, 77], dtype=np.int32),
        }
    return grid


@pytest.fixture
def drafted(tmp_path):
    """Drafts an entry, loads it by the catalog, and returns its text, the parsed entry and what was loaded."""

    def run(path):
        text = draft_entry(path, "mine")
        (tmp_path / "c.yaml").write_text("schema_version: 1\n\n" + text)
        catalog = Catalog.load(tmp_path / "c.yaml")
        return text, yaml.safe_load(text)["mine"], load("mine", catalog, Places.of(catalog), get_backend("cpu"))

    return run
