import numpy as np
import pytest
import torch
from torch import nn

from models._layout import Layout
from models.class_unet import ClassUNet, ClassUNetConfig, Pair
from pipeline.errors import ConfigError
from pipeline.grid import Grid


def layout(rows, columns, *, around=True, classes=3):
    lon = np.arange(columns) * (360.0 / columns if around else 1.0)
    grid = Grid(np.linspace(-60.0, 60.0, rows), lon)
    names = tuple(f"class {number}" for number in range(classes))
    mask, static = np.ones(grid.shape, bool), np.zeros((0, *grid.shape), np.float32)
    return Layout(("tmq", "wind"), ("event",), grid, grid, mask, static, classes=names)


def network(layout, **options):
    torch.manual_seed(0)
    model = ClassUNet(ClassUNetConfig(**{"width": 4, "depth": 2} | options))
    return model.build(layout, len(layout.classes)).eval()


def fields(network, inputs):
    with torch.no_grad():
        answer = network(inputs)
    return answer[:, :, 0].reshape(len(inputs), -1, *inputs.shape[2:])


@pytest.mark.parametrize("shape", [(12, 20), (13, 21), (64, 64), (5, 3)])
@pytest.mark.parametrize("around", [True, False])
def test_fields_of_any_size_are_answered(shape, around):
    answer = network(layout(*shape, around=around), norm="group")(torch.randn(2, 2, *shape))
    assert answer.shape == (2, 3, 1, shape[0] * shape[1])
    assert torch.isfinite(answer).all()


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("norm", ["none", "batch", "group"])
def test_turning_the_globe_turns_the_answer(depth, norm):
    made, inputs = network(layout(12, 32), depth=depth, norm=norm), torch.randn(2, 2, 12, 32)
    before = fields(made, inputs)
    for turn in (2**depth, 3 * 2**depth):
        after = fields(made, inputs.roll(turn, 3))
        torch.testing.assert_close(after, before.roll(turn, 3), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [{"circular": False}, {"circular": "auto", "around": False}])
def test_what_does_not_go_round_answers_its_edges_otherwise(options):
    grid = layout(12, 32, around=options.pop("around", True))
    made, inputs = network(grid, **options), torch.randn(2, 2, 12, 32)
    before, after = fields(made, inputs), fields(made, inputs.roll(8, 3))
    assert not torch.allclose(after, before.roll(8, 3), atol=1e-3)


def test_an_event_on_the_seam_is_answered_like_one_elsewhere():
    made, inputs = network(layout(16, 32), depth=2), torch.zeros(1, 2, 16, 32)
    inputs[..., 6:10, 14:18] = 3.0
    torch.testing.assert_close(fields(made, inputs.roll(16, 3)), fields(made, inputs).roll(16, 3), rtol=1e-4, atol=1e-5)


def test_all_cells_have_the_same_weights():
    small, large = (sum(p.numel() for p in network(layout(*shape)).parameters()) for shape in ((8, 8), (40, 64)))
    assert small == large


def test_every_activation_is_its_own_and_out_of_place():
    made = network(layout(16, 16))
    found = [module for module in made.modules() if isinstance(module, nn.ReLU)]
    assert len(found) == len({id(module) for module in found}) == 10
    assert not any(module.inplace for module in found)


def test_a_pair_is_two_convolutions_with_norm_and_relu():
    made, maps = Pair(2, 4, "batch").eval(), torch.randn(1, 2, 6, 6)
    expected = maps
    for place in range(2):
        convolution, batch = made.convolutions[place], made.norms[place]
        expected = torch.relu(batch(nn.functional.conv2d(expected, convolution.weight, None, padding=1)))
    torch.testing.assert_close(made(maps, False), expected)


def test_depth_and_width_are_those_asked_for():
    made = network(layout(32, 32), width=6, depth=3)
    assert [block.convolutions[0].out_channels for block in made.trunk.encoder] == [6, 12, 24, 48]
    assert made.trunk.readout.in_channels == 6


def test_the_answer_sees_far_through_the_lower_levels():
    made, inputs = network(layout(64, 64, around=False), depth=3, norm="none"), torch.randn(1, 2, 64, 64)
    inputs.requires_grad_()
    made(inputs)[0, :, 0, 32 * 64 + 32].sum().backward()
    reached = inputs.grad.abs().sum((0, 1)).nonzero()
    assert int((reached - 32).abs().max()) > 20


def test_dropout_leaves_out_maps_in_training_alone():
    made, inputs = network(layout(16, 16), dropout=0.5), torch.randn(1, 2, 16, 16)
    torch.testing.assert_close(made(inputs), made(inputs))
    made.trunk.dropout.train()
    assert not torch.allclose(made(inputs), made(inputs))


def test_other_grids_and_images_that_should_go_round_are_refused():
    image = Grid(np.arange(8.0), np.arange(8.0), ("y", "x"))
    mask, static = np.ones((8, 8), bool), np.zeros((0, 8, 8), np.float32)
    of_image = Layout(("b",), ("cloud",), image, image, mask, static, classes=("clear", "cloud"))
    with pytest.raises(ConfigError, match=r"class_unet: circular: expected evenly spaced.*got an image of 8 x 8"):
        network(of_image, circular=True)
    region = Grid(np.linspace(-40.0, 40.0, 8), np.arange(0.0, 80.0, 10.0))
    of_region = Layout(("b",), ("cloud",), region, region, mask, static, classes=("clear", "cloud"))
    with pytest.raises(
        ConfigError, match=r"got a grid of 8 x 8 cells, whose last column does not lie beside its first"
    ):
        network(of_region, circular=True)
    assert network(of_image)(torch.zeros(1, 1, 8, 8)).shape == (1, 2, 1, 64)
    globe = layout(8, 8)
    with pytest.raises(ConfigError, match="class_unet: expected inputs on the grid of the target"):
        network(Layout(("b",), ("c",), image, globe.target_grid, mask, static, classes=("x", "y")))
