"""Example inputs of a graph, and what the pipeline itself makes of them: the numbers that a graph has to meet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from pipeline.export.graph import FORCINGS, LAG_PHASE, LEAD_PHASE, PHASE, PREDICTORS
from pipeline.grid import Grid
from pipeline.prediction import Prediction
from pipeline.prepare.dates import ahead, phase_of_year
from pipeline.prepare.inputs import is_table
from pipeline.prepare.powers import backward
from pipeline.prepare.recipe import Recipe
from pipeline.rows import Room
from pipeline.samples import Samples
from pipeline.seeding import derive_seed

START = np.datetime64("2001-01-15T00:00:00", "ns")


def example_samples(recipe: Recipe, count: int) -> Samples:
    """Return samples without numbers, at dates all over the year."""
    time = START + np.arange(count) * np.timedelta64(37, "D")
    schema = recipe.schema
    empty = np.zeros((count, len(schema.channels), *schema.input_grid.shape), np.float32)
    return Samples("example", recipe.backend.asarray(empty), None, None, time, phase_of_year(time), schema)


def example_inputs(recipe: Recipe, count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Return inputs of ``count`` samples in units: means and deviations of the train split with noise between.

    Samples of another seed are others; of an image or a table they need not look like one.
    """
    encoder, scalars = recipe.encoder, recipe.scalars
    samples = example_samples(recipe, count)
    rng = np.random.default_rng(derive_seed(seed, "example", count))
    lags, host = len(encoder.lags), recipe.backend.to_host
    noise = rng.normal(size=(count, lags, len(encoder.names), *encoder.grid.shape))
    values = np.nan_to_num(host(encoder.scaler.mean)) + 0.7 * host(encoder.scaler.deviation) * noise
    step = recipe.schema.step_us
    lag_phase = np.stack([phase_of_year(ahead(samples.time, -lag, step)) for lag in encoder.lags], axis=1)
    if encoder.anomaly is not None:
        means = host(encoder.anomaly.mean_at(lag_phase.ravel())).reshape(values.shape)
        values = values + np.nan_to_num(means)
    for place, kind in enumerate(encoder.transforms):
        values[:, :, place] = backward(values[:, :, place], kind)
    forcings = scalars.mean + scalars.deviation * rng.normal(size=(count, len(scalars.forcings)))
    return {
        PREDICTORS: values.reshape(count, -1, *encoder.grid.shape).astype(np.float32),
        FORCINGS: forcings.astype(np.float32),
        LAG_PHASE: lag_phase.astype(np.float32),
        PHASE: samples.day[:, None].astype(np.float32),
        LEAD_PHASE: samples.valid_day.astype(np.float32),
    }


def reference(
    recipe: Recipe, given: Mapping[str, np.ndarray], predictor: Callable[[Samples], Prediction]
) -> Prediction:
    """Return what the pipeline makes of inputs of :func:`example_inputs`, in units, by its own arrays and models."""
    encoder, backend = recipe.encoder, recipe.backend
    raw = np.asarray(given[PREDICTORS])
    count, lags = len(raw), len(encoder.lags)
    samples = example_samples(recipe, count)
    steps = raw.reshape(count * lags, -1, *encoder.grid.shape)
    phase = np.asarray(given[LAG_PHASE], float).ravel()
    values, _ = encoder.forward(backend.asarray(steps.copy()), phase, Room(backend))
    kept = np.asarray(backend.to_host(values)).reshape(count, -1, *encoder.grid.shape)
    finite = np.isfinite(kept)
    usable = None
    if is_table(encoder.grid, recipe.schema.target_grid) or encoder.missing != "leave_out":
        usable = finite.all(axis=1) if encoder.missing == "leave_out" else None
        kept = np.where(finite, kept, np.float32(0.0))
    numbers = recipe.scalars.forward(np.asarray(given[FORCINGS], float), samples.day)
    wide = np.broadcast_to(numbers[:, :, None, None], (*numbers.shape, *encoder.grid.shape))
    inputs = np.concatenate([kept, wide], axis=1).astype(np.float32)
    samples = replace(samples.with_inputs(backend.asarray(inputs)), usable=usable)
    return recipe.to_units(predictor(samples), samples).map(backend.to_host)


def grid_words(grid: Grid) -> str:
    """Return what the last two axes are.

    Examples
    --------
    >>> grid_words(Grid(np.arange(2.0), np.arange(3.0)))
    'lat (2), lon (3)'
    """
    return f"{grid.dims[0]} ({grid.shape[0]}), {grid.dims[1]} ({grid.shape[1]})"
