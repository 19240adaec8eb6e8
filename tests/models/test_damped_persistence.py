"""Damped persistence: its coefficients, its error, and what stands in where nothing is known."""

from __future__ import annotations

from dataclasses import replace

import cftime
import numpy as np
import pytest

from models.damped_persistence import DampedPersistence, DampedPersistenceConfig
from pipeline.errors import DataError
from pipeline.samples import Affine

FLAT = DampedPersistenceConfig(harmonics=0)


def autoregression(steps, phi, seed=0, stations=1):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(steps, stations))
    for step in range(1, steps):
        values[step] = phi * values[step - 1] + np.sqrt(1 - phi**2) * values[step]
    return values


def columns(array, context):
    host = context.backend.to_host(array)
    return host.reshape(len(host), -1)


def test_an_ar1_series_is_damped_by_phi_to_the_power_of_the_lead(series_of, context):
    train = series_of(autoregression(40000, 0.8), leads=(1, 2, 6))
    model = DampedPersistence(FLAT).fit(train, train, context)
    found = model.summary()["damping"]
    assert list(found) == ["flow@+1", "flow@+2", "flow@+6"]
    assert list(found.values()) == pytest.approx([0.8, 0.8**2, 0.8**6], abs=0.03)
    sd = columns(model.predict(train, context).parameters["sd"], context)[0]
    np.testing.assert_allclose(sd, np.sqrt(1 - 0.8 ** (2 * np.array([1, 2, 6]))), rtol=0.02)


def test_the_coefficient_is_the_slope_of_least_squares_round_the_means(series_of, context):
    values = autoregression(400, 0.7, stations=3) + np.array([2.0, -1.0, 5.0])
    train = series_of(values, leads=(1, 4))
    model = DampedPersistence(FLAT).fit(train, train, context)
    x, y = columns(train.previous, context).astype(float), columns(train.target, context).astype(float)
    expected, sd = np.empty_like(y), np.empty(6)
    for place in range(6):
        away = x[:, place] - x[:, place].mean()
        slope = np.linalg.lstsq(away[:, None], y[:, place] - y[:, place].mean(), rcond=None)[0][0]
        expected[:, place] = y[:, place].mean() + slope * away
        sd[place] = np.sqrt(np.mean((y[:, place] - expected[:, place]) ** 2))
    prediction = model.predict(train, context)
    assert prediction.family == "normal"
    np.testing.assert_allclose(columns(prediction.parameters["mean"], context), expected, atol=1e-5)
    np.testing.assert_allclose(columns(prediction.parameters["sd"], context)[3], sd, rtol=1e-5)


def test_with_lead_zero_it_goes_on_from_the_step_before(series_of, context):
    train = series_of(autoregression(20000, 0.6), leads=(0,))
    model = DampedPersistence(FLAT).fit(train, train, context)
    assert model.summary()["damping"]["flow"] == pytest.approx(0.6, abs=0.03)


def by_month_world(series_of, calendar=None):
    """Monthly values that keep half of themselves from January on, and nothing from other months."""
    rng, values = np.random.default_rng(1), np.zeros((1200, 1))
    for step in range(1, 1200):
        values[step] = (0.9 if step % 12 == 1 else 0.2) * values[step - 1] + rng.normal()
    if calendar is None:
        time = np.arange("1900-01", "2000-01", dtype="datetime64[M]").astype("datetime64[ns]")
    else:
        time = np.array([cftime.datetime(1900 + k // 12, k % 12 + 1, 1, calendar=calendar) for k in range(1200)])
    return series_of(values, leads=(1,), time=time)


@pytest.mark.parametrize("calendar", [None, "360_day"])
def test_by_month_each_month_of_the_origin_has_its_own_coefficient(series_of, context, calendar):
    train = by_month_world(series_of, calendar)
    config = DampedPersistenceConfig(harmonics=0, by_month=True)
    model = DampedPersistence(config).fit(train, train, context)
    x, y = (columns(part, context)[:, 0].astype(float) for part in (train.previous, train.target))
    x, y, month = x - x.mean(), y - y.mean(), np.arange(len(x)) % 12
    expected = [np.sum(x[month == k] * y[month == k]) / np.sum(x[month == k] ** 2) for k in range(12)]
    np.testing.assert_allclose(columns(model.arrays["damping"], context)[:, 0], expected, atol=1e-5)
    assert expected[0] > 0.7 > 0.5 > max(expected[1:])


def test_a_month_that_train_has_none_of_takes_the_coefficient_of_all(series_of, context):
    train = by_month_world(series_of)
    summer = np.flatnonzero(np.arange(len(train)) % 12 < 6)
    config = DampedPersistenceConfig(harmonics=0, by_month=True)
    found = DampedPersistence(config).fit(train.take(summer), train, context).arrays["damping"]
    alike = DampedPersistence(FLAT).fit(train.take(summer), train, context).arrays["damping"]
    found, alike = columns(found, context), columns(alike, context)
    np.testing.assert_allclose(found[6:], np.broadcast_to(alike, (6, 1)), atol=1e-9)
    assert abs(found[0] - alike[0]) > 0.1


def test_where_the_last_value_is_not_known_the_mean_cycle_stands_with_its_own_spread(series_of, context):
    values = autoregression(3000, 0.8) + 2 * np.cos(2 * np.pi * np.arange(3000) / 365)[:, None]
    train = series_of(values, leads=(1,))
    model = DampedPersistence(DampedPersistenceConfig(harmonics=1)).fit(train, train, context)
    lost = np.array(context.backend.to_host(train.previous))
    lost[5] = np.nan
    prediction = model.predict(replace(train, previous=context.backend.asarray(lost)), context)
    mean, sd = (columns(prediction.parameters[name], context)[:, 0] for name in ("mean", "sd"))
    cycle = 2 * np.cos(2 * np.pi * 6 / 365)
    assert mean[5] == pytest.approx(cycle, abs=0.25)
    assert sd[5] == pytest.approx(1.0, abs=0.1)
    assert sd[4] == pytest.approx(0.6, abs=0.05)


def test_without_any_past_it_is_the_mean_cycle_and_says_so(series_of, context, said):
    train = series_of(autoregression(300, 0.8) + 3)
    model = DampedPersistence(FLAT).fit(train, train, context)
    prediction = model.predict(replace(train, name="future", previous=None), context)
    np.testing.assert_allclose(
        columns(prediction.parameters["mean"], context)[0], columns(train.target, context).mean(0), rtol=1e-5
    )
    assert said == ["model: the split 'future' has no truth to go on from, so its forecast is the mean cycle."]


def test_a_train_split_without_last_values_is_refused(series_of, context):
    train = series_of(autoregression(300, 0.8))
    with pytest.raises(DataError, match="expected the last known target of every sample in the split 'train'"):
        DampedPersistence().fit(replace(train, previous=None), train, context)


def test_flow_is_never_below_zero(series_of, context):
    shape = (3, 1, 1)
    affine = Affine(np.full(shape, 2.0, np.float32), np.full(shape, 1.0, np.float32))
    values = np.maximum(autoregression(500, 0.9), -0.5)
    for units, least in (("m3 s-1", -0.5), ("m", -np.inf)):
        train = series_of(values, units=units, affine=affine)
        model = DampedPersistence(FLAT).fit(train, train, context)
        assert set(np.unique(context.backend.to_host(model.arrays["least"]))) == {least}
        dry = replace(train, previous=train.previous - 30)
        mean = columns(model.predict(dry, context).parameters["mean"], context)
        assert (mean.min() == least) if np.isfinite(least) else (mean.min() < -5)


def test_it_runs_on_arrays_that_know_the_standard_alone(series_of, strict_backend, context):
    values = autoregression(200, 0.8, stations=2)
    plain, strict = series_of(values), series_of(values, backend=strict_backend)
    other = replace(context, backend=strict_backend)
    found = DampedPersistence().fit(strict, strict, other).predict(strict, other).parameters["mean"]
    expected = DampedPersistence().fit(plain, plain, context).predict(plain, context).parameters["mean"]
    np.testing.assert_allclose(np.asarray(found), context.backend.to_host(expected), atol=1e-6)
