"""The likelihood of a mixture of normals and its head."""

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import norm

from pipeline.errors import ConfigError
from pipeline.prediction import Prediction
from pipeline.training.losses import make_loss


@pytest.fixture
def cells(row):
    def make(target):
        return row(torch.ones(target.shape[-1], dtype=target.dtype)).cells(torch.ones_like(target, dtype=torch.bool))

    return make


def drawn(loss, seed=1, count=6):
    random = torch.Generator().manual_seed(seed)
    output = torch.randn(count, len(loss.parameters), 2, 4, generator=random, dtype=torch.float64)
    return output, torch.randn(count, 2, 4, generator=random, dtype=torch.float64)


def host(loss, output):
    return {name: values.detach().numpy() for name, values in loss.distribution(output).items()}


@pytest.mark.parametrize("components", [2, 3, 8])
def test_loss_is_scipys_likelihood_and_the_familys(cells, components):
    loss = make_loss({"kind": "mixture_nll", "components": components})
    output, target = drawn(loss)
    values, parts = loss(output, target, cells(target)).numpy(), host(loss, output)
    logs = norm.logpdf(target.numpy(), parts["mean"], parts["sd"])
    np.testing.assert_allclose(values, -logsumexp(logs, axis=0, b=parts["weight"]), rtol=1e-9)
    p = Prediction("weighted_mixture", parts)
    np.testing.assert_allclose(values, p.nll(target.numpy()), rtol=1e-9)
    np.testing.assert_allclose(parts["weight"].sum(axis=0), 1.0, rtol=1e-12)
    np.testing.assert_allclose(parts["centre"][0], p.mean(), rtol=1e-9)


def test_two_equal_components_are_a_normal(cells):
    loss, normal = make_loss({"kind": "mixture_nll", "components": 2}), make_loss("normal_nll")
    _, target = drawn(normal)
    start = torch.tensor(loss._start, dtype=torch.float64)
    output = torch.zeros(6, 6, 2, 4, dtype=torch.float64)
    output[:, 2:4] = 0.7 - start[:, None, None]  # both means at 0.7
    output[:, 4:] = -loss._log_variance + 0.3
    single = torch.tensor([0.7, 0.3], dtype=torch.float64)[None, :, None, None].expand(6, 2, 2, 4)
    found, expected = loss(output, target, cells(target)), normal(single, target, cells(target))
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-12)


@pytest.mark.parametrize("components", [2, 3, 20])
def test_an_answer_of_zeros_has_mean_zero_and_variance_one(components):
    loss = make_loss({"kind": "mixture_nll", "components": components})
    p = Prediction("weighted_mixture", host(loss, torch.zeros(1, 3 * components, 1, 1, dtype=torch.float64)))
    assert p.mean().item() == pytest.approx(0.0, abs=1e-12)
    assert p.variance().item() == pytest.approx(1.0, rel=1e-9)
    assert (np.diff(p.parameters["mean"], axis=0) > 0).all()
    assert loss.locations == loss.parameters[components : 2 * components]


def test_gradient_descent_tells_two_peaks_apart(cells):
    """Values of two normals, a third at -2 and two thirds at 2: no single normal says that."""
    rng = np.random.default_rng(3)
    first = rng.random((3000, 1, 1)) < 1 / 3
    sample = rng.normal(np.where(first, -2.0, 2.0), np.where(first, 0.3, 0.6))
    loss = make_loss({"kind": "mixture_nll", "components": 2})
    output = torch.zeros(1, 6, 1, 1, dtype=torch.float64, requires_grad=True)
    target = torch.tensor(sample)
    optimizer = torch.optim.LBFGS([output], max_iter=200, line_search_fn="strong_wolfe")

    def value():
        optimizer.zero_grad()
        total = loss(output.expand(3000, -1, -1, -1), target, cells(target)).mean()
        total.backward()
        return total

    optimizer.step(value)
    found = {name: values[:, 0, 0, 0] for name, values in host(loss, output).items()}
    np.testing.assert_allclose(found["weight"], [1 / 3, 2 / 3], atol=0.03)
    np.testing.assert_allclose(found["mean"], [-2.0, 2.0], atol=0.05)
    np.testing.assert_allclose(found["sd"], [0.3, 0.6], atol=0.03)
    assert value().item() < -norm.logpdf(sample, *norm.fit(sample)).mean() - 0.5  # far below that of one normal


def test_no_component_is_narrower_than_the_bound(cells):
    loss = make_loss("mixture_nll")
    output = torch.full((1, 9, 1, 1), -1e4)
    np.testing.assert_allclose(host(loss, output)["sd"], np.exp(-5.0), rtol=1e-5)


def test_one_component_is_refused():
    with pytest.raises(ConfigError, match=r"loss 'mixture_nll': components: .*greater than or equal to 2"):
        make_loss({"kind": "mixture_nll", "components": 1})
