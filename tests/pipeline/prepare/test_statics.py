"""Static fields, and attributes of basins."""

import numpy as np
import pytest
import xarray as xr

from pipeline.errors import DataError
from pipeline.grid import Grid
from pipeline.prepare.statics import build_statics


def static(values, name="orog"):
    coords = {"lat": [40.0, 42.0, 44.0], "lon": [0.0, 2.0]}
    return xr.Dataset({name: (("lat", "lon"), np.asarray(values, "float32"), {"units": "m"})}, coords)


def test_static_fields_are_standardised_over_the_grid():
    grid = Grid(np.array([40.0, 42.0, 44.0]), np.array([0.0, 2.0]))
    found = build_statics([static([[0, 1], [2, 3], [4, np.nan]]), static(np.ones((3, 2)), "land")], grid, "bilinear")
    np.testing.assert_allclose(found.values[0].ravel(), [*(np.arange(5) - 2) / np.sqrt(2), 0], rtol=1e-6)
    assert (found.values[1] == 0).all()
    assert (found.names, found.units) == (("orog", "land"), ("m", "m"))
    assert build_statics([], grid, "bilinear").values.shape == (0, 3, 2)


def test_static_fields_come_to_the_target_grid():
    grid = Grid(np.array([41.0, 43.0]), np.array([0.0, 1.0, 2.0]))
    found = build_statics([static([[0, 1], [2, 3], [4, 5]])], grid, "bilinear").values[0]
    expected = np.array([[1, 1.5, 2], [3, 3.5, 4]])
    np.testing.assert_allclose(found, (expected - expected.mean()) / expected.std(), rtol=1e-6)


def test_static_fields_need_names_of_their_own_values_and_no_time(field):
    grid = Grid(np.array([40.0, 42.0, 44.0]), np.array([0.0, 2.0]))
    with pytest.raises(DataError, match=r"^expected static fields with names of their own, got 'orog' twice\.$"):
        build_statics([static(np.eye(3, 2)), static(np.eye(3, 2))], grid, "bilinear")
    with pytest.raises(
        DataError, match=r"^static field 'orog' has no finite value on the target grid; expected some\.$"
    ):
        build_statics([static(np.full((3, 2), np.nan))], grid, "bilinear")
    with pytest.raises(
        DataError, match=r"^variable 'tas': expected dims \('lat', 'lon'\), got \('time', 'lat', 'lon'\)"
    ):
        build_statics([field("tas")], grid, "bilinear")


def attributes(*values):
    names = list("abcd"[: len(values)])
    places = {"station": names, "lat": ("station", np.arange(4.0)), "lon": ("station", np.arange(4.0))}
    return xr.Dataset({"area": ("station", np.array(values), {"units": "km2"})}, places)


BASINS = Grid(np.arange(4.0)[None], np.arange(4.0)[None], ("row", "station"), tuple("abcd"))
TRAIN = np.array([[True, True, False, False]])


def test_what_is_the_same_in_all_train_basins_is_left_out_and_said():
    found = build_statics([attributes(252.0, 252.0, 1995.0, 9.0)], BASINS, "bilinear", TRAIN)
    assert (found.values == 0).all()
    assert found.notes == (
        "Nothing can be learned from area: it is the same in all basins of the train split. It is left out.",
    )
    assert build_statics([attributes(*[252.0] * 4)], BASINS, "bilinear", TRAIN).notes == ()


def test_basins_far_from_those_learned_from_are_said():
    found = build_statics([attributes(240.0, 260.0, 250.0, 1995.0)], BASINS, "bilinear", TRAIN)
    np.testing.assert_allclose(found.values[0, 0], [-1, 1, 0, 174.5])
    assert found.notes == (
        "In area a basin that was not learned from is 174 deviations from the mean of the train basins. What models "
        "answer there is extrapolation.",
    )
    assert build_statics([attributes(240.0, 260.0, 250.0, 300.0)], BASINS, "bilinear", TRAIN).notes == ()
    many = Grid(np.zeros((1, 301)), np.zeros((1, 301)), ("row", "station"), tuple(map(str, range(301))))
    areas = xr.Dataset({"area": ("station", np.r_[np.arange(299) % 2, 200.0, 1.0], {"units": "km2"})})
    areas = areas.assign_coords(
        station=list(many.stations), lat=("station", np.zeros(301)), lon=("station", np.zeros(301))
    )
    learned = np.arange(301)[None, :] < 300  # the odd one is among them
    assert build_statics([areas], many, "bilinear", learned).notes == ()
    assert build_statics([attributes(240.0, 260.0, 250.0, 1995.0)], BASINS, "bilinear").notes == ()
