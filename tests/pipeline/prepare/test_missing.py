"""Missing predictors: left out, or filled as the YAML says."""

import numpy as np
import pytest
import xarray as xr

from pipeline.errors import DataError
from pipeline.prepare.config import InputsConfig, PrepareConfig, TargetConfig
from pipeline.prepare.making import prepare
from pipeline.prepare.missing import deal_with, runs_of_splits
from pipeline.prepare.prepared import Prepared
from pipeline.rows import Room


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
    filled = deal_with(values, np.isnan(values)[:, :, 0, 0], "last", run, table=False, room=Room(cpu))
    assert filled.values.ravel().tolist() == [1.0, 1.0, 1.0, 0.0, 5.0, 5.0]
    assert filled.filled == pytest.approx(4 / 6)
    assert filled.complete.all()


def test_a_field_that_misses_a_value_makes_no_sample(cpu):
    values = np.ones((3, 2, 1, 2), np.float32)
    values[1, 0, 0, 1] = np.nan
    lost = np.isnan(values).any(axis=(2, 3))
    filled = deal_with(values, lost, "leave_out", np.zeros(3, int), table=False, room=Room(cpu))
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


def test_many_stations_that_miss_a_little_are_filled(field, split, cpu):
    """One in a hundred values of twenty stations: one step in five misses some value, one value in a hundred."""
    rng = np.random.default_rng(1)
    time = field("tas").time
    cells = rng.normal(size=(len(time), 20)).astype(np.float32)
    names = [f"s{number:02d}" for number in range(20)]
    coords = {"time": time, "station": names, "lat": ("station", np.arange(20.0)), "lon": ("station", np.arange(20.0))}
    table = xr.Dataset({"tas": (("time", "station"), cells, {"units": "K"})}, coords)
    holed = table.rename(tas="warm").copy(deep=True)
    holed["warm"] = holed["warm"].where(rng.random(cells.shape) > 0.01).assign_attrs(units="K")
    for how in ("mean", "last", "leave_out"):
        made(holed, table, split, cpu, missing=how)


def test_a_station_that_misses_predictors_gets_no_answer(table, split, cpu):
    from pipeline.prediction import Prediction

    prepared = made(with_gap(table), table, split, cpu)
    samples = prepared.samples("test")
    ones = Prediction("point", {"mean": np.ones((len(samples), 1, 1, 3), np.float32)})
    answer = prepared.to_units(ones, samples).mean()
    assert np.isnan(answer).sum() == 5
    again = prepared.encode([("gauges", with_gap(table).sel(time="1993"))])
    assert (
        np.isnan(
            prepared.to_units(Prediction("point", {"mean": np.ones((len(again), 1, 1, 3), "f4")}), again).mean()
        ).sum()
        == 5
    )


def test_a_sample_without_truth_where_its_predictors_are_is_left_out(table, split, cpu):
    holed = with_gap(table)
    lonely = table.copy(deep=True)
    lonely["tas"][dict(station=[0, 2], time=slice(1200, 1203))] = (
        np.nan
    )  # only the station without predictors has truth
    prepared = made(holed, lonely, split, cpu)
    target = np.asarray(prepared.samples("test").target)
    assert np.isfinite(target).any(axis=(1, 2, 3)).all()
