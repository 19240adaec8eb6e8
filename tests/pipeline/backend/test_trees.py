"""SHAP values of forests against their definition, on either side."""

from __future__ import annotations

import importlib.util
import re
import sys
import types
from itertools import combinations
from math import factorial
from pathlib import Path

import numpy as np
import pytest

from pipeline.backend import get_backend
from pipeline.backend._wrapped import Estimator, PerOutput

REGRESSOR, CLASSIFIER = "RandomForestRegressor", "RandomForestClassifier"


def shapley(predict, row, background):
    """Shapley values by all coalitions, shape (feature, output): a feature outside takes the background's."""
    count = len(row)

    def worth(inside):
        mixed = background.copy()
        mixed[:, list(inside)] = row[list(inside)]
        return np.asarray(predict(mixed), float).reshape(len(background), -1).mean(axis=0)

    found = []
    for feature in range(count):
        others = [k for k in range(count) if k != feature]
        total = 0.0
        for size in range(count):
            share = factorial(size) * factorial(count - size - 1) / factorial(count)
            for inside in combinations(others, size):
                total = total + share * (worth((*inside, feature)) - worth(inside))
        found.append(total)
    return np.array(found)


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 4)).astype(np.float32)
    return X, np.stack([X[:, 0] * X[:, 1] + X[:, 2], np.sin(2 * X[:, 2]) - X[:, 0]], axis=1).astype(np.float32)


@pytest.fixture(params=["one", "two", "flat", "binary", "several"])
def forest(request, data, backend):
    X, Y = data
    truth = {"one": Y[:, :1], "two": Y, "flat": Y[:, 0], "binary": (Y[:, 0] > 0).astype(np.int32)}
    truth["several"] = np.digitize(Y[:, 0], [-0.5, 0.5]).astype(np.int32)
    name = CLASSIFIER if request.param in ("binary", "several") else REGRESSOR
    made = backend.estimator(name, n_estimators=5, min_samples_leaf=4, random_state=0)
    made.fit(backend.asarray(X), backend.asarray(truth[request.param]))
    return made, made.predict_proba if name == CLASSIFIER else made.predict


def test_values_are_those_of_all_coalitions(forest, data, backend):
    made, predict = forest
    X, _ = data
    background = X[40:47]
    found = backend.to_host(backend.tree_explainer(made)(backend.asarray(X[:6]), backend.asarray(background)))
    on_host = lambda rows: backend.to_host(predict(backend.asarray(rows)))  # noqa: E731
    expected = np.stack([shapley(on_host, row, background) for row in X[:6]])
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_they_add_up_against_any_background_of_the_same_explainer(forest, data, backend):
    made, predict = forest
    X, _ = data
    explain = backend.tree_explainer(made)
    said = backend.to_host(predict(backend.asarray(X))).astype(float).reshape(len(X), -1)
    for chosen in (slice(0, 1), slice(0, 150), slice(60, 63)):  # also more rows than shap would keep by itself
        found = backend.to_host(explain(backend.asarray(X), backend.asarray(X[chosen])))
        expected = said - said[chosen].mean(axis=0)
        assert np.abs(found.sum(axis=1) - expected).max() < 1e-6 * np.abs(expected).max()


def test_sums_of_outputs_are_explained_in_their_place(forest, data, backend):
    made, _ = forest
    X = backend.asarray(data[0][:9])
    explain = backend.tree_explainer(made)
    single = backend.to_host(explain(X, X[:3]))
    for seed in (0, 1, 0):  # one after the other by the same explainer
        sums = np.random.default_rng(seed).normal(size=(explain.outputs, 2))
        found = backend.to_host(explain(X, X[:3], sums))
        assert found.shape == (9, 4, 2)
        np.testing.assert_allclose(found, single @ sums, atol=2e-6)


def test_a_forest_an_output_that_came_from_the_gpu_is_explained_on_the_cpu(data):
    X, Y = data
    cpu = get_backend("cpu")
    single = [cpu.estimator(REGRESSOR, n_estimators=4, random_state=k).fit(X, Y[:, k]) for k in (0, 1)]
    both = cpu.tree_explainer(Estimator(cpu, REGRESSOR, PerOutput.of([each.native for each in single], False)))
    found = both(X[:5], X[:8])
    expected = np.concatenate([cpu.tree_explainer(each)(X[:5], X[:8]) for each in single], axis=2)
    np.testing.assert_allclose(found, expected, atol=2e-7)
    second = both(X[:5], X[:8], np.array([[0.0], [3.0]]))
    np.testing.assert_allclose(second[:, :, 0], 3 * expected[:, :, 1], atol=2e-7)
    assert both(X[:5], X[:8], np.zeros((2, 1))).tolist() == np.zeros((5, 4, 1)).tolist()


def test_nothing_is_printed_however_long_it_takes(data, capfd, monkeypatch):
    import pipeline.backend.trees as door

    X, Y = data
    cpu = get_backend("cpu")
    made = cpu.tree_explainer(cpu.estimator(REGRESSOR, n_estimators=5, random_state=0).fit(X, Y))
    plain = made(X, X[:9])
    monkeypatch.setattr(door, "_SECONDS", 1e-9)  # a call a row
    np.testing.assert_array_equal(made(X, X[:9]), plain)
    assert capfd.readouterr() == ("", "")


def test_a_feature_that_trees_do_not_split_on_gets_exactly_nothing(data, backend):
    X, Y = data
    X = np.concatenate([X[:, :3], np.ones((150, 1), np.float32)], axis=1)
    made = backend.estimator(REGRESSOR, n_estimators=5, random_state=0).fit(*map(backend.asarray, (X, Y)))
    asked = X.copy()
    asked[:, 3] = np.linspace(-5, 5, 150)
    found = backend.to_host(backend.tree_explainer(made)(backend.asarray(asked), backend.asarray(X[:9])))
    assert not found[:, 3].any()
    assert found[:, :3].any(axis=(0, 2)).all()


def test_a_feature_that_is_as_in_the_background_gets_exactly_nothing(data):
    X, Y = data
    cpu = get_backend("cpu")
    made = cpu.estimator(REGRESSOR, n_estimators=5, random_state=0).fit(X, Y)
    asked = X[:30].copy()
    asked[:, 2] = 0.3
    background = X[50:58].copy()
    background[:, 2] = 0.3
    found = cpu.tree_explainer(made)(asked, background)
    assert not found[:, 2].any()
    assert found[:, 0].any()


class FakeExplainer:
    """cuML's face, as its source has it, with shap behind it."""

    def __init__(self, *, model, data=None):
        assert data.dtype == np.float32
        self.explain = get_backend("cpu").tree_explainer(Estimator(get_backend("cpu"), REGRESSOR, model.own))
        self.model, self.data = model, data

    def shap_values(self, X):
        assert X.dtype == self.data.dtype
        found = self.explain(X, self.data).astype(X.dtype)
        if self.model.second_alone:  # treelite's view of scikit-learn's forest of two classes
            return found[:, :, 1]
        return found[:, :, 0] if found.shape[2] == 1 else found


@pytest.fixture
def fake_cuml(monkeypatch):
    cuml, explainer = types.ModuleType("cuml"), types.ModuleType("cuml.explainer")
    cuml.explainer, explainer.TreeExplainer = explainer, FakeExplainer
    for name, module in (("cuml", cuml), ("cuml.explainer", explainer), ("cupy", np)):
        monkeypatch.setitem(sys.modules, name, module)


def of_cuml(native, second_alone=False):
    made = types.SimpleNamespace(own=native, second_alone=second_alone)
    if hasattr(native, "classes_"):
        made.classes_ = native.classes_
    return made


def test_cumls_shapes_become_ours(data, fake_cuml):
    from dataclasses import replace

    X, Y = data
    cpu = get_backend("cpu")
    gpu = replace(cpu, name="gpu")
    single = [cpu.estimator(REGRESSOR, n_estimators=4, random_state=k).fit(X, Y[:, k]) for k in (0, 1)]
    both = PerOutput.of([of_cuml(each.native) for each in single], False)
    found = gpu.tree_explainer(Estimator(gpu, REGRESSOR, both))(X[:5], X[:8])
    expected = np.concatenate([cpu.tree_explainer(each)(X[:5], X[:8]) for each in single], axis=2)
    assert (found.shape, found.dtype) == ((5, 4, 2), np.float64)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    for classes, second_alone in ((2, False), (2, True), (3, False)):
        labels = np.digitize(Y[:, 0], [0.0] if classes == 2 else [-0.5, 0.5])
        made = cpu.estimator(CLASSIFIER, n_estimators=4, random_state=0).fit(X, labels)
        theirs = Estimator(gpu, CLASSIFIER, of_cuml(made.native, second_alone))
        found = gpu.tree_explainer(theirs)(X[:5], X[:8])
        np.testing.assert_allclose(found, cpu.tree_explainer(made)(X[:5], X[:8]), atol=1e-6)


def test_cumls_explainer_has_the_face_that_we_call():
    spec = importlib.util.find_spec("cuml")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("cuml is not installed, so its source cannot be read")
    text = (Path(spec.submodule_search_locations[0]) / "explainer" / "tree_shap.pyx").read_text()
    assert "def __init__(self, *, model, data=None)" in text
    assert re.search(r"def shap_values\(self, X\)", text)
    assert "preds = preds.transpose((0, 2, 1))" in text  # (row, feature, output)
    assert "does not support multi-target models" in text  # hence one forest an output
