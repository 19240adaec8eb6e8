"""Estimators by scikit-learn's names, series models, SHAP values of trees, and a factor for many right sides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from benchmarks.parity.record import FORESTS, ROUNDING, SOLVERS, SUMS, Record
from pipeline.backend import Backend
from pipeline.backend._ridge import CholeskyRidge
from pipeline.backend.linalg import CholeskyFactor
from pipeline.backend.tsa import SmoothingStart, fit_arma, fit_holt_winters

Array = Any
Given = Mapping[str, Array]


@dataclass(frozen=True)
class Asked:
    """With which options an estimator is fitted, to what, and what of it is the same on both sides."""

    options: Mapping[str, Any]
    target: str | None
    answer: Callable[[Any, Array], Mapping[str, Array]] | None
    tolerance: Mapping[str, float] = field(default_factory=lambda: SOLVERS)


def tables() -> dict[str, np.ndarray]:
    """Return a table of inputs, two targets, three classes, and three clusters that lie apart."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 6)) * np.array([6.0, 4.0, 2.5, 1.5, 0.8, 0.4])  # components that cannot be confused
    y = X @ rng.normal(size=(6, 2)) + 0.3 * rng.normal(size=(400, 2))
    centres = rng.permutation(3 * 50).reshape(3, 50)[:, :6] * 1.0
    clusters = centres[np.arange(400) % 3] + rng.normal(size=(400, 6))
    labels = (y[:, 0] > -3.0).astype(np.int64) + (y[:, 0] > 3.0)
    return {"X": X, "y": y, "labels": labels, "clusters": clusters}


def predicted(made: Any, X: Array) -> dict[str, Array]:
    return {"predicted": made.predict(X)}


def chances(made: Any, X: Array) -> dict[str, Array]:
    return {"chances": made.predict_proba(X)}


def components(made: Any, X: Array) -> dict[str, Array]:
    moved = made.transform(X)
    return {"sizes": abs(moved), "values": made.singular_values_, "back": made.inverse_transform(moved)}


def neighbours(made: Any, X: Array) -> dict[str, Array]:
    distances, nearest = made.kneighbors(X, n_neighbors=4)
    return {"nearest": nearest, "distances": distances[:, 1:]}  # that to itself is rounding alone


ASKED: dict[str, Asked] = {
    "Ridge": Asked({"alpha": 2.0}, "y", predicted, SUMS),
    "LinearRegression": Asked({}, "y", predicted, SUMS),
    "ElasticNet": Asked({"alpha": 0.2, "tol": 1e-7, "max_iter": 20_000}, "y", predicted),
    "LogisticRegression": Asked({"tol": 1e-7, "max_iter": 5000}, "labels", chances, {"float32": 1e-2, "float64": 1e-3}),
    "PCA": Asked({"n_components": 3, "svd_solver": "full"}, None, components),
    "TruncatedSVD": Asked({"n_components": 3, "random_state": 0, "n_iter": 20}, None, components),
    "SVR": Asked({"C": 5.0, "tol": 1e-5}, "y0", predicted, {"float32": 1e-2, "float64": 1e-2}),
    "RandomForestRegressor": Asked({"n_estimators": 60, "random_state": 0}, "y", None, FORESTS),
    "RandomForestClassifier": Asked({"n_estimators": 60, "random_state": 0}, "labels", None, FORESTS),
    "NearestNeighbors": Asked({}, None, neighbours, {"float32": 1e-3, "float64": 1e-3}),  # cuML computes in float32
    "KMeans": Asked({"n_clusters": 3, "n_init": 5, "random_state": 0}, None, None, SOLVERS),
}


def estimated(name: str, backend: Backend, given: Given) -> dict[str, Array]:
    """Return what an estimator says, in a form that does not depend on signs, orders or the draws of trees."""
    asked, X = ASKED[name], given["clusters" if name == "KMeans" else "X"]
    truth = given["y"][:, 0] if asked.target == "y0" else given.get(asked.target)
    made = backend.estimator(name, **asked.options).fit(X, truth)
    if asked.answer is not None:
        return dict(asked.answer(made, X))
    xp = backend.xp
    if name == "KMeans":
        return {"inertia": xp.asarray([float(made.inertia_)]), "sums": xp.sort(xp.sum(made.cluster_centers_, axis=1))}
    if name == "RandomForestClassifier":
        right = xp.astype(xp.astype(made.predict(X), xp.int64) == truth, xp.float64)
        return {"right": xp.asarray([float(xp.mean(right))])}
    away = xp.mean((made.predict(X) - truth) ** 2, axis=0)
    return {"explained": 1.0 - away / xp.mean((truth - xp.mean(truth, axis=0)) ** 2, axis=0)}


def many() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    X = rng.normal(3.0, 1.0, (300, 40))
    return {"X": X, "y": X @ rng.normal(size=(40, 700)) + rng.normal(size=(300, 700))}


def ridge_of_many(backend: Backend, given: Given) -> dict[str, Array]:
    made = CholeskyRidge(5.0).fit(given["X"], given["y"])
    return {"slopes": made.coef_, "level": made.intercept_}


def factor(backend: Backend, given: Given) -> dict[str, Array]:
    gram = given["X"].T @ given["X"]
    return {"solved": CholeskyFactor(gram).solve(given["X"].T @ given["y"])}


def series() -> dict[str, np.ndarray]:
    """Return series of an ARMA(1, 1) model, and walks."""
    rng = np.random.default_rng(2)
    noise, made = rng.normal(size=(400, 2)), np.zeros((400, 2))
    for step in range(1, 400):
        made[step] = 0.7 * made[step - 1] + noise[step] + 0.3 * noise[step - 1]
    return {"arma": 2.0 + made, "walk": np.cumsum(rng.normal(size=(300, 2)), axis=0)}


def arma(backend: Backend, given: Given) -> dict[str, Array]:
    found = fit_arma(given["arma"], (1, 1), backend)
    return {"mean": found.mean, "ar": found.ar, "ma": found.ma, "variance": found.variance}


def holt_winters(backend: Backend, given: Given) -> dict[str, Array]:
    zeros = backend.xp.zeros(2, dtype=backend.xp.float64)
    found = fit_holt_winters(given["walk"], SmoothingStart(zeros, zeros, zeros[None, :]), backend, trend="additive")
    return {"level": found.level_gain, "trend": found.trend_gain}


def shap_values(backend: Backend, given: Given) -> dict[str, Array]:
    """Return the sums of SHAP values: what a forest says of rows less its mean, whose trees differ between sides."""
    X = backend.xp.astype(given["X"], backend.xp.float32)
    forest = backend.estimator("RandomForestRegressor", n_estimators=20, max_depth=5, random_state=0)
    forest.fit(X, backend.xp.astype(given["y"][:, 0], backend.xp.float32))
    parts = backend.tree_explainer(forest)(X[:20], X[20:60])
    whole = forest.predict(X[:20]) - backend.xp.mean(forest.predict(X[20:60]))
    return {"gap": 1.0 + backend.xp.sum(parts, axis=1)[:, 0] - whole}


RECORDS = (
    *(Record("estimator", name, tables, partial(estimated, name), ASKED[name].tolerance, strict=False)
      for name in ASKED),
    Record("estimator", "Ridge of many targets", many, ridge_of_many, SUMS),
    Record("estimator", "CholeskyFactor", many, factor, {"float32": 2e-4, "float64": 1e-9}),
    Record("estimator", "ARIMA", series, arma, {"float32": 5e-2, "float64": 2e-2}, strict=False),
    Record("estimator", "HoltWinters", series, holt_winters, ROUNDING, strict=False),
    Record("estimator", "TreeExplainer", tables, shap_values, {"float32": 1e-4, "float64": 1e-4}, strict=False),
)  # fmt: skip
