"""Files of ERA5, CMIP and CORDEX archives as they come: versions, levels, names, many files."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

from pipeline.data._drs import one_run, parse_drs
from pipeline.data._levels import sources_of
from pipeline.data.describe import draft_entry, name_of_run
from pipeline.data.expver import merge_versions
from pipeline.errors import DataError

TAS = {"tas": {"units": "K"}}


@pytest.fixture
def era5(make_field):
    """ERA5 of six days of which the last two are preliminary, as services wrote it until 2024."""
    whole = make_field(days=6).rename(tas="t2m", time="valid_time", lat="latitude", lon="longitude")
    values = np.full((6, 2, 3, 4), np.nan, "f4")
    values[:4, 0], values[4:, 1] = whole["t2m"].values[:4], whole["t2m"].values[4:]
    dims = ("valid_time", "expver", "latitude", "longitude")
    old = whole.drop_vars("t2m").assign_coords(expver=[1, 5])
    return whole, old.assign(t2m=(dims, values, {"units": "K", "standard_name": "unknown"}))


T2M = {"tas": {"units": "K", "from": "t2m"}}


def test_final_and_preliminary_era5_become_one(era5, load_netcdf):
    whole, old = era5
    loaded = load_netcdf(old, T2M)
    np.testing.assert_array_equal(loaded.data["tas"], whole["t2m"])
    assert "2 of 6 times are preliminary (ERA5T)" in [repair.text for repair in loaded.repairs]


def test_versions_said_time_by_time_are_counted(era5, load_netcdf):
    whole, _ = era5
    new = whole.assign_coords(expver=("valid_time", np.array(["0001"] * 4 + ["0005"] * 2, object)), number=0)
    loaded = load_netcdf(new, T2M)
    np.testing.assert_array_equal(loaded.data["tas"], whole["t2m"])
    assert "2 of 6 times are preliminary (ERA5T)" in [repair.text for repair in loaded.repairs]


def test_files_with_and_without_versions_follow_in_time(era5, tmp_path, entry_of, load_entry):
    whole, old = era5
    whole.isel(valid_time=slice(0, 4)).to_netcdf(tmp_path / "a.nc")
    old.isel(valid_time=slice(4, 6)).to_netcdf(tmp_path / "b.nc")
    loaded = load_entry(entry_of("netcdf", ["a.nc", "b.nc"], T2M))
    np.testing.assert_array_equal(loaded.data["tas"], whole["t2m"])
    assert "b.nc: 2 of 2 times are preliminary (ERA5T)" in [repair.text for repair in loaded.repairs]


@pytest.mark.parametrize(("versions", "said"), [([1], []), ([5], ["3 of 3 times are preliminary (ERA5T)"])])
def test_one_version_alone_is_taken(versions, said):
    data = xr.Dataset({"t": (("time", "expver"), np.ones((3, 1)))}, {"expver": versions})
    merged, repairs = merge_versions(data)
    assert merged["t"].dims == ("time",)
    assert [repair.text for repair in repairs] == said


def test_an_unknown_version_is_refused():
    with pytest.raises(DataError, match=r"expected expver of 1 \(ERA5\) or 5 \(ERA5T\), got \[7\]"):
        merge_versions(xr.Dataset(coords={"expver": ("time", [1, 7])}))


NAMES = {
    "tas_day_EC-Earth3_ssp585_r1i1p1f1_gr_20150101-20151231.nc": (
        "CMIP6", "tas", ("EC-Earth3", "r1i1p1f1", "gr", "day"), "ssp585", "20150101-20151231"),
    "orog_fx_CanESM5_historical_r1i1p1f1_gn.nc": ("CMIP6", "orog", ("CanESM5", "r1i1p1f1", "gn", "fx"), "historical", ""),
    "tas_Amon_CanESM2_rcp85_r1i1p1_200701-200712.nc": (
        "CMIP5", "tas", ("CanESM2", "r1i1p1", "Amon"), "rcp85", "200701-200712"),
    "pr_EUR-11_MPI-M-MPI-ESM-LR_rcp45_r1i1p1_CLMcom-CCLM4-8-17_v1_day_20060101-20101231.nc": (
        "CORDEX", "pr",
        ("CLMcom-CCLM4-8-17", "MPI-M-MPI-ESM-LR", "r1i1p1", "EUR-11", "v1", "day"), "rcp45", "20060101-20101231"),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names_of_archives_are_read(name):
    drs = parse_drs(name)
    assert (drs.archive, drs.variable, drs.run, drs.experiment, drs.span) == NAMES[name]


@pytest.mark.parametrize("name", ["tas.nc", "my_own_daily_file_2001_x.nc", "a_b_c_d_e_f.nc", "era5_1995-07-14T12.nc"])
def test_other_names_are_none_of_an_archive(name):
    assert parse_drs(name) is None


RUN = "{}_day_EC-Earth3_{}_r1i1p1f1_gr_{}.nc"


def test_a_scenario_goes_on_where_history_ends():
    paths = [Path(RUN.format("tas", *rest)) for rest in (("ssp585", "2015-2020"), ("historical", "2000-2014"))]
    name, text = one_run(paths)
    assert name == "ec-earth3-historical-ssp585-r1i1p1f1-gr-day"
    assert text == "CMIP6: EC-Earth3, historical then ssp585, r1i1p1f1, gr, day."


def test_a_scenario_may_begin_in_the_year_in_which_history_ends():
    """HadGEM2-ES ends its historical run with November."""
    name = "tas_Amon_HadGEM2-ES_{}_r1i1p1_{}.nc"
    history = Path(name.format("historical", "198412-200511"))
    assert one_run([history, Path(name.format("rcp85", "200512-203011"))]) is not None
    with pytest.raises(DataError, match=r"got historical in .* and rcp85 in .* of the same times"):
        one_run([history, Path(name.format("rcp85", "200511-203011"))])


def test_two_runs_in_one_entry_are_refused():
    paths = [
        Path(RUN.format("tas", "historical", "2000-2014")),
        Path("pr_day_CanESM5_historical_r1i1p1f1_gn_2000-2014.nc"),
    ]
    with pytest.raises(DataError, match=r"files of one model run, got EC-Earth3 r1i1p1f1 gr day in .* and CanESM5 "):
        one_run(paths)
    twice = [Path(RUN.format("tas", experiment, "2015-2020")) for experiment in ("ssp126", "ssp585")]
    with pytest.raises(
        DataError, match=r"experiments after one another, got ssp126 in .* and ssp585 in .* of the same"
    ):
        one_run(twice)


@pytest.fixture
def archive(tmp_path, make_field):
    """A folder of a CMIP6 run: a file a variable and year, heights of their own, pressure levels, bounds."""
    folder = tmp_path / "archive" / "day"
    folder.mkdir(parents=True)
    for name, height in (("tas", 2.0), ("uas", 10.0)):
        for year in (2001, 2002):
            data = make_field(name, days=4, start=f"{year}-01-01", units="K" if name == "tas" else "m s-1", seed=year)
            data[name] = data[name] - (0 if name == "tas" else 280.0)
            data[name].attrs = {"units": "K" if name == "tas" else "m s-1", "cell_methods": "time: mean"}
            data = data.assign_coords(height=((), height, {"units": "m", "axis": "Z"}))
            data["time_bnds"] = (("time", "bnds"), np.zeros((4, 2)))
            data.to_netcdf(folder / RUN.format(name, "historical", f"{year}0101-{year}0104"))
    levels = (
        make_field("ta", days=4)["ta"].expand_dims(plev=[85000.0, 50000.0], axis=1)
        + np.array([0, -30.0])[:, None, None]
    )
    both = xr.concat([levels, levels.assign_coords(time=levels["time"] + np.timedelta64(365, "D"))], "time")
    both.attrs = {"units": "K", "standard_name": "air_temperature"}
    both["plev"].attrs = {"units": "Pa", "axis": "Z", "positive": "down"}
    both.to_dataset(name="ta").to_netcdf(folder / RUN.format("ta", "historical", "20010101-20020104"))
    return tmp_path / "archive"


def test_a_folder_of_an_archive_is_drafted_with_its_levels(archive, entry_of, load_entry):
    entry = yaml.safe_load(draft_entry(archive, "x"))["x"]
    assert entry["description"] == "CMIP6: EC-Earth3, historical, r1i1p1f1, gr, day."
    assert entry["files"] == [{"path": f"{archive}/**/*.nc"}]
    assert set(entry["variables"]) == {"tas", "uas", "ta850", "ta500"}
    assert entry["variables"]["ta500"] == {
        "units": "K", "standard_name": "air_temperature", "from": "ta", "select": {"plev": 50000.0},
    }  # fmt: skip
    loaded = load_entry(entry_of("netcdf", [f"{archive}/**/*.nc"], entry["variables"]))
    assert loaded.data.sizes["time"] == 8
    assert float((loaded.data["ta850"] - loaded.data["ta500"]).mean()) == pytest.approx(30.0, abs=1e-3)
    assert name_of_run([archive]) == "ec-earth3-historical-r1i1p1f1-gr-day"


def test_a_folder_of_two_formats_asks_which(tmp_path, make_field):
    make_field().to_netcdf(tmp_path / "a.nc")
    (tmp_path / "b.csv").write_text("time,tas\n2001-01-01,1\n")
    with pytest.raises(DataError, match=r"files of one format in the folder, got .csv, .nc. Pass those of one, in quo"):
        draft_entry(tmp_path, "x")


def test_hourly_levels_of_the_new_era5_are_drafted_in_hpa(tmp_path, make_field):
    data = make_field().expand_dims(pressure_level=[850.0, 500.0], axis=1).rename(time="valid_time", tas="t")
    data["pressure_level"].attrs = {"units": "hPa", "positive": "down"}
    data = data.assign_coords(number=0, expver=("valid_time", np.array(["0001"] * 5, object)))
    data.to_netcdf(tmp_path / "era5.nc")
    variables = yaml.safe_load(draft_entry(tmp_path / "era5.nc", "x"))["x"]["variables"]
    assert variables["t500"] == {"units": "K", "from": "t", "select": {"pressure_level": 500.0}}


def test_of_a_large_variable_an_even_choice_of_times_is_tried(tmp_path, make_field, monkeypatch):
    monkeypatch.setattr("pipeline.data.describe._SAMPLE", 24)
    whole = make_field(days=40)
    whole["tas"][:15] = np.nan
    whole.to_netcdf(tmp_path / "a.nc")
    assert "tas:" in draft_entry(tmp_path / "a.nc", "x")


@pytest.mark.real
def test_a_real_cmip5_file_is_drafted_by_its_name(real_data):
    path = real_data / "format-traps/tas_Amon_CanESM2_rcp85_r1i1p1_200701-200712.nc"
    entry = yaml.safe_load(draft_entry(path, "x"))["x"]
    assert entry["description"] == "CMIP5: CanESM2, rcp85, r1i1p1, Amon."
    assert name_of_run([path]) == "canesm2-rcp85-r1i1p1-amon"
    assert pd.Series(entry["variables"]["tas"])["units"] == "K"


@pytest.mark.parametrize(
    ("dim", "units", "values", "names"),
    [
        ("plev", "Pa", [85000.0, 50000.0], ["ua850", "ua500"]),
        ("plev", None, [85000.0, 50000.0], ["ua850", "ua500"]),
        ("height", "m", [50.0, 3000.0], ["ua50", "ua3000"]),
        ("lev", "m", [5.0, 4000.0], ["ua5", "ua4000"]),
    ],
)
def test_only_pressure_is_said_in_hundreds(dim, units, values, names):
    attrs = {"axis": "Z"} | ({"units": units} if units else {})
    time = pd.date_range("2001-01-01", periods=3)
    coords = {dim: (dim, values, attrs), "time": time}
    data = xr.Dataset({"ua": (("time", dim), np.zeros((3, 2)), {"units": "m s-1"})}, coords)
    assert [source.key for source in sources_of(data)] == names
