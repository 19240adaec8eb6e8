"""What a few steps tell of training members as one."""

import time

import pytest
import torch
from torch import nn

from pipeline.model import Timing
from pipeline.training import timing
from pipeline.training.config import TrainingConfig
from pipeline.training.losses import make_loss
from pipeline.training.timing import time_stacked


def config(**options):
    return TrainingConfig(**{"batch_size": 7} | options)


class Slow(nn.Module):
    """Waits once a call, however many members the call is for."""

    def __init__(self, seconds):
        super().__init__()
        self.seconds, self.calls = seconds, 0
        self.weight = nn.Parameter(torch.zeros(5))

    def forward(self, inputs):
        time.sleep(self.seconds)
        return self.weight.expand(len(inputs), 1, 1, -1) + 0 * inputs.sum()


def test_a_call_that_costs_the_same_for_all_is_worth_as_much_as_there_are_members(samples):
    found = time_stacked([Slow(0.03) for _ in range(4)], samples(20), make_loss("mse"), config())
    assert isinstance(found, Timing)
    assert found.members == 4
    assert found.single == pytest.approx(0.03, rel=0.3)
    assert found.gain == pytest.approx(4.0, rel=0.3)


@pytest.mark.parametrize("kind", ["batch", "lstm"])
def test_networks_stay_as_they_are_and_so_do_random_numbers(kind, members, splits):
    networks = members(kind)
    before = [{name: part.clone() for name, part in network.state_dict().items()} for network in networks]
    numbers = torch.get_rng_state()
    assert time_stacked(networks, splits[0], make_loss("normal_nll"), config()).gain > 0
    assert torch.equal(torch.get_rng_state(), numbers)
    for network, kept in zip(networks, before, strict=True):
        assert all(torch.equal(part, kept[name]) for name, part in network.state_dict().items())


class Noisy(nn.Linear):
    def forward(self, inputs):
        return super().forward(inputs.flatten(1) + torch.randn(24, dtype=inputs.dtype)).unflatten(1, (1, 1, 5))


class Looking(nn.Linear):
    def forward(self, inputs):
        flat = inputs.flatten(1)
        answer = super().forward(flat)
        return (answer if answer.sum() > 0 else -answer).unflatten(1, (1, 1, 5))


def test_networks_that_cannot_be_laid_over_members_say_why(samples, monkeypatch):
    loss, split = make_loss("mse"), samples(20)
    assert time_stacked([Noisy(24, 5), Noisy(24, 5)], split, loss, config()) == (
        "it draws random numbers, which would not be those of a member alone"
    )
    found = time_stacked([Looking(24, 5), Looking(24, 5)], split, loss, config())
    assert found.startswith("torch.vmap cannot lay it over several members (")
    assert "data-dependent" in found
    assert time_stacked([nn.Linear(1, 1)], split, loss, config(schedule="plateau")).startswith("schedule: plateau")

    def full(*anything):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(timing, "Stack", full)
    said = time_stacked([Slow(0.0), Slow(0.0)], split, loss, config())
    assert said == "all of them together want more memory than the device has"


def test_a_big_network_is_not_even_tried(samples):
    found = time_stacked([Slow(0.3)] * 2, samples(20), make_loss("mse"), config())
    assert (found.members, found.stacked, found.gain) == (2, None, 0.0)
    assert found.single == pytest.approx(0.3, rel=0.2)


def test_what_is_wrong_with_one_member_alone_is_an_error(samples):
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        time_stacked([nn.Linear(3, 5)], samples(20), make_loss("mse"), config())
