"""The table of translations against cuML's own source, which can be read on a machine without a GPU."""

from __future__ import annotations

import ast
import importlib.util
import re
import textwrap
import types
from pathlib import Path

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
]


@pytest.fixture(scope="module")
def cuml_folder() -> Path:
    spec = importlib.util.find_spec("cuml")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("cuml is not installed, so its source cannot be read")
    return Path(spec.submodule_search_locations[0])


def class_source(folder: Path, path: str) -> str:
    """Return the text of the class that `module:name` means, Python or Cython."""
    module, name = path.split(":")
    for file in sorted((folder / module.split(".")[1]).glob("*.py*")):
        if file.suffix not in (".py", ".pyx"):
            continue
        text = file.read_text()
        if found := re.search(rf"^class {name}\(.*?(?=^(?:class|def|cdef|@)\b|\Z)", text, re.S | re.M):
            return found.group()
    raise AssertionError(f"no class {name} in {module}")


def method(text: str, name: str) -> str:
    """Return the dedented text of one method, or of its header alone for a Cython body."""
    found = re.search(rf"^    def {name}\(.*?(?=^    (?:def|@|cdef|[a-z_]+ =)|\Z)", text, re.S | re.M)
    assert found, name
    return textwrap.dedent(found.group())


def options_of(text: str) -> set[str]:
    header = re.match(r"def __init__\(.*?\):\n", method(text, "__init__"), re.S)
    assert header
    arguments = ast.parse(header.group() + "    pass").body[0].args
    return {argument.arg for argument in [*arguments.args, *arguments.kwonlyargs]} - {"self"}


def cumls_own(folder: Path, name: str, params: dict) -> dict:
    """Return what cuML itself makes of the scikit-learn estimator, by running its translation alone."""
    text = class_source(folder, ESTIMATORS[name].cuml)
    if "_params_from_cpu" not in text:  # the forest inherits it
        common = (folder / "ensemble" / "randomforest_common.pyx").read_text()
        text = common[common.index("class BaseRandomForestModel") :]
    valid = (folder / "neighbors" / "__init__.py").read_text()
    metrics = set(re.findall(r'"(\w+)"', valid[valid.index('"brute"') : valid.index('"rbc"')]))
    criteria = {"squared_error": "mse", "poisson": "poisson", "gini": "gini", "entropy": "entropy"}
    base = types.SimpleNamespace(_params_from_cpu=lambda: {})
    scope = {
        "UnsupportedOnGPU": UnsupportedOnGPU,
        "_criterion_to_split_criterion": criteria,
        "cuml": types.SimpleNamespace(neighbors=types.SimpleNamespace(VALID_METRICS={"brute": metrics})),
        "super": lambda: base,
    }
    module, _, kind = ESTIMATORS[name].sk.partition(":")
    estimator = getattr(importlib.import_module(module), kind)(**params)
    if name == "NearestNeighbors":  # the class adds the radius to what its base translates
        bases = (folder / "neighbors" / "nearest_neighbors.pyx").read_text()
        exec(method(bases, "_params_from_cpu"), scope)
        inherited = scope["_params_from_cpu"](None, estimator)
        scope["super"] = lambda: types.SimpleNamespace(_params_from_cpu=lambda model: inherited)
    if name == "RandomForestClassifier":  # the class adds weights to what all forests translate
        common = (folder / "ensemble" / "randomforest_common.pyx").read_text()
        exec(method(common[common.index("class BaseRandomForestModel") :], "_params_from_cpu"), scope)
        shared = scope["_params_from_cpu"](None, estimator)
        scope["super"] = lambda: types.SimpleNamespace(_params_from_cpu=lambda model: shared)
    exec(method(text, "_params_from_cpu"), scope)
    return scope["_params_from_cpu"](None, estimator)


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_every_translated_option_is_one_that_cuml_takes(cuml_folder, name):
    known = options_of(class_source(cuml_folder, ESTIMATORS[name].cuml))
    assert set(gpu_options(name, {})) | {"output_type"} <= known


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_every_option_in_the_table_is_scikit_learns(name):
    import inspect

    spec = ESTIMATORS[name]
    module, _, kind = spec.sk.partition(":")
    known = set(inspect.signature(getattr(importlib.import_module(module), kind)).parameters)
    listed = [*spec.same, *spec.handled, *spec.ignored]
    assert set(listed) <= known
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize(("name", "params"), SETTINGS)
def test_it_is_what_cuml_itself_makes_of_the_options(cuml_folder, name, params):
    try:
        expected = cumls_own(cuml_folder, name, params)
    except UnsupportedOnGPU:
        with pytest.raises(UnsupportedOnGPU):
            gpu_options(name, params)
        return
    ours = gpu_options(name, params)
    assert {option: ours[option] for option in expected} == expected
    # Beyond cuML's own: its default share of rows said aloud, and one stream for a seeded forest.
    assert set(ours) - set(expected) <= {"max_samples", "n_streams"}


def test_the_conversions_that_saving_needs_are_there(cuml_folder):
    text = (cuml_folder / "internals" / "interop.py").read_text()
    assert "def as_sklearn(self)" in text
    assert "def from_sklearn(cls, model)" in text


def test_forests_have_leaves_by_the_object_that_they_predict_with(cuml_folder):
    common = (cuml_folder / "ensemble" / "randomforest_common.pyx").read_text()
    assert "def apply(" not in common
    assert "return nvforest.load_from_treelite_model(" in method(common, "as_nvforest")
    spec = importlib.util.find_spec("nvforest")
    assert spec is not None
    folder = Path(spec.submodule_search_locations[0])
    assert '"leaf_id"' in method((folder / "detail" / "forest_inference.pyx").read_text(), "apply")
    found = re.search(r"class GPUForestInferenceRegressor\(.*", (folder / "_forest_inference.py").read_text(), re.S)
    assert "return self.forest.apply(X" in method(found.group(), "apply")


def test_nvforest_finds_the_same_leaves_as_scikit_learn():
    """On its CPU side, which needs no device; leaves have other numbers and hold the same samples."""
    nvforest = pytest.importorskip("nvforest")
    treelite = pytest.importorskip("treelite.sklearn")
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
