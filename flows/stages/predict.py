"""Predict: every model and every method on validation and on all test sets, in units, as CF netCDF."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from functools import partial

from flows.passes import in_passes
from flows.stages._workers import Tick, each
from flows.workspace import Workspace, leads_of, target_variables
from pipeline.files import write_atomic
from pipeline.prediction import Prediction
from pipeline.prediction.serial import Forecast, write_forecasts
from pipeline.rows.parts import spans
from pipeline.samples import Samples
from pipeline.stage import StageOutput

_PART = 2**28  # bytes of a part; the same on every machine that has room for it, for sums in parts may round otherwise
SHARE = 8  # a part takes at most this part of the memory: beside it lies what a model makes of it on the way
ANSWERS = 16  # fields of a prediction: of members there are many, of the parameters of a distribution few


def predict(space: Workspace) -> StageOutput:
    """Write ``predictions/<model>.nc`` (test sets) and ``work/validation/<model>.nc``, one model a worker."""
    names = space.predictors()
    seconds = each(space, "predict", _predict, dict.fromkeys(names, 1))
    folders = (space.run / "predictions", space.run / "work/validation")
    return StageOutput(folders, {"seconds": dict(zip(names, seconds, strict=True))})


def _predict(space: Workspace, name: str, tick: Tick) -> float:
    """Write what one model predicts; return the seconds that it took."""
    predictor = space.predictor(name)
    clock = time.perf_counter()
    for folder, splits in (("work/validation", ("validation",)), ("predictions", space.tests)):
        _write(space, name, folder, (part for split in splits for part in _forecasts(space, predictor, split, name)))
    tick(name)
    return round(time.perf_counter() - clock, 3)


def _forecasts(
    space: Workspace, predictor: Callable[[Samples], Prediction], split: str, name: str
) -> Iterator[Forecast]:
    """Yield what a predictor says about one split, some times at a time if it is large, in units, on the device."""
    samples = space.prepared.samples(split)
    for part in _parts(samples, min(_PART, space.budget // SHARE)):

        def forecast(own: slice, start: int = part.start) -> Forecast:
            times = slice(start + own.start, start + own.stop)
            asked = samples.take(times).held() if len(samples) > times.stop - times.start else samples.held()
            prediction = space.prepared.to_units(predictor(asked), asked)
            return Forecast(split, asked.time, prediction, space.prepared.truth(split, times), asked.valid)

        yield from in_passes(name, part.stop - part.start, forecast, partial(space.warn, name))


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
        )
