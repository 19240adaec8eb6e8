import math

import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from pipeline.errors import UnknownNameError
from pipeline.training.losses import LOSSES, make_loss


@pytest.fixture
def output():
    return torch.randn(6, 2, 1, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.fixture
def target():
    return torch.randn(6, 1, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


@pytest.fixture
def cells(row):
    return row(torch.ones(4)).cells(torch.ones(6, 1, 4, dtype=torch.bool))


def test_normal_nll_is_scipys_log_density(output, target, cells):
    loss = make_loss("normal_nll")
    expected = -norm.logpdf(target.numpy(), output[:, 0].numpy(), torch.exp(output[:, 1] / 2).numpy())
    assert loss(output, target, cells).numpy() == pytest.approx(expected, abs=1e-12)


def test_normal_nll_is_least_at_the_true_variance(cells):
    residual = torch.tensor([[[1.7]]])
    log_variance = torch.linspace(-2, 4, 6001)
    output = torch.stack([torch.zeros_like(log_variance), log_variance], 1)[:, :, None, None]
    values = make_loss("normal_nll")(output, residual.expand(6001, 1, 1), cells).flatten()
    assert log_variance[values.argmin()].item() == pytest.approx(math.log(1.7**2), abs=2e-3)


def test_log_variance_is_clamped(target, cells):
    wild = torch.stack([torch.zeros_like(target), torch.full_like(target, -50.0)], 1)
    tame = torch.stack([torch.zeros_like(target), torch.full_like(target, -10.0)], 1)
    loss = make_loss("normal_nll")
    assert torch.equal(loss(wild, target, cells), loss(tame, target, cells))
    assert loss.distribution(wild)["sd"].max().item() == pytest.approx(math.exp(-5))
    assert loss.distribution(-wild)["sd"].max().item() == pytest.approx(math.exp(5))


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_beta_nll_weights_the_likelihood_by_the_deviation(output, target, cells, beta):
    value = make_loss({"kind": "beta_nll", "beta": beta})(output, target, cells)
    sd = torch.exp(output[:, 1] / 2).numpy()
    expected = -norm.logpdf(target.numpy(), output[:, 0].numpy(), sd) * sd ** (2 * beta)
    assert value.numpy() == pytest.approx(expected, abs=1e-12)


def test_beta_nll_has_the_published_half_as_its_default(output, target, cells):
    half = make_loss({"kind": "beta_nll", "beta": 0.5})
    assert torch.equal(make_loss("beta_nll")(output, target, cells), half(output, target, cells))


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_beta_nll_gradients_in_closed_form(output, target, cells, beta):
    output.requires_grad_()
    make_loss({"kind": "beta_nll", "beta": beta})(output, target, cells).sum().backward()
    mean, log_variance = output.detach()[:, 0], output.detach()[:, 1]
    sd = torch.exp(log_variance / 2)
    # d/dm: s^(2 beta) (m - y) / s^2; d/dlog s^2: s^(2 beta) (1 - z^2) / 2, the weight held constant.
    weight = sd ** (2 * beta)
    torch.testing.assert_close(output.grad[:, 0], weight * (mean - target) / sd**2)
    torch.testing.assert_close(output.grad[:, 1], weight * 0.5 * (1 - ((target - mean) / sd) ** 2))


def test_mse_is_the_squared_error(output, target, cells):
    loss = make_loss("mse")
    assert torch.equal(loss(output[:, :1], target, cells), (output[:, 0] - target).square())
    assert torch.equal(loss.distribution(output[:, :1])["mean"], output[:, 0])


def test_mae_is_the_absolute_error(output, target, cells):
    values = make_loss("mae")(output[:, :1], target, cells)
    for value, mean, truth in zip(values.flatten(), output[:, 0].flatten(), target.flatten(), strict=True):
        assert value.item() == abs(mean.item() - truth.item())


def test_huber_by_hand(cells):
    output = torch.tensor([0.0, 0.5, -0.5, 3.0])[None, None, None]
    loss = make_loss({"kind": "huber", "delta": 0.5})
    values = loss(output, torch.zeros(1, 1, 4), cells)
    assert values.flatten().tolist() == pytest.approx([0.0, 0.125, 0.125, 0.5 * (3.0 - 0.25)])


def test_huber_lies_between_squared_and_absolute_errors(output, target, cells):
    wide, narrow = (make_loss({"kind": "huber", "delta": delta}) for delta in (1e4, 1e-4))
    point = output[:, :1]
    torch.testing.assert_close(wide(point, target, cells), 0.5 * make_loss("mse")(point, target, cells))
    absolute = make_loss("mae")(point, target, cells)
    torch.testing.assert_close(narrow(point, target, cells) / 1e-4, absolute, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("loss", "point"), [("mse", 3.0), ("mae", 1.0), ("huber", None)])
def test_point_losses_are_least_at_the_point_that_they_ask_for(loss, point, row):
    truth = torch.tensor([0.0, 0.5, 1.0, 2.5, 11.0], dtype=torch.float64)[:, None, None]
    cells = row(torch.ones(1)).cells(torch.ones(5, 1, 1, dtype=torch.bool))

    def value(mean):
        return make_loss(loss)(torch.full((5, 1, 1, 1), mean, dtype=torch.float64), truth, cells).mean().item()

    best = minimize_scalar(value, bounds=(0, 11), method="bounded", options={"xatol": 1e-8}).x
    if point is None:  # Huber's centre: where the clipped errors sum to zero
        assert torch.clamp(truth - best, -1, 1).sum().item() == pytest.approx(0.0, abs=1e-6)
    else:
        assert best == pytest.approx(point, abs=1e-5)


def test_unknown_loss_names_the_near_one():
    with pytest.raises(UnknownNameError, match=r"unknown loss 'normal_nl'\. Did you mean 'normal_nll'\? Known: "):
        LOSSES.get("normal_nl")
