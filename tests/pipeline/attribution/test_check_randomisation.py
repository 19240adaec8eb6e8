import copy

import numpy as np
import pytest
import torch
from scipy import stats

from pipeline.attribution.baseline import Baseline
from pipeline.attribution.checks import Checked
from pipeline.attribution.checks.randomisation import LIMIT, Randomisation, layers_of, restored, shuffle
from pipeline.attribution.gradient import Gradient
from pipeline.attribution.input_x_gradient import InputXGradient
from pipeline.attribution.integrated_gradients import IntegratedGradients
from pipeline.attribution.maps import MapMethod
from pipeline.attribution.subject import bare

SHAPE, DAYS = (3, 6, 6), 4


class Given(MapMethod):
    title = "Given"

    def __init__(self, say):
        super().__init__()
        self.say = say

    def attribute(self, subject, inputs, which, baseline):
        return self.say(inputs)


class Small(torch.nn.Module):
    """Two convolutions and a dense layer, of which the last input channel is not read."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Conv2d(2, 8, 3, padding=1)
        self.norm = torch.nn.BatchNorm2d(8)
        self.second = torch.nn.Conv2d(8, 4, 3, padding=1)
        self.last = torch.nn.Linear(144, 1)

    def forward(self, inputs):
        inner = torch.relu(self.norm(self.first(inputs[:, :2])))
        return self.last(torch.relu(self.second(inner)).flatten(1))[:, 0]


@pytest.fixture(scope="module")
def trained():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = Small()
        optimiser = torch.optim.Adam(network.parameters(), 3e-3)
        for _ in range(150):
            inputs = torch.randn(64, *SHAPE)
            wanted = torch.relu(inputs[:, 0, 2:4, 2:4]).sum((1, 2)) - inputs[:, 1, 0].sum(1)
            loss = ((network(inputs) - wanted) ** 2).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    assert loss.item() < 0.5 * wanted.var().item()
    return network.eval()


def made(method, network):
    inputs = torch.randn(DAYS, *SHAPE, generator=torch.Generator().manual_seed(0))
    baseline = Baseline("zero", "zero", torch.zeros(1, 1, *SHAPE))
    subject, which = bare(network, seed=5), torch.arange(DAYS)
    return Checked(method, subject, inputs, which, baseline, method.attribute(subject, inputs, which, baseline), 16)


@pytest.mark.parametrize("method", [IntegratedGradients(), InputXGradient(), Gradient()])
def test_maps_of_a_trained_network_pass(trained, method):
    found = Randomisation().run(made(method, trained))
    assert found.essential
    assert found.passed
    assert found.value < LIMIT
    np.testing.assert_allclose(found.curves["x"], [0, 0.25, 0.5, 0.75, 1])
    assert found.curves["rho"][0] == 1
    assert abs(found.curves["rho"][-1]) == found.value


@pytest.mark.parametrize(
    "say", [torch.clone, lambda inputs: -inputs, lambda inputs: inputs.diff(dim=3, append=inputs[..., :1])]
)
def test_a_map_of_the_inputs_alone_fails(trained, say):
    found = Randomisation().run(made(Given(say), trained))
    assert found.value == pytest.approx(1)
    assert found.passed is False
    np.testing.assert_allclose(found.curves["rho"], 1)


def test_cells_that_are_never_read_do_not_make_maps_alike(trained):
    """With zeros in five of six rows two unrelated maps would share most of their ranks."""
    random = iter(range(100))

    def say(inputs):
        values = torch.zeros_like(inputs)
        values[:, :, 0] = torch.rand(values[:, :, 0].shape, generator=torch.Generator().manual_seed(next(random)))
        return values

    found = Randomisation().run(made(Given(say), trained))
    first, second = (say(torch.zeros(1, *SHAPE)).flatten().numpy() for _ in range(2))
    assert stats.spearmanr(first, second).statistic > LIMIT
    assert found.value < 0.3
    assert found.passed


def test_weights_and_buffers_are_as_before_bit_by_bit(trained):
    before = copy.deepcopy(trained.state_dict())
    Randomisation().run(made(IntegratedGradients(), trained))
    for name, value in trained.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_weights_are_put_back_after_an_error(trained):
    before, asked = copy.deepcopy(trained.state_dict()), []

    def say(inputs):
        asked.append({name: value.clone() for name, value in trained.state_dict().items()})
        if len(asked) == 4:
            raise ValueError("no more")
        return inputs

    with pytest.raises(ValueError, match="no more"):
        Randomisation().run(made(Given(say), trained))
    assert all(torch.equal(value, before[name]) for name, value in trained.state_dict().items())
    assert not torch.equal(asked[-1]["second.weight"], before["second.weight"])


def test_layers_fall_from_the_output_down_and_only_change_places(trained):
    before, states = copy.deepcopy(trained.state_dict()), []

    def say(inputs):
        states.append({name: value.clone() for name, value in trained.state_dict().items()})
        return inputs

    Randomisation().run(made(Given(say), trained))
    moved = [
        [
            layer
            for layer in ("last", "second", "norm", "first")
            if not torch.equal(state[f"{layer}.weight"], before[f"{layer}.weight"])
        ]
        for state in states
    ]
    order = ["last", "second", "norm", "first"]
    assert moved == [[], order[:1], order[:2], order[:3], *[order] * 4]
    for state in states:
        for name, value in state.items():
            assert torch.equal(value.flatten().sort().values, before[name].flatten().sort().values)
            assert "running" not in name or torch.equal(value, before[name])
    # Each time in another order.
    assert not torch.equal(states[-1]["first.weight"], states[-2]["first.weight"])


def test_a_dead_network_looks_like_nothing(trained):
    calls = iter(range(100))
    found = Randomisation().run(made(Given(lambda inputs: inputs if next(calls) == 0 else 0 * inputs), trained))
    assert found.value == 0
    assert found.passed


def test_maps_that_are_no_numbers_cannot_be_compared(trained):
    calls = iter(range(100))
    say = lambda inputs: inputs if next(calls) == 0 else inputs * torch.nan  # noqa: E731
    found = Randomisation().run(made(Given(say), trained))
    assert found.passed is None
    assert np.isnan(found.value)
    assert "0 days" in found.words


def test_ranks_of_few_cells_decide_nothing(trained):
    def say(inputs):
        values = torch.zeros_like(inputs)
        values[:, 0, 0, :3] = torch.arange(1.0, 4.0)
        return values

    found = Randomisation().run(made(Given(say), trained))
    assert found.value == pytest.approx(1)
    assert found.passed is None
    assert "3 cells alone decide nothing" in found.words


def test_shared_weights_are_shuffled_once():
    first = torch.nn.Linear(4, 4)
    tied = torch.nn.Sequential(first, torch.nn.Linear(4, 4))
    tied[1].weight = first.weight
    assert [[each.shape for each in layer] for layer in layers_of(tied)] == [[(4, 4), (4,)], [(4,)]]


def test_shuffling_keeps_the_numbers():
    parameter = torch.nn.Parameter(torch.arange(20.0).view(4, 5))
    with restored([parameter]):
        shuffle([parameter], np.random.default_rng(0))
        assert sorted(parameter.flatten().tolist()) == list(range(20))
        assert parameter.flatten().tolist() != list(range(20))
    assert parameter.flatten().tolist() == list(range(20))
    assert parameter.requires_grad
