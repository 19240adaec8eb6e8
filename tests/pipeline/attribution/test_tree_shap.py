from dataclasses import replace

import numpy as np
import pytest
import torch

from models.lag_forest import LagForest, LagForestConfig
from models.pixel_forest import PixelForest, PixelForestConfig
from models.random_forest import RandomForest, RandomForestConfig
from pipeline.attribution import Case
from pipeline.attribution.baseline import make_baseline
from pipeline.attribution.question import Question
from pipeline.attribution.subject import bare
from pipeline.attribution.tree_shap import TreeShap
from pipeline.errors import ConfigError, TraitError


def question_of(schema, quantity="mean", scale=2.0, cells=None):
    answers = len(schema.classes) or len(schema.targets)
    weights = np.zeros((answers, schema.mask.size))
    weights[-1, np.flatnonzero(schema.mask)[cells]] = 1.0
    weights = weights.reshape(answers, *schema.mask.shape)
    return Question(weights / weights.sum(), np.full(weights.shape, scale), "degC", "something", quantity)


def by_coalitions(case, players):
    """Shapley values of groups of inputs, asking the model's own predictions; shape (day, player).

    ``players`` are masks of inputs that are at the baseline together, shape (player, channel, lat, lon).
    """
    from math import factorial

    count, inputs = len(players), case.samples.inputs
    starts = case.baseline.fields.numpy()

    def worth(coalition):
        own = np.any(players[coalition], axis=0) if len(coalition) else np.zeros(inputs.shape[1:], bool)
        total = 0.0
        for start in starts:
            asked = case.samples.with_inputs(np.where(own, inputs, np.broadcast_to(start, inputs.shape)))
            mean = np.asarray(case.model.predict(asked, case.context).mean(), float)
            total = total + (np.nan_to_num(mean) * case.question.factors).sum(axis=(1, 2, 3))
        return total / len(starts)

    known = {code: worth([k for k in range(count) if code >> k & 1]) for code in range(2**count)}
    found = np.zeros((len(inputs), count))
    for code, value in known.items():
        size = bin(code).count("1")
        for player in range(count):
            if code >> player & 1:
                share = factorial(size - 1) * factorial(count - size) / factorial(count)
                found[:, player] += share * (value - known[code & ~(1 << player)])
    return found


@pytest.fixture
def series(make_series, context):
    """A forest on two lags of two variables at one station, one of which the question asks about."""
    train, validation, test = (make_series(100, seed=seed) for seed in range(3))
    options = LagForestConfig(trees=6, lags=[0, 5], rolling=[], max_features=1.0)
    model = LagForest(options).fit(train, validation, context)
    test = test.take(slice(0, 6))
    start = make_baseline("train_draws", train, test, 4, context)
    return Case(model, test, question_of(test.schema, cells=[2]), context, start)


def test_values_of_lags_are_those_of_all_coalitions_of_channels(series):
    names = series.samples.schema.channels
    places = [names.index(name) for name in ("rain", "warm", "rain@-5", "warm@-5")]
    players = np.zeros((4, len(names), 1, 4), bool)
    for player, place in enumerate(places):
        players[player, place] = True
    values = TreeShap().explain(series).values
    np.testing.assert_allclose(values[:, places, 0, 2], by_coalitions(series, players), atol=2e-6)
    values[:, places, 0, 2] = 0.0
    assert not values.any()  # other stations, lags that no tree reads


def test_a_baseline_of_each_day_is_the_background_of_that_day_alone(series):
    start = make_baseline("day_of_year", series.samples, series.samples, 1, series.context)
    assert start.fields.shape[1] == len(series.samples)
    own = replace(start, fields=torch.from_numpy(np.random.default_rng(0).normal(size=start.fields.shape)).float())
    together = TreeShap().explain(replace(series, baseline=own)).values
    for day in (0, 5):
        alone = replace(
            series, samples=series.samples.take([day]), baseline=replace(own, fields=own.fields[:, day : day + 1])
        )
        np.testing.assert_allclose(TreeShap().explain(alone).values[0], together[day], atol=1e-7)


def test_a_rolling_mean_shares_its_part_evenly(make_series, context):
    train, test = (make_series(100, seed=seed) for seed in range(2))
    options = LagForestConfig(trees=4, lags=[], rolling=[4])
    model = LagForest(options).fit(train, train, context)
    start = make_baseline("climatology", train, test, 1, context)
    values = TreeShap().explain(Case(model, test, question_of(test.schema, cells=[0, 1]), context, start)).values
    rain = [test.schema.channels.index(name) for name in ("rain", "rain@-1", "rain@-2", "rain@-3")]
    assert values[:, rain].any()
    np.testing.assert_allclose(values[:, rain], np.repeat(values[:, rain[:1]], 4, axis=1), atol=1e-7)
    assert not values[:, test.schema.channels.index("rain@-4")].any()


def test_components_share_their_part_by_squared_loadings(make_samples, context):
    train, validation, test = (make_samples(120, seed=seed) for seed in range(3))
    options = RandomForestConfig(trees=5, components=3, target_components=2, max_features=1.0)
    model = RandomForest(options).fit(train, validation, context)
    test = test.take(slice(0, 5))
    start = make_baseline("train_draws", train, test, 3, context)
    case = Case(model, test, question_of(test.schema, cells=[3, 4, 20]), context, start)
    patterns = np.asarray(model.arrays["patterns"]).reshape(3, 3, 4, 5)
    # Move the inputs along one pattern after the other, which is all that the forest sees of them.
    scores = np.einsum("tcij,kcij->tk", test.inputs, patterns)
    before = np.einsum("dtcij,kcij->dk", start.fields.numpy(), patterns)
    made = lambda scores: np.einsum("tk,kcij->tcij", scores, patterns).astype(np.float32)  # noqa: E731
    expected = np.zeros((5, 3))
    from itertools import permutations

    for order in permutations(range(3)):
        for draw in before:
            state = np.tile(draw, (5, 1))
            last = numbers(case, made(state))
            for player in order:
                state[:, player] = scores[:, player]
                now = numbers(case, made(state))
                expected[:, player] += (now - last) / 6 / len(before)
                last = now
    spread = np.einsum("tk,kcij->tcij", expected, patterns**2)
    np.testing.assert_allclose(TreeShap().explain(case).values, spread, atol=5e-6)


def numbers(case, inputs):
    mean = np.asarray(case.model.predict(case.samples.with_inputs(inputs), case.context).mean(), float)
    return (np.nan_to_num(mean) * case.question.factors).sum(axis=(1, 2, 3))


def test_a_cell_of_a_segmentation_is_explained_by_its_own_channels(make_classes, context):
    train, test = (make_classes(12, seed=seed) for seed in range(2))
    model = PixelForest(PixelForestConfig(trees=5)).fit(train, train, context)
    start = make_baseline("zero", train, test, 1, context)
    case = Case(model, test, question_of(test.schema, "probability", cells=[55]), context, start)
    found = TreeShap().explain(case)
    flat = found.values.reshape(12, 3, -1)
    assert (np.flatnonzero(flat.any(axis=(0, 1))) == 55).all()
    np.testing.assert_allclose(flat[:, :, 55].sum(axis=1), found.numbers, atol=1e-6)
    assert found.importance[0] > found.importance[2]  # what makes the class, and a channel that is noise


def test_the_caption_says_how_it_was_done(series):
    found = TreeShap().explain(series)
    assert "against 4 rows of background" in found.note
    assert found.method == "tree_shap"
    assert "departure" not in found.measure
    assert "[degC]" in found.measure


def test_what_is_no_sum_of_trees_is_refused(series, make_samples, make_classes, context):
    for kind, config, made in (
        (LagForest, LagForestConfig(trees=2, distribution="members"), None),
        (RandomForest, RandomForestConfig(trees=2, distribution="members"), make_samples),
    ):
        train = series.samples if made is None else made(60)
        model = kind(config).fit(train, train, context)
        start = make_baseline("zero", train, train, 1, context)
        with pytest.raises(ConfigError, match=r"distribution: members.*Take distribution: auto"):
            TreeShap().explain(Case(model, train, question_of(train.schema, cells=[0]), context, start))
    with pytest.raises(ConfigError, match="Take of: mean"):
        TreeShap().explain(replace(series, question=replace(series.question, quantity="log_variance")))
    train = make_classes(6)
    model = PixelForest(PixelForestConfig(trees=2)).fit(train, train, context)
    start = make_baseline("zero", train, train, 1, context)
    with pytest.raises(ConfigError, match="Take of: probability"):
        TreeShap().explain(Case(model, train, question_of(train.schema, "log_odds", cells=[0]), context, start))
    with pytest.raises(TraitError, match="bare network"):
        TreeShap().attribute(bare(torch.nn.Flatten(0)), torch.zeros(1, 1, 1, 1), torch.zeros(1), start)
