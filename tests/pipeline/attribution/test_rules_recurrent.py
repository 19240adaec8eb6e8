"""Layers with a memory, taken apart into steps, are torch's own."""

import pytest
import torch
from torch import nn

from pipeline.attribution._apart import apart
from pipeline.attribution._rules import AlphaBeta, Epsilon, NoRuleError, Z, deep_lift_gradient, lrp_gradient

KINDS = {
    "lstm": lambda **options: nn.LSTM(5, 4, **options),
    "gru": lambda **options: nn.GRU(5, 4, **options),
    "rnn_tanh": lambda **options: nn.RNN(5, 4, **options),
    "rnn_relu": lambda **options: nn.RNN(5, 4, nonlinearity="relu", **options),
}
SHAPES = [
    {},
    {"bias": False},
    {"batch_first": True, "num_layers": 2},
    {"bidirectional": True, "num_layers": 2},
]
CASES = [(kind, options) for kind in KINDS for options in SHAPES] + [("lstm", {"proj_size": 3, "bidirectional": True})]


def layer(kind, options):
    return KINDS[kind](**options).double().eval()


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_steps_give_torchs_output_and_gradient(kind, options):
    made = layer(kind, options)
    inputs = torch.randn(6, 3, 5, dtype=torch.float64, requires_grad=True)
    rows = inputs.shape[0 if made.batch_first else 1]
    count = made.num_layers * (1 + made.bidirectional)
    states = [torch.randn(count, rows, made.proj_size or 4).double(), torch.randn(count, rows, 4).double()]
    begin = tuple(states) if kind == "lstm" else states[0]
    output, last = made(inputs, begin)
    flags = (made.bias, made.num_layers, 0.0, False, made.bidirectional, made.batch_first)
    found = apart(fixed=False)[kind](inputs, begin, made._flat_weights, *flags)
    expected = (output, *(last if kind == "lstm" else (last,)))
    weights = [torch.randn_like(each) for each in expected]
    gradients = []
    for outputs in (found, expected):
        whole = sum((each * weight).sum() for each, weight in zip(outputs, weights, strict=True))
        gradients.append(torch.autograd.grad(whole, [inputs, *made.parameters()]))
    for mine, torchs in zip((*found, *gradients[0]), (*expected, *gradients[1]), strict=True):
        torch.testing.assert_close(mine, torchs, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_contributions_add_up(kind, options):
    made = layer(kind, {**options, "batch_first": True})
    forward = lambda x: made(x)[0].sin().sum((1, 2))  # noqa: E731
    inputs, reference = torch.randn(6, 7, 5).double(), torch.randn(1, 7, 5).double()
    found = ((inputs - reference) * deep_lift_gradient(forward, inputs, reference)).sum((1, 2))
    whole = (forward(inputs) - forward(reference)).detach()
    assert whole.abs().max() > 0.1
    torch.testing.assert_close(found, whole, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("cell", [nn.LSTMCell, nn.GRUCell, nn.RNNCell])
def test_contributions_of_single_cells_add_up(cell):
    made = cell(5, 4).double()

    def forward(x):
        state = made(x[:, 0])
        for step in range(1, x.shape[1]):
            state = made(x[:, step], state)
        return (state[0] if cell is nn.LSTMCell else state).sum(1)

    inputs, reference = torch.randn(6, 4, 5).double(), torch.zeros(1, 1, 5).double()
    found = ((inputs - reference) * deep_lift_gradient(forward, inputs, reference)).sum((1, 2))
    torch.testing.assert_close(found, (forward(inputs) - forward(0 * inputs)).detach(), rtol=1e-9, atol=1e-11)


def test_a_cell_of_ones_own_hands_relevance_on_as_torchs():
    """The published rule: gates get nothing, and of a layer of input and state each its part."""
    made, rule = layer("lstm", {"batch_first": True}), Epsilon(0.01)
    of_input, of_state, first, second = (weight.detach() for weight in made._flat_weights)
    inputs = torch.randn(3, 4, 5).double()
    cells, hiddens = [torch.zeros(3, 4).double()], [torch.zeros(3, 4).double()]
    kept = []
    for step in inputs.unbind(1):
        z = step @ of_input.T + hiddens[-1] @ of_state.T + first + second
        enter, forget, new, leave = z.chunk(4, 1)
        cells.append(forget.sigmoid() * cells[-1] + enter.sigmoid() * new.tanh())
        hiddens.append(leave.sigmoid() * cells[-1].tanh())
        kept.append((new, forget.sigmoid() * cells[-2], enter.sigmoid() * new.tanh()))
    expected, hidden, cell = torch.zeros_like(inputs), hiddens[-1].clone(), torch.zeros(3, 4).double()
    for number in reversed(range(4)):
        new, remembered, entered = kept[number]
        cell = cell + hidden
        share = cell / cells[number + 1]
        of_new, cell = entered * share, remembered * share
        part = of_new / (new + rule.eps * torch.where(new < 0, -1.0, 1.0))
        expected[:, number] = inputs[:, number] * (part @ of_input[8:12])
        hidden = hiddens[number] * (part @ of_state[8:12])
    found = inputs * lrp_gradient(lambda x: made(x)[1][0][0].sum(1), inputs, rule)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("rule", [Z(), Epsilon(0.1), AlphaBeta(2.0, 1.0)])
@pytest.mark.parametrize("kind", KINDS)
def test_relevance_is_finite_and_zero_behind_the_last_step_that_is_read(kind, rule):
    made = layer(kind, {"batch_first": True})
    found = lrp_gradient(lambda x: made(x)[0][:, 2].sum(1), torch.randn(3, 5, 5).double(), rule)
    assert found.isfinite().all()
    assert found[:, :3].abs().max() > 0
    assert (found[:, 3:] == 0).all()


def test_packed_sequences_and_training_are_refused():
    made = nn.GRU(5, 4, 2, dropout=0.5)
    inputs = torch.randn(3, 2, 5)

    def packed(x):
        return made(nn.utils.rnn.PackedSequence(x.flatten(0, 1), torch.full((3,), 2)))[0].data.sum(1)[: len(x)]

    with pytest.raises(NoRuleError, match="a packed sequence"):
        lrp_gradient(packed, inputs, Z())
    with pytest.raises(NoRuleError, match="dropout in training"):
        lrp_gradient(lambda x: made(x.transpose(0, 1))[0][-1].sum(1), inputs, Z())
