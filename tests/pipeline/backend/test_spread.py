"""Tables in blocks: what workers add up is what scikit-learn finds in the whole."""

from __future__ import annotations

import ast
import importlib.util
import itertools
from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, Ridge

from pipeline.backend import get_backend
from pipeline.backend.cluster import ClusterSpec, ComputeConfig, cluster_spec, one_cluster
from pipeline.backend.spread import BY_CUML, BY_SUMS, Blocks, fit_spread, needs_workers
from pipeline.errors import ConfigError

CPU = get_backend("cpu")
HERE = ClusterSpec(None)
CUTS = (0, 70, 71, 200)


@pytest.fixture(scope="module")
def workers():
    with one_cluster():
        yield cluster_spec("cpu", ComputeConfig(workers=2, threads=1))


@pytest.fixture
def table(tmp_path):
    """Rows far from zero, as temperatures in kelvin are, in three blocks of unequal length."""
    rng = np.random.default_rng(0)
    x = (280 + rng.normal(size=(200, 6)) @ rng.normal(size=(6, 6))).astype(np.float32)
    y = (x @ rng.normal(size=(6, 3)) + rng.normal(size=(200, 3))).astype(np.float32)
    paths: dict[str, list[Path]] = {"x": [], "y": []}
    for number, (first, last) in enumerate(itertools.pairwise(CUTS)):
        for name, array in (("x", x), ("y", y)):
            paths[name].append(tmp_path / f"{name}{number}.npy")
            np.save(paths[name][-1], array[first:last])
    return x.astype(float), y.astype(float), Blocks(tuple(paths["x"]), tuple(paths["y"]))


@pytest.mark.parametrize("params", [{"alpha": 3.0}, {"alpha": 3.0, "fit_intercept": False}])
def test_ridge_of_blocks_is_that_of_the_whole(table, params):
    x, y, blocks = table
    found, known = fit_spread(CPU, "Ridge", blocks, HERE, **params), Ridge(solver="svd", **params).fit(x, y)
    np.testing.assert_allclose(found.coef_, known.coef_, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(found.predict(x), known.predict(x), rtol=1e-9)


def test_a_linear_regression_of_one_target_has_its_shapes(table, tmp_path):
    x, y, blocks = table
    flat = []
    for number, path in enumerate(blocks.y):
        flat.append(tmp_path / f"flat{number}.npy")
        np.save(flat[-1], np.load(path)[:, 0])
    found = fit_spread(CPU, "LinearRegression", Blocks(blocks.x, tuple(flat)), HERE)
    known = LinearRegression().fit(x, y[:, 0])
    assert found.coef_.shape == known.coef_.shape == (6,)
    np.testing.assert_allclose(found.predict(x), known.predict(x), rtol=1e-9)


@pytest.mark.parametrize("count", [None, 3, 0.9])
def test_principal_components_of_blocks_are_those_of_the_whole(table, count):
    x, _, blocks = table
    found = fit_spread(CPU, "PCA", Blocks(blocks.x), HERE, n_components=count)
    known = PCA(n_components=count, svd_solver="full").fit(x)
    assert found.n_components_ == known.n_components_
    for name in ("components_", "explained_variance_", "explained_variance_ratio_", "singular_values_", "mean_"):
        np.testing.assert_allclose(getattr(found, name), getattr(known, name), rtol=1e-7, atol=1e-9, err_msg=name)
    assert found.noise_variance_ == pytest.approx(known.noise_variance_, rel=1e-7, abs=1e-12)
    np.testing.assert_allclose(found.inverse_transform(found.transform(x)), known.inverse_transform(known.transform(x)))


def test_two_processes_find_what_one_does_to_the_last_bit(table, workers):
    blocks, one = table[2], ClusterSpec(None, threads=1)
    for name, params in (("Ridge", {"alpha": 3.0}), ("PCA", {"n_components": 3})):
        here, there = (fit_spread(CPU, name, blocks, spec, **params) for spec in (one, workers))
        attribute = "coef_" if name == "Ridge" else "components_"
        np.testing.assert_array_equal(getattr(here, attribute), getattr(there, attribute))


def test_a_fitted_one_is_kept_and_loaded_as_any(table, tmp_path):
    from pipeline.backend.estimators import load_estimator

    x, _, blocks = table
    found = fit_spread(CPU, "Ridge", blocks, HERE)
    found.save(tmp_path)
    np.testing.assert_array_equal(load_estimator(CPU, "Ridge", tmp_path).predict(x), found.predict(x))


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("KMeans", {}, "KMeans of a table of .* needs all rows at once, and there is no GPU for cuml.dask"),
        ("NearestNeighbors", {}, r"can be fitted to blocks of a table \(LinearRegression, .*got 'NearestNeighbors'"),
        ("Ridge", {"positive": True}, "Ridge of blocks of a table has no positive=True"),
        ("PCA", {"whiten": True}, "PCA of blocks of a table has no whiten=True"),
    ],
)
def test_what_cannot_be_fitted_block_by_block_is_refused_by_name(table, name, params, message):
    with pytest.raises(ConfigError, match=message):
        fit_spread(CPU, name, table[2], HERE, **params)


def test_a_table_is_spread_where_it_has_no_room_and_there_are_workers(table):
    blocks, two = table[2], ClusterSpec("a.Cluster", workers=2)
    assert needs_workers(blocks, CPU, two, "1KiB")
    assert not needs_workers(blocks, CPU, two, "1GiB")
    assert not needs_workers(blocks, CPU, HERE, "1KiB")


def test_the_classes_of_cuml_are_where_the_table_says():
    found = importlib.util.find_spec("cuml")
    if found is None or not found.submodule_search_locations:
        pytest.skip("cuml is not installed, so its source cannot be read")
    root = Path(found.submodule_search_locations[0])
    assert not set(BY_CUML) & set(BY_SUMS)
    for path in BY_CUML.values():
        module, _, name = path.partition(":")
        tree = ast.parse((root / Path(*module.split(".")[1:]) / "__init__.py").read_text())
        (source,) = [
            node.module
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and any(alias.name == name for alias in node.names)
        ]
        text = ast.parse((root / Path(*source.split(".")[1:])).with_suffix(".py").read_text())
        native = next(node for node in text.body if getattr(node, "name", "") == name)
        methods = {node.name: node for node in native.body if isinstance(node, ast.FunctionDef)}
        begins = methods.get("__init__")
        assert begins is None or "client" in {one.arg for one in begins.args.kwonlyargs} or begins.args.kwarg
        assert [one.arg for one in methods["fit"].args.args][:2] == ["self", "X"]
