"""Holt-Winters from every origin, against statsmodels and closed forms."""

from __future__ import annotations

from dataclasses import replace

import cftime
import numpy as np
import pytest
from pydantic import ValidationError

from models._smoothing import Smoothing, forecasts, phases, states
from models.holt_winters import HoltWinters, HoltWintersConfig, mean_slope
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


def smoothing(backend, *, alpha=0.4, beta=0.0, gamma=0.0, damping=0.0, level=0.0, slope=0.0, season=None, stations=2):
    parts = [np.full(stations, part) for part in (alpha, alpha * beta, gamma, damping, level, slope)]
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
    start = {"initial_level": 1.5} | ({"initial_trend": 0.2} if "trend" in native else {})
    start |= {} if season is None else {"initial_seasonal": season}
    fixed = {"smoothing_level": 0.4}
    fixed |= {"smoothing_trend": ours["beta"]} if "beta" in ours else {}
    fixed |= {"damping_trend": 0.9} if "damped_trend" in native else {}
    fixed |= {"smoothing_seasonal": 0.25} if season is not None else {}
    model = smoothing(backend, level=1.5, slope=0.2, season=season, **ours)
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


def test_a_run_without_a_level_starts_at_its_first_known_value(backend):
    values = wandering(30) + 100
    values[:3, 1] = np.nan
    season = np.array([1.0, -1.0, 0.0])
    open_start = smoothing(backend, beta=0.3, damping=1.0, level=np.nan, slope=0.5, gamma=0.2, season=season)
    found = states(backend.asarray(values), 0, open_start, backend.xp)
    level, trend = backend.to_host(found.level), backend.to_host(found.trend)
    for place, first in ((0, 0), (1, 3)):
        start = values[first, place] - season[first % 3]
        assert (level[first, place], trend[first, place]) == pytest.approx((start, 0.5))
        known = smoothing(
            backend, beta=0.3, damping=1.0, level=start - 0.5, slope=0.5, gamma=0.2, season=season, stations=1
        )
        rest = states(backend.asarray(values[first:, [place]]), first % 3, known, backend.xp)
        np.testing.assert_allclose(level[first:, place], backend.to_host(rest.level)[:, 0])
    assert np.isnan(level[:3, 1]).all()
    missing = backend.to_host(forecasts(backend.asarray(values), 0, np.array([2]), STEPS, open_start, backend.xp))
    assert np.isfinite(missing[0]).all(axis=0).tolist() == [True, False]


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


@pytest.mark.parametrize("trend", ["none", "additive", "damped"])
@pytest.mark.parametrize("period", [None, 12])
def test_fit_and_forecast_are_one_model_of_statsmodels(series_of, context, trend, period):
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    run, steps = np.repeat([0, 1], [300, 120]), np.arange(420)[:, None]
    values = (wandering(420, period=period) + 0.3 * steps).astype(np.float32).astype(float)
    train = series_of(values, run=run, leads=(1, 5))
    model = HoltWinters(HoltWintersConfig(trend=trend, period=period)).fit(train, train, context)
    last = int(train.past.last[train.past.first == 0].max())
    mean = columns(model.predict(train, context).parameters["mean"], context)[train.past.last == last][0]
    level, slope, season = (context.backend.to_host(model.arrays[name]) for name in ("level", "slope", "season"))
    season = np.roll(season, int(train.past.last[0]) - phases(train, len(season))[0], axis=0)
    for place in range(2):
        options = {"initialization_method": "known", "initial_level": level[place]}
        if trend != "none":
            first = values[0, place] - season[0, place] - slope[place]
            options |= {"trend": "add", "damped_trend": trend == "damped", "initial_trend": slope[place]}
            options["initial_level"] = first
        if period:
            options |= {"seasonal": "add", "seasonal_periods": period, "initial_seasonal": season[:, place]}
        native = ExponentialSmoothing(values[: last + 1, place], **options).fit()
        np.testing.assert_allclose(mean[[place, 2 + place]], native.forecast(5)[[0, 4]], atol=1e-4)
    expected = {"none": [0.0, 0.0], "damped": [0.0, 0.0], "additive": slope}[trend]
    np.testing.assert_array_equal(slope, expected)


def test_a_trend_goes_on_from_a_place_far_from_the_train_mean(series_of, context):
    values = wandering(700, stations=1) + 0.5 * np.arange(700)[:, None]
    train, later = series_of(values[:400], leads=(1, 8)), series_of(values[500:], leads=(1, 8))
    model = HoltWinters(HoltWintersConfig(trend="additive")).fit(train, later, context)
    gap = columns(model.predict(later, context).parameters["mean"], context) - columns(later.target, context)
    # A walk of steps of 0.4 in noise of one, 250 units above the train mean: from the first origins on as later.
    for part in (slice(0, 20), slice(20, None)):
        error = np.sqrt((gap[part] ** 2).mean(axis=0))
        assert error[0] < 1.5
        assert error[1] < 2.2
    assert columns(model.arrays["slope"], context)[0, 0] == pytest.approx(0.5, abs=0.03)


def test_the_mean_slope_is_least_squares_with_a_height_for_each_run(backend):
    rng = np.random.default_rng(1)
    runs = [
        rng.normal(size=(steps, 1)) + height + 0.2 * np.arange(steps)[:, None] for steps, height in ((40, 3), (25, 90))
    ]
    runs[0][7:11] = np.nan
    table, truth = [], []
    for number, values in enumerate(runs):
        known = np.flatnonzero(np.isfinite(values[:, 0]))
        table += [[step, number == 0, number == 1] for step in known]
        truth += values[known, 0].tolist()
    wanted = np.linalg.lstsq(np.array(table, float), np.array(truth), rcond=None)[0][0]
    found = mean_slope([backend.asarray(values) for values in runs], backend.xp)
    np.testing.assert_allclose(backend.to_host(found), [wanted], rtol=1e-9)


def test_the_error_is_that_of_validation(series_of, context):
    train, validation = series_of(wandering(420), leads=(1, 2)), series_of(wandering(200, seed=4), leads=(1, 2))
    model = HoltWinters().fit(train, validation, context)
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


def test_short_gaps_in_the_train_split_are_interpolated_for_the_gains(series_of, context):
    values = wandering(300)
    lost = values.copy()
    lost[100:104, 0] = np.nan
    line = values.copy()
    line[99:105, 0] = np.linspace(values[99, 0], values[104, 0], 6)
    # The mean that every run starts from is that of the known values; here it is the same, as both are moved to zero.
    lost, line = (each - np.nanmean(each, axis=0) for each in (lost, line))
    found, expected = (
        columns(HoltWinters().fit(series_of(each), series_of(values), context).arrays["level_gain"], context)
        for each in (lost, line)
    )
    np.testing.assert_allclose(found, expected, rtol=2e-3)


def test_a_long_gap_is_not_filled_the_gains_are_those_of_the_better_known_part(series_of, context):
    values = wandering(400, stations=1, seed=3)
    lost = values.copy()
    lost[120:220] = np.nan
    train = series_of(lost, leads=(1,))
    model = HoltWinters(HoltWintersConfig(trend="damped")).fit(train, train, context)
    part = series_of(lost[220:], leads=(1,))
    alone = HoltWinters(HoltWintersConfig(trend="damped")).fit(part, part, context)
    for name in ("level_gain", "trend_gain", "damping"):
        np.testing.assert_allclose(*(columns(each.arrays[name], context) for each in (model, alone)), rtol=1e-6)
    # Over the gap the forecast runs on by itself, and the first value behind it moves the level by the gain alone.
    mean = columns(model.predict(train, context).parameters["mean"], context)[:, 0]
    damping, gain = (columns(model.arrays[name], context)[0, 0] for name in ("damping", "level_gain"))
    assert mean[219] - mean[218] == pytest.approx(damping * (mean[218] - mean[217]), abs=1e-5)
    trend = (mean[219] - mean[218]) * damping
    moved = mean[219] + gain * (values[220, 0] - mean[219])
    follow = columns(model.arrays["trend_gain"], context)[0, 0] * (values[220, 0] - mean[219])
    assert mean[220] == pytest.approx(moved + damping * (trend / damping + follow), abs=1e-4)


def test_series_without_enough_values_are_their_mean_and_counted(series_of, context, said):
    values = wandering(300, stations=3)
    values[25:, 1], values[:, 2] = np.nan, np.nan
    train = series_of(values, leads=(1,))
    model = HoltWinters(HoltWintersConfig(harmonics=0)).fit(train, train, context)
    assert said[0].startswith("model: 2 of 3 series are constant or have too few known values to be fitted")
    mean = columns(model.predict(train, context).parameters["mean"], context)
    np.testing.assert_allclose(mean[:, 1], values[:25, 1].mean(), rtol=1e-4)
    assert np.isfinite(mean).all()


def test_a_series_that_is_not_fitted_has_no_season(series_of, context, said):
    values = wandering(300, stations=2)
    values[25:, 1] = np.nan
    train = series_of(values, leads=(1,))
    model = HoltWinters(HoltWintersConfig(harmonics=0, period=7)).fit(train, train, context)
    mean = columns(model.predict(train, context).parameters["mean"], context)
    np.testing.assert_allclose(mean[:, 1], values[:25, 1].mean(), rtol=1e-4)
    assert float(np.abs(context.backend.to_host(model.arrays["season"])[:, 0]).max()) > 0


def test_too_short_a_series_is_refused(series_of, context):
    train = series_of(wandering(40), leads=(1,))
    with pytest.raises(
        DataError,
        match=r"expected a series with 48 known values or more in the longest run of the split 'train', nowhere more",
    ):
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
        "ExponentialSmoothing runs on the CPU, not the GPU, because of initial states that are given: "
        "cuML works out its own."
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
