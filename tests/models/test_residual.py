"""The parts that residual networks on the target grid are made of."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from models._layout import Layout
from models._residual import Inlet, OwnChannel, Readout, ResidualBlock, Trunk
from pipeline.grid import Grid
from pipeline.training.losses import make_loss


@pytest.fixture
def layout(make_samples):
    return Layout.of(make_samples(2, further=True).schema)


def test_a_block_starts_as_the_identity_of_what_is_positive():
    for kind in ("none", "batch", "group"):
        maps = torch.randn(3, 4, 5, 6)
        torch.testing.assert_close(ResidualBlock(4, 4, kind)(maps), maps.relu())


def test_a_block_is_the_published_one_written_out():
    block, maps = ResidualBlock(3, 12, "group").eval(), torch.randn(2, 3, 5, 6)
    torch.nn.init.normal_(block.body[4].weight)

    def group_norm(x):  # 12 maps make four groups of three
        flat = x.reshape(len(x), 4, -1)
        centred = flat - flat.mean(2, keepdim=True)
        return (centred / (centred.pow(2).mean(2, keepdim=True) + 1e-5).sqrt()).reshape(x.shape)

    with torch.no_grad():
        first = functional.conv2d(maps, block.body[0].weight, block.body[0].bias, padding=1)
        second = functional.conv2d(group_norm(first).relu(), block.body[3].weight, block.body[3].bias, padding=1)
        scaled = group_norm(second) * block.body[4].weight[:, None, None]
        passed = functional.conv2d(maps, block.passing.weight, block.passing.bias)
        torch.testing.assert_close(block(maps), (passed + scaled).relu(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", [(8, 8), (19, 29), (7, 5), (1, 3)])
@pytest.mark.parametrize("depth", [1, 3])
def test_a_trunk_keeps_any_size(shape, depth):
    trunk = Trunk(shape, 5, width=4, depth=depth, kind="group")
    assert trunk(torch.randn(2, 5, *shape)).shape == (2, 4, *shape)
    assert trunk.widths == [4 * 2**level for level in range(depth + 1)]


def test_a_trunk_of_depth_one_written_out():
    trunk, maps = Trunk((4, 6), 3, width=2, depth=1, kind="none").eval(), torch.randn(2, 3, 4, 6)
    with torch.no_grad():
        fine = trunk.encoder[0](maps)
        coarse = trunk.encoder[1](fine.unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5)).contiguous())
        up = functional.conv2d(coarse, trunk.fewer[0].weight, trunk.fewer[0].bias)
        expected = trunk.decoder[0](up.repeat_interleave(2, 2).repeat_interleave(2, 3) + fine)
        torch.testing.assert_close(trunk(maps), expected)


def test_padding_is_cut_off_where_it_was_added():
    # With blocks that pass everything on, a map goes through at its place.
    trunk = Trunk((5, 7), 2, width=2, depth=2, kind="none")
    for fewer in trunk.fewer:
        torch.nn.init.zeros_(fewer.weight)
    maps = torch.rand(1, 2, 5, 7)
    torch.testing.assert_close(trunk(maps), maps)


@pytest.mark.parametrize("cells", ["shared", "bias", "weights"])
def test_a_readout_is_linear_in_the_maps_of_its_cell(layout, cells):
    readout, maps = Readout(layout, 2, 3, cells), torch.randn(4, 3, *layout.mask.shape)
    torch.nn.init.normal_(readout.weight)
    torch.nn.init.normal_(readout.bias)
    found = readout(maps).detach()
    assert found.shape == (4, 2, 1, layout.cells)
    for cell, (row, column) in enumerate(np.argwhere(layout.mask)):
        weight = readout.weight[:, :, cell if cells == "weights" else 0]
        bias = readout.bias[:, 0 if cells == "shared" else cell]
        for parameter in (0, 1):
            expected = maps[:, :, row, column] @ weight[parameter] + bias[parameter]
            torch.testing.assert_close(found[:, parameter, 0, cell], expected.detach(), atol=1e-5, rtol=1e-4)


def test_answers_are_ordered_by_parameter_then_target(make_samples):
    layout = Layout.of(make_samples(2, targets=2).schema)
    readout = Readout(layout, 3, 4, "shared")
    with torch.no_grad():
        readout.weight.zero_()
        readout.bias[:, 0] = torch.arange(6.0)
    assert readout(torch.zeros(1, 4, *layout.mask.shape))[0, :, :, 0].tolist() == [[0, 1], [2, 3], [4, 5]]


def test_the_inlet_sets_static_fields_beside_what_is_interpolated(layout):
    inlet, maps = Inlet(layout, 3), torch.randn(2, 3, *layout.input_grid.shape)
    found = inlet(maps)
    assert inlet.channels == found.shape[1] == 4
    torch.testing.assert_close(found[:, :3], inlet.to_target(maps))
    assert (found[:, 3].numpy() == layout.static[0]).all()


def test_the_own_channel_is_added_to_the_mean_alone(layout):
    loss, inputs = make_loss("normal_nll"), torch.randn(2, 8, *layout.input_grid.shape)
    own = OwnChannel(layout, loss, 2)
    with torch.no_grad():
        own.slope.fill_(0.5)
        found = own(inputs, torch.ones(2, 2, 1, layout.cells))
    expected = 1 + 0.5 * own.to_target(inputs[:, :1])[:, 0][:, torch.tensor(layout.mask)]
    torch.testing.assert_close(found[:, 0, 0], expected)
    assert (found[:, 1] == 1).all()


def test_the_own_channel_is_added_to_every_member(layout):
    own = OwnChannel(layout, make_loss({"kind": "fair_crps", "members": 3}), 3)
    found = own(torch.randn(2, 8, *layout.input_grid.shape), torch.zeros(2, 3, 1, layout.cells))
    assert found.abs().sum() > 0
    assert (found == found[:, :1]).all()


@pytest.mark.parametrize(("kind", "part"), [("quantile", "quantiles"), ("mixture_nll", "mean")])
def test_the_own_channel_moves_a_whole_distribution(layout, kind, part):
    loss, inputs = make_loss(kind), torch.randn(2, 8, *layout.input_grid.shape)
    still = torch.randn(2, len(loss.parameters), 1, layout.cells)
    own = OwnChannel(layout, loss, len(loss.parameters))
    with torch.no_grad():
        carried = own(inputs, torch.zeros_like(still))[:, loss.parameters.index(loss.locations[0])]
        before, after = loss.distribution(still), loss.distribution(own(inputs, still))
    assert carried.abs().sum() > 0
    for name in (part, "centre"):
        torch.testing.assert_close(after[name], before[name] + carried, rtol=1e-4, atol=1e-4)


def test_targets_have_their_own_channel_or_none(make_samples):
    layout = Layout.of(make_samples(2, targets=2).schema)  # tas and psl
    inputs = torch.randn(2, 3, *layout.input_grid.shape)
    nothing = torch.zeros(2, 1, 2, layout.cells)
    both = OwnChannel(layout, make_loss("mse"), 1)(inputs, nothing)
    one = OwnChannel(replace(layout, targets=("pr", "psl")), make_loss("mse"), 1)(inputs, nothing)
    assert (one[:, :, 0] == 0).all()
    torch.testing.assert_close(one[:, :, 1], both[:, :, 1])
    none = OwnChannel(layout, make_loss("bernoulli_gamma_nll"), 3)
    answer = torch.zeros(2, 3, 2, layout.cells)
    assert none(inputs, answer) is answer
    assert next(iter(none.parameters())).numel() == 0


def test_a_scalar_is_no_own_channel(layout):
    scalar = replace(layout, targets=("day_cos",))
    answer = torch.zeros(1, 1, 1, layout.cells)
    assert OwnChannel(scalar, make_loss("mse"), 1)(torch.randn(1, 8, 4, 5), answer) is answer


def test_nothing_but_the_readout_grows_with_the_cells(layout):
    def size(cells, target):
        mask, static = np.ones(target.shape, bool), np.zeros((1, *target.shape))
        wide = replace(layout, target_grid=target, mask=mask, static=static)
        parts = (Inlet(wide, 8), Trunk(target.shape, 9, width=4, depth=2, kind="group"), Readout(wide, 1, 4, cells))
        return sum(p.numel() for part in parts for p in part.parameters())

    small, large = (Grid(np.linspace(40, 46, n), np.linspace(-6, 2, n)) for n in (8, 40))
    assert size("shared", small) == size("shared", large)
    assert size("bias", large) - size("bias", small) == 40**2 - 8**2
    assert size("weights", large) - size("weights", small) == 5 * (40**2 - 8**2)
