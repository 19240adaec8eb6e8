from dataclasses import replace

import numpy as np
import pytest
import torch

from models._layout import Layout
from models.tcn import TCN, Block, TCNConfig, blocks_to_see


@pytest.fixture
def layout(make_series):
    return Layout.of(make_series(2).schema)


def of_steps(layout, count):
    return replace(layout, channels=tuple(f"rain@-{lag}" if lag else "rain" for lag in range(count)))


def made(layout, **options):
    torch.manual_seed(0)
    return TCN(TCNConfig(width=8, **options)).build(layout, 1).eval()


def test_a_block_is_the_published_one_step_by_step():
    torch.manual_seed(0)
    block = Block(2, TCNConfig(width=3, kernel=2), dilation=2, share=1.0).eval()
    for bias in (block.first.bias, block.second.bias):
        torch.nn.init.normal_(bias)
    sequence = torch.randn(4, 2, 7)

    def convolve(layer, maps, dilation):
        weight, bias = (p.detach().double().numpy() for p in layer.parameters())
        found = np.zeros((len(maps), len(weight), maps.shape[2])) + bias[:, None]
        for step in range(maps.shape[2]):
            for back in range(weight.shape[2]):
                there = step - back * dilation
                if there >= 0:
                    found[:, :, step] += maps[:, :, there] @ weight[:, :, weight.shape[2] - 1 - back].T
        return found

    maps = sequence.double().numpy()
    inner = np.maximum(convolve(block.first, maps, 2), 0)
    inner = np.maximum(convolve(block.second, inner, 2), 0)
    expected = np.maximum(convolve(block.passing, maps, 1) + inner, 0)
    np.testing.assert_allclose(block(sequence).detach().numpy(), expected, atol=1e-5)


def test_no_step_looks_ahead(layout):
    network = made(of_steps(layout, 20))
    sequence = torch.randn(1, network.windows.features, 20, requires_grad=True)
    answer = network.blocks(sequence)
    for step in (0, 7, 18):
        (slope,) = torch.autograd.grad(answer[:, :, step].square().sum(), sequence, retain_graph=True)
        assert (slope[:, :, step + 1 :] == 0).all()
        assert (slope[:, :, step] != 0).any()


@pytest.mark.parametrize(("steps", "kernel"), [(2, 2), (5, 3), (6, 3), (8, 2), (30, 4), (100, 3)])
def test_the_last_step_sees_the_whole_window_and_no_block_is_idle(layout, steps, kernel):
    network = made(of_steps(layout, steps), kernel=kernel)
    inputs = torch.randn(16, steps, 1, 4, requires_grad=True)
    network(inputs).square().sum().backward()
    assert (inputs.grad[:, -1].abs() > 0).any()  # the oldest lag
    # One block fewer sees fewer steps, so the count is the least.
    reach = 1 + sum(2 * (kernel - 1) * 2**n for n in range(len(network.blocks)))
    assert reach >= steps
    assert len(network.blocks) == 1 or reach - 2 * (kernel - 1) * 2 ** (len(network.blocks) - 1) < steps
    assert len(network.blocks) == blocks_to_see(steps, kernel)


def test_the_oldest_lag_changes_the_answer(layout):
    network, inputs = made(layout), torch.randn(16, 16, 1, 4)
    other = inputs.clone()
    other[:, layout.channels.index("rain@-7")] += 1.0
    assert not torch.allclose(network(other), network(inputs), atol=1e-4)


def test_dilations_double(layout):
    network = made(of_steps(layout, 60))
    assert [block.first.dilation for block in network.blocks] == [(1,), (2,), (4,), (8,)]
    assert [block.second.dilation for block in network.blocks] == [(1,), (2,), (4,), (8,)]


def test_a_deep_network_starts_with_a_signal_of_ordinary_size(layout):
    torch.manual_seed(1)
    network = TCN(TCNConfig(width=32)).build(of_steps(layout, 365), 1).eval()
    assert len(network.blocks) == 7
    signal = network.blocks(torch.randn(50, network.windows.features, 365))[:, :, -1]
    assert 0.3 < signal.square().mean() < 10


def test_activations_are_modules_of_their_own(layout):
    """Attributions by layer go wrong where one module is used twice, or in place."""
    network, seen = made(layout), []
    for module in network.modules():
        if isinstance(module, torch.nn.ReLU):
            assert not module.inplace
            module.register_forward_hook(lambda it, _, __: seen.append(id(it)))
    network(torch.randn(2, 16, 1, 4))
    assert len(seen) == len(set(seen)) == 3 * len(network.blocks)


def test_dropout_is_behind_every_convolution_and_before_the_head(layout):
    network = TCN(TCNConfig(width=8, dropout=0.3)).build(layout, 1)
    rates = [module.p for module in network.modules() if isinstance(module, torch.nn.Dropout)]
    assert rates == [0.3] * (2 * len(network.blocks) + 1)
