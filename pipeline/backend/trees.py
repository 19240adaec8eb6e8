# ruff: noqa: TID251 - one of the doors that the rule names
"""The only door to shap (cpu) and cuml.explainer (gpu): SHAP values of the features of forests.

Both take the interventional kind, against given rows, exactly (Lundberg et al. 2020,
doi:10.1038/s42256-019-0138-9). cuML's side was written against the source of cuML 26.10.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.backend._wrapped import Estimator, PerOutput

if TYPE_CHECKING:
    from pipeline.backend.base import Backend

Array = Any

_SECONDS = 2.0  # of one call; shap prints a progress bar of its own after ten


class TreeExplainer:
    """Finds the SHAP values of one fitted forest.

    Parameters
    ----------
    backend : Backend
        Whose arrays go in and come out.
    forest : Estimator
        ``RandomForestRegressor`` or ``RandomForestClassifier``, of one output or several. Outputs of a classifier are
        the chances of ``classes_``.

    Examples
    --------
    >>> from pipeline.backend import get_backend
    >>> X = np.array([[0.0, 7.0], [1.0, 7.0]], np.float32)
    >>> cpu = get_backend("cpu")
    >>> forest = cpu.estimator("RandomForestRegressor", n_estimators=1, bootstrap=False).fit(X, np.array([1.0, 3.0]))
    >>> cpu.tree_explainer(forest)(X, X[:1])[:, :, 0].tolist()
    [[0.0, 0.0], [2.0, 0.0]]
    """

    def __init__(self, backend: Backend, forest: Estimator) -> None:
        self._backend = backend
        self._natives = forest.native.estimators if isinstance(forest.native, PerOutput) else [forest.native]
        self._on_device = backend.name == "gpu" and forest.fallback is None
        self._made: dict[int, tuple[bytes, Any]] = {}

    @property
    def outputs(self) -> int:
        """How many outputs the forest has."""
        return sum(map(_outputs, self._natives))

    def __call__(self, rows: Array, background: Array, sums: np.ndarray | None = None) -> Array:
        """Return the parts of features in what the forest says of rows, less the mean of that of the background.

        Parameters
        ----------
        rows, background : array of float32, shapes (row, feature) and (draw, feature)
            What is explained, and against what.
        sums : ndarray of float64, shape (output, sum), optional
            Weights of the outputs in sums, which are explained in place of single outputs: fewer cost less.

        Returns
        -------
        array of float64, shape (row, feature, output or sum)
        """
        weights = np.eye(self.outputs) if sums is None else np.asarray(sums, np.float64)
        parts, first = [], 0
        for place, native in enumerate(self._natives):
            own = weights[first : first + _outputs(native)]
            first += len(own)
            if len(self._natives) > 1 and not own.any():
                continue
            ask = self._of_cuml if self._on_device else self._of_shap
            parts.append(ask(place, rows, background, own))
        if not parts:
            return self._backend.xp.zeros((*rows.shape, weights.shape[1]), dtype=self._backend.xp.float64)
        return self._backend.asarray(sum(parts[1:], start=parts[0]))

    def _of_shap(self, place: int, rows: Array, background: Array, sums: np.ndarray) -> np.ndarray:
        """Return the values of one estimator of scikit-learn, a few rows at a time, on the host."""
        key, made = sums.tobytes(), self._made.get(place)
        if made is None or made[0] != key:
            made = self._made[place] = key, _shap_explainer(self._natives[place], sums)
        explainer = made[1]
        asked, against = (np.asarray(self._backend.to_host(each), np.float64) for each in (rows, background))
        explainer.data, explainer.data_missing = against, np.isnan(against)
        parts, done, size = [], 0, 1
        while done < len(asked):
            begin = time.perf_counter()
            found = np.asarray(explainer.shap_values(asked[done : done + size], check_additivity=False))
            parts.append(found if found.ndim == 3 else found[:, :, None])
            done += size
            size = max(1, int(size * min(8.0, _SECONDS / max(time.perf_counter() - begin, 1e-6))))
        return np.concatenate(parts)

    def _of_cuml(self, place: int, rows: Array, background: Array, sums: np.ndarray) -> Array:
        """Return the values of one estimator of cuML, whose trees are read anew for every background."""
        import cupy
        from cuml.explainer import TreeExplainer as CumlExplainer

        native = self._natives[place]
        asked, against = (cupy.ascontiguousarray(each, dtype=cupy.float32) for each in (rows, background))
        found = cupy.asarray(CumlExplainer(model=native, data=against).shap_values(asked), dtype=cupy.float64)
        if found.ndim == 2:
            # Two classes of a forest that was scikit-learn's are the chance of the second alone.
            found = cupy.stack([-found, found], axis=2) if hasattr(native, "classes_") else found[:, :, None]
        return found @ cupy.asarray(sums)


def _outputs(native: Any) -> int:
    return len(native.classes_) if hasattr(native, "classes_") else int(getattr(native, "n_outputs_", 1))


def _shap_explainer(native: Any, sums: np.ndarray) -> Any:
    """Return shap's explainer of sums of outputs: its work grows with outputs, so trees answer the sums alone."""
    from shap import TreeExplainer as ShapExplainer

    trees = []
    for tree in (each.tree_ for each in native.estimators_):
        values = tree.value.reshape(tree.node_count, -1)
        if hasattr(native, "classes_"):
            values = values / values.sum(axis=1, keepdims=True)
        trees.append(
            {
                "children_left": tree.children_left,
                "children_right": tree.children_right,
                "children_default": tree.children_left,
                "features": tree.feature,
                "thresholds": tree.threshold,
                "values": values @ sums / len(native.estimators_),
                "node_sample_weight": tree.weighted_n_node_samples,
            }
        )
    # Any one row: a background that is given here would be thinned out to 100 rows.
    start = np.zeros((1, native.n_features_in_))
    return ShapExplainer({"trees": trees}, start, feature_perturbation="interventional")
