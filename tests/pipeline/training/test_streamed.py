"""Data that are read batch by batch teach a network the same, to the last bit, as data on the device."""

import threading
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.backend import get_backend
from pipeline.errors import DataError
from pipeline.lagged import Lagged
from pipeline.rows import Held, Rows, Stored, blocks, store
from pipeline.training.augment import Augmenter, Shares
from pipeline.training.checkpoint import digest
from pipeline.training.config import TrainingConfig
from pipeline.training.lagged import LaggedInputs
from pipeline.training.loop import evaluate, train
from pipeline.training.losses import make_loss
from pipeline.training.streamed import StreamedRows, StreamedWindows, parts
from pipeline.training.tensors import Tensors, tensors_of

NLL = make_loss("normal_nll")
CPU = get_backend("cpu")


def stored(array: np.ndarray, path) -> Stored:
    with store(path, array.shape, array.dtype) as add:
        for part in blocks(array):
            add(array[part])
    return Stored.open(path, CPU)


@pytest.fixture
def streamed(tmp_path):
    """Return a function from tensors to the same in files."""

    def make(data: Tensors) -> Tensors:
        number = len(list(tmp_path.glob("*.npy")))
        inputs = stored(data.inputs.numpy(), tmp_path / f"inputs-{number}.npy")
        target = stored(data.target.numpy(), tmp_path / f"target-{number}.npy")
        return Tensors(StreamedRows.of(inputs, "cpu"), StreamedRows.of(target, "cpu"), data.place)

    return make


def same(one, other):
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def options(**changed):
    return TrainingConfig(**{"epochs": 5, "batch_size": 16, "lr": 0.01, "clip": 1.0} | changed)


def loaders() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("loader")]


@pytest.mark.parametrize(
    "changed",
    [{}, {"patience": 1, "lr": 0.3, "schedule": "constant"}, {"precision": "bfloat16"}],
    ids=["whole", "early", "half"],
)
def test_training_is_the_same_to_the_last_bit(samples, small, streamed, changed):
    networks, histories = [small(), small()], []
    for network, load in zip(networks, (lambda data: data, streamed), strict=True):
        trained = train(network, load(samples(70)), load(samples(seed=1)), NLL, options(**changed), seed=1)
        histories.append([(epoch.train_loss, epoch.validation_loss) for epoch in trained.history])
    assert same(*networks)
    assert histories[0] == histories[1]
    assert loaders() == []


class Jitter(Augmenter):
    """Noise on the inputs, and half the time a second truth."""

    def __init__(self):
        super().__init__([], [{"kind": "jitter"}])

    def __call__(self, inputs, target, place):
        noisy = inputs + 0.1 * torch.randn_like(inputs)
        truths = ((1.0, target),) if torch.rand(()) < 0.5 else ((0.7, target), (0.3, target.roll(1, 0)))
        return Shares(noisy, truths, place)


def test_augmentations_draw_the_same_numbers(samples, small, streamed):
    networks = [small(), small()]
    for network, load in zip(networks, (lambda data: data, streamed), strict=True):
        train(network, load(samples()), load(samples(seed=1)), NLL, options(), seed=1, augment=Jitter())
    assert same(*networks)


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


def test_a_training_that_was_resident_goes_on_streamed(samples, small, streamed, tmp_path):
    config = options(epochs=6, checkpoint_every=3)
    straight, resumed = small(), small()
    train(straight, samples(), samples(seed=1), NLL, config, seed=1)
    with pytest.raises(Killed):
        train(small(), samples(), samples(seed=1), NLL, config, seed=1, folder=tmp_path, progress=killed_after_three)
    rest = train(resumed, streamed(samples()), streamed(samples(seed=1)), NLL, config, seed=1, folder=tmp_path)
    assert rest.resumed_from == 3
    assert same(straight, resumed)


def test_the_key_of_a_checkpoint_knows_data_by_their_values(samples, small, streamed):
    data = samples()
    keys = {digest(options(), 1, small(), tensors_of(each)) for each in (data, streamed(data))}
    assert len(keys) == 1
    data.inputs[39, 1, 2, 3] += 1e-6
    assert digest(options(), 1, small(), tensors_of(streamed(data))) not in keys


def windows(tmp_path, scalars: int) -> tuple[LaggedInputs, StreamedWindows]:
    random = np.random.default_rng(0)
    values = random.normal(size=(50, 2, 3, 4)).astype(np.float32)
    now = np.arange(7, 47)
    index = now[:, None] - np.array([0, 2, 5])
    lagged = Lagged(values, random.normal(size=(50, scalars)).astype(np.float32), index, now)
    order = [2, 0, 5, 1] + ([6] if scalars else [])
    kept = stored(values, tmp_path / "steps.npy")
    return LaggedInputs.of(lagged, order, CPU), StreamedWindows.of(replace(lagged, values=kept), order, CPU)


@pytest.mark.parametrize("scalars", [0, 2])
def test_windows_are_laid_out_the_same(tmp_path, scalars):
    whole, read = windows(tmp_path, scalars)
    assert read.shape == tuple(whole[:].shape)
    for index in (slice(3, 9), torch.tensor([31, 2, 2, 17]), slice(None)):
        assert torch.equal(whole[index], read[index])
        assert whole[index].stride() == read[index].stride()
    kinds = [torch.cat(list(parts(part))) for part in read.tensors()]
    for one, other in zip(whole.tensors(), kinds, strict=True):
        assert torch.equal(one, other)


def test_windows_teach_the_same_to_the_last_bit(samples, small, tmp_path):
    class Fewer(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = small()

        def forward(self, inputs):
            return self.inner(inputs[:, :2])

    data, networks = samples(), [Fewer(), Fewer()]
    for network, inputs in zip(networks, windows(tmp_path, 1), strict=True):
        given = replace(data, inputs=inputs)
        train(network, given, given, NLL, options(), seed=1)
    assert same(*networks)


@pytest.mark.parametrize(
    "loss", ["asym", "bernoulli_gamma_nll", {"kind": "cross_entropy", "weights": "inverse"}], ids=str
)
def test_a_loss_learns_the_same_of_a_target_that_is_read(samples, streamed, row, loss):
    data = samples(700)
    classes = ("a", "b", "c") if isinstance(loss, dict) else ()
    target = data.target.abs() if not classes else (data.target.abs() * 4).floor().clamp(max=2)
    target[torch.rand(target.shape, generator=torch.Generator().manual_seed(3)) < 0.2] = torch.nan
    units = {"scale": torch.full((1, 5), 2.0), "shift": torch.zeros(1, 5)}
    data = Tensors(data.inputs, target, row(torch.linspace(0.5, 1.5, 5), **units))
    found = []
    for each in (data, streamed(data)):
        made = make_loss(loss, classes)
        each.fit(made)
        output = torch.full((700, max(1, len(made.parameters)), 1, 5), 0.3)
        known = torch.isfinite(target)
        found.append(made(output, target.nan_to_num(), data.place.cells(known)))
    assert torch.equal(*found)


def test_a_target_that_is_read_and_does_not_suit_its_loss_is_refused(samples, streamed):
    data = samples()
    data.target[37, 0, 2] = -5.0
    with pytest.raises(DataError, match="expected a target whose numbers are amounts from zero on, got -"):
        streamed(data).fit(make_loss("bernoulli_gamma_nll"))


def test_a_split_without_truth_is_refused_when_it_is_read(samples, small, streamed):
    data = samples(4)
    data.target[:] = torch.nan
    with pytest.raises(DataError, match=r"^fit: expected truth in the validation split, got 4 samples without any\.$"):
        train(small(), samples(), streamed(data), NLL, options(), seed=1, title="fit")


def test_evaluation_and_weight_are_the_same(samples, small, streamed):
    data = samples(23)
    data.target[4:9] = torch.nan
    network = small()
    assert evaluate(network, data, NLL, options(batch_size=5)) == evaluate(
        network, streamed(data), NLL, options(batch_size=5)
    )
    assert data.weight() == pytest.approx(streamed(data).weight(), rel=1e-12)


class Breaking(Rows):
    """Rows that cannot be read from a place on."""

    backend = CPU

    def __init__(self, rows: Rows, good: int) -> None:
        self.rows, self.shape, self.dtype, self.good = rows, rows.shape, rows.dtype, good

    def read(self, positions):
        if (positions >= self.good).any():
            raise OSError("the disk is gone")
        return self.rows.read(positions)


@pytest.mark.parametrize("where", ["train", "validation"])
def test_an_error_of_the_thread_surfaces_and_leaves_no_thread(samples, small, where):
    data, check = samples(), samples(seed=1)
    broken = StreamedRows.of(Breaking(Held(data.inputs.numpy(), CPU), 20), "cpu")
    splits = [replace(data, inputs=broken), check] if where == "train" else [data, replace(check, inputs=broken)]
    with pytest.raises(OSError, match=r"^the disk is gone$"):
        train(small(), *splits, NLL, options(), seed=1)
    assert loaders() == []


def test_an_error_of_the_network_leaves_no_thread(samples, small, streamed):
    network = small()

    def fail(module, given):
        raise RuntimeError("no")

    network.register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match=r"^no$"):
        train(network, streamed(samples()), samples(), NLL, options(), seed=1)
    assert loaders() == []
