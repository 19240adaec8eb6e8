"""What may happen to members trained as one: they stop, fail, are killed and taken up, or refused."""

import copy
import math
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from torch import nn

from pipeline.errors import ConfigError, DataError, TrainingError
from pipeline.training.config import TrainingConfig
from pipeline.training.loop import train
from pipeline.training.losses import make_loss
from pipeline.training.stacked import train_together, why_not_stacked

SEEDS = (3, 4, 5)


def config(**options):
    return TrainingConfig(**{"epochs": 4, "batch_size": 7, "lr": 0.01} | options)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "rmsprop"])
@pytest.mark.parametrize("kind", ["batch", "lstm"])
def test_a_member_that_has_stopped_stays_as_it_was_and_the_others_go_on(
    members, both_ways, the_same, kind, optimizer, splits
):
    lr = {"adamw": 0.03, "sgd": 0.03, "rmsprop": 0.003}[optimizer]
    options = config(epochs=40, patience=2, lr=lr, schedule="constant", optimizer=optimizer)
    outcome = both_ways(members(kind), splits, options)
    the_same(*outcome, rtol=1e-7, atol=1e-7)  # forty epochs let last digits grow
    lengths = {len(one.history) for one in outcome[1]}
    assert len(lengths) > 1
    assert min(lengths) < 40


def test_one_member_without_a_finite_loss_fails_alone(members, the_same, splits):
    networks = members("batch")
    with torch.no_grad():
        networks[1].head.bias[0] = torch.nan
    apart, together = copy.deepcopy(networks), copy.deepcopy(networks)
    loss = make_loss("normal_nll")
    titles = ["fit unet, member 0", "fit unet, member 1", "fit unet, member 2"]
    found = train_together(together, *splits, loss, config(), seeds=SEEDS, titles=titles)
    with pytest.raises(TrainingError) as alone:
        train(apart[1], *splits, loss, config(), seed=SEEDS[1], title=titles[1])
    assert isinstance(found[1], TrainingError)
    assert str(found[1]) == str(alone.value)
    for number in (0, 2):
        expected = train(apart[number], *splits, loss, config(), seed=SEEDS[number])
        the_same([expected], [found[number]], [apart[number]], [together[number]])


def test_all_members_may_fail(members, splits):
    networks = members("mlp")
    splits[0].inputs[0] = math.nan
    found = train_together(networks, *splits, make_loss("mse"), config(), seeds=SEEDS, titles="abc")
    assert [str(one)[:2] for one in found] == ["a:", "b:", "c:"]


def test_seconds_are_shared_and_random_numbers_of_the_caller_left_alone(members, splits):
    before = torch.get_rng_state()
    found = train_together(members("mlp"), *splits, make_loss("normal_nll"), config(), seeds=SEEDS, titles="abc")
    assert torch.equal(torch.get_rng_state(), before)
    assert len({one.history[0].seconds for one in found}) == 1
    assert all(one.resumed_from == 0 for one in found)


class Killed(BaseException):
    """Stands for a signal."""


def killing_after(epochs):
    @contextmanager
    def progress(title, total=None):
        class Bar:
            done = 0

            def advance(self, amount=1.0, note=""):
                self.done += amount
                if self.done >= epochs:
                    raise Killed

        yield Bar()

    return progress


@pytest.mark.parametrize("changed", [{}, {"patience": 2, "lr": 0.03, "epochs": 40, "schedule": "constant"}], ids=str)
def test_killed_and_taken_up_is_as_if_it_had_never_stopped(members, changed, splits, tmp_path):
    options = config(**{"epochs": 8, "checkpoint_every": 3, "optimizer": "sgd"} | changed)
    whole, parts = members("batch"), members("batch")
    expected = train_together(whole, *splits, make_loss("normal_nll"), options, seeds=SEEDS, titles="abc")
    lengths = sorted(len(one.history) for one in expected)
    again = {"seeds": SEEDS, "titles": "abc", "folder": tmp_path}
    with pytest.raises(Killed):
        train_together(
            members("batch"),
            *splits,
            make_loss("normal_nll"),
            options,
            progress=killing_after(lengths[-1] - 1),
            **again,
        )
    found = train_together(parts, *splits, make_loss("normal_nll"), options, **again)
    kept = (lengths[-1] - 1) // 3 * 3
    for one, other in zip(expected, found, strict=True):
        assert other.resumed_from == min(kept, len(other.history))
        assert [replace(epoch, seconds=0.0) for epoch in one.history] == [
            replace(epoch, seconds=0.0) for epoch in other.history
        ]
    for one, other in zip(whole, parts, strict=True):
        assert all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in one.state_dict().items())
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_stacked_says_why():
    known = {
        "precision: float16": (nn.Linear(3, 2), config(precision="float16")),
        "schedule: plateau": (nn.Linear(3, 2), config(schedule="plateau")),
        "it has dropout": (nn.Sequential(nn.Linear(3, 2), nn.Dropout2d(0.1)), config()),
        "it has a layer RNN": (nn.Sequential(nn.RNN(2, 3)), config()),
    }
    for said, (network, options) in known.items():
        assert why_not_stacked(network, options).startswith(said)
    assert why_not_stacked(nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.0), nn.LSTM(2, 3)), config()) is None


def test_what_cannot_be_stacked_is_refused(members, splits):
    loss = make_loss("normal_nll")
    plateau = config(schedule="plateau")
    with pytest.raises(
        ConfigError,
        match=r"^unet: expected members that can be trained as one, got one where schedule: plateau gives each "
        r"member a learning rate of its own\.$",
    ):
        train_together(members("mlp"), *splits, loss, plateau, seeds=SEEDS, titles=["unet"] * 3)
    mixed = [*members("mlp")[:2], members("mlp", 1)[0]]
    with pytest.raises(ConfigError, match=r"^unet: expected members whose networks have the same shape, got others\."):
        train_together(mixed, *splits, loss, config(), seeds=SEEDS, titles=["unet"] * 3)
    splits[1].target[:] = math.nan
    with pytest.raises(
        DataError, match=r"^unet: expected truth in the validation split, got 10 samples without any\.$"
    ):
        train_together(members("mlp"), *splits, loss, config(), seeds=SEEDS, titles=["unet"] * 3)
