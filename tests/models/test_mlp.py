from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from models._layout import Layout
from models.mlp import MLP, MLPConfig, RollingMeans
from pipeline.errors import ConfigError
from pipeline.grid import Grid


@pytest.fixture
def layout(make_series):
    return Layout.of(make_series(2).schema)


def test_it_is_dense_layers_on_all_that_is_known(layout):
    torch.manual_seed(0)
    network = MLP(MLPConfig(hidden=(6, 5), dropout=0.5)).build(layout, 2).eval()
    for _, bias in (pair for pair in network.named_parameters() if pair[0].endswith("bias")):
        torch.nn.init.normal_(bias)
    inputs = torch.randn(3, 16, 1, 4)
    found = network(inputs).detach().numpy()
    linear = [module for module in network.modules() if isinstance(module, torch.nn.Linear)]
    assert [layer.out_features for layer in linear] == [6, 5, 6]
    for time, cell in np.ndindex(3, 4):
        row = np.append(inputs[time, :, 0, cell].double().numpy(), layout.static[0, 0, cell])
        for number, layer in enumerate(linear):
            weight, bias = (p.detach().double().numpy() for p in layer.parameters())
            row = weight @ row + bias
            row = row if number == 2 else np.maximum(row, 0)
        np.testing.assert_allclose(found[time, :, :, cell], row.reshape(2, 3), atol=1e-5)


def test_means_are_over_the_newest_steps_of_each_variable(layout):
    order = np.random.default_rng(0).permutation(17)
    channels = np.array((*layout.channels, "day_cos"))[order]
    mixed = replace(layout, channels=tuple(channels), scalars=("day_cos",))
    means = RollingMeans(mixed, (1, 3, 8))
    assert means.features == 7
    values = torch.randn(5, 17, 4)
    found, names = means(values), list(channels)
    newest = [name for name in names if name in ("rain", "warm")]
    for row, (size, name) in enumerate((size, name) for size in (1, 3, 8) for name in newest):
        places = [names.index(f"{name}@-{lag}" if lag else name) for lag in range(size)]
        torch.testing.assert_close(found[:, row], values[:, places].double().mean(1).float())
    assert torch.equal(found[:, 6], values[:, names.index("day_cos")])


def test_gradients_reach_the_lags_through_the_means(layout):
    network = MLP(MLPConfig(rolling=(1, 3, 7))).build(layout, 1).eval()
    inputs = torch.randn(4, 16, 1, 4, requires_grad=True)
    network(inputs).square().sum().backward()
    slope = inputs.grad.abs().sum((0, 2, 3))
    oldest = [layout.channels.index(f"{name}@-7") for name in ("rain", "warm")]
    assert (slope[oldest] == 0).all()  # the eighth lag is in no mean of seven
    assert (np.delete(slope.numpy(), oldest) > 0).all()


def test_one_step_is_enough(layout):
    day = replace(layout, channels=("rain", "warm"))
    for options in ({}, {"rolling": (1,)}):
        assert MLP(MLPConfig(**options)).build(day, 1)(torch.randn(5, 2, 1, 4)).shape == (5, 1, 3, 4)


def test_variables_may_have_different_lags_where_no_means_are_taken(layout):
    uneven = replace(layout, channels=("rain", "rain@-1", "warm"))
    assert MLP().build(uneven, 1)(torch.randn(5, 3, 1, 4)).shape == (5, 1, 3, 4)
    with pytest.raises(ConfigError, match=r"mlp: expected every variable at each of the lags \[1, 0\]"):
        MLP(MLPConfig(rolling=(1,))).build(uneven, 1)


def test_scalars_alone_may_come_on_any_grid(layout):
    grid = Grid(np.arange(3.0), np.arange(4.0))
    forced = replace(layout, channels=("co2", "day_cos"), scalars=("co2", "day_cos"), input_grid=grid)
    inputs = torch.randn(5, 2, 1, 1).expand(-1, -1, 3, 4)
    torch.manual_seed(0)
    network = MLP().build(forced, 1).eval()
    answer = network(inputs)
    torch.manual_seed(0)
    there = MLP().build(replace(forced, input_grid=layout.target_grid), 1).eval()
    torch.testing.assert_close(answer, there(inputs[:, :, :1]))


def test_means_longer_than_the_window_or_across_gaps_are_refused(layout):
    with pytest.raises(ConfigError, match=r"expected 30 lags without a gap for rolling: \[1, 30\], got 8 .*window: 30"):
        MLP(MLPConfig(rolling=(1, 30))).build(layout, 1)
    gap = replace(layout, channels=("rain", "rain@-1", "rain@-3"))
    with pytest.raises(ConfigError, match=r"expected 3 lags without a gap .* got 3 from 0 to 3"):
        MLP(MLPConfig(rolling=(3,))).build(gap, 1)
    assert MLP(MLPConfig(rolling=(2,))).build(gap, 1)(torch.randn(2, 3, 1, 4)).shape == (2, 1, 3, 4)


def test_sizes_below_one_are_refused():
    for options in ({"rolling": [0]}, {"hidden": [0]}):
        with pytest.raises(ValidationError, match="greater than or equal to 1"):
            MLPConfig.model_validate(options)
    with pytest.raises(ValidationError, match="at least 1 item"):
        MLPConfig.model_validate({"hidden": []})
