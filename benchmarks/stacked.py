"""Members of an ensemble trained as one against one after another: `python -m benchmarks.stacked`.

It makes samples for three small networks (an MLP and an LSTM on windows of series, a UNet on fields), and trains an
ensemble of each both ways for some epochs, turn by turn in one process. What counts is the ratio: above 1 the members
as one are faster. The best of several rounds is taken, for other work on the machine can only slow one down. The
default options of the fit stage ask the same of a run's own networks before it chooses (`stacked: auto`).
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from benchmarks.speed._samples import schema_of
from models import MODELS
from pipeline.backend import get_backend
from pipeline.grid import Grid
from pipeline.model import Context
from pipeline.samples import Samples

LAGS, BASINS = 16, 10
CASES = {
    "mlp": {"hidden": (64, 64), "batch_size": 32},
    "unet": {"width": 8, "depth": 2, "large_scale": (16, 8), "norm": "group", "batch_size": 16},
    "lstm": {"hidden": 32, "batch_size": 32},
}


@dataclass(frozen=True)
class Found:
    """Seconds of a training, by how many members and in which way."""

    model: str
    parameters: int
    members: int
    apart: float
    together: float

    @property
    def ratio(self) -> float:
        return self.apart / self.together


def measure(kind: str, *, members: int, epochs: int, samples: int, rounds: int, backend_name: str) -> Found:
    """Train an ensemble of one kind both ways."""
    backend = get_backend(backend_name)
    make = fields if kind == "unet" else windows
    train, check = (make(count, seed, backend) for count, seed in ((samples, 0), (max(1, samples // 8), 1)))
    contexts = [replace(Context(backend, seed=1, name=kind), member=number) for number in range(members)]
    options = CASES[kind] | {"epochs": epochs, "schedule": "constant"}

    def new() -> list:
        return [MODELS.get(kind)(MODELS.get(kind).Config.model_validate(options)) for _ in contexts]

    def apart() -> None:
        for model, context in zip(new(), contexts, strict=True):
            model.fit(train, check, context)

    def together() -> None:
        models = new()
        assert MODELS.get(kind).fit_together(models, train, check, contexts) == [None] * members

    taken = [(seconds(apart), seconds(together)) for _ in range(rounds)]
    first = new()[0].fit(train, check.take(slice(0, 1)), contexts[0])
    return Found(kind, first.summary()["parameters"], members, *(min(part) for part in zip(*taken, strict=True)))


def fields(count: int, seed: int, backend) -> Samples:
    """Return made fields: four channels on 8 x 8 cells, a target on 16 x 16."""
    rng = np.random.default_rng(seed)
    coarse, fine = (Grid(np.linspace(40.0, 47.0, size), np.linspace(0.0, 7.0, size)) for size in (8, 16))
    return made(rng.normal(size=(count, 4, 8, 8)), rng.normal(size=(count, 1, 16, 16)), coarse, fine, "abcd", backend)


def windows(count: int, seed: int, backend) -> Samples:
    """Return made windows: sixteen lags of two variables of ten series."""
    rng = np.random.default_rng(seed)
    names = tuple(f"s{number}" for number in range(BASINS))
    grid = Grid(np.full((1, BASINS), 50.0), np.arange(BASINS)[None] * 1.0, ("row", "station"), names)
    channels = [f"{name}@-{lag}" if lag else name for lag in range(LAGS) for name in ("pr", "tas")]
    shape = (count, len(channels), 1, BASINS)
    return made(rng.normal(size=shape), rng.normal(size=(count, 1, 1, BASINS)), grid, grid, channels, backend)


def made(inputs: np.ndarray, target: np.ndarray, coarse: Grid, fine: Grid, channels, backend) -> Samples:
    """Return samples of noise: what is learned does not matter here."""
    schema = schema_of(tuple(channels), coarse, fine)
    time_ = np.datetime64("2000-01-01", "ns") + np.arange(len(inputs)) * np.timedelta64(1, "D")
    inputs, target = (backend.asarray(part.astype(np.float32)) for part in (inputs, target))
    return Samples("made", inputs, target, None, time_, np.arange(len(time_)) % 365 / 365.0, schema)


def seconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--members", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--samples", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--backend", choices=("auto", "cpu", "gpu"), default="auto")
    parser.add_argument("models", nargs="*", default=list(CASES), help=", ".join(CASES))
    asked = parser.parse_args()
    backend = get_backend(asked.backend)
    where = ", ".join(backend.device_names) or f"a CPU, {torch.get_num_threads()} of {os.cpu_count()} threads"
    print(f"{asked.members} members on {where}; ratio: seconds one by one over seconds as one")
    for kind in asked.models:
        found = measure(
            kind,
            members=asked.members,
            epochs=asked.epochs,
            samples=asked.samples,
            rounds=asked.rounds,
            backend_name=backend.name,
        )
        print(f"{kind}: {found.parameters} weights a member, ratio {found.ratio:.2f}")


if __name__ == "__main__":
    main()
