"""What every model of fields and series owes; those of classes are in ``test_class_models.py``."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest
from pydantic import ValidationError

from models import MODELS
from pipeline.backend import get_backend
from pipeline.model import Context

GRIDDED = frozenset({"cnn_lstm"})  # want predictors on a grid for a series
QUICK = {"epochs": 30, "batch_size": 16, "lr": 3e-3, "width": 8, "depth": 2}  # for models that take them


@dataclass(frozen=True)
class World:
    train: object
    validation: object
    test: object


PAIRS = [
    (kind, task) for task in ("downscaling", "series") for kind in MODELS.names() if task in MODELS.get(kind).tasks
]


@pytest.fixture(scope="module", params=PAIRS, ids="-".join)
def pair(request) -> tuple[str, str]:
    return request.param


@pytest.fixture(scope="module")
def kind(pair) -> str:
    return pair[0]


@pytest.fixture(scope="module")
def make(pair, make_samples, make_series):
    """Make samples of the task that the model is for: a series on a grid where it asks for one."""
    kind, task = pair
    if task == "downscaling":
        return partial(make_samples, further=True)
    return partial(make_series, gridded=kind in GRIDDED)


@pytest.fixture(scope="module")
def world(make) -> World:
    return World(make(200, seed=0), make(100, seed=1, name="validation"), make(100, seed=2, name="test"))


def new(kind: str, **options):
    model = MODELS.get(kind)
    known = model.Config.model_fields
    return model(model.Config.model_validate({k: v for k, v in {**QUICK, **options}.items() if k in known}))


def a_context(seed: int = 5, **further) -> Context:
    return Context(get_backend("cpu"), seed=seed, name="candidate", **further)


@pytest.fixture(scope="module")
def before(world) -> World:
    """What the world was before any model saw it."""
    return copy.deepcopy(world)


@pytest.fixture(scope="module")
def fitted(kind, world, before, tmp_path_factory):
    context = a_context(folder=tmp_path_factory.mktemp(kind))
    return new(kind).fit(world.train, world.validation, context)


def fit_briefly(kind: str, world: World, seed: int):
    """Fit as long as it takes to tell two seeds apart."""
    return new(kind, epochs=2).fit(world.train, world.validation, a_context(seed))


@pytest.fixture(scope="module")
def brief(kind, world):
    return fit_briefly(kind, world, seed=5)


def mean_of(model, samples) -> np.ndarray:
    return np.asarray(model.predict(samples, a_context()).mean())


def error_of(mean: np.ndarray, samples, cells: np.ndarray | None = None) -> float:
    gap = (mean - np.asarray(samples.target))[:, :, samples.schema.mask if cells is None else cells]
    return float(np.sqrt(np.mean(gap**2)))


def test_it_learns_more_than_the_climatology(kind, fitted, world):
    if kind == "climatology":
        pytest.skip("it is the forecast that the others have to beat")
    trivial = error_of(np.asarray(world.train.target).mean(axis=0, keepdims=True), world.test)
    assert error_of(mean_of(fitted, world.test), world.test) < 0.9 * trivial


def test_predictions_have_the_shape_of_the_target_and_are_finite_in_the_mask_alone(fitted, world):
    mean = mean_of(fitted, world.test)
    assert mean.shape == world.test.target.shape
    assert mean.dtype == np.float32
    inside = np.broadcast_to(world.test.schema.mask, mean.shape)
    assert np.isfinite(mean[inside]).all()
    assert np.isnan(mean[~inside]).all()


def test_traits_are_known_and_true(fitted, world, known_traits):
    assert fitted.traits <= known_traits
    prediction = fitted.predict(world.test, a_context())
    assert ("probabilistic" in fitted.traits) == (prediction.family != "point")
    if "probabilistic" in fitted.traits:
        spread = np.asarray(prediction.variance())[:, :, world.test.schema.mask]
        assert (spread > 0).mean() > 0.99


def test_it_goes_on_from_what_its_traits_say_and_from_nothing_else(fitted, world):
    """Without the target's last values, or its past, the answers of all others are the same."""
    for field in ("previous", "past"):
        if getattr(world.test, field) is not None:
            without = mean_of(fitted, replace(world.test, **{field: None}))
            assert np.array_equal(without, mean_of(fitted, world.test), equal_nan=True) == (field not in fitted.traits)


def test_a_network_gives_the_mean_of_the_prediction(fitted, world):
    if "differentiable" not in fitted.traits:
        with pytest.raises(TypeError, match="has no network"):
            fitted.network(world.test, a_context())
        return
    context = a_context()
    output = fitted.network(world.test, context)(context.backend.to_torch(world.test.inputs))
    inside = world.test.schema.mask
    found, expected = output.detach().numpy()[:, :, inside], mean_of(fitted, world.test)[:, :, inside]
    if "draws" not in type(fitted.config).model_fields:
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
        return
    # Both are means of other draws: they differ as much as such means do.
    variance = np.asarray(fitted.predict(world.test, context).variance())[:, :, inside]
    ratio = np.mean((found - expected) ** 2) / np.mean(2 * variance / (fitted.config.draws - 1))
    assert 0.5 < ratio < 2.0


def test_a_saved_model_predicts_the_same(kind, fitted, world, tmp_path, safe_files):
    fitted.save(tmp_path)
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} <= safe_files
    loaded = MODELS.get(kind).load(tmp_path, a_context())
    assert loaded.config == fitted.config
    before, after = (model.predict(world.test, a_context()) for model in (fitted, loaded))
    assert before.family == after.family
    for name, array in before.parameters.items():
        np.testing.assert_array_equal(np.asarray(array), np.asarray(after.parameters[name]))


def test_the_same_seed_gives_the_same_model(kind, brief, world):
    again = fit_briefly(kind, world, seed=5)
    np.testing.assert_array_equal(mean_of(brief, world.test), mean_of(again, world.test))


def test_another_seed_gives_another_model_if_it_is_seeded(kind, brief, world):
    other = fit_briefly(kind, world, seed=6)
    same = np.array_equal(mean_of(brief, world.test), mean_of(other, world.test), equal_nan=True)
    assert same == ("seeded" not in brief.traits)


def test_what_goes_in_is_left_as_it_was(fitted, world, before):
    fitted.predict(world.test, a_context())
    for split in ("train", "validation", "test"):
        for part in ("inputs", "target", "previous", "day"):
            mine, theirs = (np.asarray(getattr(getattr(w, split), part)) for w in (world, before))
            np.testing.assert_array_equal(mine, theirs)


def test_missing_truth_does_not_poison_the_fit(kind, fitted, make, world):
    train = make(200, seed=0, missing=0.05)
    truth = np.array(train.target)
    truth[7] = np.nan  # a day without any
    row, column = [side // 2 for side in truth.shape[2:]] if truth.shape[-1] > 1 else (slice(0), slice(0))
    truth[:, :, row, column] = np.nan  # a cell without any, where there are others
    model = new(kind).fit(replace(train, target=truth), world.validation, a_context())
    mean = mean_of(model, world.test)
    assert np.isfinite(mean[:, :, world.test.schema.mask]).all()
    elsewhere = world.test.schema.mask.copy()
    elsewhere[row, column] = False
    assert error_of(mean, world.test, elsewhere) < 1.25 * error_of(mean_of(fitted, world.test), world.test, elsewhere)


def test_channels_are_found_by_name(fitted, world):
    schema = world.test.schema
    order = np.random.default_rng(0).permutation(len(schema.channels))
    moved = replace(
        schema,
        channels=tuple(schema.channels[i] for i in order),
        channel_units=tuple(schema.channel_units[i] for i in order),
    )
    shuffled = replace(world.test, inputs=world.test.inputs[:, order], schema=moved)
    np.testing.assert_array_equal(mean_of(fitted, shuffled), mean_of(fitted, world.test))


def test_the_summary_is_json(fitted):
    assert json.loads(json.dumps(fitted.summary())) == fitted.summary()


def test_an_unknown_option_is_refused(kind):
    with pytest.raises(ValidationError, match="no_such_option"):
        MODELS.get(kind).Config.model_validate({"no_such_option": 1})
