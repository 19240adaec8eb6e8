"""What a file of predictions says of itself: names beside a variable, splits or none."""

import numpy as np
import xarray as xr

from pipeline.grid import Grid
from pipeline.prediction import Prediction
from pipeline.prediction.serial import Forecast, Variable, from_dataset, parts_of, write_forecasts


def test_only_what_was_written_is_named_beside_a_variable(tmp_path):
    """A variable without truth does not name one; a file without splits has no such coordinate, and is read back."""
    grid = Grid(np.array([40.0, 41.0]), np.array([0.0, 1.0, 2.0]))
    time = np.array(["2001-01-01", "2001-01-02"], "datetime64[ns]")
    rng = np.random.default_rng(0)
    mean = rng.normal(size=(2, 1, 2, 3)).astype("f4")
    for family, parameters in (("point", {"mean": mean}), ("normal", {"mean": mean, "sd": np.ones_like(mean)})):
        path = tmp_path / f"{family}.nc"
        forecast = Forecast("input", time, Prediction(family, parameters), None)
        variables, attrs = [Variable("pr", "mm d-1")], {"history": "made"}
        write_forecasts(path, [forecast], model="m", variables=variables, grid=grid, splits=False, attrs=attrs)
        with xr.open_dataset(path) as data:
            assert "split" not in data.variables
            assert "coordinates" not in data["pr"].encoding
            assert data.attrs["history"] == "made"
            named = data["pr"].attrs.get("ancillary_variables", "").split()
            assert set(named) == set(data.data_vars) - {"pr"}
            assert ("pr_param_sd" in named) == (family == "normal")
            (again,) = from_dataset(data.load())
        assert (again.split, again.truth) == ("input", None)
        np.testing.assert_array_equal(again.prediction.mean(), mean)
        assert (again.time == time).all()


def test_parts_of_a_variable_are_told_by_its_attributes(tmp_path):
    """Not by how their names begin: ``tas_max`` is none of ``tas``."""
    grid = Grid(np.array([40.0]), np.array([0.0, 1.0]))
    mean = np.zeros((1, 2, 1, 2), "f4")
    forecast = Forecast(
        "t", np.array(["2001-01-01"], "datetime64[ns]"), Prediction("normal", {"mean": mean, "sd": mean + 1}), None
    )
    variables = [Variable("tas", "K"), Variable("tas_max", "K")]
    write_forecasts(tmp_path / "a.nc", [forecast], model="m", variables=variables, grid=grid)
    with xr.open_dataset(tmp_path / "a.nc") as data:
        assert parts_of(data, "tas") == ("tas", "tas_param_sd")
        assert parts_of(data, "tas_max") == ("tas_max", "tas_max_param_sd")
