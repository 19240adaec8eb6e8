"""A drafted entry fits the schema and loads."""

import numpy as np
import pandas as pd
import pytest

from pipeline.data.describe import draft_entry
from pipeline.errors import DataError


@pytest.fixture
def drafted(drafted):
    """Drafts an entry, loads it, and returns its text, the parsed entry and the data."""

    def run(path):
        text, entry, loaded = drafted(path)
        return text, entry, loaded.data

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
    assert entry["files"] == [{"path": str(tmp_path / "a.nc")}]
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


def test_a_glob_is_drafted_as_one(tmp_path, make_field, drafted):
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


def test_several_files_are_one_entry(tmp_path, make_field, drafted):
    make_field(days=2).to_netcdf(tmp_path / "t1.nc")
    make_field(days=2, start="2001-01-03").to_netcdf(tmp_path / "t2[b].nc")
    make_field(days=1, start="2001-01-05").to_netcdf(tmp_path / "t3.nc")
    _, entry, loaded = drafted([tmp_path / "t1.nc", tmp_path / "t3.nc", tmp_path / "t2[b].nc"])
    assert entry["files"] == [
        *({"path": str(tmp_path / name)} for name in ("t1.nc", "t3.nc")),
        {"path": str(tmp_path / "t2[[]b].nc")},
    ]
    assert loaded.sizes["time"] == 5


PLACED = "date;station;latitude;longitude;elevation;tmax\n2001-01-01;01;47;7;400;5\n2001-01-02;01;47;7;400;6\n"


@pytest.mark.parametrize("sign", [",", ";", "\t", " "])
def test_places_in_a_long_table_and_its_separator_are_drafted(tmp_path, drafted, sign):
    (tmp_path / "t.csv").write_text(PLACED.replace(";", sign))
    _, entry, loaded = drafted(tmp_path / "t.csv")
    separator = {",": {}, " ": {"separator": "blank"}}.get(sign, {"separator": sign})
    places = {"id": "station", "lat": "latitude", "lon": "longitude", "altitude": "elevation"}
    assert entry["options"] == separator | {"time": "date", "station": "station", "stations": places}
    assert list(entry["variables"]) == ["tmax"]
    assert loaded["tmax"].sizes == {"time": 2, "station": 1}
    assert loaded["altitude"].values.tolist() == [400.0]


def test_commas_in_a_name_are_no_separator(tmp_path, drafted):
    (tmp_path / "semi.csv").write_text('date;"tmax, at 2 m, in C";"tmin, at 2 m, in C"\n2001-01-01;5;1\n')
    _, entry, loaded = drafted(tmp_path / "semi.csv")
    assert entry["options"] == {"separator": ";", "time": "date"}
    assert len(loaded) == 2


def test_a_packed_table_is_drafted(tmp_path, drafted):
    pd.DataFrame({"time": ["2001-01-01"], "tas": [1.5]}).to_csv(tmp_path / "t.csv.gz", index=False)
    assert drafted(tmp_path / "t.csv.gz")[1]["variables"] == {"tas": {"units": "1", "source_units": "1"}}


def test_a_column_with_a_marker_is_named_with_the_cell_and_the_option(tmp_path, drafted):
    text = "time,tmax,tmin,place\n2001-01-01,5,1,x\n2001-01-02,M,2,x\n2001-01-03,7,3,x\n"
    (tmp_path / "t.csv").write_text(text)
    drawn, entry, _ = drafted(tmp_path / "t.csv")
    assert list(entry["variables"]) == ["tmin"]
    assert "column 'tmax': expected numbers, got 'M' in row 2." in drawn
    assert "options: {missing: ['M']} in the catalog." in drawn
    (tmp_path / "t.csv").write_text(text.replace(",tmin", ",place2").replace(",1,", ",a,").replace(",2,", ",b,"))
    with pytest.raises(DataError, match=r"got none: tmax: .*got 'M' in row 2. .* write options: {missing: \['M'\]}"):
        drafted(tmp_path / "t.csv")


def test_a_folder_and_an_empty_file_are_called_so(tmp_path):
    (tmp_path / "empty.nc").touch()
    (tmp_path / "my.zarr").mkdir()
    with pytest.raises(DataError, match=r"empty.nc: expected data, got an empty file of 0 bytes. Copy or"):
        draft_entry(tmp_path / "empty.nc", "mine")
    with pytest.raises(DataError, match=r"my.zarr: expected a file or a Zarr store, got a folder without zarr.json"):
        draft_entry(tmp_path / "my.zarr", "mine")


@pytest.mark.parametrize("text", ["time;tas;Höhe\n2001-01-01;1;2\n", "time,tas,place\n2001-01-01,1,Zürich\n"])
def test_another_encoding_is_called_so(tmp_path, text):
    (tmp_path / "a.csv").write_bytes(text.encode("latin1"))
    with pytest.raises(DataError, match=r"a.csv: expected text in UTF-8, got another encoding \(byte 0x(f6|fc) is"):
        draft_entry(tmp_path / "a.csv", "mine")
