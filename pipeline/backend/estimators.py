"""Estimators by scikit-learn's names: a table of what each is called in cuML, and how its options are.

cuML's side was written against the source of cuML 26.10 (``_params_from_cpu`` of each class, which
is what ``cuml.accel`` uses). An option cuML lacks raises :class:`UnsupportedOnGPU`; the estimator
is then scikit-learn's, and says so in its ``fallback``.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.backend import _options
from pipeline.backend._options import Options, UnsupportedOnGPU
from pipeline.backend._ridge import RidgeOfMany
from pipeline.backend._wrapped import Estimator, Fallback, PerOutput, load_native, seed_of_output
from pipeline.errors import ConfigError, UnknownNameError
from pipeline.registry import suggest

if TYPE_CHECKING:
    from pipeline.backend.base import Backend

__all__ = ["ESTIMATORS", "Estimator", "EstimatorSpec", "Fallback", "UnsupportedOnGPU", "build_estimator", "gpu_options"]


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
    wrap : callable, optional
        Takes cuML's class and its options and returns what stands for the estimator, where cuML's by itself does
        less than scikit-learn's.
    """

    sk: str
    cuml: str
    same: tuple[str, ...]
    to_gpu: Callable[[Options], dict[str, Any]]
    handled: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    wrap: Callable[[Any, dict[str, Any]], Any] | None = None


def _one_an_output(native: Any, options: dict[str, Any]) -> PerOutput:
    """Return one estimator of cuML an output, each with a seed of its own where it has one."""

    def make(column: int) -> Any:
        if "random_state" not in options:
            return native(**options)
        return native(**{**options, "random_state": seed_of_output(options["random_state"], column)})

    return PerOutput(make)


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
        to_gpu=_options.ridge,
        handled=("solver",),
        ignored=("random_state",),  # of solvers that cuML lacks
        wrap=RidgeOfMany,
    ),
    "ElasticNet": EstimatorSpec(
        "sklearn.linear_model:ElasticNet",
        "cuml.linear_model:ElasticNet",
        same=("alpha", "l1_ratio", "fit_intercept", "max_iter", "selection"),
        to_gpu=_options.elastic_net,
        handled=("tol", "precompute"),
        ignored=("copy_X", "random_state"),  # random_state: of selection='random', for which cuML has none
        wrap=_one_an_output,
    ),
    "LinearRegression": EstimatorSpec(
        "sklearn.linear_model:LinearRegression",
        "cuml.linear_model:LinearRegression",
        same=("fit_intercept", "copy_X"),
        to_gpu=_options.nothing,
        ignored=("n_jobs", "tol"),  # tol: of sparse input
    ),
    "LogisticRegression": EstimatorSpec(
        "sklearn.linear_model:LogisticRegression",
        "cuml.linear_model:LogisticRegression",
        same=("C", "tol", "fit_intercept", "class_weight", "max_iter"),
        to_gpu=_options.logistic,
        handled=("penalty", "l1_ratio", "solver"),
        ignored=("n_jobs", "verbose", "random_state", "dual"),  # dual: of liblinear alone
    ),
    "PCA": EstimatorSpec(
        "sklearn.decomposition:PCA",
        "cuml.decomposition:PCA",
        same=("copy", "whiten"),
        to_gpu=_options.pca,
        handled=("n_components", "svd_solver", "tol", "iterated_power"),
        ignored=("random_state", "n_oversamples", "power_iteration_normalizer"),  # of the randomised solver
    ),
    "TruncatedSVD": EstimatorSpec(
        "sklearn.decomposition:TruncatedSVD",
        "cuml.decomposition:TruncatedSVD",
        same=("n_components",),
        to_gpu=_options.truncated_svd,
        handled=("tol", "n_iter"),
        ignored=("algorithm", "random_state", "n_oversamples", "power_iteration_normalizer"),  # all approximate it
    ),
    "SVR": EstimatorSpec(
        "sklearn.svm:SVR",
        "cuml.svm:SVR",
        same=("degree", "gamma", "coef0", "tol", "C", "epsilon", "max_iter"),
        to_gpu=_options.support_vectors,
        handled=("kernel", "cache_size"),
        ignored=("shrinking", "verbose"),
    ),
    "RandomForestRegressor": EstimatorSpec(
        "sklearn.ensemble:RandomForestRegressor",
        "cuml.ensemble:RandomForestRegressor",
        same=_FOREST_SAME,
        to_gpu=_options.forest_of_numbers,
        handled=("criterion", "max_samples", "oob_score", "max_leaf_nodes"),
        ignored=("n_jobs", "verbose"),
        wrap=_one_an_output,
    ),
    "RandomForestClassifier": EstimatorSpec(
        "sklearn.ensemble:RandomForestClassifier",
        "cuml.ensemble:RandomForestClassifier",
        same=_FOREST_SAME,
        to_gpu=_options.forest_of_classes,
        handled=("criterion", "max_samples", "oob_score", "max_leaf_nodes", "class_weight"),
        ignored=("n_jobs", "verbose"),
    ),
    "NearestNeighbors": EstimatorSpec(
        "sklearn.neighbors:NearestNeighbors",
        "cuml.neighbors:NearestNeighbors",
        same=("n_neighbors", "radius", "p", "metric_params"),
        to_gpu=_options.neighbours,
        handled=("metric", "algorithm"),
        ignored=("leaf_size", "n_jobs"),
    ),
    "KMeans": EstimatorSpec(
        "sklearn.cluster:KMeans",
        "cuml.cluster:KMeans",
        same=("n_clusters", "n_init", "max_iter", "tol", "random_state"),
        to_gpu=_options.kmeans,
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
    return Estimator(backend, name, spec.wrap(native, options) if spec.wrap else native(**options))


def load_estimator(backend: Backend, name: str, folder: Path) -> Estimator:
    """Return the fitted estimator that ``Estimator.save`` wrote into ``folder``, on either side.

    One whose options cuML lacks stays scikit-learn's, and says so in its ``fallback``, as when it was made.
    """
    spec = _spec(name)
    if backend.name == "cpu":
        return Estimator(backend, name, load_native(folder, name, None))
    refused: list[UnsupportedOnGPU] = []

    def carry(host: Any) -> Any:
        try:
            gpu_options(name, host.get_params())
        except UnsupportedOnGPU as refusal:
            refused.append(refusal)
            return host
        return _load(spec.cuml).from_sklearn(host)

    native = load_native(folder, name, carry)
    fallback = Fallback(name, refused[0].option, refused[0].reason) if refused else None
    return Estimator(backend, name, native, fallback)


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
