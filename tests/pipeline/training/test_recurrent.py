"""Layers of steps answer, and have the gradients of, torch's own."""

import pytest
import torch
from torch import nn

from pipeline.training.recurrent import StepGRU, StepLSTM, in_steps, why_not_steps

PAIRS = [(nn.LSTM, StepLSTM), (nn.GRU, StepGRU)]
CLOSE = {"rtol": 1e-12, "atol": 1e-12}


def parts(state):
    return (state,) if isinstance(state, torch.Tensor) else state


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("kind", "steps"), PAIRS)
@pytest.mark.parametrize("options", [{}, {"num_layers": 3}, {"bias": False}, {"batch_first": True}], ids=str)
def test_a_layer_of_steps_answers_what_torchs_does(kind, steps, options):
    layer = kind(3, 5, **options).double()
    mine, sequence = steps(layer), drawn(7, 4, 3)
    assert [name for name, _ in mine.named_parameters()] == [name for name, _ in layer.named_parameters()]
    (expected, last), (found, mine_last) = layer(sequence), mine(sequence)
    torch.testing.assert_close(found, expected, **CLOSE)
    for one, other in zip(parts(mine_last), parts(last), strict=True):
        torch.testing.assert_close(one, other, **CLOSE)


@pytest.mark.parametrize(("kind", "steps"), PAIRS)
@pytest.mark.parametrize("batch", [(4,), ()], ids=["batch", "no batch"])
def test_it_goes_on_from_a_state(kind, steps, batch):
    layer, sequence = kind(3, 5, 2).double(), drawn(7, *batch, 3)
    given = tuple(drawn(2, *batch, 5, seed=seed) for seed in (1, 2))[: steps.parts]
    given = given if steps.parts > 1 else given[0]
    (expected, last), (found, mine_last) = layer(sequence, given), steps(layer)(sequence, given)
    torch.testing.assert_close(found, expected, **CLOSE)
    for one, other in zip(parts(mine_last), parts(last), strict=True):
        torch.testing.assert_close(one, other, **CLOSE)


@pytest.mark.parametrize(("kind", "steps"), PAIRS)
def test_gradients_are_those_of_torchs_layer(kind, steps):
    layer, sequence = kind(3, 5, 2).double(), drawn(7, 4, 3)
    found = torch.autograd.grad(steps(layer)(sequence)[0].square().sum(), list(layer.parameters()))
    expected = torch.autograd.grad(layer(sequence)[0].square().sum(), list(layer.parameters()))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, **CLOSE)


def test_a_network_in_steps_is_a_copy_with_the_same_names():
    network = nn.ModuleDict({"memories": nn.ModuleList([nn.LSTM(2, 3), nn.GRU(3, 3)]), "head": nn.Linear(3, 1)})
    made = in_steps(network)
    assert made.state_dict().keys() == network.state_dict().keys()
    assert [type(layer) for layer in made["memories"]] == [StepLSTM, StepGRU]
    assert [type(layer) for layer in network["memories"]] == [nn.LSTM, nn.GRU]
    assert not {id(p) for p in made.parameters()} & {id(p) for p in network.parameters()}
    assert type(in_steps(nn.GRU(2, 3))) is StepGRU


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (nn.RNN(2, 3), "a layer RNN, for which there is none of steps"),
        (nn.GRU(2, 3, bidirectional=True), "a layer GRU with bidirectional, for which there is none of steps"),
        (nn.LSTM(2, 3, proj_size=1), "a layer LSTM with proj_size, for which there is none of steps"),
        (nn.LSTM(2, 3, 2, dropout=0.1), "a layer LSTM with dropout, for which there is none of steps"),
    ],
)
def test_layers_without_a_counterpart_are_told(layer, said):
    assert why_not_steps(nn.Sequential(layer)) == said
    assert why_not_steps(nn.Sequential(nn.LSTM(2, 3), nn.Linear(3, 1))) is None
