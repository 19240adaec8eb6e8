# ruff: noqa: TID251 - looks at what the door calls
"""The table of estimators against cuML's classes: their options, their own translation, their methods."""

from __future__ import annotations

import importlib
import inspect

import numpy as np
import pytest

from pipeline.backend.estimators import ESTIMATORS, UnsupportedOnGPU, gpu_options

SETTINGS = [
    ("Ridge", {}),
    ("Ridge", {"alpha": 300.0, "solver": "svd"}),
    ("Ridge", {"solver": "lsqr", "tol": 1e-6, "max_iter": 50}),
    ("Ridge", {"solver": "cholesky", "fit_intercept": False}),
    ("Ridge", {"positive": True}),
    ("LinearRegression", {}),
    ("LinearRegression", {"fit_intercept": False}),
    ("LinearRegression", {"positive": True}),
    ("PCA", {}),
    ("PCA", {"n_components": 7, "svd_solver": "full", "whiten": True}),
    ("PCA", {"n_components": 7, "svd_solver": "covariance_eigh"}),
    ("PCA", {"n_components": "mle"}),
    ("RandomForestRegressor", {}),
    ("RandomForestRegressor", {"max_leaf_nodes": 40, "max_samples": 0.5, "random_state": 3, "max_features": 0.3}),
    ("RandomForestRegressor", {"criterion": "poisson", "max_depth": 9, "min_samples_leaf": 4}),
    ("RandomForestRegressor", {"criterion": "absolute_error"}),
    ("RandomForestRegressor", {"warm_start": True}),
    ("RandomForestRegressor", {"max_samples": 50}),
    ("RandomForestRegressor", {"ccp_alpha": 0.5}),
    ("RandomForestRegressor", {"min_weight_fraction_leaf": 0.1}),
    ("RandomForestClassifier", {}),
    ("RandomForestClassifier", {"n_estimators": 50, "min_samples_leaf": 5, "random_state": 3}),
    ("RandomForestClassifier", {"criterion": "entropy", "class_weight": "balanced", "max_features": "log2"}),
    ("RandomForestClassifier", {"criterion": "log_loss"}),
    ("RandomForestClassifier", {"class_weight": "balanced_subsample"}),
    ("RandomForestClassifier", {"warm_start": True}),
    ("RandomForestClassifier", {"max_samples": 50}),
    ("LogisticRegression", {}),
    ("LogisticRegression", {"C": 0.1, "class_weight": "balanced", "max_iter": 500, "tol": 1e-6}),
    ("LogisticRegression", {"l1_ratio": 0.5, "solver": "saga", "fit_intercept": False}),
    ("LogisticRegression", {"l1_ratio": None, "solver": "newton-cholesky"}),
    ("LogisticRegression", {"C": float("inf")}),
    ("LogisticRegression", {"intercept_scaling": 2.0}),
    ("LogisticRegression", {"warm_start": True}),
    ("NearestNeighbors", {}),
    ("NearestNeighbors", {"algorithm": "ball_tree", "metric": "cosine", "n_neighbors": 9, "radius": 2.0}),
    ("NearestNeighbors", {"metric": "mahalanobis"}),
    ("KMeans", {}),
    ("KMeans", {"init": "random", "n_init": 4, "random_state": 1, "n_clusters": 6}),
    ("KMeans", {"init": max}),
    ("ElasticNet", {}),
    ("ElasticNet", {"alpha": 0.2, "l1_ratio": 0.9, "tol": 1e-6, "max_iter": 50, "selection": "random"}),
    ("ElasticNet", {"fit_intercept": False}),
    ("ElasticNet", {"positive": True}),
    ("ElasticNet", {"precompute": True}),
    ("ElasticNet", {"warm_start": True}),
    ("TruncatedSVD", {}),
    ("TruncatedSVD", {"n_components": 7, "algorithm": "arpack", "n_iter": 9, "tol": 1e-5}),
    ("SVR", {}),
    ("SVR", {"kernel": "poly", "degree": 2, "gamma": 0.3, "coef0": 1.0, "C": 9.0, "epsilon": 0.2, "cache_size": 50}),
    ("SVR", {"kernel": max}),
]

METHODS = {
    **dict.fromkeys(("Ridge", "LinearRegression", "ElasticNet", "SVR", "KMeans"), ("predict",)),
    "LogisticRegression": ("predict", "predict_proba"),
    "RandomForestRegressor": ("predict", "as_nvforest"),
    "RandomForestClassifier": ("predict", "predict_proba", "as_nvforest"),
    "PCA": ("transform", "inverse_transform"),
    "TruncatedSVD": ("transform", "inverse_transform"),
    "NearestNeighbors": ("kneighbors",),
}


def load(path: str):
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_every_translated_option_is_one_that_cuml_takes(name):
    inspect.signature(load(ESTIMATORS[name].cuml)).bind(**gpu_options(name, {}), output_type="cupy")


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_cuml_names_the_same_class_of_scikit_learns(name):
    module, _, kind = load(ESTIMATORS[name].cuml)._cpu_class_path.rpartition(".")
    assert getattr(importlib.import_module(module), kind) is load(ESTIMATORS[name].sk)


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_it_has_the_methods_that_are_called(name):
    kind = load(ESTIMATORS[name].cuml)
    for method in ("fit", "as_sklearn", "from_sklearn", *METHODS[name]):
        assert callable(getattr(kind, method))
    given = (None, None) if "y" in inspect.signature(kind.fit).parameters else (None,)
    inspect.signature(kind.fit).bind(None, *given)
    if name == "NearestNeighbors":
        inspect.signature(kind.kneighbors).bind(None, None, n_neighbors=3)


@pytest.mark.parametrize(("name", "params"), SETTINGS)
def test_it_is_what_cuml_itself_makes_of_the_options(name, params):
    from cuml.internals.interop import UnsupportedOnGPU as CumlRefuses

    try:
        expected = load(ESTIMATORS[name].cuml)._params_from_cpu(load(ESTIMATORS[name].sk)(**params))
    except CumlRefuses:
        with pytest.raises(UnsupportedOnGPU):
            gpu_options(name, params)
        return
    ours = gpu_options(name, params)
    assert {option: ours[option] for option in expected} == expected
    # Beyond cuML's own: its default share of rows said aloud, and one stream for a seeded forest.
    assert set(ours) - set(expected) <= {"max_samples", "n_streams"}


def test_series_and_trees_have_the_methods_that_are_called():
    from cuml.explainer import TreeExplainer
    from cuml.tsa.arima import ARIMA

    inspect.signature(ARIMA).bind(None, order=(1, 0, 1), fit_intercept=True, output_type="cupy")
    assert callable(ARIMA.fit)
    assert callable(ARIMA.get_fit_params)
    assert callable(TreeExplainer.shap_values)


def test_nvforest_finds_the_same_leaves_as_scikit_learn():
    """On its CPU side, which needs no device; leaves have other numbers and hold the same samples."""
    import nvforest
    import treelite.sklearn as treelite
    from sklearn.ensemble import RandomForestRegressor

    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 6)).astype(np.float32)
    forest = RandomForestRegressor(10, min_samples_leaf=5, random_state=0).fit(X, X[:, 0] * X[:, 1])
    moved = treelite.import_model(forest)
    leaves = np.asarray(nvforest.load_from_treelite_model(tl_model=moved, device="cpu").apply(X)).astype(int)
    exported = treelite.export_model(moved)  # the way by which a forest of cuML is saved
    for found in (leaves, np.stack([tree.apply(X) for tree in exported.estimators_], axis=1)):
        for mine, theirs in zip(forest.apply(X).T, found.T, strict=True):
            pairs = set(zip(mine.tolist(), theirs.tolist(), strict=True))
            assert len(pairs) == len(set(mine.tolist())) == len(set(theirs.tolist()))
