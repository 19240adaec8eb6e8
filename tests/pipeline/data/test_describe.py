"""A drafted entry fits the schema and loads."""

import numpy as np
import pandas as pd
import pytest
import yaml

from pipeline.backend import get_backend
from pipeline.data.catalog import Catalog
from pipeline.data.describe import draft_entry
from pipeline.data.files import Places, sha256_of
from pipeline.data.load import load
from pipeline.errors import DataError


@pytest.fixture
def drafted(tmp_path):
    """Drafts an entry, loads it, and returns its text, the parsed entry and the data."""

    def run(path):
        text = draft_entry(path, "mine")
        (tmp_path / "c.yaml").write_text("schema_version: 1\n\n" + text)
        catalog = Catalog.load(tmp_path / "c.yaml")
        loaded = load("mine", catalog, Places.of(catalog), get_backend("cpu"))
        return text, yaml.safe_load(text)["mine"], loaded.data

    return run


def test_a_netcdf_file_is_drafted_with_its_units(tmp_path, make_field, drafted):
    data = make_field()
    data["pr"] = data["tas"].assign_attrs(units="kg m-2 s-1", standard_name="precipitation_flux") * 0
    data["pr"].attrs = {"units": "kg m-2 s-1", "standard_name": "precipitation_flux"}
    data["index"] = ("time", np.arange(5.0))
    data["gw"] = ("lat", np.ones(3), {"units": "1"})
    data["empty"] = data["tas"] * np.nan
    data["time_bnds"] = (("time", "edge"), np.zeros((5, 2)))
    data.to_netcdf(tmp_path / "a.nc")
    text, entry, loaded = drafted(tmp_path / "a.nc")
    assert entry["format"] == "netcdf"
    assert entry["files"] == [{"path": str(tmp_path / "a.nc"), "sha256": sha256_of(tmp_path / "a.nc")}]
    assert entry["variables"] == {
        "tas": {"units": "K"},
        "pr": {"units": "kg m-2 s-1", "standard_name": "precipitation_flux"},
        "index": {"units": "1", "source_units": "1"},
    }
    assert entry["licence"] == "unknown"
    assert "# fill in: the terms of use" in text
    assert "# gw is left out: variable 'gw': expected both a latitude and a longitude" in text
    assert "# empty is left out: it has no value at all." in text
    assert "# The file does not say the units of index: correct them." in text
    assert list(loaded) == ["tas", "pr", "index"]


def test_a_glob_has_no_digest(tmp_path, make_field, drafted):
    make_field(days=2).to_netcdf(tmp_path / "t1.nc")
    make_field(days=2, start="2001-01-03").to_netcdf(tmp_path / "t2.nc")
    _, entry, loaded = drafted(tmp_path / "t*.nc")
    assert entry["files"] == [{"path": str(tmp_path / "t*.nc")}]
    assert loaded.sizes["time"] == 4


def test_a_format_without_its_suffix_is_told_from_the_first_bytes(tmp_path, make_field, write_rda, make_grid, drafted):
    make_field().to_netcdf(tmp_path / "unnamed")
    assert drafted(tmp_path / "unnamed")[1]["format"] == "netcdf"
    write_rda(tmp_path / "x.rda", {"obj": make_grid(level=850)})
    _, entry, loaded = drafted(tmp_path / "x.rda")
    assert entry["variables"] == {"ta850": {"units": "K", "from": "ta@850"}}
    assert loaded["ta850"].shape == (3, 2, 3)


def test_a_zarr_store_is_drafted(tmp_path, make_field, drafted):
    make_field().to_zarr(tmp_path / "a.zarr", consolidated=False)
    _, entry, loaded = drafted(tmp_path / "a.zarr")
    assert entry["format"] == "zarr"
    assert loaded["tas"].shape == (5, 3, 4)


@pytest.mark.parametrize(
    ("text", "options", "variables"),
    [
        ("date,000212,0214\n2001-01-01,1,2\n", {"time": "date", "wide": {"value": "t.csv"}}, ["value"]),
        ("time;station;t max (C)\n2001-01-01;01;5\n", {"separator": ";", "station": "station"}, ["t_max"]),
        ("t tmax tmin\n2001-01-01 5 1\n", {"separator": "blank", "time": "t"}, ["tmax", "tmin"]),
    ],
)
def test_a_table_is_drafted_from_its_header(tmp_path, drafted, text, options, variables):
    (tmp_path / "t.csv").write_text(text)
    _, entry, loaded = drafted(tmp_path / "t.csv")
    assert entry["options"] == options
    assert list(loaded) == variables


def test_a_parquet_table_is_drafted(tmp_path, drafted):
    frame = pd.DataFrame(
        {"time": pd.date_range("2001-01-01", periods=3), "station": ["01"] * 3, "tas": [1.0, 2.0, 3.0]}
    )
    frame.to_parquet(tmp_path / "t.parquet")
    _, entry, loaded = drafted(tmp_path / "t.parquet")
    assert entry["options"] == {"station": "station"}
    assert loaded["tas"].dims == ("time", "station")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("none*.nc", None, r"expected a file or a glob that matches some, got '.*none\*.nc', which matches none"),
        ("a.xyz", "?", r"a.xyz: expected a file of a known format \(.csv.*\), got '.xyz'. Write the entry by hand"),
        ("a.csv", "x,y\n1,2\n", r"a.csv: expected a column called time, .*, got x, y. Write the entry by hand"),
        (
            "a.csv",
            "time,y\n2001-01-01,b\n",
            r"a.csv: expected at least one variable that can be loaded, got none: it holds no",
        ),
    ],
)
def test_what_cannot_be_drafted_is_refused(tmp_path, name, text, message):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        draft_entry(tmp_path / name, "mine")
