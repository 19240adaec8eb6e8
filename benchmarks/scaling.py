"""The model of `docs/scaling.md` beside two processes of this machine: `python -m benchmarks.scaling`.

`--model` prints the tables of the model alone. Else the parts that can be had here are measured as well: what a Dask
task costs, the rate of an all-reduce by gloo, a step of one process and of two that share the batch, and an ensemble of
four on one worker and on two. Two processes that are handed nothing in between are the limit of the last. Times are
the least of rounds that take turns. The last line is the same as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from benchmarks._scaling_model import FLOAT32, all_reduce, members, tables
from pipeline.backend.cluster import ComputeConfig, cluster_spec, map_tasks, one_cluster

SIDE, WIDTH, BATCH, STEPS = 32, 32, 16, 4
SIZES = (2**18, 2**22)  # numbers in an all-reduce


@dataclass(frozen=True)
class Figures:
    """What was measured on this machine, and what the model says of it.

    Parameters
    ----------
    task : float
        Seconds that Dask adds to a task.
    rate, latency : float
        Of an all-reduce by gloo between two processes, fitted to two sizes [byte/s], [s].
    one, half : float
        Seconds of a step of one process on the whole batch, and on half of it.
    two, two_said : float
        Seconds of a step of two processes that share the batch, measured and by the model.
    alone, spread, spread_said : float
        Seconds of four members one after another, on two workers, and by the model.
    limit : float
        Seconds of two processes that compute as much, with nothing to be handed out in between.
    """

    task: float
    rate: float
    latency: float
    one: float
    half: float
    two: float
    two_said: float
    alone: float
    spread: float
    spread_said: float
    limit: float


def nothing() -> None:
    """Be a task that does nothing."""


def network() -> object:
    """Return a small network of convolutions."""
    from torch import nn

    layers = [nn.Conv2d(8, WIDTH, 3, padding=1), nn.ReLU(), nn.Conv2d(WIDTH, WIDTH, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(WIDTH, 1, 3, padding=1))


def steps(batch: int, count: int, rank: int | None = None) -> float:
    """Return the least seconds of a training step on ``batch`` samples; gradients are added where there are ranks."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = network()
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3)
    x, y = torch.randn(batch, 8, SIDE, SIDE), torch.randn(batch, 1, SIDE, SIDE)
    least = float("inf")
    for _ in range(count):
        if rank is not None:
            torch.distributed.barrier()
        clock = time.perf_counter()
        optimiser.zero_grad()
        torch.nn.functional.mse_loss(model(x), y).backward()
        if rank is not None:
            flat = torch.cat([one.grad.reshape(-1) for one in model.parameters()])
            torch.distributed.all_reduce(flat)
        optimiser.step()
        least = min(least, time.perf_counter() - clock)
    return least


def pair(rank: int, store: str) -> dict[str, float]:
    """Be one of two processes: time steps that share a batch, and sums of two sizes."""
    import torch

    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    where = torch.distributed.FileStore(store, 2)
    torch.distributed.init_process_group("gloo", store=where, rank=rank, world_size=2)
    try:
        found = {"two": steps(BATCH // 2, STEPS, rank)}
        for size in SIZES:
            numbers, least = torch.zeros(size), float("inf")
            for _ in range(STEPS):
                torch.distributed.barrier()
                clock = time.perf_counter()
                torch.distributed.all_reduce(numbers)
                least = min(least, time.perf_counter() - clock)
            found[str(size)] = least
        return found
    finally:
        torch.distributed.destroy_process_group()


def fit(seconds: float) -> float:
    """Be a member that computes for about so long in its process; return the steps."""
    count, until = 0, time.process_time() + seconds
    while time.process_time() < until:
        steps(2, 1)
        count += 1
    return count


def measure(rounds: int, seconds: float) -> Figures:
    """Measure the parts on one process and on two."""
    kept: dict[str, float] = {}

    def keep(name: str, value: float) -> None:
        kept[name] = min(kept.get(name, float("inf")), value)

    with one_cluster() as cluster:
        spec = cluster_spec("cpu", ComputeConfig(workers=2, threads=1))
        cluster.client(spec).wait_for_workers(2)
        _checked(map_tasks(fit, [(0.1,), (0.1,)], spec))  # both have imported torch
        for _ in range(rounds):
            keep("task", _seconds(lambda: _checked(map_tasks(nothing, [()] * 50, spec))) / 50)
            keep("one", _checked(map_tasks(steps, [(BATCH, STEPS)], spec))[0])
            keep("half", _checked(map_tasks(steps, [(BATCH // 2, STEPS)], spec))[0])
            with tempfile.TemporaryDirectory() as folder:
                for found in _checked(map_tasks(pair, [(rank, f"{folder}/store") for rank in (0, 1)], spec)):
                    for name, value in found.items():
                        keep(name, value)
            keep("alone", sum(_seconds(lambda: _checked(map_tasks(fit, [(seconds,)], spec))) for _ in range(4)))
            keep("limit", _seconds(lambda: _checked(map_tasks(fit, [(2 * seconds,)] * 2, spec))))
            keep("spread", _seconds(lambda: _checked(map_tasks(fit, [(seconds,)] * 4, spec))))
    small, large = (kept[str(size)] for size in SIZES)
    rate = FLOAT32 * (SIZES[1] - SIZES[0]) / (large - small)
    latency = max(0.0, (small - FLOAT32 * SIZES[0] / rate) / 2)
    weights = sum(one.numel() for one in network().parameters())
    said = kept["half"] + all_reduce(FLOAT32 * weights, 2, rate, latency)
    return Figures(
        kept["task"], rate, latency, kept["one"], kept["half"], kept["two"], said, kept["alone"], kept["spread"],
        members(4, kept["alone"] / 4, 2, kept["task"]), kept["limit"],
    )  # fmt: skip


def _checked(outcomes: list) -> list:
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return outcomes


def _seconds(work: Callable[[], object]) -> float:
    clock = time.perf_counter()
    work()
    return time.perf_counter() - clock


def main() -> None:
    """Print the model's tables, and what was measured beside what it says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(": `", maxsplit=1)[0])
    parser.add_argument("--model", action="store_true", help="The tables of the model alone.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="Of processor time of a member.")
    asked = parser.parse_args()
    print(tables())
    if asked.model:
        return
    found = measure(asked.rounds, asked.seconds)
    print()
    print("| on this machine | measured | the model says |")
    print("|---|---|---|")
    print(f"| a task of Dask beside its work | {1e3 * found.task:.2g} ms | |")
    print(f"| all-reduce by gloo, two processes | {found.rate / 1e9:.2g} GB/s, {1e6 * found.latency:.0f} us | |")
    print(f"| a step of one process | {1e3 * found.one:.1f} ms | |")
    print(f"| a step of two that share the batch | {1e3 * found.two:.1f} ms | {1e3 * found.two_said:.1f} ms |")
    print(f"| speed-up of the step | {found.one / found.two:.2f} | {found.one / found.two_said:.2f} |")
    print(f"| four members on two workers | {found.spread:.2f} s | {found.spread_said:.2f} s |")
    print(f"| two processes that compute as much | {found.limit:.2f} s | |")
    print(f"| speed-up of the members | {found.alone / found.spread:.2f} | {found.alone / found.spread_said:.2f} |")
    print(json.dumps(asdict(found)))


if __name__ == "__main__":
    main()
