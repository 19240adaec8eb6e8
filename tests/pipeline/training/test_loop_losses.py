"""What the loop owes a loss: one fit on the train split, the cells of every batch, noise that repeats."""

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.training.config import TrainingConfig
from pipeline.training.loop import Tensors, evaluate, train
from pipeline.training.losses import Loss, make_loss


def config(**options):
    return TrainingConfig(**{"epochs": 3, "batch_size": 16, "lr": 0.01} | options)


class Watched(Loss):
    """Squared error that notes what it is told."""

    parameters = ("mean",)
    family = "point"

    def __init__(self):
        super().__init__()
        self.fitted, self.seen = [], []

    def fit(self, target, cells):
        self.fitted.append((target.clone(), cells))

    def __call__(self, output, target, cells):
        self.seen.append((target, cells))
        return (output[:, 0] - target) ** 2

    def distribution(self, output):
        return {"mean": output[:, 0]}


class Noisy(nn.Module):
    """Draws members of its own: a learned spread times fresh noise."""

    def __init__(self, members=4):
        super().__init__()
        self.members = members
        self.spread = nn.Parameter(torch.full((5,), 0.3))
        self.mean = nn.Parameter(torch.zeros(5))

    def forward(self, inputs):
        noise = torch.randn(len(inputs), self.members, 1, 5, device=inputs.device)
        return self.mean + self.spread * noise


def test_the_loss_is_fitted_once_on_the_train_split_alone(samples, small):
    data, watched = samples(), Watched()
    data.target[0, 0, :2] = torch.nan
    train(small(1), data, samples(seed=1), watched, config(), seed=1)
    ((target, cells),) = watched.fitted
    torch.testing.assert_close(target, data.target, equal_nan=True)
    assert torch.equal(cells.known, torch.isfinite(data.target))


def test_batches_come_with_their_cells(samples, small, row):
    data, watched = samples(20), Watched()
    data.target[7, 0, 3] = torch.nan
    place = row(data.place.area, scale=torch.full((1, 5), 2.0), shift=torch.zeros(1, 5))
    evaluate(small(1), Tensors(data.inputs, data.target, place), watched, config(batch_size=8))
    assert [len(target) for target, _ in watched.seen] == [8, 8, 4]
    known = torch.cat([cells.known for _, cells in watched.seen])
    assert torch.equal(known, torch.isfinite(data.target))
    assert all(torch.isfinite(target).all() for target, _ in watched.seen)
    for _, cells in watched.seen:
        for name in ("area", "index", "shape", "scale", "shift"):
            assert getattr(cells, name) is getattr(place, name)


def test_a_field_counts_by_the_area_of_its_known_cells(samples, row):
    data = samples(6)
    data.target[torch.rand(data.target.shape, generator=torch.Generator().manual_seed(3)) < 0.4] = torch.nan
    loss, network = make_loss("energy_score"), Noisy()
    known = torch.isfinite(data.target)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        output = network(data.inputs)
    network.forward = lambda inputs: output[: len(inputs)]
    values = loss(output, data.target.nan_to_num(0.0), data.place.cells(known))[:, 0, 0].detach().double().numpy()
    weight = (known[:, 0] * data.place.area).sum(1).double().numpy()
    expected = (values * weight).sum() / weight.sum()
    assert evaluate(network, data, loss, config(batch_size=6)) == pytest.approx(expected, rel=1e-6)


def test_a_network_that_draws_is_looked_at_with_the_same_noise(samples):
    network, data, loss = Noisy(), samples(), make_loss("fair_crps")
    before = torch.get_rng_state()
    one, again, other = (evaluate(network, data, loss, config(), seed=seed) for seed in (1, 1, 2))
    assert one == again != other
    assert torch.equal(torch.get_rng_state(), before)


def test_a_network_that_draws_learns_its_spread_and_repeats(samples):
    truth = torch.randn(400, 1, 5, generator=torch.Generator().manual_seed(1)) * 2.0 + 1.0
    data = samples(400)
    data = Tensors(data.inputs, truth, data.place)
    networks = [Noisy(), Noisy()]
    options = config(epochs=40, batch_size=100, lr=0.05)
    for network in networks:
        trained = train(network, data, data, make_loss("fair_crps"), options, seed=1)
    assert torch.equal(networks[0].spread, networks[1].spread)
    np.testing.assert_allclose(network.mean.detach().numpy(), truth.mean((0, 1)).numpy(), atol=0.25)
    np.testing.assert_allclose(network.spread.detach().abs().numpy(), truth.std((0, 1)).numpy(), atol=0.35)
    assert trained.history[-1].validation_loss < 0.8 * trained.history[0].validation_loss


@pytest.mark.parametrize("loss", ["energy_score", "huber", "mae", [{"kind": "fair_crps"}, {"kind": "energy_score"}]])
def test_every_form_of_loss_can_be_trained_on(samples, small, loss):
    made = make_loss(loss)
    trained = train(
        small(len(made.parameters), dropout=0.0), samples(200), samples(seed=1), made, config(epochs=25), seed=1
    )
    assert trained.history[-1].train_loss < 0.7 * trained.history[0].train_loss
