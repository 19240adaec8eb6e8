from dataclasses import replace

import numpy as np
import pytest
import torch

from models._layout import Layout
from models.lstm import LSTM, LSTMConfig


@pytest.fixture
def layout(make_series):
    return Layout.of(make_series(2).schema)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gates(layer, sequence):
    """Return the states of a layer, (step, row, hidden), by the equations of Hochreiter and Schmidhuber, and Gers."""
    w, u, b, c = (p.detach().double().numpy() for p in layer.parameters())
    hidden = cell = np.zeros((sequence.shape[1], u.shape[1]))
    states = []
    for step in sequence:
        enter, forget, new, leave = np.split(step @ w.T + hidden @ u.T + b + c, 4, axis=1)
        cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(new)
        hidden = sigmoid(leave) * np.tanh(cell)
        states.append(hidden)
    return np.stack(states)


def test_it_is_the_published_one_step_by_step(layout):
    torch.manual_seed(0)
    network = LSTM(LSTMConfig(hidden=5, layers=2, dropout=0.5)).build(layout, 2).eval()
    inputs = torch.randn(3, 16, 1, 4)
    states = network.windows(inputs).double().numpy()
    for layer in network.memory.layers:
        states = gates(layer, states)
    weight, bias = (p.detach().double().numpy() for p in network.head.linear.parameters())
    expected = (states[-1] @ weight.T + bias).reshape(3, 4, 2, 3).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(network(inputs).detach().numpy(), expected, atol=1e-6)


def test_forget_gates_start_as_open_as_asked(layout):
    network = LSTM(LSTMConfig(hidden=4, layers=2, forget_bias=2.5)).build(layout, 1)
    for layer in network.memory.layers:
        assert (layer.bias_ih_l0 + layer.bias_hh_l0)[4:8].tolist() == [2.5] * 4
        assert (layer.bias_ih_l0 + layer.bias_hh_l0)[:4].abs().max() <= 1.0  # torch's own: two of at most 1 / sqrt(4)


def test_with_open_gates_old_steps_still_reach_the_answer(make_series):
    """What is left of a gradient after n steps is about sigmoid(bias)^n."""
    names = tuple(f"rain@-{lag}" if lag else "rain" for lag in range(60))
    layout = replace(Layout.of(make_series(2).schema), channels=names)

    def reach(bias):
        torch.manual_seed(0)
        network = LSTM(LSTMConfig(hidden=16, forget_bias=bias)).build(layout, 1).eval()
        inputs = torch.randn(8, 60, 1, 4, requires_grad=True)
        network(inputs).sum().backward()
        slope = inputs.grad.abs().mean((0, 2, 3))
        return float(slope[59] / slope[0])

    assert reach(3.0) > 1e-2
    assert reach(0.0) < 1e-6


def test_dropout_is_between_layers_and_before_the_head_while_training(layout):
    inputs = torch.randn(3, 16, 1, 4)
    torch.manual_seed(0)
    network = LSTM(LSTMConfig(hidden=8, layers=2, dropout=0.5)).build(layout, 1)
    dropped = []
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.register_forward_hook(
                lambda _, __, out: dropped.append((tuple(out.shape), (out == 0).float().mean()))
            )
    network.train()(inputs)
    (between, first), (before, second) = dropped
    assert (between, before) == ((8, 12, 8), (12, 8))
    assert 0.4 < first < 0.6
    assert 0.3 < second < 0.7
    assert torch.equal(network.eval()(inputs), network(inputs))
