"""The model of scaling against closed forms, and its page against its program."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks._scaling_model import (
    Cost,
    Device,
    Work,
    all_reduce,
    convolution,
    deepesd,
    epoch,
    members,
    step,
    tables,
    unet,
)

PAGE = Path(__file__).resolve().parents[2] / "docs/scaling.md"
WORK = Work("some", samples=1000, batch=100, sample_bytes=8.0, forward=10.0, parameters=50)
DEVICE = Device(
    flops=100.0, efficiency=0.5, memory=1e6, memory_rate=400.0, node=4, inside=20.0, outside=10.0,
    latency_inside=0.5, latency_outside=1.0, disk=40.0, launch=0.0,
)  # fmt: skip


def test_the_page_shows_what_the_program_prints():
    shown = PAGE.read_text(encoding="utf-8").partition("<!-- tables -->\n")[2].partition("<!-- end -->")[0]
    assert shown.strip() == tables()


def test_the_network_of_the_benchmark_has_its_published_weights():
    assert deepesd(15, 256, 16384).parameters == 4_228_989


class Twice(nn.Module):
    """A UNet of one level, as the model counts it."""

    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1))
        self.deep = nn.Sequential(nn.Conv2d(4, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1))
        self.up = nn.Sequential(nn.Conv2d(12, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1))
        self.head = nn.Conv2d(4, 2, 1)

    def forward(self, x):
        kept = self.down(x)
        below = nn.functional.interpolate(self.deep(nn.functional.max_pool2d(kept, 2)), scale_factor=2)
        return self.head(self.up(torch.cat([below, kept], dim=1)))


def counted(module: nn.Module, *shape: int) -> Cost:
    """Return what torch counts of a network."""
    with FlopCounterMode(display=False) as counter:
        module(torch.zeros(shape))
    return Cost(sum(one.numel() for one in module.parameters()), float(counter.get_total_flops()))


def test_costs_are_those_that_torch_counts():
    assert convolution(3, 5, 64) == counted(nn.Conv2d(3, 5, 3, padding=1), 1, 3, 8, 8)
    assert unet(3, 2, 64, width=4, depth=1) == counted(Twice(), 1, 3, 8, 8)


def test_a_ring_sends_what_it_must():
    # Two: each half goes there and comes back as a sum.
    assert all_reduce(100.0, 2, 50.0, 0.0) == pytest.approx(2.0)
    # Many: each link carries the whole twice, less and less short of it.
    assert all_reduce(100.0, 1000, 50.0, 0.0) == pytest.approx(4.0, rel=2e-3)
    assert all_reduce(0.0, 5, 50.0, 0.25) == 2.0


def test_a_step_is_the_longer_of_computing_and_reading_and_then_the_ring():
    one = step(WORK, DEVICE, 1)
    assert (one.compute, one.read, one.reduce) == pytest.approx((3 * 10 * 100 / 50, 100 * 8 / 400, 0.0))
    assert one.seconds == pytest.approx(60.0)
    two = step(WORK, DEVICE, 2)
    assert two.seconds == pytest.approx(30.0 + 200 / 20 + 2 * 0.5)
    assert epoch(WORK, DEVICE, 2) == pytest.approx(10 * two.seconds)


def test_data_without_room_are_read_by_the_disks_of_all_nodes():
    small = replace(DEVICE, memory=1000.0, flops=1e9)
    assert [step(WORK, small, count).read for count in (1, 4, 8)] == pytest.approx([20.0, 20.0, 10.0])
    assert step(WORK, small, 1).seconds == pytest.approx(20.0)


def test_a_ring_that_leaves_its_node_is_as_slow_as_its_slowest_link():
    assert step(WORK, DEVICE, 4).reduce == pytest.approx(2 * 3 / 4 * 200 / 20 + 6 * 0.5)
    assert step(WORK, DEVICE, 8).reduce == pytest.approx(2 * 7 / 8 * 200 / 10 + 14 * 1.0)


@pytest.mark.parametrize(("workers", "turns"), [(1, 10), (3, 4), (5, 2), (16, 1)])
def test_an_ensemble_takes_as_many_turns_as_it_must(workers, turns):
    assert members(10, 60.0, workers, 0.5) == turns * 60.5
