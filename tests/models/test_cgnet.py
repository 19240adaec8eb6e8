import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.nn import functional

from models._layout import Layout
from models.cgnet import Average, CGNet, CGNetConfig, CGNetTrunk, Context, Joint, Weighing, finer
from pipeline.errors import ConfigError
from pipeline.grid import Grid

SMALL = {"width": 8, "blocks": (2, 2)}


def layout(rows, columns, *, around=True, channels=2):
    lon = np.arange(columns) * (360.0 / columns if around else 1.0)
    grid = Grid(np.linspace(-60.0, 60.0, rows), lon)
    mask, static = np.ones(grid.shape, bool), np.zeros((0, *grid.shape), np.float32)
    names = tuple(f"channel {number}" for number in range(channels))
    return Layout(names, ("event",), grid, grid, mask, static, classes=("background", "cyclone", "river"))


def network(layout, **options):
    torch.manual_seed(0)
    return CGNet(CGNetConfig(**SMALL | options)).build(layout, 3).eval()


def fields(network, inputs):
    with torch.no_grad():
        answer = network(inputs)
    return answer[:, :, 0].reshape(len(inputs), -1, *inputs.shape[2:])


def weights(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_it_has_as_many_weights_as_published():
    # 0.496 M for the 3 colours and 19 classes of Cityscapes; our readout has a bias, 19 more.
    assert weights(CGNetTrunk(3, 19, CGNetConfig())) == 496_306 + 19
    # Of ClimateNet: 16 channels and 3 classes.
    assert weights(CGNetTrunk(16, 3, CGNetConfig())) == 518_499


@pytest.mark.parametrize("shape", [(12, 20), (13, 21), (64, 64), (9, 5)])
@pytest.mark.parametrize("around", [True, False])
@pytest.mark.parametrize("strides", [(2, 2, 2), (1, 1, 2)])
def test_fields_of_any_size_are_answered(shape, around, strides):
    answer = network(layout(*shape, around=around), strides=strides)(torch.randn(2, 2, *shape))
    assert answer.shape == (2, 3, 1, shape[0] * shape[1])
    assert torch.isfinite(answer).all()


@pytest.mark.parametrize("norm", ["none", "batch", "group"])
@pytest.mark.parametrize(("strides", "turns"), [((2, 2, 2), (8, 24)), ((1, 2, 1), (2, 6)), ((1, 1, 1), (1, 5))])
def test_turning_the_globe_turns_the_answer(norm, strides, turns):
    made, inputs = network(layout(16, 32), norm=norm, strides=strides), torch.randn(2, 2, 16, 32)
    before = fields(made, inputs)
    for turn in turns:
        after = fields(made, inputs.roll(turn, 3))
        torch.testing.assert_close(after, before.roll(turn, 3), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [{"circular": False}, {"circular": "auto", "around": False}])
def test_what_does_not_go_round_answers_its_edges_otherwise(options):
    grid = layout(16, 32, around=options.pop("around", True))
    made, inputs = network(grid, **options), torch.randn(2, 2, 16, 32)
    before, after = fields(made, inputs), fields(made, inputs.roll(8, 3))
    assert not torch.allclose(after, before.roll(8, 3), atol=1e-3)


def test_every_activation_is_its_own_and_out_of_place():
    made = network(layout(16, 16))
    slopes = [module for module in made.modules() if isinstance(module, nn.PReLU)]
    assert len(slopes) == len({id(module) for module in slopes})
    assert all(module.num_parameters > 1 for module in slopes)
    assert not any(module.inplace for module in made.modules() if isinstance(module, nn.ReLU))


def test_blocks_and_width_are_those_asked_for():
    trunk = CGNetTrunk(2, 3, CGNetConfig(width=6, blocks=(1, 4)))
    assert (len(trunk.second.further), len(trunk.third.further)) == (0, 3)
    assert trunk.readout.in_channels == 2 * 4 * 6
    for options, match in (
        ({"blocks": (0, 2)}, "blocks"),
        ({"strides": (2, 3, 2)}, "strides"),
        ({"width": 0}, "width"),
    ):
        with pytest.raises(ValidationError, match=match):
            CGNetConfig(**options)


def test_joint_maps_are_neighbourhood_and_surroundings():
    made, maps = Joint(3, "none", dilation=2), torch.randn(2, 3, 7, 9)
    local = functional.conv2d(maps, made.local.weight, made.local.bias, padding=1, groups=3)
    wide = functional.conv2d(maps, made.surrounding.weight, made.surrounding.bias, padding=2, dilation=2, groups=3)
    expected = functional.prelu(torch.cat([local, wide], 1), made.activated.slope.weight)
    torch.testing.assert_close(made(maps, False), expected)


def test_maps_are_weighed_by_their_means():
    made, maps = Weighing(16, 8), torch.randn(2, 16, 5, 6)
    first, _, last, _ = made.layers
    hidden = (maps.mean((2, 3)) @ first.weight.T + first.bias).clamp(min=0)
    weight = 1 / (1 + torch.exp(-(hidden @ last.weight.T + last.bias)))
    torch.testing.assert_close(made(maps), torch.einsum("tcyx,tc->tcyx", maps, weight))
    assert first.out_features == 2
    assert Weighing(4, 8).layers[0].out_features == 1


def test_a_context_block_adds_to_what_came():
    made, maps = Context(8, "batch", 2, 8).eval(), torch.randn(1, 8, 6, 6)
    nn.init.zeros_(made.joint.local.weight)
    nn.init.zeros_(made.joint.surrounding.weight)
    torch.testing.assert_close(made(maps, True), maps)


def test_averages_are_those_of_three_by_three_cells_across_the_seam():
    maps = torch.randn(1, 2, 6, 8)
    wide = torch.zeros(1, 2, 8, 10)
    wide[:, :, 1:-1] = functional.pad(maps, (1, 1, 0, 0), mode="circular")
    expected = torch.stack(
        [
            torch.stack([wide[:, :, 2 * y : 2 * y + 3, 2 * x : 2 * x + 3].mean((2, 3)) for x in range(4)], -1)
            for y in range(3)
        ],
        -2,
    )
    torch.testing.assert_close(Average(2)(maps, True), expected)
    torch.testing.assert_close(Average(2)(maps, False), functional.avg_pool2d(maps, 3, 2, 1))
    assert Average(1)(maps, True) is maps


def test_interpolation_goes_across_the_seam():
    maps = torch.tensor([[[[0.0, 1.0, 2.0, 5.0]]]])
    # Fine centres lie a quarter of a coarse cell beside the coarse ones.
    coarse, at = np.array([5.0, 0.0, 1.0, 2.0, 5.0, 0.0]), (np.arange(8) + 0.5) / 2 + 0.5
    expected = np.interp(at, np.arange(6), coarse)
    np.testing.assert_allclose(finer(maps, 2, True)[0, 0, 0].numpy(), expected, atol=1e-6)
    assert float(finer(maps, 2, False)[0, 0, 0, 0]) == 0.0
    assert finer(maps, 1, True) is maps


def test_a_field_that_shrinks_to_one_cell_is_refused():
    with pytest.raises(ConfigError, match="cgnet: norm: batch needs more than one cell at the lowest resolution"):
        network(layout(8, 8))
    assert network(layout(8, 8), norm="group")(torch.zeros(1, 2, 8, 8)).shape == (1, 3, 1, 64)
    assert network(layout(8, 8), strides=(1, 2, 2))(torch.zeros(1, 2, 8, 8)).shape == (1, 3, 1, 64)


def test_inputs_on_another_grid_are_refused():
    fine, coarse = layout(16, 16), layout(8, 8)
    other = Layout(fine.channels, fine.targets, coarse.input_grid, fine.target_grid, fine.mask, fine.static)
    with pytest.raises(ConfigError, match="cgnet: expected inputs on the grid of the target"):
        network(other)
