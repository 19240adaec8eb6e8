"""Predictions by blocks of time: where there are more workers than models, a model's answers are made by several.

Each block is worked out as it would be by one worker and kept as it comes, with every digit; then one worker a model
writes its blocks one behind the other, so that the files are the same byte for byte.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from flows.passes import in_passes
from flows.stages._workers import Tick, spec_of
from flows.workspace import Workspace
from pipeline.files import write_atomic
from pipeline.prediction import Prediction
from pipeline.prediction.serial import Forecast
from pipeline.samples import Samples

log = logging.getLogger(__name__)

FOLDER = "work/blocks"
Predictor = Callable[[Samples], Prediction]


@dataclass(frozen=True)
class Block:
    """Some times of what a model or method says of a split, from ``first`` up to ``stop``."""

    name: str
    split: str
    first: int
    stop: int

    def __str__(self) -> str:
        return f"{self.name}, {self.split} {self.first} to {self.stop - 1}"


def cut(space: Workspace, names: Sequence[str], parts: Callable[[Samples], Iterator[slice]]) -> list[Block]:
    """Return the blocks that workers make by themselves; none where there are models for all, or one block of each.

    Parameters
    ----------
    space : Workspace
        The run.
    names : sequence of str
        Models and methods.
    parts : callable
        Returns the blocks that samples are worked on in.
    """
    spec = spec_of(space)
    if spec.in_process or spec.workers <= len(names):
        return []
    prepared = space.prepared
    of = {split: [(part.start, part.stop) for part in parts(prepared.inputs(split))] for split in prepared.names[1:]}
    found = {split: those for split, those in of.items() if len(those) > 1}
    return [Block(name, split, *part) for split, those in found.items() for part in those for name in names]


def forecasts(space: Workspace, predictor: Predictor, name: str, samples: Samples, part: slice) -> Iterator[Forecast]:
    """Yield what a predictor says of some of the samples, in units, on the device; of fewer where memory is short."""

    def forecast(own: slice) -> Forecast:
        times = slice(part.start + own.start, part.start + own.stop)
        asked = samples.take(times).held() if len(samples) > times.stop - times.start else samples.held()
        prediction = space.prepared.to_units(predictor(asked), asked)
        truth = space.prepared.truth(samples.name, times)
        return Forecast(samples.name, asked.time, prediction, truth, asked.valid)

    yield from in_passes(name, part.stop - part.start, forecast, partial(space.warn, name))


def keep(space: Workspace, block: Block, tick: Tick) -> float:
    """Work out a block and keep it for :func:`kept`; return the seconds that it took."""
    predictor, clock = space.predictor(block.name), time.perf_counter()
    with write_atomic(_folder(space, block.name, block.split) / f"{block.first:09d}") as temporary:
        temporary.mkdir()
        samples = space.prepared.samples(block.split)
        made = forecasts(space, predictor, block.name, samples, slice(block.first, block.stop))
        for number, forecast in enumerate(made):
            said = forecast.prediction
            host: dict[str, Any] = {key: space.backend.to_host(values) for key, values in said.parameters.items()}
            np.savez(temporary / f"{number:04d}.npz", family=np.array(said.family), **host)
    tick(str(block))
    seconds = round(time.perf_counter() - clock, 3)
    log.info("%s: predicted in %.1f s", block, seconds)
    return seconds


def kept(space: Workspace, name: str, split: str) -> Iterator[Forecast]:
    """Yield the blocks of a split that workers have made, in their order."""
    samples = space.prepared.inputs(split)
    for folder in sorted(_folder(space, name, split).iterdir()):
        first = int(folder.name)
        for path in sorted(folder.glob("*.npz")):
            with np.load(path, allow_pickle=False) as file:
                family = str(file["family"])
                host = {key: file[key] for key in file.files if key != "family"}
            prediction = Prediction(family, {key: space.backend.asarray(values) for key, values in host.items()})
            times = slice(first, first + next(iter(host.values())).shape[-4])
            valid = None if samples.valid is None else samples.valid[times]
            yield Forecast(split, samples.time[times], prediction, space.prepared.truth(split, times), valid)
            first = times.stop


def is_kept(space: Workspace, name: str, split: str) -> bool:
    """Return whether workers have made the blocks of a split."""
    return _folder(space, name, split).is_dir()


def _folder(space: Workspace, name: str, split: str) -> Path:
    return space.run / FOLDER / name / split
