"""Members trained as one come to what each comes to alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.lagged import Lagged
from pipeline.training.config import TrainingConfig
from pipeline.training.lagged import LaggedInputs
from pipeline.training.loop import Tensors
from pipeline.training.losses import LOSSES, make_loss
from pipeline.training.stacked import train_together

SEEDS = (3, 4, 5)
CLOSE = {"rtol": 1e-8, "atol": 1e-8}
KINDS = ("group", "batch", "mlp", "lstm", "gru")


def config(**options):
    return TrainingConfig(**{"epochs": 4, "batch_size": 7, "lr": 0.01} | options)


@pytest.mark.parametrize("kind", KINDS)
def test_every_member_comes_to_what_it_comes_to_alone(members, both_ways, the_same, kind, splits):
    networks = members(kind)
    outcome = both_ways(networks, splits, config())
    the_same(*outcome)
    moved = [
        (one.state_dict()[name].double() - first.state_dict()[name].double()).abs().max()
        for first, one in zip(networks, outcome[3], strict=True)
        for name in one.state_dict()
        if not name.endswith("bias")  # before a norm it has nothing to learn
    ]
    assert all(gap > 1e-4 for gap in moved)  # everything is trained, running moments too
    assert len({one.history[-1].validation_loss for one in outcome[1]}) == 3


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "rmsprop"])
def test_decay_penalties_and_clip_are_those_of_each_member(members, both_ways, the_same, optimizer, splits):
    options = config(optimizer=optimizer, weight_decay=0.05, l1=0.003, l2=0.01, clip=0.2)
    the_same(*both_ways(members("batch"), splits, options))


def test_the_clip_is_felt_and_of_each_member_its_own(members, both_ways, the_same, splits):
    networks = members("mlp")
    with torch.no_grad():
        networks[0][1].weight *= 20.0  # one with a gradient far larger than those of the others
    free, held = (
        both_ways(networks, splits, config(optimizer="sgd", lr=0.001, clip=clip), "mse") for clip in (0.0, 1.0)
    )
    the_same(*held)
    assert held[1][0].history != free[1][0].history


def test_members_of_one_parameter_with_the_mean_of_a_batch_of_one_row(members, both_ways, the_same, splits):
    the_same(*both_ways(members("mlp", 1), splits, config(batch_size=1, epochs=2), "mse"))


@pytest.mark.parametrize(
    "options",
    [
        {"schedule": "constant"},
        {"schedule": "cosine", "warmup": 1},
        {"schedule": "one_cycle"},
        {"schedule": "step"},
    ],
    ids=str,
)
def test_learning_rates_follow_the_schedule(members, both_ways, the_same, options, splits):
    the_same(*both_ways(members("mlp"), splits, config(**options)))


def test_fewer_members_at_once_are_the_same(members, splits):
    whole, parts = members("batch"), members("batch")
    options = config(clip=0.5, l2=0.01)
    for networks, at_once in ((whole, None), (parts, 2)):
        train_together(
            networks, *splits, make_loss("normal_nll"), options,
            seeds=SEEDS, titles="abc", at_once=at_once,
        )  # fmt: skip
    for one, other in zip(whole, parts, strict=True):
        for name, tensor in one.state_dict().items():
            torch.testing.assert_close(other.state_dict()[name], tensor, **CLOSE)


@pytest.mark.parametrize("loss", LOSSES.names())
def test_every_loss_is_laid_over_the_members(members, both_ways, the_same, loss, samples, row):
    classes = ("a", "b", "c")
    further = {"classes": classes} if LOSSES.get(loss).of_classes else {}
    drawn = torch.Generator().manual_seed(2)
    made = []
    for count in (24, 10):
        one = samples(count)
        truth = torch.randint(0, 3, one.target.shape, generator=drawn).double()  # classes, or amounts with dry days
        truth[torch.rand(truth.shape, generator=drawn) < 0.2] = torch.nan
        scale, shift = torch.full((1, 5), 2.0), torch.zeros(1, 5)
        place = replace(
            row(one.place.area, scale=scale, shift=shift), index=torch.tensor([0, 1, 3, 4, 5]), shape=(2, 3)
        )
        made.append(Tensors(one.inputs.double(), truth, place))
    parameters = len(make_loss(loss, **further).parameters)
    the_same(*both_ways(members("mlp", parameters), made, config(epochs=2), loss, **further))


def test_windows_are_laid_out_of_each_member_its_own(members, both_ways, the_same, samples, row, backend):
    rng = np.random.default_rng(0)
    splits = []
    for _ in range(2):
        now = np.arange(5, 25)
        lagged = Lagged(
            backend.asarray(rng.normal(size=(30, 1, 3, 4))),
            backend.asarray(np.zeros((30, 0))),
            now[:, None] - np.array([0, 2]),
            now,
        )
        target = torch.tensor(rng.normal(size=(20, 1, 5)), device=backend.torch_device)
        splits.append(Tensors(LaggedInputs.of(lagged, None, backend), target, row(torch.ones(5, device=target.device))))
    the_same(*both_ways(members("mlp", device=backend.torch_device), splits, config()))


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_same_on_every_device(members, both_ways, the_same, kind, splits, backend):
    device = backend.torch_device
    moved = [
        Tensors(
            split.inputs.to(device), split.target.to(device), replace(split.place, area=split.place.area.to(device))
        )
        for split in splits
    ]
    the_same(*both_ways(members(kind, device=device), moved, config(clip=0.5)))


def test_half_precision_learns_nearly_the_same(members, both_ways, samples):
    splits, networks = (samples(24), samples(10, seed=1)), [network.float() for network in members("mlp")]
    exact = both_ways(networks, splits, config())[1]
    alone, half, *_ = both_ways(networks, splits, config(precision="bfloat16"))
    for one, other, apart in zip(exact, half, alone, strict=True):
        assert one.history[-1].validation_loss != other.history[-1].validation_loss
        assert one.history[-1].validation_loss == pytest.approx(other.history[-1].validation_loss, rel=0.1)
        assert apart.history[-1].validation_loss == pytest.approx(other.history[-1].validation_loss, rel=0.01)
