"""What every registered attribution method owes, on every model that it can serve."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from models import MODELS
from pipeline.attribution import ATTRIBUTIONS, Question
from pipeline.backend import get_backend
from pipeline.model import Context
from pipeline.model_config import ModelConfig

QUICK = {"epochs": 3, "trees": 10, "width": 8, "depth": 2}  # for models that take them
PAIRS = [
    (method, model)
    for method in ATTRIBUTIONS.names()
    for model in MODELS.names()
    if MODELS.get(model).traits >= ATTRIBUTIONS.get(method).needs and "downscaling" in MODELS.get(model).tasks
]


def a_context(seed=5):
    return Context(get_backend("cpu"), seed=seed, name="candidate")


@pytest.fixture(scope="module")
def world(make_samples):
    """Train, validation and a test set."""
    return (
        make_samples(150, seed=0, further=True),
        make_samples(60, seed=1, further=True),
        make_samples(60, seed=2, name="test", further=True),
    )


@pytest.fixture(scope="module")
def question(world):
    schema = world[0].schema
    weights = np.where(schema.mask, schema.target_grid.area, 0.0)
    scale = np.where(schema.mask, 2.0, np.nan)
    return Question((weights / weights.sum())[None], scale[None], "degC", "mean tas over all cells")


@pytest.fixture(scope="module")
def fitted(world):
    made = {}

    def get(kind):
        if kind not in made:
            model = MODELS.get(kind)
            options = {key: value for key, value in QUICK.items() if key in model.Config.model_fields}
            made[kind] = model(model.Config.model_validate(options)).fit(world[0], world[1], a_context())
        return made[kind]

    return get


@pytest.fixture(scope="module", params=PAIRS, ids="-".join)
def explained(request, fitted, world, question):
    name, kind = request.param
    method, model = ATTRIBUTIONS.get(name)(), fitted(kind)
    return method, model, name, method.explain(model, world[2], question, a_context())


def test_every_method_serves_a_model():
    assert {method for method, _ in PAIRS} == set(ATTRIBUTIONS.names())


def test_says_what_it_is(explained, question):
    _, _, name, found = explained
    assert found.method == name
    assert f"[{question.units}]" in found.measure
    assert question.label in found.note
    assert "60 days of test" in found.note
    assert isinstance(found.trusted, bool)


def test_is_finite_and_has_a_number_for_every_channel(explained, world):
    channels, grid = world[2].schema.channels, world[2].schema.input_grid
    found = explained[3]
    assert found.importance.shape == (len(channels),)
    assert np.isfinite(found.importance).all()
    if found.maps is not None:
        assert found.maps.shape == (len(channels), *grid.shape)
        assert np.isfinite(found.maps).all()
    assert all(type(value) is float and np.isfinite(value) for value in found.checks.values())


def test_the_interval_holds_the_importance(explained):
    found = explained[3]
    if found.low is None:
        assert found.high is None
        return
    assert (found.low <= found.importance).all()
    assert (found.importance <= found.high).all()


def test_is_the_same_for_the_same_seed(explained, world, question):
    method, model, _, found = explained
    again = method.explain(model, world[2], question, a_context())
    np.testing.assert_array_equal(again.importance, found.importance)
    np.testing.assert_array_equal(again.low, found.low)


def test_does_not_touch_the_samples(explained, world, question):
    method, model, _, _ = explained
    before = np.array(world[2].inputs)
    method.explain(model, world[2], question, a_context())
    np.testing.assert_array_equal(world[2].inputs, before)


def test_is_in_the_units_of_the_question(explained, world, question):
    method, model, _, found = explained
    double = replace(question, scale=2.0 * question.scale)
    again = method.explain(model, world[2], double, a_context())
    np.testing.assert_allclose(again.importance, 2.0 * found.importance, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("name", ATTRIBUTIONS.names())
def test_a_model_that_ignores_its_inputs_has_no_importance(name, world, question):
    import torch

    from pipeline.model import Model
    from pipeline.prediction import Prediction

    class Deaf(Model):
        traits = ATTRIBUTIONS.get(name).needs

        def fit(self, train, validation, context):
            return self

        def predict(self, inputs, context):
            return Prediction("point", {"mean": np.zeros((len(inputs), 1, 8, 10), np.float32)})

        def network(self, samples, context):
            class Zero(torch.nn.Module):
                def forward(self, inputs):
                    return torch.zeros(len(inputs), 1, 8, 10) + 0.0 * inputs.sum()

            return Zero()

        def save(self, folder):
            raise NotImplementedError

        @classmethod
        def load(cls, folder, context):
            raise NotImplementedError

    found = ATTRIBUTIONS.get(name)().explain(Deaf(), world[2], question, a_context())
    assert not found.importance.any()


@pytest.mark.parametrize("name", ATTRIBUTIONS.names())
def test_options_are_frozen_described_and_known(name):
    config = ATTRIBUTIONS.get(name).Config
    assert issubclass(config, ModelConfig)
    assert all(field.description and not field.is_required() for field in config.model_fields.values())
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        config.model_validate({"no_such_option": 1})
