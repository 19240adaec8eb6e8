"""One model trained by two processes is the model that one process trains."""

import os
import sys
from pathlib import Path

import cloudpickle
import numpy as np
import pytest
import torch
from torch import nn

from pipeline.backend.cluster import ComputeConfig, cluster_spec, open_client
from pipeline.errors import DataError, WorkerError
from pipeline.training.augment import Augmenter, Shares
from pipeline.training.batch_norm import synchronised
from pipeline.training.config import TrainingConfig
from pipeline.training.loop import train
from pipeline.training.losses import Place, make_loss
from pipeline.training.parallel import run_ranks
from pipeline.training.ranks import Ranks, sizes
from pipeline.training.tensors import Tensors

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import tests


class Net(nn.Module):
    """Convolutions, a batch norm if asked for, and a readout, in float64."""

    def __init__(self, norm=True):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            layers = [nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6) if norm else nn.Identity(), nn.ReLU()]
            layers += [nn.Conv2d(6, 4, 3, padding=1), nn.BatchNorm2d(4) if norm else nn.Identity(), nn.Tanh()]
            self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(48, 10)).double()

    def forward(self, inputs):
        return self.layers(inputs).unflatten(1, (2, 1, 5))


class Jitter(Augmenter):
    """Noise, and a second truth of other samples."""

    def __init__(self):
        super().__init__([], [{"kind": "jitter"}])

    def __call__(self, inputs, target, place):
        share = float(torch.rand(()))
        noisy = inputs + 0.1 * torch.randn_like(inputs)
        return Shares(noisy, ((share, target), (1 - share, target.roll(1, 0))), place)


def data(count, seed=0):
    random = torch.Generator().manual_seed(seed)
    inputs = torch.randn(count, 2, 3, 4, generator=random, dtype=torch.float64)
    weights = torch.randn(24, 5, generator=torch.Generator().manual_seed(99), dtype=torch.float64) / 5
    target = (inputs.flatten(1) @ weights + 0.3 * torch.randn(count, 5, generator=random, dtype=torch.float64))[:, None]
    target[: count // 3, :, 2:] = torch.nan  # ranks have unlike shares of the truth
    area = torch.tensor([0.5, 0.75, 1.0, 1.25, 1.5], dtype=torch.float64)
    return Tensors(inputs, target, Place(area=area, index=torch.arange(5), shape=(1, 5)))


CASES = {
    # 33 samples: the last batch has one, and the second rank none.
    "augmented": ({"augment": Jitter()}, {"epochs": 3, "l2": 1e-3, "clip": 1.0}),
    "early stop": ({}, {"epochs": 30, "patience": 2, "lr": 0.1, "schedule": "constant"}),
    "plateau": ({}, {"epochs": 4, "lr": 0.1, "schedule": "plateau"}),
    "plain": ({"norm": False}, {"epochs": 3, "schedule": "one_cycle", "accumulate": 3}),
}


def fitted(ranks, case, folder=None):
    more, changed = CASES[case]
    network = Net(more.get("norm", True))
    if ranks is not None and ranks.rank == 1:
        for p in network.parameters():  # the ranks agree on the first one's weights
            nn.init.zeros_(p)
    config = TrainingConfig(**{"batch_size": 8, "lr": 0.01} | changed)
    trained = train(
        network, data(33), data(21, 1), make_loss("normal_nll"), config, seed=1, augment=more.get("augment"),
        ranks=ranks, folder=folder,
    )  # fmt: skip
    curve = [(epoch.train_loss, epoch.validation_loss, epoch.lr) for epoch in trained.history]
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    return curve, trained.best_epoch, trained.resumed_from, weights


def all_cases(ranks):
    torch.set_num_threads(1)
    return {case: fitted(ranks, case) for case in CASES}


@pytest.fixture(scope="module")
def client():
    with open_client(cluster_spec("cpu", ComputeConfig(workers=2))) as client:
        yield client


@pytest.fixture(scope="module")
def together(client):
    return run_ranks(all_cases, (), client)


@pytest.mark.parametrize("case", list(CASES))
def test_two_processes_have_the_curve_of_one(together, case):
    alone, (first, second) = fitted(None, case), (found[case] for found in together)
    np.testing.assert_allclose(first[0], alone[0], rtol=1e-6)
    assert first[1:3] == alone[1:3]
    assert len(first[0]) < 30
    assert first[3].keys() == alone[3].keys()
    for name, weights in first[3].items():
        np.testing.assert_array_equal(weights, second[3][name])  # all ranks end with the same weights
        np.testing.assert_allclose(weights, alone[3][name], rtol=1e-6, atol=1e-9)
    assert first[0] == second[0]


def broken(ranks, kind):
    if ranks.rank == 1:
        raise DataError("no truth here") if kind == "ours" else ValueError("a bug")
    ranks.sum(torch.zeros(()))  # waits for the other, which is gone


def dying(ranks, folder, times):
    count = Path(folder) / "deaths"
    deaths = int(count.read_text()) if count.exists() else 0
    if ranks.rank == 1 and deaths < times:
        count.write_text(str(deaths + 1))
        if times == 1:
            Killing(after=4)  # in the middle of an epoch, behind a checkpoint
        else:
            os._exit(3)
    return fitted(ranks, "checkpoints", Path(folder))


class Killing:
    """Ends the process in the middle of its training."""

    def __init__(self, after):
        from pipeline.training.run import Run

        self.inner, self.left = Run.epoch, after
        Run.epoch = lambda run, *given: self.called(run, *given)

    def called(self, run, *given):
        self.left -= 1
        if self.left < 0:
            os._exit(3)
        return self.inner(run, *given)


CASES["checkpoints"] = ({}, {"epochs": 6, "checkpoint_every": 2})


@pytest.mark.slow
def test_a_rank_that_dies_is_started_anew_and_goes_on_from_the_checkpoint(client, tmp_path):
    first, second = run_ranks(dying, (str(tmp_path), 1), client, join=30)
    alone = fitted(None, "checkpoints")
    assert first[2] == second[2] == 4
    np.testing.assert_allclose(first[0], alone[0], rtol=1e-6)
    assert list(tmp_path.glob("checkpoint*")) == []


@pytest.mark.slow
def test_a_rank_that_dies_twice_is_an_error_of_the_worker(client, tmp_path):
    message = r"^expected 2 workers to train one model together, got a failure in each of 2 attempts, the last one: "
    with pytest.raises(WorkerError, match=message):
        run_ranks(dying, (str(tmp_path), 9), client, join=5)
    assert (tmp_path / "deaths").read_text() == "2"


@pytest.mark.slow
def test_our_own_error_of_a_rank_is_raised_as_it_is_and_leaves_workers_free(client):
    with pytest.raises(DataError, match=r"^no truth here$"):
        run_ranks(broken, ("ours",), client)
    assert sorted(found.rank for found in run_ranks(told, (), client)) == [0, 1]


def told(ranks):
    return Told(ranks.rank)


class Told:
    def __init__(self, rank):
        self.rank = rank


@pytest.mark.slow
def test_any_other_error_is_tried_again_and_then_told(client):
    with pytest.raises(WorkerError, match=r"the last one: ValueError: a bug\. Look at the workers' memory"):
        run_ranks(broken, ("other",), client)


def test_more_ranks_than_workers_are_refused(client):
    with pytest.raises(WorkerError, match=r"^expected 3 workers to train one model together, got 2\.$"):
        run_ranks(told, (), client, workers=3)


@pytest.mark.parametrize(("count", "parts"), [(7, 3), (2, 5), (64, 8), (1, 1)])
def test_shares_are_even_and_whole(count, parts):
    found = sizes(count, parts)
    assert sum(found) == count
    assert len(found) == parts
    assert max(found) - min(found) <= 1
    ranks = Ranks()
    ranks.size = parts
    seen = []
    for ranks.rank in range(parts):
        seen += list(range(count))[ranks.mine(count)]
    assert seen == list(range(count))


def test_a_norm_is_its_own_again_afterwards():
    norm = nn.BatchNorm1d(3)
    with synchronised(norm, Ranks()) as there:
        assert there
        assert "forward" in vars(norm)
    assert "forward" not in vars(norm)
