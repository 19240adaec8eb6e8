"""Files for a trained model: an archive's own folders, or files of one's own."""

import numpy as np
import pytest
import xarray as xr

from flows.apply.opening import Found, open_as
from flows.apply.stations import with_places, with_stations
from pipeline.backend import get_backend
from pipeline.data.catalog import make_entry
from pipeline.errors import DataError, LackingVariableError
from pipeline.grid import Grid

BASINS = Grid(np.array([[44.5, 41.5]]), np.array([[-67.5, -77.5]]), ("row", "station"), ("01000001", "02000002"))


def forcing(folder, basin):
    folder.mkdir(exist_ok=True)
    head = [" 44.82", " 133.00", " 500000000", "Year Mnth Day Hr dayl(s) prcp(mm/day) srad(W/m2) tmax(C)"]
    days = [f"2003 01 {day:02} 12\t31185.97\t{day}.50\t189.56\t-2.36" for day in (1, 2, 3)]
    (folder / f"{basin}_lump_cida_forcing_leap.txt").write_text("\n".join(head + days) + "\n")


@pytest.fixture
def camels():
    """The entry of a run that learned streamflow from forcing."""
    variables = {"prcp": {"units": "mm d-1"}, "tmax": {"units": "degC"}, "streamflow": {"units": "mm d-1"}}
    raw = {"format": "camels_us", "options": {"part": "series"}, "files": [{"path": "camels"}], "variables": variables}
    return make_entry("basins", raw | {"licence": "unknown"}, "catalog.yaml")


def test_a_folder_in_the_layout_of_its_own_format_is_read_as_that(camels, tmp_path):
    forcing(tmp_path / "new", "02000002")
    found = Found.of(camels, [str(tmp_path / "new")])
    assert (found.format, [path.name for path in found.paths]) == (
        "camels_us",
        ["02000002_lump_cida_forcing_leap.txt"],
    )
    with open_as(camels, found, ["prcp", "tmax"], get_backend("cpu")) as blocks:
        data = blocks.read(np.arange(3))
    np.testing.assert_allclose(data["prcp"].values.ravel(), [1.5, 2.5, 3.5])
    assert set(data.data_vars) == {"prcp", "tmax"}


def test_another_folder_is_read_by_what_is_in_it(camels, tmp_path):
    time = np.arange("2003-01-01", "2003-01-04", dtype="datetime64[D]").astype("datetime64[ns]")
    rain = (("time", "station"), np.array([[1.0], [2.0], [3.0]], "f4"), {"units": "mm d-1"})
    xr.Dataset({"prcp": rain}, {"time": time, "station": ["02000002"]}).to_netcdf(tmp_path / "own.nc")
    found = Found.of(camels, [str(tmp_path)])
    assert (found.format, [path.name for path in found.paths]) == ("netcdf", ["own.nc"])
    with open_as(camels, found, ["prcp"], get_backend("cpu")) as blocks:
        assert blocks.read(np.arange(3))["prcp"].values.ravel().tolist() == [1.0, 2.0, 3.0]


def test_a_folder_of_neither_says_both(camels, tmp_path):
    (tmp_path / "notes.md").write_text("nothing")
    with pytest.raises(DataError, match=r"expected files \*_forcing_leap.txt .* in .*, got none; nor others: .*folder"):
        Found.of(camels, [str(tmp_path)])


def test_no_streamflow_at_all_is_a_variable_that_lacks(camels, tmp_path):
    forcing(tmp_path / "new", "02000002")
    found = Found.of(camels, [str(tmp_path / "new")])
    with pytest.raises(LackingVariableError, match="basin 02000002: expected a file of its streamflow, got none"):
        open_as(camels, found, ["streamflow"], get_backend("cpu"))


def table(names, lat):
    places = {"station": list(names), "lat": ("station", lat), "lon": ("station", [x and -x for x in lat])}
    return xr.Dataset({"prcp": (("time", "station"), np.ones((1, len(names))))}, places)


def test_stations_lie_where_the_run_had_them_unless_the_file_says_where():
    data = with_places(table(["02000002", "01000001", "unknown"], [np.nan, 44.0, np.nan]), BASINS)
    np.testing.assert_array_equal(data["lat"], [41.5, 44.0, np.nan])
    np.testing.assert_array_equal(data["lon"], [-77.5, -44.0, np.nan])


def test_a_lacking_station_lies_where_the_run_had_it():
    data = with_stations(table(["02000002"], [np.nan]), BASINS)
    assert dict(zip(data["station"].values.tolist(), data["lat"].values.tolist(), strict=True)) == {
        "02000002": 41.5,
        "01000001": 44.5,
    }
    assert np.isnan(data["prcp"].sel(station="01000001")).all()


def test_fields_are_left_as_they_are():
    field = xr.Dataset({"tas": (("lat", "lon"), np.ones((2, 2)))}, {"lat": [1.0, 2.0], "lon": [3.0, 4.0]})
    assert with_places(field, BASINS) is field
