"""The pinball loss and its head."""

import numpy as np
import pytest
import torch
from scipy.stats import norm
from sklearn.metrics import mean_pinball_loss

from pipeline.errors import ConfigError
from pipeline.prediction import Prediction
from pipeline.prediction.quantiles import levels
from pipeline.training.losses import make_loss


@pytest.fixture
def cells(row):
    def make(target):
        return row(torch.ones(target.shape[-1], dtype=target.dtype)).cells(torch.ones_like(target, dtype=torch.bool))

    return make


def drawn(loss, seed=1, count=6):
    random = torch.Generator().manual_seed(seed)
    shape = (count, len(loss.parameters), 2, 4)
    output = 2 * torch.randn(shape, generator=random, dtype=torch.float64)
    return output, torch.randn(count, 2, 4, generator=random, dtype=torch.float64)


def host(loss, output):
    return {name: values.detach().numpy() for name, values in loss.distribution(output).items()}


@pytest.mark.parametrize("count", [3, 5, 39])
def test_loss_is_the_mean_over_levels_of_twice_the_pinball_loss(cells, count):
    loss = make_loss({"kind": "quantile", "count": count})
    output, target = drawn(loss)
    values, quantiles = loss(output, target, cells(target)), host(loss, output)["quantiles"]
    for place in np.ndindex(*values.shape):
        truth, said = target[place].item(), quantiles[(slice(None), *place)]
        parts = [mean_pinball_loss([truth], [q], alpha=level) for q, level in zip(said, levels(count), strict=True)]
        assert values[place].item() == pytest.approx(2 * np.mean(parts), rel=1e-9)


def test_loss_of_many_levels_is_the_crps_of_the_family(cells):
    loss = make_loss({"kind": "quantile", "count": 199})
    output, target = drawn(loss)
    expected = Prediction("quantiles", host(loss, output)).crps(target.numpy())
    np.testing.assert_allclose(loss(output, target, cells(target)).numpy(), expected, rtol=0.03)


def test_an_answer_of_zeros_is_the_standard_normal():
    loss = make_loss("quantile")
    p = Prediction("quantiles", host(loss, torch.zeros(1, 39, 1, 1, dtype=torch.float64)))
    np.testing.assert_allclose(p.parameters["quantiles"].ravel(), norm.ppf(levels(39)), atol=1e-7)
    assert p.mean().item() == pytest.approx(0.0, abs=1e-7)
    assert p.variance().item() == pytest.approx(1.0, rel=3e-3)


@pytest.mark.parametrize("size", [0.1, 10.0, 1e5])
def test_quantiles_never_cross(size):
    loss = make_loss("quantile")
    p = host(loss, size * drawn(loss)[0].float())
    assert (np.diff(p["quantiles"], axis=0) >= 0).all()
    assert (p["lowest"] <= p["quantiles"][0]).all()
    assert (p["highest"] >= p["quantiles"][-1]).all()


def test_every_number_moves_what_its_name_says():
    loss = make_loss({"kind": "quantile", "count": 5})
    assert loss.parameters == ("median", "below_1", "below_2", "above_1", "above_2")
    assert loss.locations == ("median",)
    zero = torch.zeros(1, 5, 1, 1, dtype=torch.float64)
    still = host(loss, zero)["quantiles"].ravel()
    moved = {}
    for number, name in enumerate(loss.parameters):
        output = zero.clone()
        output[:, number] = 1.0
        moved[name] = (np.abs(host(loss, output)["quantiles"].ravel() - still) > 1e-9).tolist()
    assert moved == {
        "median": [True] * 5,
        "below_1": [True, True, False, False, False],
        "below_2": [True, False, False, False, False],
        "above_1": [False, False, False, True, True],
        "above_2": [False, False, False, False, True],
    }


def test_gradient_descent_comes_to_the_quantiles_of_the_sample(cells):
    """Two samples of 53 skew values: level times 53 is never whole, so that each quantile is one of the values."""
    sample = np.random.default_rng(5).gamma(1.5, 1.0, (53, 1, 2))
    loss = make_loss({"kind": "quantile", "count": 7})
    output = torch.zeros(1, 7, 1, 2, dtype=torch.float64, requires_grad=True)
    target = torch.tensor(sample)
    optimizer = torch.optim.Adam([output], lr=0.1)
    for step in range(1500):
        optimizer.param_groups[0]["lr"] = 0.1 * (1 - step / 1500)
        optimizer.zero_grad()
        loss(output.expand(53, -1, -1, -1), target, cells(target)).mean().backward()
        optimizer.step()
    found = host(loss, output)["quantiles"][:, 0, 0]
    expected = np.quantile(sample[:, 0], levels(7), axis=0, method="inverted_cdf")
    np.testing.assert_allclose(found, expected, atol=0.02)


@pytest.mark.parametrize(
    ("count", "message"),
    [
        (4, r"loss 'quantile': count: .*expected an odd number, so that the median is one of them, got 4"),
        (1, r"loss 'quantile': count: .*greater than or equal to 3"),
    ],
)
def test_a_count_without_a_middle_is_refused(count, message):
    with pytest.raises(ConfigError, match=message):
        make_loss({"kind": "quantile", "count": count})
