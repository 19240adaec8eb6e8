"""What every model of classes owes: a model is tested by existing."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from models import MODELS
from pipeline.backend import get_backend
from pipeline.errors import ConfigError, DataError
from pipeline.grid import Grid
from pipeline.model import Context

KINDS = [kind for kind in MODELS.names() if "segmentation" in MODELS.get(kind).tasks]
BLIND = {"class_frequencies", "class_persistence"}  # look at no predictor: the forecasts that others have to beat
QUICK = {  # for models that take them
    "epochs": 12,
    "batch_size": 16,
    "lr": 1e-2,
    "width": 8,
    "depth": 2,
    "blocks": (1, 2),
    "strides": (1, 1, 2),
    "trees": 20,
}


@dataclass(frozen=True)
class World:
    train: object
    validation: object
    test: object


@pytest.fixture(scope="module", params=KINDS)
def kind(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def make(make_classes):
    """Make samples with cells outside of the mask, a static field, and a step before of which some is known."""

    def make(n: int, seed: int, **options):
        samples = make_classes(n, seed, **options)
        mask = samples.schema.mask.copy()
        mask[0, :3] = mask[5, 7] = False
        target = np.where(mask, np.asarray(samples.target), np.nan).astype(np.float32)
        previous = np.concatenate([np.full_like(target[:1], np.nan), target[:-1]])
        static = np.abs(samples.schema.target_grid.lat)[None, :, None] / 30 - 1 + np.zeros((1, *mask.shape))
        schema = replace(samples.schema, mask=mask, static=static.astype(np.float32), statics=("distance",))
        return replace(samples, target=target, previous=previous, schema=schema)

    return make


@pytest.fixture(scope="module")
def world(make) -> World:
    return World(make(60, 0), make(16, 1, name="validation"), make(30, 2, name="test"))


def new(kind: str):
    model = MODELS.get(kind)
    known = model.Config.model_fields
    return model(model.Config.model_validate({key: value for key, value in QUICK.items() if key in known}))


def a_context(seed: int = 5, **further) -> Context:
    return Context(get_backend("cpu"), seed=seed, name="candidate", **further)


@pytest.fixture(scope="module")
def fitted(kind, world, tmp_path_factory):
    context = a_context(folder=tmp_path_factory.mktemp(kind))
    return new(kind).fit(world.train, world.validation, context)


def chances_of(model, samples) -> np.ndarray:
    return np.asarray(model.predict(samples, a_context()).parameters["probabilities"])


def iou_of(model, samples, cells: np.ndarray | None = None) -> float:
    """Return the mean intersection over union of the classes; the most likely class is the forecast."""
    cells = samples.schema.mask if cells is None else cells
    found = np.asarray(model.predict(samples, a_context()).mean())[..., cells]
    truth = np.asarray(samples.target)[..., cells]
    parts = [(found == k, truth == k) for k in range(len(samples.schema.classes))]
    return float(np.mean([(mine & theirs).sum() / (mine | theirs).sum() for mine, theirs in parts]))


def log_loss_of(model, samples) -> float:
    inside = samples.schema.mask
    return float(np.mean(np.asarray(model.predict(samples, a_context()).nll(samples.target))[..., inside]))


def test_it_learns_more_than_the_class_frequencies(kind, fitted, world):
    if kind in BLIND:
        pytest.skip("it is the forecast that the others have to beat")
    shares = np.array(world.test.schema.class_shares)
    assert log_loss_of(fitted, world.test) < 0.8 * -(shares * np.log(shares)).sum()
    assert iou_of(fitted, world.test) > 0.5  # the commonest class everywhere has less than a third


def test_probabilities_add_up_to_one_in_the_mask_and_are_missing_outside(fitted, world):
    prediction, inside = fitted.predict(world.test, a_context()), world.test.schema.mask
    assert prediction.family == "categorical"
    chances = np.asarray(prediction.parameters["probabilities"])
    assert chances.shape == (3, *world.test.target.shape)
    assert chances.dtype == np.float32
    assert np.isnan(chances[..., ~inside]).all()
    assert (chances[..., inside] >= 0).all()
    np.testing.assert_allclose(chances[..., inside].sum(axis=0), 1.0, rtol=1e-5)


def test_traits_are_known_and_true(fitted, world, known_traits):
    assert fitted.traits <= known_traits
    assert "probabilistic" in fitted.traits
    assert ("patches" in fitted.traits) <= ("differentiable" in fitted.traits)


def test_it_goes_on_from_what_its_traits_say_and_from_nothing_else(fitted, world):
    without = chances_of(fitted, replace(world.test, previous=None))
    assert np.array_equal(without, chances_of(fitted, world.test), equal_nan=True) == ("previous" not in fitted.traits)


def test_a_network_gives_the_probabilities_of_the_prediction(fitted, world):
    context = a_context()
    if "differentiable" not in fitted.traits:
        with pytest.raises(TypeError, match="has no network"):
            fitted.network(world.test, context)
        return
    output = fitted.network(world.test, context)(context.backend.to_torch(world.test.inputs)).detach().numpy()
    inside, expected = world.test.schema.mask, np.moveaxis(chances_of(fitted, world.test)[:, :, 0], 0, 1)
    np.testing.assert_allclose(output[..., inside], expected[..., inside], rtol=1e-4, atol=1e-5)


def test_every_cell_of_a_patch_is_answered_if_it_can_be(kind, fitted, world):
    if "patches" not in fitted.traits:
        pytest.skip("it takes whole fields only")
    schema = replace(world.train.schema, static=np.zeros((0, *world.train.schema.mask.shape), np.float32), statics=())
    train = replace(world.train.take(slice(0, 8)), schema=schema)
    options = fitted.config.model_dump() | {"epochs": 1, "augment": [{"kind": "patches", "size": [8, 12]}]}
    model = MODELS.get(kind)(fitted.Config.model_validate(options)).fit(train, train, a_context())
    for rows, columns in ((8, 8), (5, 20), (7, 3)):
        with torch.no_grad():
            answer = model._network(torch.randn(2, 3, rows, columns))
        assert answer.shape == (2, 3, 1, rows * columns)
        assert torch.isfinite(answer).all()


def test_a_saved_model_predicts_the_same(kind, fitted, world, tmp_path, safe_files):
    fitted.save(tmp_path)
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} <= safe_files
    loaded = MODELS.get(kind).load(tmp_path, a_context())
    assert loaded.config == fitted.config
    assert loaded.summary() == fitted.summary()
    np.testing.assert_array_equal(chances_of(fitted, world.test), chances_of(loaded, world.test))


def test_the_same_seed_gives_the_same_model(kind, fitted, world):
    again = new(kind).fit(world.train, world.validation, a_context())
    np.testing.assert_array_equal(chances_of(fitted, world.test), chances_of(again, world.test))


def test_another_seed_gives_another_model_if_it_is_seeded(kind, fitted, world):
    other = new(kind).fit(world.train, world.validation, a_context(seed=6))
    same = np.array_equal(chances_of(fitted, world.test), chances_of(other, world.test), equal_nan=True)
    assert same == ("seeded" not in fitted.traits)


def test_what_goes_in_is_left_as_it_was(kind, world):
    before = copy.deepcopy(world)
    new(kind).fit(world.train, world.validation, a_context()).predict(world.test, a_context())
    for split in ("train", "validation", "test"):
        for part in ("inputs", "target", "previous", "day"):
            mine, theirs = (np.asarray(getattr(getattr(w, split), part)) for w in (world, before))
            np.testing.assert_array_equal(mine, theirs)


def test_missing_truth_does_not_poison_the_fit(kind, fitted, make, world):
    train = make(60, 0, missing=0.05)
    truth = np.array(train.target)
    truth[7] = np.nan  # a day without any
    truth[:, :, 6, 10] = np.nan  # a cell without any
    model = new(kind).fit(replace(train, target=truth), world.validation, a_context())
    assert np.isfinite(chances_of(model, world.test)[..., world.test.schema.mask]).all()
    elsewhere = world.test.schema.mask.copy()
    elsewhere[6, 10] = False
    assert iou_of(model, world.test, elsewhere) > 0.8 * iou_of(fitted, world.test, elsewhere)


def test_inputs_without_truth_are_answered_as_with_it(kind, fitted, world):
    if kind == "class_persistence":
        pytest.skip("it reads nothing but the truth of the step before")
    blind = replace(world.test, target=None, previous=None)
    np.testing.assert_array_equal(chances_of(fitted, blind), chances_of(fitted, world.test))


def test_channels_are_found_by_name(fitted, world):
    schema, order = world.test.schema, np.array([2, 0, 1])
    moved = replace(
        schema,
        channels=tuple(schema.channels[i] for i in order),
        channel_units=tuple(schema.channel_units[i] for i in order),
    )
    shuffled = replace(world.test, inputs=world.test.inputs[:, order], schema=moved)
    np.testing.assert_array_equal(chances_of(fitted, shuffled), chances_of(fitted, world.test))


def test_inputs_that_are_not_on_the_grid_of_the_target_are_refused(kind, world):
    if kind in BLIND:
        pytest.skip("it looks at no inputs")
    coarse = Grid(np.linspace(-55.0, 55.0, 6), np.arange(10) * 36.0)
    splits = [
        replace(split, inputs=split.inputs[:, :, ::2, ::2], schema=replace(split.schema, input_grid=coarse))
        for split in (world.train, world.validation)
    ]
    with pytest.raises(ConfigError, match=f"{kind}: expected inputs on the grid of the target.*regrid.to: target"):
        new(kind).fit(*splits, a_context())


def test_labels_of_no_class_are_refused(kind, world):
    truth = np.array(world.train.target)
    truth[3, 0, 4, 4] = 7.0
    with pytest.raises(DataError, match="class"):
        new(kind).fit(replace(world.train, target=truth), world.validation, a_context())


def test_the_summary_is_json(fitted):
    assert json.loads(json.dumps(fitted.summary())) == fitted.summary()


def test_an_unknown_option_is_refused(kind):
    with pytest.raises(ValidationError, match="no_such_option"):
        MODELS.get(kind).Config.model_validate({"no_such_option": 1})
