"""Predict: every model and every method on validation and on all test sets, in units, as CF netCDF."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from functools import partial

from flows.header import of_stage
from flows.stages._blocks import FOLDER, cut, forecasts, is_kept, keep, kept
from flows.stages._workers import Tick, each
from flows.workspace import Workspace, leads_of, target_variables
from pipeline.files import remove, write_atomic
from pipeline.prediction.serial import Forecast, write_forecasts
from pipeline.rows.parts import spans
from pipeline.samples import Samples
from pipeline.stage import StageOutput

_PART = 2**28  # bytes of a part; the same on every machine that has room for it, for sums in parts may round otherwise
SHARE = 8  # a part takes at most this part of the memory: beside it lies what a model makes of it on the way
ANSWERS = 16  # fields of a prediction: of members there are many, of the parameters of a distribution few


def predict(space: Workspace) -> StageOutput:
    """Write ``predictions/<model>.nc`` (test sets) and ``work/validation/<model>.nc``, one model a worker.

    Where there are more workers than models and the data are large, blocks of time are worked out first.
    """
    # Of a run that was ended half way: its blocks may be other ones, as they hang on the memory and the workers.
    remove(space.run / FOLDER)
    names = space.predictors()
    seconds = dict.fromkeys(names, 0.0)
    blocks = cut(space, names, partial(_parts, most=_most(space)))
    for block, took in zip(
        blocks, each(space, "predict", keep, dict.fromkeys(blocks, 1)) if blocks else (), strict=True
    ):
        seconds[block.name] += took
    for name, took in zip(names, each(space, "predict", _predict, dict.fromkeys(names, 1)), strict=True):
        seconds[name] = round(seconds[name] + took, 3)
    remove(space.run / FOLDER)
    return StageOutput((space.run / "predictions", space.run / "work/validation"), {"seconds": seconds})


def _predict(space: Workspace, name: str, tick: Tick) -> float:
    """Write what one model predicts; return the seconds that it took."""
    clock = time.perf_counter()
    for folder, splits in (("work/validation", ("validation",)), ("predictions", space.tests)):
        _write(space, name, folder, (part for split in splits for part in _forecasts(space, split, name)))
    tick(name)
    return round(time.perf_counter() - clock, 3)


def _forecasts(space: Workspace, split: str, name: str) -> Iterator[Forecast]:
    """Yield what a model says about one split, some times at a time if it is large, in units, on the device."""
    if is_kept(space, name, split):
        yield from kept(space, name, split)
        return
    predictor, samples = space.predictor(name), space.prepared.samples(split)
    for part in _parts(samples, _most(space)):
        yield from forecasts(space, predictor, name, samples, part)


def _most(space: Workspace) -> int:
    return min(_PART, space.budget // SHARE)


def _parts(samples: Samples, most: int) -> Iterator[slice]:
    """Yield slices of times whose inputs and answers take about ``most`` bytes."""
    schema, count = samples.schema, len(samples)
    inputs = len(schema.channels) * math.prod(schema.input_grid.shape)
    answers = len(schema.targets) * max(1, len(schema.classes)) * math.prod(schema.target_grid.shape)
    step = max(1, most // (4 * (inputs + ANSWERS * answers)))
    yield from (slice(first, last) for first, last in spans(count, step))


def _write(space: Workspace, name: str, folder: str, forecasts: Iterator[Forecast]) -> None:
    """Write the parts one by one: none is made before the one before it is on the disk."""
    schema = space.prepared.schema
    with write_atomic(space.run / f"{folder}/{name}.nc") as temporary:
        write_forecasts(
            temporary,
            forecasts,
            model=name,
            variables=target_variables(schema),
            grid=schema.target_grid,
            leads=leads_of(schema),
            origins=space.prepared.origins,
            attrs=of_stage(space, "predict", name),
        )
