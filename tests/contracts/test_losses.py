"""Every registered loss fits the loop and makes a valid distribution."""

import pytest
import torch

from pipeline.errors import ConfigError, DataError
from pipeline.prediction import FAMILIES, Prediction
from pipeline.training.losses import LOSSES, Loss, Place, check_task, make_loss

OF_CLASSES = [name for name in LOSSES.names() if LOSSES.get(name).of_classes]
OF_NUMBERS = [name for name in LOSSES.names() if name not in OF_CLASSES]
CLASSES = ("sea", "ice", "land")

TARGETS, ROWS, COLUMNS = 2, 2, 3  # five of six cells are in the mask
PLACE = Place(
    area=torch.tensor([0.8, 0.9, 1.0, 1.1, 1.2]),
    index=torch.tensor([0, 1, 3, 4, 5]),
    shape=(ROWS, COLUMNS),
    scale=torch.full((TARGETS, 5), 2.0),
    shift=torch.zeros(TARGETS, 5),
)
# What gradient descent comes to for the truths 1, 2 and 3: all have their centre at 2, but ASYM asks for
# more, and eight members, or quantiles, at three values need not have their mean in the middle one.
CENTRE = {"asym": (2.0, 3.0), "fair_crps": (1.5, 2.5), "energy_score": (1.5, 2.5), "spectral_crps": (1.5, 2.5),
          "quantile": (1.9, 2.1)}  # fmt: skip


def of(values, known=None):
    return PLACE.cells(torch.ones_like(values, dtype=torch.bool) if known is None else known)


@pytest.fixture(params=OF_NUMBERS)
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


@pytest.fixture(params=OF_CLASSES)
def of_classes(request):
    made = make_loss(request.param, CLASSES)
    labels = torch.randint(0, 3, (60, TARGETS, 5), generator=torch.Generator().manual_seed(5)).float()
    made.fit(labels, of(labels))
    return made


@pytest.fixture
def logits():
    return torch.randn(7, 3, TARGETS, 5, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def labels():
    return torch.randint(0, 3, (7, TARGETS, 5), generator=torch.Generator().manual_seed(1)).float()


def total(values, target, known=None):
    """Return what the loop makes of a loss: its mean by area over what is known."""
    cells = of(target, known)
    weight = (cells.known * cells.area).double()
    return (torch.where(cells.known, values, 0.0) * weight).sum() / weight.sum()


def test_a_loss_of_classes_asks_for_one_logit_each(of_classes):
    assert isinstance(of_classes.config, of_classes.Config)
    assert of_classes.classes == CLASSES
    assert of_classes.parameters == ("logit_00", "logit_01", "logit_02")
    assert (of_classes.family, of_classes.of_classes) == ("categorical", True)
    kind = next(name for name in OF_CLASSES if LOSSES.get(name) is type(of_classes))
    assert make_loss(kind, 3).parameters == of_classes.parameters


def test_a_loss_of_classes_is_finite_and_as_wide_as_the_target_or_its_fields(of_classes, logits, labels):
    values = of_classes(logits, labels, of(labels))
    assert torch.isfinite(values).all()
    assert torch.broadcast_shapes(values.shape, labels.shape) == labels.shape
    assert values.shape[0] == len(labels)
    assert values.dtype == torch.float32


def test_labels_that_are_missing_change_nothing(of_classes, logits, labels):
    known = torch.rand(labels.shape, generator=torch.Generator().manual_seed(2)) < 0.7
    known[3] = False
    cells = of(labels, known)
    logits.requires_grad_()
    one = total(of_classes(logits, labels, cells), labels, known)
    other = total(of_classes(logits, torch.where(known, labels, 2.0), cells), labels, known)
    torch.testing.assert_close(one, other, rtol=0, atol=0)
    one.backward()
    unknown = ~known[:, None].expand_as(logits)
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad[unknown] == 0).all()
    assert (logits.grad[~unknown] != 0).all()


def test_no_label_at_all_gives_no_gradient(of_classes, logits, labels):
    logits.requires_grad_()
    known = torch.zeros_like(labels, dtype=torch.bool)
    values = of_classes(logits, torch.zeros_like(labels), of(labels, known))
    (torch.where(known, values, 0.0) * PLACE.area).sum().backward()
    assert torch.isfinite(values).all()
    assert (logits.grad == 0).all()


@pytest.mark.parametrize("extreme", [0.0, 1e-30, 1e4, -1e4, 1e6])
@pytest.mark.parametrize("seen", [(0,), (1,), (0, 2), (0, 1, 2)], ids=str)
def test_logits_at_extremes_and_classes_that_are_absent_leave_it_finite(of_classes, extreme, seen):
    sign = torch.tensor([1.0, -0.5, 0.25])[:, None, None]
    wild = (extreme * sign * torch.linspace(0.9, 1.0, 5)).expand(7, 3, TARGETS, 5).clone().requires_grad_()
    target = torch.tensor(seen).float()[torch.arange(7 * TARGETS * 5) % len(seen)].reshape(7, TARGETS, 5)
    values = of_classes(wild, target, of(target))
    values.sum().backward()
    assert torch.isfinite(values).all()
    assert (values >= 0).all()
    assert torch.isfinite(wild.grad).all()
    assert torch.isfinite(of_classes.distribution(wild)["probabilities"]).all()


def test_a_perfect_forecast_has_no_loss_and_the_worst_has_more_than_none(of_classes, labels):
    right = 40.0 * torch.nn.functional.one_hot(labels.long(), 3).movedim(-1, 1)
    loss = {name: total(of_classes(out, labels, of(labels)), labels) for name, out in
            {"right": right, "none": 0 * right, "wrong": -right}.items()}  # fmt: skip
    assert loss["right"].item() == pytest.approx(0.0, abs=1e-6)
    assert loss["right"] < loss["none"] < loss["wrong"]


def test_a_constant_on_all_logits_changes_nothing(of_classes, logits, labels):
    shift = torch.linspace(-3, 3, 5)
    values = of_classes(logits, labels, of(labels))
    torch.testing.assert_close(of_classes(logits + shift, labels, of(labels)), values, rtol=1e-4, atol=1e-5)


def test_classes_have_no_order(of_classes, logits, labels):
    order = torch.tensor([2, 0, 1])
    kind = next(name for name in OF_CLASSES if LOSSES.get(name) is type(of_classes))
    renamed = make_loss(kind, tuple(CLASSES[number] for number in order.argsort()))
    values = of_classes(logits, labels, of(labels))
    other = renamed(logits[:, order.argsort()], order[labels.long()].float(), of(labels))
    torch.testing.assert_close(other, values)


def test_a_loss_of_classes_makes_probabilities(of_classes, logits):
    prediction = Prediction("categorical", {n: p.numpy() for n, p in of_classes.distribution(logits).items()})
    chances = torch.as_tensor(prediction.parameters["probabilities"])
    assert chances.shape == (3, 7, TARGETS, 5)
    torch.testing.assert_close(chances.sum(0), torch.ones(7, TARGETS, 5))
    torch.testing.assert_close(torch.as_tensor(prediction.mean()), of_classes.mean(logits), rtol=0, atol=0)
    asked = of_classes.explained(logits)
    assert asked.shape == (7, 3 * TARGETS, 5)
    torch.testing.assert_close(asked[:, TARGETS], chances[1, :, 0])


@pytest.mark.parametrize("rare", [0.3, 0.02])
def test_gradient_descent_learns_what_can_be_told_apart(of_classes, rare):
    """Two inputs that say the class: a linear network finds it, whatever the share of the rarest."""
    random = torch.Generator().manual_seed(3)
    place = Place(area=torch.ones(50), index=torch.arange(50), shape=(1, 50))
    chance = torch.tensor([0.7 * (1 - rare), 0.3 * (1 - rare), rare])
    target = torch.multinomial(chance, 20 * 50, replacement=True, generator=random).reshape(20, 1, 50).float()
    corners = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    inputs = corners[target.long()[:, 0]].movedim(-1, 1) + 0.1 * torch.randn(20, 2, 50, generator=random)
    weight, bias = torch.zeros(3, 2, requires_grad=True), torch.zeros(3, 1, requires_grad=True)
    cells = place.cells(torch.ones_like(target, dtype=torch.bool))
    optimizer = torch.optim.Adam([weight, bias], lr=0.1)
    for _ in range(300):
        optimizer.zero_grad()
        output = (weight @ inputs + bias)[:, :, None]
        of_classes(output, target, cells).mean().backward()
        optimizer.step()
    assert (of_classes.mean(output) == target).float().mean() > 0.995
    assert (of_classes.mean(output)[target == 2] == 2).float().mean() > 0.95


@pytest.mark.parametrize("wrong", [3.0, -1.0, 0.5])
def test_labels_that_are_no_class_are_refused(of_classes, labels, wrong):
    labels[2, 0, 1] = wrong
    message = rf"^expected labels that are .* 0 sea, 1 ice, 2 land, got {wrong:g} in the train split, where 1 of 70 labels are"
    with pytest.raises(DataError, match=message):
        of_classes.fit(labels, of(labels))


@pytest.mark.parametrize("kind", LOSSES.names())
def test_losses_of_numbers_and_of_classes_are_not_taken_for_each_other(kind):
    assert make_loss(kind).of_classes == (kind in OF_CLASSES)
    if kind in OF_CLASSES:
        assert make_loss(kind).parameters == ()
        message = rf"^{kind} is a loss of classes, for a segmentation; a target of numbers needs one of asym, .*mse"
        with pytest.raises(ConfigError, match=message):
            check_task(make_loss(kind), ())
    else:
        message = rf"^{kind} is a loss of numbers; a segmentation needs one of cross_entropy, dice, .*, tversky\.$"
        with pytest.raises(ConfigError, match=message):
            make_loss(kind, CLASSES)
