"""A UNet cut over two processes answers and learns as one that is whole."""

import sys
from functools import partial
from types import SimpleNamespace

import cloudpickle
import numpy as np
import pytest
import torch

from models.unet import UNetConfig, UNetNetwork
from pipeline.backend.cluster import ComputeConfig, cluster_spec, open_client
from pipeline.errors import ConfigError
from pipeline.grid import Grid
from pipeline.training.config import TrainingConfig
from pipeline.training.loop import train
from pipeline.training.losses import Place, make_loss
from pipeline.training.parallel import run_ranks
from pipeline.training.ranks import sizes
from pipeline.training.sharded import blocks_of, shard, whole
from pipeline.training.tensors import Tensors

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import tests


def unet():
    coarse, fine = (Grid(np.linspace(40.0, 47.0, size), np.linspace(0.0, 7.0, size)) for size in (8, 16))
    layout = SimpleNamespace(
        input_grid=coarse, target_grid=fine, static=np.zeros((1, 16, 16)), mask=np.ones((16, 16), bool), cells=256,
        channels=("a", "b", "c"), targets=("y",),
    )  # fmt: skip
    torch.manual_seed(3)
    network = UNetNetwork(layout, 2, UNetConfig(width=8, depth=2, large_scale=(8, 4))).double()
    with torch.no_grad():
        network.local.normal_()  # its readout starts at zero
    return network


def batch():
    random = torch.Generator().manual_seed(1)
    inputs = torch.randn(5, 3, 8, 8, generator=random, dtype=torch.float64)
    return inputs, torch.randn(5, 2, 1, 256, generator=random, dtype=torch.float64)


def stepped(network, inputs, target, count):
    """Return the answer, the gradients and the weights after a step of AdamW."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01, fused=True)
    answer = network(inputs)
    ((answer - target) ** 2).sum().div(count).backward()
    gradients = whole({name: p.grad.clone() for name, p in network.named_parameters()})
    norm = torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    found = {"gradient": gradients, "weight": whole(dict(network.named_parameters()))}
    numbers = {kind: {name: part.detach().numpy() for name, part in parts.items()} for kind, parts in found.items()}
    return answer.detach().numpy(), float(whole({"": norm})[""]), numbers


def cut(ranks, again):
    torch.set_num_threads(1)
    network = unet()
    shard(network, again=again)
    inputs, target = batch()
    mine = ranks.mine(len(inputs))
    held = sum(p.to_local().numel() for p in network.parameters())
    return (*stepped(network, inputs[mine], target[mine], target.numel()), held)


def splits():
    inputs, target = batch()
    place = Place(area=torch.ones(256, dtype=torch.float64), index=torch.arange(256), shape=(16, 16))
    return [Tensors(inputs[part], target[part, 0], place) for part in (slice(None), slice(0, 3))]


def trained(ranks, folder=None, **options):
    network = unet()
    if ranks is not None:
        shard(network)
    # Batches of two, of which the last has one sample: none is left for the second rank.
    config = TrainingConfig(epochs=3, batch_size=2, lr=0.01, clip=1.0, **options)
    found = train(network, *splits(), make_loss("normal_nll"), config, seed=1, ranks=ranks, folder=folder, title="fit")
    weights = {name: tensor.detach().numpy() for name, tensor in whole(network.state_dict()).items()}
    return [(epoch.train_loss, epoch.validation_loss) for epoch in found.history], weights


@pytest.fixture(scope="module")
def client():
    with open_client(cluster_spec("cpu", ComputeConfig(workers=2))) as client:
        yield client


@pytest.mark.slow
@pytest.mark.parametrize("again", [True, False])
def test_a_unet_that_is_cut_answers_and_learns_as_a_whole_one(client, again):
    inputs, target = batch()
    network = unet()
    answer, norm, numbers = stepped(network, inputs, target, target.numel())
    found = run_ranks(cut, (again,), client)
    np.testing.assert_allclose(np.concatenate([part[0] for part in found]), answer, rtol=1e-9)
    for part in found:
        assert part[1] == pytest.approx(norm, rel=1e-9)
        for kind in ("gradient", "weight"):
            assert part[2][kind].keys() == numbers[kind].keys()
            for name, values in part[2][kind].items():
                np.testing.assert_allclose(values, numbers[kind][name], rtol=1e-6, atol=1e-10)
    every = sum(p.numel() for p in network.parameters())
    assert max(part[3] for part in found) < 0.55 * every  # each rank holds about half of the weights
    assert sum(part[3] for part in found) == every


def test_the_blocks_of_a_unet_are_those_of_encoder_and_decoder_and_the_readout():
    network = unet()
    blocks = blocks_of(network)
    assert {id(block) for block in [*network.encoder, *network.decoder]} <= {id(block) for block in blocks}
    assert network.large_scale[-1] in blocks
    assert sizes(5, 2) == [3, 2]


@pytest.mark.slow
def test_a_unet_that_is_cut_is_trained_as_a_whole_one(client):
    curve, weights = trained(None)
    for found in run_ranks(trained, (), client):
        np.testing.assert_allclose(found[0], curve, rtol=1e-6)
        for name, values in weights.items():
            np.testing.assert_allclose(found[1][name], values, rtol=1e-6, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"l2": 0.1}, r"^fit: expected l1: 0 and l2: 0 for a network that is cut over several ranks, got l1: 0 and l2: 0\.1"),
        ({"folder": True}, r"^fit: expected no folder for checkpoints of a network that is cut over several ranks, got "),
    ],
    ids=["penalty", "checkpoint"],
)  # fmt: skip
def test_what_a_network_that_is_cut_cannot_do_is_refused(client, tmp_path, options, message):
    more = {"folder": tmp_path} if "folder" in options else options
    with pytest.raises(ConfigError, match=message):
        run_ranks(partial(trained, **more), (), client)
