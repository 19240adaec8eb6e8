import pytest
import torch
from torch import nn
from torch.nn import functional

from pipeline.attribution._rows import CellGradients

ALL = slice(0, 6)


@pytest.fixture
def network():
    torch.manual_seed(0)
    layers = [nn.Conv2d(2, 5, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(60, 40), nn.ReLU(), nn.Linear(40, 12)]
    return nn.Sequential(*layers, nn.Unflatten(1, (2, 2, 3))).eval()


@pytest.fixture
def inputs():
    return torch.randn(7, 2, 3, 4)


@pytest.fixture
def expected(network, inputs):
    asked = inputs.clone().requires_grad_()
    answers = network(asked)[:, 1].flatten(1).sum(0)
    return torch.stack([torch.autograd.grad(one, asked, retain_graph=True)[0] for one in answers])


def test_rows_of_zeros_that_are_left_out_change_nothing(network, inputs, expected, monkeypatch):
    taken = []
    plain = torch.Tensor.__matmul__
    monkeypatch.setattr(torch.Tensor, "__matmul__", lambda a, b: (taken.append(len(b)), plain(a, b))[1])
    asked = CellGradients(network, 1, torch.arange(6))
    graph = asked.prepare(inputs)
    found = torch.cat([graph.of(slice(cell, cell + 1)) for cell in range(6)])
    torch.testing.assert_close(found, expected)
    assert taken == [1, 40] * 6  # one of 12 rows of the last layer, all rows of the one below


def test_cells_together_are_as_cells_alone(network, inputs, expected):
    asked = CellGradients(network, 1, torch.arange(6))
    torch.testing.assert_close(asked.prepare(inputs).of(ALL), expected)
    assert asked.batched
    some = CellGradients(network, 1, torch.tensor([4, 1]))
    torch.testing.assert_close(some.prepare(inputs).of(slice(0, 2)), expected[[4, 1]])


@pytest.mark.parametrize("linear", [nn.Linear(4, 3).double(), nn.Linear(4, 3, bias=False).double()])
def test_linear_layers_on_more_than_two_dims_and_calls_by_name(linear):
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = linear

        def forward(self, fields):
            return functional.linear(fields, weight=self.linear.weight, bias=self.linear.bias)

    inputs = torch.randn(2, 1, 5, 4, dtype=torch.float64)
    found = CellGradients(Named().eval(), 0, torch.tensor([7])).prepare(inputs).of(slice(0, 1))[0]
    expected = torch.zeros_like(inputs)
    expected[:, 0, 2] = linear.weight[1].detach()
    torch.testing.assert_close(found, expected)


def test_what_a_forward_pass_keeps_of_a_day_is_no_weights(network, inputs):
    found = CellGradients(network, 1, torch.arange(6)).day_bytes(inputs[:1])
    maps = 2 * 12 + 5 * 12 + 40  # what convolution and kinks read
    assert 4 * maps <= found < 2 * 4 * maps
    assert found < network[3].weight.nbytes


def test_many_days_leave_room_for_one_cell_on_a_cpu(network, inputs):
    asked = CellGradients(network, 1, torch.arange(6))
    assert asked.together(torch.zeros(1, 2, 3, 4)) == 8
    assert asked.together(inputs[:4]) == 2
    assert asked.together(torch.zeros(100, 2, 3, 4)) == 1
