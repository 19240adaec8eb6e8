from dataclasses import replace

import numpy as np
import pytest
import torch

from models._layout import Layout
from models.residual_unet import ResidualUNet, ResidualUNetConfig, ResidualUNetNetwork
from pipeline.errors import ConfigError
from pipeline.grid import Grid
from pipeline.training.losses import make_loss

QUICK = {"epochs": 20, "batch_size": 16, "lr": 1e-2, "width": 8, "depth": 1, "loss": "mse"}


@pytest.fixture
def layout(make_samples):
    return Layout.of(make_samples(2).schema)


def network(layout, loss="mse", **options):
    torch.manual_seed(0)
    loss = make_loss(loss)
    return ResidualUNetNetwork(layout, len(loss.parameters), ResidualUNetConfig(**options), loss).eval()


def test_starts_near_the_interpolated_channel_of_the_targets_name(layout):
    inputs = torch.randn(20, 3, 4, 5)
    made = network(layout)
    with torch.no_grad():
        rest = made(inputs)[:, 0, 0] - made.own.to_target(inputs[:, :1])[:, 0][:, torch.tensor(layout.mask)]
        alone = network(replace(layout, targets=("pr",)))(inputs)
    assert rest.std() < 0.5
    torch.testing.assert_close(alone[:, 0, 0], rest, atol=1e-5, rtol=1e-4)


def test_learns_better_than_a_linear_reading_of_the_coarse_field(make_samples, context):
    train, validation, test = (make_samples(n, seed=s) for n, s in ((150, 0), (50, 1), (100, 2)))
    model = ResidualUNet(ResidualUNetConfig(**QUICK)).fit(train, validation, context)
    inside = train.schema.mask
    mean = context.backend.to_host(model.predict(test, context).mean())[:, 0, inside]
    carry = model._network.own.to_target
    fields = [carry(torch.tensor(np.asarray(each.inputs))[:, :1]) for each in (train, test)]
    coarse = [field[:, 0].numpy()[:, inside] for field in fields]
    truth = [np.asarray(each.target)[:, 0, inside] for each in (train, test)]
    slope = (coarse[0] * truth[0]).mean(0) / (coarse[0] ** 2).mean(0)
    assert np.mean((mean - truth[1]) ** 2) < 0.6 * np.mean((slope * coarse[1] - truth[1]) ** 2)


def test_static_fields_matter_and_may_be_none(layout):
    inputs = torch.randn(2, 3, 4, 5)
    made, turned = network(layout), network(replace(layout, static=-layout.static))
    assert not torch.allclose(made(inputs), turned(inputs))
    assert network(replace(layout, static=layout.static[:0]))(inputs).shape == (2, 1, 1, layout.cells)


def test_cordex_size_has_few_weights():
    coarse = Grid(np.linspace(-55.5, -25.5, 16), np.linspace(157.5, 187.5, 16))
    fine = Grid(np.linspace(-47.56, -33.93, 128), np.linspace(166.04, 179.67, 128))
    static = np.zeros((1, 128, 128), np.float32)
    layout = Layout(tuple("abcdefghijklmno"), ("pr",), coarse, fine, np.ones((128, 128), bool), static)
    made = network(layout)
    assert made(torch.randn(1, 15, 16, 16)).shape == (1, 1, 1, 128 * 128)
    assert sum(p.numel() for p in made.parameters()) < 500_000


@pytest.mark.parametrize("size", [(5, 7), (1, 1), (13, 3)])
def test_odd_grids_and_masks(layout, size):
    grid = Grid(np.linspace(40, 46, size[0]), np.linspace(-6, 2, size[1]))
    mask = np.random.default_rng(0).random(size) < 0.7
    mask[0, 0] = True
    odd = replace(layout, target_grid=grid, mask=mask, static=np.zeros((0, *size), np.float32))
    answer = network(odd, "normal_nll")(torch.randn(2, 3, 4, 5))
    assert answer.shape == (2, 2, 1, mask.sum())
    assert torch.isfinite(answer).all()


def test_several_targets_are_kept_apart(make_samples, context):
    train, validation = make_samples(150, targets=2), make_samples(60, seed=1, targets=2)
    model = ResidualUNet(ResidualUNetConfig(**QUICK)).fit(train, validation, context)
    mean = context.backend.to_host(model.predict(validation, context).mean())[:, :, train.schema.mask]
    truth = np.asarray(validation.target)[:, :, train.schema.mask]
    for mine in (0, 1):
        own, other = (np.mean((mean[:, mine] - truth[:, which]) ** 2) for which in (mine, 1 - mine))
        assert own < 0.5 * other


def test_gradients_reach_every_input_and_weight(layout):
    made = network(layout, "normal_nll")
    for block in (m for m in made.modules() if isinstance(m, torch.nn.GroupNorm)):
        torch.nn.init.normal_(block.weight, 1.0, 0.1)
    inputs = torch.randn(2, 3, 4, 5, requires_grad=True)
    made(inputs).square().sum().backward()
    assert (inputs.grad.abs().sum((0, 2, 3)) > 0).all()
    assert all(p.grad.abs().sum() > 0 for p in made.parameters())


def test_stations_are_refused_with_what_to_take(layout):
    stations = Grid(np.array([[41.0, 42.0]]), np.array([[-3.0, 0.0]]), ("row", "station"), ("a", "b"))
    there = replace(layout, target_grid=stations, mask=np.ones((1, 2), bool), static=np.zeros((0, 1, 2), np.float32))
    with pytest.raises(ConfigError, match=r"residual_unet: expected a target on .* got 2 stations\. Take convcnp"):
        ResidualUNet().build(there, 1)
    with pytest.raises(ConfigError, match="residual_unet: expected inputs on a grid"):
        ResidualUNet().build(replace(layout, input_grid=stations), 1)
