import pytest
import torch

from models._layout import Layout
from models.deepesd import DeepESD, DeepESDConfig, DeepESDNetwork
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
    import numpy as np

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
