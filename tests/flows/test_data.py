import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FINESCALE_DATA", raising=False)
    monkeypatch.setenv("FINESCALE_CACHE", str(tmp_path / "cache"))
    time = pd.date_range("2001-01-01", periods=40)
    values = np.random.default_rng(0).normal(280, 5, (40, 3, 4)).astype("float32")
    coords = {"time": time, "lat": [40.0, 41.0, 42.0], "lon": [0.0, 1.0, 2.0, 3.0]}
    data = xr.Dataset({"t2m": (("time", "lat", "lon"), values, {"units": "K"})}, coords)
    data.to_netcdf(tmp_path / "ERA5 sample.nc")
    return tmp_path


def test_add_drafts_an_entry_that_check_accepts(files, finescale):
    code, out, err = finescale("data", "add", "ERA5 sample.nc")
    assert code == 0, err
    assert "added era5-sample to data_catalog.yaml" in out
    entry = yaml.safe_load((files / "data_catalog.yaml").read_text())["era5-sample"]
    assert entry["format"] == "netcdf"
    assert entry["variables"]["t2m"]["units"] == "K"
    code, out, err = finescale("data", "check", "era5-sample")
    assert code == 0, err
    assert "t2m [K] (time=40, lat=3, lon=4); 2001-01-01 to 2001-02-09, step 1 day, no gaps; missing 0.00 %" in out


def test_add_prints_without_writing_and_refuses_a_second_of_the_name(files, finescale):
    code, out, _ = finescale("data", "add", "ERA5 sample.nc", "--name", "mine", "--print")
    assert (code, out.startswith("mine:")) == (0, True)
    assert not (files / "data_catalog.yaml").exists()
    finescale("data", "add", "ERA5 sample.nc", "--name", "mine")
    code, _, err = finescale("data", "add", "ERA5 sample.nc", "--name", "mine")
    assert code == 2
    assert "already has an entry 'mine'; choose another with --name" in err


def test_a_folder_is_no_catalog_and_stays(files, finescale):
    (files / "precious").mkdir()
    code, _, err = finescale("data", "add", "ERA5 sample.nc", "--catalog", "precious")
    assert code == 2
    assert "--catalog: expected the name of a file to write, got the folder 'precious'" in err
    assert (files / "precious").is_dir()


def test_check_fails_on_what_a_run_would_trip_over(files, finescale):
    finescale("data", "add", "ERA5 sample.nc", "--name", "mine")
    data = xr.load_dataset(files / "ERA5 sample.nc")
    data["t2m"][:] = np.nan
    data.to_netcdf(files / "ERA5 sample.nc")
    code, out, err = finescale("data", "check", "mine")
    assert code == 2
    assert "missing 100.00 %" in out
    assert "error: mine: t2m has no value at all" in err


def entry_of(path, values, time):
    data = xr.Dataset({"t2m": ("time", values, {"units": "K"})}, {"time": time})
    data.to_netcdf(path)
    return f"{path.stem}: {{format: netcdf, files: [{{path: {path}}}], variables: {{t2m: {{units: K}}}}, licence: x}}\n"


def test_check_says_where_gaps_are_and_which_datasets_do_not_meet(files, finescale):
    days = pd.date_range("2001-01-01", "2002-12-31")
    noleap = xr.date_range("2001-01-01", periods=9, calendar="noleap", use_cftime=True)
    text = entry_of(files / "one.nc", np.full(425, 280.0), days.delete(slice(60, 365)))
    text += entry_of(files / "two.nc", np.full(724, 280.0), days.delete([100, 101, 201, 202, 203, 301]))
    text += entry_of(files / "gcm.nc", np.full(9, 280.0), noleap)
    (files / "data_catalog.yaml").write_text("schema_version: 1\n" + text)
    code, out, err = finescale("data", "check", "one", "two", "gcm")
    assert code == 0, err
    assert "1 gap, 2001-03-01 to 2002-01-01;" in out
    assert "3 gaps, the first 2001-04-10 to 2001-04-13, the longest 2001-07-20 to 2001-07-24;" in out
    assert out.endswith(
        "calendar standard: one 2001-01-01 to 2002-12-31, two 2001-01-01 to 2002-12-31\n"
        "calendar noleap: gcm 2001-01-01 to 2001-01-09\n"
    )


def test_list_show_and_fetch(files, finescale):
    finescale("data", "add", "ERA5 sample.nc", "--name", "mine")
    code, out, _ = finescale("data", "list")
    assert code == 0
    own, shipped = out.split("mine ", 1)
    assert own == f"{files / 'data_catalog.yaml'}\n"
    assert shipped.split()[:4] == ["netcdf", "t2m", "[K]", "(absolute)"]
    assert "data_catalog.yaml\niberia-ncep-pressure" in shipped
    code, out, _ = finescale("data", "show", "mine")
    assert "licence: unknown" in out
    assert "ERA5 sample.nc: absolute" in out
    code, out, _ = finescale("data", "fetch", "mine")
    assert code == 0
    assert re.search(r"sha256 [0-9a-f]{64}\)", out)


def test_made_data_have_nothing_to_fetch(finescale, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, out, err = finescale("data", "fetch", "synthetic-coarse")
    assert code == 0, err
    assert out == "synthetic-coarse: made on the spot, nothing to fetch\n"


def test_list_names_a_faulty_entry_beside_the_others(files, finescale):
    finescale("data", "add", "ERA5 sample.nc", "--name", "mine")
    with (files / "data_catalog.yaml").open("a") as file:
        file.write("broken: {format: netcdf, fils: []}\n")
    code, out, _ = finescale("data", "list")
    assert code == 0
    assert "t2m [K]  (absolute)" in out
    assert "data_catalog.yaml: entry 'broken': fils: unknown key. Did you mean 'files'?" in out
    code, _, err = finescale("data", "check", "broken")
    assert code == 2
    assert "fils: unknown key" in err
    code, _, err = finescale("data", "check", "mine")
    assert code == 0, err


PLUGIN = """
import xarray as xr
from pipeline.data import READERS, Reader

@READERS.register("five-of-test-data")
class Five(Reader):
    needs_files = False
    def read(self, entry, files, backend):
        return xr.Dataset({"tas": ("time", [5.0, 6.0], {"units": "degC"})}, {"time": [0, 1]}).assign_coords(
            time=("time", [0, 1], {"units": "days since 2001-01-01"})
        )
"""


def test_entries_of_a_plugins_reader_are_listed_shown_fetched_and_checked(files, finescale):
    (files / "five.py").write_text(PLUGIN)
    text = "schema_version: 1\nmine: {format: five-of-test-data, variables: {tas: {units: degC}}, licence: x}\n"
    (files / "data_catalog.yaml").write_text(text)
    code, out, _ = finescale("data", "list")
    assert code == 0
    assert "FAULTY: " in out
    assert "format: unknown reader 'five-of-test-data'" in out
    for words, said in (
        (["list"], "five-of-test-data  tas [degC]  (made on the spot)"),
        (["show", "mine"], "licence: x"),
        (["fetch", "mine"], "nothing to fetch"),
        (["check", "mine"], "2001-01-01 to 2001-01-02"),
    ):
        code, out, err = finescale("data", *words, "--plugin", "five.py")
        assert code == 0, err
        assert said in out


def test_several_files_are_added_as_one_entry_named_by_what_they_share(files, finescale):
    for year in (2001, 2002):
        data = xr.load_dataset(files / "ERA5 sample.nc")
        data.assign_coords(time=pd.date_range(f"{year}-01-01", periods=40)).to_netcdf(files / f"t2m_day_{year}.nc")
    code, out, err = finescale("data", "add", "t2m_day_2001.nc", "t2m_day_2002.nc")
    assert code == 0, err
    entry = yaml.safe_load((files / "data_catalog.yaml").read_text())["t2m-day"]
    assert [set(file) for file in entry["files"]] == [{"path"}, {"path"}]
    code, out, err = finescale("data", "check", "t2m-day")
    assert code == 0, err
    assert "t2m [K] (time=80, lat=3, lon=4)" in out


@pytest.mark.parametrize(("name", "near"), [("my data", "my-data"), ("_x", "x"), ("schema_version", "schema-version")])
def test_a_name_that_cannot_be_typed_is_refused(files, finescale, name, near):
    code, _, err = finescale("data", "add", "ERA5 sample.nc", "--name", name)
    assert code == 2
    assert f"got {name!r}. Take, for example, --name {near}" in err
    assert not (files / "data_catalog.yaml").exists()


def test_add_says_which_columns_are_left_out(files, finescale):
    (files / "t.csv").write_text("time,tmax,tmin\n2001-01-01,5,1\n2001-01-02,M,2\n2001-01-03,7,3\n")
    code, out, err = finescale("data", "add", "t.csv")
    assert code == 0, err
    assert out.startswith("tmax is left out: ")
    assert "column 'tmax': expected numbers, got 'M' in row 2" in out
    assert "added t to data_catalog.yaml" in out


def test_numbers_for_none_are_said_when_added_and_fail_the_check_when_not_declared(files, finescale):
    flow = np.round(np.random.default_rng(2).gamma(2.0, 3.0, 60), 3)
    flow[10:14] = -999
    frame = pd.DataFrame({"date": pd.date_range("2001-01-01", periods=60), "basin": "01", "flow": flow})
    frame.to_csv(files / "flow.csv", index=False)
    code, out, err = finescale("data", "add", "flow.csv")
    assert code == 0, err
    assert out.splitlines()[:3] == [
        "The file does not say the units of flow: correct them.",
        "The stations have no latitude and longitude: fields cannot be brought to them, nor can they be drawn on a map, until "
        "the catalog says where they lie, with options: stations: {file: places.csv, id: station_id, lat: lat, lon: lon} "
        "and that file among files, as the entry us-stations.",
        "-999 of flow is taken for a missing value: take it out of missing if it is none.",
    ]
    path = files / "data_catalog.yaml"
    assert yaml.safe_load(path.read_text())["flow"]["files"] == [{"path": str(files / "flow.csv")}]
    code, out, err = finescale("data", "check", "flow")
    assert code == 0, err
    assert "missing 6.67 %" in out
    assert "4 values -999 of flow are taken for missing" in out
    entry = yaml.safe_load(path.read_text())
    del entry["flow"]["variables"]["flow"]["missing"]
    path.write_text(yaml.safe_dump(entry))
    code, _, err = finescale("data", "check", "flow")
    assert code == 2
    assert (
        "flow has 4 of 60 values at -999, far from all others. Where that stands for none, write missing: [-999]" in err
    )
