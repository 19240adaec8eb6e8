"""What every registered attribution method owes, on every model that it can serve, of all tasks."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from models import MODELS
from pipeline.attribution import ATTRIBUTIONS, Case
from pipeline.attribution.asking import ask
from pipeline.attribution.baseline import make_baseline
from pipeline.attribution.maps import MapMethod
from pipeline.backend import get_backend, why_no_gpu
from pipeline.errors import ConfigError
from pipeline.explain_config import ExplainConfig
from pipeline.model import Context
from pipeline.model_config import ModelConfig
from pipeline.prediction import Prediction

QUICK = {"epochs": 3, "trees": 10, "width": 8, "depth": 2, "max_rows": 2000}  # for models that take them
METHODS = {  # options that keep the number of passes small
    "integrated_gradients": {"steps": 8, "max_steps": 16},
    "smooth_gradient": {"draws": 3},
    "expected_gradients": {"draws": 8},
    "occlusion": {"patch": 4, "stride": 4, "window": 4},
    "kernel_shap": {"by": "variable", "coalitions": 64},
    "permutation": {"repeats": 3},
    "saliency": {"cells": 12},
}
# Methods of questions that some models do not answer; each says so, and that is tested where it stands.
OF = {("tree_shap", "segmentation"): "probability"}
# A past of their own, or nothing that inputs change, is all that these look at.
DEAF = {"climatology", "persistence", "arima", "holt_winters", "damped_persistence"}
DEAF |= {"class_frequencies", "class_persistence"}


def serves(method, model):
    kind = ATTRIBUTIONS.get(method)
    return kind.needs <= MODELS.get(model).traits and bool(kind.tasks & MODELS.get(model).tasks)


# One model of each way to be asked for methods that only ask; all of them for those that look inside.
ASKED = {"ridge", "random_forest", "unet", "lag_forest", "lstm", "pixel_forest", "class_unet", "climatology"}
SERVED = [
    (method, model)
    for method in ATTRIBUTIONS.names()
    for model in MODELS.names()
    if serves(method, model) and (ATTRIBUTIONS.get(method).needs or model in ASKED)
]


def options_of(model):
    config = MODELS.get(model).Config
    return config.model_validate({key: value for key, value in QUICK.items() if key in config.model_fields})


def unsuited(method, model):
    return ATTRIBUTIONS.get(method).unsuited(options_of(model), 3 if "segmentation" in MODELS.get(model).tasks else 0)


REFUSED = [pair for pair in SERVED if unsuited(*pair)]
PAIRS = [pair for pair in SERVED if not unsuited(*pair)]


def a_context(backend, seed=5):
    return Context(backend, seed=seed, name="candidate")


@pytest.fixture(scope="module", params=["cpu", pytest.param("gpu", marks=pytest.mark.gpu)])
def side(request):
    """Each side that this machine has."""
    if request.param == "gpu" and (reason := why_no_gpu()) is not None:
        pytest.skip(f"no gpu backend: {reason}")
    return get_backend(request.param)


@pytest.fixture(scope="module")
def worlds(side, make_samples, make_series, make_classes):
    """Train, validation and a test set of every task."""
    own = {"backend": side}
    parts = ((0, "train"), (1, "validation"), (2, "test"))
    return {
        "downscaling": [make_samples(120 - 30 * k, seed=k, name=name, further=True, **own) for k, name in parts],
        "series": [make_series(120 - 30 * k, seed=k, name=name, **own) for k, name in parts],
        "gridded": [make_series(120 - 30 * k, seed=k, name=name, gridded=True, **own) for k, name in parts],
        "segmentation": [make_classes(24 - 4 * k, seed=k, name=name, **own) for k, name in parts],
    }


@pytest.fixture(scope="module")
def fitted(worlds, side):
    made = {}

    def get(kind):
        if kind not in made:
            model = MODELS.get(kind)
            task = sorted(model.tasks)[0] if kind != "cnn_lstm" else "gridded"
            train, validation, test = worlds[task]
            made[kind] = model(options_of(kind)).fit(train, validation, a_context(side)), train, test, side
        return made[kind]

    return get


def a_case(name, fitted, kind, scale=2.0):
    model, train, test, side = fitted(kind)
    days = test.take(np.arange(12)) if name != "permutation" else test
    task = "segmentation" if test.schema.classes else "downscaling"
    entry = ExplainConfig(method=name, of=OF.get((name, task)))
    shape = (len(test.schema.targets), *test.schema.mask.shape)
    question, _ = ask(entry, test.schema, np.full(shape, scale), train, side)
    start = (ATTRIBUTIONS.get(name).baselines or ("climatology",))[0]
    context = a_context(side)
    return Case(model, days, question, context, make_baseline(start, train, days, 4, context))


def explain(name, case):
    kind = ATTRIBUTIONS.get(name)
    known = {key: value for key, value in METHODS.get(name, {}).items() if key in kind.Config.model_fields}
    return kind(kind.Config.model_validate(known)).explain(case)


@pytest.fixture(scope="module", params=PAIRS, ids="-".join)
def explained(request, fitted):
    name, kind = request.param
    case = a_case(name, fitted, kind)
    return name, kind, case, explain(name, case)


def test_every_method_serves_a_model():
    assert {method for method, _ in PAIRS} == set(ATTRIBUTIONS.names())


@pytest.mark.parametrize(("name", "kind"), REFUSED, ids="-".join)
def test_what_the_plan_refuses_the_method_refuses_too(name, kind, fitted):
    with pytest.raises(ConfigError):
        explain(name, a_case(name, fitted, kind))


def test_a_model_is_refused():
    assert ("linear_shap", "pixel_logistic") in REFUSED


def test_says_what_it_is(explained):
    name, _, case, found = explained
    assert found.method == name
    assert f"[{case.question.units}]" in found.measure or "[1]" in found.measure
    assert case.question.label in found.note
    assert f"{len(case.samples)} days of test" in found.note
    assert ATTRIBUTIONS.get(name).title


def test_is_finite_and_has_a_number_for_every_channel(explained):
    _, _, case, found = explained
    schema = case.samples.schema
    assert found.importance.shape == (len(schema.channels),)
    moved = {curve.channel for curve in found.curves} or set(schema.channels)
    assert np.isfinite(found.importance[[name in moved for name in schema.channels]]).all()
    if found.values is not None:
        assert found.values.shape == (len(case.samples), len(schema.channels), *schema.input_grid.shape)
        assert found.values.dtype == np.float32
        assert np.isfinite(found.values).all()
    for curve in found.curves:
        assert curve.at.shape == curve.effect.shape == curve.low.shape == curve.high.shape
        assert np.isfinite(curve.effect).all()


def test_the_interval_holds_the_importance(explained):
    found = explained[3]
    if found.low is None:
        assert found.high is None
        return
    known = np.isfinite(found.importance)
    assert (found.low <= found.importance + 1e-12)[known].all()
    assert (found.importance <= found.high + 1e-12)[known].all()


def test_is_the_same_again_in_the_units_of_the_question_and_leaves_the_samples(explained, fitted):
    name, kind, case, found = explained
    before = case.context.backend.to_host(case.samples.inputs).copy()
    again = explain(name, a_case(name, fitted, kind, scale=4.0))
    times = 2.0 if f"[{case.question.units}]" in found.measure and case.question.units != "1" else 1.0
    np.testing.assert_allclose(again.importance, times * found.importance, rtol=1e-5, atol=1e-9)
    np.testing.assert_array_equal(case.context.backend.to_host(case.samples.inputs), before)


def test_a_model_that_uses_its_inputs_has_some_importance(explained):
    name, kind, _, found = explained
    if kind in DEAF:
        assert not np.nanmax(np.abs(found.importance)) > 1e-6
    elif name != "grad_cam":  # what is negative is set to zero
        assert np.nanmax(np.abs(found.importance)) > 0


# Grad-CAM looks at convolutions, which such a model has not.
@pytest.mark.parametrize(
    "name",
    [n for n in ATTRIBUTIONS.names() if n != "grad_cam" and ATTRIBUTIONS.get(n).needs <= {"differentiable"}],
)
def test_a_model_that_ignores_its_inputs_has_no_importance(name, worlds, side):
    import torch

    from pipeline.model import Model

    class Deaf(Model):
        traits = ATTRIBUTIONS.get(name).needs

        def fit(self, train, validation, context):
            return self

        def predict(self, inputs, context):
            return Prediction("point", {"mean": context.backend.asarray(np.zeros((len(inputs), 1, 8, 10), np.float32))})

        def network(self, samples, context, quantity=None):
            class Zero(torch.nn.Module):
                def forward(self, inputs):
                    return inputs.new_zeros(len(inputs), 1, 8, 10) + 0.0 * inputs.sum((1, 2, 3))[:, None, None, None]

            return Zero()

        def save(self, folder):
            raise NotImplementedError

        @classmethod
        def load(cls, folder, context):
            raise NotImplementedError

    train, _, test = worlds["downscaling"]
    question, _ = ask(ExplainConfig(method=name), test.schema, np.ones((1, 8, 10)), train, side)
    context = a_context(side)
    case = Case(Deaf(), test, question, context, make_baseline("climatology", train, test, 4, context))
    found = explain(name, replace(case, checks=("completeness",)))
    assert not np.nan_to_num(found.importance).any()


@pytest.mark.parametrize("name", ATTRIBUTIONS.names())
def test_options_are_frozen_described_and_known(name):
    config = ATTRIBUTIONS.get(name).Config
    assert issubclass(config, ModelConfig)
    assert all(field.description and not field.is_required() for field in config.model_fields.values())
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        config.model_validate({"no_such_option": 1})
    taken = set(ExplainConfig.model_fields) & set(config.model_fields)
    assert not taken  # a key of the explanation would never reach the method


@pytest.mark.parametrize("name", ATTRIBUTIONS.names())
def test_kinds_are_known(name):
    kind = ATTRIBUTIONS.get(name)
    assert (
        kind.kind in {"departure", "sensitivity", "strength"}
        if issubclass(kind, MapMethod)
        else {"score", "effect", "aggregate"}
    )
    assert kind.kind != "departure" or kind.has_baseline
