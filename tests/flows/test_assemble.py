"""Datasets put together as an experiment asks: coarsened, under the training names, with the stations' heights."""

import numpy as np
import pytest
import xarray as xr

from flows.assemble import assemble
from pipeline.errors import ConfigError
from pipeline.experiment import Experiment


def grid(name, seed=0):
    values = np.random.default_rng(seed).normal(size=(3, 4, 6)).astype("float32")
    coords = {"time": np.arange(3), "lat": np.arange(4.0), "lon": np.arange(6.0)}
    return xr.Dataset({name: (("time", "lat", "lon"), values, {"units": "K"})}, coords)


def table(**coords):
    places = {"station": ["a", "b"], "lat": ("station", [1.0, 2.0]), "lon": ("station", [1.0, 2.0]), **coords}
    return xr.Dataset(
        {"tas": (("time", "station"), np.zeros((3, 2)), {"units": "K"})}, {"time": np.arange(3), **places}
    )


DATA = {
    "fine": grid("tas"),
    "gcm": grid("tas", 1),
    "other": grid("tas", 2),
    "co2": xr.Dataset({"co2": ("time", np.arange(3.0))}, {"time": np.arange(3)}),
    "scenario": xr.Dataset({"co2": ("time", np.arange(9.0))}, {"time": np.arange(9)}),
    "table": table(altitude=("station", [10.0, 900.0], {"units": "m"})),
    "flat": table(),
}


def experiment(**data):
    span = ["2001", "2001"]
    return Experiment.model_validate(
        {
            "name": "x",
            "data": {"predictors": [{"dataset": "gcm"}], "target": {"dataset": "fine"}, **data},
            "split": {"train": span, "validation": span, "test": span},
            "models": {"climatology": {"kind": "climatology"}},
        }
    )


def test_predictors_are_coarsened_and_said_to_be_once():
    coarse = [{"dataset": "fine", "coarsen": 4}]
    made = assemble(experiment(predictors=coarse, tests={"again": {"predictors": coarse}}), DATA.__getitem__)
    assert made.predictors[0][1].tas.shape == (3, 1, 1)
    assert made.target.tas.shape == (3, 4, 6)
    assert made.notes == ("fine is coarsened by 4 to 1 x 1 cells, without 0 rows and 2 columns that fill no block.",)


def test_a_test_set_takes_the_training_names_and_its_own_forcings_or_theirs():
    tests = {
        "own": {"predictors": [{"dataset": "other"}], "target": {"dataset": "fine"}, "span": ["2001", "2002"]},
        "later": {"predictors": [{"dataset": "other"}], "forcings": [{"dataset": "scenario"}]},
        "none": {"predictors": [{"dataset": "other"}], "forcings": []},
    }
    made = assemble(experiment(forcings=[{"dataset": "co2"}], tests=tests), DATA.__getitem__)
    own, later, none = (made.tests[name] for name in ("own", "later", "none"))
    assert own.predictors[0][0] == "gcm"
    xr.testing.assert_identical(own.predictors[0][1], DATA["other"])
    xr.testing.assert_identical(own.target, DATA["fine"])
    assert own.span == ("2001", "2002")
    assert [len(part.time) for part in (*own.forcings, *later.forcings)] == [3, 9]
    assert (later.target, later.span, none.forcings) == (None, None, ())


def test_the_height_of_stations_may_be_asked_for_as_a_field():
    made = assemble(
        experiment(target={"dataset": "table"}, static=[{"dataset": "table", "variables": ["altitude"]}]),
        DATA.__getitem__,
    )
    (height,) = made.static
    assert list(height.data_vars) == ["altitude"]
    assert height.altitude.dims == ("station",)
    assert height.altitude.values.tolist() == [10.0, 900.0]
    assert height.altitude.attrs == {"units": "m"}
    assert set(height.coords) >= {"station", "lat", "lon"}
    assert "altitude" in made.target.coords


def test_a_height_that_is_not_there_is_called_so():
    asked = experiment(target={"dataset": "flat"}, static=[{"dataset": "flat", "variables": ["altitude"]}])
    with pytest.raises(
        ConfigError, match=r"expected the altitude of the stations in 'flat', got the coordinates .*lat"
    ):
        assemble(asked, DATA.__getitem__)
