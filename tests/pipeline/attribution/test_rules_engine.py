"""What is watched, what is refused, and that nothing stays behind."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.overrides import _get_current_function_mode

from pipeline.attribution._rules import AlphaBeta, Epsilon, NoRuleError, Z, deep_lift_gradient, lrp_gradient

ENGINES = {
    "deep_lift": lambda forward, inputs: deep_lift_gradient(forward, inputs, torch.zeros_like(inputs)),
    "z": lambda forward, inputs: lrp_gradient(forward, inputs, Z()),
    "epsilon": lambda forward, inputs: lrp_gradient(forward, inputs, Epsilon(0.1)),
    "alpha_beta": lambda forward, inputs: lrp_gradient(forward, inputs, AlphaBeta(2.0, 1.0)),
}


@pytest.fixture(params=ENGINES)
def gradient(request):
    return ENGINES[request.param]


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, gradient):
        return 2 * gradient


REFUSED = {
    "torch.functional.cdist": lambda x: torch.cdist(x, x)[:, 0],
    "torch.Tensor.prod": lambda x: x.prod(1),
    "torch.sort": lambda x: torch.sort(x, 1)[0][:, 0],
    "torch.Tensor.sign": lambda x: x.sign().sum(1),
    "torch.nn.functional.rrelu": lambda x: functional.rrelu(x).sum(1),
    "torch.atan2": lambda x: torch.atan2(x, x).sum(1),
    "torch.Tensor.__pow__ of 2 tensors that all depend on the input": lambda x: (x.exp() ** x).sum(1),
    "torch.nn.functional.batch_norm in training": lambda x: functional.batch_norm(x, None, None, training=True)[:, 0],
    "dropout in training": lambda x: functional.dropout(x, 0.5).sum(1),
    "torch.div with a rounding mode": lambda x: torch.div(x, 0.3, rounding_mode="floor").sum(1),
    "DoubledBackward": lambda x: Doubled.apply(x).sum(1),
    "DoubledBackward, which": lambda x: Doubled.apply(x)[:, 0],
    "SigmoidBackward0": lambda x: torch.jit.script(_scripted)(x)[:, 0].exp(),
}


def _scripted(x: torch.Tensor) -> torch.Tensor:
    return x.sigmoid()


@pytest.mark.parametrize("said", REFUSED)
def test_what_has_no_rule_is_named(gradient, said):
    with pytest.raises(NoRuleError, match=said):
        gradient(REFUSED[said], torch.rand(4, 3) + 0.5)


def test_a_function_without_a_rule_is_free_where_it_sees_constants_alone(gradient):
    weight = torch.randn(3)
    found = gradient(lambda x: (x * torch.sort(weight.prod() + weight)[0]).sum(1), torch.randn(4, 3))
    torch.testing.assert_close(found, (weight.prod() + weight).sort()[0].expand(4, 3))


@pytest.mark.parametrize("answer", [lambda x: x, lambda x: x.sum(), lambda x: x.sum(1)[:1]])
def test_one_number_a_row_is_expected(gradient, answer):
    with pytest.raises(ValueError, match=r"expected a function that answers one number a row, shape \(4,\)"):
        gradient(answer, torch.randn(4, 3))


def test_nothing_stays_behind_an_exception(gradient):
    net = nn.Sequential(nn.Linear(3, 3), nn.ReLU(inplace=True), nn.LSTM(3, 2))
    before, inputs = copy.deepcopy(net.state_dict()), torch.randn(4, 3)
    kept = inputs.clone()

    def fails(x):
        net(x)
        raise KeyboardInterrupt

    for forward, error in ((fails, KeyboardInterrupt), (lambda x: net(x)[0].cumprod(1)[:, 0], NoRuleError)):
        with pytest.raises(error):
            gradient(forward, inputs)
        assert _get_current_function_mode() is None
        assert torch.is_grad_enabled()
    for module in net.modules():
        assert not module._forward_hooks
        assert not module._backward_hooks
    assert all(parameter.grad is None and parameter.requires_grad for parameter in net.parameters())
    for name, weight in net.state_dict().items():
        assert torch.equal(weight, before[name])
    assert torch.equal(inputs, kept)
    assert not inputs.requires_grad
    point = torch.tensor([2.0], requires_grad=True)
    assert torch.autograd.grad(point.sigmoid(), point)[0].item() == pytest.approx(0.1049936)


def test_it_works_where_gradients_are_off_and_leaves_them_off(gradient):
    inputs = torch.randn(4, 3)
    expected = gradient(lambda x: x.tanh().sum(1), inputs)
    with torch.no_grad():
        found = gradient(lambda x: x.tanh().sum(1), inputs)
        assert not torch.is_grad_enabled()
    assert torch.equal(found, expected)
    assert found.abs().min() > 0
    assert not found.requires_grad


def test_weights_whose_gradients_are_off_count_as_any(gradient):
    net = nn.Sequential(nn.Linear(3, 4), nn.GELU(), nn.Linear(4, 1))
    inputs = torch.randn(5, 3)
    forward = lambda x: (net(x) @ net[0].weight[:1, :1])[:, 0]  # noqa: E731
    expected = gradient(forward, inputs)
    net.requires_grad_(False)
    assert torch.equal(gradient(forward, inputs), expected)
    assert expected.abs().min() > 0


def test_rows_do_not_depend_on_each_other(gradient):
    net = nn.Sequential(
        nn.Conv1d(2, 4, 3), nn.GroupNorm(2, 4), nn.SiLU(), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(12, 1)
    )
    net = net.double()
    inputs = torch.randn(6, 2, 8, dtype=torch.float64)
    forward = lambda x: net(x)[:, 0]  # noqa: E731
    whole = gradient(forward, inputs)
    torch.testing.assert_close(torch.cat([gradient(forward, row[None]) for row in inputs]), whole)


def test_half_the_digits_give_nearly_the_same(gradient):
    net = nn.Sequential(nn.Linear(6, 16), nn.LayerNorm(16), nn.Softplus(), nn.Linear(16, 1)).double()
    inputs = torch.randn(8, 6, dtype=torch.float64)
    expected = gradient(lambda x: net(x)[:, 0], inputs)
    net = net.float()
    found = gradient(lambda x: net(x)[:, 0].double(), inputs.float())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


def test_values_are_shown_to_the_last_digit(gradient):
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.SiLU(inplace=True), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 3), nn.Tanh()
    )
    seen = []

    def forward(x):
        seen.append(net(x))
        return seen[-1].sum(1)

    inputs = torch.randn(4, 2, 6, 6)
    gradient(forward, inputs)
    assert torch.equal(seen[-1].detach(), net(inputs).detach())


def test_inputs_that_are_written_to_are_the_networks_own(gradient):
    inputs = torch.randn(4, 3)
    kept = inputs.clone()

    def forward(x):
        x.mul_(2.0)
        x[:, 0] = 0.0
        return nn.ReLU(inplace=True)(x).sum(1)

    found = gradient(forward, inputs)
    assert torch.equal(inputs, kept)
    torch.testing.assert_close(found[:, 1:], 2.0 * (inputs[:, 1:] > 0))
    assert (found[:, 0] == 0).all()
