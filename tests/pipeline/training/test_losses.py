import math

import pytest
import torch
from scipy.stats import norm

from pipeline.errors import UnknownNameError
from pipeline.training.losses import LOSSES


@pytest.fixture
def output():
    return torch.randn(6, 2, 1, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.fixture
def target():
    return torch.randn(6, 1, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def test_normal_nll_is_scipys_log_density(output, target):
    loss = LOSSES.get("normal_nll")()
    expected = -norm.logpdf(target.numpy(), output[:, 0].numpy(), torch.exp(output[:, 1] / 2).numpy())
    assert loss(output, target).numpy() == pytest.approx(expected, abs=1e-12)


def test_normal_nll_is_least_at_the_true_variance():
    residual = torch.tensor([[[1.7]]])
    log_variance = torch.linspace(-2, 4, 6001)
    output = torch.stack([torch.zeros_like(log_variance), log_variance], 1)[:, :, None, None]
    values = LOSSES.get("normal_nll")()(output, residual.expand(6001, 1, 1)).flatten()
    assert log_variance[values.argmin()].item() == pytest.approx(math.log(1.7**2), abs=2e-3)


def test_log_variance_is_clamped(target):
    wild = torch.stack([torch.zeros_like(target), torch.full_like(target, -50.0)], 1)
    tame = torch.stack([torch.zeros_like(target), torch.full_like(target, -10.0)], 1)
    loss = LOSSES.get("normal_nll")()
    assert torch.equal(loss(wild, target), loss(tame, target))
    assert loss.distribution(wild)["sd"].max().item() == pytest.approx(math.exp(-5))
    assert loss.distribution(-wild)["sd"].max().item() == pytest.approx(math.exp(5))


def test_beta_nll_weights_the_likelihood_by_the_deviation(output, target):
    value = LOSSES.get("beta_nll")()(output, target)
    expected = -norm.logpdf(target.numpy(), output[:, 0].numpy(), torch.exp(output[:, 1] / 2).numpy())
    expected *= torch.exp(output[:, 1] / 2).numpy()  # (s^2)^0.5
    assert value.numpy() == pytest.approx(expected, abs=1e-12)


def test_beta_nll_gradients_in_closed_form(output, target):
    output.requires_grad_()
    LOSSES.get("beta_nll")()(output, target).sum().backward()
    mean, log_variance = output.detach()[:, 0], output.detach()[:, 1]
    sd = torch.exp(log_variance / 2)
    # d/dm: s^(2 beta) (m - y) / s^2; d/dlog s^2: s^(2 beta) (1 - z^2) / 2, the weight held constant.
    torch.testing.assert_close(output.grad[:, 0], sd * (mean - target) / sd**2)
    torch.testing.assert_close(output.grad[:, 1], sd * 0.5 * (1 - ((target - mean) / sd) ** 2))


def test_mse_is_the_squared_error(output, target):
    loss = LOSSES.get("mse")()
    assert torch.equal(loss(output[:, :1], target), (output[:, 0] - target).square())
    assert torch.equal(loss.distribution(output[:, :1])["mean"], output[:, 0])


def test_unknown_loss_names_the_near_one():
    with pytest.raises(UnknownNameError, match=r"unknown loss 'normal_nl'\. Did you mean 'normal_nll'\? Known: "):
        LOSSES.get("normal_nl")
