"""Projections go along from what is read to what is written."""

import json

import numpy as np
import pytest
import xarray as xr

from pipeline.grid import Grid
from pipeline.projection import Projection, keep_mapping, mapped, mapping_back, mapping_names

POLE = {"grid_mapping_name": "rotated_latitude_longitude", "grid_north_pole_latitude": 50.0}
CONE = {"grid_mapping_name": "lambert_conformal_conic", "standard_parallel": np.array([30.0, 60.0])}


def field(mapping=POLE, standard="grid_{}", **named):
    """A field on y, x whose variable names its grid mapping as ``named``."""
    names = {"y": "latitude", "x": "longitude"}
    axes = {name: (name, [0.0, 1.0, 2.0, 3.0], {"standard_name": standard.format(names[name])}) for name in "yx"}
    data = xr.Dataset({"tas": (("y", "x"), np.zeros((4, 4)), named)}, axes)
    data = data.assign_coords(lat=(("y", "x"), np.zeros((4, 4))), lon=(("y", "x"), np.zeros((4, 4))))
    return data.assign(pole=((), b"", mapping))


def test_a_mapping_that_is_named_is_kept_as_a_coordinate():
    kept = keep_mapping(field(grid_mapping="pole"))
    assert "pole" not in kept.variables
    assert kept.coords["crs"].attrs == POLE
    assert keep_mapping(kept).coords["crs"].attrs == POLE  # readers and what mends their data both ask for it


@pytest.mark.parametrize("words", ["pole: y x", "plain: lat lon pole: y x"])
def test_so_is_one_of_several(words):
    data = field(grid_mapping=words).assign(plain=((), 0, {"grid_mapping_name": "latitude_longitude"}))
    kept = keep_mapping(data)
    assert kept.coords["crs"].attrs == POLE
    assert ("plain" in kept.variables) == ("plain" not in words)


def test_one_of_latitudes_and_longitudes_is_not_and_one_that_lacks_changes_nothing():
    assert set(keep_mapping(field({"grid_mapping_name": "latitude_longitude"}, grid_mapping="pole")).variables) == {
        "tas", "y", "x", "lat", "lon",
    }  # fmt: skip
    assert "crs" not in keep_mapping(field(grid_mapping="Lambert_Conformal")).variables
    assert mapping_names([xr.Variable((), 0.0)]) == ()


def test_a_variable_that_happens_to_be_called_crs_goes_for_the_mapping():
    data = field(grid_mapping="pole").assign_coords(crs=((), 7))
    assert keep_mapping(data).coords["crs"].attrs == POLE


def test_a_grid_has_it_where_its_axes_say_so():
    grid = Grid.of(keep_mapping(field(grid_mapping="pole")))
    assert grid.projection.mapping == POLE
    assert {name: axis.values.tolist() for name, axis in grid.projection.axes.items()} == {
        "y": [0.0, 1.0, 2.0, 3.0],
        "x": [0.0, 1.0, 2.0, 3.0],
    }
    assert Grid.of(field(standard="row_of_{}")).projection is None
    assert Grid.of(field().drop_vars("x")).projection is None
    text = field().assign_coords(y=("y", list("abcd"), {"standard_name": "grid_latitude"}))
    assert Grid.of(text).projection is None


def test_it_survives_json_and_means_of_blocks():
    projection = Projection.of(keep_mapping(field(CONE, "projection_{}", grid_mapping="pole")))
    assert projection is None  # projection_latitude is no standard name
    data = keep_mapping(field(CONE, grid_mapping="pole"))
    projection = Projection.of(data)
    again = Projection.of_facts(json.loads(json.dumps(projection.facts())))
    assert again.mapping == {**CONE, "standard_parallel": [30.0, 60.0]}
    assert again.axes["x"].identical(projection.axes["x"])
    coarse = Projection.of(data.isel(y=slice(3))).coarsened(2)
    assert coarse.axes["y"].values.tolist() == [0.5]
    assert coarse.axes["x"].values.tolist() == [0.5, 2.5]
    assert coarse.mapping == projection.mapping


def test_written_fields_name_it_and_readers_get_it_back(tmp_path):
    data = keep_mapping(field(CONE, grid_mapping="pole")).assign(score=((), 1.0))
    data["tas"].attrs = {}
    mapped(data).to_netcdf(tmp_path / "x.nc")
    assert "grid_mapping" not in data["tas"].encoding
    with xr.open_dataset(tmp_path / "x.nc") as read:
        assert read["tas"].attrs["grid_mapping"] == "crs"
        assert "grid_mapping" not in read["score"].attrs
        assert set(read["tas"].encoding["coordinates"].split()) == {"lat", "lon"}
        assert "crs" in read.data_vars
        back = mapping_back(read)
        assert "crs" in back.coords
        np.testing.assert_array_equal(Grid.of(back).projection.mapping["standard_parallel"], [30.0, 60.0])
    assert mapped(field()).identical(field())
