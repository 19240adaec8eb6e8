"""Estimators of tables that are larger than one device: fitted block by block on the workers of a cluster.

Ridge, LinearRegression and PCA need a table's sums alone: each worker adds up its blocks, on either side of the
backend, and the sums are small. What needs to see all rows again and again is fitted by ``cuml.dask`` on workers that
have a GPU, and refused on others.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.backend import get_backend
from pipeline.backend._wrapped import Estimator
from pipeline.backend.base import Backend
from pipeline.backend.cluster import ClusterSpec, map_tasks, open_client
from pipeline.backend.estimators import UnsupportedOnGPU, build_estimator, gpu_options
from pipeline.backend.memory import budget
from pipeline.errors import ConfigError

BY_SUMS = ("LinearRegression", "PCA", "Ridge")
BY_CUML = {
    "KMeans": "cuml.dask.cluster:KMeans",
    "LogisticRegression": "cuml.dask.linear_model:LogisticRegression",
    "RandomForestClassifier": "cuml.dask.ensemble:RandomForestClassifier",
    "RandomForestRegressor": "cuml.dask.ensemble:RandomForestRegressor",
    "TruncatedSVD": "cuml.dask.decomposition:TruncatedSVD",
}
"""Not NearestNeighbors: its rows are the model, and would not fit on the device that is asked afterwards."""


@dataclass(frozen=True)
class Blocks:
    """A table in files, one block of rows each.

    Parameters
    ----------
    x : tuple of Path
        ``.npy`` files of shape (row, feature), on a disk that all workers share.
    y : tuple of Path
        Of as many rows each, shape (row,) or (row, output); empty where there is no target.
    """

    x: tuple[Path, ...]
    y: tuple[Path, ...] = ()

    @property
    def bytes(self) -> int:
        """Size of the table."""
        return sum(path.stat().st_size for path in (*self.x, *self.y))


@dataclass(frozen=True, eq=False)
class Sums:
    """What one block adds to the fit, float64.

    Parameters
    ----------
    rows : int
        Number of rows.
    x, y : ndarray, shape (feature,), (output,)
        Sums of the columns, or of their departures from the means.
    xx, xy : ndarray, shape (feature, feature), (feature, output)
        Sums of products of the departures; empty in the first pass.
    """

    rows: int
    x: np.ndarray
    y: np.ndarray
    xx: np.ndarray
    xy: np.ndarray


def needs_workers(table: Blocks, backend: Backend, spec: ClusterSpec, memory: str | None = None) -> bool:
    """Whether a table is larger than one process has room for, and there are workers to share it.

    On a GPU the room is half of the device, for a fit makes arrays beside the table; else ``memory``, see
    :func:`pipeline.backend.memory.budget`.
    """
    if spec.in_process:
        return False
    return table.bytes > (_device_bytes() // 2 if backend.name == "gpu" else budget(memory))


def fit_spread(backend: Backend, name: str, table: Blocks, spec: ClusterSpec, **params: Any) -> Estimator:
    """Return the estimator called ``name``, fitted to a table block by block, as one that a single process can use.

    Parameters
    ----------
    backend : Backend
        Where the workers compute, and where the fitted estimator lives.
    name : str
        scikit-learn's name.
    table : Blocks
        Rows in files.
    spec : ClusterSpec
        The workers; in this process the blocks are read one after another, with the same result.
    **params
        scikit-learn's options.

    Raises
    ------
    ConfigError
        If the estimator or an option of it cannot be fitted block by block; the message says what can.
    """
    estimator = build_estimator(get_backend("cpu") if name in BY_SUMS else backend, name, params)
    if name in BY_SUMS:
        return _by_sums(backend, name, table, spec, estimator.native)
    if name not in BY_CUML:
        raise ConfigError(
            f"expected an estimator that can be fitted to blocks of a table ({', '.join((*BY_SUMS, *BY_CUML))}), got "
            f"{name!r}; fit it to fewer rows, or to principal components."
        )
    if backend.name != "gpu":
        raise ConfigError(
            f"{name} of a table of {table.bytes / 1e9:.3g} GB needs all rows at once, and there is no GPU for "
            "cuml.dask to share them among; fit it to fewer rows, or to principal components, which are fitted block "
            "by block."
        )
    return _by_cuml(backend, name, table, spec, params)


def _by_sums(backend: Backend, name: str, table: Blocks, spec: ClusterSpec, native: Any) -> Estimator:
    refused = {"positive": True, "whiten": True, "n_components": "mle"}
    for option, value in refused.items():
        if getattr(native, option, None) == value:
            raise ConfigError(f"{name} of blocks of a table has no {option}={value!r}; fit it to fewer rows.")
    first = _added(table, spec, partial(block_sums, backend.name, None, None))
    centred = name == "PCA" or native.fit_intercept
    mean_x, mean_y = ((total / first.rows) if centred else np.zeros_like(total) for total in (first.x, first.y))
    # A second pass, about the means: products of large numbers would leave nothing of small departures.
    second = _added(table, spec, partial(block_sums, backend.name, mean_x, mean_y))
    if name == "PCA":
        _set_components(native, second, mean_x)
    else:
        alpha = float(getattr(native, "alpha", 0.0))
        weights = np.linalg.lstsq(second.xx + alpha * np.eye(len(mean_x)), second.xy, rcond=None)[0].T
        flat = np.load(table.y[0], mmap_mode="r").ndim == 1
        intercept = mean_y - weights @ mean_x
        native.coef_ = weights[0] if flat else weights
        native.intercept_ = (float(intercept[0]) if flat else intercept) if native.fit_intercept else 0.0
        native.n_features_in_ = len(mean_x)
    if backend.name == "gpu":
        from pipeline.backend.estimators import ESTIMATORS

        native = _load(ESTIMATORS[name].cuml).from_sklearn(native)
    return Estimator(backend, name, native)


def _set_components(native: Any, sums: Sums, mean: np.ndarray) -> None:
    """Give a PCA of scikit-learn its fitted attributes, signs by its rule: the largest weight is positive."""
    values, vectors = np.linalg.eigh(sums.xx / (sums.rows - 1))
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1].T
    largest = np.argmax(np.abs(vectors), axis=1)
    vectors = vectors * np.sign(vectors[np.arange(len(vectors)), largest])[:, None]
    ratio, size = values / values.sum(), min(sums.rows, len(mean))
    asked = native.n_components
    if asked is None:
        count = size
    elif isinstance(asked, float):
        count = int(np.searchsorted(np.cumsum(ratio), asked, side="right")) + 1
    else:
        count = int(asked)
    native.components_, native.mean_, native.n_components_ = vectors[:count], mean, count
    native.explained_variance_, native.explained_variance_ratio_ = values[:count], ratio[:count]
    native.singular_values_ = np.sqrt(values[:count] * (sums.rows - 1))
    native.noise_variance_ = float(values[count:size].mean()) if count < size else 0.0
    native.n_samples_, native.n_features_in_ = sums.rows, len(mean)


def _added(table: Blocks, spec: ClusterSpec, function: Any) -> Sums:
    """Return the sums of all blocks, added in their order: the same on any number of workers."""
    tasks: Sequence[tuple[str, ...]] = [
        (str(x), *(() if not table.y else (str(table.y[number]),))) for number, x in enumerate(table.x)
    ]
    total: Sums | None = None
    for found in map_tasks(function, tasks, spec):
        if isinstance(found, BaseException):
            raise found
        if total is None:
            total = found
        else:
            arrays = (getattr(total, part) + getattr(found, part) for part in ("x", "y", "xx", "xy"))
            total = Sums(total.rows + found.rows, *arrays)
    if total is None:
        raise ConfigError("expected a table of at least one block, got none.")
    return total


def block_sums(
    backend: str, mean_x: np.ndarray | None, mean_y: np.ndarray | None, x: str, y: str | None = None
) -> Sums:
    """Return what one block adds: sums of columns, or given the means, sums of products of departures."""
    where = get_backend(backend)
    xp = where.xp
    rows = where.asarray(np.asarray(np.load(x), dtype=np.float64))
    target = np.zeros((len(rows), 0)) if y is None else np.asarray(np.load(y), dtype=np.float64)
    answers = where.asarray(target.reshape(len(rows), -1))
    if mean_x is None or mean_y is None:
        none = np.zeros((0, 0))
        return Sums(len(rows), where.to_host(xp.sum(rows, axis=0)), where.to_host(xp.sum(answers, axis=0)), none, none)
    rows, answers = rows - where.asarray(mean_x), answers - where.asarray(mean_y)
    parts = (xp.sum(rows, axis=0), xp.sum(answers, axis=0), rows.T @ rows, rows.T @ answers)
    return Sums(len(rows), *(where.to_host(part) for part in parts))


def _by_cuml(backend: Backend, name: str, table: Blocks, spec: ClusterSpec, params: dict[str, Any]) -> Estimator:
    """Fit by ``cuml.dask``, whose workers keep the blocks on their devices; unproved without several GPUs."""
    import dask
    import dask.array

    try:
        options = gpu_options(name, params)
    except UnsupportedOnGPU as refusal:
        raise ConfigError(f"{name} of blocks of a table has no {refusal.option}: {refusal.reason}.") from refusal

    def column(paths: Sequence[Path]) -> Any:
        shapes = [np.load(path, mmap_mode="r") for path in paths]
        parts = [
            dask.array.from_delayed(
                dask.delayed(load_block)(str(path)), one.shape, one.dtype, meta=backend.xp.empty((0,) * one.ndim)
            )
            for path, one in zip(paths, shapes, strict=True)
        ]
        return dask.array.concatenate(parts)

    with open_client(spec) as client:
        fitted = _load(BY_CUML[name])(client=client, **options)
        fitted.fit(*(column(paths) for paths in (table.x, table.y) if paths))
        return Estimator(backend, name, fitted.get_combined_model())


def load_block(path: str) -> Any:
    """Return the block at ``path`` on the worker's device."""
    return get_backend("gpu").asarray(np.load(path))


def _device_bytes() -> int:
    cupy = importlib.import_module("cupy")
    return int(cupy.cuda.runtime.memGetInfo()[1])


def _load(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)
