"""Grad-CAM: the layer, the map, the grids, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.attribution.grad_cam import GradCam, GradCamConfig
from pipeline.attribution.subject import bare, subject_of
from pipeline.errors import ConfigError
from pipeline.grid import Grid


class Net(torch.nn.Module):
    """Two convolutions; what is read is the lower right of the maps."""

    def __init__(self, shape=(4, 4)):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.first, self.second = torch.nn.Conv2d(2, 3, 3, padding=1), torch.nn.Conv2d(3, 2, 1)
        self.shape = shape

    def forward(self, inputs):
        maps = self.second(torch.relu(self.first(inputs)))
        return maps[:, :, -1, -1].sum(1)


@pytest.fixture
def rows():
    return torch.randn(3, 2, 4, 4, generator=torch.Generator().manual_seed(1)), torch.arange(3)


def test_it_is_the_weighted_sum_of_the_layers_maps(rows):
    inputs, which = rows
    network = Net()
    found = GradCam(GradCamConfig(layer="second")).attribute(bare(network), inputs, which, None)
    with torch.no_grad():
        maps = network.second(torch.relu(network.first(inputs)))
    # The mean gradient of one cell of sixteen is a sixteenth for both maps.
    wanted = torch.relu(maps.sum(1, keepdim=True) / 16)
    torch.testing.assert_close(found, (wanted / 2).expand(-1, 2, -1, -1), rtol=1e-4, atol=1e-6)


def test_the_default_layer_is_the_last_at_the_lowest_resolution(rows):
    class Deep(Net):
        def forward(self, inputs):
            maps = torch.relu(self.first(inputs))
            low = torch.nn.functional.avg_pool2d(maps, 2)
            return self.second(low).sum((1, 2, 3)) + maps.sum((1, 2, 3))

    inputs, which = rows
    subject = bare(Deep())
    default = GradCam().attribute(subject, inputs, which, None)
    named = GradCam(GradCamConfig(layer="second")).attribute(subject, inputs, which, None)
    torch.testing.assert_close(default, named)
    assert default.shape == inputs.shape


def test_an_unknown_layer_and_a_network_without_convolutions_are_refused(rows):
    inputs, which = rows
    with pytest.raises(ConfigError, match=r"no convolution 'secnd'\. Did you mean 'second'\? Known: first, second"):
        GradCam(GradCamConfig(layer="secnd")).attribute(bare(Net()), inputs, which, None)
    dense = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(32, 1), torch.nn.Flatten(0))
    with pytest.raises(ConfigError, match="expected a network with convolutions"):
        GradCam().attribute(bare(dense), inputs, which, None)


def test_a_layer_that_runs_step_by_step_has_no_map_of_a_day(rows):
    class Steps(Net):
        def forward(self, inputs):
            return self.second(self.first(inputs) + self.first(inputs)).sum((1, 2, 3))

    inputs, which = rows
    with pytest.raises(ConfigError, match=r"no convolution 'first'.*Known: second"):
        GradCam(GradCamConfig(layer="first")).attribute(bare(Steps()), inputs, which, None)


def test_a_layer_on_the_target_grid_is_carried_to_the_inputs_by_place(formula, case, samples):
    """The target is a part of the input grid at half the distance: nothing is said of cells beyond it."""
    fine = Grid(np.array([45.0, 35.0]), np.arange(5) * 0.5 + 1.0)
    schema = replace(samples.schema, target_grid=fine, mask=np.ones((2, 5), bool))

    class Fine(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Conv2d(3, 1, 1, bias=False)
            torch.nn.init.ones_(self.layer.weight)

        def forward(self, inputs):
            fine = torch.nn.functional.interpolate(inputs, (2, 5))
            return self.layer(fine)

    there = replace(samples, schema=schema, inputs=np.ones((60, 3, 3, 4), np.float32))
    weights = np.full((1, 2, 5), 0.1)
    asked = replace(case(formula(Fine())).question, weights=weights, scale=np.ones((1, 2, 5)))
    subject = subject_of(case(formula(Fine()), samples=there, question=asked))
    found = GradCam().attribute(subject, torch.ones(2, 3, 3, 4), torch.arange(2), None)[0].sum(0)
    assert (found[1, 1:] > 0).all()
    assert not found[0].any()
    assert not found[:, 0].any()
