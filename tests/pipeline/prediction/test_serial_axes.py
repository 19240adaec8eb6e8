"""A family with a leading axis that nothing has heard of is written and read like any other."""

import numpy as np
import pytest
import xarray as xr

from pipeline.errors import DataError
from pipeline.grid import Grid
from pipeline.prediction import FAMILIES, Prediction
from pipeline.prediction.members import Members
from pipeline.prediction.serial import Forecast, Variable, from_dataset, write_forecasts
from pipeline.prediction.serial.axes import coordinate, counted

GRID = Grid(np.array([40.0, 41.0]), np.array([0.0, 120.0, 240.0]))
DAYS = np.datetime64("2001-01-01", "ns") + np.arange(4) * np.timedelta64(1, "D")


@pytest.fixture
def layered():
    """A made-up family of layers beside members."""

    class Layered(Members):
        parameters = ("members", "depth")
        leading = {"members": "member", "depth": "layer"}  # noqa: RUF012 - a test's own

    FAMILIES.register("layered")(Layered)


def forecast(layers=3):
    shape = (len(DAYS), 1, *GRID.shape)
    values = {"members": (2, *shape), "depth": (layers, *shape)}
    rng = np.random.default_rng(1)
    return {name: rng.normal(size=full).astype("f4") for name, full in values.items()}


def test_every_parameter_has_the_dim_of_its_own_axis(layered, tmp_path):
    said = Prediction("layered", forecast())
    assert (said.sizes, said.member_count, said.class_count) == ({"member": 2, "layer": 3}, 2, 0)
    write_forecasts(
        tmp_path / "a.nc", [Forecast("test", DAYS, said, None)], model="m", variables=[Variable("tas", "K")], grid=GRID
    )
    with xr.open_dataset(tmp_path / "a.nc") as data:
        assert data["tas_member"].dims == ("member", "time", "lat", "lon")
        assert data["tas_param_depth"].dims == ("layer", "time", "lat", "lon")
        assert data["layer"].to_numpy().tolist() == [0, 1, 2]
        assert data["layer"].attrs == {"long_name": "layer", "units": "1"}
        (found,) = from_dataset(data.load())
    for name, values in said.parameters.items():
        np.testing.assert_array_equal(found.prediction.parameters[name], values)


def test_another_number_of_layers_is_refused(layered, tmp_path):
    two = [Forecast(f"{layers}", DAYS, Prediction("layered", forecast(layers)), None) for layers in (3, 2)]
    with pytest.raises(DataError, match=r"^expected 3 layers of 'm' in all splits, got 2 in one\.$"):
        write_forecasts(tmp_path / "a.nc", two, model="m", variables=[Variable("tas", "K")], grid=GRID)


def test_members_are_realizations_and_axes_are_counted_in_words():
    assert coordinate("member", 2, [])[2] == {"standard_name": "realization", "long_name": "member", "units": "1"}
    assert [counted(dim) for dim in ("member", "class", "quantile")] == ["members", "classes", "quantiles"]
