from dataclasses import replace

import numpy as np
import pytest
import torch

from models._layout import Layout
from models.doury_unet import DouryUNet, DouryUNetConfig, DouryUNetNetwork, own_standardised
from pipeline.errors import ConfigError
from pipeline.grid import Grid

QUICK = {"epochs": 25, "batch_size": 16, "lr": 3e-3, "width": 8, "loss": "mse"}


@pytest.fixture
def layout(make_samples):
    return Layout.of(make_samples(2, further=True).schema)


def cordex(channels=15):
    coarse = Grid(np.linspace(-55.5, -25.5, 16), np.linspace(157.5, 187.5, 16))
    fine = Grid(np.linspace(-47.56, -33.93, 128), np.linspace(166.04, 179.67, 128))
    scalars = ("day_cos", "day_sin", "co2")
    names = (*(f"x{number}" for number in range(channels)), *scalars)
    mask, static = np.ones((128, 128), bool), np.zeros((0, 128, 128), np.float32)
    return Layout(names, ("pr",), coarse, fine, mask, static, scalars)


def network(layout, parameters=1, **options):
    torch.manual_seed(0)
    return DouryUNetNetwork(layout, parameters, DouryUNetConfig(**{"width": 8} | options)).eval()


def test_fields_are_standardised_one_by_one():
    fields = np.random.default_rng(0).normal(280, 7, (4, 3, 5, 6)).astype(np.float32)
    fields[1, 2] = 3e5  # a field without variation
    shape, mean, deviation = own_standardised(torch.tensor(fields))
    for time in range(4):
        for channel in range(3):
            field = fields[time, channel].astype(float)
            assert mean[time, channel].item() == pytest.approx(field.mean(), rel=1e-6)
            assert deviation[time, channel].item() == pytest.approx(field.std(), rel=1e-4)
            expected = np.zeros((5, 6)) if (time, channel) == (1, 2) else (field - field.mean()) / field.std()
            np.testing.assert_allclose(shape[time, channel].numpy(), expected, atol=1e-3)


def test_a_field_without_variation_has_finite_gradients():
    fields = torch.ones(1, 2, 3, 4)
    fields[0, 1, 0, 0] = 2.0
    fields.requires_grad_()
    shape, mean, deviation = own_standardised(fields)
    (shape.square().sum() + shape[..., 0].sum() + mean.sum() + deviation.sum()).backward()
    assert torch.isfinite(fields.grad).all()


def test_what_multiplies_or_shifts_a_whole_field_changes_the_vector_alone(layout):
    made, inputs = network(layout), torch.randn(5, 8, 4, 5)
    moved = inputs.clone()
    factor, shift = torch.rand(5, 6, 1, 1) * 3 + 0.2, torch.randn(5, 6, 1, 1) * 10
    moved[:, :6] = factor * inputs[:, :6] + shift
    torch.testing.assert_close(own_standardised(moved[:, :6])[0], own_standardised(inputs[:, :6])[0], atol=1e-4, rtol=0)
    assert not torch.allclose(made(moved), made(inputs), atol=1e-2)
    with torch.no_grad():
        made.vector[0].weight[:, :12] = 0.0  # deaf to means and deviations
    torch.testing.assert_close(made(moved), made(inputs), atol=1e-4, rtol=1e-4)


def test_the_vector_holds_standardised_moments_then_scalars(layout):
    made, inputs = network(layout), torch.randn(3, 8, 4, 5)
    inputs[:, 6:] = inputs[:, 6:, :1, :1]
    made.centre.copy_(torch.arange(12.0))
    made.spread.copy_(torch.arange(1.0, 13.0))
    seen = []
    made.vector.register_forward_hook(lambda module, given, answer: seen.append(given[0]))
    made(inputs)
    fields = inputs[:, :6].numpy()
    moments = np.concatenate([fields.mean((2, 3)), fields.std((2, 3))], axis=1)
    np.testing.assert_allclose(seen[0][:, :12].numpy(), (moments - np.arange(12)) / np.arange(1, 13), atol=1e-5)
    torch.testing.assert_close(seen[0][:, 12:], inputs[:, 6:, 0, 0])
    assert not any(isinstance(m, torch.nn.ReLU) for m in made.vector.modules())


def test_the_published_size_comes_out_exactly():
    layout = cordex()
    made = network(layout, width=64)
    assert [block[0].out_channels for block in made.encoder] == [64, 128, 256, 512]
    assert [(layer.in_features, layer.out_features) for layer in made.vector] == [
        (33, 64), (64, 128), (128, 256), (256, 512),
    ]  # fmt: skip
    assert [up[0].out_channels for up in (*made.decoder, *made.further)] == [512, 256, 128, 64, 64, 64, 64]
    assert made.decoder[0][0].in_channels == 1024
    assert made.to_target is None
    sizes = []
    made.bottom.register_forward_hook(lambda module, given, answer: sizes.append(answer.shape))
    assert made(torch.randn(2, 18, 16, 16)).shape == (2, 1, 1, 16384)
    assert sizes == [(2, 512, 1, 1)]


def test_any_other_grid_is_reached_by_real_coordinates(layout):
    # What the decoder draws at a place of the input grid is found there on the target grid.
    mask, static = np.ones((7, 9), bool), np.zeros((0, 7, 9), np.float32)
    target = Grid(np.linspace(39.0, 46.0, 7), np.linspace(-7.0, 2.0, 9))
    made = network(replace(layout, target_grid=target, mask=mask, static=static))
    rows, columns = 4 * 2 ** len(made.further), 5 * 2 ** len(made.further)
    lat = 40 + 2 * ((np.arange(rows) + 0.5) * 4 / rows - 0.5)
    image = torch.tensor(np.broadcast_to(lat[:, None], (rows, columns)).copy(), dtype=torch.float32)
    found = made.to_target(image[None, None])[0, 0].numpy()
    inside = np.clip(target.lat, lat[0], lat[-1])
    np.testing.assert_allclose(found, np.broadcast_to(inside[:, None], found.shape), rtol=1e-5)


@pytest.mark.parametrize("shape", [(6, 8), (5, 7), (2, 9)])
@pytest.mark.parametrize("levels", [0, 1, 3])
def test_odd_grids_masks_and_levels(layout, shape, levels):
    coarse = Grid(np.linspace(40, 46, shape[0]), np.linspace(-6, 2, shape[1]))
    odd = replace(layout, input_grid=coarse)
    answer = network(odd, 2, levels=levels)(torch.randn(2, 8, *shape))
    assert answer.shape == (2, 2, 1, layout.cells)
    assert torch.isfinite(answer).all()


def test_a_projected_input_grid_is_divided_too(layout):
    lat, lon = np.meshgrid(layout.input_grid.lat, layout.input_grid.lon, indexing="ij")
    turned = replace(layout, input_grid=Grid(lat + 0.1 * lon, lon - 0.1 * lat, ("y", "x")))
    assert network(turned)(torch.randn(2, 8, 4, 5)).shape == (2, 1, 1, layout.cells)


def test_one_sample_left_over_in_a_batch_is_no_error():
    made = network(cordex(2)).train()
    assert torch.isfinite(made(torch.randn(1, 5, 16, 16))).all()


def test_gradients_reach_every_field_and_scalar(layout):
    inputs = torch.randn(2, 8, 4, 5, requires_grad=True)
    network(layout)(inputs).square().sum().backward()
    assert (inputs.grad.abs().sum((0, 2, 3)) > 0).all()


def test_moments_are_those_of_the_train_split_and_are_saved(make_samples, context, tmp_path):
    train, validation = make_samples(40, further=True), make_samples(20, seed=1, further=True)
    model = DouryUNet(DouryUNetConfig(**QUICK | {"epochs": 1})).fit(train, validation, context)
    fields = np.asarray(train.inputs)[:, :6].astype(float)
    moments = np.concatenate([fields.mean((2, 3)), fields.std((2, 3))], axis=1)
    for network_ in (model._network, loaded(model, context, tmp_path)._network):
        np.testing.assert_allclose(network_.centre.numpy(force=True), moments.mean(0), atol=1e-5)
        np.testing.assert_allclose(network_.spread.numpy(force=True), moments.std(0), rtol=1e-4)


def loaded(model, context, folder):
    (folder / "saved").mkdir()
    model.save(folder / "saved")
    return DouryUNet.load(folder / "saved", context)


def test_learns_better_than_the_climatology_of_several_targets(make_samples, context):
    train, validation, test = (
        make_samples(n, seed=s, targets=2, further=True) for n, s in ((150, 0), (50, 1), (80, 2))
    )
    model = DouryUNet(DouryUNetConfig(**QUICK)).fit(train, validation, context)
    inside = train.schema.mask
    mean = context.backend.to_host(model.predict(test, context).mean())[:, :, inside]
    truth = np.asarray(test.target)[:, :, inside]
    assert (np.mean((mean - truth) ** 2, axis=(0, 2)) < 0.65 * truth.var(axis=(0, 2))).all()


def test_what_it_needs_is_said(layout):
    with pytest.raises(ConfigError, match=r"without \['day_cos', 'day_sin'\]\. Set prepare\.inputs\.calendar: true"):
        DouryUNet().build(replace(layout, channels=("tas",), scalars=()), 1)
    row = Grid(np.array([40.0]), layout.input_grid.lon)
    with pytest.raises(ConfigError, match=r"inputs of 2 x 2 cells or more, got 1 x 5"):
        DouryUNet().build(replace(layout, input_grid=row), 1)
    stations = Grid(np.array([[41.0]]), np.array([[-3.0]]), ("row", "station"), ("a",))
    with pytest.raises(ConfigError, match="doury_unet: expected a target on a grid"):
        DouryUNet().build(replace(layout, target_grid=stations), 1)
