from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from models._layers import padding
from models._layout import Layout
from models.unet import UNet, UNetConfig, UNetNetwork
from pipeline.errors import ConfigError
from pipeline.grid import Grid

QUICK = {"epochs": 4, "batch_size": 32, "lr": 3e-3, "width": 4, "large_scale": (8, 4)}


@pytest.fixture
def layout(make_samples):
    return Layout.of(make_samples(2).schema)


def network(layout, parameters=2, **options):
    torch.manual_seed(0)
    made = UNetNetwork(layout, parameters, UNetConfig(**QUICK | options)).eval()
    with torch.no_grad():
        made.local.normal_(generator=torch.Generator().manual_seed(1))
    return made


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("norm", ["none", "batch", "group"])
def test_answers_every_cell_at_any_depth(layout, depth, norm):
    answer = network(layout, depth=depth, norm=norm)(torch.randn(3, 3, 4, 5))
    assert answer.shape == (3, 2, 1, layout.cells)
    assert torch.isfinite(answer).all()


@pytest.mark.parametrize("statics", [0, 1, 2])
def test_static_fields_are_optional(layout, statics):
    fields = np.random.default_rng(0).normal(size=(statics, *layout.mask.shape)).astype(np.float32)
    made = network(replace(layout, static=fields))
    assert made.encoder[0][0].in_channels == 3 + statics
    assert made(torch.zeros(1, 3, 4, 5)).shape == (1, 2, 1, layout.cells)


def test_static_fields_matter(layout):
    inputs = torch.randn(2, 3, 4, 5)
    one = network(layout)(inputs)
    other = network(replace(layout, static=-layout.static))(inputs)
    assert not torch.allclose(one, other)


def test_a_cell_reads_its_own_weights_and_its_own_place(layout):
    # A cell's answer is its row of `local` times the decoder's maps there, plus the large-scale part.
    made, inputs = network(layout), torch.randn(2, 3, 4, 5)
    with torch.no_grad():
        maps = made._maps(inputs).numpy()
        wide = made.large_scale(inputs).reshape(2, 2, layout.cells).numpy()
        answer = made(inputs).numpy()[:, :, 0]
    local = made.local.detach().numpy()
    for cell, (row, column) in enumerate(np.argwhere(layout.mask)):
        for parameter in range(2):
            expected = maps[:, :, row, column] @ local[parameter, :, cell] + wide[:, parameter, cell]
            assert answer[:, parameter, cell] == pytest.approx(expected, abs=1e-4)


def test_the_decoder_is_the_published_scheme_written_out(layout):
    made, inputs = network(layout, depth=1, dropout=0.5), torch.randn(2, 3, 4, 5)

    def block(layers, x):
        x = functional.relu(functional.conv2d(x, layers[0].weight, layers[0].bias, padding=1))
        return functional.relu(functional.conv2d(x, layers[3].weight, layers[3].bias, padding=1))

    with torch.no_grad():
        x = torch.cat([made.to_target(inputs), made.static.expand(2, -1, -1, -1)], 1)  # 8 x 10: no padding
        fine = block(made.encoder[0], x)
        coarse = block(made.encoder[1], fine.unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5)).contiguous())
        doubled = coarse.repeat_interleave(2, 2).repeat_interleave(2, 3)
        expected = block(made.decoder[0], torch.cat([doubled, fine], 1))
        torch.testing.assert_close(made._maps(inputs), expected, atol=1e-5, rtol=1e-5)


def test_large_scale_features_are_left_out_in_training_alone(layout):
    made, inputs = network(layout, large_scale_dropout=0.5), torch.randn(40, 3, 4, 5)
    *convolutions, dropout, readout = made.large_scale
    with torch.no_grad():
        features = torch.nn.Sequential(*convolutions)(inputs)
        torch.testing.assert_close(made.large_scale(inputs), readout(features))
        made.train()
        kept = dropout(features)
    alive = features != 0
    assert (kept[alive] == 0).double().mean() == pytest.approx(0.5, abs=0.05)
    torch.testing.assert_close(kept[kept != 0], 2 * features[kept != 0])


def test_padding_is_even_and_enough():
    for rows in range(1, 40):
        left, right, top, bottom = padding((rows, 29), 8)
        assert (rows + top + bottom) % 8 == 0
        assert (29 + left + right) % 8 == 0
        assert 0 <= bottom - top <= 1
        assert 0 <= right - left <= 1


def test_starts_as_its_large_scale_part(layout):
    made = UNetNetwork(layout, 1, UNetConfig(**QUICK))
    inputs = torch.randn(2, 3, 4, 5)
    torch.testing.assert_close(made(inputs).flatten(1), made.large_scale(inputs))


def test_inputs_on_the_target_grid_are_taken_as_they_are(layout):
    same = replace(layout, input_grid=layout.target_grid)
    made, inputs = network(same), torch.randn(2, 3, *layout.mask.shape)
    assert made.to_target(inputs) is inputs
    assert made(inputs).shape == (2, 2, 1, layout.cells)


def test_only_trained_weights_are_saved(layout):
    names = set(network(layout).state_dict())
    assert names == {name for name, _ in network(layout).named_parameters()}


def test_learns_four_days_by_heart(make_samples, context):
    four = make_samples(4)
    config = UNetConfig(epochs=120, batch_size=4, lr=5e-3, schedule="cosine", loss="mse", width=4)
    model = UNet(config).fit(four, four, context)
    assert model.summary()["validation_loss"] < 0.02 * float(four.target[:, :, four.schema.mask].var())


def test_the_signal_keeps_its_size_down_to_the_decoder(make_samples, layout):
    with torch.no_grad():
        maps = network(layout, width=16, depth=3)._maps(torch.from_numpy(make_samples(50).inputs))
    assert 0.2 < maps.square().mean().sqrt() < 5


def test_what_the_decoder_adds_is_learned(make_samples, context):
    """The bend of the made world is out of reach of a linear reading; some of it is found."""
    train, validation, test = (make_samples(n, seed=s) for n, s in ((300, 0), (100, 1), (100, 2)))
    model = UNet(UNetConfig(epochs=15, batch_size=32, lr=3e-3, schedule="one_cycle", width=4, loss="mse"))
    mean = model.fit(train, validation, context).predict(test, context).mean()
    inside = train.schema.mask
    x, y = (np.asarray(part).reshape(len(part), -1) for part in (train.inputs, train.target[:, :, inside]))
    ones = np.ones((len(x), 1))
    weights = np.linalg.lstsq(np.hstack([x, ones]), y, rcond=None)[0]
    linear = np.hstack([test.inputs.reshape(len(test), -1), np.ones((len(test), 1))]) @ weights
    truth = test.target[:, 0, inside]
    assert np.mean((mean[:, 0, inside] - truth) ** 2) < 0.9 * np.mean((linear - truth) ** 2)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_trains(make_samples, context, precision):
    model = UNet(UNetConfig(**QUICK | {"precision": precision}))
    model.fit(make_samples(64), make_samples(32, seed=1), context)
    assert np.isfinite(model.summary()["validation_loss"])
    assert model.predict(make_samples(3, seed=2), context).mean().dtype == np.float32


def test_stations_are_refused_with_what_to_take(layout):
    stations = Grid(np.array([[41.0]]), np.array([[-3.0]]), ("row", "station"), ("a",))
    with pytest.raises(
        ConfigError, match=r"unet: expected a target on a grid .* got 1 stations\. Take convcnp or deepesd"
    ):
        UNet().build(replace(layout, target_grid=stations), 1)
