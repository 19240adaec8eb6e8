"""Missing predictors: left out, or filled as the YAML says."""

import numpy as np
import pytest
import xarray as xr

from pipeline.errors import DataError
from pipeline.prepare.config import InputsConfig, PrepareConfig, TargetConfig
from pipeline.prepare.making import prepare
from pipeline.prepare.missing import deal_with, runs_of_splits
from pipeline.prepare.prepared import Prepared


@pytest.fixture
def table(field):
    cells = field("tas", seed=3).tas.values[:, [0, 2, 1], [0, 3, 1]].copy()
    coords = {"time": field("tas").time, "station": ["a", "b", "c"]}
    coords |= {"lat": ("station", [40.0, 41, 42]), "lon": ("station", [1.0, 2, 3])}
    return xr.Dataset({"tas": (("time", "station"), cells, {"units": "K"})}, coords)


def with_gap(table):
    holed = table.rename(tas="warm").copy(deep=True)
    holed["warm"][dict(station=1, time=slice(1200, 1203))] = np.nan  # in the test split
    return holed


def made(predictor, table, split, backend, **inputs):
    config = PrepareConfig(inputs=InputsConfig(**({"window": 3} | inputs)), target=TargetConfig(leads=[1]))
    return prepare([("gauges", predictor)], table, config=config, split=split, backend=backend)


def test_a_station_that_misses_predictors_leaves_the_others_be(table, split, backend, tmp_path):
    prepared = made(with_gap(table), table, split, backend)
    prepared.save(tmp_path)
    whole = made(table.rename(tas="warm"), table, split, backend)
    for again in (prepared, Prepared.load(tmp_path, backend)):
        samples, truth = again.samples("test"), again.truth("test")
        assert len(samples) == len(whole.samples("test"))
        lost = np.isnan(truth) & np.isfinite(whole.truth("test"))
        days = np.flatnonzero(lost[:, 0, 0, 1])
        stamps = samples.time[days]
        # Three missing days, in windows of three: five samples of the one station.
        assert (stamps == table.time.values[1200:1205]).all()
        assert lost.sum() == 5
        assert np.isnan(np.asarray(samples.target))[lost].all()
        assert np.isfinite(np.asarray(samples.inputs)).all()


def test_the_mean_fills_what_is_missing(table, split, backend):
    prepared = made(with_gap(table), table, split, backend, missing="mean")
    assert np.isfinite(prepared.truth("test")).sum() == np.isfinite(table.tas.sel(time="1993")).sum() - 3 * (3 + 10)
    inputs = np.asarray(prepared.steps.inputs)
    where = np.flatnonzero(np.isin(prepared.steps.time, table.time.values[1200:1203]))
    assert (inputs[where, 0, 0, 1] == 0).all()


def test_the_last_known_value_fills_what_is_missing(table, split, backend):
    prepared = made(with_gap(table), table, split, backend, missing="last")
    inputs = np.asarray(prepared.steps.inputs)
    where = np.flatnonzero(np.isin(prepared.steps.time, table.time.values[1199:1203]))
    values = inputs[where, 0, 0, 1]
    assert (values == values[0]).all()


def test_no_filling_crosses_a_gap_or_a_split(cpu):
    values = np.array([1.0, np.nan, np.nan, np.nan, 5.0, np.nan], np.float32).reshape(6, 1, 1, 1)
    count = np.array([0, 1, 2, 9, 10, 11])
    run = runs_of_splits({"test": np.arange(3, 6), "train": np.arange(3)}, count, 1)
    assert run.tolist() == [0, 0, 0, 1, 1, 1]
    filled = deal_with(values, np.isnan(values)[:, :, 0, 0], "last", run, table=False, backend=cpu)
    assert filled.values.ravel().tolist() == [1.0, 1.0, 1.0, 0.0, 5.0, 5.0]
    assert filled.filled == pytest.approx(4 / 6)
    assert filled.complete.all()


def test_a_field_that_misses_a_value_makes_no_sample(cpu):
    values = np.ones((3, 2, 1, 2), np.float32)
    values[1, 0, 0, 1] = np.nan
    lost = np.isnan(values).any(axis=(2, 3))
    filled = deal_with(values, lost, "leave_out", np.zeros(3, int), table=False, backend=cpu)
    assert filled.complete.tolist() == [True, False, True]
    assert filled.usable is None


def test_too_much_missing_in_a_table_is_an_error(table, split, cpu):
    holed = with_gap(table)
    holed["warm"][dict(station=2, time=slice(0, 400))] = np.nan
    message = (
        r"split 'train': 18% of its stations' steps miss predictor values, most of them in 'warm'; prepare\.inputs"
    )
    with pytest.raises(DataError, match=message):
        made(holed, table, split, cpu)


def test_lags_and_a_window_are_not_both_taken():
    with pytest.raises(ValueError, match=r"expected lags or a window, got lags \[0, 2\] and window 3"):
        InputsConfig(lags=[0, 2], window=3)
    with pytest.raises(ValueError, match=r"expected different leads of 0 or more, got \[1, 1\]"):
        TargetConfig(leads=[1, 1])
