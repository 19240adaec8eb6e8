"""Known answers of the methods that make maps: linear models, ignored features, captum as a second opinion."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.attribution import ATTRIBUTIONS
from pipeline.attribution.baseline import Baseline
from pipeline.attribution.maps import MapMethod, departures
from pipeline.attribution.subject import bare

SHAPE = (3, 3, 4)
NAMES = [
    name
    for name in ATTRIBUTIONS.names()
    if issubclass(ATTRIBUTIONS.get(name), MapMethod) and ATTRIBUTIONS.get(name).needs <= {"differentiable"}
]
# Parts of one cell, so that a linear model has an answer for every cell.
FINE = {"occlusion": {"patch": 1}, "ablation": {"by": "superpixel", "block": 1}, "kernel_shap": {"block": 1}}
EXACT = ["integrated_gradients", "input_x_gradient", "expected_gradients", "deep_lift", "occlusion", "ablation"]


def make(name, **options):
    kind = ATTRIBUTIONS.get(name)
    return kind(kind.Config.model_validate({**FINE.get(name, {}), **options}))


def draws(count=1, seed=7):
    fields = torch.randn(count, 1, *SHAPE, generator=torch.Generator().manual_seed(seed))
    return Baseline("made", "made", fields)


@pytest.fixture
def rows():
    inputs = torch.randn(5, *SHAPE, generator=torch.Generator().manual_seed(1))
    return inputs, torch.arange(5)


class Dense(torch.nn.Module):
    """A ReLU network of all inputs but those of the channel in the middle."""

    def __init__(self, seed=0):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.inner, self.act, self.outer = torch.nn.Linear(24, 16), torch.nn.ReLU(), torch.nn.Linear(16, 1)

    def forward(self, inputs):
        return self.outer(self.act(self.inner(inputs[:, [0, 2]].flatten(1))))[:, 0]


class Linear(torch.nn.Module):
    def __init__(self):
        super().__init__()
        weight = torch.randn(36, generator=torch.Generator().manual_seed(3))
        self.weight = torch.nn.Parameter(weight)

    def forward(self, inputs):
        return inputs.flatten(1) @ self.weight + 2.0


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("name", EXACT)
def test_a_linear_model_gives_weight_times_departure(name, count, rows):
    inputs, which = rows
    network, start = Linear(), draws(count)
    found = make(name).attribute(bare(network), inputs, which, start)
    wanted = network.weight.detach().reshape(SHAPE) * (inputs - start.fields.mean(0))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_kernel_shap_of_a_linear_model_is_exact_however_few_coalitions(rows):
    inputs, which = rows
    network, start = Linear(), draws()
    found = make("kernel_shap", coalitions=100).attribute(bare(network), inputs, which, start)
    wanted = network.weight.detach().reshape(SHAPE) * (inputs - start.fields[0])
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_what_the_model_ignores_gets_nothing(name, rows):
    if name == "grad_cam":
        pytest.skip("Grad-CAM does not tell channels apart")
    inputs, which = rows
    found = make(name, **({"block": 4} if name == "kernel_shap" else {})).attribute(
        bare(Dense()), inputs, which, draws(2)
    )
    assert found[:, 1].abs().max() < 1e-6
    assert found[:, [0, 2]].abs().max() > 1e-3


@pytest.mark.parametrize("name", [name for name in NAMES if name != "grad_cam"])
def test_inputs_that_do_the_same_get_the_same(name, rows):
    """Symmetry: two cells with the same value, the same baseline and the same part in the number."""

    class Twins(torch.nn.Module):
        def forward(self, inputs):
            return torch.tanh(inputs[:, 0, 0, 0] + inputs[:, 2, 2, 3]) + inputs[:, 1].sum((1, 2)) ** 2

    inputs, which = rows
    inputs[:, 2, 2, 3] = inputs[:, 0, 0, 0]
    start = draws()
    start.fields[..., 2, 2, 3] = start.fields[..., 0, 0, 0]
    if name == "smooth_gradient" or name.startswith("lrp"):
        pytest.skip("noise is drawn for each cell; LRP has no rule for a square of a sum")
    options = {"coalitions": 4096} if name == "kernel_shap" else {}
    found = make(name, **options).attribute(bare(Twins()), inputs, which, start)
    tolerance = 0.05 if name == "kernel_shap" else 1e-5  # drawn coalitions
    torch.testing.assert_close(found[:, 0, 0, 0], found[:, 2, 2, 3], rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("grad_cam", "lrp", "deep_lift")])
def test_how_a_function_is_written_makes_no_difference(name, rows):
    """Implementation invariance, which gradients and questions to the model have; rules for layers have not."""

    class Again(torch.nn.Module):
        def __init__(self, plain):
            super().__init__()
            self.plain = plain

        def forward(self, inputs):
            there = self.plain.inner(inputs[:, [0, 2]].flatten(1))
            return (self.plain.outer.weight * (there + there.abs()) / 2).sum(1) + self.plain.outer.bias

    inputs, which = rows
    options = {"block": 4} if name == "kernel_shap" else {}
    one, other = (
        make(name, **options).attribute(bare(network), inputs, which, draws(2)) for network in (Dense(), Again(Dense()))
    )
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "name", [name for name in NAMES if ATTRIBUTIONS.get(name).complete and name != "expected_gradients"]
)
def test_complete_methods_add_up_to_the_departure(name, rows):
    inputs, which = rows
    subject, start = bare(Dense()), draws(2)
    options = {"integrated_gradients": {"steps": 512}, "kernel_shap": {"block": 4}}.get(name, {})
    found = make(name, **options).attribute(subject, inputs, which, start)
    whole = subject.numbers(inputs, which) - torch.stack(
        [subject.numbers(start.at(draw, which), which) for draw in range(2)]
    ).mean(0)
    torch.testing.assert_close(found.double().sum((1, 2, 3)), whole, rtol=5e-3, atol=2e-3)


def test_expected_gradients_add_up_as_points_are_doubled(rows):
    inputs, which = rows
    subject, start = bare(Dense()), draws(3)
    found = make("expected_gradients").attribute(subject, inputs, which, start)
    whole = departures(subject, inputs, which, start)
    assert (found.double().sum((1, 2, 3)) - whole).abs().sum() < 0.01 * whole.abs().sum()
    few = make("expected_gradients", draws=6, max_draws=6).attribute(subject, inputs, which, start)
    assert (few.double().sum((1, 2, 3)) - whole).abs().sum() > 0.01 * whole.abs().sum()
    rough = make("expected_gradients", draws=6).rough()
    torch.testing.assert_close(rough.attribute(subject, inputs, which, start), few)


def test_captum_has_the_same_smoothgrad_in_the_limit_of_no_noise(rows):
    from captum.attr import Saliency

    inputs, which = rows
    network = Dense()
    found = make("smooth_gradient", noise=1e-6, draws=2).attribute(bare(network), inputs, which, draws())
    wanted = Saliency(network).attribute(inputs.clone().requires_grad_(), abs=False)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_smoothgrad_of_a_square_is_its_gradient_and_of_a_kink_is_smooth(rows):
    class Kink(torch.nn.Module):
        def forward(self, inputs):
            return inputs.abs().sum((1, 2, 3))

    inputs, which = torch.zeros(1, *SHAPE) + 0.1, torch.arange(1)
    found = make("smooth_gradient", noise=1.0, draws=4000).attribute(bare(Kink()), inputs, which, draws())
    wanted = 2 * torch.special.ndtr(torch.tensor(0.1)) - 1  # E sign(x + noise)
    torch.testing.assert_close(found.mean(), wanted, rtol=0, atol=0.02)


def test_captum_has_the_same_occlusion(rows):
    from captum.attr import Occlusion

    inputs, which = rows
    network, start = Dense(), draws()
    found = make("occlusion", patch=2).attribute(bare(network), inputs, which, start)
    wanted = Occlusion(network).attribute(inputs, (1, 2, 2), baselines=start.at(0, which))
    torch.testing.assert_close(found, wanted / 4, rtol=1e-4, atol=1e-5)  # ours is shared over the patch


def test_captum_has_the_same_ablation_by_channel(rows):
    from captum.attr import FeatureAblation

    inputs, which = rows
    network, start = Dense(), draws()
    found = make("ablation", by="channel").attribute(bare(network), inputs, which, start)
    mask = torch.arange(3)[None, :, None, None].expand(1, *SHAPE).clone()
    wanted = FeatureAblation(network).attribute(inputs, baselines=start.at(0, which), feature_mask=mask)
    torch.testing.assert_close(found, wanted / 12, rtol=1e-4, atol=1e-5)


def test_captum_has_the_same_shapley_values(rows):
    from captum.attr import ShapleyValues

    inputs, which = rows
    network, start = Dense(), draws()
    options = {"by": "channel"}
    found = make("kernel_shap", **options).attribute(bare(network), inputs, which, start)
    mask = torch.arange(3)[None, :, None, None].expand(1, *SHAPE).clone()
    wanted = ShapleyValues(network).attribute(inputs, baselines=start.at(0, which), feature_mask=mask)
    torch.testing.assert_close(found, wanted / 12, rtol=1e-4, atol=1e-5)


def test_drawn_coalitions_come_near_the_exact_values(rows):
    inputs, which = rows
    network, start = Dense(), draws()
    exact = make("kernel_shap", block=3, coalitions=2**18).attribute(bare(network), inputs, which, start)
    drawn = make("kernel_shap", block=3, coalitions=40).attribute(bare(network), inputs, which, start)
    assert np.corrcoef(exact.flatten(), drawn.flatten())[0, 1] > 0.95
    assert (exact - drawn).abs().max() > 0  # six parts have 62 sets


def test_too_few_coalitions_are_refused(rows):
    from pipeline.errors import ConfigError

    inputs, which = rows
    with pytest.raises(ConfigError, match=r"at least 72 coalitions for 36 parts, got 40.*by: variable"):
        make("kernel_shap", coalitions=40).attribute(bare(Dense()), inputs, which, draws())


def test_occlusion_by_strides_longer_than_the_patch_is_refused(rows):
    from pipeline.errors import ConfigError

    inputs, which = rows
    with pytest.raises(ConfigError, match="stride of at most the patch, 2, got 3"):
        make("occlusion", patch=2, stride=3).attribute(bare(Dense()), inputs, which, draws())


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_explained_alone(name, rows):
    """What is explained together, and in how many passes, makes no difference."""
    if name == "grad_cam":
        pytest.skip("needs convolutions: see test_grad_cam")
    inputs, which = rows
    # As many steps whatever is explained together: the sums of all decide how many it takes.
    steps = {"integrated_gradients": {"max_steps": 32}, "expected_gradients": {"max_draws": 128}}
    options = {"block": 4} if name == "kernel_shap" else steps.get(name, {})
    whole = make(name, **options).attribute(bare(Dense()), inputs, which, draws(2))
    small = bare(Dense(), rows=2)
    torch.testing.assert_close(
        make(name, **options).attribute(small, inputs[1:3], which[1:3], draws(2)), whole[1:3], rtol=1e-4, atol=1e-6
    )


def test_every_day_may_have_its_own_baseline(rows):
    inputs, which = rows
    start = replace(draws(), fields=inputs[None].clone())
    found = make("integrated_gradients").attribute(bare(Dense()), inputs, which, start)
    assert not found.any()
