"""Networks of the size of the quickstart, and larger ones, in the middle of their training."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.speed._samples import schema_of
from models import MODELS
from pipeline.backend import Backend
from pipeline.grid import Grid
from pipeline.model import Context
from pipeline.rows import Stored, store
from pipeline.samples import Samples
from pipeline.training.run import Run
from pipeline.training.tensors import Tensors

# Of each size: cells of the inputs and of the target, channels, and what the networks are given beside their defaults.
SIZES: dict[str, dict[str, Any]] = {
    "quickstart": {"coarse": (4, 6), "fine": (16, 24), "channels": 5, "unet": {"width": 8, "depth": 1}, "deepesd": {}},
    "cordex": {
        "coarse": (16, 16),
        "fine": (128, 128),
        "channels": 15,
        "unet": {"width": 32, "depth": 4},
        "deepesd": {},
    },
}
BATCH = 32


def made(size: str, days: int, backend: Backend, folder: Path | None = None) -> Samples:
    """Return samples of noise; with a folder they lie in files there."""
    asked = SIZES[size]
    random = np.random.default_rng(0)
    coarse, fine = (
        Grid(np.linspace(40.0, 44.0, rows), np.linspace(0.0, 6.0, columns))
        for rows, columns in (asked["coarse"], asked["fine"])
    )
    mask = np.ones(fine.shape, bool)
    mask[:, : fine.shape[1] // 4] = False  # the sea
    schema = schema_of(tuple(f"c{number}" for number in range(asked["channels"])), coarse, fine)
    schema = replace(schema, mask=mask, static=np.zeros((1, *fine.shape), np.float32), statics=("height",))
    values = {}
    for name, shape in (("inputs", (asked["channels"], *coarse.shape)), ("target", (1, *fine.shape))):
        array = random.normal(size=(days, *shape)).astype(np.float32)
        if folder is None:
            values[name] = backend.asarray(array)
            continue
        with store(folder / f"{name}.npy", array.shape) as add:
            add(array)
        values[name] = Stored.open(folder / f"{name}.npy", backend)
    dates = np.datetime64("2000-01-01", "ns") + np.arange(days) * np.timedelta64(1, "D")
    return Samples("made", values["inputs"], values["target"], None, dates, np.arange(days) % 365 / 365.0, schema)


def begun(kind: str, size: str, samples: Samples, backend: Backend, **options: Any) -> tuple[Run, Tensors]:
    """Return a training that has yet to make its first step, and its samples; those of files are streamed."""
    model = MODELS.get(kind)
    config = model.Config.model_validate({"batch_size": BATCH, "schedule": "constant"} | SIZES[size][kind] | options)
    context = replace(Context(backend, seed=1, name=kind), budget=1 if isinstance(samples.inputs, Stored) else None)
    fresh: Any = model(config)
    loss, tensors = fresh._begin(samples, context)
    tensors.fit(loss)
    return Run(fresh._network.train(), loss, fresh.config, tensors, None, kind), tensors


@dataclass(frozen=True)
class Seconds:
    """Least seconds of a work: by the clock, and of all threads of this process on the CPU."""

    clock: float
    cpu: float


def least(works: Sequence[Callable[[], Any]], rounds: int, device: str) -> list[Seconds]:
    """Return the least seconds of each work, turn by turn: other work on the machine can only slow one down."""
    taken: list[list[tuple[float, float]]] = [[] for _ in works]
    for _ in range(rounds):
        for work, seconds in zip(works, taken, strict=True):
            start = time.perf_counter(), time.process_time()
            work()
            if device != "cpu":
                torch.accelerator.synchronize()
            seconds.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    return [Seconds(*(min(part) for part in zip(*seconds, strict=True))) for seconds in taken]


def parser_of(doc: str | None, *, steps: int, said: str) -> argparse.ArgumentParser:
    """Return the command line of a benchmark of networks; ``said`` is its help of ``--steps``."""
    parser = argparse.ArgumentParser(description=(doc or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--steps", type=int, default=steps, help=said)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--size", choices=list(SIZES), default="quickstart")
    parser.add_argument("--backend", choices=("auto", "cpu", "gpu"), default="auto")
    parser.add_argument("models", nargs="*", default=["deepesd", "unet"])
    return parser


def place(backend: Backend) -> str:
    """Return on what it is measured."""
    cpu = f"a CPU, {torch.get_num_threads()} of {os.cpu_count()} threads"
    return ", ".join(backend.device_names) or cpu
