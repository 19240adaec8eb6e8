"""Ridge for many targets by one Cholesky factor, against scikit-learn's."""

from __future__ import annotations

import logging
from dataclasses import replace

import array_api_strict
import numpy as np
import pytest
from sklearn.linear_model import Ridge

from pipeline.backend import _ridge, estimators, get_backend
from pipeline.backend._ridge import CholeskyRidge, RidgeOfMany
from pipeline.backend.estimators import load_estimator


def made(samples: int, features: int, targets: int, dtype=np.float64) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(3.0, 1.0, size=(samples, features))
    Y = X @ rng.normal(size=(features, targets)) + rng.normal(size=(samples, targets)) + 280.0
    return X.astype(dtype), Y.astype(dtype)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize(("samples", "features"), [(60, 9), (20, 45)], ids=["tall", "wide"])
def test_it_is_scikit_learns_cholesky(backend, samples, features, intercept):
    X, Y = made(samples, features, 500)
    found = CholeskyRidge(2.5, intercept).fit(backend.asarray(X), backend.asarray(Y))
    exact = Ridge(alpha=2.5, fit_intercept=intercept, solver="cholesky").fit(X, Y)
    np.testing.assert_allclose(backend.to_host(found.coef_), exact.coef_, rtol=1e-8, atol=1e-11)
    np.testing.assert_allclose(
        backend.to_host(found.intercept_), exact.intercept_ * np.ones(500), rtol=1e-9, atol=1e-10
    )
    np.testing.assert_allclose(backend.to_host(found.predict(backend.asarray(X))), exact.predict(X), rtol=1e-9)


def test_it_asks_nothing_beyond_the_array_standard():
    X, Y = made(40, 5, 6)
    found = CholeskyRidge(1.0).fit(array_api_strict.asarray(X), array_api_strict.asarray(Y))
    np.testing.assert_allclose(np.asarray(found.coef_), Ridge(1.0, solver="cholesky").fit(X, Y).coef_, rtol=1e-9)


def test_sums_in_float64_keep_the_digits_of_float32_data_and_sums_in_float32_lose_some():
    X, Y = made(4000, 12, 30)
    X[:, 1] = X[:, 0] + 0.003 * X[:, 1]  # two features that hardly differ
    exact = Ridge(1e-3, solver="cholesky").fit(X.astype(np.float32).astype(float), Y.astype(np.float32).astype(float))
    far = {}
    for sums in ("float64", "float32"):
        found = CholeskyRidge(1e-3, sums=sums).fit(X.astype(np.float32), Y.astype(np.float32))
        assert found.coef_.dtype == np.float32
        far[sums] = np.abs(found.coef_ - exact.coef_).max() / np.abs(exact.coef_).max()
    assert far["float64"] < 1e-6
    assert 10 * far["float64"] < far["float32"] < 0.1


def test_targets_by_blocks_are_those_at_once(monkeypatch):
    X, Y = made(30, 4, 23)
    whole = CholeskyRidge(1.0).fit(X, Y)
    monkeypatch.setattr(_ridge, "COLUMN_BYTES", 8 * 30 * 5)
    np.testing.assert_allclose(CholeskyRidge(1.0).fit(X, Y).coef_, whole.coef_, rtol=1e-12)


def test_a_target_without_an_axis_has_none_in_the_answer():
    X, Y = made(30, 4, 1)
    found = CholeskyRidge(1.0).fit(X, Y[:, 0])
    assert found.coef_.shape == (4,)
    assert found.predict(X).shape == (30,)


def test_features_that_depend_on_each_other_without_a_penalty_are_refused():
    X = np.ones((10, 2)) * np.arange(10.0)[:, None]
    with pytest.raises(np.linalg.LinAlgError):
        CholeskyRidge(0.0).fit(X - X.mean(), np.ones((10, 3)))


class OfCuml:
    """cuML's class with scikit-learn's insides: knows how it was made."""

    def __init__(self, **options):
        self.options = options
        self._inside = Ridge(alpha=options["alpha"], fit_intercept=options["fit_intercept"], solver="svd")

    def fit(self, X, y):
        self._inside.fit(X, y)
        return self

    def predict(self, X):
        return self._inside.predict(X)

    def as_sklearn(self):
        return self._inside

    @classmethod
    def from_sklearn(cls, model):
        made = cls(alpha=model.alpha, fit_intercept=model.fit_intercept)
        made._inside = model
        return made

    coef_ = property(lambda self: self._inside.coef_)
    intercept_ = property(lambda self: self._inside.intercept_)


OPTIONS = {"alpha": 2.0, "fit_intercept": True, "solver": "auto"}


def test_one_target_is_left_to_cuml_and_several_are_not():
    X, Y = made(30, 4, 6)
    assert type(RidgeOfMany(OfCuml, OPTIONS).fit(X, Y[:, 0]).chosen) is OfCuml
    column = RidgeOfMany(OfCuml, OPTIONS).fit(X, Y[:, :1])
    assert type(column.chosen) is CholeskyRidge
    assert column.predict(X).shape == (30, 1)
    several = RidgeOfMany(OfCuml, OPTIONS).fit(X, Y)
    assert type(several.chosen) is CholeskyRidge
    np.testing.assert_allclose(several.coef_, Ridge(2.0).fit(X, Y).coef_, rtol=1e-9)
    assert type(RidgeOfMany(OfCuml, OPTIONS | {"solver": "lsmr"}).fit(X, Y).chosen) is OfCuml


def test_a_singular_system_goes_to_the_svd_and_says_so(caplog):
    X = np.repeat(np.arange(12.0)[:, None], 2, axis=1)
    Y = X @ np.array([[1.0, 2.0], [3.0, 4.0]])
    with caplog.at_level(logging.WARNING, logger="pipeline.backend._ridge"):
        found = RidgeOfMany(OfCuml, OPTIONS | {"alpha": 0.0}).fit(X - X.mean(), Y)
    assert found.chosen.options["solver"] == "svd"
    assert caplog.messages == ["Ridge: X'X with a penalty of 0 is singular; taking the SVD of X"]
    np.testing.assert_allclose(found.predict(X - X.mean()), Y, atol=1e-9)


def test_a_ridge_of_many_is_saved_and_loaded(monkeypatch, tmp_path):
    load = estimators._load
    monkeypatch.setattr(estimators, "_load", lambda path: OfCuml if path.startswith("cuml") else load(path))
    gpu = replace(get_backend("cpu"), name="gpu")
    X, Y = made(30, 4, 6)
    fitted = gpu.estimator("Ridge", alpha=2.0).fit(X, Y)
    assert type(fitted.native.chosen) is CholeskyRidge
    fitted.save(tmp_path)
    for side in (get_backend("cpu"), gpu):
        np.testing.assert_allclose(load_estimator(side, "Ridge", tmp_path).predict(X), fitted.predict(X), rtol=1e-12)


def test_what_fell_back_is_loaded_as_what_falls_back(monkeypatch, tmp_path):
    load = estimators._load
    monkeypatch.setattr(estimators, "_load", lambda path: OfCuml if path.startswith("cuml") else load(path))
    gpu = replace(get_backend("cpu"), name="gpu")
    X, Y = made(30, 4, 2)
    fitted = gpu.estimator("Ridge", positive=True).fit(X, Y)
    fitted.save(tmp_path)
    again = load_estimator(gpu, "Ridge", tmp_path)
    assert again.fallback == fitted.fallback
    assert type(again.native) is Ridge
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
