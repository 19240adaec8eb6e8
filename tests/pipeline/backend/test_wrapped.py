"""Leaves of forests, on either side."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.backend import get_backend
from pipeline.backend._wrapped import Estimator, PerOutput
from pipeline.backend.estimators import load_estimator


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 5)).astype(np.float32)
    return X, (X @ rng.normal(size=(5, 2)) + 0.1 * rng.normal(size=(80, 2))).astype(np.float32)


def partition(leaves) -> list[list[int]]:
    """Which samples share a leaf, tree by tree, whatever leaves are called: the first sample of each one's leaf."""
    return [[column.tolist().index(leaf) for leaf in column] for column in np.asarray(leaves).T]


@pytest.mark.parametrize("name", ["RandomForestRegressor", "RandomForestClassifier"])
def test_a_forest_tells_the_leaves_of_samples_as_whole_numbers(backend, data, tmp_path, name):
    X, labels = backend.asarray(data[0]), backend.asarray((data[1][:, 0] > 0).astype(np.int32))
    truth = labels if name == "RandomForestClassifier" else backend.asarray(data[1][:, 0])
    made = backend.estimator(name, n_estimators=6, min_samples_leaf=4, random_state=1).fit(X, truth)
    leaves = made.apply(X)
    assert isinstance(leaves, type(X))
    assert (leaves.shape, leaves.dtype) == ((80, 6), backend.xp.int64)
    found = backend.to_host(leaves)
    assert all(1 < len(np.unique(column)) <= 20 for column in found.T)
    made.save(tmp_path)
    again = backend.to_host(load_estimator(backend, name, tmp_path).apply(X))
    assert partition(again) == partition(found)


def test_leaves_of_a_forest_an_output_stand_side_by_side_and_come_from_nvforest(data):
    from sklearn.ensemble import RandomForestRegressor

    class Cumls:
        """cuML's face: no `apply` of its own, leaves as floats of the object that it predicts with."""

        def __init__(self, column):
            self.forest = RandomForestRegressor(n_estimators=3, random_state=column)

        def fit(self, X, y):
            self.forest.fit(X, y)
            return self

        def as_nvforest(self):
            return type("Found", (), {"apply": lambda _, X: self.forest.apply(X).astype(np.float32)})()

    X, y = data
    several = PerOutput(Cumls).fit(X, y)
    leaves = Estimator(get_backend("cpu"), "RandomForestRegressor", several).apply(X)
    assert (leaves.shape, leaves.dtype) == ((80, 6), np.int64)
    expected = [RandomForestRegressor(n_estimators=3, random_state=k).fit(X, y[:, k]).apply(X) for k in (0, 1)]
    np.testing.assert_array_equal(leaves, np.concatenate(expected, axis=1))


@pytest.mark.parametrize("outputs", [None, 2])
def test_slopes_of_one_linear_estimator_an_output_stand_as_those_of_one_for_all(data, outputs):
    from sklearn.linear_model import ElasticNet

    X, y = data
    truth = y[:, 0] if outputs is None else y
    several = PerOutput(lambda column: ElasticNet(alpha=0.1)).fit(X, truth)
    whole = ElasticNet(alpha=0.1).fit(X, truth)
    np.testing.assert_allclose(several.coef_, whole.coef_, rtol=1e-5)
    np.testing.assert_allclose(several.intercept_, whole.intercept_, rtol=1e-4, atol=1e-6)
    assert np.shape(several.coef_) == whole.coef_.shape
    assert np.shape(several.intercept_) == np.shape(whole.intercept_)
    np.testing.assert_allclose(several.predict(X), whole.predict(X), rtol=1e-4, atol=1e-5)
