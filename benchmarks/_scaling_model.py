"""How long training takes on many GPUs, from what is computed, read and sent: a model on paper, in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass

FLOAT32 = 4  # bytes


@dataclass(frozen=True)
class Device:
    """A GPU and what joins it to others.

    Parameters
    ----------
    flops : float
        Peak of dense matrix products in bfloat16 [FLOP/s].
    efficiency : float
        Share of the peak that convolutions of this size reach.
    memory, memory_rate : float
        Bytes, and bytes read per second.
    node : int
        GPUs in one node.
    inside, outside : float
        Bytes per second that a GPU sends to its neighbour in the ring: in its node, and to another node.
    latency_inside, latency_outside : float
        Seconds of a step of the ring.
    disk : float
        Bytes per second that a node reads.
    launch : float
        Seconds of a step beside its arithmetic: kernels are launched one by one.
    """

    flops: float = 989e12
    efficiency: float = 0.3
    memory: float = 141e9
    memory_rate: float = 4.8e12
    node: int = 8
    inside: float = 450e9
    outside: float = 50e9
    latency_inside: float = 5e-6
    latency_outside: float = 10e-6
    disk: float = 10e9
    launch: float = 1e-3


@dataclass(frozen=True)
class Work:
    """One network on one set of data.

    Parameters
    ----------
    name : str
        What a table calls it.
    samples, batch : int
        Of the train split; of one step over all GPUs.
    sample_bytes : float
        Inputs and targets of one sample, float32.
    forward : float
        FLOP of one sample's forward pass; a training step is three of them.
    parameters : int
        Of the network.
    """

    name: str
    samples: int
    batch: int
    sample_bytes: float
    forward: float
    parameters: int

    @property
    def bytes(self) -> float:
        """All samples."""
        return self.samples * self.sample_bytes


@dataclass(frozen=True)
class Step:
    """Seconds of one step: computing, reading while it computes, and adding gradients after it."""

    compute: float
    read: float
    reduce: float

    @property
    def seconds(self) -> float:
        """Of the whole step."""
        return max(self.compute, self.read) + self.reduce


@dataclass(frozen=True)
class Cost:
    """Parameters and FLOP of a forward pass of one sample; two FLOP a multiplication with its addition."""

    parameters: int
    flop: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.parameters + other.parameters, self.flop + other.flop)


def convolution(inputs: int, outputs: int, cells: int, kernel: int = 3) -> Cost:
    """Return what a convolution with a bias costs on so many cells."""
    weights = inputs * outputs * kernel * kernel
    return Cost(weights + outputs, 2.0 * weights * cells)


def deepesd(channels: int, coarse: int, fine: int) -> Cost:
    """Return what DeepESD of one target costs: three convolutions on coarse cells, one dense layer to the fine ones."""
    convolutions = convolution(channels, 50, coarse) + convolution(50, 25, coarse) + convolution(25, 1, coarse)
    return convolutions + Cost(coarse * fine + fine, 2.0 * coarse * fine)


def unet(channels: int, outputs: int, cells: int, width: int, depth: int) -> Cost:
    """Return what a UNet costs: two 3 x 3 convolutions a level, twice as wide and a quarter of the cells each."""
    total, inside = Cost(0, 0.0), channels
    for level in range(depth + 1):
        wide, part = width * 2**level, cells // 4**level
        total += convolution(inside, wide, part) + convolution(wide, wide, part)
        inside = wide
    for level in reversed(range(depth)):
        wide, part = width * 2**level, cells // 4**level
        total += convolution(3 * wide, wide, part) + convolution(wide, wide, part)
    return total + convolution(width, outputs, cells, kernel=1)


def all_reduce(size: float, count: int, rate: float, latency: float) -> float:
    """Return the seconds of a ring: every byte passes 2 (n - 1) / n times through each of n links, in 2 (n - 1) steps.

    Examples
    --------
    >>> all_reduce(100.0, 1, 1.0, 1.0), all_reduce(100.0, 2, 50.0, 0.25)
    (0.0, 2.5)
    """
    return 2 * (count - 1) / count * size / rate + 2 * (count - 1) * latency


def step(work: Work, device: Device, count: int) -> Step:
    """Return a step of data-parallel training: the batch is shared by ``count`` GPUs.

    Data that fit into half of each GPU's memory lie there; others are read from disk again every epoch, by all
    nodes at once.
    """
    share = work.batch / count
    compute = device.launch + 3 * work.forward * share / (device.flops * device.efficiency)
    nodes = math.ceil(count / device.node)
    resident = work.bytes <= device.memory / 2
    read = (
        share * work.sample_bytes / device.memory_rate
        if resident
        else work.batch * work.sample_bytes / (device.disk * nodes)
    )
    one = nodes == 1
    rate, latency = (device.inside, device.latency_inside) if one else (device.outside, device.latency_outside)
    return Step(compute, read, all_reduce(FLOAT32 * work.parameters, count, rate, latency))


def epoch(work: Work, device: Device, count: int) -> float:
    """Return the seconds of an epoch on ``count`` GPUs."""
    return math.ceil(work.samples / work.batch) * step(work, device, count).seconds


def members(count: int, seconds: float, workers: int, overhead: float) -> float:
    """Return the seconds of an ensemble: its members one a worker, in as many turns as it takes.

    Examples
    --------
    >>> members(10, 100.0, 4, 0.01)
    300.03
    """
    return math.ceil(count / workers) * (seconds + overhead)


def works() -> tuple[Work, ...]:
    """Return the works of the page: CORDEX ML-Bench, and ERA5 at 0.25 degrees."""
    small, middle = deepesd(15, 256, 16384), unet(15, 2, 128 * 128, 64, 4)
    large = unet(15, 2, 721 * 1440, 64, 4)
    coarse, fine, globe = 15 * 16 * 16, 128 * 128, 721 * 1440
    return (
        Work("DeepESD, CORDEX ML-Bench", 14600, 64, FLOAT32 * (coarse + fine), small.flop, small.parameters),
        Work("UNet, CORDEX ML-Bench", 14600, 64, FLOAT32 * (coarse + 2 * fine), middle.flop, middle.parameters),
        Work("UNet, ERA5 0.25 degrees", 61362, 64, FLOAT32 * 17 * globe, large.flop, large.parameters),
    )


COUNTS = (1, 2, 4, 8, 16, 32, 64)


def tables(device: Device | None = None) -> str:
    """Return the page's tables, Markdown."""
    device = Device() if device is None else device
    lines = [
        "| work | train samples | bytes a sample | all of it | parameters | forward FLOP a sample |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {w.name} | {w.samples} | {w.sample_bytes / 1e6:.3g} MB | {w.bytes / 1e9:.4g} GB | "
        f"{w.parameters / 1e6:.3g} M | {w.forward / 1e9:.3g} G |"
        for w in works()
    ]
    for work in works():
        lines += [
            "",
            f"**{work.name}**, batch {work.batch} over all GPUs:",
            "",
            "| GPUs | compute [ms] | read [ms] | all-reduce [ms] | step [ms] | epoch [s] | speed-up | efficiency |",
            "|---|---|---|---|---|---|---|---|",
        ]
        alone = epoch(work, device, 1)
        for count in COUNTS:
            one, seconds = step(work, device, count), epoch(work, device, count)
            parts = " | ".join(f"{1e3 * value:.3g}" for value in (one.compute, one.read, one.reduce, one.seconds))
            gain = alone / seconds
            lines.append(f"| {count} | {parts} | {seconds:.3g} | {gain:.2f} | {100 * gain / count:.0f} % |")
    lines += [
        "",
        "**Ten members of the UNet on CORDEX ML-Bench**, 100 epochs each, one member a GPU, 10 ms of Dask a task:",
        "",
        "| GPUs | minutes | speed-up |",
        "|---|---|---|",
    ]
    fit = 100 * epoch(works()[1], device, 1)
    for count in COUNTS[:5]:
        seconds = members(10, fit, count, 0.01)
        lines.append(f"| {count} | {seconds / 60:.3g} | {members(10, fit, 1, 0.01) / seconds:.2f} |")
    return "\n".join(lines)
