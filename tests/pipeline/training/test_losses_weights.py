"""Weights of classes come from the train split alone, by area; what is asked wrongly is said."""

import logging

import pytest
import torch

from pipeline.errors import ConfigError, DataError
from pipeline.training.config import TrainingConfig
from pipeline.training.loop import Tensors, train
from pipeline.training.losses import check_labels, check_task, make_loss
from pipeline.training.losses._classes import shares

NAMES = ("sea", "ice", "land")


@pytest.fixture
def target():
    """Six known cells: four of class 0, one of class 1 in a large cell, one of class 2 in a small one."""
    return torch.tensor([[[0.0, 0.0, 2.0]], [[0.0, 1.0, 0.0]]])


@pytest.fixture
def cells(target, row):
    return row(torch.tensor([1.0, 1.5, 0.5])).cells(torch.isfinite(target))


def fitted(weights, target, cells, classes=NAMES):
    loss = make_loss({"kind": "cross_entropy", "weights": weights}, classes)
    loss.fit(target, cells)
    return loss


def test_shares_are_by_area_and_of_what_is_known(target, cells, row):
    assert shares(target, cells, 3).tolist() == pytest.approx([4 / 6, 1.5 / 6, 0.5 / 6])
    target[0, 0, 1] = torch.nan
    known = row(cells.area).cells(torch.isfinite(target))
    assert shares(target, known, 3).tolist() == pytest.approx([2.5 / 4.5, 1.5 / 4.5, 0.5 / 4.5])
    filled = torch.where(known.known, target, 1.0)
    assert shares(filled, known, 3).tolist() == pytest.approx([2.5 / 4.5, 1.5 / 4.5, 0.5 / 4.5])


def test_shares_of_many_samples_are_those_of_all(row):
    target = torch.randint(0, 3, (75, 2, 4), generator=torch.Generator().manual_seed(0)).float()
    cells = row(torch.ones(4)).cells(torch.ones_like(target, dtype=torch.bool))
    assert shares(target, cells, 3).tolist() == pytest.approx([float((target == k).float().mean()) for k in range(3)])


@pytest.mark.parametrize(
    ("weights", "proportion"),
    [
        ("none", (1, 1, 1)),
        ("inverse", (6 / 4, 6 / 1.5, 6 / 0.5)),
        ("inverse_sqrt", ((6 / 4) ** 0.5, (6 / 1.5) ** 0.5, (6 / 0.5) ** 0.5)),
        ([1.0, 5.0, 0.0], (1, 5, 0)),
    ],
)
def test_weights_by_hand(target, cells, weights, proportion):
    found = fitted(weights, target, cells).weights
    mean = sum(share * part for share, part in zip((4 / 6, 1.5 / 6, 0.5 / 6), proportion, strict=True))
    assert found.tolist() == pytest.approx([part / mean for part in proportion])
    assert float((shares(target, cells, 3) * found).sum()) == pytest.approx(1.0)


def test_inverse_weights_give_every_class_the_same_say(target, cells):
    found = fitted("inverse", target, cells).weights.double() * shares(target, cells, 3)
    assert found.tolist() == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize("kind", ["cross_entropy", "focal"])
def test_a_network_that_knows_nothing_has_the_same_loss_under_all_weights(target, cells, kind):
    """So that one learning rate suits them all."""
    values = []
    for weights in ("none", "inverse", "inverse_sqrt", [3.0, 1.0, 9.0]):
        loss = make_loss({"kind": kind, "weights": weights}, NAMES)
        loss.fit(target, cells)
        values.append(float((loss(torch.zeros(2, 3, 1, 3), target, cells) * cells.area).sum() / 6))
    assert values == pytest.approx([values[0]] * 4, rel=1e-6)


@pytest.mark.parametrize("weights", ["inverse", "inverse_sqrt"])
def test_a_class_that_the_train_split_never_has_gets_no_weight_and_is_named(target, cells, caplog, weights):
    with caplog.at_level(logging.WARNING):
        loss = fitted(weights, target, cells, (*NAMES, "lake"))
    assert "weights: the train split never has the class lake, whose weight is 0" in caplog.text
    assert loss.weights[3] == 0
    torch.testing.assert_close(loss.weights[:3], fitted(weights, target, cells).weights)
    assert torch.isfinite(loss(torch.zeros(2, 4, 1, 3), target, cells)).all()


def test_all_classes_there_are_no_warning(target, cells, caplog):
    with caplog.at_level(logging.WARNING):
        fitted("inverse", target, cells)
    assert not caplog.text


def test_weights_follow_from_the_train_split_alone(row):
    inputs = torch.randn(8, 2, 1, 4, generator=torch.Generator().manual_seed(0))
    place = row(torch.ones(4))
    labels = torch.randint(0, 2, (8, 1, 4), generator=torch.Generator().manual_seed(1)).float()
    found = []
    for validation in (labels, 1 - labels):
        loss = make_loss({"kind": "cross_entropy", "weights": "inverse"}, 2)
        config = TrainingConfig(epochs=1)
        train(
            torch.nn.Conv2d(2, 2, 1), Tensors(inputs, labels, place), Tensors(inputs, validation, place), loss, config,
            seed=1,
        )  # fmt: skip
        found.append(loss.weights.tolist())
    assert found[0] == found[1]
    assert found[0][0] != found[0][1]


def test_weights_for_classes_that_are_not_there_alone_are_refused(target, cells):
    message = (
        r"^weights: expected a positive weight for one of the classes that the train split has, got \[0\.0, 0\.0, 0\.0, "
        r"2\.0\] for sea, ice, land, lake with the shares 0\.667, 0\.25, 0\.0833, 0\.$"
    )
    with pytest.raises(DataError, match=message):
        fitted([0.0, 0.0, 0.0, 2.0], target, cells, (*NAMES, "lake"))


def test_a_list_of_another_length_is_refused_once_the_classes_are_known():
    spec = {"kind": "cross_entropy", "weights": [1, 2]}
    assert make_loss(spec).config.weights == (1.0, 2.0)
    message = (
        r"^weights: expected 3 numbers, one for each of the classes sea, ice, land \(also for one that the train split "
        r"never has\), got \[1\.0, 2\.0\]\.$"
    )
    with pytest.raises(ConfigError, match=message):
        make_loss(spec, NAMES)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"kind": "cross_entropy", "weights": "inverze"}, r"loss 'cross_entropy': weights.*'none', 'inverse' or 'inv"),
        ({"kind": "focal", "weights": [1.0, -1.0]}, r"loss 'focal': weights.*greater than or equal to 0, got -1\.0"),
        ({"kind": "focal", "gamma": -1.0}, r"loss 'focal': gamma: .*greater than or equal to 0, got -1\.0"),
        ({"kind": "tversky", "beta": 0}, r"loss 'tversky': beta: .*greater than 0, got 0"),
        ({"kind": "dice", "weights": "inverse"}, r"^dice: expected no options, got \{'weights': 'inverse'\}"),
        ([{"kind": "dice"}, {"kind": "mse"}], r"got 'dice' with the family 'categorical' and 'mse' with 'point'\."),
    ],
)
def test_options_that_do_not_fit_are_named(spec, message):
    with pytest.raises(ConfigError, match=message):
        make_loss(spec)


def test_a_mixture_is_checked_by_its_parts():
    mixed = [{"kind": "dice"}, {"kind": "focal"}]
    with pytest.raises(ConfigError, match=r"^dice is a loss of classes, for a segmentation; a target of numbers needs"):
        check_task(make_loss(mixed), ())
    check_task(make_loss(mixed, NAMES), NAMES)
    with pytest.raises(ConfigError, match=r"^mae is a loss of numbers; a segmentation needs one of cross_entropy, d"):
        make_loss([{"kind": "mae"}, {"kind": "mse"}], NAMES)


@pytest.mark.parametrize(("labels", "count"), [([0.0, 1.0, 2.0, torch.nan], 0), ([3.0, -1.0, 1.5, 2.0], 3)])
def test_labels_are_whole_numbers_of_classes_or_missing(labels, count):
    if not count:
        check_labels(torch.tensor(labels), NAMES)
        return
    message = (
        r"^expected labels that are numbers of the classes 0 sea, 1 ice, 2 land, got 3 in validation, where 3 of 4 "
    )
    with pytest.raises(DataError, match=message):
        check_labels(torch.tensor(labels), NAMES, "validation")
