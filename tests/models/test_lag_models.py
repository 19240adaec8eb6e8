"""Ridge and forest of all series together on lags and rolling means."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from models import MODELS
from models._classical import Table
from models._lag_features import LagConfig, LagFeatures
from models._layout import Layout
from models.lag_forest import LagForest, LagForestConfig
from models.lag_ridge import LagRidge, LagRidgeConfig
from pipeline.errors import ConfigError, DataError
from pipeline.lagged import Lagged


def laid_out(samples, context, lags=(0, 1, 2), rolling=(7,)):
    """Features of every (time, cell) by plain loops: lags, then rolling means, then scalars and static values."""
    inputs, channels = context.backend.to_host(samples.inputs).astype(float), samples.schema.channels
    at = lambda name, lag: inputs[:, channels.index(f"{name}@-{lag}" if lag else name), 0]  # noqa: E731
    parts = [at(name, lag) for lag in lags for name in ("rain", "warm")]
    parts += [np.mean([at(name, lag) for lag in range(n)], axis=0) for n in rolling for name in ("rain", "warm")]
    parts += [inputs[:, channels.index(name), 0] for name in samples.schema.scalars]
    parts += [np.broadcast_to(field[0], parts[0].shape) for field in samples.schema.static]
    return np.stack(parts, axis=2)


def truth_of(samples, context):
    return context.backend.to_host(samples.target)[:, :, 0].astype(float).transpose(0, 2, 1)  # (time, cell, target)


def with_scalars(samples, context):
    """The same with the day of the year among the channels."""
    xp, names = context.backend.xp, ("day_cos", "day_sin")
    waves = np.stack([np.cos(2 * np.pi * samples.day), np.sin(2 * np.pi * samples.day)], axis=1).astype(np.float32)
    shape = (*waves.shape, *samples.inputs.shape[2:])
    inputs = xp.concat(
        [samples.inputs, context.backend.asarray(np.broadcast_to(waves[:, :, None, None], shape))], axis=1
    )
    schema = replace(
        samples.schema,
        channels=(*samples.schema.channels, *names),
        channel_units=(*samples.schema.channel_units, "1", "1"),
        scalars=names,
    )
    return replace(samples, inputs=inputs, schema=schema)


def windows(samples, context, spoilt=False):
    """The same with inputs that are not laid out: every step once."""
    width, lags = 2, 8
    own = context.backend.to_host(samples.inputs)
    steps = [own[0, lag * width : (lag + 1) * width] for lag in range(lags - 1, 0, -1)]
    values = np.concatenate([np.stack(steps), own[:, :width]])
    now = np.arange(len(samples)) + lags - 1
    if spoilt:  # a step that no window has
        values, now = np.concatenate([np.full_like(values[:1], np.nan), values]), now + 1
    scalars = own[:, lags * width :, 0, 0]
    scalars = np.concatenate([np.zeros((len(values) - len(own), scalars.shape[1]), np.float32), scalars])
    index = now[:, None] - np.arange(lags)
    parts = (context.backend.asarray(part) for part in (values, scalars))
    return replace(samples, inputs=Lagged(*parts, index, now))


def features_of(samples, context, **options):
    table = Table(context.backend, Layout.of(samples.schema))
    features = LagFeatures.of(LagConfig(**options), table.layout, "model")
    parts = [context.backend.to_host(block) for _, block in features.blocks(samples, table)]
    return features.names, np.concatenate(parts)


@pytest.fixture
def series(make_series, context):
    return tuple(
        with_scalars(make_series(120, seed, name=name, backend=context.backend), context)
        for seed, name in enumerate(("train", "validation"))
    )


def test_features_are_lags_rolling_means_scalars_and_static_values(series, context):
    names, found = features_of(series[0], context, lags=[0, 3], rolling=[2, 7])
    assert names[:6] == ["rain", "warm", "rain@-3", "warm@-3", "rain:2", "warm:2"]
    assert names[6:] == ["rain:7", "warm:7", "day_cos", "day_sin", "slowness"]
    np.testing.assert_allclose(found, laid_out(series[0], context, (0, 3), (2, 7)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("spoilt", [False, True])
def test_windows_that_are_not_laid_out_give_the_same_features_and_stay_so(series, context, spoilt):
    lagged = windows(series[0], context, spoilt)
    names, found = features_of(lagged, context, lags=[1, 2], rolling=[3, 8])
    same, expected = features_of(series[0], context, lags=[1, 2], rolling=[3, 8])
    assert names == same
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
    assert "_laid" not in vars(lagged)
    part = lagged.take(np.arange(5, 20))
    np.testing.assert_allclose(features_of(part, context, lags=[1, 2], rolling=[3, 8])[1], found[5:20], atol=1e-12)


def test_a_window_across_a_gap_is_refused(series, context):
    lagged = windows(series[0], context)
    index = lagged.lagged.index.copy()
    index[9, 3:] -= 1
    with pytest.raises(DataError, match="expected windows of consecutive steps for rolling means, got one of 7 steps"):
        features_of(replace(lagged, inputs=replace(lagged.lagged, index=index)), context, rolling=[7])


def test_blocks_of_samples_make_no_difference(series, context, monkeypatch):
    whole = features_of(series[0], context)[1]
    monkeypatch.setattr("models._lag_features.BLOCK_BYTES", 4000)
    np.testing.assert_array_equal(features_of(series[0], context)[1], whole)


def test_by_default_features_reach_as_far_as_the_window(series, context):
    names, _ = features_of(series[0], context)
    assert names == ["rain", "warm", "rain@-1", "warm@-1", "rain@-2", "warm@-2", "rain:7", "warm:7", *names[8:]]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"lags": [0, 8]},
            r"expected lags within the inputs' window of 8 steps \(8 of them in a row\), got 8 in \[0, 8\]",
        ),
        (
            {"rolling": [7, 30]},
            r"expected rolling within the inputs' window of 8 steps .*, got 30 in \[7, 30\]. Lengthen",
        ),
    ],
)
def test_what_lies_beyond_the_window_is_refused(series, context, options, words):
    with pytest.raises(ConfigError, match=words):
        LagRidge(LagRidgeConfig(**options)).fit(*series, context)


def test_no_feature_at_all_is_refused(make_series, context):
    train = make_series(40, backend=context.backend)
    train = replace(train, schema=replace(train.schema, static=train.schema.static[:0], statics=()))
    with pytest.raises(
        ConfigError, match=r"model: expected a feature or more, got lags \[\] and rolling \[\] of inputs"
    ):
        LagRidge(LagRidgeConfig(lags=[], rolling=[])).fit(train, train, context)


def test_windows_without_scalars_or_static_values_are_features_too(make_series, context):
    samples = make_series(30, backend=context.backend)
    samples = replace(samples, schema=replace(samples.schema, static=samples.schema.static[:0], statics=()))
    found = features_of(windows(samples, context), context, lags=[0], rolling=[4])[1]
    np.testing.assert_allclose(found, laid_out(samples, context, (0,), (4,)), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("option", "numbers"), [("lags", [-1]), ("rolling", [1]), ("lags", [2, 2])])
def test_numbers_of_steps_are_whole_and_different(option, numbers):
    with pytest.raises(ValidationError, match="expected different numbers of"):
        LagConfig(**{option: numbers})


def test_predictors_on_a_grid_of_their_own_are_refused(make_series, context):
    gridded = make_series(60, gridded=True, backend=context.backend)
    with pytest.raises(ConfigError, match=r"got grids of \(3, 4\) and \(1, 1\). Take pca_ridge or random_forest"):
        LagRidge().fit(gridded, gridded, context)


def test_one_cell_of_predictors_serves_all_cells_of_the_target(series, context):
    from pipeline.grid import Grid

    single = Grid(np.array([[50.0]]), np.array([[5.0]]), ("row", "station"))
    cut = replace(series[0], inputs=series[0].inputs[..., :1], schema=replace(series[0].schema, input_grid=single))
    found, expected = features_of(cut, context)[1], features_of(series[0], context)[1][:, :1, :-1]
    np.testing.assert_allclose(found[:, :, :-1], np.broadcast_to(expected, found[:, :, :-1].shape))


@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_ridge_is_scikit_learns_on_each_leads_own_rows(make_series, context, missing):
    from sklearn.linear_model import Ridge

    train = with_scalars(make_series(150, 0, missing=missing, backend=context.backend), context)
    validation = with_scalars(make_series(80, 1, name="validation", backend=context.backend), context)
    model = LagRidge(LagRidgeConfig(alphas=[0.1, 30.0, 3000.0])).fit(train, validation, context)
    errors = {}
    rows, check = (laid_out(each, context).reshape(-1, 11) for each in (train, validation))
    truth, seen = (truth_of(each, context).reshape(-1, 3) for each in (train, validation))
    for alpha in (0.1, 30.0, 3000.0):
        found = np.empty_like(seen)
        for lead in range(3):
            own = np.isfinite(truth[:, lead])
            centre, scale = rows[own].mean(0), rows[own].std(0)
            native = Ridge(alpha=alpha).fit((rows[own] - centre) / scale, truth[own, lead])
            found[:, lead] = native.predict((check - centre) / scale)
        errors[alpha] = found, np.sqrt(np.mean((found - seen) ** 2))
    summary = model.summary()
    assert [point["rmse"] for point in summary["path"]] == pytest.approx(
        [error for _, error in errors.values()], rel=1e-6
    )
    assert summary["alpha"] == min(errors, key=lambda alpha: errors[alpha][1])
    mean, sd = (
        context.backend.to_host(model.predict(validation, context).parameters[name])[:, :, 0].transpose(0, 2, 1)
        for name in ("mean", "sd")
    )
    expected = errors[summary["alpha"]][0].reshape(mean.shape)
    np.testing.assert_allclose(mean, expected, atol=1e-4)
    residual = expected - truth_of(validation, context)
    np.testing.assert_allclose(sd[0], np.sqrt(np.mean(residual**2, axis=0)), rtol=1e-4)


def test_the_error_is_pooled_where_asked_and_for_a_cell_that_train_never_saw(series, context):
    train, validation = series
    lost = np.array(context.backend.to_host(train.target))
    lost[:, :, :, 2] = np.nan
    train = replace(train, target=context.backend.asarray(lost))
    found = {}
    for sd in ("per_cell", "pooled"):
        model = LagRidge(LagRidgeConfig(alphas=[10.0], sd=sd)).fit(train, validation, context)
        prediction = model.predict(validation, context)
        found[sd] = context.backend.to_host(prediction.parameters["sd"])[0, :, 0]
        mean = context.backend.to_host(prediction.parameters["mean"])
    square = (mean - context.backend.to_host(validation.target)) ** 2
    pooled = np.sqrt(square.mean(axis=(0, 2, 3)))
    np.testing.assert_allclose(found["pooled"], np.repeat(pooled[:, None], 4, axis=1), rtol=1e-4)
    np.testing.assert_allclose(found["per_cell"][:, 2], pooled, rtol=1e-4)
    own = np.sqrt(square.mean(axis=0))[:, 0]
    np.testing.assert_allclose(found["per_cell"][:, [0, 1, 3]], own[:, [0, 1, 3]], rtol=1e-4)


def test_a_basin_that_it_never_saw_is_answered_by_its_static_value(series, context):
    train, validation = series
    lost = np.array(context.backend.to_host(train.target))
    lost[:, :, :, 3] = np.nan
    model = LagRidge().fit(replace(train, target=context.backend.asarray(lost)), validation, context)
    gap = (
        context.backend.to_host(model.predict(validation, context).parameters["mean"])
        - truth_of(validation, context).transpose(0, 2, 1)[:, :, None]
    )
    assert np.sqrt(np.mean(gap[..., 3] ** 2)) < 0.8 * np.std(truth_of(validation, context)[:, 3])


def test_a_penalty_at_the_end_is_said(series, context, said):
    LagRidge(LagRidgeConfig(alphas=[1e7, 1e8])).fit(*series, context)
    assert said == ["model: the choice 1e+07 is the smallest of alphas; a better one may lie beyond it."]


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_the_forest_is_scikit_learns_on_the_rows_it_knows(make_series, context, missing):
    if context.backend.name == "gpu":
        pytest.skip("cuML grows other trees from the same seed")
    from sklearn.ensemble import RandomForestRegressor

    train, validation = make_series(80, 0, missing=missing), make_series(40, 1, name="validation")
    model = LagForest(LagForestConfig(trees=10)).fit(train, validation, context)
    rows, check = (laid_out(each, context).reshape(-1, 9).astype(np.float32) for each in (train, validation))
    truth = truth_of(train, context).reshape(-1, 3).astype(np.float32)
    expected, taught = [], []
    for place, outputs in enumerate([slice(0, 1), slice(1, 2), slice(2, 3)] if missing else [slice(None)]):
        own = np.isfinite(truth[:, outputs]).all(axis=1)
        seed = context.seed_for(f"forest {place}") % 2**32
        native = RandomForestRegressor(10, max_features=1 / 3, min_samples_leaf=5, random_state=seed)
        y = truth[own][:, outputs]
        native.fit(rows[own], y.ravel() if missing else y)
        taught.append(len(y))
        expected.append(native.predict(check).reshape(len(check), -1))
    assert (model.summary()["forests"], model.summary()["rows"]) == (len(expected), taught)
    mean = np.asarray(model.predict(validation, context).parameters["mean"])[:, :, 0].transpose(0, 2, 1)
    np.testing.assert_allclose(mean.reshape(-1, 3), np.concatenate(expected, axis=1), atol=1e-5)


def test_more_rows_than_asked_for_are_drawn_and_said(series, context, said):
    LagForest(LagForestConfig(trees=5, max_rows=100)).fit(*series, context)
    assert said == []  # a fifth of them is enough
    config = LagForestConfig(trees=5, max_rows=40)
    model = LagForest(config).fit(*series, context)
    assert said[0].startswith("model: 40 of 480 rows (samples times series) are drawn to grow trees on")
    assert model.summary()["rows"] == [40]
    again = LagForest(config).fit(*series, context)
    assert again.summary()["validation_rmse"] == model.summary()["validation_rmse"]
    model.fit(*series, context)  # once more, from the beginning
    assert again.summary() == model.summary()


def test_a_saved_forest_of_each_lead_answers_the_same(make_series, context, tmp_path):
    train = make_series(60, 0, missing=0.3, backend=context.backend)
    model = LagForest(LagForestConfig(trees=3)).fit(train, train, context)
    model.save(tmp_path)
    before, after = (
        each.predict(train, context).parameters["mean"] for each in (model, LagForest.load(tmp_path, context))
    )
    np.testing.assert_array_equal(context.backend.to_host(before), context.backend.to_host(after))


def test_a_lead_without_any_truth_has_no_forest(series, context):
    lost = np.array(context.backend.to_host(series[0].target))
    lost[:, 1] = np.nan
    with pytest.raises(DataError, match=r"expected truth of 'flow@\+2' in the split 'train', got missing values only"):
        LagForest(LagForestConfig(trees=2)).fit(
            replace(series[0], target=context.backend.asarray(lost)), series[1], context
        )


def test_ridge_runs_on_arrays_that_know_the_standard_alone(make_series, strict_backend, context):
    other = replace(context, backend=strict_backend)
    train = with_scalars(make_series(90, missing=0.1, backend=strict_backend), other)
    plain = with_scalars(make_series(90, missing=0.1), replace(context, backend=context.backend))
    expected = LagRidge().fit(plain, plain, context).predict(plain, context).parameters["mean"]
    for samples in (train, windows(train, other)):
        found = LagRidge().fit(samples, samples, other).predict(samples, other).parameters["mean"]
        np.testing.assert_allclose(np.asarray(found), context.backend.to_host(expected), atol=1e-5)


@pytest.mark.parametrize("kind", ["arima", "damped_persistence", "holt_winters", "lag_forest", "lag_ridge"])
def test_a_model_that_was_not_fitted_says_so(kind, series, context):
    with pytest.raises(ValueError, match=r"expected a fitted .*, got a new one; call fit or load first"):
        MODELS.get(kind)().predict(series[0], context)
