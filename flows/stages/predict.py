"""Predict: every model and every method on validation and on all test sets, in units, as CF netCDF."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from flows.workspace import Workspace, leads_of, target_variables
from pipeline.files import write_atomic
from pipeline.prediction import Prediction
from pipeline.prediction.serial import Forecast, write_forecasts
from pipeline.samples import Samples
from pipeline.stage import StageOutput


def predict(space: Workspace) -> StageOutput:
    """Write ``predictions/<model>.nc`` (test sets) and ``work/validation/<model>.nc``."""
    names = space.predictors()
    seconds = {}
    with space.progress("predict", len(names)) as bar:
        for name in names:
            predictor = space.predictor(name)
            clock = time.perf_counter()
            for folder, splits in (("work/validation", ("validation",)), ("predictions", space.tests)):
                _write(space, name, folder, (_forecast(space, predictor, split) for split in splits))
            seconds[name] = round(time.perf_counter() - clock, 3)
            bar.advance(note=name)
    return StageOutput((space.run / "predictions", space.run / "work/validation"), {"seconds": seconds})


def _forecast(space: Workspace, predictor: Callable[[Samples], Prediction], split: str) -> Forecast:
    """Return what a predictor says about one split, in units, on the device."""
    samples = space.prepared.samples(split)
    prediction = space.prepared.to_units(predictor(samples), samples)
    return Forecast(split, samples.time, prediction, space.prepared.truth(split), samples.valid)


def _write(space: Workspace, name: str, folder: str, forecasts: Iterator[Forecast]) -> None:
    """Write the splits one by one: none is made before the one before it is on the disk."""
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
