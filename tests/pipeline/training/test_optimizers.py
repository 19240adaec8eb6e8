import pytest
import torch
from torch import nn

from pipeline.training.config import TrainingConfig
from pipeline.training.optimizers import OPTIMIZERS, build_optimizer, penalty


class Quadratic(nn.Module):
    """f(w) = a/2 w^2, whose gradient is a w."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([[2.0]], dtype=torch.float64))
        self.bias = nn.Parameter(torch.tensor([3.0], dtype=torch.float64))

    def forward(self):
        return 0.5 * 1.5 * self.weight.square().sum() + 0.0 * self.bias.sum()


def path(config, steps=5):
    network = Quadratic()
    optimizer = build_optimizer(network, config)
    values = []
    for _ in range(steps):
        optimizer.zero_grad()
        network().backward()
        optimizer.step()
        values.append(network.weight.item())
    return values, network


def test_sgd_with_momentum_by_hand():
    values, _ = path(TrainingConfig(optimizer="sgd", lr=0.1, momentum=0.9))
    w, v, expected = 2.0, 0.0, []
    for _ in range(5):
        v = 0.9 * v + 1.5 * w
        w = w - 0.1 * v
        expected.append(w)
    assert values == pytest.approx(expected)


def test_adam_by_hand():
    values, _ = path(TrainingConfig(optimizer="adam", lr=0.1))
    w, m, v, expected = 2.0, 0.0, 0.0, []
    for t in range(1, 6):
        g = 1.5 * w
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        w -= 0.1 * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)) ** 0.5 + 1e-8)
        expected.append(w)
    assert values == pytest.approx(expected)


def test_rmsprop_with_momentum_by_hand():
    values, _ = path(TrainingConfig(optimizer="rmsprop", lr=0.1, momentum=0.5))
    w, s, v, expected = 2.0, 0.0, 0.0, []
    for _ in range(5):
        g = 1.5 * w
        s = 0.99 * s + 0.01 * g * g
        v = 0.5 * v + g / (s**0.5 + 1e-8)
        w -= 0.1 * v
        expected.append(w)
    assert values == pytest.approx(expected)


def test_adamw_decays_the_weight_itself_and_no_bias():
    plain, _ = path(TrainingConfig(optimizer="adamw", lr=0.1), 1)
    decayed, network = path(TrainingConfig(optimizer="adamw", lr=0.1, weight_decay=0.2), 1)
    assert decayed[0] == pytest.approx(plain[0] - 0.1 * 0.2 * 2.0)
    assert network.bias.item() == 3.0


def test_weight_decay_of_sgd_is_added_to_the_gradient():
    values, _ = path(TrainingConfig(optimizer="sgd", lr=0.1, momentum=0.0, weight_decay=0.2), 1)
    assert values[0] == pytest.approx(2.0 - 0.1 * (1.5 * 2.0 + 0.2 * 2.0))


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_every_optimizer_goes_down(name):
    values, _ = path(TrainingConfig(optimizer=name, lr=0.01, momentum=0.5), 200)
    assert abs(values[-1]) < 1.5


def test_all_parameters_are_trained_once():
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.GroupNorm(1, 3), nn.Flatten(), nn.Linear(3, 2))
    groups = build_optimizer(network, TrainingConfig(weight_decay=0.1)).param_groups
    assert [len(group["params"]) for group in groups] == [2, 4]
    assert [group["weight_decay"] for group in groups] == [0.1, 0.0]


def test_penalty_in_closed_form():
    network = nn.Linear(2, 2)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[1.0, -2.0], [3.0, 0.0]]))
        network.bias.fill_(100.0)
    value = penalty(network, l1=0.1, l2=0.2)
    value.backward()
    assert value.item() == pytest.approx(0.1 * 6 + 0.1 * 14)
    assert network.weight.grad.flatten().tolist() == pytest.approx([0.3, -0.5, 0.7, 0.0])
    assert network.bias.grad is None
