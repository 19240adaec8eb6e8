from dataclasses import replace

import numpy as np
import pytest
import torch

from models._layout import Layout
from models.deepesd import DeepESD, DeepESDConfig, DeepESDNetwork
from pipeline.errors import ConfigError
from pipeline.grid import Grid
from pipeline.prediction import Prediction


@pytest.fixture
def layout(make_samples):
    return Layout.of(make_samples(2).schema)


def test_the_shape_of_the_published_network(layout):
    network = DeepESDNetwork(layout, 2, DeepESDConfig())
    convolutions = [layer for layer in network.features if isinstance(layer, torch.nn.Conv2d)]
    assert [(c.in_channels, c.out_channels) for c in convolutions] == [(3, 50), (50, 25), (25, 10)]
    assert network.head.in_features == 10 * 4 * 5
    assert network.head.out_features == 2 * layout.cells
    assert network(torch.zeros(6, 3, 4, 5)).shape == (6, 2, 1, layout.cells)


def test_the_heads_of_mean_and_log_variance_share_no_weight(layout):
    network = DeepESDNetwork(layout, 2, DeepESDConfig())
    network(torch.randn(2, 3, 4, 5))[:, 0].sum().backward()
    touched = network.head.weight.grad.abs().sum(1) > 0
    assert touched[: layout.cells].all()
    assert not touched[layout.cells :].any()


def test_no_layer_is_used_twice_or_in_place(layout):
    # What attribution by hooks (DeepLift) asks of a network.
    activations = [m for m in DeepESDNetwork(layout, 2, DeepESDConfig()).modules() if isinstance(m, torch.nn.ReLU)]
    assert len({id(m) for m in activations}) == 3
    assert not any(m.inplace for m in activations)


@pytest.mark.parametrize("norm", ["none", "batch", "group"])
def test_learns_four_days_by_heart(make_samples, context, norm):
    four = make_samples(4)
    config = DeepESDConfig(epochs=150, batch_size=4, lr=5e-3, schedule="cosine", loss="mse", norm=norm)
    model = DeepESD(config).fit(four, four, context)
    assert model.summary()["validation_loss"] < 0.02 * float(four.target[:, :, four.schema.mask].var())


def test_a_noisy_cell_gets_a_wider_distribution(make_samples, context):
    train, validation = make_samples(200), make_samples(100, seed=1)
    random = np.random.default_rng(0)
    for split in (train, validation):
        split.target[:, :, 4, 4] += 2.0 * random.normal(size=len(split))[:, None]
    model = DeepESD(DeepESDConfig(epochs=25, batch_size=16, lr=2e-3, filters=(8, 4))).fit(train, validation, context)
    prediction = model.predict(make_samples(50, seed=2), context)
    assert isinstance(prediction, Prediction)
    sd = prediction.parameters["sd"].mean(axis=(0, 1))
    assert sd[4, 4] > 2 * np.nanmedian(sd)
    assert 1.2 < sd[4, 4] < 3.0


def test_the_network_of_cordex_ml_bench_has_its_published_size():
    coarse = Grid(np.linspace(-55.5, -25.5, 16), np.linspace(157.5, 187.5, 16))
    fine = Grid(np.linspace(-47.56, -33.93, 128), np.linspace(166.04, 179.67, 128))
    names = tuple(f"{name}_{level}" for name in "uvqtz" for level in (850, 700, 500))
    layout = Layout(names, ("pr",), coarse, fine, np.ones((128, 128), bool), np.zeros((0, 128, 128), np.float32))
    network = DeepESDNetwork(layout, 1, DeepESDConfig(filters=(50, 25, 1)))
    convolutions = (15 * 9 + 1) * 50 + (50 * 9 + 1) * 25 + (25 * 9 + 1) * 1
    assert sum(p.numel() for p in network.parameters()) == convolutions + (16 * 16 + 1) * 16384 == 4_228_989


def test_valid_padding_takes_two_off_each_time(layout):
    wide = replace(layout, input_grid=Grid(np.linspace(38, 48, 9), np.linspace(-8, 4, 11)))
    network = DeepESDNetwork(wide, 1, DeepESDConfig(padding="valid", filters=(4, 3)))
    assert network.head.in_features == 3 * 5 * 7
    inputs = torch.randn(2, 3, 9, 11)
    assert network(inputs).shape == (2, 1, 1, layout.cells)
    first, weight = network.features[0], network.features[0].weight
    expected = (inputs[:, :, :3, :3] * weight[1]).sum((1, 2, 3)) + first.bias[1]
    torch.testing.assert_close(first(inputs)[:, 1, 0, 0], expected, atol=1e-5, rtol=1e-4)


def test_a_grid_too_small_for_valid_padding_is_refused(layout):
    with pytest.raises(
        ConfigError, match=r"more than 6 x 6 cells for 3 convolutions .* got 4 x 5\. Take padding: same"
    ):
        DeepESD(DeepESDConfig(padding="valid")).build(layout, 1)


def test_learns_stations(to_stations, make_samples, context):
    train, validation, test = (to_stations(make_samples(n, seed=s)) for n, s in ((150, 0), (50, 1), (100, 2)))
    config = DeepESDConfig(epochs=15, batch_size=16, lr=3e-3, filters=(8, 4), loss="mse")
    mean = DeepESD(config).fit(train, validation, context).predict(test, context).mean()
    assert mean.shape == test.target.shape == (100, 1, 1, 19)
    truth = np.asarray(test.target)
    assert np.mean((context.backend.to_host(mean) - truth) ** 2) < 0.3 * truth.var()
