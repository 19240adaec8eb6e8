"""The mean over a region against a loop over its cells."""

import math

import numpy as np
import pytest
import xarray as xr

from pipeline.errors import DataError
from pipeline.prepare.region_mean import area_mean

TIME = np.array(["2001-01-01", "2001-02-01"], "datetime64[ns]")


def field(lat=(-60.0, -5.0, 0.0, 5.0, 60.0), lon=(150.0, 190.0, 215.0, 240.0, 290.0), seed=0):
    values = np.random.default_rng(seed).standard_normal((2, len(lat), len(lon)))
    attrs = {"units": "K", "long_name": "anomaly"}
    coords = {"time": TIME, "lat": list(lat), "lon": list(lon)}
    return xr.Dataset({"sst": (("time", "lat", "lon"), values.astype("f4"), attrs)}, coords)


def by_loop(data, cells):
    """The weighted mean at each time, cell by cell."""
    means = []
    for time in range(2):
        total = weight = 0.0
        for row, column in cells:
            value = float(data["sst"][time, row, column])
            if math.isfinite(value):
                share = math.cos(math.radians(float(data["lat"][row])))
                total, weight = total + share * value, weight + share
        means.append(total / weight if weight else math.nan)
    return means


NINO = [(row, column) for row in (1, 2, 3) for column in (1, 2, 3)]


@pytest.mark.parametrize("lon", [(190, 240), (-170, -120), (190, -120), (550, 600)])
def test_cells_inside_count_by_their_area_however_longitudes_are_counted(lon):
    data = field()
    mean = area_mean(data, {"lat": (-5, 5), "lon": lon}, "pacific")
    np.testing.assert_allclose(mean["sst"], by_loop(data, NINO), rtol=1e-6)
    assert mean["sst"].dims == ("time",)
    assert mean["sst"].dtype == np.float32
    assert mean["sst"].attrs == {"units": "K", "long_name": "anomaly"}
    np.testing.assert_array_equal(mean["time"], TIME)


def test_missing_cells_are_left_out_and_a_time_without_any_is_missing():
    data = field()
    data["sst"].values[0, 1, 1:3] = np.nan
    data["sst"].values[1, 1:4, 1:4] = np.nan
    mean = area_mean(data, {"lat": (-5, 5), "lon": (190, 240)}, "pacific")["sst"]
    np.testing.assert_allclose(mean, by_loop(data, NINO), rtol=1e-6)
    assert np.isnan(mean.values).tolist() == [False, True]


def test_a_bound_left_out_does_not_bind():
    data = field()
    everywhere = [(row, column) for row in range(5) for column in range(5)]
    np.testing.assert_allclose(area_mean(data, {}, "a")["sst"], by_loop(data, everywhere), rtol=1e-5)
    band = [(2, column) for column in range(5)]
    np.testing.assert_allclose(area_mean(data, {"lat": (-1, 1)}, "a")["sst"], by_loop(data, band), rtol=1e-5)


def test_projected_grids_and_stations_have_means_too():
    data = field(lat=(0.0, 60.0), lon=(10.0, 20.0))
    lat, lon = np.meshgrid(data["lat"], data["lon"], indexing="ij")
    values = data["sst"].values
    projected = xr.Dataset({"sst": (("time", "y", "x"), values)}, {"time": TIME, "lat": (("y", "x"), lat), "lon": (("y", "x"), lon)})  # fmt: skip
    np.testing.assert_allclose(area_mean(projected, {}, "a")["sst"], area_mean(data, {}, "a")["sst"], rtol=1e-6)
    places = {"time": TIME, "station": list("abcd"), "lat": ("station", lat.ravel()), "lon": ("station", lon.ravel())}
    table = xr.Dataset({"sst": (("time", "station"), values.reshape(2, 4))}, places)
    inside = area_mean(table, {"lon": (15, 25)}, "a")["sst"]
    np.testing.assert_allclose(inside, values[:, :, 1].mean(axis=1), rtol=1e-6)


@pytest.mark.parametrize(
    ("region", "message"),
    [
        ({"lat": (10, 20)}, r"pacific: mean_over \{'lat': \(10, 20\)\} holds no cell; the data span lat -60 to 60"),
        ({"lat": (-5, 5), "lon": (0, 10)}, "holds no cell; .* lon 150 to 290"),
        ({"latitude": (0, 1)}, "expected bounds of lat and lon, got 'latitude'"),
    ],
)
def test_a_region_without_cells_is_refused(region, message):
    with pytest.raises(DataError, match=message):
        area_mean(field(), region, "pacific")


def test_a_region_without_values_is_refused():
    data = field()
    data["sst"].values[:, 2] = np.nan
    with pytest.raises(DataError, match="variable 'sst' has no value in any of its cells"):
        area_mean(data, {"lat": (-1, 1)}, "pacific")


def test_images_and_fields_without_time_are_refused():
    image = xr.Dataset({"a": (("y", "x"), np.zeros((2, 2)))}, {"y": [0, 1], "x": [0, 1]})
    with pytest.raises(DataError, match="expected data with latitudes and longitudes, got an image"):
        area_mean(image, {}, "patch")
    with pytest.raises(
        DataError, match=r"variable 'sst': expected dims \('time', 'lat', 'lon'\), got \('lat', 'lon'\)"
    ):
        area_mean(field().isel(time=0), {}, "pacific")
