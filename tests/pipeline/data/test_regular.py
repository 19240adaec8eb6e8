"""One layout, one unit, one order, whatever the file has; every repair is recorded."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from pipeline.errors import DataError


def kinds(loaded):
    return [(repair.kind, repair.variable, repair.count) for repair in loaded.repairs]


def test_a_regular_file_needs_no_repair(make_field, load_netcdf):
    data = make_field()
    loaded = load_netcdf(data, {"tas": {"units": "K", "standard_name": "air_temperature"}})
    assert loaded.repairs == ()
    assert loaded.data["tas"].dims == ("time", "lat", "lon")
    assert loaded.data["tas"].dtype == np.float32
    assert loaded.data["tas"].attrs == {"units": "K", "long_name": "tas", "standard_name": "air_temperature"}
    assert loaded.data["time"].dtype == "datetime64[ns]"
    assert loaded.data["lat"].attrs["units"] == "degrees_north"
    np.testing.assert_array_equal(loaded.data["tas"], data["tas"])


def test_units_are_converted(make_field, load_netcdf):
    data = make_field()
    loaded = load_netcdf(data, {"tas": {"units": "degC"}})
    np.testing.assert_allclose(loaded.data["tas"], data["tas"].values.astype("f8") - 273.15, atol=1e-5)
    assert kinds(loaded) == [("units", "tas", 60)]
    assert loaded.repairs[0].text == "tas is converted from 'K' to 'degC'"


def test_the_catalog_knows_units_better_than_the_file(make_field, load_netcdf):
    loaded = load_netcdf(make_field(units="mm"), {"tas": {"units": "mm d-1", "source_units": "mm d-1"}})
    assert kinds(loaded) == [("source units", "tas", 60)]
    assert loaded.repairs[0].text == "tas is taken to be in 'mm d-1', the file says 'mm'"


def test_units_that_nobody_says_are_refused(make_field, load_netcdf):
    data = make_field()
    del data["tas"].attrs["units"]
    with pytest.raises(DataError, match=r"set: variable 'tas': the file does not say its units. .* source_units: K"):
        load_netcdf(data, {"tas": {"units": "K"}})
    assert load_netcdf(data, {"tas": {"units": "K", "source_units": "K"}}).repairs == ()


def test_units_that_do_not_convert_are_named_with_the_variable(make_field, load_netcdf):
    message = (
        r"set: variable 'tas': the file has 'K', 'mm d-1' is wanted: .* they measure different things. If the file"
    )
    with pytest.raises(DataError, match=message):
        load_netcdf(make_field(), {"tas": {"units": "mm d-1"}})
    with pytest.raises(
        DataError, match=r"'celcius' is wanted: .* If the catalog says them wrong, correct units in the"
    ):
        load_netcdf(make_field(), {"tas": {"units": "celcius"}})


def test_latitudes_turn_and_dims_get_their_names_and_order(make_field, load_netcdf):
    data = make_field()
    odd = data.isel(lat=slice(None, None, -1)).transpose("lon", "lat", "time")
    odd = odd.rename(lat="latitude", lon="longitude", time="valid_time")
    loaded = load_netcdf(odd, {"tas": {"units": "K"}})
    xr.testing.assert_allclose(loaded.data["tas"].drop_attrs(), data["tas"].drop_attrs())
    assert {kind for kind, _, _ in kinds(loaded)} == {"renamed", "latitudes"}


def test_dims_of_one_value_go_and_others_are_chosen(make_field, load_netcdf):
    level = make_field()["tas"].expand_dims(plev=[85000.0, 50000.0], axis=1)
    data = xr.Dataset({"ta": level * xr.DataArray([1.0, 2.0], dims="plev")})
    data["ta"].attrs["units"] = "K"
    data["ta2"] = data["ta"].isel(plev=[0])[:, 0:1].rename(plev="height")
    data["ta2"].attrs["units"] = "K"
    chosen = {"ta500": {"units": "K", "from": "ta", "select": {"plev": 50000}}}
    loaded = load_netcdf(data, chosen, check=False)
    np.testing.assert_allclose(loaded.data["ta500"], 2 * make_field()["tas"])
    with pytest.raises(
        DataError, match=r"set: variable 'ta': expected dims .* got also plev of 2. .*select: {plev: ...}"
    ):
        load_netcdf(data, {"ta": {"units": "K"}})
    with pytest.raises(DataError, match=r"variable 'ta': expected plev of 70000.0 once, got \[85000.0, 50000.0\]"):
        load_netcdf(data, {"ta": {"units": "K", "select": {"plev": 70000}}})
    with pytest.raises(DataError, match=r"variable 'ta' has no dim 'lev'. Did you mean 'plev'\? Known: "):
        load_netcdf(data, {"ta": {"units": "K", "select": {"lev": 70000}}})
    squeezed = load_netcdf(data, {"ta2": {"units": "K"}})
    assert ("squeezed", None, 0) in kinds(squeezed)
    assert squeezed.data["ta2"].dims == ("time", "lat", "lon")


def test_bounds_and_unneeded_coordinates_are_dropped(make_field, load_netcdf):
    data = make_field()
    data["lat"].attrs["bounds"] = "lat_edges"
    data["lat_edges"] = (("lat", "edge"), np.zeros((3, 2)))
    data["time_bnds"] = (("time", "edge"), np.zeros((5, 2)))
    data = data.assign_coords(height=2.0, crs=0)
    loaded = load_netcdf(data, {"tas": {"units": "K"}})
    assert set(loaded.data.coords) == {"time", "lat", "lon"}


def test_packed_integers_and_fill_values_are_decoded(make_field, load_netcdf):
    data = make_field()
    data["tas"][0, 0, 0] = np.nan
    packing = {"tas": {"dtype": "i2", "scale_factor": 0.01, "add_offset": 280.0, "_FillValue": -32767}}
    loaded = load_netcdf(data, {"tas": {"units": "K"}}, encoding=packing)
    np.testing.assert_allclose(loaded.data["tas"], data["tas"], atol=0.006)
    assert kinds(loaded) == [("unpacked", "tas", 60)]


@pytest.mark.parametrize("marker", [-9999.0, -1.2345, -99.99])
def test_markers_become_missing_before_units_are_converted(make_field, load_netcdf, marker):
    data = make_field()
    data["tas"][1, :, 2] = marker
    loaded = load_netcdf(data, {"tas": {"units": "degC", "missing": [marker]}})
    assert int(np.isnan(loaded.data["tas"]).sum()) == 3
    assert kinds(loaded) == [("missing", "tas", 3), ("units", "tas", 57)]


def test_rounding_below_a_limit_is_set_to_it(make_field, load_netcdf):
    data = make_field("pr", units="mm d-1")
    data["pr"][0, 0, :2] = -1e-5
    data["pr"][0, 1, 0] = np.nan
    loaded = load_netcdf(data, {"pr": {"units": "mm d-1", "minimum": 0}})
    assert float(loaded.data["pr"].min()) == 0.0
    assert int(np.isnan(loaded.data["pr"]).sum()) == 1
    assert kinds(loaded) == [("minimum", "pr", 2)]


def test_values_far_below_a_limit_are_no_rounding(make_field, load_netcdf):
    data = make_field("pr", units="mm d-1")
    data["pr"][0, 0, 0] = -9999.0
    message = r"set: variable 'pr': expected values of 0 or more but for rounding, got -9999. .* write it under missing"
    with pytest.raises(DataError, match=message):
        load_netcdf(data, {"pr": {"units": "mm d-1", "minimum": 0}})


def test_times_are_sorted_and_doubles_refused(make_field, load_netcdf):
    data = make_field()
    loaded = load_netcdf(data.isel(time=[1, 0, 2, 4, 3]), {"tas": {"units": "K"}})
    np.testing.assert_array_equal(loaded.data["tas"], data["tas"])
    assert kinds(loaded) == [("times sorted", None, 4)]
    message = r"set: expected every time once, got 2001-01-02 twice \(1 times stand more than once\)"
    with pytest.raises(DataError, match=message):
        load_netcdf(data.isel(time=[0, 1, 1, 2]), {"tas": {"units": "K"}})


def test_a_scalar_time_is_a_dim_of_one(make_field, load_netcdf):
    data = make_field().isel(time=0)
    loaded = load_netcdf(data, {"tas": {"units": "K"}})
    assert loaded.data["tas"].shape == (1, 3, 4)
    assert ("one time", None, 1) in kinds(loaded)


def test_a_projected_grid_keeps_two_dimensional_places(load_netcdf):
    lat, lon = np.meshgrid([40.0, 41.0], [358.0, 359.0, 0.0], indexing="ij")
    data = xr.Dataset(
        {"tas": (("time", "rlat", "rlon"), np.full((2, 2, 3), 280.0), {"units": "K"})},
        coords={
            "time": pd.date_range("2001-01-01", periods=2),
            "rlat": ("rlat", [1.0, 2.0], {"standard_name": "grid_latitude"}),
            "rlon": ("rlon", [1.0, 2.0, 3.0], {"standard_name": "grid_longitude"}),
            "lat": (("rlat", "rlon"), lat, {"standard_name": "latitude"}),
            "lon": (("rlat", "rlon"), lon, {"standard_name": "longitude"}),
        },
    )
    loaded = load_netcdf(data, {"tas": {"units": "K"}})
    assert loaded.data["tas"].dims == ("time", "y", "x")
    np.testing.assert_allclose(loaded.data["lon"][0], [-2, -1, 0])
    np.testing.assert_allclose(loaded.data["lat"][:, 0], [40, 41])
    assert loaded.data["lat"].variable._in_memory
    assert "crs" not in loaded.data.coords
    pole = {"grid_mapping_name": "rotated_latitude_longitude", "grid_north_pole_latitude": 39.25}
    data["tas"].attrs["grid_mapping"] = "rotated_pole"
    loaded = load_netcdf(data.assign(rotated_pole=((), b"", pole)), {"tas": {"units": "K"}})
    assert loaded.data.coords["crs"].attrs == pole
    assert loaded.data["y"].attrs["standard_name"] == "grid_latitude"
    assert list(loaded.data.data_vars) == ["tas"]


def test_stations_get_their_ids_as_text(load_netcdf):
    data = xr.Dataset(
        {"tas": (("location", "time"), np.full((2, 3), 280.0), {"units": "K"})},
        coords={
            "time": pd.date_range("2001-01-01", periods=3),
            "location": ["0001", "0002"],
            "lat": ("location", [40.0, 41.0], {"units": "degrees_north"}),
            "lon": ("location", [350.0, 5.0], {"units": "degrees_east"}),
        },
    )
    loaded = load_netcdf(data, {"tas": {"units": "K"}})
    assert loaded.data["tas"].dims == ("time", "station")
    assert loaded.data["station"].values.tolist() == ["0001", "0002"]
    np.testing.assert_allclose(loaded.data["lon"], [-10, 5])


def test_stations_without_ids_are_numbered(load_netcdf):
    places = {
        "lat": ("n", [40.0, 41.0], {"units": "degrees_north"}),
        "lon": ("n", [1.0, 5.0], {"units": "degrees_east"}),
    }
    data = xr.Dataset({"elevation": ("n", [5.0, 6.0], {"units": "m"})}, coords=places)
    loaded = load_netcdf(data, {"elevation": {"units": "m"}})
    assert loaded.data["station"].values.tolist() == ["0", "1"]


def test_a_series_keeps_the_place_that_the_file_says(load_netcdf):
    data = xr.Dataset(
        {
            "q": ("time", [1.0, 2.0], {"units": "m3 s-1"}),
            "lat": ("site", [54.5], {"standard_name": "latitude"}),
            "lon": ("site", [-123.4], {"standard_name": "longitude"}),
        },
        coords={"time": pd.date_range("2001-01-01", periods=2)},
    )
    loaded = load_netcdf(data, {"q": {"units": "m3 s-1"}})
    assert loaded.data["q"].dims == ("time",)
    assert float(loaded.data["lat"]) == 54.5


def test_fields_without_time_stand_beside_those_with(make_field, load_netcdf):
    data = make_field()
    data["orog"] = (("lat", "lon"), np.arange(12.0).reshape(3, 4), {"units": "m"})
    loaded = load_netcdf(data, {"tas": {"units": "K"}, "orog": {"units": "m"}})
    assert loaded.data["orog"].dims == ("lat", "lon")
    alone = load_netcdf(data.isel(time=[0]), {"orog": {"units": "m"}})
    assert "time" not in alone.data.coords


def test_dims_without_coordinates_are_refused(make_field, load_netcdf):
    data = make_field()
    with pytest.raises(DataError, match=r"variable 'tas': expected both a latitude and a longitude .*lat.*lon.* time"):
        load_netcdf(data.drop_vars("lat"), {"tas": {"units": "K"}})
    with pytest.raises(DataError, match=r"set: expected times for the dim 'time', got none"):
        load_netcdf(data.drop_vars("time"), {"tas": {"units": "K"}})
    data["zonal"] = ("lat", np.ones(3), {"units": "K"})
    with pytest.raises(DataError, match=r"variable 'zonal': expected both a latitude and a longitude"):
        load_netcdf(data, {"zonal": {"units": "K"}})


def test_an_image_has_pixel_numbers_and_no_places(load_netcdf):
    image = xr.Dataset({"red": (("x", "y"), np.arange(6.0).reshape(2, 3), {"units": "1"})})
    with pytest.raises(DataError, match=r"variable 'red': expected both a latitude and a longitude"):
        load_netcdf(image, {"red": {"units": "1"}})
    numbered = image.assign_coords(y=[7, 8, 9], x=[0, 1])
    red = load_netcdf(numbered, {"red": {"units": "1"}}).data["red"]
    assert (red.dims, red["y"].values.tolist()) == (("y", "x"), [7, 8, 9])
    np.testing.assert_array_equal(red, image["red"].T)
    with pytest.raises(DataError, match=r"variable 'red': expected both a latitude and a longitude"):
        load_netcdf(image.assign_coords(y=[0.0, 12.5, 25.0], x=[0, 1]), {"red": {"units": "1"}})


def test_text_is_no_variable(make_field, load_netcdf):
    data = make_field()
    data["flag"] = ("time", list("abcde"))
    with pytest.raises(DataError, match="variable 'flag': expected numbers, got"):
        load_netcdf(data, {"flag": {"units": "1"}})


def test_a_variable_that_is_not_there_gets_the_nearest_name(make_field, load_netcdf):
    with pytest.raises(DataError, match=r"set: no variable 'tax' in the files. Did you mean 'tas'\? Known: tas"):
        load_netcdf(make_field(), {"tax": {"units": "K"}})


def test_variables_come_in_the_order_asked_for(make_field, load_netcdf):
    data = make_field().assign(b=make_field("b")["b"])
    specs = {"tas": {"units": "K"}, "b": {"units": "K"}}
    assert list(load_netcdf(data, specs, variables=["b", "tas"]).data) == ["b", "tas"]
    with pytest.raises(DataError, match=r"set: no variable 'c' in the catalog. Known: tas, b"):
        load_netcdf(data, specs, variables=["c"])


def test_whole_numbers_without_units_may_be_classes(make_field, load_netcdf):
    data = make_field()
    del data["tas"].attrs["units"]
    hint = r" Where its whole numbers stand for classes, name them: classes: \[first, second\]\. Read from "
    with pytest.raises(DataError, match=rf"variable 'tas': .* such as source_units: K\.{hint}"):
        load_netcdf(data.astype("i4"), {"tas": {"units": "K"}})
    with pytest.raises(DataError, match=r"such as source_units: K\. Read from "):
        load_netcdf(data, {"tas": {"units": "K"}})


def test_what_is_done_to_values_is_said_of_the_variable(make_field, load_netcdf):
    data = make_field(units="mm d-1")
    data["tas"][:] = 1.0
    data["tas"][0, 0, :2] = -9999.0
    data["tas"][1, 0, 0] = -1e-9
    loaded = load_netcdf(data, {"tas": {"units": "mm d-1", "minimum": 0.0, "missing": [-9999.0]}})
    assert [repair.text for repair in loaded.repairs] == [
        "2 values -9999 of tas are taken for missing",
        "1 values of tas down to -1e-09 are set to 0",
    ]
