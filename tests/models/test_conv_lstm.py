from dataclasses import replace

import numpy as np
import pytest
import torch

from models._layout import Layout
from models.conv_lstm import ConvLSTM, ConvLSTMCell, ConvLSTMConfig, ConvLSTMNetwork
from pipeline.errors import ConfigError
from pipeline.grid import Grid
from pipeline.training.losses import make_loss

QUICK = {"epochs": 25, "batch_size": 16, "lr": 1e-2, "width": 8, "blocks": 1, "hidden": (16,), "loss": "mse"}


@pytest.fixture
def layout(make_samples):
    return Layout.of(make_samples(2, further=True).schema)


def test_the_cell_is_the_published_one_cell_by_cell():
    torch.manual_seed(0)
    layer, sequence = ConvLSTMCell(2, 3), [torch.randn(2, 2, 4, 5) for _ in range(3)]
    torch.nn.init.normal_(layer.gates.bias)
    weight, bias = layer.gates.weight.detach().double().numpy(), layer.gates.bias.detach().double().numpy()
    hidden = cell = np.zeros((2, 3, 4, 5))

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    for found, step in zip(layer(sequence), sequence, strict=True):
        both = np.pad(np.concatenate([step.double().numpy(), hidden], 1), ((0, 0), (0, 0), (1, 1), (1, 1)))
        gates = np.empty((2, 12, 4, 5))
        for row in range(4):
            for column in range(5):
                patch = both[:, :, row : row + 3, column : column + 3]
                gates[:, :, row, column] = np.einsum("tcij,gcij->tg", patch, weight) + bias
        i, f, o, g = gates[:, :3], gates[:, 3:6], gates[:, 6:9], gates[:, 9:]
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
        hidden = sigmoid(o) * np.tanh(cell)
        np.testing.assert_allclose(found.detach().numpy(), hidden, atol=1e-6)


def test_forget_gates_start_open():
    layer = ConvLSTMCell(2, 3)
    assert layer.gates.bias.tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0]


def test_the_order_of_days_matters_and_all_of_them_are_seen(layout):
    torch.manual_seed(0)
    made = ConvLSTMNetwork(layout, 1, ConvLSTMConfig(hidden=(8, 4)), make_loss("mse")).eval()
    assert len(made.layers) == 2
    inputs = torch.randn(2, 8, 4, 5, requires_grad=True)
    made(inputs).square().sum().backward()
    assert (inputs.grad.abs().sum((0, 2, 3)) > 0).all()
    swapped = inputs[:, [3, 4, 5, 0, 1, 2, 6, 7]]
    assert not torch.allclose(made(swapped), made(inputs))


def test_memory_is_worth_something(make_samples, with_truth, context):
    """What is asked for is the change since the day before: without it, nothing can be known of it."""

    def of(n, seed):
        samples = make_samples(n, seed=seed, further=True)
        change = samples.inputs[:, :1] - samples.inputs[:, 3:4]
        fine = torch.nn.functional.interpolate(torch.tensor(change), size=(8, 10)).numpy()
        return with_truth(samples, lambda truth: np.where(np.isnan(truth), np.nan, fine), context)

    train, validation, test = of(200, 0), of(60, 1), of(100, 2)
    model = ConvLSTM(ConvLSTMConfig(**QUICK)).fit(train, validation, context)
    inside = train.schema.mask
    mean, truth = model.predict(test, context).mean()[:, 0, inside], test.target[:, 0, inside]
    assert np.mean((mean - truth) ** 2) < 0.35 * truth.var()


def test_several_targets_masks_and_odd_grids(make_samples):
    layout = Layout.of(make_samples(2, targets=2, further=True).schema)
    grid = Grid(np.linspace(40, 46, 5), np.linspace(-6, 2, 7))
    mask = np.ones((5, 7), bool)
    mask[2, 3:] = False
    odd = replace(layout, target_grid=grid, mask=mask, static=np.zeros((0, 5, 7), np.float32))
    answer = ConvLSTMNetwork(odd, 2, ConvLSTMConfig(), make_loss("normal_nll"))(torch.randn(3, 8, 4, 5))
    assert answer.shape == (3, 2, 2, 31)


def test_what_it_needs_is_said(layout):
    with pytest.raises(ConfigError, match=r"lags: \[0, 1, 2\]"):
        ConvLSTM().build(replace(layout, channels=("tas", "psl"), scalars=()), 1)
    stations = Grid(np.array([[41.0]]), np.array([[-3.0]]), ("row", "station"), ("a",))
    with pytest.raises(ConfigError, match="conv_lstm: expected a target on a grid"):
        ConvLSTM().build(replace(layout, target_grid=stations), 1)
