"""What every registered uncertainty method owes, on every model that it can serve."""

import json

import numpy as np
import pytest
from pydantic import ValidationError

from models import MODELS
from pipeline.backend import get_backend, why_no_gpu
from pipeline.model import Context
from pipeline.model_config import ModelConfig
from pipeline.prediction import FAMILIES
from pipeline.uncertainty import UNCERTAINTY, WHOLE
from pipeline.uncertainty.parts import lesson

# For models and methods that take them.
QUICK = {"epochs": 3, "trees": 10, "width": 8, "depth": 2, "dropout": 0.2, "norm": "group"}
FEW = {"draws": 3, "members": 3, "epochs": 3, "burn": 2, "thin": 1, "leapfrog": 2, "step": 1e-6}


def quick(kind, options):
    """Return options of a model or a method that cost little."""
    return kind.Config.model_validate({key: value for key, value in options.items() if key in kind.Config.model_fields})


PROBES = ("deepesd", "unet", "random_forest", "analogs")
"""Models of different kinds that every method is tried on each time; the others that it serves are slow tests."""

PAIRS = [
    (method, model)
    for method in UNCERTAINTY.names()
    for model in MODELS.names()
    if UNCERTAINTY.get(method)(quick(UNCERTAINTY.get(method), FEW)).why_not(quick(MODELS.get(model), QUICK)) is None
    and MODELS.get(model).traits >= UNCERTAINTY.get(method).needs
    and not MODELS.get(model).traits & UNCERTAINTY.get(method).refuses
    and "downscaling" in MODELS.get(model).tasks
]
TRIED = [pair if pair[1] in PROBES else pytest.param(pair, marks=pytest.mark.slow) for pair in PAIRS]


@pytest.fixture(scope="module", params=["cpu", pytest.param("gpu", marks=pytest.mark.gpu)])
def a_context(request):
    """Return a function that makes the context of a member, on each side that this machine has."""
    if request.param == "gpu" and (reason := why_no_gpu()) is not None:
        pytest.skip(f"no gpu backend: {reason}")
    side = get_backend(request.param)
    return lambda member=0, part=WHOLE: Context(side, seed=5, name="candidate", member=member, part=part.name)


@pytest.fixture(scope="module")
def world(make_samples, a_context):
    side = a_context().backend
    return (
        make_samples(150, seed=0, further=True, backend=side),
        make_samples(60, seed=1, further=True, backend=side),
        make_samples(20, seed=2, name="test", further=True, backend=side),
    )


@pytest.fixture(scope="module")
def source(world, a_context):
    """Return a function that gives a MemberSource of a kind of model; each member is fitted once."""
    made = {}

    def member(kind, number, part):
        if (kind, number, part) not in made:
            model = MODELS.get(kind)
            fitted = model(quick(model, QUICK))
            found = lesson(part, world[0], world[1], seed=5, member=number)
            made[kind, number, part] = fitted.fit(found.train, found.validation, a_context(number, part))
        return made[kind, number, part]

    return lambda kind: lambda count, part=WHOLE: [member(kind, number, part) for number in range(count)]


@pytest.fixture(scope="module", params=TRIED, ids="-".join)
def fitted(request, source, world, a_context):
    """Return a fitted method, its source of members, and how many of them it asked for by part."""
    name, kind = request.param
    members, asked = source(kind), {}

    def counting(count, part=WHOLE):
        asked[part] = max(count, asked.get(part, 0))
        return members(count, part)

    method = UNCERTAINTY.get(name)
    return method(quick(method, FEW)).fit(counting, world[0], world[1], a_context()), members, asked


def test_every_method_serves_a_model():
    assert {method for method, model in PAIRS if model in PROBES} == set(UNCERTAINTY.names())


def on_host(prediction, a_context):
    return prediction.map(a_context().backend.to_host)


def test_answers_a_distribution_for_every_day_and_cell_of_the_mask(fitted, world, a_context):
    prediction = on_host(fitted[0].predict(world[2], a_context()), a_context)
    mask = world[2].schema.mask
    assert prediction.family in FAMILIES
    assert prediction.mean().shape == world[2].target.shape
    assert np.isfinite(prediction.mean()[:, :, mask]).all()
    assert (prediction.variance()[:, :, mask] > 0).all()
    assert (prediction.quantile(0.05) <= prediction.quantile(0.95))[:, :, mask].all()


def test_aleatoric_and_epistemic_add_up_to_the_total(fitted, world, a_context):
    prediction = on_host(fitted[0].predict(world[2], a_context()), a_context)
    mask = world[2].schema.mask
    parts = [part[:, :, mask] for part in prediction.variances() if part is not None]
    assert all((part >= 0).all() for part in parts)
    np.testing.assert_allclose(sum(parts), prediction.variance()[:, :, mask], rtol=1e-6)


def test_saved_and_loaded_answers_the_same(fitted, world, a_context, tmp_path):
    method, members, _ = fitted
    method.save(tmp_path)
    loaded = type(method)(method.config).load(tmp_path, members, a_context())
    before, after = (on_host(each.predict(world[2], a_context()), a_context) for each in (method, loaded))
    assert before.family == after.family
    for name, values in before.parameters.items():
        np.testing.assert_array_equal(after.parameters[name], values)


def test_says_which_members_it_wants(fitted):
    method, _, asked = fitted
    assert asked == dict(method.wants())


def test_the_summary_is_json(fitted):
    assert json.loads(json.dumps(fitted[0].summary(), allow_nan=False)) == fitted[0].summary()


@pytest.mark.parametrize("name", UNCERTAINTY.names())
def test_options_are_frozen_described_and_known(name):
    config = UNCERTAINTY.get(name).Config
    assert issubclass(config, ModelConfig)
    assert all(field.description and not field.is_required() for field in config.model_fields.values())
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        config.model_validate({"no_such_option": 1})
