"""What holds for every network of series with shared weights: lstm, gru, tcn and mlp."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from models import MODELS
from models._layout import Layout
from models._series import Head, Windows
from pipeline.errors import ConfigError
from pipeline.grid import Grid

KINDS = [("lstm", {}), ("lstm", {"layers": 2}), ("gru", {}), ("tcn", {"width": 8}), ("mlp", {})]
KINDS += [("mlp", {"rolling": [1, 3, 8]})]


def stations(count, first=0):
    lat, lon = np.full((1, count), 50.0), np.linspace(5.0, 8.0, count)[None]
    return Grid(lat, lon, ("row", "station"), tuple(f"s{first + number}" for number in range(count)))


@pytest.fixture
def layout(make_series):
    """Four basins, eight lags of two variables, one static; the day of the year between them."""
    made = Layout.of(make_series(2).schema)
    return replace(made, channels=(*made.channels[:5], "day_cos", *made.channels[5:]), scalars=("day_cos",))


@pytest.fixture(params=KINDS, ids=lambda pair: pair[0] + "".join(pair[1]))
def build(request):
    """Return a function that builds a network of one kind with the same weights every time."""
    kind, options = request.param

    def make(layout, parameters=2):
        torch.manual_seed(0)
        model = MODELS.get(kind)
        return model(model.Config.model_validate(options)).build(layout, parameters).eval()

    return make


def draw(layout, n=5, seed=0):
    """Return inputs whose scalars are equal at all cells."""
    inputs = torch.randn(
        n, len(layout.channels), *layout.input_grid.shape, generator=torch.Generator().manual_seed(seed)
    )
    for place, name in enumerate(layout.channels):
        if name in layout.scalars:
            inputs[:, place] = inputs[:, place, :1, :1]
    return inputs


def test_windows_hold_each_series_oldest_first_with_scalars_and_statics(layout):
    order = np.random.default_rng(0).permutation(len(layout.channels))
    channels = tuple(layout.channels[i] for i in order)
    mask = np.array([[True, False, True, True]])
    mixed = replace(layout, channels=channels, mask=mask)
    inputs = draw(mixed, 3)
    found = Windows(mixed, "lstm")(inputs)
    assert found.shape == (8, 9, 4)
    newest = [name for name in channels if name in ("rain", "warm")]
    for step, row in np.ndindex(8, 9):
        time, cell, lag = row // 3, (0, 2, 3)[row % 3], 7 - step
        names = [*(f"{name}@-{lag}" if lag else name for name in newest), "day_cos"]
        expected = [inputs[time, channels.index(name), 0, cell].item() for name in names]
        assert found[step, row].tolist() == [*expected, layout.static[0, 0, cell]]


def test_a_long_window_takes_no_more_operations_than_a_short_one(layout):
    class Count(TorchDispatchMode):
        calls = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            self.calls += 1
            return function(*args, **(kwargs or {}))

    def operations(lags):
        names = tuple(f"{name}@-{lag}" if lag else name for lag in range(lags) for name in ("a", "b"))
        wide = replace(layout, channels=names, scalars=())
        windows, inputs = Windows(wide, "lstm"), draw(wide)
        with Count() as count:
            windows(inputs)
        return count.calls

    assert operations(365) == operations(2)


def test_answers_have_their_places(layout):
    head = Head(layout, 2, 3, dropout=0.0)
    rows = torch.randn(5 * 4, 3)
    found, weight, bias = head(rows), head.linear.weight, head.linear.bias
    assert found.shape == (5, 2, 3, 4)
    for time, parameter, target, cell in np.ndindex(5, 2, 3, 4):
        line = parameter * 3 + target
        expected = rows[time * 4 + cell] @ weight[line] + bias[line]
        torch.testing.assert_close(found[time, parameter, target, cell], expected)


def test_every_channel_and_static_is_seen(build, layout):
    network, inputs = build(layout), draw(layout).requires_grad_()
    static = dict(network.named_buffers())[next(n for n, _ in network.named_buffers() if n.endswith("static"))]
    static.requires_grad_()
    network(inputs).square().sum().backward()
    assert (inputs.grad.abs().sum((0, 2, 3)) > 0).all()
    assert (static.grad.abs() > 0).all()


def test_a_series_sees_no_other(build, layout):
    network, inputs = build(layout), draw(layout)
    other = inputs.clone()
    other[..., 2] += 1.0
    moved = (network(other) - network(inputs)).detach().abs().sum((0, 1, 2))
    assert moved[[0, 1, 3]].tolist() == [0.0, 0.0, 0.0]
    assert moved[2] > 0


def test_stations_in_another_order_get_their_answers_in_that_order(build, layout):
    order = [2, 0, 3, 1]
    moved = replace(layout, static=layout.static[..., order])
    inputs = draw(layout)
    torch.testing.assert_close(build(moved)(inputs[..., order]), build(layout)(inputs)[..., order])


def test_the_weights_answer_for_stations_that_they_never_saw(build, layout):
    """Nothing in a state dict counts cells: what was learned on four basins is asked about seven others and one."""
    grid = stations(7, first=50)
    static = np.linspace(-2, 2, 7, dtype=np.float32)[None, None]
    there = replace(layout, input_grid=grid, target_grid=grid, mask=np.ones((1, 7), bool), static=static)
    network = build(there)
    learned = {name: tensor + 0.1 for name, tensor in build(layout).state_dict().items()}
    network.load_state_dict(learned)
    inputs = draw(there)
    answer = network(inputs)
    assert answer.shape == (5, 2, 3, 7)
    alone = build(replace(there, input_grid=stations(1), target_grid=stations(1), mask=np.ones((1, 1), bool),
                          static=static[..., 4:5]))  # fmt: skip
    alone.load_state_dict(learned)
    torch.testing.assert_close(alone(inputs[..., 4:5]), answer[..., 4:5])


def test_statics_tell_series_apart(build, layout):
    static = np.array([[[0.5, 0.5, -1.0, 0.5]]], np.float32)
    inputs = draw(layout)[..., :1].expand(-1, -1, -1, 4)
    answer = build(replace(layout, static=static))(inputs)
    torch.testing.assert_close(answer[..., 0], answer[..., 1])
    assert not torch.allclose(answer[..., 0], answer[..., 2])
    assert build(replace(layout, static=np.zeros((0, 1, 4), np.float32)))(inputs).shape == (5, 2, 3, 4)


# Without rolling means the mlp has a weight for each channel as the layout orders them.
@pytest.mark.parametrize("build", [pair for pair in KINDS if pair != ("mlp", {})], indirect=True)
def test_channels_are_found_by_name(build, layout):
    # The newest two stand as before: the order of variables inside a step is theirs.
    order = [0, 1, *np.random.default_rng(1).permutation(np.arange(2, 17)).tolist()]
    mixed = replace(layout, channels=tuple(layout.channels[i] for i in order))
    inputs = draw(layout)
    torch.testing.assert_close(build(mixed)(inputs[:, order]), build(layout)(inputs))


def test_the_order_of_steps_matters(build, layout):
    inputs = draw(layout)
    names = list(layout.channels)
    swapped = inputs.clone()
    swapped[:, names.index("rain@-3")], swapped[:, names.index("rain")] = (
        inputs[:, names.index("rain")],
        inputs[:, names.index("rain@-3")],
    )
    assert not torch.allclose(build(layout)(swapped), build(layout)(inputs), atol=1e-5)


def test_cells_outside_of_the_mask_are_not_answered(build, layout):
    masked = replace(layout, mask=np.array([[True, False, True, True]]))
    inputs = draw(layout)
    torch.testing.assert_close(build(masked)(inputs), build(layout)(inputs)[..., [0, 2, 3]])


def test_half_precision_gives_nearly_the_same(build, layout):
    network, inputs = build(layout), draw(layout)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = network(inputs).float()
    torch.testing.assert_close(half, network(inputs), atol=0.1, rtol=0.1)
    assert not torch.equal(half, network(inputs))


def test_a_series_without_a_place_is_a_series(build, layout):
    def nowhere(name):
        return Grid(np.full((1, 1), np.nan), np.full((1, 1), np.nan), ("row", "station"), (name,))

    alone = replace(
        layout,
        input_grid=nowhere("soi"),
        target_grid=nowhere("nino34"),
        mask=np.ones((1, 1), bool),
        static=np.zeros((0, 1, 1), np.float32),
    )
    assert build(alone)(draw(alone)).shape == (5, 2, 3, 1)


def test_predictors_from_elsewhere_are_refused(build, layout):
    coarse = Grid(np.arange(3.0), np.arange(4.0))
    with pytest.raises(
        ConfigError, match=r"at its own place, got inputs on a grid of 3 x 4 cells .* on 4 stations.*Take cnn_lstm"
    ):
        build(replace(layout, input_grid=coarse))
    with pytest.raises(ConfigError, match="inputs on 4 stations for a target on 4 stations"):
        build(replace(layout, input_grid=stations(4, first=9)))


@pytest.mark.parametrize("kind", ["lstm", "gru", "tcn"])
def test_one_step_is_no_sequence(kind, layout):
    with pytest.raises(ConfigError, match=rf"^{kind}: expected channels of several steps in time, .*lags: \[0, 1, 2\]"):
        MODELS.get(kind)().build(replace(layout, channels=("rain", "warm"), scalars=()), 1)


@pytest.mark.parametrize("kind", ["lstm", "gru", "tcn", "mlp"])
def test_it_is_for_series_and_shared(kind):
    model = MODELS.get(kind)
    assert model.tasks == {"series"}
    assert model.traits == {"seeded", "differentiable", "probabilistic", "trainable", "stackable", "shared", "streams"}
    assert model.Config().batch_size == 256
