"""Holt-Winters from every origin, against statsmodels and closed forms."""

from __future__ import annotations

from dataclasses import replace

import cftime
import numpy as np
import pytest
from pydantic import ValidationError

from models._smoothing import Smoothing, forecasts, phases, states
from models.holt_winters import HoltWinters, HoltWintersConfig
from pipeline.backend import get_backend
from pipeline.errors import BackendUnavailableError, DataError

STEPS = np.array([1, 3, 14])


def columns(array, context):
    host = context.backend.to_host(array)
    return host.reshape(len(host), -1)


def wandering(steps=400, stations=2, seed=0, period=None):
    rng = np.random.default_rng(seed)
    values = np.cumsum(0.4 * rng.normal(size=(steps, stations)), axis=0) + rng.normal(size=(steps, stations))
    return values if period is None else values + 3 * np.sin(2 * np.pi * np.arange(steps) / period)[:, None]


def smoothing(backend, *, alpha=0.4, beta=0.0, gamma=0.0, damping=0.0, level=0.0, season=None, stations=2):
    parts = [np.full(stations, part) for part in (alpha, alpha * beta, gamma, damping, level)]
    parts.append(np.zeros((1, stations)) if season is None else np.repeat(np.asarray(season)[:, None], stations, 1))
    return Smoothing(*(backend.asarray(part) for part in parts))


@pytest.mark.parametrize(
    ("native", "ours"),
    [
        ({}, {}),
        ({"trend": "add"}, {"beta": 0.3, "damping": 1.0}),
        ({"trend": "add", "damped_trend": True}, {"beta": 0.3, "damping": 0.9}),
        ({"seasonal": "add", "seasonal_periods": 12}, {"gamma": 0.25}),
        ({"trend": "add", "seasonal": "add", "seasonal_periods": 12}, {"beta": 0.2, "damping": 1.0, "gamma": 0.25}),
    ],
    ids=["level", "trend", "damped", "season", "trend-season"],
)
def test_forecasts_are_those_of_statsmodels_with_the_same_parameters(backend, native, ours):
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    values = wandering(period=12)
    season = np.sin(np.arange(12)) if "gamma" in ours else None
    start = {"initial_level": 1.5} | ({"initial_trend": 0.0} if "trend" in native else {})
    start |= {} if season is None else {"initial_seasonal": season}
    fixed = {"smoothing_level": 0.4}
    fixed |= {"smoothing_trend": ours["beta"]} if "beta" in ours else {}
    fixed |= {"damping_trend": 0.9} if "damped_trend" in native else {}
    fixed |= {"smoothing_seasonal": 0.25} if season is not None else {}
    model = smoothing(backend, level=1.5, season=season, **ours)
    found = backend.to_host(forecasts(backend.asarray(values), 0, np.array([250, 399]), STEPS, model, backend.xp))
    for row, stop in enumerate((251, 400)):
        for place in range(2):
            series = ExponentialSmoothing(values[:stop, place], initialization_method="known", **native, **start)
            expected = series.fit(optimized=False, **fixed).forecast(14)[STEPS - 1]
            np.testing.assert_allclose(found[row, :, place], expected, rtol=0, atol=1e-6)


def test_gain_one_is_persistence_and_gain_zero_the_level_of_the_start(backend):
    values = backend.asarray(wandering())
    for alpha, expected in ((1.0, wandering()[[100]][:, None]), (0.0, np.full((1, 1, 2), 2.5))):
        found = forecasts(values, 0, np.array([100]), STEPS, smoothing(backend, alpha=alpha, level=2.5), backend.xp)
        np.testing.assert_allclose(backend.to_host(found), np.broadcast_to(expected, (1, 3, 2)), atol=1e-12)


def test_a_missing_value_leaves_the_level_and_lets_the_trend_go_on(backend):
    values = wandering(30)
    values[20:23] = np.nan
    found = states(backend.asarray(values), 0, smoothing(backend, beta=0.3, damping=0.8), backend.xp)
    level, trend = backend.to_host(found.level), backend.to_host(found.trend)
    np.testing.assert_allclose(trend[22], 0.8**3 * trend[19])
    np.testing.assert_allclose(level[22], level[19] + (0.8 + 0.8**2 + 0.8**3) * trend[19])


def test_the_season_starts_at_the_phase_of_the_run(backend):
    season = np.array([1.0, 2.0, 3.0, 4.0])
    model = smoothing(backend, alpha=0.0, season=season)
    values = backend.asarray(np.zeros((7, 2)))
    found = backend.to_host(forecasts(values, 3, np.arange(7), np.array([1, 2, 4]), model, backend.xp))[:, :, 0]
    expected = [[season[(3 + origin + ahead) % 4] for ahead in (1, 2, 4)] for origin in range(7)]
    np.testing.assert_allclose(found, expected)


def test_months_are_counted_by_the_calendar_and_days_by_their_length(series_of):
    monthly = np.arange("2000-03", "2005-03", dtype="datetime64[M]").astype("datetime64[ns]")
    samples = series_of(np.zeros((60, 1)), leads=(1,), time=monthly)
    np.testing.assert_array_equal(phases(samples, 12)[:12], [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0, 1])
    other = np.array([cftime.datetime(2000 + k // 12, k % 12 + 1, 16, calendar="noleap") for k in range(60)])
    samples = series_of(np.zeros((60, 1)), leads=(1,), time=other)
    np.testing.assert_array_equal(phases(samples, 12), np.arange(len(samples)) % 12)
    daily = phases(series_of(np.zeros((60, 1)), leads=(1,)), 7)
    np.testing.assert_array_equal((daily - daily[0]) % 7, np.arange(len(daily)) % 7)


def test_the_model_takes_its_gains_from_the_longest_run_and_its_error_from_validation(series_of, context):
    if context.backend.name == "gpu":
        pytest.skip("statsmodels is the oracle of the gains")
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    run = np.repeat([0, 1], [300, 120])
    train, validation = (
        series_of(wandering(420), run=run, leads=(1, 2)),
        series_of(wandering(200, seed=4), leads=(1, 2)),
    )
    model = HoltWinters().fit(train, validation, context)
    longest = wandering(420)[: train.past.last[train.past.first == 0].max() + 1].astype(np.float32).astype(float)
    for place in range(2):
        native = ExponentialSmoothing(longest[:, place], initialization_method="estimated").fit()
        assert columns(model.arrays["level_gain"], context)[place, 0] == pytest.approx(native.params["smoothing_level"])
    prediction = model.predict(validation, context)
    mean, sd = (columns(prediction.parameters[name], context) for name in ("mean", "sd"))
    expected = np.sqrt(np.mean((mean - columns(validation.target, context)) ** 2, axis=0))
    np.testing.assert_allclose(sd[0], expected, rtol=1e-5)


def test_a_season_of_months_is_known_from_the_first_step_of_a_new_run(series_of, context):
    time = np.arange("1950-01", "2000-01", dtype="datetime64[M]").astype("datetime64[ns]")
    wave = 5 * np.cos(2 * np.pi * np.arange(600) / 12)[:, None]
    values = wave + 0.1 * np.random.default_rng(0).normal(size=(600, 1))
    train = series_of(values[:400], leads=(1, 6), time=time[:400])
    late = series_of(values[403:], leads=(1, 6), time=time[403:])
    model = HoltWinters(HoltWintersConfig(period=12)).fit(train, late, context)
    gap = columns(model.predict(late, context).parameters["mean"], context) - columns(late.target, context)
    assert np.abs(gap[:3]).max() < 0.6
    plain = HoltWinters().fit(train, late, context)
    gap = columns(plain.predict(late, context).parameters["mean"], context) - columns(late.target, context)
    assert np.abs(gap[:3]).max() > 2


def test_missing_values_in_the_train_split_are_interpolated_for_the_gains(series_of, context):
    values = wandering(300)
    lost = values.copy()
    lost[100:104, 0] = np.nan
    line = values.copy()
    line[99:105, 0] = np.linspace(values[99, 0], values[104, 0], 6)
    found, expected = (
        columns(HoltWinters().fit(series_of(each), series_of(values), context).arrays["level_gain"], context)
        for each in (lost, line)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_series_without_enough_values_are_their_mean_and_counted(series_of, context, said):
    values = wandering(300, stations=3)
    values[25:, 1], values[:, 2] = np.nan, np.nan
    train = series_of(values, leads=(1,))
    model = HoltWinters(HoltWintersConfig(harmonics=0)).fit(train, train, context)
    assert said[0].startswith("model: 2 of 3 series are constant or have too few known values to be fitted")
    mean = columns(model.predict(train, context).parameters["mean"], context)
    np.testing.assert_allclose(mean[:, 1], values[:25, 1].mean(), rtol=1e-4)
    assert np.isfinite(mean).all()


def test_too_short_a_series_is_refused(series_of, context):
    train = series_of(wandering(40), leads=(1,))
    with pytest.raises(DataError, match="expected a series with 48 known values or more in the longest run of the"):
        HoltWinters(HoltWintersConfig(period=24)).fit(train, train, context)
    long = series_of(wandering(100))
    for lacking in ("train", "validation"):
        parts = {name: replace(long, name=name) for name in ("train", "validation")}
        parts[lacking] = replace(parts[lacking], past=None)
        with pytest.raises(DataError, match=f"expected the target's own past in the split '{lacking}', got none"):
            HoltWinters().fit(parts["train"], parts["validation"], context)
    with pytest.raises(ValidationError, match="greater than or equal to 2"):
        HoltWintersConfig(period=1)


def test_a_split_without_a_past_gets_the_mean_cycle(series_of, context, said):
    train = series_of(wandering(300) + 4)
    model = HoltWinters(HoltWintersConfig(harmonics=0)).fit(train, train, context)
    prediction = model.predict(replace(train, name="future", past=None), context)
    truth = columns(train.target, context)
    np.testing.assert_allclose(columns(prediction.parameters["mean"], context)[0], truth.mean(0), rtol=1e-4)
    assert said[-1].startswith("model: the split 'future' has no truth to go on from")


def test_what_cuml_lacks_is_told_or_refused(series_of, context):
    gpu, told = replace(get_backend("cpu"), name="gpu"), []
    train = series_of(wandering(100), backend=gpu)
    HoltWinters().fit(train, train, replace(context, backend=gpu, fall_back=told.append))
    assert told == [
        "ExponentialSmoothing runs on the CPU, not the GPU, because of trend='none', period=None: "
        "cuML has an additive trend with a season alone."
    ]
    with pytest.raises(BackendUnavailableError, match=r"compute\.strict: false"):
        HoltWinters().fit(train, train, replace(context, backend=gpu, strict=True))


def test_it_runs_on_arrays_that_know_the_standard_alone(series_of, strict_backend, context):
    values = wandering(200, period=12)
    values[50:60, 0] = np.nan
    config = HoltWintersConfig(trend="damped", period=12)
    strict, plain = series_of(values, backend=strict_backend), series_of(values)
    other = replace(context, backend=strict_backend)
    found = HoltWinters(config).fit(strict, strict, other).predict(strict, other).parameters["mean"]
    expected = HoltWinters(config).fit(plain, plain, context).predict(plain, context).parameters["mean"]
    np.testing.assert_allclose(np.asarray(found), context.backend.to_host(expected), atol=1e-4)
