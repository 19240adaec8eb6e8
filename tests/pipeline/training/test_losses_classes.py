"""Losses of a segmentation: by hand, by loops over cells, against torch, and in their limits."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from pipeline.training.config import TrainingConfig
from pipeline.training.loop import Tensors, evaluate, train
from pipeline.training.losses import make_loss

NAMES = ("sea", "ice", "land")
REGIONS = {
    "dice": lambda both, p, t: 2 * both / (p + t),
    "jaccard": lambda both, p, t: both / (p + t - both),
    "tversky": lambda both, p, t: both / (both + 0.3 * (p - both) + 0.7 * (t - both)),
}


@pytest.fixture
def place(row):
    return row(torch.tensor([0.5, 0.75, 1.25, 1.5], dtype=torch.float64))


@pytest.fixture
def output():
    return torch.randn(6, 3, 1, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.fixture
def target():
    """Class 1 is rare, and there is one in every pair of samples."""
    labels = torch.tensor([[0, 0, 2, 1], [2, 0, 0, 0], [0, 1, 0, 2], [0, 0, 0, 2], [1, 0, 0, 0], [2, 2, 0, 0]])
    return labels[:, None].double()


@pytest.fixture
def known(target):
    known = torch.rand(target.shape, generator=torch.Generator().manual_seed(4)) < 0.8
    known[0, 0, 3] = True
    return known


def by_loop(score, output, target, cells):
    """One minus the mean score, cell by cell in plain Python."""
    scores = []
    for k in range(output.shape[1]):
        both = p = t = 0.0
        for sample, cell in itertools.product(range(len(output)), range(output.shape[3])):
            if not cells.known[sample, 0, cell]:
                continue
            logits, area = output[sample, :, 0, cell].tolist(), cells.area[cell].item()
            chance = math.exp(logits[k]) / sum(math.exp(logit) for logit in logits)
            there = target[sample, 0, cell].item() == k
            both, p, t = both + area * chance * there, p + area * chance, t + area * there
        if t > 0:
            scores.append(score(both, p, t))
    return 1 - sum(scores) / len(scores)


@pytest.mark.parametrize("kind", REGIONS)
def test_region_losses_are_sums_over_the_known_cells_of_the_batch(kind, output, target, known, place):
    cells = place.cells(known)
    values = make_loss(kind, NAMES)(output, torch.where(known, target, 0.0), cells)
    assert values.shape == (6, 1, 1)
    assert values.flatten().tolist() == pytest.approx([by_loop(REGIONS[kind], output, target, cells)] * 6, rel=1e-12)


@pytest.mark.parametrize("kind", REGIONS)
def test_a_class_that_the_batch_has_not_is_left_out_of_the_mean(kind, output, target, place):
    target = torch.where(target == 1, 0.0, target)
    cells = place.cells(torch.ones_like(target, dtype=torch.bool))
    value = make_loss(kind, NAMES)(output, target, cells)[0, 0, 0].item()
    chance, truth = output.softmax(1)[:, :, 0], functional.one_hot(target.long()[:, 0], 3).movedim(-1, 1)
    sums = [((part * place.area)[:, [0, 2]]).sum((0, 2)) for part in (chance * truth, chance, truth)]
    assert value == pytest.approx(1 - REGIONS[kind](*sums).mean().item(), rel=1e-12)


@pytest.mark.parametrize(
    ("kind", "scores"),
    [("dice", (0.6, 1 / 3)), ("jaccard", (3 / 7, 0.2)), ("tversky", (0.75 / 1.15, 0.25 / 0.85))],
)
def test_regions_by_hand(kind, scores, row):
    """Two cells, both 3 to 1 for the first class, which is right in one of them."""
    output = torch.tensor([math.log(3.0), 0.0])[None, :, None, None].expand(1, 2, 1, 2).double()
    values = make_loss(kind, 2)(
        output, torch.tensor([[[0.0, 1.0]]]), row(torch.ones(2)).cells(torch.ones(1, 1, 2, dtype=torch.bool))
    )
    # first: sum p t 3/4, sum p 3/2, sum t 1; second: 1/4, 1/2, 1.
    assert values.item() == pytest.approx(1 - sum(scores) / 2)


def test_tversky_has_dice_and_jaccard_as_its_limits(output, target, place):
    cells = place.cells(torch.ones_like(target, dtype=torch.bool))
    for weight, kind in ((0.5, "dice"), (1.0, "jaccard")):
        same = make_loss({"kind": "tversky", "alpha": weight, "beta": weight}, NAMES)
        torch.testing.assert_close(same(output, target, cells), make_loss(kind, NAMES)(output, target, cells))


def test_tversky_prefers_a_false_alarm_to_a_miss(row):
    cells = row(torch.ones(10)).cells(torch.ones(1, 1, 10, dtype=torch.bool))
    target = torch.zeros(1, 1, 10)
    target[..., :2] = 1
    logits = {wide: torch.full((1, 2, 1, 10), 0.0) for wide in (1, 3)}
    for wide, values in logits.items():
        values[:, 1, :, :wide], values[:, 0, :, wide:] = 20.0, 20.0
    for beta, better in ((0.9, 3), (0.1, 1)):
        loss = make_loss({"kind": "tversky", "alpha": 1 - beta, "beta": beta}, 2)
        values = {wide: loss(out, target, cells).item() for wide, out in logits.items()}
        assert min(values, key=values.get) == better


def test_cross_entropy_is_torchs(output, target, place):
    cells = place.cells(torch.ones_like(target, dtype=torch.bool))
    expected = functional.cross_entropy(output, target.long(), reduction="none")
    torch.testing.assert_close(make_loss("cross_entropy", NAMES)(output, target, cells), expected)


@pytest.mark.parametrize("weights", ["inverse", "inverse_sqrt", [1.0, 10.0, 2.0]])
def test_weighted_cross_entropy_over_the_train_split_is_torchs(output, target, row, weights):
    """Torch divides by the sum of the weights of the cells, which over the train split is their number."""
    cells = row(torch.ones(4)).cells(torch.ones_like(target, dtype=torch.bool))
    loss = make_loss({"kind": "cross_entropy", "weights": weights}, NAMES)
    loss.fit(target, cells)
    share = np.array([(target == k).double().mean().item() for k in range(3)])
    plain = {"inverse": 1 / share, "inverse_sqrt": 1 / np.sqrt(share)}.get(str(weights), np.array(weights, object))
    expected = functional.cross_entropy(output, target.long(), weight=torch.tensor(plain.astype(float)))
    torch.testing.assert_close(loss(output, target, cells).mean(), expected)


def test_weighted_cross_entropy_leans_towards_the_rare_class(row):
    """Least where the probabilities are ``share * weight``: with inverse weights at even ones."""
    target = torch.tensor([0.0] * 9 + [1.0])[:, None, None]
    cells = row(torch.ones(1)).cells(torch.ones_like(target, dtype=torch.bool))
    for weights, expected in (("none", 0.1), ("inverse", 0.5), ("inverse_sqrt", 0.25)):
        loss = make_loss({"kind": "cross_entropy", "weights": weights}, 2)
        loss.fit(target, cells)
        chance = torch.linspace(0.01, 0.99, 981, dtype=torch.float64)
        values = [
            loss(torch.stack([(1 - p).log(), p.log()]).expand(10, 2)[..., None, None], target, cells).mean()
            for p in chance
        ]
        assert chance[torch.stack(values).argmin()].item() == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("weights", ["none", "inverse"])
def test_focal_without_its_power_is_the_cross_entropy(output, target, place, weights):
    cells = place.cells(torch.ones_like(target, dtype=torch.bool))
    losses = [
        make_loss({"kind": kind, "weights": weights, **further}, NAMES)
        for kind, further in (("focal", {"gamma": 0.0}), ("cross_entropy", {}))
    ]
    for loss in losses:
        loss.fit(target, cells)
    torch.testing.assert_close(*(loss(output, target, cells) for loss in losses))


def test_focal_as_published(row):
    """With gamma 2 a cell at p = 0.9 has a hundredth of the cross-entropy, at 0.968 about a thousandth."""
    chance = torch.tensor([0.9, 0.968, 0.5], dtype=torch.float64)
    output = torch.stack([chance.log(), (1 - chance).log()])[None, :, None]
    target, cells = torch.zeros(1, 1, 3), row(torch.ones(3)).cells(torch.ones(1, 1, 3, dtype=torch.bool))
    ratio = make_loss("cross_entropy", 2)(output, target, cells) / make_loss("focal", 2)(output, target, cells)
    assert ratio.flatten().tolist() == pytest.approx([100.0, 1 / 0.032**2, 4.0])


@pytest.mark.parametrize("gamma", [0.1, 0.5, 1.0, 2.0])
def test_focal_has_a_gradient_where_the_class_is_certain(row, gamma):
    output = torch.tensor([50.0, 17.0, 1e4])[None, None, None] * torch.tensor([1.0, -1.0])[:, None, None]
    output.requires_grad_()
    cells = row(torch.ones(3)).cells(torch.ones(1, 1, 3, dtype=torch.bool))
    values = make_loss({"kind": "focal", "gamma": gamma}, 2)(output, torch.zeros(1, 1, 3), cells)
    values.sum().backward()
    assert torch.isfinite(output.grad).all()
    assert (values.abs() < 1e-6).all()


@pytest.mark.parametrize("kind", ["cross_entropy", "focal", *REGIONS])
def test_gradients_are_finite_differences(kind, output, target, known, place):
    cells, loss = place.cells(known), make_loss(kind, NAMES)
    loss.fit(target, cells)
    assert torch.autograd.gradcheck(lambda x: loss(x, target, cells) * known, output.requires_grad_())


def test_a_mixture_is_the_weighted_sum_of_cells_and_regions(output, target, place):
    cells = place.cells(torch.ones_like(target, dtype=torch.bool))
    specs = [{"kind": "cross_entropy", "weights": "inverse", "weight": 0.5}, {"kind": "dice"}]
    mixed = make_loss(specs, NAMES)
    mixed.fit(target, cells)
    parts = [make_loss({key: value for key, value in spec.items() if key != "weight"}, NAMES) for spec in specs]
    for part in parts:
        part.fit(target, cells)
    first, second = (part(output, target, cells) for part in parts)
    torch.testing.assert_close(mixed(output, target, cells), 0.5 * first + second)
    assert (mixed.of_classes, mixed.family, len(mixed.parameters)) == (True, "categorical", 3)
    torch.testing.assert_close(mixed.explained(output), output.softmax(1)[:, :, 0])


def test_the_loop_counts_a_region_loss_by_the_area_of_its_batch(row):
    """Of batches of different size and different gaps: the mean over batches by their known area."""
    data = _world(row, 10)
    data.target[1, 0, :3] = torch.nan
    network, loss = _linear(), make_loss("jaccard", NAMES)
    total = weight = 0.0
    for start in (0, 4, 8):
        batch = data.take(slice(start, start + 4))
        cells = data.place.cells(torch.isfinite(batch.target))
        area = (cells.known * cells.area).sum().item()
        value = loss(network(batch.inputs), batch.target.nan_to_num(0.0), cells)[0, 0, 0].item()
        total, weight = total + area * value, weight + area
    assert evaluate(network, data, loss, TrainingConfig(batch_size=4)) == pytest.approx(total / weight, rel=1e-6)


@pytest.mark.parametrize(
    "spec", ["cross_entropy", "focal", "dice", "jaccard", "tversky", [{"kind": "cross_entropy"}, {"kind": "dice"}]]
)
def test_the_loop_trains_on_it(row, spec):
    network, data = _linear(), _world(row, 60)
    config = TrainingConfig(epochs=30, batch_size=20, lr=0.1)
    trained = train(network, data, _world(row, 20, seed=1), make_loss(spec, NAMES), config, seed=1)
    assert trained.history[-1].validation_loss < 0.5 * trained.history[0].validation_loss
    found = network(data.inputs).argmax(1)
    assert (found == data.target).float().mean() > 0.95


def _world(row, count, seed=0):
    """Return samples of 8 cells whose class is the largest of three channels."""
    inputs = torch.randn(count, 3, 1, 8, generator=torch.Generator().manual_seed(seed))
    return Tensors(inputs, inputs.argmax(1).float(), row(torch.linspace(0.5, 1.5, 8)))


def _linear():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        return torch.nn.Conv2d(3, 3, 1)
