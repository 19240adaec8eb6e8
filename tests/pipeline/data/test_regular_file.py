"""Datasets to regular files, as a whole or some times at a time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from pipeline.backend import get_backend
from pipeline.data.catalog import Catalog
from pipeline.data.files import Places
from pipeline.data.regular_file import write_regular
from pipeline.errors import DataError

TIMES, SHAPE = 400, (6, 5)
VARIABLES = {
    "tas": {"units": "degC", "standard_name": "air_temperature", "missing": [-99.0]},
    "pr": {"units": "mm d-1", "minimum": 0.0},
    "height": {"units": "m"},
}
SMALL = 64 * 1024  # bytes: 25 times go through memory at a time, of 400


@pytest.fixture
def source():
    """Return data with much that is mended: packed kelvins, latitudes from the north, codes, rounding below none."""
    rng = np.random.default_rng(0)
    tas = 280.0 + 5.0 * rng.normal(size=(TIMES, *SHAPE))
    tas[rng.random(tas.shape) < 0.01] = np.nan
    tas[7, 1, 1] = tas[333, 2, 2] = -99.0
    pr = rng.gamma(0.5, 4.0, (TIMES, *SHAPE))
    pr[5, 0, 0], pr[390, 1, 0] = -0.001, -0.002
    return xr.Dataset(
        {
            "tas": (("time", "lat", "lon"), tas, {"units": "K"}),
            "pr": (("time", "lat", "lon"), pr, {"units": "mm d-1", "long_name": "rain"}),
            "height": (("lat", "lon"), rng.random(SHAPE) * 100.0, {"units": "m"}),
        },
        coords={
            "time": pd.date_range("2001-01-01", periods=TIMES, unit="ns"),
            "lat": np.linspace(50.0, 40.0, SHAPE[0]),
            "lon": np.linspace(350.0, 358.0, SHAPE[1]),
        },
    )


@pytest.fixture
def write(tmp_path, entry_of):
    """Return a function that writes data as the entry to a file, with a budget or as a whole."""

    def run(data, budget, to="regular.nc", variables=VARIABLES):
        data.to_netcdf(tmp_path / "source.nc")
        entry = entry_of("netcdf", ["source.nc"], variables)
        catalog = Catalog(tmp_path / "catalog.yaml", {entry.name: entry})
        places = Places(tmp_path, tmp_path / "cache", tmp_path)
        return write_regular(tmp_path / to, entry, catalog, places, get_backend("cpu"), budget=budget)

    return run


def test_some_times_at_a_time_give_the_same_file_and_findings(source, write, tmp_path):
    whole, parts = write(source, None, "whole.nc"), write(source, SMALL, "parts.nc")
    with xr.open_dataset(tmp_path / "whole.nc") as one, xr.open_dataset(tmp_path / "parts.nc") as two:
        xr.testing.assert_identical(one, two)
        assert set(one.coords) == set(two.coords)
    assert parts.checks == whole.checks
    assert sorted(parts.repairs, key=str) == sorted(whole.repairs, key=str)
    assert {repair.kind for repair in parts.repairs} >= {"latitudes", "missing", "units", "minimum"}
    assert parts.files == whole.files


def test_what_is_large_is_never_read_as_a_whole(source, write, monkeypatch):
    read = []
    whole = xr.core.variable.Variable.values.fget

    def watched(self):
        found = whole(self)
        read.append(found.nbytes)
        return found

    monkeypatch.setattr(xr.core.variable.Variable, "values", property(watched, xr.core.variable.Variable.values.fset))
    write(source, SMALL)
    assert max(read) < SMALL


def test_a_file_of_parts_is_laid_out_time_by_time(source, write, tmp_path):
    import netCDF4

    write(source, SMALL)
    with netCDF4.Dataset(tmp_path / "regular.nc") as file:
        assert file["tas"].chunking() == "contiguous"
        assert not file["tas"].filters()["zlib"]


def test_places_of_two_dims_stay_coordinates(source, write, tmp_path):
    lat, lon = np.meshgrid(np.linspace(40.0, 50.0, 6), np.linspace(0.0, 4.0, 5), indexing="ij")
    flat = source[["tas"]].drop_vars(["lat", "lon"]).rename(lat="y", lon="x")
    flat = flat.assign_coords(lat=(("y", "x"), lat), lon=(("y", "x"), lon))
    for budget, name in ((None, "whole.nc"), (SMALL, "parts.nc")):
        write(flat, budget, name, {"tas": VARIABLES["tas"]})
    with xr.open_dataset(tmp_path / "whole.nc") as one, xr.open_dataset(tmp_path / "parts.nc") as two:
        xr.testing.assert_identical(one, two)
        assert set(two.coords) >= {"lat", "lon"}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda data: data.assign(pr=data.pr - 5.0), "expected values of 0 or more but for rounding"),
        (lambda data: data.assign(tas=data.tas * np.nan), "tas has no value at all"),
        (lambda data: data.isel(time=[*range(200), 390, *range(200, 399)]), "expected times in order to be read block"),
        (lambda data: data.assign(tas=data.tas.where(data.time != data.time[350], 1e4)), "tas has values from"),
    ],
)
def test_faults_of_large_data_are_told_with_their_file(source, write, spoil, message):
    with xr.set_options(keep_attrs=True), pytest.raises(DataError, match=f"(?s){message}.*Read from .*source.nc"):
        write(spoil(source), SMALL)


def test_rain_below_none_is_told_when_all_of_it_was_seen(source, write):
    odd = source[["pr"]].rename(pr="rainfall").copy(deep=True)
    odd["rainfall"][390] = -3.0
    with pytest.raises(DataError, match="rainfall has values down to -3 mm d-1, expected none below 0"):
        write(odd, SMALL, variables={"rainfall": {"units": "mm d-1"}})


def dry(source):
    """Return the data with a hundred days at the start without rain, but for rounding below none on one of them."""
    source["pr"][:100] = 0.0
    source["pr"][3, 2, 2] = -1e-9
    return source


def test_rounding_below_none_on_dry_days_is_told_by_the_rain_of_all_days(source, write, tmp_path):
    """A block of dry days has no range by which rounding could be told; all of them have."""
    whole, parts = write(dry(source), None, "whole.nc"), write(dry(source), SMALL, "parts.nc")
    with xr.open_dataset(tmp_path / "whole.nc") as one, xr.open_dataset(tmp_path / "parts.nc") as two:
        xr.testing.assert_identical(one, two)
        assert float(two["pr"].min()) == 0.0
    assert parts.checks == whole.checks
    assert sorted(parts.repairs, key=str) == sorted(whole.repairs, key=str)
    assert next(repair.count for repair in parts.repairs if repair.kind == "minimum") == 2


@pytest.mark.parametrize(
    ("value", "place"), [(-999.0, 3), (-999.0, 398), (-1.0, 150)], ids=["a dry block", "the last block", "a wet block"]
)
def test_a_fault_below_none_is_refused_as_in_the_whole(source, write, value, place):
    """Whatever block it is in, and how much rain that has."""
    source = dry(source)
    source["pr"][place, 2, 2] = value
    said = []
    for budget in (None, SMALL):
        with pytest.raises(DataError) as caught:
            write(source, budget, f"{budget}.nc")
        said.append(str(caught.value))
    assert said[0] == said[1]
    assert (
        f"variable 'pr': expected values of 0 or more but for rounding, got {value:g}. If that stands for a missing "
        "value, write it under missing in the catalog."
    ) in said[0]


def test_a_block_that_alone_would_hide_a_fault_does_not(source, write):
    """Where a part of the data is judged by itself, one large value beside a fault makes it look like rounding."""
    source["pr"][:] = 0.0
    source["pr"][200, 0, 0], source["pr"][201, 1, 1] = 5.0, -0.04
    source["pr"][10, 0, 0] = -0.06
    for budget in (None, SMALL):
        with pytest.raises(DataError, match=r"but for rounding, got -0\.06\."):
            write(source, budget, f"{budget}.nc")
