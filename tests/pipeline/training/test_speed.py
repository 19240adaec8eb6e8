"""Ways to a faster step give the same numbers, or say why they cannot be had."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from pipeline.backend import why_no_gpu
from pipeline.training.config import TrainingConfig
from pipeline.training.loop import train
from pipeline.training.losses import make_loss
from pipeline.training.speed import Fast, tf32, why_not_faster

NLL = make_loss("normal_nll")


class Maps(nn.Module):
    """Convolutions with a norm: what formats and recordings are about."""

    def __init__(self, device="cpu"):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            layers = [nn.Conv2d(2, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(96, 10)]
            self.layers = nn.Sequential(*layers)
        self.to(device)

    def forward(self, inputs):
        return self.layers(inputs).unflatten(1, (2, 1, 5))


def fitted(samples, device="cpu", network=None, **options):
    network = Maps(device) if network is None else network
    config = TrainingConfig(**{"epochs": 3, "batch_size": 16, "lr": 0.01} | options)
    splits = [moved(samples(seed=seed), device) for seed in (0, 1)]
    return network, train(network, *splits, NLL, config, seed=1, title="fit")


def moved(data, device):
    place = replace(data.place, area=data.place.area.to(device), index=data.place.index.to(device))
    return replace(data, inputs=data.inputs.to(device), target=data.target.to(device), place=place)


def losses(trained):
    return [(epoch.train_loss, epoch.validation_loss) for epoch in trained.history]


@pytest.fixture
def double(samples):
    """Return a maker of samples in float64, in which another order of sums is far below what options could break."""

    def make(**given):
        data = samples(**given)
        place = replace(data.place, area=data.place.area.double())
        return replace(data, inputs=data.inputs.double(), target=data.target.double(), place=place)

    return make


@pytest.mark.parametrize("option", ["channels_last", pytest.param("compile", marks=pytest.mark.slow)])
def test_an_option_for_speed_teaches_the_same(double, option):
    plain, fast = (fitted(double, network=Maps().double(), **{option: asked})[1] for asked in (False, True))
    assert fast.notes == ()
    for one, other in zip(losses(plain), losses(fast), strict=True):
        assert one == pytest.approx(other, rel=1e-9)


def test_a_network_that_cannot_be_compiled_runs_as_it_is_and_says_so(samples, monkeypatch, caplog):
    def compiled(network):
        def fail(inputs):
            raise torch._dynamo.exc.BackendCompilerFailed(None, RuntimeError("no C++ compiler"), None)

        return fail

    monkeypatch.setattr(torch, "compile", compiled)
    plain, tried = fitted(samples)[1], fitted(samples, compile=True)[1]
    assert losses(plain) == losses(tried)
    (note,) = tried.notes
    assert note.startswith("fit: the network could not be compiled (BackendCompilerFailed: ")
    assert note.endswith("it runs as it is written.")
    assert "could not be compiled" in caplog.text


def test_an_error_of_the_network_itself_is_no_reason_to_go_on(monkeypatch):
    def compiled(network):
        def fail(inputs):
            raise ValueError("wrong shape")

        return fail

    monkeypatch.setattr(torch, "compile", compiled)
    fast = Fast(Maps(), TrainingConfig(compile=True), torch.device("cpu"), pytest.fail)
    with pytest.raises(ValueError, match=r"^wrong shape$"):
        fast(torch.zeros(1, 2, 3, 4))


def test_cuda_graphs_on_a_cpu_are_told_and_done_without(samples):
    plain, tried = fitted(samples)[1], fitted(samples, cuda_graphs=True)[1]
    assert losses(plain) == losses(tried)
    assert tried.notes == (
        "fit: cuda_graphs: true needs a GPU of CUDA, and this is cpu; steps are made one call at a time.",
    )


def test_norms_over_several_processes_are_neither_compiled_nor_recorded():
    from pipeline.training.ranks import Ranks

    ranks = Ranks()
    assert why_not_faster(TrainingConfig(compile=True), ranks) is None
    ranks.together = True
    assert why_not_faster(TrainingConfig(), ranks) is None
    said = "its batch norms meet those of other processes in the middle of a step"
    assert why_not_faster(TrainingConfig(compile=True), ranks) == said
    assert why_not_faster(TrainingConfig(cuda_graphs=True), ranks) == said


def test_tf32_is_put_back_whatever_happens():
    place = torch.backends.cuda.matmul
    before = place.fp32_precision

    def stop():
        assert place.fp32_precision == "tf32"
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match=r"^stopped$"), tf32(True):
        stop()
    assert place.fp32_precision == before
    with tf32(False):
        assert place.fp32_precision == before


@pytest.mark.gpu
@pytest.mark.skipif(why_no_gpu() is not None, reason=f"no gpu backend: {why_no_gpu()}")
def test_a_recorded_step_gives_the_same_numbers(samples):
    (one, plain), (other, recorded) = (fitted(samples, "cuda", cuda_graphs=graphs) for graphs in (False, True))
    assert recorded.notes == ()
    assert losses(plain) == losses(recorded)
    for mine, theirs in zip(one.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.gpu
@pytest.mark.skipif(why_no_gpu() is not None, reason=f"no gpu backend: {why_no_gpu()}")
def test_a_network_that_cannot_be_recorded_is_called_as_it_is_and_says_so(samples):
    class Asking(Maps):
        def forward(self, inputs):
            assert float(inputs.sum()) < 1e9  # waits for the device, which a recording cannot
            return super().forward(inputs)

    plain = fitted(samples, "cuda", Asking("cuda"))[1]
    tried = fitted(samples, "cuda", Asking("cuda"), cuda_graphs=True)[1]
    assert losses(plain) == losses(tried)
    assert "could not be recorded as a CUDA graph" in tried.notes[0]
