"""Relevance by layers: Captum's and that of loops over single weights, and what is kept of the whole."""

import numpy as np
import pytest
import torch
from captum.attr import LRP
from captum.attr._utils.lrp_rules import EpsilonRule
from torch import nn
from torch.nn import functional

from pipeline.attribution._rules import AlphaBeta, Epsilon, NoRuleError, Z, lrp_gradient

RULES = [Z(), Epsilon(0.1), AlphaBeta(1.0, 0.0), AlphaBeta(2.0, 1.0)]


def maps(rows=5, channels=3, size=6):
    return torch.randn(rows, channels, size, size, dtype=torch.float64)


def small(bias=True, pool=nn.MaxPool2d):
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, bias=bias), nn.ReLU(), pool(2), nn.Conv2d(4, 4, 3, padding=1, bias=bias),
        nn.ReLU(), nn.Flatten(), nn.Linear(36, 5, bias=bias), nn.ReLU(), nn.Linear(5, 1, bias=bias),
    ).double()  # fmt: skip


def relevance(forward, inputs, rule):
    found = lrp_gradient(forward, inputs, rule)
    assert found.shape == inputs.shape
    assert found.dtype == inputs.dtype
    return inputs * found


@pytest.mark.parametrize("pool", [nn.AvgPool2d, nn.MaxPool2d])
@pytest.mark.parametrize("eps", [1e-9, 0.1])
def test_epsilon_is_captums(pool, eps):
    net, inputs = small(pool=pool), maps()
    for module in net:
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.rule = EpsilonRule(eps)
        elif isinstance(module, nn.Flatten):  # Captum knows no rule of it
            module.rule = EpsilonRule(1e-12)
    expected = LRP(net).attribute(inputs, target=0)
    assert expected.abs().max() > 0
    torch.testing.assert_close(relevance(lambda x: net(x)[:, 0], inputs, Epsilon(eps)), expected, rtol=1e-6, atol=1e-9)


def test_z_with_relu_is_input_times_gradient():
    net = small()

    def forward(x):
        x = functional.interpolate(torch.cat([x[:, :2], x[:, 1:2].relu()], 1), size=6, mode="bilinear")
        return net(functional.leaky_relu(x, 0.2))[:, 0]

    inputs = maps().requires_grad_()
    gradient = torch.autograd.grad(forward(inputs).sum(), inputs)[0]
    torch.testing.assert_close(lrp_gradient(forward, inputs, Z()), gradient, rtol=1e-12, atol=1e-15)


def by_hand(inputs, layers, alpha, beta):
    """Return the relevance of one row by loops over single weights; layers are (weight, bias), ReLU between them."""
    values = [inputs]
    for number, (weight, bias) in enumerate(layers):
        z = weight @ values[-1] + bias
        values.append(z if number == len(layers) - 1 else np.maximum(z, 0))
    found = values[-1]
    for (weight, bias), below in zip(reversed(layers), reversed(values[:-1]), strict=True):
        handed = np.zeros_like(below)
        for j in range(len(weight)):
            raising, lowering = max(bias[j], 0.0), min(bias[j], 0.0)
            for i in range(len(below)):
                raising += max(weight[j, i] * below[i], 0.0)
                lowering += min(weight[j, i] * below[i], 0.0)
            for i in range(len(below)):
                part = weight[j, i] * below[i]
                if part > 0:
                    handed[i] += alpha * part / raising * found[j]
                elif part < 0:
                    handed[i] -= beta * part / lowering * found[j]
        found = handed
    return found


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 0.0), (2.0, 1.0), (1.5, 0.5)])
@pytest.mark.parametrize("product", ["linear", "matmul", "einsum", "conv"])
def test_alpha_beta_is_that_of_loops_over_weights(alpha, beta, product):
    weights = [nn.Parameter(torch.randn(out, given).double()) for given, out in ((6, 5), (5, 4), (4, 1))]
    biases = [torch.randn(len(weight)).double() * (product in ("linear", "conv")) for weight in weights]
    inputs = torch.randn(7, 6).double()
    assert (inputs < 0).any()

    def layer(x, weight, bias):
        if product == "conv":
            return functional.conv1d(x[..., None], weight[..., None], bias)[..., 0]
        if product == "einsum":
            return torch.einsum("ri,ji->rj", x, weight)
        return x @ weight.T if product == "matmul" else functional.linear(x, weight, bias)

    def forward(x):
        for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            x = layer(x if number == 0 else x.relu(), weight, bias)
        return x[:, 0]

    pairs = [(weight.detach().numpy(), bias.numpy()) for weight, bias in zip(weights, biases, strict=True)]
    expected = np.stack([by_hand(row, pairs, alpha, beta) for row in inputs.numpy()])
    found = relevance(forward, inputs, AlphaBeta(alpha, beta))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("rule", [Z(), AlphaBeta(1.0, 0.0), AlphaBeta(2.0, 1.0)])
def test_without_biases_the_whole_is_kept(rule):
    net, inputs = small(bias=False, pool=nn.AvgPool2d), maps()
    forward = lambda x: net(x).tanh()[:, 0]  # noqa: E731
    kept = relevance(forward, inputs, rule).sum((1, 2, 3))
    whole = forward(inputs).detach()
    assert whole.abs().min() > 0
    torch.testing.assert_close(kept, whole, rtol=1e-9, atol=1e-12)


def test_a_bias_takes_its_part():
    layer = nn.Linear(2, 1)
    with torch.no_grad():
        layer.weight[:] = torch.tensor([3.0, -1.0])
        layer.bias[:] = 6.0
    inputs = torch.tensor([[2.0, 4.0]])
    for rule, expected in (
        (Z(), [6.0, -4.0]),
        (Epsilon(8.0), [3.0, -2.0]),
        (AlphaBeta(1.0, 0.0), [4.0, 0.0]),
        (AlphaBeta(2.0, 1.0), [8.0, -8.0]),
    ):
        torch.testing.assert_close(relevance(lambda x: layer(x)[:, 0], inputs, rule), torch.tensor([expected]))


@pytest.mark.parametrize("rule", RULES)
def test_a_linear_network_gives_its_weights_where_it_is_no_layer(rule):
    kept = torch.randn(3, 6, 6).double()  # a buffer, not learned

    def forward(x):
        wide = functional.avg_pool2d(functional.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
        return (wide * kept).sum((1, 2, 3)) + (x[:, 0] @ kept[0]).mean((1, 2))

    inputs = maps().requires_grad_()
    gradient = torch.autograd.grad(forward(inputs).sum(), inputs)[0]
    torch.testing.assert_close(lrp_gradient(forward, inputs, rule), gradient)


@pytest.mark.parametrize("rule", RULES)
def test_what_a_network_ignores_gets_exactly_nothing(rule):
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.SiLU(), nn.Flatten(), nn.Linear(64, 1)).double()
    found = lrp_gradient(lambda x: net(x[:, 1:2])[:, 0], maps(), rule)
    assert found[:, 1].abs().max() > 0
    assert (found[:, [0, 2]] == 0).all()


def test_a_signal_takes_all_of_what_a_gate_lets_through():
    inputs = torch.tensor([[1.0, 2.0, -3.0]])
    for forward in (
        lambda x: x[:, 0].sigmoid() * x[:, 1],
        lambda x: (x[:, 0] * 2).sigmoid_().add_(1.0) * x[:, 1].sigmoid().copy_(x[:, 1]),
        lambda x: x[:, 1] * (1.0 - x[:, :1].neg().sigmoid()).expand(-1, 3)[:, 2],
        lambda x: (x[:, 1:2] @ torch.stack([x[:, 0], x[:, 0]], 1).softmax(1)[:, :1].unflatten(0, (1, 1)))[0, 0, :1],
    ):
        found = relevance(forward, inputs, Z())
        assert found[0, 0] == 0
        torch.testing.assert_close(found[:, 1], forward(inputs))


def test_of_two_of_a_kind_each_gets_half_and_of_a_quotient_the_numerator_all():
    inputs = torch.tensor([[1.0, 2.0, -3.0]])
    for forward, expected in (
        (lambda x: x[:, 1] * x[:, 2], [0.0, -3.0, -3.0]),
        (lambda x: x[:, 1] * x[:, 1], [0.0, 4.0, 0.0]),
        (lambda x: x[:, 1] ** 2, [0.0, 4.0, 0.0]),
        (lambda x: x[:, 1].sigmoid() * x[:, 2].sigmoid().log(), None),
        (lambda x: x[:, 1] / x[:, 2], [0.0, -2 / 3, 0.0]),
        (lambda x: 3.0 / x[:, 2], [0.0, 0.0, -1.0]),
        (lambda x: x[:, 1].log(), [0.0, 0.6931472, 0.0]),
        (lambda x: x[:, 0].exp(), [1.7182818, 0.0, 0.0]),  # 1 is what it answers to zero
    ):
        found = relevance(forward, inputs, Z())
        if expected is None:
            assert found[0, 1] == 0
            assert found[0, 2] != 0
        else:
            torch.testing.assert_close(found, torch.tensor([expected]))


def test_at_zero_the_slope_is_the_derivative():
    found = lrp_gradient(
        lambda x: x.tanh().sum(1) + functional.gelu(x).sum(1) + x.relu().sum(1), torch.zeros(1, 2), Z()
    )
    torch.testing.assert_close(found, torch.full((1, 2), 1.5))


@pytest.mark.parametrize("norm", [nn.GroupNorm(2, 4), nn.LayerNorm((6, 6)), nn.InstanceNorm2d(4), nn.RMSNorm((6, 6))])
def test_norms_hand_on_by_fixed_statistics(norm):
    norm = norm.double()
    inputs = maps(2, 4).mul(3).add(1)
    with torch.no_grad():
        axes = {nn.GroupNorm: None, nn.InstanceNorm2d: (2, 3)}.get(type(norm), (2, 3))
        groups = inputs if axes else inputs.reshape(2, 2, -1)
        moment = groups.square() if isinstance(norm, nn.RMSNorm) else (groups - groups.mean(axes or 2, True)).square()
        scale = moment.mean(axes or 2, True).sqrt()
        expected = (1 / scale).expand_as(groups).reshape(inputs.shape)
    found = lrp_gradient(lambda x: norm(x).sum((1, 2, 3)), inputs, Z())
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=0)


def test_softmax_and_what_is_kept_from_the_gradient_are_as_in_the_gradient():
    weight = torch.randn(3, 6, 6).double()
    inputs = maps().requires_grad_()
    forward = lambda x: (x.softmax(1) * weight).sum((1, 2, 3)) + x.detach().sum((1, 2, 3))  # noqa: E731
    gradient = torch.autograd.grad(forward(inputs).sum(), inputs)[0]
    torch.testing.assert_close(lrp_gradient(forward, inputs, Z()), gradient)


def test_three_factors_and_layers_of_two_weights_are_refused():
    weights = [nn.Parameter(torch.ones(3, 3)) for _ in range(2)]
    with pytest.raises(NoRuleError, match=r"torch\.functional\.einsum of 3 tensors"):
        lrp_gradient(lambda x: torch.einsum("ri,ri,ri->r", x, x, x), torch.ones(1, 3), Z())
    with pytest.raises(NoRuleError, match="of 2 tensors of weights"):
        lrp_gradient(lambda x: torch.einsum("ri,ij,jk->r", x, *weights), torch.ones(1, 3), AlphaBeta())


@pytest.mark.parametrize("make", [lambda: Epsilon(-1.0), lambda: AlphaBeta(2.0, 0.5), lambda: AlphaBeta(0.5, -0.5)])
def test_rules_without_meaning_are_refused(make):
    with pytest.raises(ValueError, match="expected"):
        make()
