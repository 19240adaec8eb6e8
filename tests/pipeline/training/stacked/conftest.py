"""Networks of several members, trained apart and together."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional

from pipeline.training.course import Trained
from pipeline.training.loop import Tensors, train
from pipeline.training.losses import make_loss
from pipeline.training.stacked import train_together

SEEDS = (3, 4, 5)


class Conv(nn.Module):
    """A UNet of two levels: a skip, halved and doubled maps, channels last in memory."""

    def __init__(self, norm, parameters):
        super().__init__()
        self.shape = (parameters, 1, 5)
        self.first = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), norm(4), nn.ReLU())
        self.below = nn.Sequential(nn.Conv2d(4, 8, 3, padding=1), norm(8), nn.ReLU())
        self.last = nn.Conv2d(12, 2, 1)
        self.head = nn.Linear(24, parameters * 5)
        self.register_buffer("static", torch.linspace(-1, 1, 12).reshape(3, 4), persistent=False)

    def forward(self, inputs):
        maps = self.first((inputs + self.static.to(inputs.dtype)).contiguous(memory_format=torch.channels_last))
        below = functional.interpolate(self.below(functional.avg_pool2d(maps, (3, 2))), size=(3, 4), mode="nearest")
        return self.head(self.last(torch.cat([maps, below], dim=1)).flatten(1)).unflatten(1, self.shape)


class Memory(nn.Module):
    """Columns of the inputs as steps of a sequence."""

    def __init__(self, cells, parameters):
        super().__init__()
        self.shape = (parameters, 1, 5)
        self.memory = cells(6, 4, num_layers=2)
        self.head = nn.Linear(4, parameters * 5)

    def forward(self, inputs):
        states, _ = self.memory(inputs.permute(3, 0, 1, 2).flatten(2))
        return self.head(states[-1]).unflatten(1, self.shape)


def dense(parameters):
    layers = (nn.Flatten(), nn.Linear(24, 6), nn.ReLU(), nn.Linear(6, parameters * 5))
    return nn.Sequential(*layers, nn.Unflatten(1, (parameters, 1, 5)))


NETWORKS = {
    "group": lambda parameters: Conv(lambda maps: nn.GroupNorm(2, maps), parameters),
    "batch": lambda parameters: Conv(nn.BatchNorm2d, parameters),
    "mlp": dense,
    "lstm": lambda parameters: Memory(nn.LSTM, parameters),
    "gru": lambda parameters: Memory(nn.GRU, parameters),
}


def _members(kind, parameters=2, device="cpu"):
    made = []
    for seed in SEEDS:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            made.append(NETWORKS[kind](parameters).double().to(device))
    return made


@pytest.fixture
def splits(samples):
    """Train and validation samples in float64: 24 of them, so that the last batch has three, a fifth without truth."""
    made = []
    for count, seed in ((24, 0), (10, 1)):
        one = samples(count, seed)
        target = one.target.double()
        target[torch.rand(target.shape, generator=torch.Generator().manual_seed(seed)) < 0.2] = torch.nan
        made.append(Tensors(one.inputs.double(), target, one.place))
    return made


def _both_ways(networks, splits, options, loss="normal_nll", **further):
    """Train copies of the networks apart and together; return what came of them."""
    apart, together = copy.deepcopy(networks), copy.deepcopy(networks)
    alone = [
        train(network, *splits, make_loss(loss, **further), options, seed=seed)
        for network, seed in zip(apart, SEEDS, strict=True)
    ]
    titles = [f"member {number}" for number in range(len(SEEDS))]
    found = train_together(together, *splits, make_loss(loss, **further), options, seeds=SEEDS, titles=titles)
    return alone, found, apart, together


def _the_same(alone, found, apart, together, **close):
    close = close or {"rtol": 1e-8, "atol": 1e-8}
    for one, other in zip(alone, found, strict=True):
        assert isinstance(other, Trained)
        assert (one.best_epoch, len(one.history)) == (other.best_epoch, len(other.history))
        for mine, theirs in zip(one.history, other.history, strict=True):
            expected = replace(theirs, seconds=mine.seconds)
            assert (mine.epoch, mine.lr) == (expected.epoch, expected.lr)
            assert mine.train_loss == pytest.approx(expected.train_loss, rel=close["rtol"], abs=close["atol"])
            assert mine.validation_loss == pytest.approx(expected.validation_loss, rel=close["rtol"], abs=close["atol"])
    for one, other in zip(apart, together, strict=True):
        assert not other.training
        assert one.state_dict().keys() == other.state_dict().keys()
        for name, tensor in one.state_dict().items():
            torch.testing.assert_close(other.state_dict()[name], tensor, **close, msg=name)


@pytest.fixture
def members():
    """Networks of every seed, by kind, in float64."""
    return _members


@pytest.fixture
def both_ways():
    """Trains copies of networks apart and together; returns what came of them."""
    return _both_ways


@pytest.fixture
def the_same():
    """Holds that what came of both ways is the same."""
    return _the_same
