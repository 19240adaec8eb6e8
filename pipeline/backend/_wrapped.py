"""An estimator of either side behind one face: arrays in, the backend's arrays out."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pipeline.errors import DataError
from pipeline.seeding import derive_seed

if TYPE_CHECKING:
    from pipeline.backend.base import Backend

Array = Any

# Compiled types of scikit-learn that skops does not vouch for by itself: each takes arrays, none runs code of the file.
TRUSTED = (
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.tree._tree.Tree",
)


@dataclass(frozen=True)
class Fallback:
    """Why an estimator of the gpu backend runs on the CPU.

    Examples
    --------
    >>> print(Fallback("Ridge", "positive=True", "cuML has no such option"))
    Ridge runs on the CPU, not the GPU, because of positive=True: cuML has no such option.
    """

    estimator: str
    option: str
    reason: str

    def __str__(self) -> str:
        return f"{self.estimator} runs on the CPU, not the GPU, because of {self.option}: {self.reason}."


class PerOutput:
    """One single-output estimator a column of the target, where a library has no other kind.

    Parameters
    ----------
    make : callable
        Takes the number of the column, returns an unfitted estimator.

    Notes
    -----
    scikit-learn's forest grows one set of trees for all outputs, this one a set for each: it costs
    as many fits as there are columns, and single outputs are fitted a little closer.
    """

    def __init__(self, make: Callable[[int], Any]) -> None:
        self._make = make
        self.estimators: list[Any] = []
        self.one_dimensional = False

    @classmethod
    def of(cls, estimators: Sequence[Any], one_dimensional: bool) -> PerOutput:
        """Return a fitted one from its fitted parts."""
        made = cls(lambda column: estimators[column])
        made.estimators, made.one_dimensional = list(estimators), one_dimensional
        return made

    def fit(self, X: Array, y: Array) -> PerOutput:
        """Fit an estimator to every column of ``y``, shape (sample,) or (sample, output)."""
        self.one_dimensional = y.ndim == 1
        columns = [y] if y.ndim == 1 else [y[:, i] for i in range(y.shape[1])]
        self.estimators = [self._make(i).fit(X, column) for i, column in enumerate(columns)]
        return self

    def predict(self, X: Array) -> Array:
        """Return the prediction in the shape that ``y`` had."""
        import array_api_compat

        columns = [estimator.predict(X) for estimator in self.estimators]
        if self.one_dimensional:
            return columns[0]
        return array_api_compat.array_namespace(columns[0]).stack(columns, axis=1)

    @property
    def coef_(self) -> Array:
        """Slopes of linear estimators, shape (output, feature), or (feature,) where ``y`` had no axis of outputs."""
        import array_api_compat

        slopes = [estimator.coef_ for estimator in self.estimators]
        return slopes[0] if self.one_dimensional else array_api_compat.array_namespace(slopes[0]).stack(slopes)

    @property
    def intercept_(self) -> Array:
        """Levels of linear estimators, shape (output,), or a number where ``y`` had no axis of outputs."""
        import array_api_compat

        if self.one_dimensional:
            return self.estimators[0].intercept_
        xp = array_api_compat.array_namespace(self.estimators[0].coef_)
        return xp.stack([xp.asarray(estimator.intercept_) for estimator in self.estimators])

    def apply(self, X: Array) -> Array:
        """Return the leaves of all trees of the first output, then those of the next, shape (sample, tree)."""
        import array_api_compat

        columns = [leaves(estimator, X) for estimator in self.estimators]
        return array_api_compat.array_namespace(columns[0]).concat(columns, axis=1)


def leaves(forest: Any, X: Array) -> Array:
    """Return the number of the leaf that every sample falls into, shape (sample, tree).

    cuML's forests have no ``apply``: nvForest, which they predict with, has it, and answers whole numbers in the
    floats of its thresholds. Numbers differ between the libraries, who shares a leaf does not.
    """
    return forest.apply(X) if hasattr(forest, "apply") else forest.as_nvforest().apply(X)


def seed_of_output(seed: int | None, column: int) -> int | None:
    """Return the seed of one column's estimator, within cuML's 32 bits; None stays None."""
    return None if seed is None else derive_seed(seed, "output", column) % 2**32


class Estimator:
    """What ``Backend.estimator`` returns: scikit-learn's verbs, arrays of the backend throughout.

    Parameters
    ----------
    backend : Backend
        Whose arrays go in and come out.
    name : str
        scikit-learn's name.
    native : object
        The estimator of scikit-learn or cuML, or a :class:`PerOutput` of them.
    fallback : Fallback, optional
        Set where the gpu backend had to take scikit-learn; arrays are then carried over and back.

    Examples
    --------
    >>> import numpy as np
    >>> from pipeline.backend import get_backend
    >>> ridge = get_backend("cpu").estimator("Ridge", alpha=0.0)
    >>> fitted = ridge.fit(np.array([[0.0], [1.0]]), np.array([1.0, 3.0]))
    >>> [float(round(number, 6)) for number in (fitted.coef_[0], fitted.predict(np.array([[2.0]]))[0])]
    [2.0, 5.0]
    """

    def __init__(self, backend: Backend, name: str, native: Any, fallback: Fallback | None = None) -> None:
        self.name = name
        self.native = native
        self.fallback = fallback
        self._backend = backend

    def fit(self, X: Array, y: Array | None = None) -> Self:
        """Fit to ``X``, shape (sample, feature), and ``y``, shape (sample,) or (sample, output)."""
        arguments = [self._inward(array) for array in (X, y) if array is not None]
        self.native.fit(*arguments)
        return self

    def predict(self, X: Array) -> Array:
        """Return what the estimator says of ``X``."""
        return self._outward(self.native.predict(self._inward(X)))

    def predict_proba(self, X: Array) -> Array:
        """Return the probability of each class of ``classes_``, in that order, shape (sample, class)."""
        return self._outward(self.native.predict_proba(self._inward(X)))

    def apply(self, X: Array) -> Array:
        """Return the leaf of each tree of a forest that each sample falls into, int64, shape (sample, tree).

        Leaves are numbered tree by tree, in an order that each library has for itself. A forest an output, as in
        :class:`PerOutput`, has its trees side by side.
        """
        found = self._outward(leaves(self.native, self._inward(X)))
        xp = self._backend.xp
        return xp.astype(found, xp.int64)

    def transform(self, X: Array) -> Array:
        """Return ``X`` in the estimator's coordinates, such as principal components."""
        return self._outward(self.native.transform(self._inward(X)))

    def inverse_transform(self, X: Array) -> Array:
        """Return ``X`` back in the coordinates it was fitted in."""
        return self._outward(self.native.inverse_transform(self._inward(X)))

    def kneighbors(self, X: Array, n_neighbors: int | None = None) -> tuple[Array, Array]:
        """Return (distances, indices) of the nearest samples, nearest first, shape (sample, neighbour)."""
        distances, indices = self.native.kneighbors(self._inward(X), n_neighbors=n_neighbors)
        return self._outward(distances), self._outward(indices)

    def __getattr__(self, name: str) -> Any:
        # Fitted attributes only (coef_, components_): options and privates of either library stay out.
        if name.startswith("_") or not name.endswith("_"):
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}; fitted ones end in an underscore.")
        value = getattr(self.native, name)
        return self._outward(value) if hasattr(value, "shape") else value

    def save(self, folder: Path) -> None:
        """Write the fitted estimator into ``folder`` as ``<name>-<output>.skops``, as scikit-learn's on either side."""
        import skops.io

        several = isinstance(self.native, PerOutput)
        parts = self.native.estimators if several else [self.native]
        for number, part in enumerate(parts):
            host = part.as_sklearn() if hasattr(part, "as_sklearn") else part
            skops.io.dump(host, folder / f"{self.name}-{number}.skops")
        facts = {"parts": len(parts), "per_output": several, "flat": several and self.native.one_dimensional}
        (folder / f"{self.name}.json").write_text(json.dumps(facts))

    def _inward(self, array: Array) -> Array:
        return self._backend.to_host(array) if self.fallback is not None else array

    def _outward(self, array: Array) -> Array:
        return self._backend.asarray(array)


def load_native(folder: Path, name: str, from_sklearn: Callable[[Any], Any] | None) -> Any:
    """Return the native estimator that :meth:`Estimator.save` wrote.

    Parameters
    ----------
    folder : Path
        Where it was saved.
    name : str
        scikit-learn's name.
    from_sklearn : callable, optional
        Takes scikit-learn's estimator to the GPU; None leaves it on the CPU.

    Raises
    ------
    DataError
        If a file holds types other than scikit-learn's own; nothing of it is then loaded.
    """
    import skops.io

    facts = json.loads((folder / f"{name}.json").read_text())
    parts = []
    for number in range(facts["parts"]):
        path = folder / f"{name}-{number}.skops"
        foreign = sorted(set(skops.io.get_untrusted_types(file=path)) - set(TRUSTED))
        if foreign:
            raise DataError(
                f"expected an estimator of scikit-learn in {path.name}, got the types {foreign!r}; "
                "the file was not written by Finescale, so do not load it."
            )
        part = skops.io.load(path, trusted=list(TRUSTED))
        parts.append(from_sklearn(part) if from_sklearn else part)
    return PerOutput.of(parts, facts["flat"]) if facts["per_output"] else parts[0]
