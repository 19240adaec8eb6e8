"""Every registered loss fits the loop and makes a valid distribution."""

import pytest
import torch

from pipeline.prediction import FAMILIES, Prediction
from pipeline.training.losses import LOSSES


@pytest.fixture(params=LOSSES.names())
def loss(request):
    return LOSSES.get(request.param)()


@pytest.fixture
def output(loss):
    return torch.randn(7, len(loss.parameters), 2, 5, generator=torch.Generator().manual_seed(0))


def test_is_finite_cell_by_cell(loss, output):
    target = torch.randn(7, 2, 5, generator=torch.Generator().manual_seed(1))
    values = loss(output, target)
    assert values.shape == target.shape
    assert torch.isfinite(values).all()
    # A cell's loss depends on that cell alone, else masks would leak.
    changed = target.clone()
    changed[0, 0, 0] += 1.0
    assert (loss(output, changed) != values).nonzero().tolist() == [[0, 0, 0]]


def test_has_finite_gradients(loss, output):
    output.requires_grad_()
    loss(output, torch.zeros(7, 2, 5)).sum().backward()
    assert torch.isfinite(output.grad).all()
    assert output.grad.abs().sum() > 0


def test_makes_a_distribution_of_its_family(loss, output):
    assert loss.family in FAMILIES
    prediction = Prediction(loss.family, {name: p.numpy() for name, p in loss.distribution(output).items()})
    assert prediction.mean().shape == (7, 2, 5)
    assert (prediction.mean() == loss.distribution(output)["mean"].numpy()).all()


def test_gradient_descent_finds_a_constant(loss):
    output = torch.zeros(1, len(loss.parameters), 1, 1, requires_grad=True)
    target = torch.tensor([1.0, 2.0, 3.0])[:, None, None]
    optimizer = torch.optim.Adam([output], lr=0.05)
    for _ in range(600):
        optimizer.zero_grad()
        loss(output.expand(3, -1, -1, -1), target).mean().backward()
        optimizer.step()
    assert loss.distribution(output)["mean"].item() == pytest.approx(2.0, abs=0.02)
