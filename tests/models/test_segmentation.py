from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from models._layout import Layout
from models._segmentation import CellNetwork, Convolution, is_circular, network, readout, same_grid, wrap
from pipeline.errors import ConfigError
from pipeline.grid import Grid

GLOBE = Grid(np.linspace(-60.0, 60.0, 6), np.arange(8) * 45.0)


@pytest.fixture
def layout(make_classes):
    return Layout.of(make_classes(2).schema)


class Trunk(nn.Module):
    """Answers the first channel twice, and notes what it was given."""

    def forward(self, maps, around):
        self.seen, self.around = maps, around
        return maps[:, :1].expand(-1, 2, -1, -1)


def cells(layout, *, multiple=1, around=True):
    return CellNetwork(layout, Trunk(), 2, multiple=multiple, around=around, kind="made")


@pytest.mark.parametrize(("left", "right"), [(0, 0), (1, 0), (0, 2), (3, 3), (4, 7), (10, 0)])
def test_wrapping_is_taking_columns_modulo_their_number(left, right):
    maps = torch.arange(24.0).reshape(2, 3, 4)
    expected = maps[..., torch.arange(-left, 4 + right) % 4]
    torch.testing.assert_close(wrap(maps, left, right), expected)


@pytest.mark.parametrize(("stride", "dilation", "groups"), [(1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 4, 4), (2, 2, 2)])
def test_a_convolution_round_the_globe_is_one_of_circular_columns_and_zero_rows(stride, dilation, groups):
    made = Convolution(4, 8, stride=stride, dilation=dilation, groups=groups)
    maps = torch.randn(2, 4, 6, 12)
    wide = functional.pad(functional.pad(maps, (dilation, dilation, 0, 0), mode="circular"), (0, 0, dilation, dilation))
    expected = functional.conv2d(wide, made.weight, made.bias, stride, 0, dilation, groups)
    torch.testing.assert_close(made(maps, True), expected)
    flat = functional.conv2d(maps, made.weight, made.bias, stride, dilation, dilation, groups)
    torch.testing.assert_close(made(maps, False), flat)
    assert not torch.allclose(expected, flat)


def test_the_poles_are_not_beside_each_other():
    made, maps = Convolution(1, 1), torch.zeros(1, 1, 5, 6)
    maps[..., 0, :] = 1.0
    with torch.no_grad():
        answer = made(maps, True)
    assert (answer[..., :2, :] != 0).any()
    assert (answer[..., 2:, :] == 0).all()


def test_a_convolution_without_bias_has_none_and_starts_as_he_et_al():
    made = Convolution(64, 64, bias=False)
    assert made.bias is None
    assert float(made.weight.detach().std()) == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.03)
    assert (Convolution(2, 2).bias == 0).all()


@pytest.mark.parametrize(
    ("grid", "circular", "round"),
    [
        (GLOBE, "auto", True),
        (GLOBE, True, True),
        (GLOBE, False, False),
        (Grid(GLOBE.lat, np.arange(8) * 40.0), "auto", False),
        (Grid(np.arange(6.0), np.arange(8) * 1.0, ("y", "x")), "auto", False),
        (Grid(np.arange(6.0), np.arange(360) * 1.0, ("y", "x")), "auto", False),
        (Grid(np.ones((6, 8)), np.ones((6, 8)), ("y", "x")), "auto", False),
        (Grid(np.ones((6, 8)), np.ones((6, 8)), ("y", "x")), False, False),
    ],
)
def test_a_grid_is_circular_where_its_longitudes_do_or_where_it_is_said_to(grid, circular, round):
    assert is_circular(grid, circular, "made") is round


@pytest.mark.parametrize(
    ("grid", "what"),
    [
        (Grid(np.arange(6.0), np.arange(8.0), ("y", "x")), "an image of 6 x 8 cells"),
        (Grid(np.ones((6, 8)), np.ones((6, 8)), ("y", "x")), "a grid of 6 x 8 cells"),
        (Grid(GLOBE.lat, np.arange(8) * 40.0), "a grid of 6 x 8 cells"),
        (Grid(np.ones((1, 2)), np.ones((1, 2)), ("row", "station"), ("a", "b")), "2 stations"),
    ],
)
def test_what_does_not_go_round_cannot_be_said_to(grid, what):
    with pytest.raises(
        ConfigError, match=rf"made: circular: expected evenly spaced longitudes.*got {what}, .*circular: auto"
    ):
        is_circular(grid, True, "made")


def test_other_grids_for_inputs_are_refused(layout):
    same_grid(layout, "made")
    other = replace(layout, input_grid=GLOBE)
    with pytest.raises(ConfigError, match=r"a grid of 6 x 8 cells for a grid of 12 x 20 cells.*regrid\.to: target"):
        same_grid(other, "made")


def test_the_cells_of_the_mask_are_answered_in_their_order(layout):
    mask = layout.mask.copy()
    mask[0, :3] = mask[5, 7] = False
    inputs = torch.randn(3, 3, 12, 20)
    answer = cells(replace(layout, mask=mask))(inputs)
    assert answer.shape == (3, 2, 1, 236)
    torch.testing.assert_close(answer[:, 1, 0], inputs[:, 0][:, torch.tensor(mask)])


def test_static_fields_are_further_channels(layout):
    static = np.random.default_rng(0).normal(size=(2, 12, 20)).astype(np.float32)
    made, inputs = cells(replace(layout, static=static)), torch.randn(3, 3, 12, 20)
    made(inputs)
    torch.testing.assert_close(made.trunk.seen[1], torch.cat([inputs[1], torch.tensor(static)]))


@pytest.mark.parametrize("around", [True, False])
def test_sides_are_made_a_multiple_and_cut_again(layout, around):
    made, inputs = cells(layout, multiple=16, around=around), torch.randn(2, 3, 12, 20)
    answer = made(inputs)
    assert made.trunk.seen.shape == (2, 3, 16, 32)
    torch.testing.assert_close(answer[:, 0, 0], inputs[:, 0].flatten(1))
    first, last = made.trunk.seen[..., 2:14, :6], made.trunk.seen[..., 2:14, 26:]
    edges = (inputs[..., 14:], inputs[..., :6]) if around else (inputs[..., :1], inputs[..., -1:])
    torch.testing.assert_close(first, edges[0].expand_as(first))
    torch.testing.assert_close(last, edges[1].expand_as(last))
    torch.testing.assert_close(made.trunk.seen[..., 0, :], made.trunk.seen[..., 2, :])  # latitudes end
    assert made.trunk.around is around


def test_patches_are_answered_row_by_row_and_go_round_only_with_all_columns(layout):
    made = cells(replace(layout, mask=np.zeros((12, 20), bool)), multiple=4)
    for shape, around in (((8, 8), False), ((5, 20), True), ((12, 7), False)):
        inputs = torch.randn(2, 3, *shape)
        torch.testing.assert_close(made(inputs)[:, 0, 0], inputs[:, 0].flatten(1))
        assert made.trunk.around is around


def test_patches_with_static_fields_are_refused(layout):
    made = cells(replace(layout, static=np.zeros((1, 12, 20), np.float32)))
    with pytest.raises(ConfigError, match=r"fields of 12 x 20 cells, got patches of 8 x 8, and 1 static fields"):
        made(torch.zeros(2, 3, 8, 8))


def test_a_field_of_one_cell_at_the_lowest_resolution_wants_another_norm(layout):
    trunk = nn.Sequential(nn.BatchNorm2d(3))
    options = {"around": False, "kind": "made"}
    with pytest.raises(ConfigError, match=r"made: norm: batch needs more than one cell.*12 x 20 .*norm: group"):
        network(layout, trunk, 3, multiple=32, **options)
    network(layout, trunk, 3, multiple=16, **options)
    network(layout, nn.Sequential(nn.GroupNorm(1, 3)), 3, multiple=32, **options)


def test_a_readout_starts_without_a_preference():
    made = readout(100, 400)
    assert (made.bias == 0).all()
    assert float(made.weight.detach().std()) == pytest.approx(0.05, rel=0.03)
