"""Packed variables read by threads are those that the netCDF library reads."""

from __future__ import annotations

import pickle

import netCDF4
import numpy as np
import pytest
import xarray as xr

from pipeline.data import _inflate
from pipeline.data._inflate import ThreadedStore, Unpacked
from pipeline.data.netcdf import open_netcdf

SHAPE, CHUNKS = (37, 21, 18), (10, 8, 18)


@pytest.fixture(autouse=True)
def three_threads_for_anything(monkeypatch):
    monkeypatch.setattr(_inflate, "_SMALL", 0)
    monkeypatch.setattr(_inflate, "usable", lambda: 3)


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a variable and returns the file."""

    def run(dtype="f4", group="", part=slice(None), **options):
        rng = np.random.default_rng(0)
        values = (100 * rng.normal(size=SHAPE)).astype(dtype)
        path = tmp_path / "packed.nc"
        with netCDF4.Dataset(path, "w") as file:
            place = file.createGroup(group) if group else file
            for name, size in zip(("time", "lat", "lon"), SHAPE, strict=True):
                place.createDimension(name, size)
            options = {"zlib": True, "chunksizes": CHUNKS, **options}
            variable = place.createVariable("tas", dtype, ("time", "lat", "lon"), **options)
            variable.units = "K"
            variable[part] = values[part]
        return path

    return run


def _is_threaded(path, group=None):
    with xr.open_dataset(ThreadedStore.open(str(path), group=group), decode_cf=False) as data:
        array = data["tas"].variable._data
        while array is not None and not isinstance(array, Unpacked):
            array = getattr(array, "array", None)
    return array is not None


@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "u1", ">f4"])
@pytest.mark.parametrize("shuffle", [True, False])
def test_all_values_are_those_of_the_library(write, dtype, shuffle):
    path = write(dtype, shuffle=shuffle)
    assert _is_threaded(path)
    with open_netcdf(path, None, None) as ours, xr.open_dataset(path) as theirs:
        xr.testing.assert_identical(ours.load(), theirs.load())
        assert ours["tas"].encoding["chunksizes"] == CHUNKS


@pytest.mark.parametrize(
    "key",
    [
        {"time": slice(5, 25)},
        {"time": slice(36, 2, -3), "lat": slice(3, 20, 4)},
        {"time": 11, "lon": -2},
        {"time": [3, 30, 4, 3], "lat": slice(None, None, -1)},
        {"time": slice(4, 4)},
        {"time": np.arange(37) % 5 == 0},
    ],
)
def test_parts_are_those_of_the_library(write, key):
    path = write("i2")
    with open_netcdf(path, None, None) as ours, xr.open_dataset(path) as theirs:
        xr.testing.assert_identical(ours.isel(key).load(), theirs.isel(key).load())


def test_scaled_integers_and_missing_values_are_decoded_as_ever(write):
    path = write("i2", fill_value=-7)
    with netCDF4.Dataset(path, "a") as file:
        file["tas"].setncatts({"scale_factor": 0.01, "add_offset": 273.15})
    with open_netcdf(path, None, None) as ours, xr.open_dataset(path) as theirs:
        xr.testing.assert_identical(ours.load(), theirs.load())
        assert ours["tas"].dtype.kind == "f"
        assert ours["tas"].encoding["scale_factor"] == 0.01


def test_chunks_that_were_never_written_hold_the_fill_value(write):
    path = write("f4", part=slice(0, 12), fill_value=-9.0)
    with open_netcdf(path, None, None) as ours, xr.open_dataset(path) as theirs:
        xr.testing.assert_identical(ours.load(), theirs.load())
        assert np.isnan(ours["tas"][-1]).all()


def test_variables_of_groups_are_found(write):
    path = write(group="inner")
    assert _is_threaded(path, "inner")
    with open_netcdf(path, "inner", None) as ours, xr.open_dataset(path, group="inner") as theirs:
        xr.testing.assert_identical(ours.load(), theirs.load())


@pytest.mark.parametrize("options", [{"zlib": False}, {"zlib": True, "fletcher32": True}])
def test_what_is_packed_otherwise_is_left_to_the_library(write, options):
    path = write(**options)
    assert not _is_threaded(path)
    with open_netcdf(path, None, None) as ours, xr.open_dataset(path) as theirs:
        xr.testing.assert_identical(ours.load(), theirs.load())


def test_it_travels_to_other_processes(write):
    found = pickle.loads(pickle.dumps(Unpacked(_inflate._stored(write(), "tas", SHAPE, CHUNKS))))
    assert found.shape == SHAPE


def test_a_damaged_chunk_is_told_with_its_file(write):
    import h5py

    path = write()
    with h5py.File(path, "r") as file:
        info = file["tas"].id.get_chunk_info(3)
    with path.open("r+b") as file:
        file.seek(info.byte_offset + 20)
        file.write(b"\xff" * 40)
    with open_netcdf(path, None, None) as data, pytest.raises(OSError, match=r"packed\.nc: a chunk of tas cannot be"):
        data.load()
