"""Every registered loss fits the loop and makes a valid distribution."""

import pytest
import torch

from pipeline.prediction import FAMILIES, Prediction
from pipeline.training.losses import LOSSES, Loss, Place, make_loss

TARGETS, ROWS, COLUMNS = 2, 2, 3  # five of six cells are in the mask
PLACE = Place(
    area=torch.tensor([0.8, 0.9, 1.0, 1.1, 1.2]),
    index=torch.tensor([0, 1, 3, 4, 5]),
    shape=(ROWS, COLUMNS),
    scale=torch.full((TARGETS, 5), 2.0),
    shift=torch.zeros(TARGETS, 5),
)
# What gradient descent comes to for the truths 1, 2 and 3: all have their centre at 2, but ASYM asks for
# more, and eight members at three values need not have their mean in the middle one.
CENTRE = {"asym": (2.0, 3.0), "fair_crps": (1.5, 2.5), "energy_score": (1.5, 2.5), "spectral_crps": (1.5, 2.5)}


def of(values, known=None):
    return PLACE.cells(torch.ones_like(values, dtype=torch.bool) if known is None else known)


@pytest.fixture(params=LOSSES.names())
def loss(request):
    made = make_loss(request.param)
    train = 3 * torch.rand(60, TARGETS, 5, generator=torch.Generator().manual_seed(5))
    made.fit(train, of(train))
    return made


@pytest.fixture
def output(loss):
    return torch.randn(7, len(loss.parameters), TARGETS, 5, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def target():
    """Amounts, a third of them zero, so that losses of precipitation have their say."""
    return torch.randn(7, TARGETS, 5, generator=torch.Generator().manual_seed(1)).clamp(min=0.0)


def test_is_a_loss_with_options(loss):
    assert isinstance(loss, Loss)
    assert isinstance(loss.config, loss.Config)
    assert loss.parameters
    assert len(set(loss.parameters)) == len(loss.parameters)


def test_is_finite_and_as_wide_as_the_target_or_its_fields(loss, output, target):
    values = loss(output, target, of(target))
    assert torch.isfinite(values).all()
    assert torch.broadcast_shapes(values.shape, target.shape) == target.shape
    assert values.shape[0] == len(target)


def test_what_stands_where_truth_is_missing_changes_nothing(loss, output, target):
    known = torch.rand(target.shape, generator=torch.Generator().manual_seed(2)) < 0.7
    known[3] = False  # a day without any
    cells = of(target, known)
    output.requires_grad_()
    values = torch.where(known, loss(output, target, cells), 0.0)
    other = torch.where(known, loss(output, torch.where(known, target, 9.0), cells), 0.0)
    torch.testing.assert_close(values, other, rtol=0, atol=0)
    (values * PLACE.area).sum().backward()
    assert torch.isfinite(output.grad).all()
    unknown = ~known[:, None].expand_as(output)
    assert (output.grad[unknown] == 0).all()
    assert (output.grad[~unknown] != 0).any()


def test_samples_do_not_touch_each_other(loss, output, target):
    whole = loss(output, target, of(target))
    torch.testing.assert_close(loss(output[2:3], target[2:3], of(target[2:3])), whole[2:3])


@pytest.mark.parametrize("extreme", [0.0, 1e-30, 1e4, -1e4, 1e6, -1e6])
def test_has_finite_values_and_gradients_at_extremes(loss, output, extreme):
    wild = (torch.full_like(output, extreme) * torch.linspace(0.9, 1.0, 5)).requires_grad_()
    for truth in (0.0, 1e-30, 1e4):
        amount = torch.full((7, TARGETS, 5), truth)
        values = loss(wild, amount, of(amount))
        values.sum().backward()
        assert torch.isfinite(values).all()
        assert torch.isfinite(wild.grad).all()
        for part in loss.distribution(wild).values():
            assert torch.isfinite(part).all()


def test_learns_from_an_ordinary_output(loss, output, target):
    output.requires_grad_()
    loss(output, target, of(target)).sum().backward()
    assert (output.grad.abs().sum(dim=(0, 2, 3)) > 0).all()


def test_makes_a_distribution_of_its_family(loss, output):
    if loss.family not in FAMILIES:
        pytest.fail(f"{loss.family} is not registered")
    prediction = Prediction(loss.family, {name: p.numpy() for name, p in loss.distribution(output).items()})
    assert prediction.mean().shape == (7, TARGETS, 5)
    torch.testing.assert_close(torch.as_tensor(prediction.mean()), loss.mean(output), rtol=1e-5, atol=1e-6)


def test_gradient_descent_finds_a_constant(loss):
    output = torch.zeros(1, len(loss.parameters), TARGETS, 5).requires_grad_()
    target = torch.tensor([1.0, 2.0, 3.0])[:, None, None].expand(3, TARGETS, 5)
    optimizer = torch.optim.Adam([output], lr=0.05)
    for step in range(600):
        optimizer.param_groups[0]["lr"] = 0.05 * (1 - step / 600)
        optimizer.zero_grad()
        loss(output.expand(3, -1, -1, -1), target, of(target)).mean().backward()
        optimizer.step()
    kind = next(name for name in LOSSES.names() if LOSSES.get(name) is type(loss))
    least, most = CENTRE.get(kind, (1.98, 2.02))
    assert ((loss.mean(output) >= least) & (loss.mean(output) <= most)).all()
