from __future__ import annotations

import inspect
from dataclasses import replace

import numpy as np
import pytest

from pipeline.backend import estimators, get_backend
from pipeline.backend._wrapped import PerOutput, seed_of_output
from pipeline.backend.estimators import ESTIMATORS, UnsupportedOnGPU, gpu_options, load_estimator
from pipeline.errors import BackendUnavailableError, ConfigError, DataError, UnknownNameError
from pipeline.model import Context

TARGETS = {"Ridge", "LinearRegression", "RandomForestRegressor", "ElasticNet"}
ONE_TARGET = {"SVR"}
CLASSIFIERS = {"LogisticRegression", "RandomForestClassifier"}


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 5)).astype(np.float32)
    return X, (X @ rng.normal(size=(5, 2)) + 0.1 * rng.normal(size=(80, 2))).astype(np.float32)


def classes_of(y: np.ndarray) -> np.ndarray:
    """Return three classes that the inputs tell apart."""
    return (y[:, 0] > -0.5).astype(np.int64) + (y[:, 0] > 0.5)


def truth_of(name: str, y, labels) -> tuple:
    """Return what the estimator is fitted to beside the inputs, if anything."""
    truth = {
        **dict.fromkeys(TARGETS, (y,)),
        **dict.fromkeys(ONE_TARGET, (y[:, 0],)),
        **dict.fromkeys(CLASSIFIERS, (labels,)),
    }
    return truth.get(name, ())


class FakeCuml:
    """Takes options as cuml's classes do, one output only, and wraps scikit-learn's tree."""

    made: list[FakeCuml] = []  # noqa: RUF012 - cleared by the fixture

    def __init__(self, **options):
        from sklearn.tree import DecisionTreeRegressor

        self.options = options
        self.tree = DecisionTreeRegressor(random_state=0)
        FakeCuml.made.append(self)

    def fit(self, X, y=None):
        assert y is None or y.ndim == 1
        if y is not None:
            self.tree.fit(X, y)
        return self

    def predict(self, X):
        return self.tree.predict(X)


@pytest.fixture
def gpu(monkeypatch):
    """A gpu backend with NumPy for CuPy and FakeCuml for cuML."""
    FakeCuml.made.clear()
    load = estimators._load
    monkeypatch.setattr(estimators, "_load", lambda path: FakeCuml if path.startswith("cuml") else load(path))
    return replace(get_backend("cpu"), name="gpu")


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_it_is_scikit_learns_by_the_same_name_and_follows_the_backend(backend, data, name):
    X, y = (backend.asarray(array) for array in data)
    made = backend.estimator(name)
    assert made.name == name
    assert made.fallback is None
    labels = backend.asarray(classes_of(data[1]))
    assert made.fit(X, *truth_of(name, y, labels)) is made
    if name in CLASSIFIERS:
        chances = made.predict_proba(X)
        assert isinstance(chances, type(X))
        np.testing.assert_allclose(backend.to_host(chances).sum(axis=1), 1.0, rtol=1e-5)
        assert backend.to_host(made.classes_).tolist() == [0, 1, 2]
        np.testing.assert_array_equal(
            backend.to_host(chances).argmax(axis=1), backend.to_host(made.predict(X)).astype(int)
        )
    elif name in TARGETS | ONE_TARGET:
        assert made.predict(X).shape == (y.shape if name in TARGETS else (len(X),))
        assert isinstance(made.predict(X), type(X))
    elif name == "NearestNeighbors":
        distances, nearest = made.kneighbors(X, n_neighbors=3)
        assert backend.to_host(nearest)[:, 0].tolist() == list(range(len(X)))
        np.testing.assert_allclose(backend.to_host(distances)[:, 0], 0, atol=1e-2)
    else:
        assert isinstance(made.transform(X), type(X))


def test_an_unknown_estimator_or_option_is_refused_with_the_nearest(backend):
    with pytest.raises(
        UnknownNameError, match=r"unknown estimator 'Rigde'. Did you mean 'Ridge'\? Known: ElasticNet, KMeans"
    ):
        backend.estimator("Rigde")
    with pytest.raises(ConfigError, match=r"expected an option of Ridge .*got 'alfa'. Did you mean 'alpha'\?"):
        backend.estimator("Ridge", alfa=1.0)


def test_only_fitted_attributes_pass_through(backend):
    made = backend.estimator("Ridge")
    with pytest.raises(AttributeError, match="has no attribute 'alpha'; fitted ones end in an underscore"):
        _ = made.alpha
    with pytest.raises(AttributeError, match="coef_"):
        _ = made.coef_


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_every_option_in_the_table_is_scikit_learns(name):
    spec = ESTIMATORS[name]
    known = set(inspect.signature(estimators._load(spec.sk)).parameters)
    listed = [*spec.same, *spec.handled, *spec.ignored]
    assert set(listed) <= known
    assert len(listed) == len(set(listed))


def test_a_seed_of_any_size_is_folded_to_32_bits(backend, data):
    X, y = (backend.asarray(array) for array in data)
    big = backend.estimator("RandomForestRegressor", n_estimators=5, random_state=2**40 + 7).fit(X, y)
    small = backend.estimator("RandomForestRegressor", n_estimators=5, random_state=7).fit(X, y)
    np.testing.assert_array_equal(backend.to_host(big.predict(X)), backend.to_host(small.predict(X)))


REFUSED = [
    ("Ridge", {"positive": True}, "positive=True"),
    ("Ridge", {"solver": "saga"}, "solver='saga'"),
    ("LinearRegression", {"positive": True}, "positive=True"),
    ("PCA", {"n_components": 0.95}, "n_components=0.95"),
    ("PCA", {"n_components": "mle"}, "n_components='mle'"),
    ("LogisticRegression", {"solver": "liblinear"}, "solver='liblinear'"),
    ("LogisticRegression", {"warm_start": True}, "warm_start=True"),
    ("RandomForestClassifier", {"criterion": "log_loss"}, "criterion='log_loss'"),
    ("RandomForestClassifier", {"class_weight": "balanced_subsample"}, "class_weight='balanced_subsample'"),
    ("RandomForestRegressor", {"criterion": "absolute_error"}, "criterion='absolute_error'"),
    ("RandomForestRegressor", {"max_samples": 50}, "max_samples=50"),
    ("RandomForestRegressor", {"oob_score": max}, "a callable oob_score"),
    ("RandomForestRegressor", {"ccp_alpha": 0.1}, "ccp_alpha=0.1"),
    ("RandomForestRegressor", {"warm_start": True}, "warm_start=True"),
    ("NearestNeighbors", {"metric": "mahalanobis"}, "metric='mahalanobis'"),
    ("KMeans", {"init": max}, "a callable init"),
    ("ElasticNet", {"positive": True}, "positive=True"),
    ("ElasticNet", {"precompute": True}, "precompute=True"),
    ("ElasticNet", {"warm_start": True}, "warm_start=True"),
    ("SVR", {"kernel": max}, "a callable kernel"),
]


@pytest.mark.parametrize(("name", "params", "option"), REFUSED)
def test_what_cuml_lacks_is_refused_and_falls_back_with_a_record(gpu, name, params, option):
    with pytest.raises(UnsupportedOnGPU):
        gpu_options(name, params)
    made = gpu.estimator(name, **params)
    assert made.fallback is not None
    assert (made.fallback.estimator, made.fallback.option) == (name, option)
    assert str(made.fallback).startswith(f"{name} runs on the CPU, not the GPU, because of {option}: cuML ")
    assert type(made.native).__module__.startswith("sklearn")


def test_a_fallback_is_told_to_the_context_and_an_error_where_it_is_strict(gpu):
    said: list[str] = []
    Context(gpu, fall_back=said.append).estimator("Ridge", positive=True)
    assert said == ["Ridge runs on the CPU, not the GPU, because of positive=True: cuML has no such option."]
    with pytest.raises(BackendUnavailableError, match=r"because of positive=True.*compute\.strict: false"):
        Context(gpu, strict=True).estimator("Ridge", positive=True)


def test_a_fallback_takes_device_arrays_and_gives_them_back(strict_backend, data):
    xp = strict_backend.xp
    made = replace(strict_backend, name="gpu").estimator("Ridge", positive=True)
    X, y = (xp.asarray(array) for array in data)
    assert type(made.fit(X, y).predict(X)) is type(X)
    assert type(made.coef_) is type(X)


def test_options_that_only_cost_time_on_the_cpu_are_no_reason_to_fall_back(gpu):
    gpu.estimator("NearestNeighbors", leaf_size=10, n_jobs=4, algorithm="kd_tree")
    options = FakeCuml.made[-1].options
    assert options["algorithm"] == "brute"
    assert options["output_type"] == "cupy"
    assert not {"leaf_size", "n_jobs"} & set(options)


def test_a_forest_for_several_outputs_is_one_forest_an_output(gpu, data):
    X, y = data
    made = gpu.estimator("RandomForestRegressor", n_estimators=7, max_leaf_nodes=9, random_state=5).fit(X, y)
    np.testing.assert_allclose(made.predict(X), y, rtol=1e-6)
    first, second = (forest.options for forest in FakeCuml.made)
    assert (first["n_estimators"], first["max_leaves"], first["split_criterion"]) == (7, 9, "mse")
    assert first["n_streams"] == 1
    assert first["random_state"] != second["random_state"]
    assert all(0 <= options["random_state"] < 2**32 for options in (first, second))
    assert made.fit(X, y[:, 0]).predict(X).shape == (80,)


def test_an_unseeded_forest_stays_unseeded(gpu, data):
    gpu.estimator("RandomForestRegressor").fit(*data)
    assert FakeCuml.made[-1].options["random_state"] is None
    assert FakeCuml.made[-1].options["n_streams"] == 4
    assert seed_of_output(None, 3) is None


@pytest.mark.parametrize("name", sorted(set(ESTIMATORS) - {"LinearRegression"}))
def test_a_saved_estimator_answers_the_same(backend, data, tmp_path, name):
    X, y = (backend.asarray(array) for array in data)
    made = backend.estimator(name)
    made.fit(X, *truth_of(name, y, backend.asarray(classes_of(data[1]))))
    made.save(tmp_path)
    again = load_estimator(backend, name, tmp_path)
    verbs = {
        "PCA": "transform",
        "TruncatedSVD": "transform",
        "NearestNeighbors": "kneighbors",
        **dict.fromkeys(CLASSIFIERS, "predict_proba"),
    }
    verb = verbs.get(name, "predict")
    before, after = (getattr(estimator, verb)(X) for estimator in (made, again))
    for mine, theirs in zip(before, after, strict=True):
        np.testing.assert_array_equal(backend.to_host(mine), backend.to_host(theirs))


def test_one_forest_an_output_is_saved_and_loaded_whole(data, tmp_path):
    from sklearn.ensemble import RandomForestRegressor

    X, y = data
    backend = get_backend("cpu")
    several = PerOutput(lambda column: RandomForestRegressor(n_estimators=3, random_state=column)).fit(X, y)
    made = estimators.Estimator(backend, "RandomForestRegressor", several)
    made.save(tmp_path)
    assert len(list(tmp_path.glob("*.skops"))) == 2
    again = load_estimator(backend, "RandomForestRegressor", tmp_path)
    np.testing.assert_array_equal(made.predict(X), again.predict(X))
    np.testing.assert_array_equal(again.predict(X)[:, 1], several.estimators[1].predict(X))


def test_a_file_with_foreign_types_is_not_loaded(backend, data, tmp_path):
    import skops.io

    made = backend.estimator("Ridge").fit(*(backend.asarray(array) for array in data))
    made.save(tmp_path)
    skops.io.dump({"payload": tmp_path.joinpath}, tmp_path / "Ridge-0.skops")
    with pytest.raises(DataError, match=r"expected an estimator of scikit-learn in Ridge-0\.skops, got the types"):
        load_estimator(backend, "Ridge", tmp_path)


def test_a_classifier_on_the_gpu_side_takes_the_options_of_cuml(gpu):
    gpu.estimator("LogisticRegression", C=2.0, class_weight="balanced", n_jobs=2)
    options = FakeCuml.made[-1].options
    assert (options["C"], options["class_weight"], options["penalty"], options["solver"]) == (
        2.0,
        "balanced",
        "l2",
        "qn",
    )
    gpu.estimator("LogisticRegression", l1_ratio=0.3, solver="saga")
    assert (FakeCuml.made[-1].options["penalty"], FakeCuml.made[-1].options["l1_ratio"]) == ("elasticnet", 0.3)
    gpu.estimator("RandomForestClassifier", n_estimators=7, random_state=5)
    options = FakeCuml.made[-1].options
    assert (options["n_estimators"], options["split_criterion"], options["n_streams"]) == (7, "gini", 1)


@pytest.mark.gpu
def test_a_seeded_forest_is_the_same_each_time(data):
    from pipeline.backend import why_no_gpu

    if (reason := why_no_gpu()) is not None:
        pytest.skip(f"no gpu backend: {reason}")
    side = get_backend("gpu")
    X, y = (side.asarray(array) for array in data)
    first, second = (
        side.to_host(side.estimator("RandomForestRegressor", random_state=4).fit(X, y).predict(X)) for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)
