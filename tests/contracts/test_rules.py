"""Every model with a network can be explained by modified backward passes."""

import copy

import numpy as np
import pytest
import torch

from models import MODELS
from pipeline.attribution._rules import AlphaBeta, Epsilon, Z, deep_lift_gradient, lrp_gradient
from pipeline.attribution.question import Question
from pipeline.attribution.subject import weighted
from pipeline.backend import get_backend
from pipeline.model import Context

QUICK = {"epochs": 2, "width": 8, "depth": 2}  # for models that take them
GRIDDED = frozenset({"cnn_lstm"})  # want predictors on a grid for a series
PAIRS = [
    (kind, task)
    for kind in MODELS.names()
    if "differentiable" in MODELS.get(kind).traits
    for task in sorted(MODELS.get(kind).tasks)
]


@pytest.fixture(scope="module", params=PAIRS, ids="-".join)
def asked(request, make_samples, make_series, make_classes):
    """Return a fitted network's mean over the area in float64 and in float32, and inputs."""
    kind, task = request.param
    make = {
        "downscaling": lambda n, seed: make_samples(n, seed, further=True),
        "series": lambda n, seed: make_series(n, seed, gridded=kind in GRIDDED),
        "segmentation": make_classes,
    }[task]
    train, validation = make(60, 0), make(12, 1)
    model = MODELS.get(kind)
    options = {key: value for key, value in QUICK.items() if key in model.Config.model_fields}
    if kind == "cgnet":
        options |= {"blocks": (1, 2), "strides": (1, 1, 2)}
    context = Context(get_backend("cpu"), seed=5, name="candidate")
    network = model(model.Config.model_validate(options)).fit(train, validation, context).network(validation, context)
    schema, inputs = validation.schema, context.backend.to_torch(validation.inputs)
    targets = len(schema.classes) or len(schema.targets)
    weights = np.zeros((targets, *schema.mask.shape))
    weights[-1] = np.where(schema.mask, schema.target_grid.area, 0.0)
    question = Question(weights / weights.sum(), np.full(weights.shape, 2.0), "K", "mean")
    exact, quick = (weighted(form, question) for form in (copy.deepcopy(network).double(), network))
    rows = torch.arange(len(inputs))
    return (lambda some: exact(some, rows[: len(some)])), (lambda some: quick(some, rows[: len(some)])), inputs


def missed(forward, inputs):
    multipliers = deep_lift_gradient(forward, inputs, torch.zeros_like(inputs[:1]))
    with torch.no_grad():
        whole = forward(inputs) - forward(torch.zeros_like(inputs))
    assert whole.abs().max() > 0
    return float(((inputs * multipliers).double().flatten(1).sum(1) - whole).abs().max() / whole.abs().max())


def test_contributions_add_up_to_the_departure_from_the_climatology(asked):
    exact, quick, inputs = asked
    assert missed(exact, inputs.double()) < 1e-9
    assert missed(quick, inputs) < 1e-3


@pytest.mark.parametrize("rule", [Z(), Epsilon(0.01), AlphaBeta(1.0, 0.0), AlphaBeta(2.0, 1.0)])
def test_relevance_is_finite_and_the_same_again(asked, rule):
    _, forward, inputs = asked
    found = lrp_gradient(forward, inputs, rule)
    assert found.dtype == torch.float32
    assert found.isfinite().all()
    assert found.abs().max() > 0
    assert torch.equal(lrp_gradient(forward, inputs, rule), found)
