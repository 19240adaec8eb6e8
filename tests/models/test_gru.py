import numpy as np
import pytest
import torch

from models._layout import Layout
from models.gru import GRU, GRUConfig


@pytest.fixture
def layout(make_series):
    return Layout.of(make_series(2).schema)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gates(layer, sequence):
    """Return the states of a layer, (step, row, hidden), by the equations in the class's docstring."""
    w, u, b, c = (p.detach().double().numpy() for p in layer.parameters())
    hidden = np.zeros((sequence.shape[1], u.shape[1]))
    states = []
    for step in sequence:
        of_input, of_state = np.split(step @ w.T + b, 3, axis=1), np.split(hidden @ u.T + c, 3, axis=1)
        reset, update = (sigmoid(x + h) for x, h in zip(of_input[:2], of_state[:2], strict=True))
        new = np.tanh(of_input[2] + reset * of_state[2])
        hidden = (1 - update) * new + update * hidden
        states.append(hidden)
    return np.stack(states)


def test_it_is_the_published_one_step_by_step(layout):
    torch.manual_seed(0)
    network = GRU(GRUConfig(hidden=5, layers=2)).build(layout, 2).eval()
    inputs = torch.randn(3, 16, 1, 4)
    states = network.windows(inputs).double().numpy()
    for layer in network.memory.layers:
        states = gates(layer, states)
    weight, bias = (p.detach().double().numpy() for p in network.head.linear.parameters())
    expected = (states[-1] @ weight.T + bias).reshape(3, 4, 2, 3).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(network(inputs).detach().numpy(), expected, atol=1e-6)


def test_update_gates_start_as_asked(layout):
    network = GRU(GRUConfig(hidden=4, update_bias=1.5)).build(layout, 1)
    (layer,) = network.memory.layers
    assert (layer.bias_ih_l0 + layer.bias_hh_l0)[4:8].tolist() == [1.5] * 4


def test_a_closed_update_gate_keeps_the_state_it_starts_with(layout):
    network = GRU(GRUConfig(hidden=4, update_bias=100.0)).build(layout, 1)
    assert network.memory(torch.randn(6, 2, 3)).abs().max() == 0.0
