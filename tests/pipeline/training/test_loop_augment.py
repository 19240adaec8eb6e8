"""Augmentation in the training loop: of the train split alone, from the seed, resumed as it was."""

from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from pipeline.lagged import Lagged
from pipeline.training.augment import Augmenter, Shares, make_augmenter
from pipeline.training.config import TrainingConfig
from pipeline.training.lagged import LaggedInputs
from pipeline.training.loop import Tensors, train
from pipeline.training.losses import Place, make_loss

MSE = make_loss("mse")


class Killed(BaseException):
    """Stands for a signal."""


@contextmanager
def killed_after_three(title, total=None):
    class Bar:
        done = 0

        def advance(self, amount=1.0, note=""):
            self.done += amount
            if self.done >= 3:
                raise Killed

    yield Bar()


class Jitter(Augmenter):
    """Noise on the inputs, and half the time a second truth."""

    def __init__(self, key="jitter"):
        super().__init__([], [{"kind": key}])
        self.seen = []

    def __call__(self, inputs, target, place):
        self.seen.append(inputs)
        noisy = inputs + 0.1 * torch.randn_like(inputs)
        truths = ((1.0, target),) if torch.rand(()) < 0.5 else ((0.7, target), (0.3, target.roll(1, 0)))
        return Shares(noisy, truths, place)


def real():
    """Return what an experiment would have made."""
    world = SimpleNamespace(channels=("tas", "psl"), scalars=())
    return make_augmenter([{"kind": "noise", "probability": 0.5}, {"kind": "mixup"}], world, frozenset(), "model")


def config(**options):
    return TrainingConfig(**{"epochs": 6, "batch_size": 16, "lr": 0.01, "checkpoint_every": 3} | options)


def same(one, other):
    a, b = one.state_dict(), other.state_dict()
    return all(torch.equal(a[name], b[name]) for name in a)


def test_nothing_changed_is_the_training_without(samples, small):
    plain, through_maps = small(1), small(1)
    train(plain, samples(), samples(seed=1), MSE, config(), seed=1)
    train(through_maps, samples(), samples(seed=1), MSE, config(), seed=1, augment=Augmenter([], []))
    assert same(plain, through_maps)


@pytest.mark.parametrize("made", [Jitter, real])
def test_the_same_seed_gives_the_same_and_none_another(samples, small, made):
    networks = [small(1) for _ in range(4)]
    for network, seed, augment in zip(networks, (1, 1, 2, 1), (made(), made(), made(), None), strict=True):
        train(network, samples(), samples(seed=1), MSE, config(), seed=seed, augment=augment)
    assert same(networks[0], networks[1])
    assert not same(networks[0], networks[2])
    assert not same(networks[0], networks[3])


@pytest.mark.parametrize("made", [Jitter, real])
def test_three_and_kill_and_three_are_six(samples, small, tmp_path, made):
    straight, resumed = small(1), small(1)
    train(straight, samples(), samples(seed=1), MSE, config(), seed=1, augment=made())
    with pytest.raises(Killed):
        train(small(1), samples(), samples(seed=1), MSE, config(), seed=1, folder=tmp_path, augment=made(),
              progress=killed_after_three)  # fmt: skip
    torch.rand(11)
    rest = train(resumed, samples(), samples(seed=1), MSE, config(), seed=1, folder=tmp_path, augment=made())
    assert rest.resumed_from == 3
    assert same(straight, resumed)


@pytest.mark.parametrize("other", [None, Jitter("another")])
def test_a_checkpoint_of_another_augmentation_is_not_taken_up(samples, small, tmp_path, other):
    with pytest.raises(Killed):
        train(small(1), samples(), samples(seed=1), MSE, config(), seed=1, folder=tmp_path, augment=Jitter(),
              progress=killed_after_three)  # fmt: skip
    assert (
        train(small(1), samples(), samples(seed=1), MSE, config(), seed=1, folder=tmp_path, augment=other).resumed_from
        == 0
    )


def test_every_train_batch_is_changed_and_no_other(samples, small):
    network, given, augment = small(1), {True: [], False: []}, Jitter()
    network.register_forward_pre_hook(lambda module, got: given[module.training].append(got[0]))
    data, validation = samples(), samples(20, seed=1)
    kept = data.inputs.clone()
    train(network, data, validation, MSE, config(epochs=2), seed=1, augment=augment)
    assert sum(len(part) for part in augment.seen) == 2 * len(data)
    for raw, noisy in zip(augment.seen, given[True], strict=True):
        assert not torch.equal(raw, noisy)
    assert torch.equal(data.inputs, kept)
    assert torch.equal(torch.cat(given[False][:2]), validation.inputs)


def test_the_loss_is_fitted_on_the_truth_as_it_is(samples, small):
    class Fitted(type(MSE)):
        def fit(self, target, cells):
            self.target = target

    data, loss = samples(), Fitted()
    train(small(1), data, samples(seed=1), loss, config(epochs=1), seed=1, augment=Jitter())
    assert loss.target is data.target


class Constant(nn.Module):
    """Answers its own parameter at every cell."""

    def __init__(self, cells):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, 1, 1, cells))

    def forward(self, inputs):
        return self.weight.expand(len(inputs), 1, 1, -1)


def test_two_truths_have_their_shares_of_loss_and_gradient(row):
    """By brute force, with gaps: ``w L(y1) + (1 - w) L(y2)``, both means over the same number of known cells."""
    truth = torch.tensor([[1.0, 4.0, torch.nan], [3.0, torch.nan, 5.0]])[:, None]
    area, share = torch.tensor([0.5, 1.0, 1.5]), 0.7

    class Mixed(Augmenter):
        def __call__(self, inputs, target, place):
            return Shares(inputs, ((share, target), (1 - share, target.flip(0))), place)

    data = Tensors(torch.zeros(2, 1, 1, 1), truth, row(area))
    network = Constant(3)
    options = config(optimizer="sgd", momentum=0.0, lr=0.1, schedule="constant", epochs=1)
    trained = train(network, data, data, MSE, options, seed=1, augment=Mixed([], []))
    known, total = truth.isfinite(), float((truth.isfinite() * area).sum())
    expected, gradient = 0.0, torch.zeros(3)
    for weight, one in ((share, truth), (1 - share, truth.flip(0))):
        for sample in range(2):
            for cell in range(3):
                if torch.isfinite(one[sample, 0, cell]):
                    expected += weight * float(area[cell] * one[sample, 0, cell] ** 2) / total
                    gradient[cell] -= weight * 2 * area[cell] * one[sample, 0, cell] / total
    assert bool(known.any())
    assert trained.history[0].train_loss == pytest.approx(expected, rel=1e-6)
    torch.testing.assert_close(network.weight.flatten().detach(), -0.1 * gradient)


def test_patches_train_a_network_that_answers_any_size(row):
    """A network of one weight shared by all cells, on cut maps with a mask: the weighted mean of what is known."""

    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(()))
            self.register_buffer("cells", index)

        def forward(self, inputs):
            flat = (self.weight * inputs[:, :1]).flatten(2)[:, :, None]
            return flat if inputs.shape[2:] != (4, 6) else flat[..., self.cells]

    class Cut(Augmenter):
        def __call__(self, inputs, target, place):
            maps = torch.full((len(target), 1, 24), torch.nan).index_copy(2, place.index, target)
            part = maps.reshape(-1, 1, 4, 6)[..., :2, :3].flatten(2)
            patch = Place(area=torch.ones(6), index=torch.arange(6), shape=(2, 3))
            return Shares(inputs[..., :2, :3], ((1.0, part),), patch)

    index = torch.arange(24)[torch.arange(24) != 7]
    inputs = torch.randn(40, 1, 4, 6, generator=torch.Generator().manual_seed(0))
    target = 2.0 * inputs.flatten(2)[..., index]
    data = Tensors(inputs, target, Place(area=torch.ones(23), index=index, shape=(4, 6)))
    network = Shared()
    options = config(optimizer="sgd", lr=0.1, epochs=60, schedule="constant")
    train(network, data, data, MSE, options, seed=1, augment=Cut([], []))
    assert network.weight.item() == pytest.approx(2.0, abs=1e-3)


def test_windows_of_a_series_are_laid_out_before_they_are_changed(samples, small, backend):
    data, augment = samples(), Jitter()
    values = data.inputs.movedim(1, 0).reshape(80, 1, 3, 4)  # the first channel of all samples, then the second
    now = torch.arange(40).numpy()
    lagged = Lagged(
        backend.asarray(values.numpy()), backend.asarray(torch.zeros(80, 0).numpy()), now[:, None] + [[0, 40]], now
    )
    windows = LaggedInputs.of(lagged, None, backend)
    target, place = data.target.to(windows.device), data.place
    place = replace(place, area=place.area.to(windows.device), index=place.index.to(windows.device))
    series = Tensors(windows, target, place)
    network = small(1).to(windows.device)
    train(network, series, series, MSE, config(epochs=1), seed=1, augment=augment)
    order = torch.cat(augment.seen).cpu()
    rows = {tuple(one.flatten().tolist()) for one in data.inputs}
    assert {tuple(one.flatten().tolist()) for one in order} == rows
