"""Ridge, principal component regression, forest and analogs."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from models.analogs import Analogs, AnalogsConfig
from models.pca_ridge import PcaRidge, PcaRidgeConfig
from models.random_forest import RandomForest, RandomForestConfig
from models.ridge import Ridge, RidgeConfig


def tables(samples, context):
    inputs = context.backend.to_host(samples.inputs).reshape(len(samples), -1).astype(float)
    return inputs, context.backend.to_host(samples.target)[:, 0, samples.schema.mask].astype(float)


def closed_form(X, y, alpha):
    centre, level = X.mean(0), y.mean(0)
    slopes = np.linalg.solve((X - centre).T @ (X - centre) + alpha * np.eye(X.shape[1]), (X - centre).T @ (y - level))
    return lambda rows: (rows - centre) @ slopes + level


def inside(prediction, samples, context, name="mean"):
    return context.backend.to_host(prediction.parameters[name])[..., 0, samples.schema.mask]


def test_ridge_is_the_closed_form_with_the_penalty_that_validation_chose(splits, context):
    train, validation = splits
    alphas = [1.0, 100.0, 10000.0]
    model = Ridge(RidgeConfig(alphas=alphas)).fit(train, validation, context)
    (X, y), (rows, truth) = tables(train, context), tables(validation, context)
    weight = np.broadcast_to(validation.schema.target_grid.area[validation.schema.mask], truth.shape)
    errors = [np.sqrt(np.average((closed_form(X, y, a)(rows) - truth) ** 2, weights=weight)) for a in alphas]
    summary = model.summary()
    assert [point["rmse"] for point in summary["path"]] == pytest.approx(errors, rel=1e-6)
    assert summary["alpha"] == alphas[int(np.argmin(errors))]
    prediction = model.predict(validation, context)
    expected = closed_form(X, y, summary["alpha"])(rows)
    np.testing.assert_allclose(inside(prediction, validation, context), expected, atol=1e-4)
    sd = np.sqrt(np.mean((expected - truth) ** 2, axis=0))
    np.testing.assert_allclose(inside(prediction, validation, context, "sd")[7], sd, rtol=1e-4)


def test_a_choice_at_the_end_of_its_grid_is_said(splits, context, said):
    Ridge(RidgeConfig(alphas=[1e6, 1e7])).fit(*splits, context)
    assert said == ["model: the choice 1e+06 is the smallest of alphas; a better one may lie beyond it."]


def test_penalties_are_above_zero_and_sorted():
    with pytest.raises(ValidationError, match=r"expected penalties above zero, got \[0.0\]"):
        RidgeConfig(alphas=[0.0])
    assert RidgeConfig(alphas=[3.0, 1.0]).alphas == [1.0, 3.0]


def test_pca_ridge_with_all_components_is_ridge(splits, context):
    train, validation = splits
    full = PcaRidge(PcaRidgeConfig(components=[500], alphas=[10.0])).fit(train, validation, context)
    plain = Ridge(RidgeConfig(alphas=[10.0])).fit(train, validation, context)
    assert full.summary()["components"] == 60  # three channels of twenty cells
    both = [inside(model.predict(validation, context), validation, context) for model in (full, plain)]
    np.testing.assert_allclose(*both, atol=1e-4)


def test_pca_ridge_regresses_on_the_leading_components(splits, context):
    train, validation = splits
    model = PcaRidge(PcaRidgeConfig(components=[3], alphas=[5.0])).fit(train, validation, context)
    (X, y), (rows, _) = tables(train, context), tables(validation, context)
    patterns = np.linalg.svd(X - X.mean(0), full_matrices=False)[2][:3].T
    expected = closed_form((X - X.mean(0)) @ patterns, y, 5.0)((rows - X.mean(0)) @ patterns)
    np.testing.assert_allclose(inside(model.predict(validation, context), validation, context), expected, atol=1e-4)


def test_numbers_of_components_are_above_zero():
    with pytest.raises(ValidationError, match=r"expected numbers of components above zero, got \[0\]"):
        PcaRidgeConfig(components=[0])


def test_the_forest_is_scikit_learns_between_the_components(splits, context):
    if context.backend.name == "gpu":
        pytest.skip("cuML grows other trees from the same seed")
    from sklearn.ensemble import RandomForestRegressor

    train, validation = splits
    options = RandomForestConfig(trees=20, components=4, target_components=3)
    model = RandomForest(options).fit(train, validation, context)
    arrays = {name: np.asarray(array) for name, array in model.arrays.items()}
    (X, y), (rows, _) = tables(train, context), tables(validation, context)
    forest = RandomForestRegressor(
        20, max_features=1 / 3, min_samples_leaf=5, random_state=context.seed_for("forest") % 2**32
    )
    forest.fit(
        ((X - arrays["centre"]) @ arrays["patterns"].T).astype("float32"),
        ((y - arrays["target_centre"]) @ arrays["target_patterns"].T).astype("float32"),
    )
    scores = forest.predict(((rows - arrays["centre"]) @ arrays["patterns"].T).astype("float32"))
    expected = scores @ arrays["target_patterns"] + arrays["target_centre"]
    np.testing.assert_allclose(inside(model.predict(validation, context), validation, context), expected, atol=1e-4)


def test_the_forest_predicts_nothing_outside_its_target_components(splits, context):
    model = RandomForest(RandomForestConfig(trees=5, target_components=2)).fit(*splits, context)
    mean = inside(model.predict(splits[1], context), splits[1], context)
    assert np.linalg.matrix_rank(mean - mean.mean(0), tol=1e-3) == 2
    assert model.summary()["target_components"] == 2


@pytest.mark.parametrize("model", [RandomForest(RandomForestConfig(trees=10)), PcaRidge()], ids=["forest", "pca_ridge"])
def test_the_spread_is_the_error_on_the_validation_split(model, splits, context):
    train, validation = splits
    prediction = model.fit(train, validation, context).predict(validation, context)
    _, truth = tables(validation, context)
    error = np.sqrt(np.mean((inside(prediction, validation, context) - truth) ** 2, axis=0))
    np.testing.assert_allclose(inside(prediction, validation, context, "sd")[3], error, rtol=1e-4)


def test_analogs_are_the_truth_of_the_nearest_days(splits, context):
    train, validation = splits
    model = Analogs(AnalogsConfig(components=60, neighbours=[4])).fit(train, validation, context)
    (X, y), (rows, _) = tables(train, context), tables(validation, context)
    distance = np.linalg.norm(rows[:, None] - X[None], axis=2)  # all components: a rotation of the inputs
    nearest = np.argsort(distance, axis=1)[:, :4]
    members = inside(model.predict(validation, context), validation, context, "members")
    np.testing.assert_allclose(members, np.moveaxis(y[nearest], 1, 0), atol=1e-5)
    assert model.predict(validation, context).members.shape == (4, 80, 1, 8, 10)


def test_the_number_of_analogs_has_the_smallest_crps(splits, context):
    model = Analogs(AnalogsConfig(components=5, neighbours=[2, 10, 400])).fit(*splits, context)
    path = model.summary()["path"]
    assert [point["neighbours"] for point in path] == [2, 10, 150]  # no more than there are days
    assert model.summary()["neighbours"] == min(path, key=lambda point: point["crps"])["neighbours"]
    members = inside(model.predict(splits[1], context), splits[1], context, "members")
    _, truth = tables(splits[1], context)
    pairs = np.mean(np.abs(members[:, None] - members[None]), axis=(0, 1))
    crps = np.mean(np.abs(members - truth), axis=0) - 0.5 * pairs
    weight = np.broadcast_to(splits[1].schema.target_grid.area[splits[1].schema.mask], truth.shape)
    assert np.average(crps, weights=weight) == pytest.approx(min(point["crps"] for point in path), rel=1e-5)


def test_an_analog_without_truth_takes_the_mean_of_the_others(splits, context, with_truth):
    train, validation = splits
    options = AnalogsConfig(components=60, neighbours=[3])

    def hide(truth):
        truth[::2, 0, 2, 2] = np.nan
        truth[:, 0, 3, 3] = np.nan
        return truth

    model = Analogs(options).fit(with_truth(train, hide, context), validation, context)
    (X, _), (rows, _) = tables(train, context), tables(validation, context)
    nearest = np.argsort(np.linalg.norm(rows[:, None] - X[None], axis=2), axis=1)[:, :3]
    truth = np.array(context.backend.to_host(train.target)[:, 0, 2, 2])
    truth[::2] = np.nan
    found = context.backend.to_host(model.predict(validation, context).parameters["members"])
    for day in range(len(validation)):
        analogs = truth[nearest[day]]
        mean = np.nanmean(analogs) if np.isfinite(analogs).any() else np.nanmean(truth)
        expected = np.where(np.isfinite(analogs), analogs, mean)
        np.testing.assert_allclose(found[:, day, 0, 2, 2], expected, atol=1e-5)
    np.testing.assert_array_equal(found[:, :, 0, 3, 3], 0)


def test_one_analog_is_no_distribution():
    with pytest.raises(ValidationError, match=r"expected at least two analogs, got \[1\]"):
        AnalogsConfig(neighbours=[1])
