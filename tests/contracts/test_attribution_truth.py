"""Worlds whose making is known: the attribution of fitted models finds what made the target."""

from dataclasses import replace

import numpy as np
import pytest

from models import MODELS
from pipeline.attribution import ATTRIBUTIONS, Case
from pipeline.attribution.asking import ask
from pipeline.attribution.baseline import make_baseline
from pipeline.attribution.maps import MapMethod
from pipeline.backend import get_backend
from pipeline.explain_config import ExplainConfig
from pipeline.model import Context

BOX = (slice(1, 3), slice(2, 4))  # of the coarse grid
CONTEXT = Context(get_backend("cpu"), seed=2, name="candidate")
OPTIONS = {
    "kernel_shap": {"by": "superpixel", "block": 2, "coalitions": 300},
    "occlusion": {"patch": 1},
    "expected_gradients": {"draws": 32},
    "ablation": {"by": "superpixel", "block": 1},
    "lrp": {"rule": "epsilon"},
}


def case_of(model, train, test, name, **keys):
    days = test.take(np.arange(24))
    entry = ExplainConfig(method=name, **keys)
    scale = np.ones((len(test.schema.targets), *test.schema.mask.shape))
    question, _ = ask(entry, test.schema, scale, train, CONTEXT.backend)
    start = (ATTRIBUTIONS.get(name).baselines or ("climatology",))[0]
    return Case(model, days, question, CONTEXT, make_baseline(start, train, days, 4, CONTEXT))


LAGS = {"ablation": {"by": "channel"}}


def explained(name, case, **options):
    kind = ATTRIBUTIONS.get(name)
    return kind(kind.Config.model_validate({**OPTIONS.get(name, {}), **options})).explain(case)


@pytest.fixture(scope="module")
def box_world(make_samples):
    """White noise in, and out everywhere a bent sum of the box of the middle channel: nothing else matters."""

    def make(n, seed, name):
        samples = make_samples(n, seed=seed, name=name)
        random = np.random.default_rng([5, seed])
        inputs = random.normal(size=samples.inputs.shape).astype(np.float32)
        drive = inputs[:, 1][:, BOX[0], BOX[1]].sum(axis=(1, 2))
        target = np.broadcast_to((drive + 1.5 * np.tanh(drive))[:, None, None, None], samples.target.shape)
        target = np.where(samples.schema.mask, target, np.nan).astype(np.float32)
        return replace(samples, inputs=inputs, target=target)

    return [make(n, seed, name) for n, seed, name in ((1200, 0, "train"), (200, 1, "validation"), (60, 2, "test"))]


@pytest.fixture(scope="module")
def box_models(box_world):
    train, validation, _ = box_world
    options = {"deepesd": {"epochs": 25, "filters": [12, 6], "lr": 3e-3, "loss": "mse"}, "ridge": {}}
    return {
        kind: MODELS.get(kind)(MODELS.get(kind).Config.model_validate(given)).fit(train, validation, CONTEXT)
        for kind, given in options.items()
    }


MAPS = [
    name
    for name in ATTRIBUTIONS.names()
    if issubclass(ATTRIBUTIONS.get(name), MapMethod) and ATTRIBUTIONS.get(name).needs <= {"differentiable"}
]


# Grad-CAM weighs a map by its mean gradient: of a dense layer behind the maps that tells nothing of places.
@pytest.mark.parametrize("name", [*(name for name in MAPS if name != "grad_cam"), "linear_shap", "permutation"])
def test_the_variable_and_the_region_that_made_the_target_are_found(name, box_world, box_models):
    train, _, test = box_world
    kind = "ridge" if name == "linear_shap" else "deepesd"
    found = explained(name, case_of(box_models[kind], train, test, name))
    assert found.importance.argmax() == 1
    assert found.importance[1] > 0.6 * found.importance.sum()
    if found.values is None or name == "kernel_shap":
        return
    where = np.abs(found.values).sum(axis=(0, 1))
    inside = np.zeros(where.shape, bool)
    inside[BOX] = True
    # By chance a box of 4 of 20 cells has a fifth.
    assert where[inside].sum() > 0.6 * where.sum()


@pytest.mark.parametrize("name", ["integrated_gradients", "deep_lift", "kernel_shap", "linear_shap"])
def test_the_sign_is_that_of_the_making(name, box_world, box_models):
    train, _, test = box_world
    case = case_of(box_models["ridge" if name == "linear_shap" else "deepesd"], train, test, name)
    found = explained(name, case)
    drive = np.asarray(case.samples.inputs)[:, 1][:, BOX[0], BOX[1]].sum(axis=(1, 2))
    daily = found.values[:, 1].sum(axis=(1, 2))
    assert np.corrcoef(drive, daily)[0, 1] > 0.95


@pytest.fixture(scope="module")
def lag_world(make_series):
    """Four basins whose flow in a day is the rain three days ago, and nothing else."""

    def make(n, seed, name):
        samples = make_series(n, seed=seed, name=name, leads=(1,))
        random = np.random.default_rng([6, seed])
        inputs = random.normal(size=samples.inputs.shape).astype(np.float32)
        place = samples.schema.channels.index("rain@-3")
        return replace(samples, inputs=inputs, target=inputs[:, place][:, None], past=None)

    return [make(n, seed, name) for n, seed, name in ((500, 0, "train"), (100, 1, "validation"), (60, 2, "test"))]


@pytest.fixture(scope="module")
def lstm(lag_world):
    config = {"epochs": 40, "hidden": 16, "lr": 2e-2, "loss": "mse", "batch_size": 64}
    kind = MODELS.get("lstm")
    return kind(kind.Config.model_validate(config)).fit(lag_world[0], lag_world[1], CONTEXT)


@pytest.mark.parametrize("name", [name for name in MAPS if name not in ("grad_cam", "kernel_shap")])
def test_the_lag_and_the_station_that_made_the_flow_are_found(name, lag_world, lstm):
    train, _, test = lag_world
    found = explained(name, case_of(lstm, train, test, name, station="b07"), **LAGS.get(name, {}))
    names = np.array(test.schema.channels)
    if name == "lrp":  # gates, by which an LSTM keeps time, get nothing
        assert found.importance[np.char.startswith(names, "rain")].sum() > 0.6 * found.importance.sum()
    else:
        assert names[found.importance.argmax()] == "rain@-3"
        assert found.importance.max() > 0.5 * found.importance.sum()
    if name == "ablation":  # shares what a channel loses evenly over the cells
        return
    by_station = np.abs(found.values).sum(axis=(0, 1, 2))
    # Rows of other stations never meet in the network.
    np.testing.assert_allclose(by_station / by_station.sum(), [0, 0, 1, 0], atol=1e-6)
