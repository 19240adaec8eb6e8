"""Ridge regression for many targets: one Cholesky factor of X'X for all of them, which cuML has not."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, Self

import numpy as np

from pipeline.backend.linalg import CholeskyFactor

Array = Any

log = logging.getLogger(__name__)

COLUMN_BYTES = 256 * 2**20  # of the targets that are carried to the sums' kind at once


class CholeskyRidge:
    """Least squares with the penalty ``alpha * |slopes|^2``, for one target or thousands, on any array namespace.

    Solves ``(X'X + alpha) slopes = X'Y`` by one Cholesky factor for all targets, as scikit-learn's
    ``Ridge(solver="cholesky")`` does, or, of more features than samples, the system of the samples, which is
    smaller. Targets go by blocks, so that beside the data there is room for little more than the slopes.

    Parameters
    ----------
    alpha : float
        The penalty.
    fit_intercept : bool
        Whether the mean is left out of it.
    sums : {"float64", "float32"}
        In which kind of numbers the products are added up. float32 halves their memory, and suits devices that are
        slow at float64; it costs digits, the more the nearer the features are to each other.

    Attributes
    ----------
    coef_ : array, shape (target, feature), or (feature,) of a target without an axis
        In the kind of ``X``.
    intercept_ : array, shape (target,), or a number
        Zero without an intercept.

    Examples
    --------
    >>> X, Y = np.array([[0.0], [1.0], [2.0]]), np.array([[1.0, 0.0], [3.0, 0.0], [5.0, 0.0]])
    >>> CholeskyRidge(alpha=0.0).fit(X, Y).predict(np.array([[3.0]])).round(6).tolist()
    [[7.0, 0.0]]
    """

    def __init__(
        self, alpha: float = 1.0, fit_intercept: bool = True, sums: Literal["float64", "float32"] = "float64"
    ) -> None:
        self.alpha, self.fit_intercept, self.sums = alpha, fit_intercept, sums

    def fit(self, X: Array, y: Array) -> Self:
        """Fit to ``X``, shape (sample, feature), and ``y``, shape (sample,) or (sample, target).

        Raises
        ------
        numpy.linalg.LinAlgError
            If features depend on each other and the penalty is too small to tell them apart.
        """
        import array_api_compat

        xp = array_api_compat.array_namespace(X, y)
        kind = getattr(xp, self.sums)
        table = y[:, None] if y.ndim == 1 else y
        inputs = xp.astype(X, kind)
        centre = xp.mean(inputs, axis=0) if self.fit_intercept else xp.zeros_like(inputs[0, :])
        inputs = inputs - centre
        wide = inputs.shape[1] > inputs.shape[0]
        gram = inputs @ inputs.T if wide else inputs.T @ inputs
        own = array_api_compat.device(gram)
        factor = CholeskyFactor(gram + self.alpha * xp.eye(gram.shape[0], dtype=kind, device=own))
        slopes, levels = [], []
        for part in _blocks(table):
            truth = xp.astype(table[:, part], kind)
            level = xp.mean(truth, axis=0) if self.fit_intercept else xp.zeros_like(truth[0, :])
            truth = truth - level
            found = inputs.T @ factor.solve(truth) if wide else factor.solve(inputs.T @ truth)
            slopes.append(xp.astype(found.T, X.dtype))
            levels.append(xp.astype(level - centre @ found, X.dtype))
        coef, intercept = xp.concat(slopes, axis=0), xp.concat(levels, axis=0)
        self.coef_, self.intercept_ = (coef[0, :], intercept[0]) if y.ndim == 1 else (coef, intercept)
        self.n_features_in_ = int(X.shape[1])
        return self

    def predict(self, X: Array) -> Array:
        """Return the linear map of ``X``, in the shape that ``y`` had."""
        return X @ self.coef_.T + self.intercept_


class RidgeOfMany:
    """cuML's ``Ridge`` for one target, :class:`CholeskyRidge` for several, for which cuML takes an SVD of all of X.

    A single target with an axis counts as several, as cuML answers without the axis. A solver that is asked for by
    name (``svd``, ``lsmr``) is cuML's for any number of targets.

    Parameters
    ----------
    single : callable
        Takes options, returns cuML's estimator.
    options : mapping
        cuML's options; those of several targets are taken of them.
    """

    def __init__(self, single: Callable[..., Any], options: Mapping[str, Any]) -> None:
        self._single, self._options = single, dict(options)
        self.chosen: Any = None

    def fit(self, X: Array, y: Array) -> Self:
        """Fit by what suits the number of targets; linearly dependent features without a penalty by the SVD."""
        if y.ndim == 1 or self._options["solver"] != "auto":
            self.chosen = self._single(**self._options).fit(X, y)
            return self
        many = CholeskyRidge(self._options["alpha"], self._options["fit_intercept"])
        try:
            self.chosen = many.fit(X, y)
        except np.linalg.LinAlgError:
            log.warning("Ridge: X'X with a penalty of %g is singular; taking the SVD of X", self._options["alpha"])
            self.chosen = self._single(**{**self._options, "solver": "svd"}).fit(X, y)
        return self

    def predict(self, X: Array) -> Array:
        """Return the linear map of ``X``."""
        return self.chosen.predict(X)

    @property
    def coef_(self) -> Array:
        """Slopes."""
        return self.chosen.coef_

    @property
    def intercept_(self) -> Array:
        """Level."""
        return self.chosen.intercept_

    def as_sklearn(self) -> Any:
        """Return scikit-learn's estimator with the same slopes, on the host."""
        if hasattr(self.chosen, "as_sklearn"):
            return self.chosen.as_sklearn()
        from sklearn.linear_model import Ridge

        from pipeline.backend.special import to_host

        made = Ridge(alpha=self.chosen.alpha, fit_intercept=self.chosen.fit_intercept)
        made.coef_, made.intercept_ = to_host(self.chosen.coef_), to_host(self.chosen.intercept_)
        made.n_features_in_ = self.chosen.n_features_in_
        return made


def _blocks(table: Array) -> Iterator[slice]:
    width = max(1, COLUMN_BYTES // (8 * max(1, table.shape[0])))
    for start in range(0, table.shape[1], width):
        yield slice(start, min(start + width, table.shape[1]))
