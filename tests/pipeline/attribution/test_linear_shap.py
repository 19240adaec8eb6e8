from dataclasses import replace

import numpy as np
import pytest
import torch

from models.lag_ridge import LagRidge, LagRidgeConfig
from models.pixel_logistic import PixelLogistic, PixelLogisticConfig
from models.ridge import Ridge, RidgeConfig
from pipeline.attribution import Case
from pipeline.attribution.baseline import make_baseline
from pipeline.attribution.integrated_gradients import IntegratedGradients
from pipeline.attribution.linear_shap import LinearShap
from pipeline.attribution.question import Question
from pipeline.attribution.subject import bare
from pipeline.errors import ConfigError, TraitError


def question_of(schema, quantity="mean", scale=2.0):
    answers = len(schema.classes) or len(schema.targets)
    weights = np.broadcast_to(schema.mask * schema.target_grid.area, (answers, *schema.mask.shape)).copy()
    return Question(weights / weights.sum(), np.full(weights.shape, scale), "degC", "something", quantity)


@pytest.fixture
def world(make_samples, context):
    train, validation, test = (make_samples(100, seed=seed, further=True) for seed in range(3))
    model = Ridge(RidgeConfig(alphas=[3.0])).fit(train, validation, context)
    start = make_baseline("train_draws", train, test, 5, context)
    return Case(model, test, question_of(test.schema), context, start)


def by_hand(case):
    """Slopes of the explained number by least squares on its predictions: nothing of the model's own."""
    random = np.random.default_rng(0)
    shape = case.samples.inputs.shape[1:]
    rows = random.normal(size=(600, *shape)).astype(np.float32)
    scalars = [case.samples.schema.channels.index(name) for name in case.samples.schema.scalars]
    rows[:, scalars] = rows[:, scalars, :1, :1]
    days = case.samples.take(np.zeros(600, int)).with_inputs(rows)
    mean = np.asarray(case.model.predict(days, case.context).mean(), float)
    numbers = (np.nan_to_num(mean) * case.question.factors).sum(axis=(1, 2, 3))
    fields = [place for place in range(shape[0]) if place not in scalars]
    table = np.concatenate([rows[:, fields].reshape(600, -1), rows[:, scalars, 0, 0], np.ones((600, 1))], axis=1)
    found = np.linalg.lstsq(table.astype(float), numbers, rcond=None)[0]
    slopes = np.zeros(shape)
    slopes[fields] = found[: len(fields) * 20].reshape(len(fields), *shape[1:])
    slopes[scalars] = found[len(fields) * 20 : -1, None, None] / 20
    return slopes


def test_it_is_the_slope_times_the_departure_from_the_mean_baseline(world):
    found = LinearShap().explain(world)
    away = world.samples.inputs - world.baseline.fields.numpy()[:, 0].mean(axis=0, dtype=float)
    np.testing.assert_allclose(found.values, by_hand(world) * away, atol=2e-5)
    assert "[degC]" in found.measure
    assert "5 days drawn from the train split" in found.note


def test_integrated_gradients_of_the_same_map_as_a_network_are_the_same(world, formula):
    arrays = {name: torch.from_numpy(np.asarray(array, float)) for name, array in world.model.arrays.items()}
    table = world.model.table

    class Same(torch.nn.Module):
        def forward(self, inputs):
            wide = torch.cat([inputs[:, table.layout.fields].flatten(1), inputs[:, -2:].mean((2, 3))], dim=1).double()
            columns = ((wide - arrays["centre"]) @ arrays["patterns"].T) @ arrays["slopes"] + arrays["level"]
            empty = columns.new_zeros(len(inputs), table.layout.mask.size)
            cells = torch.as_tensor(np.flatnonzero(table.layout.mask))
            return empty.index_copy(1, cells, columns).reshape(-1, 1, *table.layout.mask.shape)

    expected = IntegratedGradients().explain(replace(world, model=formula(Same())))
    found = LinearShap().explain(world)
    np.testing.assert_allclose(found.values, expected.values, atol=5e-6)
    np.testing.assert_allclose(found.numbers, expected.numbers, atol=1e-5)


def test_rolling_means_are_spread_over_their_steps_exactly(make_series, context):
    train, validation, test = (make_series(80, seed=seed) for seed in range(3))
    options = LagRidgeConfig(alphas=[1.0], lags=[0], rolling=[4])
    model = LagRidge(options).fit(train, validation, context)
    question = question_of(test.schema)
    slopes = np.asarray(model.slopes(test, question.factors[None], context))[0, :, 0]
    own = question.factors[:, 0].T @ np.asarray(model.arrays["slopes"])[1:].T  # (cell, feature)
    for variable, name in enumerate(("rain", "warm")):
        for lag in range(8):
            place = test.schema.channels.index(f"{name}@-{lag}" if lag else name)
            expected = own[:, 2 + variable] / 4 * (lag < 4) + own[:, variable] * (lag == 0)
            np.testing.assert_allclose(slopes[place], expected, atol=1e-12)


def test_a_bound_at_zero_is_found_out_by_the_check(make_samples, context):
    def wet(samples):
        schema = replace(samples.schema, target_units=("mm/day",))
        return replace(samples, target=np.maximum(samples.target - 0.5, 0.0), schema=schema)

    train, validation, test = (wet(make_samples(100, seed=seed)) for seed in range(3))
    model = Ridge().fit(train, validation, context)
    start = make_baseline("climatology", train, test, 1, context)
    found = LinearShap().explain(Case(model, test, question_of(test.schema), context, start, ("completeness",)))
    assert found.findings[0].passed is False
    assert found.findings[0].value > 0.05


def test_what_is_not_linear_is_refused(world, make_classes, context):
    other = replace(world, question=question_of(world.samples.schema, "log_variance"))
    with pytest.raises(ConfigError, match=r"linear_shap: expected of: mean.*got log_variance"):
        LinearShap().explain(other)
    with pytest.raises(TraitError, match="bare network"):
        LinearShap().attribute(bare(torch.nn.Flatten(0)), torch.zeros(1, 1, 1, 1), torch.zeros(1), world.baseline)
    train, test = (make_classes(15, seed=seed) for seed in range(2))
    start = make_baseline("zero", train, test, 1, context)
    for config, words in (
        (PixelLogisticConfig(), "got 3 classes"),
        (PixelLogisticConfig(neighbourhood=1), "classes"),
    ):
        model = PixelLogistic(config).fit(train, train, context)
        with pytest.raises(ConfigError, match=words):
            LinearShap().explain(Case(model, test, question_of(test.schema, "log_odds"), context, start))
    with pytest.raises(ConfigError, match="Take of: log_odds"):
        LinearShap().explain(Case(model, test, question_of(test.schema, "probability"), context, start))
    two = replace(train, target=np.minimum(train.target, 1.0), schema=replace(train.schema, classes=("no", "yes")))
    model = PixelLogistic(PixelLogisticConfig(neighbourhood=1)).fit(two, two, context)
    with pytest.raises(ConfigError, match="got neighbourhood: 1"):
        LinearShap().explain(Case(model, two, question_of(two.schema, "log_odds"), context, start))


def test_log_odds_of_a_class_that_is_nearly_sure_keep_their_digits():
    from pipeline.attribution.quantity import value
    from pipeline.prediction import Prediction

    odds = np.array([-20.0, -12.0, 0.0, 12.0, 20.0])
    chances = np.stack([1 / (1 + np.exp(odds)), 1 / (1 + np.exp(-odds))]).astype(np.float32)[:, :, None, None, None]
    for library in (np.asarray, torch.from_numpy):
        found = np.asarray(value("log_odds", Prediction("categorical", {"probabilities": library(chances)})))
        np.testing.assert_allclose(found[:, :, 0, 0], np.stack([-odds, odds], axis=1), atol=1e-5)
