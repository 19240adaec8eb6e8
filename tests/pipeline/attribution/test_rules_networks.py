"""Networks of models, as they are built, under the rules: contributions add up to the last digit."""

import numpy as np
import pytest
import torch

from models import MODELS
from models._explained import Explained
from models._layout import Layout
from pipeline.attribution._rules import AlphaBeta, Epsilon, Z, deep_lift_gradient, lrp_gradient
from pipeline.grid import Grid
from pipeline.samples import Affine

NORMS = ("none", "batch", "group")
CASES = [
    *[("unet", {"norm": norm, "width": 4, "large_scale": (4, 3)}) for norm in NORMS],
    *[("residual_unet", {"norm": norm, "width": 4, "depth": 2}) for norm in NORMS],
    *[("conv_lstm", {"norm": norm, "width": 4, "hidden": (3, 4), "cells": "weights"}) for norm in NORMS],
    *[("convcnp", {"norm": norm, "width": 4, "hidden": (6,), "places": "embedded"}) for norm in NORMS],
    *[("deepesd", {"norm": norm, "filters": (4, 3)}) for norm in NORMS],
    ("doury_unet", {"width": 4}),
    ("noise_unet", {"width": 4, "depth": 2, "draws": 3}),
    *[(kind, {"hidden": 5, "layers": 2}) for kind in ("lstm", "gru")],
    ("mlp", {"hidden": (6, 6), "rolling": (1, 3)}),
    ("tcn", {"width": 4}),
    ("cnn_lstm", {"hidden": 5, "channels": (3, 4), "features": "mean"}),
    *[("cgnet", {"norm": norm, "width": 4, "blocks": (1, 2), "strides": (1, 2, 2)}) for norm in NORMS],
    *[("class_unet", {"norm": norm, "width": 4, "depth": 2}) for norm in NORMS],
]
HEADS = [
    "mse", "normal_nll", "bernoulli_gamma_nll", {"kind": "mixture_nll", "components": 3},
    {"kind": "quantile", "count": 5}, {"kind": "fair_crps", "members": 3},
]  # fmt: skip


@pytest.fixture(scope="module")
def world(make_samples, make_series, make_classes):
    """Return samples of the task that a model is for."""

    def world(kind):
        tasks = MODELS.get(kind).tasks
        if "segmentation" in tasks:
            return make_classes(6, 0)
        return make_samples(6, further=True) if "downscaling" in tasks else make_series(6, gridded=kind == "cnn_lstm")

    return world


def shaken(module):
    """Give every weight and every moment of a norm a value that matters."""
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if "running_var" in name:
            tensor.data.uniform_(0.5, 2.0)
        elif "running_mean" in name or isinstance(tensor, torch.nn.Parameter):
            tensor.data += 0.2 * torch.randn_like(tensor)


def asked(kind, options, layout, inputs):
    """Return the function of a network that explanations ask, with weights drawn, in float64."""
    model = MODELS.get(kind)(MODELS.get(kind).Config.model_validate(options))
    model._layout = layout
    model._network = model._built(model._loss)
    explained = Explained(model.steady(), model._loss, layout, None, 3 if model._draws else None)
    shaken(explained)
    explained = explained.double().eval()
    weight = torch.randn(explained(inputs).shape[1:], dtype=torch.float64)
    return lambda x: (explained(x) * weight).mean((1, 2, 3))


def built(kind, options, samples):
    inputs = torch.as_tensor(np.asarray(samples.inputs)).double()
    return asked(kind, options, Layout.of(samples.schema), inputs), inputs


def check(forward, inputs, reference):
    multipliers = deep_lift_gradient(forward, inputs, reference)
    with torch.no_grad():
        whole = forward(inputs) - forward(reference.expand_as(inputs))
    assert whole.abs().min() > 0
    found = ((inputs - reference) * multipliers).flatten(1).sum(1)
    torch.testing.assert_close(found, whole, rtol=1e-7, atol=1e-7 * float(whole.abs().max()))


def named(value):
    return value if isinstance(value, str) else "-".join(map(str, value.values()))


@pytest.mark.parametrize(("kind", "options"), CASES, ids=named)
def test_contributions_add_up(kind, options, world):
    forward, inputs = built(kind, options, world(kind))
    for reference in (torch.zeros_like(inputs[:1]), inputs.flip(0)[:1] + 0.1 * torch.randn_like(inputs[:1])):
        check(forward, inputs, reference)


@pytest.mark.parametrize("loss", HEADS, ids=str)
def test_contributions_add_up_behind_every_head(loss, world):
    forward, inputs = built("residual_unet", {"width": 4, "depth": 1, "loss": loss}, world("residual_unet"))
    check(forward, inputs, torch.zeros_like(inputs[:1]))


@pytest.mark.parametrize("rule", [Z(), Epsilon(0.05), AlphaBeta(1.0, 0.0), AlphaBeta(2.0, 1.0)])
@pytest.mark.parametrize(("kind", "options"), CASES, ids=named)
def test_relevance_is_finite_and_not_nothing(kind, options, rule, world):
    forward, inputs = built(kind, options, world(kind))
    found = lrp_gradient(forward, inputs, rule)
    assert found.isfinite().all()
    assert found.abs().max() > 0


@pytest.mark.parametrize(("kind", "options"), [case for case in CASES if case[0] in ("deepesd", "unet", "mlp", "tcn")])
def test_z_of_networks_of_relu_is_their_gradient(kind, options, world):
    if options.get("norm") == "group":
        options = options | {"norm": "none"}  # its statistics depend on the input
    forward, inputs = built(kind, options | {"loss": "mse"}, world(kind))
    point = inputs.clone().requires_grad_()
    gradient = torch.autograd.grad(forward(point).sum(), point)[0]
    torch.testing.assert_close(lrp_gradient(forward, inputs, Z()), gradient, rtol=1e-9, atol=1e-13)


AMOUNTS = {
    **{name: ("residual_unet", {"constraint": {"kind": name}}) for name in ("additive", "multiplicative", "softmax")},
    "nonnegative": ("noise_unet", {"nonnegative": ("pr",), "draws": 3}),
}


@pytest.mark.parametrize("name", AMOUNTS)
def test_contributions_add_up_behind_a_constraint(name):
    fine, coarse = Grid(np.arange(40.0, 44.0), np.arange(6.0)), Grid(np.array([40.5, 42.5]), np.array([0.5, 2.5, 4.5]))
    layout = Layout(
        ("pr", "psl"), ("pr",), coarse, fine, np.ones((4, 6), bool), np.zeros((0, 4, 6), np.float32),
        channel_affine=Affine(np.full((2, 2, 3), 2.0), np.full((2, 2, 3), 1.0)),
        target_affine=Affine(np.full((1, 4, 6), 3.0), np.full((1, 4, 6), 0.5)),
    )  # fmt: skip
    kind, options = AMOUNTS[name]
    inputs = torch.randn(5, 2, 2, 3, dtype=torch.float64).abs()
    forward = asked(kind, {"width": 4, "depth": 1, **options}, layout, inputs)
    check(forward, inputs, torch.full((1, 2, 2, 3), -0.1).double())
    assert lrp_gradient(forward, inputs, Z()).isfinite().all()
