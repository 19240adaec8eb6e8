import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.errors import DataError, TrainingError
from pipeline.training.config import TrainingConfig
from pipeline.training.loop import Tensors, evaluate, train
from pipeline.training.losses import make_loss

NLL, MSE = make_loss("normal_nll"), make_loss("mse")


class Constant(nn.Module):
    """Answers its own parameter at every cell."""

    def __init__(self, value=0.0, cells=5):
        super().__init__()
        self.weight = nn.Parameter(torch.full((1, 1, cells), value))

    def forward(self, inputs):
        return self.weight.expand(len(inputs), 1, 1, -1)


def same(one, other):
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def config(**options):
    return TrainingConfig(**{"epochs": 6, "batch_size": 16, "lr": 0.01, "schedule": "cosine"} | options)


def test_learns(samples, small):
    network = small(parameters=1, dropout=0.0)
    before = evaluate(network, samples(seed=1), MSE, config())
    trained = train(network, samples(200), samples(seed=1), MSE, config(epochs=60, batch_size=50), seed=1)
    assert trained.history[-1].train_loss < 0.3 * trained.history[0].train_loss
    assert evaluate(network, samples(seed=1), MSE, config()) < 0.5 * before
    assert not network.training


@pytest.mark.parametrize("loss", ["normal_nll", "beta_nll", "mse"])
def test_evaluate_is_the_brute_force_mean_over_finite_cells(samples, small, loss):
    loss = make_loss(loss)
    data = samples(23)
    data.target[torch.rand(data.target.shape, generator=torch.Generator().manual_seed(3)) < 0.4] = torch.nan
    network = small(len(loss.parameters)).eval()
    known = torch.isfinite(data.target)
    cells = loss(network(data.inputs), data.target, data.place.cells(known)).detach().double().numpy()
    weights = np.broadcast_to(data.place.area.numpy(), cells.shape)
    known = known.numpy()
    expected = (cells[known] * weights[known]).sum() / weights[known].sum()
    # Batches of 5 leave a last one of 3, with its own share of missing cells.
    assert evaluate(network, data, loss, config(batch_size=5)) == pytest.approx(expected, rel=1e-6)


def test_every_epoch_sees_all_samples_in_an_order_of_its_own(samples, small):
    data, seen = samples(), []
    network = small()
    # Batches in training mode alone: the validation split is looked at in eval mode.
    network.register_forward_pre_hook(lambda module, given: seen.append(given[0]) if module.training else None)
    train(network, data, samples(seed=1), NLL, config(epochs=3), seed=1)
    rows = {tuple(row.tolist()): number for number, row in enumerate(data.inputs.flatten(1))}
    order = np.array([rows[tuple(row.tolist())] for batch in seen for row in batch.flatten(1)]).reshape(3, 40)
    np.testing.assert_array_equal(np.sort(order, axis=1), np.tile(np.arange(40), (3, 1)))
    for one, other in ((0, 1), (1, 2), (0, 2)):
        assert (order[one] != order[other]).mean() > 0.8


def test_missing_cells_teach_nothing(samples, small):
    full = samples()
    hidden = torch.rand(full.target.shape, generator=torch.Generator().manual_seed(3)) < 0.3
    networks = []
    for wrong in (torch.nan, torch.inf):
        data = Tensors(full.inputs, full.target.clone(), full.place)
        data.target[hidden] = wrong
        network = small()
        train(network, data, samples(seed=1), NLL, config(), seed=1)
        networks.append(network)
    assert same(*networks)
    assert all(torch.isfinite(p).all() for p in networks[0].parameters())


def test_a_batch_without_any_truth_changes_nothing(row):
    inputs, target = torch.zeros(4, 1, 1, 1), torch.full((4, 1, 5), 7.0)
    target[0] = torch.nan
    network = Constant(7.0)
    one = config(batch_size=1, optimizer="sgd", lr=0.1, epochs=1)
    data = Tensors(inputs, target, row(torch.ones(5)))
    trained = train(network, data, data, MSE, one, seed=1)
    assert (network.weight == 7.0).all()
    assert trained.history[0].train_loss == 0.0


def test_area_weights_decide_between_two_truths(row):
    # One shared number for two cells: the least weighted squared error is the weighted mean.
    class Shared(Constant):
        def forward(self, inputs):
            return self.weight.expand(len(inputs), 1, 1, 2)

    data = Tensors(torch.zeros(8, 1, 1, 1), torch.tensor([0.0, 4.0]).expand(8, 1, 2), row(torch.tensor([0.5, 1.5])))
    network = Shared(cells=1)
    train(network, data, data, MSE, config(optimizer="sgd", lr=0.2, epochs=100, momentum=0.0), seed=1)
    assert network.weight.item() == pytest.approx(3.0, abs=1e-3)


def test_one_step_of_sgd_by_hand(row):
    data = Tensors(torch.zeros(4, 1, 1, 1), torch.full((4, 1, 5), 2.0), row(torch.ones(5)))
    network = Constant(0.0)
    train(network, data, data, MSE, config(optimizer="sgd", lr=0.1, schedule="constant", epochs=1), seed=1)
    # d/dw of the mean over 5 cells of (w - 2)^2 at 0 is -4/5.
    assert network.weight.flatten().tolist() == pytest.approx([0.08] * 5)


def test_clip_bounds_the_step(row):
    data = Tensors(torch.zeros(4, 1, 1, 1), torch.full((4, 1, 5), 200.0), row(torch.ones(5)))
    network = Constant(0.0)
    options = config(optimizer="sgd", momentum=0.0, lr=0.1, schedule="constant", epochs=1, clip=0.5)
    train(network, data, data, MSE, options, seed=1)
    assert network.weight.detach().norm().item() == pytest.approx(0.1 * 0.5, rel=1e-5)


def test_l2_shrinks_to_the_closed_form(row):
    data = Tensors(torch.zeros(4, 1, 1, 1), torch.full((4, 1, 5), 2.0), row(torch.ones(5)))
    network = Constant(0.0)
    options = config(optimizer="sgd", momentum=0.0, lr=0.5, schedule="constant", epochs=200, l2=0.4)
    train(network, data, data, MSE, options, seed=1)
    # (2/5) (w - 2) + 0.4 w = 0
    assert network.weight.flatten().tolist() == pytest.approx([1.0] * 5, abs=1e-4)


def test_the_best_epoch_is_kept_and_patience_stops(samples, small):
    train_set = samples(16, noise=1.0)
    network = small(parameters=1, dropout=0.0)
    options = config(epochs=200, patience=8, lr=0.02, schedule="constant", batch_size=4)
    trained = train(network, train_set, samples(seed=1), MSE, options, seed=1)
    losses = [epoch.validation_loss for epoch in trained.history]
    assert len(losses) == trained.best_epoch + 8 < 200
    assert min(losses) == losses[trained.best_epoch - 1] < losses[-1]
    assert evaluate(network, samples(seed=1), MSE, options) == losses[trained.best_epoch - 1]


def test_the_same_seed_gives_the_same_bytes_and_leaves_the_callers_numbers_alone(samples, small):
    before, mode = torch.get_rng_state(), torch.are_deterministic_algorithms_enabled()
    numpy_before = np.random.get_state()[1].copy()
    networks = [small() for _ in range(3)]
    for network, seed in zip(networks, (1, 1, 2), strict=True):
        train(network, samples(), samples(seed=1), NLL, config(), seed=seed)
    assert same(networks[0], networks[1])
    assert not same(networks[0], networks[2])
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.are_deterministic_algorithms_enabled() == mode
    assert (np.random.get_state()[1] == numpy_before).all()


def test_the_callers_random_numbers_decide_nothing(samples, small):
    networks = [small(), small()]
    for network in networks:
        torch.rand(7)
        train(network, samples(), samples(seed=1), NLL, config(), seed=1)
    assert same(*networks)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_learns_nearly_the_same(samples, small, precision):
    losses = {}
    for kind in ("float32", precision):
        network = small(parameters=1, dropout=0.0)
        trained = train(network, samples(200), samples(seed=1), MSE, config(epochs=30, precision=kind), seed=1)
        losses[kind] = trained.history[trained.best_epoch - 1].validation_loss
        assert all(p.dtype == torch.float32 for p in network.parameters())
    assert losses[precision] != losses["float32"]
    assert losses[precision] == pytest.approx(losses["float32"], rel=0.1)


def test_a_loss_that_is_not_finite_says_what_to_try(samples, small):
    data = samples()
    data.inputs[3] = math.nan
    with pytest.raises(
        TrainingError,
        match=r"^unet: expected a finite loss, got train nan and validation nan in epoch 1 at learning rate 0\.01\. "
        r"Try lr: 0\.001, clip: 1\.0 or precision: float32, and look for huge inputs\.$",
    ):
        train(small(), data, samples(seed=1), NLL, config(), seed=1, title="unet")


@pytest.mark.parametrize("empty", ["train", "validation"])
def test_a_split_without_truth_is_refused(samples, small, empty):
    splits = {"train": samples(4), "validation": samples(4)}
    splits[empty].target[:] = math.nan
    with pytest.raises(DataError, match=rf"^fit: expected truth in the {empty} split, got 4 samples without any\.$"):
        train(small(), *splits.values(), NLL, config(), seed=1, title="fit")


def test_the_first_batch_norm_statistics_come_from_training(samples, small):
    network = small()
    untouched = copy.deepcopy(network)
    train(network, samples(), samples(seed=1), NLL, config(epochs=1), seed=1)
    assert not torch.equal(network.layers[2].running_mean, untouched.layers[2].running_mean)


def test_history_counts_epochs_and_rates(samples, small):
    trained = train(small(), samples(), samples(seed=1), NLL, config(schedule="step", epochs=3), seed=1)
    assert [epoch.epoch for epoch in trained.history] == [1, 2, 3]
    assert [epoch.lr for epoch in trained.history] == pytest.approx([0.01, 0.001, 0.0001])
    assert all(epoch.seconds > 0 for epoch in trained.history)
    assert trained.resumed_from == 0
