"""Shipped entries of series and images, read from the real files; skipped where FINESCALE_DATA is not set."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from pipeline.backend import get_backend
from pipeline.data.catalog import Catalog, find_catalog
from pipeline.data.files import Places
from pipeline.data.load import load
from pipeline.grid import Grid
from pipeline.prepare.region_mean import area_mean

pytestmark = pytest.mark.real
NINO34 = {"lat": (-5.0, 5.0), "lon": (190.0, 240.0)}


@pytest.fixture
def shipped(real_data, tmp_path, monkeypatch):
    """Loads entries of the shipped catalog from the mirror."""
    monkeypatch.chdir(tmp_path)
    catalog = Catalog.load(find_catalog())
    places = Places(real_data, tmp_path, catalog.path.parent)
    return lambda name, **options: load(name, catalog, places, get_backend("cpu"), **options)


def test_the_pacific_is_what_its_converted_file_holds(shipped, real_data):
    sst = shipped("pacific-sst").data["sst"]
    with xr.open_dataset(real_data / "pacific-sst-enso/strbook_sst_anom_1970_2003.nc") as converted:
        np.testing.assert_array_equal(sst, converted["sst"])
        np.testing.assert_array_equal(sst["time"], converted["time"])
    assert sst["lon"].values[[0, -1]].tolist() == [124.0, 290.0]
    assert int(np.isnan(sst.values).all(axis=0).sum()) == 259
    assert int(np.isnan(sst.values).any(axis=0).sum()) == 259


def test_nino34_of_the_grid_is_that_of_another_analysis(shipped, real_data):
    index = area_mean(shipped("pacific-sst").data, NINO34, "pacific-sst")["sst"]
    assert float(index.sel(time="1997-11-01")) == pytest.approx(2.73, abs=0.01)
    assert float(index.sel(time="1983-01-01")) == pytest.approx(2.67, abs=0.01)
    with xr.open_dataset(real_data / "pacific-sst-enso/Reyn_SmithOIv2_Nino34_sst.nc") as file:
        months = file["time"].values.astype("datetime64[M]").astype("datetime64[ns]")
        other = file["sst"].load().assign_coords(time=months)
    both = other.sel(time=slice("1982-01-01", "2003-03-01"))
    anomaly = both.groupby("time.month") - both.groupby("time.month").mean()
    assert np.corrcoef(index.sel(time=both["time"]), anomaly)[0, 1] == pytest.approx(0.997, abs=0.0005)


def test_the_soi_goes_against_the_pacific(shipped):
    loaded = shipped("soi")
    soi = loaded.data["soi"]
    assert dict(soi.sizes) == {"time": 152 * 12}
    assert float(soi[0]) == pytest.approx(-0.62)
    assert float(soi.sel(time="1997-08-01")) < -1
    # The mean of the year stands behind its months: a check that the columns are the right ones.
    assert float(soi.sel(time="1867").mean()) == pytest.approx(-0.03, abs=0.006)
    assert int(soi.isnull().sum()) == 3
    nino = area_mean(shipped("pacific-sst").data, NINO34, "pacific-sst")["sst"]
    assert np.corrcoef(nino, soi.sel(time=nino["time"]))[0, 1] == pytest.approx(-0.749, abs=0.001)


def test_the_salmon_river_is_a_series_with_missing_flow(shipped):
    loaded = shipped("salmon-river")
    assert {array.dims for array in loaded.data.data_vars.values()} == {("time",)}
    assert dict(loaded.data.sizes) == {"time": 20819}
    assert int(loaded.data["qobs"].isnull().sum()) == 1697
    assert float(loaded.data["qobs"].max()) == pytest.approx(383.0)
    lagged = loaded.data["qobs"].values.astype(float)
    now, week = lagged[7:], lagged[:-7]
    there = np.isfinite(now) & np.isfinite(week)
    skill = 1 - np.mean((now - week)[there] ** 2) / np.var(now[there])
    assert skill == pytest.approx(0.777, abs=0.002)


def test_us_stations_are_in_celsius_on_the_days_of_their_own_list(shipped, real_data):
    data = shipped("us-stations").data
    assert dict(data.sizes) == {"time": 1461, "station": 328}
    days = pd.read_csv(real_data / "us-stations-daily/Times_1990.dat", sep=r"\s+", header=None)
    dates = pd.to_datetime(pd.DataFrame({"year": days[1], "month": days[2], "day": days[3]}))
    np.testing.assert_array_equal(data["time"].values, dates.to_numpy().astype("datetime64[ns]"))
    assert float(data["tmax"][0, 0]) == pytest.approx((35 - 32) / 1.8, abs=1e-4)
    share = np.isnan(data["tmax"].values).mean(axis=0)
    assert (int((share > 0.99).sum()), int((share < 0.05).sum())) == (191, 132)
    there = np.isfinite(data["tmax"].values) & np.isfinite(data["tmin"].values)
    assert (data["tmax"].values >= data["tmin"].values)[there].mean() > 0.999


def test_camels_basins_have_weather_flow_and_places(shipped):
    data = shipped("camels-us").data
    assert data["station"].values.tolist() == ["01022500", "01547700", "02064000"]
    assert dict(data.sizes) == {"time": 1461, "station": 3}
    # 255 cubic feet a second on 587.7 km2.
    assert float(data["streamflow"][0, 0]) == pytest.approx(255 * 28.316847 / 587.7, rel=1e-3)
    assert np.isfinite(data["streamflow"].values).sum(axis=0).tolist() == [1096, 1096, 1096]
    assert np.isfinite(data["prcp"].values).sum(axis=0).tolist() == [1461, 1096, 1096]
    assert data["lat"].values[0] == pytest.approx(44.60797)
    millimetres = 0.0864 * data["streamflow"].values[:1096]  # a day, of L s-1 km-2
    ratio = np.nansum(millimetres, axis=0) / np.nansum(data["prcp"].values[:1096], axis=0)
    assert ((ratio > 0.1) & (ratio < 0.8)).all()


def test_camels_attributes_are_of_all_basins(shipped):
    loaded = shipped("camels-us-attributes")
    assert dict(loaded.data.sizes) == {"station": 671}
    one = loaded.data.sel(station="01022500")
    assert float(one["p_mean"]) == pytest.approx(3.60812594)
    assert float(one["area_gages2"]) == pytest.approx(573.6)
    assert float(loaded.data["geol_porosity"].isnull().mean()) < 0.03
    assert any(repair.kind == "text" and "geol_1st_class" in repair.text for repair in loaded.repairs)


@pytest.mark.parametrize(
    ("sensor", "shares"), [("landsat5", (0.441, 0.328, 0.231)), ("sentinel2", (0.702, 0.189, 0.109))]
)
def test_cloud_masks_have_their_classes(shipped, sensor, shares):
    data = shipped(f"cloud-masks-{sensor}").data
    assert Grid.of(data).image
    assert dict(data.sizes) == {"y": 512, "x": 512}
    mask = data["mask"].values
    assert [float((mask == number).mean()) for number in range(3)] == pytest.approx(shares, abs=0.001)
    assert data["mask"].attrs["flag_meanings"] == "clear cloud shadow"
    # Clouds are the brightest and shadows the darkest.
    blue = [float(data["blue"].values[mask == number].mean()) for number in range(3)]
    assert blue[1] > 1.5 * blue[0]
    assert blue[2] < blue[0]
