"""Explanations as netCDF."""

import dataclasses
import json

import numpy as np
import xarray as xr

from pipeline.attribution import Attribution
from pipeline.attribution.serial import write_attributions
from pipeline.grid import Grid

SHAPE = (3, 3, 4)  # channel, lat, lon


def test_what_is_written_is_read_back(samples, tmp_path):
    random = np.random.default_rng(0)
    maps, importance = random.normal(size=SHAPE), random.random(3)
    mapped = Attribution("ig", maps, importance, None, None, "mean [K]", {"gap": np.float32(0.5)}, True, "a note")
    plain = Attribution("shuffle", None, importance, importance - 1, importance + 1, "rise [K]", {}, False, "")
    write_attributions(tmp_path / "unet.nc", [mapped, plain], samples.schema)
    with xr.open_dataset(tmp_path / "unet.nc") as found:
        assert set(found.data_vars) == {
            "ig_map",
            "ig_importance",
            "shuffle_importance",
            "shuffle_low",
            "shuffle_high",
        }
        assert found["ig_map"].dims == ("channel", "lat", "lon")
        np.testing.assert_allclose(found["ig_map"], maps, rtol=1e-6)
        np.testing.assert_allclose(found["shuffle_low"], importance - 1, rtol=1e-5, atol=1e-7)
        assert tuple(found["channel"].values) == samples.schema.channels
        np.testing.assert_array_equal(found["lat"], samples.schema.input_grid.lat)
        attrs = found["ig_importance"].attrs
        assert (attrs["measure"], attrs["note"]) == ("mean [K]", "a note")
        assert (json.loads(attrs["checks"]), json.loads(attrs["trusted"])) == ({"gap": 0.5}, True)
        assert json.loads(found["shuffle_importance"].attrs["trusted"]) is False


def test_stations_have_one_dim_in_files(samples, tmp_path):
    grid = Grid(np.array([[41.8, 38.7]]), np.array([[-6.7, -9.1]]), ("row", "station"), ("Braganca", "Lisboa"))
    schema = dataclasses.replace(samples.schema, input_grid=grid)
    maps = np.random.default_rng(0).normal(size=(3, 1, 2)).astype(np.float32)
    one = Attribution("ig", maps, np.ones(3), None, None, "mean [K]", {}, True, "")
    write_attributions(tmp_path / "unet.nc", [one], schema)
    with xr.open_dataset(tmp_path / "unet.nc") as found:
        assert found["ig_map"].dims == ("channel", "station")
        np.testing.assert_array_equal(found["ig_map"], maps[:, 0])
        assert tuple(found["station"].values) == grid.stations
