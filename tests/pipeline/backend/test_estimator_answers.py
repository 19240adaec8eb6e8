"""Estimators against answers that are known without them."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 5)).astype(np.float32)
    return X, (X @ rng.normal(size=(5, 2)) + 0.1 * rng.normal(size=(80, 2))).astype(np.float32)


def classes_of(y: np.ndarray) -> np.ndarray:
    """Return three classes that the inputs tell apart."""
    return (y[:, 0] > -0.5).astype(np.int64) + (y[:, 0] > 0.5)


def test_ridge_is_the_closed_form(backend, data):
    X, y = data
    ridge = backend.estimator("Ridge", alpha=2.0).fit(backend.asarray(X), backend.asarray(y))
    centred, level = X - X.mean(0), y - y.mean(0)
    slopes = np.linalg.solve(centred.T @ centred + 2.0 * np.eye(5), centred.T @ level).T
    np.testing.assert_allclose(backend.to_host(ridge.coef_), slopes, rtol=1e-3, atol=1e-4)


def test_components_are_those_of_the_singular_value_decomposition(backend, data):
    X = data[0]
    pca = backend.estimator("PCA", n_components=2).fit(backend.asarray(X))
    _, values, patterns = np.linalg.svd(X - X.mean(0), full_matrices=False)
    np.testing.assert_allclose(backend.to_host(pca.singular_values_), values[:2], rtol=1e-4)
    np.testing.assert_allclose(np.abs(backend.to_host(pca.components_) @ patterns[:2].T), np.eye(2), atol=1e-3)
    back = pca.inverse_transform(pca.transform(backend.asarray(X)))
    assert back.shape == X.shape


def test_the_elastic_net_meets_the_conditions_of_its_minimum(backend, data):
    X, y = (array.astype(float) for array in data)
    options = {"alpha": 0.3, "l1_ratio": 0.7, "tol": 1e-10, "max_iter": 100_000}
    made = backend.estimator("ElasticNet", **options).fit(backend.asarray(X), backend.asarray(y))
    slopes = backend.to_host(made.coef_)
    away = y - X @ slopes.T - backend.to_host(made.intercept_)
    np.testing.assert_allclose(away.mean(axis=0), 0.0, atol=1e-6)
    pull = (away.T @ X) / len(X) - 0.3 * 0.3 * slopes  # held against 0.3 * 0.7 times the sign of the slope
    assert (slopes == 0.0).any()
    assert (slopes != 0.0).any()
    np.testing.assert_allclose(pull[slopes != 0.0], 0.21 * np.sign(slopes[slopes != 0.0]), atol=1e-5)
    assert (np.abs(pull[slopes == 0.0]) <= 0.21 + 1e-6).all()


def test_truncated_components_are_those_of_the_table_with_its_mean(backend, data):
    X = data[0].astype(float) + 3.0
    made = backend.estimator("TruncatedSVD", n_components=2, random_state=0).fit(backend.asarray(X))
    _, values, patterns = np.linalg.svd(X, full_matrices=False)
    np.testing.assert_allclose(backend.to_host(made.singular_values_), values[:2], rtol=1e-6)
    np.testing.assert_allclose(np.abs(backend.to_host(made.components_) @ patterns[:2].T), np.eye(2), atol=1e-3)
    back = backend.to_host(made.inverse_transform(made.transform(backend.asarray(X))))
    np.testing.assert_allclose(back, X @ patterns[:2].T @ patterns[:2], atol=1e-2)


def test_support_vectors_leave_no_more_than_epsilon_where_errors_are_dear(backend):
    X = np.linspace(0.0, 6.0, 60)[:, None]
    y = np.sin(X[:, 0])
    made = backend.estimator("SVR", C=1000.0, epsilon=0.05, gamma=1.0, tol=1e-5)
    found = backend.to_host(made.fit(backend.asarray(X), backend.asarray(y)).predict(backend.asarray(X)))
    assert np.abs(found - y).max() == pytest.approx(0.05, abs=5e-3)


def test_nearest_neighbours_are_those_of_a_brute_force_search(backend, data):
    X = data[0]
    made = backend.estimator("NearestNeighbors", n_neighbors=3).fit(backend.asarray(X))
    _, found = made.kneighbors(backend.asarray(X[:20]))
    far = ((X[:20, None].astype(float) - X[None].astype(float)) ** 2).sum(axis=2)
    np.testing.assert_array_equal(backend.to_host(found), np.argsort(far, axis=1)[:, :3])


def test_clusters_that_lie_apart_are_found(backend):
    rng = np.random.default_rng(0)
    centres = np.array([[0.0, 0.0], [20.0, 0.0], [0.0, 20.0]])
    X = (centres[:, None] + rng.normal(size=(3, 40, 2))).reshape(120, 2)
    made = backend.estimator("KMeans", n_clusters=3, n_init=5, random_state=0).fit(backend.asarray(X))
    found = backend.to_host(made.cluster_centers_)
    means = X.reshape(3, 40, 2).mean(axis=1)
    order = [np.abs(found - mean).sum(axis=1).argmin() for mean in means]
    np.testing.assert_allclose(found[order], means, atol=1e-4)


def test_logistic_regression_has_no_gradient_at_its_minimum(backend, data):
    X, labels = data[0].astype(float), classes_of(data[1])
    made = backend.estimator("LogisticRegression", C=0.7, tol=1e-8, max_iter=2000)
    made.fit(backend.asarray(X), backend.asarray(labels))
    chances, weights = (
        np.asarray(backend.to_host(array)) for array in (made.predict_proba(backend.asarray(X)), made.coef_)
    )
    gap = np.eye(3)[labels] - chances
    np.testing.assert_allclose(0.7 * gap.T @ X, weights, atol=2e-3)
    np.testing.assert_allclose(gap.sum(axis=0), 0.0, atol=2e-3)
