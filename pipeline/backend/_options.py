"""How options of scikit-learn's are said to cuML: one function an estimator, each returns what has another name there.

Written against the source of cuML 26.10 (``_params_from_cpu`` of each class, which is what ``cuml.accel`` uses).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Options = Mapping[str, Any]


class UnsupportedOnGPU(Exception):  # noqa: N818 - cuML's name for the same thing
    """An option has no counterpart in cuML; never leaves this package."""

    def __init__(self, option: str, reason: str = "cuML has no such option") -> None:
        super().__init__(option, reason)
        self.option, self.reason = option, reason


def ridge(options: Options) -> dict[str, Any]:
    """Of least squares with a penalty."""
    # Several targets with `auto` or `cholesky` are solved by `RidgeOfMany`, not by cuML.
    solvers = {"auto": "auto", "cholesky": "auto", "svd": "svd", "lsqr": "lsmr"}
    if options["solver"] not in solvers:
        raise UnsupportedOnGPU(f"solver={options['solver']!r}", f"cuML has {', '.join(sorted(set(solvers.values())))}")
    return {"solver": solvers[options["solver"]]}


def nothing(options: Options) -> dict[str, Any]:
    """Of estimators all of whose options have the same names."""
    return {}


def pca(options: Options) -> dict[str, Any]:
    """Of principal components."""
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


def logistic(options: Options) -> dict[str, Any]:
    """Of logistic regression."""
    penalty, share = options["penalty"], options["l1_ratio"]
    if penalty == "deprecated":  # since scikit-learn 1.8 the share alone says which penalty it is
        penalty, share = ("l2", None) if share in (None, 0) else ("elasticnet", share)
    if options["solver"] == "liblinear":
        raise UnsupportedOnGPU("solver='liblinear'", "cuML penalises no intercept, and liblinear does")
    # All other solvers lead to the same minimum; cuML takes L-BFGS, or OWL-QN where absolute weights are penalised.
    return {"penalty": penalty, "l1_ratio": share, "solver": "qn"}


def forest_of_numbers(options: Options) -> dict[str, Any]:
    """Of regression forests."""
    return _forest(options, {"squared_error": "mse", "poisson": "poisson"})


def forest_of_classes(options: Options) -> dict[str, Any]:
    """Of forests of classes."""
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


def neighbours(options: Options) -> dict[str, Any]:
    """Of nearest neighbours."""
    metrics = ("minkowski", "euclidean", "l2", "sqeuclidean", "manhattan", "cityblock", "l1", "chebyshev", "cosine")
    if options["metric"] not in metrics:
        raise UnsupportedOnGPU(f"metric={options['metric']!r}", f"cuML has {', '.join(metrics)}")
    # Trees are a way to the same neighbours; cuML finds them by brute force.
    return {"metric": options["metric"], "algorithm": "auto" if options["algorithm"] == "auto" else "brute"}


def kmeans(options: Options) -> dict[str, Any]:
    """Of clusters."""
    init = options["init"]
    if callable(init):
        raise UnsupportedOnGPU("a callable init", "cuML takes 'k-means++', 'random' or an array")
    return {"init": "scalable-k-means++" if isinstance(init, str) and init == "k-means++" else init}


def elastic_net(options: Options) -> dict[str, Any]:
    """Of least squares with absolute and squared slopes penalised; cuML's own factor between the two tolerances."""
    if options["precompute"] is not False:
        raise UnsupportedOnGPU(f"precompute={options['precompute']!r}")
    return {"tol": 10 * options["tol"]}


def truncated_svd(options: Options) -> dict[str, Any]:
    """Of the singular value decomposition without a mean: scikit-learn's solvers approximate what `full` does."""
    return {
        "algorithm": "full",
        "tol": options["tol"] or 1e-7,
        "n_iter": 15 if options["n_iter"] == 5 else options["n_iter"],
    }


def support_vectors(options: Options) -> dict[str, Any]:
    """Of support vector regression; the cache is in MiB on both sides, and cuML's default five times as large."""
    if callable(options["kernel"]):
        raise UnsupportedOnGPU("a callable kernel", "cuML takes the names of kernels")
    cache = options["cache_size"]
    return {"kernel": options["kernel"], "cache_size": 1024.0 if cache == 200 else cache}
