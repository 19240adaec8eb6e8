"""Estimators by scikit-learn's names: a table of what each is called in cuML, and how its options are.

cuML's side was written against the source of cuML 26.10 (``_params_from_cpu`` of each class, which
is what ``cuml.accel`` uses). An option cuML lacks raises :class:`UnsupportedOnGPU`; the estimator
is then scikit-learn's, and says so in its ``fallback``.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.backend._wrapped import Estimator, Fallback, PerOutput, load_native, seed_of_output
from pipeline.errors import ConfigError, UnknownNameError
from pipeline.registry import suggest

if TYPE_CHECKING:
    from pipeline.backend.base import Backend

__all__ = ["ESTIMATORS", "Estimator", "EstimatorSpec", "Fallback", "UnsupportedOnGPU", "build_estimator", "gpu_options"]

Options = Mapping[str, Any]


class UnsupportedOnGPU(Exception):  # noqa: N818 - cuML's name for the same thing
    """An option has no counterpart in cuML; never leaves this package."""

    def __init__(self, option: str, reason: str = "cuML has no such option") -> None:
        super().__init__(option, reason)
        self.option, self.reason = option, reason


@dataclass(frozen=True)
class EstimatorSpec:
    """One row of the table.

    Parameters
    ----------
    sk, cuml : str
        ``module:class`` on either side.
    same : tuple of str
        Options that mean the same on both sides.
    to_gpu : callable
        Takes all of scikit-learn's options, returns the remaining ones of cuML's.
    handled : tuple of str
        Options that ``to_gpu`` reads.
    ignored : tuple of str
        Options that change the speed on the CPU and nothing else.
    per_output : bool
        cuML's takes one output; it is fitted once a column.
    """

    sk: str
    cuml: str
    same: tuple[str, ...]
    to_gpu: Callable[[Options], dict[str, Any]]
    handled: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    per_output: bool = False


def _ridge(options: Options) -> dict[str, Any]:
    # Cholesky is not offered for several targets (ridge.pyx), where `auto` takes the SVD: same minimum.
    solvers = {"auto": "auto", "cholesky": "auto", "svd": "svd", "lsqr": "lsmr"}
    if options["solver"] not in solvers:
        raise UnsupportedOnGPU(f"solver={options['solver']!r}", f"cuML has {', '.join(sorted(set(solvers.values())))}")
    return {"solver": solvers[options["solver"]]}


def _linear(options: Options) -> dict[str, Any]:
    return {}


def _pca(options: Options) -> dict[str, Any]:
    count = options["n_components"]
    if not (count is None or (isinstance(count, int) and count > 0)):
        raise UnsupportedOnGPU(f"n_components={count!r}", "cuML takes a number of components or None")
    # All of scikit-learn's other solvers approximate what cuML's `full` does: the eigenvectors of the covariance.
    return {
        "n_components": count,
        "svd_solver": "auto" if options["svd_solver"] == "auto" else "full",
        "tol": options["tol"] or 1e-7,
        "iterated_power": 15 if options["iterated_power"] == "auto" else options["iterated_power"],
    }


def _logistic(options: Options) -> dict[str, Any]:
    penalty, share = options["penalty"], options["l1_ratio"]
    if penalty == "deprecated":  # since scikit-learn 1.8 the share alone says which penalty it is
        penalty, share = ("l2", None) if share in (None, 0) else ("elasticnet", share)
    if options["solver"] == "liblinear":
        raise UnsupportedOnGPU("solver='liblinear'", "cuML penalises no intercept, and liblinear does")
    # All other solvers lead to the same minimum; cuML takes L-BFGS, or OWL-QN where absolute weights are penalised.
    return {"penalty": penalty, "l1_ratio": share, "solver": "qn"}


def _forest_of_numbers(options: Options) -> dict[str, Any]:
    return _forest(options, {"squared_error": "mse", "poisson": "poisson"})


def _forest_of_classes(options: Options) -> dict[str, Any]:
    if options["class_weight"] == "balanced_subsample":
        raise UnsupportedOnGPU("class_weight='balanced_subsample'", "cuML takes weights or 'balanced'")
    forest = _forest(options, {"gini": "gini", "entropy": "entropy"})
    return {**forest, "class_weight": options["class_weight"]}


def _forest(options: Options, criteria: Mapping[str, str]) -> dict[str, Any]:
    if options["criterion"] not in criteria:
        raise UnsupportedOnGPU(f"criterion={options['criterion']!r}", f"cuML has {', '.join(criteria)}")
    if isinstance(options["max_samples"], int):
        raise UnsupportedOnGPU(f"max_samples={options['max_samples']!r}", "cuML takes a fraction")
    if callable(options["oob_score"]):
        raise UnsupportedOnGPU("a callable oob_score", "cuML takes True or False")
    leaves, share = options["max_leaf_nodes"], options["max_samples"]
    return {
        "split_criterion": criteria[options["criterion"]],
        "max_leaves": -1 if leaves is None else leaves,
        "max_samples": 1.0 if share is None else share,
        "oob_score": options["oob_score"],
        # Several streams build trees in an order of their own; one keeps a seeded forest the same. It costs speed.
        "n_streams": 4 if options["random_state"] is None else 1,
    }


def _neighbours(options: Options) -> dict[str, Any]:
    metrics = ("minkowski", "euclidean", "l2", "sqeuclidean", "manhattan", "cityblock", "l1", "chebyshev", "cosine")
    if options["metric"] not in metrics:
        raise UnsupportedOnGPU(f"metric={options['metric']!r}", f"cuML has {', '.join(metrics)}")
    # Trees are a way to the same neighbours; cuML finds them by brute force.
    return {"metric": options["metric"], "algorithm": "auto" if options["algorithm"] == "auto" else "brute"}


def _kmeans(options: Options) -> dict[str, Any]:
    init = options["init"]
    if callable(init):
        raise UnsupportedOnGPU("a callable init", "cuML takes 'k-means++', 'random' or an array")
    return {"init": "scalable-k-means++" if isinstance(init, str) and init == "k-means++" else init}


_FOREST_SAME = (
    "n_estimators",
    "max_depth",
    "min_samples_split",
    "min_samples_leaf",
    "max_features",
    "min_impurity_decrease",
    "bootstrap",
    "random_state",
)

ESTIMATORS: dict[str, EstimatorSpec] = {
    "Ridge": EstimatorSpec(
        "sklearn.linear_model:Ridge",
        "cuml.linear_model:Ridge",
        same=("alpha", "fit_intercept", "tol", "max_iter", "copy_X"),
        to_gpu=_ridge,
        handled=("solver",),
        ignored=("random_state",),  # of solvers that cuML lacks
    ),
    "LinearRegression": EstimatorSpec(
        "sklearn.linear_model:LinearRegression",
        "cuml.linear_model:LinearRegression",
        same=("fit_intercept", "copy_X"),
        to_gpu=_linear,
        ignored=("n_jobs", "tol"),  # tol: of sparse input
    ),
    "LogisticRegression": EstimatorSpec(
        "sklearn.linear_model:LogisticRegression",
        "cuml.linear_model:LogisticRegression",
        same=("C", "tol", "fit_intercept", "class_weight", "max_iter"),
        to_gpu=_logistic,
        handled=("penalty", "l1_ratio", "solver"),
        ignored=("n_jobs", "verbose", "random_state", "dual"),  # dual: of liblinear alone
    ),
    "PCA": EstimatorSpec(
        "sklearn.decomposition:PCA",
        "cuml.decomposition:PCA",
        same=("copy", "whiten"),
        to_gpu=_pca,
        handled=("n_components", "svd_solver", "tol", "iterated_power"),
        ignored=("random_state", "n_oversamples", "power_iteration_normalizer"),  # of the randomised solver
    ),
    "RandomForestRegressor": EstimatorSpec(
        "sklearn.ensemble:RandomForestRegressor",
        "cuml.ensemble:RandomForestRegressor",
        same=_FOREST_SAME,
        to_gpu=_forest_of_numbers,
        handled=("criterion", "max_samples", "oob_score", "max_leaf_nodes"),
        ignored=("n_jobs", "verbose"),
        per_output=True,
    ),
    "RandomForestClassifier": EstimatorSpec(
        "sklearn.ensemble:RandomForestClassifier",
        "cuml.ensemble:RandomForestClassifier",
        same=_FOREST_SAME,
        to_gpu=_forest_of_classes,
        handled=("criterion", "max_samples", "oob_score", "max_leaf_nodes", "class_weight"),
        ignored=("n_jobs", "verbose"),
    ),
    "NearestNeighbors": EstimatorSpec(
        "sklearn.neighbors:NearestNeighbors",
        "cuml.neighbors:NearestNeighbors",
        same=("n_neighbors", "radius", "p", "metric_params"),
        to_gpu=_neighbours,
        handled=("metric", "algorithm"),
        ignored=("leaf_size", "n_jobs"),
    ),
    "KMeans": EstimatorSpec(
        "sklearn.cluster:KMeans",
        "cuml.cluster:KMeans",
        same=("n_clusters", "n_init", "max_iter", "tol", "random_state"),
        to_gpu=_kmeans,
        handled=("init",),
        ignored=("verbose", "copy_x", "algorithm"),
    ),
}


def gpu_options(name: str, params: Options) -> dict[str, Any]:
    """Return cuML's options for scikit-learn's ``params``, its defaults spelled out.

    Raises
    ------
    UnsupportedOnGPU
        If one of them has no counterpart.

    Examples
    --------
    >>> gpu_options("Ridge", {"alpha": 3.0})["solver"]
    'auto'
    """
    spec, defaults = ESTIMATORS[name], _defaults(name)
    options = {**defaults, **params}
    known = {*spec.same, *spec.handled, *spec.ignored}
    for option in sorted(set(params) - known):
        value, default = params[option], defaults[option]
        if value is not default and value != default:
            raise UnsupportedOnGPU(f"{option}={value!r}")
    return {option: options[option] for option in spec.same} | spec.to_gpu(options)


def build_estimator(backend: Backend, name: str, params: Options) -> Estimator:
    """Return the estimator called ``name`` on the side of ``backend``.

    Parameters
    ----------
    backend : Backend
        Decides between scikit-learn and cuML.
    name : str
        scikit-learn's name, a key of ``ESTIMATORS``.
    params : mapping
        scikit-learn's options. An integer ``random_state`` may have any number of bits; both
        libraries take 32, so the rest is folded off.

    Raises
    ------
    UnknownNameError
        If the table has no such estimator.
    ConfigError
        If scikit-learn's has no such option.
    """
    spec = _spec(name)
    params = _checked(name, params)
    if backend.name == "cpu":
        return Estimator(backend, name, _load(spec.sk)(**params))
    try:
        options = gpu_options(name, params)
    except UnsupportedOnGPU as refusal:
        fallback = Fallback(name, refusal.option, refusal.reason)
        return Estimator(backend, name, _load(spec.sk)(**params), fallback)
    native = _load(spec.cuml)
    options["output_type"] = "cupy"
    if not spec.per_output:
        return Estimator(backend, name, native(**options))

    def make(column: int) -> Any:
        return native(**{**options, "random_state": seed_of_output(options["random_state"], column)})

    return Estimator(backend, name, PerOutput(make))


def load_estimator(backend: Backend, name: str, folder: Path) -> Estimator:
    """Return the fitted estimator that ``Estimator.save`` wrote into ``folder``, on either side."""
    spec = _spec(name)
    to_gpu = None if backend.name == "cpu" else _load(spec.cuml).from_sklearn
    return Estimator(backend, name, load_native(folder, name, to_gpu))


def _spec(name: str) -> EstimatorSpec:
    if name not in ESTIMATORS:
        known = ", ".join(sorted(ESTIMATORS))
        raise UnknownNameError(f"unknown estimator {name!r}.{suggest(name, ESTIMATORS)} Known: {known}.")
    return ESTIMATORS[name]


def _checked(name: str, params: Options) -> dict[str, Any]:
    known = _defaults(name)
    for option in params:
        if option not in known:
            hint = suggest(option, known)
            raise ConfigError(f"expected an option of {name} ({', '.join(sorted(known))}), got {option!r}.{hint}")
    seed = params.get("random_state")
    return {**params, "random_state": seed % 2**32} if isinstance(seed, int) else dict(params)


def _defaults(name: str) -> dict[str, Any]:
    signature = inspect.signature(_load(ESTIMATORS[name].sk))
    return {option: parameter.default for option, parameter in signature.parameters.items()}


def _load(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)
