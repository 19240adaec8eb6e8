"""Forecasts some steps ahead: what is answered, what was known, and the way back to units."""

import cftime
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from pipeline.errors import DataError, SplitError
from pipeline.prediction import Prediction
from pipeline.prepare.config import InputsConfig, PrepareConfig, TargetConfig
from pipeline.prepare.dates import DAY, ahead
from pipeline.prepare.leakage import check_leakage
from pipeline.prepare.making import prepare
from pipeline.prepare.prepared import Prepared
from pipeline.prepare.splits import TimeSplit

LEADS = [1, 3]
GAP = np.datetime64("1991-02-05")  # the day that is missing
END = {"train": pd.Timestamp("1992-01-01"), "test": pd.Timestamp("1994-01-01")}


@pytest.fixture
def index():
    """A series without a place, with a day missing in the middle of the train split."""
    time = pd.date_range("1990-01-01", "1993-12-31").delete(400)
    values = np.random.default_rng(4).normal(10.0, 3.0, len(time)).astype(np.float32)
    return xr.Dataset({"flow": ("time", values, {"units": "m3 s-1"})}, {"time": time})


def made(predictors, target, split, backend, **inputs):
    config = PrepareConfig(
        inputs=InputsConfig(**({"window": 4} | inputs)), target=TargetConfig(leads=LEADS, anomaly="day_of_year")
    )
    return prepare(predictors, target, config=config, split=split, backend=backend)


def test_every_lead_is_the_truth_that_many_steps_later(field, index, split, backend, tmp_path):
    prepared = made([("era", field("tas")), ("river", index)], index, split, backend)
    prepared.save(tmp_path)
    series = index.flow.to_series()
    for again in (prepared, Prepared.load(tmp_path, backend)):
        assert again.schema.targets == ("flow@+1", "flow@+3")
        assert again.schema.variables == ("flow",)
        assert again.schema.target_grid.stations == ("flow",)
        for name in ("train", "test"):
            time, truth = again.samples(name).time, again.truth(name)[:, :, 0, 0]
            for column, lead in enumerate(LEADS):
                later = pd.DatetimeIndex(time) + pd.Timedelta(days=lead)
                expected = series.reindex(later).to_numpy().copy()
                # Nothing is known beyond a gap or the split's end, even where the series has a value there.
                gap = (time < GAP) & (later >= GAP)
                expected[gap | (later >= END[name])] = np.nan
                np.testing.assert_array_equal(truth[:, column], expected)


def test_predictions_come_back_in_units_at_every_lead(field, index, split, backend):
    prepared = made([("era", field("tas"))], index, split, backend)
    samples = prepared.samples("test")
    back = np.asarray(prepared.to_units(Prediction("point", {"mean": samples.target}), samples).mean())
    np.testing.assert_allclose(back, prepared.truth("test"), atol=1e-4)


def test_the_last_known_value_is_that_of_the_origin(field, index, split, cpu):
    prepared = made([("era", field("tas"))], index, split, cpu)
    samples = prepared.samples("test")
    lead = prepared.samples("test").target[:, 0]
    # The value at the origin is what lead 1 said of it the day before.
    np.testing.assert_array_equal(samples.previous[1:, 0], lead[:-1])
    np.testing.assert_array_equal(samples.previous[:, 0], samples.previous[:, 1])
    past = samples.past
    np.testing.assert_array_equal(past.values[past.last, 0], samples.previous[:, 0])
    assert (past.first <= past.last - 3).all()  # the window lies in the run


def test_with_lead_0_yesterday_is_the_last_that_is_known(field, index, split, cpu):
    config = PrepareConfig(inputs=InputsConfig(lags=[0, 1]), target=TargetConfig())
    prepared = prepare([("era", field("tas"))], index, config=config, split=split, backend=cpu)
    samples = prepared.samples("test")
    np.testing.assert_array_equal(samples.previous[1:], samples.target[:-1])
    assert (samples.past.last == prepared.windows["test"].now - 1).all()


def test_the_climatology_is_that_of_the_day_forecast(field, index, split, cpu):
    wave = index.assign(flow=("time", 10 + 5 * np.cos(2 * np.pi * index.time.dt.dayofyear.values / 365.25)))
    wave.flow.attrs["units"] = "m3 s-1"
    prepared = made([("era", field("tas"))], wave.astype("float32"), split, cpu)
    samples = prepared.samples("test")
    truth = prepared.truth("test")
    known = np.isfinite(truth)
    assert known.mean() > 0.9
    np.testing.assert_allclose(prepared.climatology(samples).mean()[known], truth[known], atol=0.05)


def test_windows_of_many_steps_are_laid_out_when_asked_for(field, index, split, backend):
    prepared = made([("era", field("tas"))], index, split, backend)
    samples = prepared.samples("validation")
    assert samples.lagged is not None
    assert samples.schema.channels == ("tas", "tas@-1", "tas@-2", "tas@-3")
    laid = np.asarray(samples.inputs)
    assert laid.shape == (len(samples), 4, 3, 4)
    np.testing.assert_array_equal(laid[1:, 1], laid[:-1, 0])
    taken = samples.take(np.array([5, 2]))
    assert taken.lagged is not None
    np.testing.assert_array_equal(np.asarray(taken.inputs), laid[[5, 2]])


def test_a_series_without_a_place_is_a_channel_of_one_number(field, index, split, cpu):
    prepared = made([("era", field("tas")), ("river", index)], index, split, cpu)
    assert prepared.schema.scalars == ("flow", "flow@-1", "flow@-2", "flow@-3")
    inputs = prepared.samples("train").inputs
    assert (np.ptp(inputs[:, prepared.schema.channels.index("flow@-2")], axis=(1, 2)) == 0).all()


def test_series_alone_are_fields_of_their_one_station(index, split, cpu):
    prepared = made([("river", index)], index, split, cpu)
    assert prepared.schema.scalars == ()
    assert prepared.schema.input_grid.same(prepared.schema.target_grid)


def test_a_window_longer_than_a_split_is_refused(field, index, split, cpu):
    message = (
        r"split 'validation': expected 401 steps in a row or more, for a window of 400 and a first lead of 1, got 356 at "
        r"most\. Shorten prepare\.inputs\.window"
    )
    with pytest.raises(SplitError, match=message):
        made([("era", field("tas"))], index, split, cpu, window=400)


def test_nothing_after_train_moves_what_is_fitted(field, index, split, cpu):
    config = PrepareConfig(inputs=InputsConfig(window=4), target=TargetConfig(leads=LEADS))
    found = check_leakage(
        [("era", field("tas")), ("river", index)], index, config=config, split=split, backend=cpu, seed=1
    )
    assert "train/target" in found.compared
    assert found.moved == ()


@pytest.mark.parametrize(
    ("start", "lead", "step", "expected"),
    [
        ("2000-01-01", 1, 91 * DAY, "2000-04-01"),
        ("2000-01-15", 2, 360 * DAY, "2002-01-15"),
        ("1999-12-15", 1, 30 * DAY, "2000-01-15"),
        ("2000-01-31", 1, 31 * DAY, "2000-02-29"),
        ("2000-02-29", 1, 365 * DAY, "2001-02-28"),
        ("2000-02-28", 2, DAY, "2000-03-01"),
        ("2000-02-28T06", 1, DAY // 4, "2000-02-28T12"),
    ],
)
def test_times_ahead_follow_the_calendar(start, lead, step, expected):
    found = ahead(np.array([start], "datetime64[ns]"), lead, step)
    assert found[0] == np.datetime64(expected, "ns")


def test_times_ahead_in_other_calendars():
    stamps = np.array([cftime.Datetime360Day(2000, 1, 30), cftime.DatetimeNoLeap(2000, 1, 31)], dtype=object)
    assert ahead(stamps[:1], 13, 30 * DAY)[0] == cftime.Datetime360Day(2001, 2, 30)
    assert ahead(stamps[1:], 1, 31 * DAY)[0] == cftime.DatetimeNoLeap(2000, 2, 28)
    assert ahead(stamps[1:], 1, DAY)[0] == cftime.DatetimeNoLeap(2000, 2, 1)


def test_monthly_steps_have_monthly_leads():
    time = pd.date_range("1970-01-01", "1999-12-01", freq="MS")
    rng = np.random.default_rng(0)
    index = xr.Dataset({"nino": ("time", rng.normal(size=len(time)).astype("f4"), {"units": "K"})}, {"time": time})
    split = TimeSplit(("1970", "1985"), ("1986", "1990"), {"test": ("1991", "1999")})
    config = PrepareConfig(inputs=InputsConfig(window=3), target=TargetConfig(leads=[1, 12]))
    from pipeline.backend import get_backend

    prepared = prepare([("river", index)], index, config=config, split=split, backend=get_backend("cpu"))
    samples = prepared.samples("test")
    assert samples.schema.step_word == "month"
    assert (samples.valid_time(12).astype("M8[M]") == samples.time.astype("M8[M]") + 12).all()
    truth = prepared.truth("test")[:, 1, 0, 0]
    series = index.nino.to_series()
    known = pd.DatetimeIndex(samples.valid_time(12)).year < 2000
    np.testing.assert_array_equal(truth[known], series.reindex(samples.valid_time(12)[known]).to_numpy())
    assert np.isnan(truth[~known]).all()


def test_a_table_that_lacks_stations_of_the_target_is_refused(field, split, cpu):
    table = _table(field, ["a", "b", "c"])
    with pytest.raises(DataError, match=r"predictor 'gauges': expected all 3 stations of the target, got none for c\."):
        made([("gauges", table.isel(station=[0, 1]))], table, split, cpu)


def test_stations_are_matched_by_their_names(field, split, cpu):
    table = _table(field, ["a", "b", "c"])
    prepared = made([("gauges", table.isel(station=[2, 0, 1]))], table, split, cpu)
    plain = made([("gauges", table)], table, split, cpu)
    np.testing.assert_array_equal(prepared.samples("test").inputs, plain.samples("test").inputs)


def test_stations_without_enough_truth_are_left_out_of_the_predictors_too(field, split, cpu):
    table = _table(field, ["a", "b", "c"])
    table["tas"][dict(station=1, time=slice(100, None))] = np.nan
    prepared = made([("gauges", table)], table, split, cpu)
    assert prepared.schema.target_grid.stations == prepared.schema.input_grid.stations == ("a", "c")
    assert len(prepared.samples("test")) > 300


def _table(field, names):
    cells = field("tas", seed=3).tas.values[:, [0, 2, 1], [0, 3, 1]].copy()
    coords = {
        "time": field("tas").time,
        "station": names,
        "lat": ("station", [40.0, 41, 42]),
        "lon": ("station", [1.0, 2, 3]),
    }
    return xr.Dataset({"tas": (("time", "station"), cells, {"units": "K"})}, coords)


def test_what_is_forecast_is_stamped_as_the_data_are(cpu):
    """Months stamped in their middle: the answer is for the stamp that the truth has, in files and climatologies."""
    starts = pd.date_range("1970-01-01", "1989-12-01", freq="MS")
    time = starts + (starts.shift(1) - starts) / 2
    values = 10 * np.cos(2 * np.pi * np.arange(len(time)) / 12) + np.random.default_rng(0).normal(size=len(time))
    index = xr.Dataset({"nino": ("time", values.astype("f4"), {"units": "K"})}, {"time": time})
    split = TimeSplit(("1970", "1979"), ("1980", "1984"), {"test": ("1985", "1989")})
    config = PrepareConfig(inputs=InputsConfig(window=2), target=TargetConfig(leads=[1, 3]))
    prepared = prepare([("river", index)], index, config=config, split=split, backend=cpu)
    samples, truth = prepared.samples("test"), prepared.truth("test")
    back = prepared.to_units(Prediction("point", {"mean": samples.target}), samples).mean()
    known = np.isfinite(truth)
    np.testing.assert_allclose(back[known], truth[known], atol=1e-4)
    for column, lead in enumerate((1, 3)):
        here = known[:, column, 0, 0]
        assert np.isin(samples.valid_time(lead)[here], time.values).all()


def test_a_lead_longer_than_every_run_is_refused(field, index, split, cpu):
    config = PrepareConfig(inputs=InputsConfig(window=4), target=TargetConfig(leads=[1, 500]))
    with pytest.raises(
        SplitError, match=r"split 'validation': expected truth 500 steps ahead of some sample, got none"
    ):
        prepare([("era", field("tas"))], index, config=config, split=split, backend=cpu)
