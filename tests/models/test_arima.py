"""ARIMA and Holt-Winters from every origin, against statsmodels and closed forms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from models._arma import Arma, error_sd, forecasts
from models._layout import Layout
from models._past import series_names
from models.arima import Arima, ArimaConfig
from pipeline.backend.tsa import fit_arma
from pipeline.errors import DataError
from pipeline.grid import Grid

STEPS = np.array([1, 2, 5])


def noise_of(order_ar, order_ma, steps=600, stations=2, seed=0):
    rng = np.random.default_rng(seed)
    shocks = rng.normal(size=(steps, stations))
    values = np.zeros_like(shocks)
    for step in range(steps):
        values[step] = shocks[step]
        values[step] += sum(a * values[step - i] for i, a in enumerate(order_ar, 1) if step >= i)
        values[step] += sum(b * shocks[step - j] for j, b in enumerate(order_ma, 1) if step >= j)
    return values


def model_of(ar, ma, stations=2, mean=0.0, variance=1.0, differenced=False, backend=None):
    whole = [
        np.full(stations, float(mean)),
        *(np.repeat(np.array(part, float)[:, None], stations, 1) for part in (ar, ma)),
    ]
    parts = [*whole, np.full(stations, float(variance))]
    return Arma(*(part if backend is None else backend.asarray(part) for part in parts), differenced)


def columns(array, context):
    host = context.backend.to_host(array)
    return host.reshape(len(host), -1)


@pytest.mark.parametrize(("ar", "ma"), [([0.7], []), ([0.5, 0.3], [0.4]), ([], [0.6, 0.2])])
@pytest.mark.parametrize("differenced", [False, True])
def test_forecasts_are_those_of_statsmodels_with_the_same_parameters(backend, ar, ma, differenced):
    from statsmodels.tsa.arima.model import ARIMA

    values = noise_of(ar, ma) + (0.0 if differenced else 3.0)
    values = np.cumsum(values, axis=0) if differenced else values
    arma = model_of(ar, ma, mean=0.0 if differenced else 3.0, variance=1.7, differenced=differenced, backend=backend)
    mean, sd = (
        backend.to_host(part)[0]
        for part in forecasts(backend.asarray(values), np.array([599]), STEPS, arma, backend.xp)
    )
    for place in range(2):
        native = ARIMA(values[:, place], order=(len(ar), int(differenced), len(ma)), trend="n" if differenced else "c")
        result = native.smooth([*([] if differenced else [3.0]), *ar, *ma, 1.7]).get_forecast(5)
        np.testing.assert_allclose(mean[:, place], result.predicted_mean[STEPS - 1], rtol=0, atol=1e-6)
        np.testing.assert_allclose(sd[:, place], result.se_mean[STEPS - 1], rtol=1e-6)


def test_an_ar1_forecast_is_the_closed_form_from_every_origin(backend):
    values = noise_of([0.8], [], steps=50)
    origins = np.array([3, 20, 49])
    arma = model_of([0.8], [], mean=0.5, variance=2.0, backend=backend)
    mean, sd = forecasts(backend.asarray(values), origins, STEPS, arma, backend.xp)
    power = 0.8 ** STEPS[None, :, None]
    np.testing.assert_allclose(backend.to_host(mean), 0.5 + power * (values[origins][:, None] - 0.5), atol=1e-12)
    variance = 2.0 * (1 - power**2) / (1 - 0.8**2)
    np.testing.assert_allclose(backend.to_host(sd), np.broadcast_to(np.sqrt(variance), mean.shape), rtol=1e-12)


def test_the_variance_of_a_random_walk_grows_with_the_lead_and_ma_stops_at_its_order():
    walk = error_sd(model_of([], [0.0], variance=4.0, differenced=True), 6, np)[:, 0]
    np.testing.assert_allclose(walk**2, 4.0 * np.arange(1, 7))
    average = error_sd(model_of([], [0.5, 0.3]), 5, np)[:, 0]
    np.testing.assert_allclose(average**2, [1, 1.25, 1.34, 1.34, 1.34])


@pytest.mark.parametrize("differenced", [False, True])
def test_a_missing_value_is_its_own_forecast_and_the_lead_counts_from_the_last_known(backend, differenced):
    values = noise_of([0.8], [], steps=40)
    lost = values.copy()
    lost[37:] = np.nan
    arma = model_of([0.8], [], differenced=differenced, backend=backend)
    early = forecasts(backend.asarray(values), np.array([36]), STEPS + 3, arma, backend.xp)
    late = forecasts(backend.asarray(lost), np.array([39]), STEPS, arma, backend.xp)
    for mine, theirs in zip(late, early, strict=True):
        np.testing.assert_allclose(backend.to_host(mine), backend.to_host(theirs), rtol=1e-12)


@pytest.mark.parametrize(("ar", "ma"), [([0.7], []), ([], [0.6]), ([0.6], [0.5])])
@pytest.mark.parametrize("differenced", [False, True])
def test_behind_a_gap_the_forecast_is_that_of_the_kalman_filter(backend, ar, ma, differenced):
    from statsmodels.tsa.arima.model import ARIMA

    values = noise_of(ar, ma, steps=300)
    values = np.cumsum(values, axis=0) if differenced else values
    values[200:230] = np.nan
    values[230:, 0] += 40.0  # a leap while nobody looked
    arma = model_of(ar, ma, variance=1.7, differenced=differenced, backend=backend)
    # With surprises of the past the filter goes on unsure for some steps; ours takes its share for the truth.
    origins = np.array([230, 290] if ma else [230, 231, 250])
    found = backend.to_host(forecasts(backend.asarray(values), origins, STEPS, arma, backend.xp)[0])
    for row, origin in enumerate(origins):
        for place in range(2):
            native = ARIMA(values[: origin + 1, place], order=(len(ar), int(differenced), len(ma)), trend="n")
            expected = native.smooth([*ar, *ma, 1.7]).forecast(5)[STEPS - 1]
            np.testing.assert_allclose(found[row, :, place], expected, rtol=0, atol=1e-5)


def test_the_way_over_a_gap_is_not_taken_for_one_step(backend):
    values = np.zeros((101, 2))
    values[1:100], values[100] = np.nan, 50.0
    arma = model_of([0.9, -0.1], [], differenced=True, backend=backend)
    found = backend.to_host(forecasts(backend.asarray(values), np.array([100]), STEPS, arma, backend.xp)[0])
    # Half a unit a step is what the way says; taken as one step it would be fifty, and go on to 200.
    assert ((found > 50) & (found < 54)).all()


def test_before_the_first_known_value_there_is_no_forecast(backend):
    values = noise_of([0.8], [], steps=9)
    values[:4, 1] = np.nan
    arma = model_of([0.8], [], backend=backend)
    mean, sd = forecasts(backend.asarray(values), np.array([-1, 0, 3, 4]), STEPS, arma, backend.xp)
    known = [[False, False], [True, False], [True, False], [True, True]]
    for part in (mean, sd):
        np.testing.assert_array_equal(np.isfinite(backend.to_host(part)), np.repeat(np.array(known)[:, None], 3, 1))


def test_the_model_forecasts_as_statsmodels_fitted_on_the_train_series(series_of, context):
    if context.backend.name == "gpu":
        pytest.skip("cuML finds parameters of its own")
    from statsmodels.tsa.arima.model import ARIMA

    values = noise_of([0.7], [0.3], steps=500) + np.array([1.0, -2.0])
    train = series_of(values)
    model = Arima(ArimaConfig(order=[1, 0, 1])).fit(train, train, context)
    prediction = model.predict(train, context)
    known = np.asarray(train.past.values)[: train.past.last[-1] + 1, 0, 0].astype(float)
    for place in range(2):
        result = ARIMA(known[:, place], order=(1, 0, 1)).fit()
        expected = result.get_forecast(3)
        mean, sd = (np.asarray(prediction.parameters[name])[-1, :, 0, place].astype(float) for name in ("mean", "sd"))
        np.testing.assert_allclose(mean, expected.predicted_mean, atol=1e-5)
        np.testing.assert_allclose(sd, expected.se_mean, rtol=1e-5)


@pytest.mark.parametrize("d", [0, 1])
def test_no_forecast_sees_a_value_before_its_own_run(series_of, context, d):
    run = np.repeat([0, 1, 2], [200, 120, 130])
    values = noise_of([0.6], [], steps=450)
    train = series_of(values, run=run, leads=(1, 2))
    model = Arima(ArimaConfig(order=[1, d, 1])).fit(train, train, context)
    before = columns(model.predict(train, context).parameters["mean"], context)
    changed = values.copy()
    changed[:200] += 50.0
    after = columns(model.predict(series_of(changed, run=run, leads=(1, 2)), context).parameters["mean"], context)
    later = train.past.first > 0
    np.testing.assert_array_equal(after[later], before[later])
    assert not np.allclose(after[~later], before[~later])


def test_with_lead_zero_the_forecast_is_made_from_the_step_before(series_of, context):
    values = noise_of([0.9], [], steps=400, stations=1)
    train = series_of(values, leads=(0, 1))
    model = Arima(ArimaConfig(order=[1, 0, 0])).fit(train, train, context)
    mean, phi = (columns(model.arrays[name], context).ravel()[0] for name in ("mean", "ar"))
    found = columns(model.predict(train, context).parameters["mean"], context)
    before = values[train.past.last, 0]
    np.testing.assert_allclose(found[:, 0], mean + phi * (before - mean), atol=1e-5)
    np.testing.assert_allclose(found[:, 1], mean + phi**2 * (before - mean), atol=1e-5)


def test_series_that_cannot_be_fitted_are_their_mean_and_counted(series_of, context, said):
    values = noise_of([0.7], [], steps=300, stations=4)
    values[:, 1] = np.nan
    values[20:, 2] = np.nan
    values[:, 3] = 7.0
    train = series_of(values, leads=(1,))
    model = Arima(ArimaConfig(order=[1, 0, 0])).fit(train, train, context)
    assert said == [
        "model: 3 of 4 series are constant or have too few known values to be fitted (s1, s2, s3); their forecast is "
        "their mean."
    ]
    assert model.summary()["not_fitted"] == 3
    prediction = model.predict(train, context)
    mean, sd = (columns(prediction.parameters[name], context) for name in ("mean", "sd"))
    assert mean[10, 2] == pytest.approx(values[:20, 2].mean(), abs=1e-5)
    np.testing.assert_allclose(mean[:, 3], 7.0)
    assert np.isfinite(mean).all()
    assert (sd > 0).all()


@pytest.mark.parametrize(("d", "slope"), [(0, 0.0), (1, 0.5)])
def test_whether_a_series_is_constant_is_its_own_affair(series_of, context, d, slope):
    small = 1e-7 * noise_of([0.7], [], steps=300, stations=1)
    large = 1e5 * noise_of([0.7], [], steps=300, stations=1)
    line = 300.0 + slope * np.arange(300)[:, None]
    values = np.concatenate([np.cumsum(part, axis=0) if d else part for part in (small, large)] + [line], axis=1)
    model = Arima(ArimaConfig(order=[1, d, 0])).fit(series_of(values), series_of(values), context)
    ar = columns(model.arrays["ar"], context)[0]
    np.testing.assert_allclose(ar[:2], 0.7, atol=0.1)
    assert ar[2] == 0
    assert model.summary()["not_fitted"] == 1


def test_a_differenced_series_that_cannot_be_fitted_stays_at_its_last_value(series_of, context, said):
    values = np.cumsum(noise_of([0.5], [], steps=300), axis=0)
    values[10:290, 1] = np.nan
    train = series_of(values, leads=(1, 4))
    model = Arima(ArimaConfig(order=[1, 1, 0])).fit(train, train, context)
    assert said[0].startswith("model: 1 of 2 series are constant")
    assert said[0].endswith("their forecast is their last value.")
    mean = columns(model.predict(train, context).parameters["mean"], context)
    np.testing.assert_allclose(mean[5, [1, 3]], values[5, 1], rtol=1e-5)
    np.testing.assert_allclose(mean[200, [1, 3]], values[9, 1], rtol=1e-5)


def test_nothing_to_fit_is_refused(series_of, context):
    train = series_of(noise_of([0.7], [], steps=40))
    with pytest.raises(DataError, match="expected a series with 50 known values or more in the split 'train', got 37"):
        Arima().fit(train, train, context)
    with pytest.raises(DataError, match="expected the target's own past in the split 'train', got none; model has"):
        Arima().fit(replace(train, past=None), train, context)


def test_series_whose_search_does_not_end_are_named_with_what_to_do(series_of, context, said, monkeypatch):
    from models import arima as module

    def fit(*args, **options):
        return replace(fit_arma(*args, **options), converged=np.array([True, False]))

    values = noise_of([0.7], [], steps=300, stations=3)
    values[:, 1] = 2.0
    monkeypatch.setattr(module, "fit_arma", fit)
    model = Arima(ArimaConfig(order=[1, 0, 0])).fit(series_of(values), series_of(values), context)
    assert said[1] == (
        "model: the search for the parameters of 1 of 3 series did not end (s2); those it had reached are kept. "
        "Ask for a smaller order, or take another model."
    )
    assert model.summary()["unfinished"] == 1


def test_a_split_without_a_past_gets_the_mean_cycle(series_of, context, said):
    train = series_of(noise_of([0.7], [], steps=300) + 4)
    model = Arima(ArimaConfig(order=[1, 0, 0], harmonics=0)).fit(train, train, context)
    prediction = model.predict(replace(train, name="future", past=None), context)
    truth = columns(train.target, context)
    np.testing.assert_allclose(columns(prediction.parameters["mean"], context)[0], truth.mean(0), rtol=1e-4)
    np.testing.assert_allclose(columns(prediction.parameters["sd"], context)[0], truth.std(0), rtol=1e-4)
    assert said == ["model: the split 'future' has no truth to go on from, so its forecast is the mean cycle."]


def test_series_are_named_by_station_else_by_place_and_variable_where_there_are_several():
    mask, none = np.array([[True, False], [True, True]]), np.zeros((0, 2, 2))
    grid = Grid(np.array([40.0, 41.5]), np.array([-5.0, 7.0]))
    fields = Layout((), ("flow@+1", "flow@+2"), grid, grid, mask, none, leads=(1, 2))
    assert series_names(fields) == ["40 N -5 E", "41.5 N -5 E", "41.5 N 7 E"]
    row = Grid(np.array([[50.0, 51.0]]), np.array([[1.0, 2.0]]), ("row", "station"), ("a", "b"))
    table = Layout((), ("tmax@+1", "tmin@+1"), row, row, np.ones((1, 2), bool), np.zeros((0, 1, 2)))
    assert series_names(table) == ["tmax at a", "tmax at b", "tmin at a", "tmin at b"]


@pytest.mark.parametrize("order", [[1, 2, 0], [0, 0, 0], [1, 0], [9, 0, 0], [-1, 0, 1]])
def test_orders_it_does_not_know_are_refused(order):
    with pytest.raises(ValidationError, match=r"expected an order \[p, d, q\] with p and q from 0 to 8"):
        ArimaConfig(order=order)


def test_it_runs_on_arrays_that_know_the_standard_alone(series_of, strict_backend, context):
    values = noise_of([0.7], [0.2], steps=200)
    values[50:60, 0] = np.nan
    strict = series_of(values, run=np.repeat([0, 1], 100), backend=strict_backend)
    other = replace(context, backend=strict_backend)
    for order in ([1, 0, 1], [0, 1, 1]):
        found = Arima(ArimaConfig(order=order)).fit(strict, strict, other).predict(strict, other).parameters["mean"]
        plain = series_of(values, run=np.repeat([0, 1], 100))
        expected = Arima(ArimaConfig(order=order)).fit(plain, plain, context).predict(plain, context)
        np.testing.assert_allclose(np.asarray(found), context.backend.to_host(expected.parameters["mean"]), atol=1e-4)
