"""Networks of models give the same aggregates with several cells in a pass as with one at a time."""

import logging

import numpy as np
import pytest
import torch

from models._explained import Explained
from models._layout import Layout
from models.deepesd import DeepESDConfig, DeepESDNetwork
from models.unet import UNetConfig, UNetNetwork
from pipeline.attribution.dispersion import saliency_aggregates
from pipeline.grid import Grid
from pipeline.training.losses import make_loss

COARSE = Grid(np.linspace(36, 44, 5), np.linspace(-9, 3, 6))
FINE = Grid(np.linspace(36, 44, 9), np.linspace(-9, 3, 10))


@pytest.fixture
def layout():
    mask = np.ones(FINE.shape, bool)
    mask[:2, :3] = False
    static = np.random.default_rng(0).normal(size=(1, *FINE.shape)).astype(np.float32)
    return Layout(("t", "t@-1", "co2"), ("tas",), COARSE, FINE, mask, static, scalars=("co2",))


@pytest.fixture
def network(layout):
    def make(kind):
        torch.manual_seed(0)
        if kind == "unet":
            made = UNetNetwork(layout, 2, UNetConfig(width=4, large_scale=(6, 3)))
            torch.nn.init.normal_(made.local, std=0.3)
        else:
            made = DeepESDNetwork(layout, 2, DeepESDConfig(filters=(8, 4), norm="batch"))
        return Explained(made, make_loss("normal_nll"), layout, None, None).eval()

    return make


def own(network, inputs, mask):
    """Maps of a pass for every cell, (time, cell, channel, lat * lon)."""
    found = []
    for cell in np.flatnonzero(mask):
        asked = inputs.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(network(asked)[:, 0].flatten(1)[:, cell].sum(), asked)
        one = gradient.abs().flatten(2).double()
        one = one / one.amax((1, 2), keepdim=True)
        one[one < 0.1] = 0.0
        found.append(one / one.sum((1, 2), keepdim=True))
    return torch.stack(found, 1).numpy()


@pytest.mark.parametrize("kind", ["deepesd", "unet"])
@pytest.mark.parametrize("at_once", [1, 8])
def test_a_network_is_asked_as_if_cell_by_cell(network, layout, kind, at_once, caplog):
    made, inputs = network(kind), torch.randn(6, 3, *COARSE.shape)
    before = {name: weight.clone() for name, weight in made.state_dict().items()}
    with caplog.at_level(logging.INFO):
        found = saliency_aggregates(made, inputs, layout, at_once=at_once, rows=4)
    assert "one by one" not in caplog.text
    maps = own(made, inputs, layout.mask)
    mean = maps.mean(axis=(0, 1))
    np.testing.assert_allclose(found.whole.saliency.reshape(mean.shape), mean, atol=1e-5 * mean.max())
    shares = maps.sum(-1).mean(axis=(0, 1))
    np.testing.assert_allclose(found.whole.shares, [shares[0] + shares[1], shares[2]], rtol=1e-5)
    assert (np.isfinite(found.whole.dispersion) == layout.mask).all()
    assert found.whole.maps == 6 * layout.cells
    assert all(weight.requires_grad and weight.grad is None for weight in made.parameters())
    assert all(torch.equal(weight, before[name]) for name, weight in made.state_dict().items())


def test_a_layer_that_no_batch_of_cells_goes_through(layout, caplog):
    class Recurrent(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.LSTM(3 * 30, 8)
            self.head = torch.nn.Linear(8, 90)

        def forward(self, inputs):
            return self.head(self.layer(inputs.flatten(1)[None])[0][0]).reshape(-1, 1, *FINE.shape)

    torch.manual_seed(0)
    made, inputs = Recurrent().eval(), torch.randn(5, 3, *COARSE.shape)
    with caplog.at_level(logging.INFO):
        found = saliency_aggregates(made, inputs, layout, at_once=8, rows=3)
    mean = own(made, inputs, layout.mask).mean(axis=(0, 1))
    np.testing.assert_allclose(found.whole.saliency.reshape(mean.shape), mean, atol=1e-5 * mean.max())
    assert caplog.text.count("one by one") == 1


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("kind", ["deepesd", "unet"])
def test_threads_do_days_of_their_own(network, layout, kind, three_threads):
    made, inputs, seen = network(kind), torch.randn(30, 3, *COARSE.shape), []
    made.register_forward_hook(lambda module, given, answer: seen.append((len(answer), torch.get_num_threads())))
    weights = dict(made.named_parameters())
    days = np.arange(30) % 3 == 0
    found = saliency_aggregates(made, inputs, layout, groups={"some": days}, rows=26)
    # Which of the three threads comes first is not settled; that the last block waits for all of them is.
    assert sorted(seen[:3]) == [(8, 1), (9, 1), (9, 1)]
    assert seen[3:] == [(4, 3)]
    assert torch.get_num_threads() == 3
    assert all(one is weights[name] for name, one in made.named_parameters())
    maps = own(made, inputs, layout.mask)
    for one, which in ((found.whole, np.ones(30, bool)), (found.groups["some"], days)):
        mean = maps[which].mean(axis=(0, 1))
        np.testing.assert_allclose(one.saliency.reshape(mean.shape), mean, atol=1e-5 * mean.max())


def test_what_fails_in_a_thread_is_told(layout, three_threads):
    class Broken(torch.nn.Module):
        def forward(self, inputs):
            raise RuntimeError("no such layer")

    with pytest.raises(RuntimeError, match="no such layer"):
        saliency_aggregates(Broken(), torch.randn(30, 3, *COARSE.shape), layout)
    assert torch.get_num_threads() == 3
