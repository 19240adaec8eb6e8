"""What every registered uncertainty method owes, on every model that it can serve."""

import json

import numpy as np
import pytest
from pydantic import ValidationError

from models import MODELS
from pipeline.backend import get_backend
from pipeline.model import Context
from pipeline.model_config import ModelConfig
from pipeline.prediction import FAMILIES
from pipeline.uncertainty import UNCERTAINTY

QUICK = {"epochs": 3, "trees": 10, "width": 8, "depth": 2}  # for models that take them
PAIRS = [
    (method, model)
    for method in UNCERTAINTY.names()
    for model in MODELS.names()
    if MODELS.get(model).traits >= UNCERTAINTY.get(method).needs and "downscaling" in MODELS.get(model).tasks
]


def a_context(member=0):
    return Context(get_backend("cpu"), seed=5, name="candidate", member=member)


@pytest.fixture(scope="module")
def world(make_samples):
    return (
        make_samples(150, seed=0, further=True),
        make_samples(60, seed=1, further=True),
        make_samples(20, seed=2, name="test", further=True),
    )


@pytest.fixture(scope="module")
def source(world):
    """Return a function that gives a MemberSource of a kind of model; each member is fitted once."""
    made = {}

    def member(kind, number):
        if (kind, number) not in made:
            model = MODELS.get(kind)
            options = {key: value for key, value in QUICK.items() if key in model.Config.model_fields}
            fitted = model(model.Config.model_validate(options))
            made[kind, number] = fitted.fit(world[0], world[1], a_context(number))
        return made[kind, number]

    return lambda kind: lambda count: [member(kind, number) for number in range(count)]


@pytest.fixture(scope="module", params=PAIRS, ids="-".join)
def fitted(request, source, world):
    name, kind = request.param
    members = source(kind)
    return UNCERTAINTY.get(name)().fit(members, world[0], world[1], a_context()), members


def test_every_method_serves_a_model():
    assert {method for method, _ in PAIRS} == set(UNCERTAINTY.names())


def test_answers_a_distribution_for_every_day_and_cell_of_the_mask(fitted, world):
    prediction = fitted[0].predict(world[2], a_context())
    mask = world[2].schema.mask
    assert prediction.family in FAMILIES
    assert prediction.mean().shape == world[2].target.shape
    assert np.isfinite(prediction.mean()[:, :, mask]).all()
    assert (prediction.variance()[:, :, mask] > 0).all()
    assert (prediction.quantile(0.05) <= prediction.quantile(0.95))[:, :, mask].all()


def test_aleatoric_and_epistemic_add_up_to_the_total(fitted, world):
    prediction = fitted[0].predict(world[2], a_context())
    mask = world[2].schema.mask
    parts = [part[:, :, mask] for part in prediction.variances() if part is not None]
    assert all((part >= 0).all() for part in parts)
    np.testing.assert_allclose(sum(parts), prediction.variance()[:, :, mask], rtol=1e-6)


def test_saved_and_loaded_answers_the_same(fitted, world, tmp_path):
    method, members = fitted
    method.save(tmp_path)
    loaded = type(method)(method.config).load(tmp_path, members, a_context())
    before, after = (each.predict(world[2], a_context()) for each in (method, loaded))
    assert before.family == after.family
    for name, values in before.parameters.items():
        np.testing.assert_array_equal(after.parameters[name], values)


def test_says_how_many_members_it_wants(fitted, world):
    method, members = fitted
    asked = []

    def counting(count):
        asked.append(count)
        return members(count)

    type(method)(method.config).fit(counting, world[0], world[1], a_context())
    assert max(asked) == method.member_count()


def test_the_summary_is_json(fitted):
    assert json.loads(json.dumps(fitted[0].summary(), allow_nan=False)) == fitted[0].summary()


@pytest.mark.parametrize("name", UNCERTAINTY.names())
def test_options_are_frozen_described_and_known(name):
    config = UNCERTAINTY.get(name).Config
    assert issubclass(config, ModelConfig)
    assert all(field.description and not field.is_required() for field in config.model_fields.values())
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        config.model_validate({"no_such_option": 1})
