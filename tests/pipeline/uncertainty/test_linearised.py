"""Networks to first order in their weights, and what a Laplace approximation of all layers says by them."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call, jacrev

from pipeline.errors import CalibrationError
from pipeline.training.config import TrainingConfig
from pipeline.uncertainty._linearised import Linearised
from pipeline.uncertainty.laplace import Laplace, LaplaceConfig

TRAINING = TrainingConfig(epochs=40, batch_size=32, lr=1e-2)


def build():
    return nn.Sequential(nn.Linear(1, 6), nn.Tanh(), nn.Linear(6, 2))


@pytest.fixture
def network():
    torch.manual_seed(3)
    return build().double()


def moved(network, size):
    torch.manual_seed(4)
    other = copy.deepcopy(network)
    with torch.no_grad():
        for weight in other.parameters():
            weight.add_(size * torch.randn_like(weight))
    return other


def test_it_is_the_network_and_its_slope_times_the_step(network):
    other, inputs = moved(network, 0.7), torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    start, ends = (dict(one.named_parameters()) for one in (network, other))
    slopes = jacrev(lambda weights: functional_call(network, weights, (inputs,)))(
        {k: v.detach() for k, v in start.items()}
    )
    expected = network(inputs).detach()
    for name, slope in slopes.items():
        gap = (ends[name] - start[name]).detach()
        expected = expected + (slope * gap).flatten(2).sum(dim=-1)
    with torch.no_grad():
        found = Linearised(network, other)(inputs)
    torch.testing.assert_close(found, expected)
    assert not torch.allclose(found, other(inputs), atol=0.05)


def test_of_small_steps_it_is_the_network_that_was_moved_to(network):
    inputs = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    gaps = [(Linearised(network, other)(inputs) - other(inputs)).abs().max().item()
            for other in (moved(network, 1e-2), moved(network, 1e-3))]  # fmt: skip
    assert gaps[1] < 0.02 * gaps[0]  # of second order


def test_without_a_step_it_is_the_network(network):
    inputs = torch.ones(3, 1, dtype=torch.float64)
    torch.testing.assert_close(Linearised(network, copy.deepcopy(network))(inputs), network(inputs))


def test_a_part_without_a_forward_derivative_is_refused():
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm, self.head = nn.LSTM(2, 3, batch_first=True), nn.Linear(3, 1)

        def forward(self, inputs):
            return self.head(self.lstm(inputs)[0][:, -1])

    one = Last()
    with pytest.raises(CalibrationError, match=r"expected a network with a forward derivative .* Take layers: last"):
        Linearised(one, moved(one, 0.1))(torch.ones(4, 5, 2))


def world(make_numbers):
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, (300, 1))
    return make_numbers(x, np.sin(2 * x[:, 0]) + 0.2 * rng.normal(size=300))


@pytest.mark.parametrize("structure", ["kron", "diag"])
def test_all_layers_have_the_variance_of_the_linear_network(
    structure, covariance, make_numbers, numbers_model, context
):
    """``J S J'`` by whole Jacobians, layer by layer, and the fitted network for a mean."""
    samples = world(make_numbers)
    model = numbers_model(lambda: nn.Sequential(nn.Linear(1, 6), nn.Tanh(), nn.Linear(6, 1)), "mse", TRAINING)
    model = model.fit(samples, samples, context)
    options = LaplaceConfig(layers="all", structure=structure, draws=1000, prior=1.0)
    method = Laplace(options).fit(lambda count: [model], samples, samples, context)
    members = method.predict(samples, context).members[:, :, 0, 0, 0]
    network = model.trainable(context).network
    start = {name: weight.detach() for name, weight in network.named_parameters()}
    inputs = torch.as_tensor(samples.inputs, dtype=torch.float64)
    slopes = jacrev(lambda weights: functional_call(network, weights, (inputs,)).flatten())(start)
    variance = np.zeros(len(inputs))
    for name in ("inner.0", "inner.2"):
        weight, bias = (slopes[f"{name}.{part}"] for part in ("weight", "bias"))
        spread = covariance(method, name)
        if f"{name}/outputs" in method.arrays:  # a row of weights and its bias behind one another
            joint = torch.cat([weight.flatten(2), bias[:, :, None]], dim=2).flatten(1)
        else:
            joint = torch.cat([weight.flatten(1), bias.flatten(1)], dim=1)
        variance += torch.einsum("ni,ij,nj->n", joint, spread, joint).numpy()
    np.testing.assert_allclose(members.var(axis=0), variance, rtol=0.25)  # of 1000 draws: 4.5 %, five times that
    gap = np.abs(members.mean(axis=0) - network(inputs).detach().numpy().ravel())
    assert (gap < 5 * np.sqrt(variance / 1000)).all()


def test_all_layers_answer_about_as_the_fit_inside_the_data(make_numbers, numbers_model, context):
    samples = world(make_numbers)

    def deep():
        return nn.Sequential(nn.Linear(1, 20), nn.ReLU(), nn.Linear(20, 20), nn.ReLU(), nn.Linear(20, 1))

    model = numbers_model(deep, "mse", TRAINING).fit(samples, samples, context)
    method = Laplace(LaplaceConfig(layers="all")).fit(lambda count: [model], samples, samples, context)
    sd = method.predict(samples, context).members[:, :, 0, 0, 0].std(axis=0)
    assert sd.mean() < 0.2  # less than the noise
    far = make_numbers(np.full((5, 1), 6.0), np.zeros(5))
    assert method.predict(far, context).members[:, :, 0, 0, 0].std(axis=0).mean() > 3 * sd.mean()
