"""What every reader keeps to, whoever wrote it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from pydantic import BaseModel, ValidationError

from pipeline.backend import get_backend
from pipeline.data import READERS, Reader
from pipeline.data.catalog import Catalog, Entry, find_catalog, make_entry
from pipeline.data.checks import faults
from pipeline.data.files import Places
from pipeline.data.load import load
from pipeline.errors import DataError

NAMES = READERS.names()
WITH_FILES = [name for name in NAMES if READERS.get(name).needs_files]
# Options without which an entry of a format says nothing.
OPTIONS = {
    "cordex_ml_bench": {"domain": "NZ", "part": "test", "period": "historical", "quality": "perfect"},
    "camels_us": {"part": "series"},
}
_AXES = {name: [name] for name in ("time", "lat", "lon")}
SAMPLE_OPTIONS = OPTIONS | {"npz": {"arrays": {"a": list(_AXES), **_AXES}}}
SUFFIXED = [name for name in WITH_FILES if READERS.get(name).suffixes]


@pytest.mark.parametrize("name", NAMES)
def test_a_reader_says_what_it_is(name):
    reader = READERS.get(name)
    assert issubclass(reader, Reader)
    assert isinstance(reader(), Reader)
    assert isinstance(reader.tabular, bool)
    assert isinstance(reader.needs_files, bool)
    assert all(suffix.startswith(".") for suffix in reader.suffixes)
    assert reader.__doc__


@pytest.mark.parametrize("name", NAMES)
def test_options_refuse_unknown_keys_and_are_described(name):
    options = READERS.get(name).Options
    assert issubclass(options, BaseModel)
    with pytest.raises(ValidationError, match="no_such_key"):
        options.model_validate({"no_such_key": 1})


@pytest.mark.parametrize("name", WITH_FILES)
def test_a_file_that_an_entry_names_is_what_is_read(name, tmp_path):
    path = tmp_path / "file"
    path.touch()
    assert READERS.get(name)().within(_entry(name, path, {"a": {"units": "1"}}), path) == (path,)


@pytest.mark.parametrize("name", WITH_FILES)
@pytest.mark.parametrize("content", [b"", b"this is none of it\n"])
def test_a_file_of_something_else_is_a_data_error_that_names_it(name, content, tmp_path):
    path = tmp_path / f"broken{(READERS.get(name).suffixes or ('',))[0]}"
    path.write_bytes(content)
    entry = _entry(name, path, {"a": {"units": "1", "source_units": "1"}})
    with pytest.raises(DataError, match="broken"):
        _load(entry, tmp_path)


def test_reading_modules_stay_quick_to_import():
    code = "import sys, pipeline.data as d; d.READERS.names(); print([m for m in ('torch', 'rdata', 'dask', 'zarr') if m in sys.modules])"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "[]"


@pytest.fixture
def samples(tmp_path, request):
    """An entry by reader: a small file of its format, or the shipped catalog's first entry of a generator."""

    def make(name: str) -> Entry:
        if not READERS.get(name).needs_files:
            shipped = Catalog.load(find_catalog())
            return next(shipped[key] for key in shipped if shipped[key].format == name)
        field = xr.Dataset(
            {"a": (("time", "lat", "lon"), np.arange(12.0, dtype="f4").reshape(3, 2, 2), {"units": "K"})},
            coords={"time": pd.date_range("2001-01-01", periods=3), "lat": [1.0, 2.0], "lon": [3.0, 4.0]},
        )
        spec = {"a": {"units": "K", "source_units": "K"}}
        if name == "cordex_ml_bench":
            path = tmp_path / "NZ_domain/test/historical/predictors/perfect/ACCESS-CM2_1981-2000.nc"
            path.parent.mkdir(parents=True)
            field.to_netcdf(path)
            return _entry(name, tmp_path, spec)
        if name == "climatenet":
            for number in range(3):
                field.isel(time=[number]).to_netcdf(tmp_path / f"data-2001-01-0{number + 1}-00-00_0.nc")
            return _entry(name, tmp_path, spec)
        if name == "camels_us":
            _write_basin(tmp_path, field["a"].isel(lat=0, lon=0))
            return _entry(name, tmp_path, spec)
        path = tmp_path / f"sample{READERS.get(name).suffixes[0]}"
        if name == "netcdf":
            field.to_netcdf(path)
        elif name == "zarr":
            field.to_zarr(path, consolidated=False)
        elif name == "csv":
            field["a"].isel(lat=0, lon=0, drop=True).to_dataframe().to_csv(path)
        elif name == "parquet":
            field["a"].isel(lat=0, lon=0, drop=True).to_dataframe().to_parquet(path)
        elif name == "rda":
            _write_grid(path, field["a"])
        elif name == "npz":
            np.savez(path, **{key: array.values for key, array in field.variables.items()})
        else:
            pytest.skip(f"no sample of {name!r} is made here: a plug-in brings its own test of values")
        return _entry(name, path, spec, SAMPLE_OPTIONS)

    return make


def _write_basin(folder: Path, series: xr.DataArray) -> None:
    days = [f"{str(time)[:10].replace('-', ' ')}" for time in series["time"].values]
    head = "44.82\n133.0\n587675987\nYear Mnth Day Hr a(K)\n"
    rows = [f"{day} 12\t{value}\n" for day, value in zip(days, series.values, strict=True)]
    (folder / "01022500_lump_made_forcing_leap.txt").write_text(head + "".join(rows))
    (folder / "01022500_streamflow_qc.txt").write_text("".join(f"01022500 {day} 1.00 A\n" for day in days))


def _write_grid(path: Path, field: xr.DataArray) -> None:
    import rdata

    dates = np.array([str(time)[:10] for time in field["time"].values])
    grid = {
        "Variable": {"varName": np.array(["a"]), "level": None},
        "Data": np.asarray(field.values, "f8"),
        "xyCoords": {"x": field["lon"].values, "y": field["lat"].values},
        "Dates": {"start": dates, "end": dates},
    }
    rdata.write_rda(path, {"grid": grid})


@pytest.mark.parametrize("name", NAMES)
def test_a_read_dataset_becomes_regular_without_faults(name, samples, tmp_path):
    entry = samples(name)
    loaded = _load(entry, tmp_path)
    assert list(loaded.data) == list(entry.variables)
    assert faults(loaded.data) == ()
    for variable, spec in entry.variables.items():
        array = loaded.data[variable]
        assert array.dtype == np.float32
        assert array.attrs["units"] == spec.units
        order = [dim for dim in ("time", "lat", "lon", "y", "x", "station") if dim in array.dims]
        assert list(array.dims) == order
        assert array.ndim >= 1


@pytest.mark.parametrize("name", NAMES)
def test_reading_twice_is_the_same(name, samples, tmp_path):
    entry = samples(name)
    assert _load(entry, tmp_path).data.identical(_load(entry, tmp_path).data)


@pytest.mark.parametrize("name", SUFFIXED)
def test_a_reader_gives_what_is_in_the_file(name, samples, tmp_path):
    values = _load(samples(name), tmp_path).data["a"].values
    expected = np.arange(12.0).reshape(3, 2, 2)
    np.testing.assert_array_equal(values, expected[:, 0, 0] if READERS.get(name).tabular else expected)


def _entry(name: str, path: Path, variables: dict, options: dict = OPTIONS) -> Entry:
    raw = {"format": name, "files": [{"path": str(path)}], "variables": variables, "licence": "unknown"}
    raw["options"] = options.get(name, {})
    return make_entry("sample", raw, "catalog.yaml")


def _load(entry: Entry, folder: Path):
    catalog = Catalog(folder / "catalog.yaml", {entry.name: entry})
    return load(entry, catalog, Places(None, folder / "cache", folder), get_backend("cpu"))
