"""Aggregates of explanations of all cells beside a pass for every cell: `python -m benchmarks.attribution_maps`.

It makes a DeepESD and a UNet with weights as before training, from 10 channels on 16 x 16 cells to 32 x 32 cells, and
asks for the aggregated saliency map, the dispersion and the shares over 64 days. Beside it stand loops that people
write: one forward and backward pass a cell for all days together, and one a day and cell. A loop takes every pass with
`torch.autograd.grad`, which leaves the gradients of weights out, and does nothing with what it gets; ours is timed with
all that is made of the maps. Of a loop some passes are timed, spread over the cells, and counted for all. What takes
turns shares the other work on the machine; what counts is the ratio, the median of rounds. On a CPU the ratio of
processor time stands beside it, which other work moves less. The last line is the same as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median

import numpy as np
import torch
from torch import Tensor, nn

from models._explained import Explained
from models._layout import Layout
from models.deepesd import DeepESDConfig, DeepESDNetwork
from models.unet import UNetConfig, UNetNetwork
from pipeline.attribution.dispersion import saliency_aggregates
from pipeline.backend import get_backend
from pipeline.grid import Grid
from pipeline.training.losses import make_loss

LOSS = "normal_nll"
NETWORKS: dict[str, Callable[[Layout, int], nn.Module]] = {
    "deepesd": lambda layout, parameters: DeepESDNetwork(layout, parameters, DeepESDConfig()),
    "unet": lambda layout, parameters: UNetNetwork(layout, parameters, UNetConfig()),
}
OURS, BATCHED, SINGLE = "ours", "a pass for each cell, all days", "a pass for each day and cell"


@dataclass(frozen=True)
class Figures:
    """What was measured.

    Parameters
    ----------
    network : str
        Which one.
    seconds : dict of str to float
        By way, of all days and cells: the median of rounds.
    ratios : dict of str to float
        How many times as long each other way takes as ours: the median of the rounds' ratios.
    rounds : dict of str to list of float
        The ratio of each round.
    processor : dict of str to float
        The median ratio of processor time, of all threads.
    difference : float
        The largest difference between ours and the maps of the first loop, over some cells, as a share of the maximum.
    """

    network: str
    seconds: dict[str, float]
    ratios: dict[str, float]
    rounds: dict[str, list[float]]
    processor: dict[str, float]
    difference: float


def measure(kind: str, *, days: int, side: int, rounds: int, passes: int, asked: int, device: torch.device) -> Figures:
    """Time one network."""
    network, layout, inputs = made(kind, days, side, device)
    cells = layout.cells
    picked = np.linspace(0, cells - 1, passes).round().astype(int)
    drawn = np.linspace(0, cells - 1, min(asked or cells, cells)).round().astype(int)
    warm = np.arange(2)

    def ours(chosen: np.ndarray) -> object:
        return saliency_aggregates(network, inputs, layout, cells=chosen)

    ways: dict[str, tuple[Callable[[], object], float]] = {
        OURS: (lambda: ours(drawn), cells / len(drawn)),
        BATCHED: (lambda: [gradient(network, inputs, cell) for cell in picked], cells / passes),
        SINGLE: (
            lambda: [gradient(network, inputs[day % days :][:1], cell) for day, cell in enumerate(picked)],
            cells * days / passes,
        ),
    }
    ours(warm)
    for cell in warm:
        gradient(network, inputs, int(cell))
    taken = [{name: share * seconds(work, device) for name, (work, share) in ways.items()} for _ in range(rounds)]
    ratios = {name: np.array([each[name] / each[OURS] for each in taken]) for name in ways if name != OURS}
    return Figures(
        kind,
        seconds={name: median(float(each[name][0]) for each in taken) for name in ways},
        ratios={name: float(np.median(each[:, 0])) for name, each in ratios.items()},
        rounds={name: each[:, 0].tolist() for name, each in ratios.items()},
        processor={name: float(np.median(each[:, 1])) for name, each in ratios.items()},
        difference=difference(network, inputs, layout, picked[:4]),
    )


def made(kind: str, days: int, side: int, device: torch.device) -> tuple[nn.Module, Layout, Tensor]:
    """Return a network, its grids and days of noise: what it has learned does not matter here."""
    torch.manual_seed(0)
    coarse, fine = (Grid(np.linspace(36.0, 44.0, n), np.linspace(-10.0, 4.0, n)) for n in (side // 2, side))
    static = np.random.default_rng(0).normal(size=(1, side, side)).astype(np.float32)
    layout = Layout(tuple("abcdefghij"), ("tas",), coarse, fine, np.ones(fine.shape, bool), static)
    loss = make_loss(LOSS)
    network = NETWORKS[kind](layout, 2)
    if isinstance(network, UNetNetwork):
        nn.init.normal_(network.local, std=0.3)  # else the decoder has no part in the answer
    inputs = torch.randn(days, 10, *coarse.shape)
    return Explained(network, loss, layout, None, None).to(device).eval(), layout, inputs.to(device)


def gradient(network: nn.Module, inputs: Tensor, cell: int) -> Tensor:
    """Return the gradient of a cell's mean by all inputs: a forward and a backward pass."""
    asked = inputs.detach().requires_grad_()
    return torch.autograd.grad(network(asked)[:, 0].flatten(1)[:, cell].sum(), asked)[0]


def difference(network: nn.Module, inputs: Tensor, layout: Layout, cells: np.ndarray) -> float:
    """Return how far the aggregated map of some cells is from that of the loop."""
    total = torch.zeros(inputs.shape[1:], dtype=torch.float64, device=inputs.device)
    for cell in cells:
        values = gradient(network, inputs, int(cell)).abs().double()
        values = values / values.amax((1, 2, 3), keepdim=True)
        values[values < 0.1] = 0.0
        total += (values / values.sum((1, 2, 3), keepdim=True)).mean(0)
    theirs = (total / len(cells)).cpu().numpy()
    found = saliency_aggregates(network, inputs, layout, cells=cells).whole.saliency
    return float(np.abs(found - theirs).max() / theirs.max())


def seconds(work: Callable[[], object], device: torch.device) -> np.ndarray:
    """Return what a clock and the processor say."""
    start = np.array([time.perf_counter(), time.process_time()])
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    end = np.array([time.perf_counter(), time.process_time()])
    return np.asarray(end - start)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(": `", maxsplit=1)[0])
    parser.add_argument("--days", type=int, default=64)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--passes", type=int, default=64, help="of a loop that are timed")
    parser.add_argument("--cells", type=int, default=0, help="that ours is timed for, and counted for all; 0: all")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--backend", choices=("auto", "cpu", "gpu"), default="auto")
    parser.add_argument("networks", nargs="*", default=list(NETWORKS), help=", ".join(NETWORKS))
    asked = parser.parse_args()
    backend = get_backend(asked.backend)
    torch.set_num_threads(asked.threads)
    where = ", ".join(backend.device_names) or f"a CPU, {asked.threads} threads on {os.cpu_count()} cores"
    cells = asked.side**2
    print(f"{asked.days} days, {cells} cells, on {where}")
    print()
    print(
        "| network | "
        + " | ".join(f"{name} [s]" for name in (OURS, BATCHED, SINGLE))
        + " | ratios | of processor time |"
    )
    print("|---|---|---|---|---|---|")
    found = []
    for kind in asked.networks:
        one = measure(
            kind,
            days=asked.days,
            side=asked.side,
            rounds=asked.rounds,
            passes=asked.passes,
            asked=asked.cells,
            device=torch.device(backend.torch_device),
        )
        times = " | ".join(f"{each:.1f}" for each in one.seconds.values())
        both = (" and ".join(f"{each:.1f}" for each in way.values()) for way in (one.ratios, one.processor))
        print(f"| {kind} | {times} | {' | '.join(both)} |", flush=True)
        found.append(one)
    print()
    print(f"largest difference from the loop: {max(each.difference for each in found):.1e} of the maximum")
    print(json.dumps([asdict(each) for each in found]))


if __name__ == "__main__":
    main()
