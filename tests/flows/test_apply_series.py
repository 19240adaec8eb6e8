"""A trained model of series applied to new files: the target's own past, leads, stations that are not there."""

import numpy as np
import pytest
import xarray as xr
import yaml

from flows.apply.bundle import Bundle
from flows.apply.inputs import Inputs
from flows.apply.predict import Request, apply
from flows.engine import Request as RunRequest
from flows.engine import start
from pipeline.cf import names_back
from pipeline.errors import ConfigError, DataError, PredictError

BASINS = {"seed": 0, "basins": 4, "first_year": 2001, "years": 4, "gaps": 0.05, "noise": 0.08}
VARIABLES = {
    "pr": {"units": "mm d-1", "minimum": 0},
    "tas": {"units": "degC"},
    "flow": {"units": "L s-1 km-2", "minimum": 0},
}
ENTRY = {"format": "synthetic_basins", "options": {**BASINS, "part": "series"}, "licence": "CC0-1.0"}
CATALOG = {
    "schema_version": 1,
    "basins": ENTRY | {"variables": VARIABLES},
    "gauges": ENTRY | {"variables": {"flow": VARIABLES["flow"]}},
}
EXPERIMENT = {
    "name": "rivers",
    "task": "series",
    "data": {
        "predictors": [{"dataset": "basins", "variables": ["pr", "tas"]}],
        "target": {"dataset": "basins", "variables": ["flow"]},
    },
    "split": {
        "train": ["2001-01-01", "2002-12-31"],
        "validation": ["2003-01-01", "2003-12-31"],
        "test": ["2004-01-01", "2004-12-31"],
    },
    "prepare": {
        "inputs": {"window": 7, "anomaly": "none", "scale": "per_field"},
        "target": {"anomaly": "mean", "leads": [1, 3]},
    },
    "models": {
        "persistence": {"kind": "persistence"},
        "damped": {"kind": "damped_persistence"},
        "arima": {"kind": "arima", "order": [1, 0, 1]},
        "holt_winters": {"kind": "holt_winters"},
        "ridge": {"kind": "ridge"},
        "lag_ridge": {"kind": "lag_ridge", "rolling": [3, 7]},
    },
    "scores": ["rmse"],
    "explain": [],
    "compute": {"workers": 1, "threads": 1},
}
OWN_PAST = ["persistence", "damped", "arima", "holt_winters"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("rivers")


def made(folder, experiment):
    (folder / "data_catalog.yaml").write_text(yaml.safe_dump(CATALOG, sort_keys=False))
    path = folder / f"{experiment['name']}.yaml"
    path.write_text(yaml.safe_dump(experiment, sort_keys=False))
    return start(RunRequest(str(path), catalog=folder / "data_catalog.yaml", out=folder, use_server=False)).folder


@pytest.fixture(scope="module")
def run(folder):
    return made(folder, EXPERIMENT)


@pytest.fixture(scope="module")
def new(run):
    """Return the test year of the basins, as a user has it in a file."""
    with xr.open_dataset(run / "work/ingest/basins.nc") as data:
        return data.sel(time=slice("2004-01-01", "2004-12-31")).load()


@pytest.fixture
def predicted(run, tmp_path):
    """Return a function that writes files and predicts from them."""

    def predict(model, data, run=run, words=None, **options):
        path = tmp_path / f"new-{len(list(tmp_path.iterdir()))}.nc"
        data.to_netcdf(path)
        words = [word.format(path) for word in words or ["{}"]]
        done = apply(Bundle.open(run, model), Request(tuple(words), tmp_path / "out.nc", **options))
        with xr.open_dataset(done.path) as answer:
            return done, names_back(answer.load())

    return predict


@pytest.mark.parametrize("model", [*OWN_PAST, "ridge"])
def test_a_file_of_the_test_year_gives_the_forecasts_of_the_run(predicted, new, run, model):
    done, found = predicted(model, new)
    with xr.open_dataset(run / f"predictions/{model}.nc") as data:
        known = data.load()
    assert found["flow"].dims == ("time", "lead", "station")
    both = found.sel(time=known["time"])
    np.testing.assert_allclose(both["flow"], known["flow"], rtol=1e-4, atol=1e-5)
    assert known.sizes["time"] > 300
    # The last dates have no truth; they are predicted all the same.
    assert (found["time"][-1] > known["time"][-1], done.unknown, done.stations) == (True, 0, ())


@pytest.mark.parametrize("model", ["arima", "persistence"])
def test_the_size_of_blocks_does_not_matter_to_the_past(predicted, new, model):
    _, whole = predicted(model, new)
    _, parts = predicted(model, new, block=50)
    xr.testing.assert_allclose(parts, whole)


@pytest.mark.parametrize("model", OWN_PAST)
def test_without_the_targets_past_a_model_that_goes_on_from_it_is_refused(predicted, new, tmp_path, model):
    said = (
        rf"predict: '{model}' goes on from the target's own past, 'flow' of 'basins', and {{}}; without it nothing but "
        r"the mean cycle could be said. Add 'flow' to the files of 'basins' as far as it is known, or take a model that "
        r"needs none: --model ridge or lag_ridge\.$"
    )
    with pytest.raises(PredictError, match=said.format("the input has none of it")) as caught:
        predicted(model, new.drop_vars("flow"))
    assert caught.value.exit_code == 2
    with pytest.raises(PredictError, match=said.format("none of it is known up to any of the dates")):
        predicted(model, new.assign(flow=new["flow"] * np.nan))
    assert not (tmp_path / "out.nc").exists()


def test_rounding_on_a_dry_first_date_is_told_by_all_dates(predicted, new):
    """The stations of a table are looked up at its first date, which has no range of its own."""
    dry = new.copy(deep=True)
    dry["pr"][0] = 0.0
    _, expected = predicted("lag_ridge", dry)
    dry["pr"][0, 1] = -1e-9
    _, found = predicted("lag_ridge", dry)
    xr.testing.assert_equal(found["flow"], expected["flow"])
    dry["pr"][0, 1] = -600.0
    with pytest.raises(DataError, match=r"'pr': expected values of 0 or more but for rounding, got -600\."):
        predicted("lag_ridge", dry)


def test_rounding_of_the_targets_past_is_told_by_all_that_was_read(run, new, tmp_path):
    dry = new.copy(deep=True)
    dry["flow"][:5], dry["flow"][3, 1] = 0.0, -1e-9
    dry.to_netcdf(tmp_path / "dry.nc")
    with Inputs.open(Bundle.open(run, "persistence").space, [str(tmp_path / "dry.nc")], past=True) as inputs:
        assert float(inputs.known(np.arange(5))["flow"].min()) == 0.0
        with pytest.raises(DataError, match=r"'flow': expected values of 0 or more but for rounding, got -1e-09\."):
            inputs.judge()
        inputs.known(np.arange(5, 20))
        inputs.judge()


def test_models_of_the_predictors_need_no_past(predicted, new):
    _, whole = predicted("lag_ridge", new)
    _, without = predicted("lag_ridge", new.drop_vars("flow"))
    xr.testing.assert_equal(without["flow"], whole["flow"])


def test_a_past_that_ends_is_gone_on_from_and_one_that_begins_late_is_told(predicted, new):
    ended = new.assign(flow=new["flow"].where(new["time"] < np.datetime64("2004-03-01")))
    done, found = predicted("arima", ended, span=("2004-02-01", "2004-12-31"))
    assert done.unknown == 0
    _, whole = predicted("arima", new, span=("2004-02-01", "2004-12-31"))
    early = found["time"] < np.datetime64("2004-03-01")
    xr.testing.assert_allclose(found["flow"][early.values], whole["flow"][early.values])
    assert not np.allclose(found["flow"][40], whole["flow"][40])
    done, _ = predicted("persistence", ended)
    days = done.times - int((found["time"] < np.datetime64("2004-03-01")).sum()) - 25  # of January, behind the window
    assert done.unknown == days
    late = new.assign(flow=new["flow"].where(new["time"] > np.datetime64("2004-02-01")))
    done, _ = predicted("arima", late)
    assert done.unknown == 26


@pytest.mark.parametrize("model", ["arima", "persistence"])
def test_a_station_without_a_past_is_told(predicted, new, model):
    known = np.arange(new.sizes["station"]) != 1
    done, _ = predicted(model, new.assign(flow=new["flow"].where(xr.DataArray(known, dims="station"))))
    assert (done.without_past, done.unknown) == ((str(new["station"].values[1]),), 0)
    done, _ = predicted(model, new)
    assert done.without_past == ()


def test_a_target_of_a_dataset_of_its_own_is_named(new, predicted, folder, tmp_path):
    data = EXPERIMENT["data"] | {"target": {"dataset": "gauges", "variables": ["flow"]}}
    models = {name: EXPERIMENT["models"][name] for name in ("persistence", "lag_ridge")}
    other = made(folder, EXPERIMENT | {"name": "gauged", "data": data, "models": models})
    new[["flow"]].to_netcdf(tmp_path / "gauges.nc")
    said = r"'flow' of 'gauges', and the input has none of it; .* Add --input gauges=FILE with 'flow' as far as it is"
    with pytest.raises(PredictError, match=said):
        predicted("persistence", new, other)
    _, found = predicted("persistence", new[["pr", "tas"]], other, ["{}", f"gauges={tmp_path}/gauges.nc"])
    _, wanted = predicted("persistence", new)
    np.testing.assert_allclose(found["flow"], wanted["flow"])
    shifted = new[["pr", "tas"]].assign_coords(time=new["time"] + np.timedelta64(1000, "D"))
    with pytest.raises(PredictError, match="and it has no date of the predictors; without it"):
        predicted("persistence", shifted, other, ["{}", f"gauges={tmp_path}/gauges.nc"])
    with pytest.raises(ConfigError, match="'gauges' is none of the predictors"):
        predicted("lag_ridge", new, other, ["{}", f"gauges={tmp_path}/gauges.nc"])


@pytest.mark.parametrize("missing", ["leave_out", "mean"])
def test_stations_that_are_not_there_have_no_answer_and_the_others_theirs(predicted, new, folder, missing):
    inputs = EXPERIMENT["prepare"]["inputs"] | {"missing": missing}
    models = {name: EXPERIMENT["models"][name] for name in ("arima", "ridge", "lag_ridge")}
    change = {"name": missing, "models": models, "prepare": EXPERIMENT["prepare"] | {"inputs": inputs}}
    run = made(folder, EXPERIMENT | change)
    names = new["station"].values.tolist()
    fewer = new.isel(station=[2, 0, 3])
    for model in ("lag_ridge", "arima"):
        _, whole = predicted(model, new, run)
        done, found = predicted(model, fewer, run)
        assert done.stations == (names[1],)
        assert found["station"].values.tolist() == names
        assert np.isnan(found["flow"].sel(station=names[1])).all()
        rest = [names[place] for place in (0, 2, 3)]
        np.testing.assert_allclose(found["flow"].sel(station=rest), whole["flow"].sel(station=rest), rtol=1e-5)
    said = rf"expected all 4 stations of the predictors that 'ridge' was fitted on, got none for {names[1]}: it reads"
    with pytest.raises(PredictError, match=said + ".* for every station: --model lag_ridge") as caught:
        predicted("ridge", fewer, run)
    assert "out of the target" not in str(caught.value)
