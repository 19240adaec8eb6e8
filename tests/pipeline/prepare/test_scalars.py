"""Channels without a place: the day of the year, forcings of any step."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from pipeline.errors import DataError
from pipeline.prepare.config import InputsConfig, PrepareConfig
from pipeline.prepare.making import prepare
from pipeline.prepare.prepared import Prepared
from pipeline.prepare.recipe import Recipe
from pipeline.prepare.scalars import forcing_values


def series(freq, periods, name="co2", start="1989-07-01", units="ppm"):
    time = pd.date_range(start, periods=periods, freq=freq)
    return xr.Dataset({name: ("time", np.arange(float(periods)) + 350.0, {"units": units})}, {"time": time})


def test_a_value_holds_for_its_year_or_month():
    days = np.array(["1990-01-01", "1990-12-31", "1991-03-05"], "datetime64[ns]")
    np.testing.assert_array_equal(forcing_values([series("YS-JUL", 4)], days)[:, 0], [351, 351, 352])
    np.testing.assert_array_equal(forcing_values([series("MS", 30)], days)[:, 0], [356, 367, 370])
    daily = series("D", 1000, start="1989-07-01T12")
    np.testing.assert_array_equal(forcing_values([daily], days)[:, 0], 350 + np.array([184, 548, 612]))


def test_years_meet_in_any_calendar():
    days = xr.date_range("1990-02-29", periods=2, freq="D", calendar="360_day", use_cftime=True).values
    np.testing.assert_array_equal(forcing_values([series("YS", 4)], np.asarray(days))[:, 0], [350, 350])


def test_a_missing_year_is_named():
    days = np.array(["1990-01-01", "1999-06-01"], "datetime64[ns]")
    with pytest.raises(DataError, match=r"a value of 'co2' for the year of every date, got none for 1999-06-01"):
        forcing_values([series("YS", 4)], days)


def test_a_field_is_no_forcing(field):
    with pytest.raises(
        DataError, match=r"expected 'tas' to be a series of dims \('time',\), got \('time', 'lat', 'lon'"
    ):
        forcing_values([field("tas")], np.array(["1990-01-01"], "datetime64[ns]"))


@pytest.fixture
def made(field, split, backend):
    config = PrepareConfig(inputs=InputsConfig(anomaly="none", lags=[0, 1], calendar=True))
    forcings = [series("YS", 10, start="1989-01-01"), series("MS", 100, name="aod", start="1989-01-01", units="1")]
    return prepare(
        [("era", field("psl"))], field("tas", seed=1), (), forcings, config=config, split=split, backend=backend
    )


def test_scalars_come_last_and_are_the_same_everywhere(made):
    assert made.schema.channels == ("psl", "psl@-1", "co2", "aod", "day_cos", "day_sin")
    assert made.schema.scalars == ("co2", "aod", "day_cos", "day_sin")
    samples = made.samples("test")
    inputs = made.backend.to_host(samples.inputs)
    assert inputs.dtype == np.float32
    assert inputs.shape[1:] == (6, 3, 4)
    assert (inputs[:, 2:] == inputs[:, 2:, :1, :1]).all()
    angle = 2 * np.pi * samples.day
    np.testing.assert_allclose(inputs[:, 4:, 0, 0], np.stack([np.cos(angle), np.sin(angle)], axis=1), atol=1e-6)


def test_forcings_are_standardised_by_the_train_split(made):
    train = made.backend.to_host(made.samples("train").inputs)[:, 2:4, 0, 0]
    np.testing.assert_allclose(train.mean(axis=0), 0, atol=5e-3)  # the first day lacks its lag
    np.testing.assert_allclose(train.std(axis=0), 1, atol=5e-3)
    affine = made.schema.channel_affine
    numbers = made.backend.to_host(made.samples("test").inputs) * affine.scale + affine.shift
    assert set(np.round(numbers[:, 2, 0, 0], 3)) == {354.0}
    assert np.abs(numbers[:, 0] - 280).max() < 20


def test_new_data_are_encoded_alike(made, field, tmp_path):
    made.save(tmp_path)
    recipe = Recipe.load(tmp_path, made.backend)
    forcings = [series("MS", 100, name="aod", start="1989-01-01", units="1"), series("YS", 10, start="1989-01-01")]
    again = recipe.encode([("era", field("psl"))], forcings)
    test = made.samples("test")
    chosen = np.isin(again.time, test.time)
    np.testing.assert_array_equal(made.backend.to_host(again.inputs)[chosen], made.backend.to_host(test.inputs))
    loaded = Prepared.load(tmp_path, made.backend).samples("test")
    np.testing.assert_array_equal(made.backend.to_host(loaded.inputs), made.backend.to_host(test.inputs))


def test_a_missing_forcing_or_other_units_are_called_so(made, field):
    with pytest.raises(DataError, match=r"expected the forcing 'aod' that the models were fitted with, got co2"):
        made.encode([("era", field("psl"))], [series("YS", 10, start="1989-01-01")])
    wrong = [series("YS", 10, start="1989-01-01", units="1"), series("MS", 100, name="aod", start="1989-01-01")]
    with pytest.raises(DataError, match=r"forcing 'co2': expected units 'ppm', got '1'; convert it"):
        made.encode([("era", field("psl"))], wrong)


def test_forcings_of_one_name_are_refused(field, split, cpu):
    twice = [series("YS", 10, start="1989-01-01")] * 2
    with pytest.raises(DataError, match=r"data.forcings: expected names that differ, got co2 twice"):
        prepare([("era", field("psl"))], field("tas"), (), twice, config=PrepareConfig(), split=split, backend=cpu)


def test_a_forcing_with_the_name_of_a_channel_is_refused(field, split, cpu):
    config = PrepareConfig(inputs=InputsConfig(calendar=True))
    for name in ("psl", "day_cos"):
        forcing = series("YS", 10, name=name, start="1989-01-01")
        with pytest.raises(DataError, match=f"expected channels with names of their own, got {name} both as a channel"):
            prepare([("era", field("psl"))], field("tas"), (), [forcing], config=config, split=split, backend=cpu)


def test_a_forcing_that_never_changes_in_the_train_split_is_given_as_a_difference(field, split, cpu):
    forcing = series("YS", 10, start="1989-01-01")
    forcing["co2"][:3] = 360.0
    made = prepare(
        [("era", field("psl"))], field("tas"), (), [forcing], config=PrepareConfig(), split=split, backend=cpu
    )
    assert (made.samples("train").inputs[:, 1] == 0).all()
    np.testing.assert_allclose(made.samples("test").inputs[:, 1], 354.0 - 360.0)
