"""Real files and what is odd about each of them; skipped where FINESCALE_DATA is not set."""

import time

import numpy as np
import pytest

from pipeline.backend import get_backend
from pipeline.data.catalog import Catalog, find_catalog
from pipeline.data.contents import inspect
from pipeline.data.files import Places
from pipeline.data.load import load
from pipeline.errors import ChecksumError, DataError

pytestmark = pytest.mark.real


@pytest.fixture
def shipped(real_data, tmp_path, monkeypatch):
    """Loads entries of the shipped catalog from the mirror."""
    monkeypatch.chdir(tmp_path)
    catalog = Catalog.load(find_catalog())
    places = Places(real_data, tmp_path, catalog.path.parent)
    return lambda name, **options: load(name, catalog, places, get_backend("cpu"), **options)


def repairs(loaded):
    return {(repair.kind, repair.variable): repair.count for repair in loaded.repairs}


def test_iberia_predictors_and_target_load_in_ten_seconds(shipped):
    begun = time.perf_counter()
    pressure, surface, target = (shipped(f"iberia-{name}") for name in ("ncep-pressure", "ncep-surface", "eobs-tas"))
    assert time.perf_counter() - begun < 10.0
    assert dict(pressure.data.sizes) == {"time": 1805, "lat": 5, "lon": 7}
    assert dict(surface.data.sizes) == {"time": 1805, "lat": 6, "lon": 8}
    assert dict(target.data.sizes) == {"time": 1805, "lat": 19, "lon": 29}
    assert [data["units"] for data in (v.attrs for v in pressure.data.values())] == ["Pa", "K", "kg kg-1"]
    assert all(found.place == "mirror" for found in (*pressure.files, *surface.files, *target.files))
    assert (pressure.data["time"].values == target.data["time"].values).all()
    # Day pairing: the domain means go together on the same day and less so a day later.
    coarse = surface.data["tas"].mean(("lat", "lon")).values
    fine = target.data["tas"].mean(("lat", "lon")).values
    same, later = (np.corrcoef(coarse[: 1805 - lag], fine[lag:])[0, 1] for lag in (0, 1))
    assert same == pytest.approx(0.943, abs=0.005)
    assert later < same - 0.05


def test_iberia_values_agree_with_what_is_known_of_them(shipped):
    surface = shipped("iberia-ncep-surface")
    assert repairs(surface)["minimum", "pr"] == 41372
    assert float(surface.data["pr"].min()) == 0.0
    assert float(surface.data["pr"].max()) == pytest.approx(0.000777 * 86400, rel=1e-3)
    target = shipped("iberia-eobs-tas").data["tas"]
    assert int(np.isfinite(target.values).any(axis=0).sum()) == 330
    assert (float(target.min()), float(target.max())) == pytest.approx((-16.87, 24.5), abs=1e-3)
    rain = shipped("iberia-eobs-pr").data["pr"]
    assert int(np.isfinite(rain.values).all(axis=0).sum()) == 324
    assert float(rain.max()) == pytest.approx(115.7, abs=1e-3)


def test_iberia_seasons_are_gaps_of_daily_data(shipped):
    (check,) = inspect(shipped("iberia-eobs-tas").data)
    assert (check.start, check.end, check.step, len(check.gaps)) == ("1982-12-01", "2002-02-28", "1 day", 19)


@pytest.mark.parametrize(("name", "missing"), [("iberia-stations-tas", 0.0012), ("iberia-stations-pr", 0.0)])
def test_iberia_stations_keep_their_leading_zeros(shipped, name, missing):
    data = shipped(name).data
    assert data["station"].values[:2].tolist() == ["000212", "000214"]
    assert data["station_name"].values[0] == "BRAGANCA"
    assert dict(data.sizes) == {"time": 1805, "station": 11}
    assert float(data["altitude"][0]) == 690.0
    (values,) = data.data_vars.values()
    assert float(values.isnull().mean()) == pytest.approx(missing, abs=1e-4)


def test_station_tables_and_r_data_hold_the_same(shipped, load_real):
    folder = "iberia-downscaling/"
    stations = {"file": "value_stations_meta.csv", "altitude": "altitude_m"}
    table = load_real(
        "csv",
        [folder + "value_stations_tas.csv", folder + "value_stations_meta.csv"],
        {"tas": {"units": "degC", "source_units": "degC"}},
        time="date",
        wide={"tas": "*tas.csv"},
        stations=stations,
    ).data
    original = shipped("iberia-stations-tas").data
    np.testing.assert_allclose(table["tas"], original["tas"], atol=1e-5)
    for name in ("lat", "lon", "altitude"):
        np.testing.assert_allclose(table[name], original[name], atol=1e-3)


def test_converted_files_and_originals_hold_the_same(shipped, load_real):
    names = ("psl", "ta850", "hus850")
    files = [f"iberia-downscaling/ncep_{name}.nc" for name in names]
    units = {"psl": "Pa", "ta850": "K", "hus850": "kg kg-1"}
    converted = load_real("netcdf", files, {name: {"units": units[name]} for name in names})
    original = shipped("iberia-ncep-pressure")
    for name in names:
        np.testing.assert_allclose(converted.data[name], original.data[name], rtol=1e-6)


def test_two_predictor_grids_are_no_one_entry(load_real):
    files = ["iberia-downscaling/ncep_psl.nc", "iberia-downscaling/ncep_tas.nc"]
    with pytest.raises(DataError, match="expected files on one grid"):
        load_real("netcdf", files, {"psl": {"units": "Pa"}, "tas": {"units": "degC"}})


def test_times_since_the_year_zero_of_365_days_are_read(load_real):
    loaded = load_real("netcdf", "format-traps/b003_TS_200-299.nc",
                       {"TS": {"units": "degC"}, "date": {"units": "1", "source_units": "1"}})  # fmt: skip
    assert {"calendar", "times"} <= {repair.kind for repair in loaded.repairs}
    # The file says its dates a second time, as numbers yyyymmdd.
    dates = [date.year * 10000 + date.month * 100 + date.day for date in loaded.data["time"].values]
    np.testing.assert_array_equal(loaded.data["date"], dates)


def test_packed_integers_descending_latitudes_and_a_scalar_time(load_real):
    loaded = load_real("netcdf", "format-traps/era5_1995-07-14T12.nc",
                       {"t2m": {"units": "degC"}, "t2m_C": {"units": "degC", "source_units": "degC"}})  # fmt: skip
    assert loaded.data["t2m"].shape == (1, 105, 237)
    assert (np.diff(loaded.data["lat"]) > 0).all()
    assert str(loaded.data["time"].values[0])[:13] == "1995-07-14T12"
    # The file holds an unpacked copy in degC.
    np.testing.assert_allclose(loaded.data["t2m"], loaded.data["t2m_C"], atol=1e-3)
    assert repairs(loaded)["unpacked", "t2m"] == 24885


def test_the_times_in_a_file_count_and_not_its_name(load_real):
    loaded = load_real("netcdf", "format-traps/tas_Amon_CanESM2_rcp85_r1i1p1_200701-200712.nc",
                       {"tas": {"units": "degC"}})  # fmt: skip
    (check,) = inspect(loaded.data)
    assert (check.start, check.end, check.step) == ("2006-12-16 12:00:00", "2007-11-16", "1 month")
    assert loaded.data["time"].values[0].calendar == "noleap"
    assert loaded.data["lon"].values[[0, -1]].tolist() == [-180.0, 177.1875]
    assert set(loaded.data.coords) == {"time", "lat", "lon"}


def test_missing_discharge_is_a_marker_that_the_file_does_not_declare(load_real):
    file = "basin-salmon/Salmon-River-Near-Prince-George_meteo_daily.nc"
    spec = {"units": "m3 s-1", "missing": [-1.2345]}
    loaded = load_real("netcdf", file, {"qobs": spec, "rain": {"units": "mm d-1"}})
    assert repairs(loaded)["missing", "qobs"] == 1697
    assert loaded.data["qobs"].dims == ("time",)
    assert float(loaded.data["qobs"].min()) > 0
    assert float(loaded.data["lat"]) == pytest.approx(54.4848)
    known = {"units": "m3 s-1", "standard_name": "water_volume_transport_in_river_channel"}
    with pytest.raises(DataError, match=r"qobs has values from -1.2345 to 383 m3 s-1"):
        load_real("netcdf", file, {"qobs": known})


def test_the_pacific_stays_in_one_piece(load_real):
    loaded = load_real("netcdf", "pacific-sst-enso/strbook_sst_anom_1970_2003.nc",
                       {"sst": {"units": "degC"}, "landmask": {"units": "1", "source_units": "1"}})  # fmt: skip
    assert loaded.data["lon"].values[[0, -1]].tolist() == [124.0, 290.0]
    assert loaded.data["landmask"].dims == ("lat", "lon")
    land = loaded.data["landmask"].values == 1
    assert int(land.sum()) == 259
    assert np.isnan(loaded.data["sst"].values[:, land]).all()


def test_an_index_in_celsius_scale(load_real):
    loaded = load_real("netcdf", "pacific-sst-enso/Reyn_SmithOIv2_Nino34_sst.nc", {"sst": {"units": "K"}})
    assert float(loaded.data["sst"].max()) == pytest.approx(29.32 + 273.15, abs=0.01)
    (check,) = inspect(loaded.data)
    assert (check.start, check.step) == ("1982-01-16 12:00:00", "1 month")


def test_an_index_without_units_needs_the_catalogs(load_real):
    file = "pacific-sst-enso/SOI_Darwin.nc"
    with pytest.raises(DataError, match="variable 'SOI_Darwin': the file does not say its units"):
        load_real("netcdf", file, {"SOI_Darwin": {"units": "1"}})
    soi = load_real("netcdf", file, {"SOI_Darwin": {"units": "1", "source_units": "1"}}).data["SOI_Darwin"]
    assert int(soi.isnull().sum()) == 12
    assert bool(soi.sel(time="2013").isnull().all())


def test_an_r_data_frame_is_no_grid(load_real):
    with pytest.raises(DataError, match=r"SSTdata.rda: expected a climate4R object"):
        load_real("rda", "pacific-sst-enso/orig/SSTdata.rda", {"sst": {"units": "degC"}})


def test_a_matrix_of_stations_without_any_header(load_real):
    folder = "us-stations-daily/"
    spec = {"units": "degC", "source_units": "degF", "missing": [-9999]}
    loaded = load_real(
        "csv",
        [folder + name for name in ("Tmax_1990.dat", "Tmin_1990.dat", "Stationinfo.dat")],
        {"tmax": spec, "tmin": spec},
        separator="blank",
        header=False,
        start="1990-01-01",
        wide={"tmax": "Tmax*", "tmin": "Tmin*"},
        stations={
            "file": "Stationinfo.dat",
            "separator": "blank",
            "header": False,
            "columns": ["id", "lat", "lon"],
            "id": "id",
        },
    )
    assert dict(loaded.data.sizes) == {"time": 1461, "station": 328}
    assert str(loaded.data["time"].values[-1])[:10] == "1993-12-31"
    assert loaded.data["station"].values[0] == "3804"
    assert float(loaded.data["tmax"].max()) == pytest.approx((110 - 32) / 1.8, abs=1e-4)
    share = np.isnan(loaded.data["tmax"].values).mean(axis=0)
    assert (int((share > 0.99).sum()), int((share < 0.05).sum())) == (191, 132)


def test_heights_of_one_pressure_counted_from_the_year_one(load_real):
    loaded = load_real("netcdf", "eof-winter/hgt_djf.nc", {"z": {"units": "m", "source_units": "gpm"}})
    assert loaded.data["z"].shape == (65, 29, 49)
    assert str(loaded.data["time"].values[0])[:13] == "1948-01-15T12"


def test_rows_without_a_time_are_dropped(load_real):
    loaded = load_real("netcdf", "indices/RMM1.observed.interannual.1974-06.2017-07.nc",
                       {"rmm1": {"units": "1", "source_units": "1"}})  # fmt: skip
    assert repairs(loaded)["missing times", None] == 145
    assert not bool(loaded.data["rmm1"].isnull().any())


def test_a_calendar_of_360_days_keeps_its_dates(load_real):
    loaded = load_real("netcdf", "hadcm3-na-annual/A1B_north_america.nc", {"air_temperature": {"units": "degC"}})
    assert loaded.data["time"].values[0].calendar == "360_day"
    assert loaded.data["lon"].values[[0, -1]].tolist() == [-135.0, -45.0]


def test_sources_of_one_variable_agree_once_their_units_do(load_real):
    means = []
    for name in ("ahccd_1950-2013", "nrcan_1950-2013"):
        specs = {"tasmax": {"units": "degC"}, "pr": {"units": "mm d-1"}}
        data = load_real("netcdf", f"bias-correction-points/{name}.nc", specs).data
        assert data["tasmax"].dims == ("time", "station")
        assert data["station"].values.tolist()[0] == "Vancouver"
        assert data["time"].values[0].calendar == "noleap"
        means.append([float(data["tasmax"].mean()), float(data["pr"].mean())])
    np.testing.assert_allclose(means[0], means[1], atol=0.3)


def test_tiny_negatives_of_a_reanalysis_are_rounding(load_real):
    loaded = load_real("netcdf", "era5-cities-daily/daily_surface_cancities_1990-1993.nc",
                       {"pr": {"units": "mm d-1", "minimum": 0}, "hurs": {"units": "%"}})  # fmt: skip
    assert repairs(loaded)["minimum", "pr"] == 234
    assert 20 < float(loaded.data["hurs"].mean()) < 100


def test_projected_grids_keep_their_places(load_real):
    spec = {"pr": {"units": "mm d-1", "source_units": "mm d-1"}}
    data = load_real("netcdf", "cordex-ml-bench-templates/pr_ALPS.nc", spec).data
    assert data["pr"].dims == ("time", "y", "x")
    assert data["lat"].dims == ("y", "x")


def test_ids_of_basins_keep_their_zeros(load_real):
    files = [f"camels-us/usgs_streamflow/{basin}_streamflow_qc.txt" for basin in ("01022500", "02064000")]
    data = load_real(
        "csv", files, {"q": {"units": "m3 s-1", "source_units": "cfs"}}, separator="blank", header=False,
        columns=["basin", "Y", "M", "D", "q", "flag"], time=["Y", "M", "D"], station="basin",
    ).data  # fmt: skip
    assert data["station"].values.tolist() == ["01022500", "02064000"]
    assert float(data["q"].sel(station="01022500").max()) == pytest.approx(2910 * 0.0283168, rel=1e-4)


def test_a_changed_copy_in_the_mirror_is_refused(real_data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    catalog = Catalog.load(find_catalog())
    entry = catalog["iberia-stations-pr"]
    copy = tmp_path / entry.files[0].path
    copy.parent.mkdir(parents=True)
    copy.write_bytes((real_data / entry.files[0].path).read_bytes()[:-1])
    with pytest.raises(ChecksumError, match=r"VALUE_Iberia_pr.rda: expected sha256 a31a27fc"):
        load(entry, catalog, Places(tmp_path, tmp_path / "c", tmp_path), get_backend("cpu"))
