from dataclasses import replace

import numpy as np
import pytest
import torch

from models._layout import Layout
from models.cnn_lstm import CNNLSTM, CNNLSTMConfig, Encoder
from pipeline.errors import ConfigError
from pipeline.grid import Grid


@pytest.fixture
def layout(make_series):
    made = Layout.of(make_series(2, gridded=True).schema)
    return replace(made, channels=(*made.channels[:3], "day_cos", *made.channels[3:]), scalars=("day_cos",))


def made(layout, parameters=2, **options):
    torch.manual_seed(0)
    return CNNLSTM(CNNLSTMConfig(**options)).build(layout, parameters).eval()


def round_the_globe(layout, columns=16):
    grid = Grid(np.linspace(-20, 20, 8), np.arange(columns) * 360 / columns)
    return replace(layout, input_grid=grid)


@pytest.mark.parametrize("circular", [False, True])
def test_the_encoder_is_convolution_relu_and_means(circular):
    torch.manual_seed(0)
    encoder = Encoder(2, (5, 6), CNNLSTMConfig(channels=(3,), circular=circular))
    layer = encoder.convolutions[0]
    torch.nn.init.normal_(layer.bias)
    weight, bias = (p.detach().double().numpy() for p in layer.parameters())
    maps = torch.randn(4, 2, 5, 6)
    wide = np.pad(maps.double().numpy(), ((0, 0), (0, 0), (0, 0), (1, 1)), mode="wrap" if circular else "constant")
    wide = np.pad(wide, ((0, 0), (0, 0), (1, 1), (0, 0)))
    inner = np.empty((4, 3, 5, 6))
    for row, column in np.ndindex(5, 6):
        patch = wide[:, :, row : row + 3, column : column + 3]
        inner[:, :, row, column] = np.maximum(np.einsum("tcij,gcij->tg", patch, weight) + bias, 0)
    expected = np.empty((4, 3, 3, 3))
    for row, column in np.ndindex(3, 3):  # the last row is a mean over two cells
        expected[:, :, row, column] = inner[:, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].mean((2, 3))
    assert encoder.features == 27
    np.testing.assert_allclose(encoder(maps).detach().numpy(), expected.reshape(4, 27), atol=1e-5)


def test_each_step_goes_through_the_same_encoder_with_the_scalars_and_the_oldest_is_first(layout):
    network = made(layout, hidden=4)
    inputs = torch.randn(3, 17, 3, 4)
    seen = []
    network.memory.register_forward_hook(lambda _, arguments, __: seen.append(arguments[0]))
    network(inputs)
    (sequence,) = seen
    assert sequence.shape == (8, 3, network.encoder.features + 1)
    for step in range(8):
        lag = 7 - step
        places = [layout.channels.index(f"{name}@-{lag}" if lag else name) for name in ("rain", "warm")]
        torch.testing.assert_close(sequence[step, :, :-1], network.encoder(inputs[:, places]))
        assert torch.equal(sequence[step, :, -1], inputs[:, layout.channels.index("day_cos"), 0, 0])


def test_answers_are_linear_in_the_state_with_weights_for_each_series(layout):
    stations = Grid(np.full((1, 3), 50.0), np.arange(3.0)[None], ("row", "station"), ("a", "b", "c"))
    mask = np.array([[True, False, True]])
    wide = replace(layout, target_grid=stations, mask=mask, static=np.zeros((0, 1, 3), np.float32))
    network, states = made(wide, hidden=4), []
    network.memory.register_forward_hook(lambda _, __, state: states.append(state))
    answer = network(torch.randn(5, 17, 3, 4))
    assert answer.shape == (5, 2, 3, 2)
    expected = states[0] @ network.head.weight.T + network.head.bias
    torch.testing.assert_close(answer.flatten(1), expected)


def test_longitudes_go_round_where_they_are_said_to(layout):
    globe = round_the_globe(layout)
    inputs = torch.randn(4, 17, 8, 16)
    inputs[:, layout.channels.index("day_cos")] = 0.5
    turned = inputs.roll(4, dims=3)  # a whole number of cells of the last maps
    network = made(globe, features="mean", circular=True)
    torch.testing.assert_close(network(turned), network(inputs))
    flat = made(globe, features="mean")
    assert not torch.allclose(flat(turned), flat(inputs), atol=1e-5)


def test_every_channel_and_cell_is_seen(layout):
    network, inputs = made(layout), torch.randn(6, 17, 3, 4, requires_grad=True)
    network(inputs).square().sum().backward()
    fields = inputs.grad[:, layout.fields]
    assert (fields.abs().sum(0) > 0).all()
    assert (inputs.grad[:, layout.channels.index("day_cos"), 0, 0].abs() > 0).any()


def test_channels_are_found_by_name(layout):
    order = [0, 1, *np.random.default_rng(1).permutation(np.arange(2, 17)).tolist()]
    mixed = replace(layout, channels=tuple(layout.channels[i] for i in order))
    inputs = torch.randn(4, 17, 3, 4)
    torch.testing.assert_close(made(mixed)(inputs[:, order]), made(layout)(inputs))


def test_half_precision_gives_nearly_the_same(layout):
    network, inputs = made(layout), torch.randn(4, 17, 3, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = network(inputs).float()
    torch.testing.assert_close(half, network(inputs), atol=0.1, rtol=0.1)
    assert not torch.equal(half, network(inputs))


def test_it_is_for_series_with_weights_for_each():
    assert CNNLSTM.tasks == {"series"}
    assert "shared" not in CNNLSTM.traits


def test_what_it_needs_is_said(layout):
    with pytest.raises(ConfigError, match=r"^cnn_lstm: expected channels of several steps in time"):
        made(replace(layout, channels=("rain", "warm"), scalars=()))
    with pytest.raises(ConfigError, match=r"inputs on a grid to lay convolutions on, got 1 stations\. Take lstm, gru"):
        made(replace(layout, input_grid=layout.target_grid))
    with pytest.raises(ConfigError, match=r"go round for circular: true, got 4 columns from 190 to 220"):
        made(layout, circular=True)
