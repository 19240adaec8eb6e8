from dataclasses import replace

import numpy as np
import pytest

from models.pixel_forest import PixelForest, PixelForestConfig
from models.pixel_kmeans import PixelKMeans, PixelKMeansConfig
from models.pixel_logistic import PixelLogistic, PixelLogisticConfig
from models.pixel_threshold import PixelThreshold, PixelThresholdConfig, Rule, best_rule, caught
from pipeline.backend import get_backend
from pipeline.errors import DataError
from pipeline.model import Context
from pipeline.samples import Affine


@pytest.fixture
def splits(make_classes, backend):
    return tuple(
        make_classes(30, seed, name=name, backend=backend) for seed, name in enumerate(("train", "validation"))
    )


def table(samples, backend):
    """Return features and classes of every cell, made by hand."""
    inputs = np.moveaxis(backend.to_host(samples.inputs), 1, 3).reshape(-1, 3)
    return inputs, backend.to_host(samples.target).ravel().astype(int)


def chances(model, samples, context):
    found = context.backend.to_host(model.predict(samples, context).parameters["probabilities"])
    return np.moveaxis(found[:, :, 0], 0, 3).reshape(-1, found.shape[0])


def without(samples, number, backend):
    """Return samples with another class in place of ``number``."""
    truth = np.array(backend.to_host(samples.target))
    truth[truth == number] = 0.0
    return replace(samples, target=backend.asarray(truth))


@pytest.mark.parametrize("weight", ["none", "balanced"])
@pytest.mark.parametrize("classes", [2, 3])
def test_logistic_is_that_of_scikit_learn_on_standardised_channels(splits, context, backend, weight, classes):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train, test = (split if classes == 3 else without(split, 1, backend) for split in splits)
    options = PixelLogisticConfig(class_weight=weight, inverse_penalty=0.5)
    model = PixelLogistic(options).fit(train, test, context)
    rows, labels = table(train, backend)
    oracle = make_pipeline(
        StandardScaler(), LogisticRegression(C=0.5, class_weight=None if weight == "none" else weight, tol=1e-6)
    ).fit(rows.astype(float), labels)
    found = chances(model, test, context)
    expected = np.zeros_like(found)
    expected[:, oracle.classes_] = oracle.predict_proba(table(test, backend)[0])
    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert model.summary()["rows"] == 7200
    assert model.summary()["strongest"]["river"] == "tmq"


def test_balanced_weights_make_a_rare_class_likelier(splits, context, backend):
    train, test = splits
    usual, balanced = (
        chances(PixelLogistic(PixelLogisticConfig(class_weight=weight)).fit(train, test, context), test, context)
        for weight in ("none", "balanced")
    )
    assert balanced[:, 1].mean() > usual[:, 1].mean()


@pytest.mark.filterwarnings("ignore:.*:sklearn.exceptions.ConvergenceWarning")
def test_a_solver_that_was_not_done_is_said(splits, context, said):
    PixelLogistic(PixelLogisticConfig(max_iter=2)).fit(*splits, context)
    assert any("the solver stopped after 2 steps" in message for message in said)


def test_the_forest_is_that_of_scikit_learn_beside_one_more_cell(splits, context, backend):
    if backend.name != "cpu":
        pytest.skip("cuML's trees split at other values")
    from sklearn.ensemble import RandomForestClassifier

    train, test = splits
    model = PixelForest(PixelForestConfig(trees=10, min_samples_leaf=3)).fit(train, test, context)
    rows, labels = table(train, backend)
    seed = context.seed_for("forest") % 2**32
    oracle = RandomForestClassifier(10, min_samples_leaf=3, random_state=seed).fit(rows, labels)
    share = np.bincount(labels) / len(labels)
    expected = (30 * oracle.predict_proba(table(test, backend)[0]) + share) / 31
    np.testing.assert_allclose(chances(model, test, context), expected, atol=1e-5)


@pytest.mark.parametrize("kind", [PixelForest, PixelLogistic])
def test_a_class_that_was_never_seen_has_no_chance(splits, context, backend, kind):
    train, test = splits
    model = kind().fit(without(train, 1, backend), test, context)
    found = chances(model, test, context)
    assert (found[:, 1] == 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-5)


def test_clusters_answer_the_classes_of_their_train_cells(splits, context, backend):
    train, test = splits
    model = PixelKMeans(PixelKMeansConfig(clusters=5, starts=2)).fit(train, test, context)
    rows, labels = table(train, backend)
    scaled = [(part.astype(float) - rows.mean(0, dtype=float)) / rows.std(0, dtype=float) for part in
              (rows, table(test, backend)[0])]  # fmt: skip
    centres = backend.to_host(model.arrays["centres"])
    own, asked = (((part[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1) for part in scaled)
    counts = np.array([np.bincount(labels[own == number], minlength=3) for number in range(5)])
    shares = counts + np.bincount(labels) / len(labels)
    np.testing.assert_allclose(chances(model, test, context), (shares / shares.sum(1, keepdims=True))[asked], atol=1e-5)
    # Centres are the means of what is nearest to them.
    means = np.array([scaled[0][own == number].mean(axis=0) for number in range(5)])
    np.testing.assert_allclose(centres, means, atol=0.05)
    assert model.summary()["cluster_classes"] == [train.schema.classes[k] for k in counts.argmax(axis=1)]


def test_clusters_are_made_without_labels(splits, context, backend):
    train, test = splits
    other = replace(train, target=2.0 - train.target)
    first, second = (PixelKMeans(PixelKMeansConfig(clusters=5)).fit(split, test, context) for split in (train, other))
    np.testing.assert_array_equal(*(backend.to_host(model.arrays["centres"]) for model in (first, second)))


def test_clusters_of_many_cells_are_made_of_some(splits, context, said):
    PixelKMeans(PixelKMeansConfig(clusters=5, max_rows=300)).fit(*splits, context)
    assert said == [
        "model: clusters are made of 300 of 7200 cells of the train split, drawn at random; a larger max_rows takes "
        "more memory and time."
    ]


def test_fewer_cells_than_clusters_are_refused(splits, context):
    train, test = splits
    with pytest.raises(DataError, match=r"expected as many cells as clusters \(500\) or more, got 240"):
        PixelKMeans(PixelKMeansConfig(clusters=500)).fit(train.take(slice(0, 1)), test, context)


def brute(rows, hit, criterion):
    """Return the best score over all thresholds, by trying them all."""
    best = -np.inf
    for column in rows.T:
        for threshold in np.unique(column):
            for forecast in (column >= threshold, column < threshold):
                hits, false = (forecast & hit).sum(), (forecast & ~hit).sum()
                iou = hits / (hit.sum() + false)
                youden = hits / hit.sum() - false / (~hit).sum()
                best = max(best, iou if criterion == "iou" else youden)
    return best


@pytest.mark.parametrize("criterion", ["iou", "youden"])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_best_rule_is_the_best_of_all(strict_backend, criterion, sign):
    rng = np.random.default_rng(4)
    hit = rng.random(150) < 0.2
    rows = rng.normal(size=(150, 3)).astype(np.float32)
    rows[:, 1] += sign * 1.5 * hit
    xp = strict_backend.xp
    rule = best_rule(xp.asarray(rows), hit, 1000, criterion, xp)
    assert rule.place == 1
    assert rule.above == (sign > 0)
    assert rule.score == pytest.approx(brute(rows, hit, criterion), rel=1e-9)
    forecast = np.asarray(caught(xp.asarray(rows), rule))
    hits, false = (forecast & hit).sum(), (forecast & ~hit).sum()
    scores = {"iou": hits / (hit.sum() + false), "youden": hits / hit.sum() - false / (~hit).sum()}
    assert rule.score == pytest.approx(scores[criterion], rel=1e-9)


def test_rows_without_features_are_refused():
    with pytest.raises(ValueError, match=r"expected features to choose from, got rows of shape \(4, 0\)"):
        best_rule(np.zeros((4, 0)), np.array([True, False, True, False]), 5, "iou", np)


def test_rules_are_tried_the_rarest_class_first(splits, context, backend):
    train, test = splits
    model = PixelThreshold(PixelThresholdConfig()).fit(train, test, context)
    first, second = model.summary()["rules"]
    assert first.startswith("cyclone: wind >= ")
    assert second.startswith("river: tmq >= ")
    wind, tmq = (rule["threshold"] for rule in model.choices["rules"])
    (rows, labels), (asked, _) = table(train, backend), table(test, backend)
    group, mine = (np.where(part[:, 1] >= wind, 0, np.where(part[:, 0] >= tmq, 1, 2)) for part in (rows, asked))
    counts = np.array([np.bincount(labels[group == number], minlength=3) for number in range(3)])
    shares = counts + np.bincount(labels) / len(labels)
    np.testing.assert_allclose(chances(model, test, context), (shares / shares.sum(1, keepdims=True))[mine], atol=1e-6)
    # The second rule was chosen on what the first had left over.
    left = group != 0
    again = best_rule(backend.asarray(rows[left]), labels[left] == 2, 200, "iou", backend.xp)
    assert Rule(**{key: value for key, value in model.choices["rules"][1].items() if key != "class"}) == again


def test_a_threshold_is_told_in_units_where_they_are_the_same_everywhere(splits, context):
    train, test = splits
    scale, shift = np.full((3, 1, 1), 2.0, np.float32), np.full((3, 1, 1), 10.0, np.float32)
    schema = replace(train.schema, channel_affine=Affine(scale, shift))
    model = PixelThreshold().fit(replace(train, schema=schema), test, context)
    threshold = model.choices["rules"][0]["threshold"]
    assert model.summary()["rules"][0].startswith(f"cyclone: wind >= {2 * threshold + 10:.6g} (iou ")
    wide = Affine(np.full((3, 12, 20), 2.0, np.float32), np.full((3, 12, 20), 10.0, np.float32))
    model = PixelThreshold().fit(replace(train, schema=replace(schema, channel_affine=wide)), test, context)
    assert f"wind >= {threshold:.4g} (standardised)" in model.summary()["rules"][0]
    bent = Affine(scale, shift, ("none", "sqrt", "none"))
    model = PixelThreshold().fit(replace(train, schema=replace(schema, channel_affine=bent)), test, context)
    assert "(standardised)" in model.summary()["rules"][0]


def test_two_classes_take_one_rule(splits, context, backend):
    train, test = (without(split, 1, backend) for split in splits)
    model = PixelThreshold(PixelThresholdConfig(criterion="youden")).fit(train, test, context)
    assert len(model.summary()["rules"]) == 1
    assert "river: tmq >= " in model.summary()["rules"][0]
    assert "(youden " in model.summary()["rules"][0]


@pytest.mark.parametrize("kind", [PixelThreshold, PixelLogistic, PixelForest])
def test_fewer_rows_are_told(splits, context, said, kind):
    kind(kind.Config(max_rows=500)).fit(*splits, context)
    assert any("of 7200 known cells of the train split are drawn to learn from" in message for message in said)


@pytest.mark.parametrize("kind", [PixelThreshold, PixelLogistic, PixelForest, PixelKMeans])
def test_what_surrounds_a_cell_helps_where_a_cell_alone_is_noisy(splits, context, backend, kind):
    rng = np.random.default_rng(5)
    noisy = []
    for split in splits:
        inputs = backend.to_host(split.inputs)
        noisy.append(split.with_inputs(backend.asarray((inputs + rng.normal(size=inputs.shape)).astype(np.float32))))
    losses = [
        float(np.mean(backend.to_host(model.predict(noisy[1], context).nll(noisy[1].target))))
        for model in (kind(kind.Config(neighbourhood=n)).fit(*noisy, context) for n in (0, 1))
    ]
    assert losses[1] < losses[0]


@pytest.mark.parametrize("kind", [PixelThreshold, PixelLogistic, PixelForest, PixelKMeans])
def test_arrays_of_another_namespace_give_the_same(make_classes, strict_backend, kind):
    answers = []
    for side in (get_backend("cpu"), strict_backend):
        context, model = Context(side, seed=1), kind(kind.Config(neighbourhood=1))
        train, test = (make_classes(10, seed, backend=side) for seed in range(2))
        found = model.fit(train, test, context).predict(test, context).parameters["probabilities"]
        assert type(found) is type(test.inputs)
        answers.append(np.asarray(found))
    np.testing.assert_allclose(*answers, rtol=1e-5, atol=1e-7)
