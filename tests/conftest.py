"""Backends to test on, and a small made world that every model can learn something of."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest

from pipeline.backend import Backend, get_backend, why_no_gpu
from pipeline.grid import Grid
from pipeline.model import Context
from pipeline.samples import Samples, Schema

# Networks of tests are small: on two threads they take ten times as long as on one where cores are shared.
os.environ.setdefault("OMP_NUM_THREADS", "1")

SEASON = 50  # days in a row; between two seasons there is a gap


@pytest.fixture(params=["cpu", pytest.param("gpu", marks=pytest.mark.gpu)])
def backend(request) -> Backend:
    """Each side that this machine has."""
    if request.param == "gpu" and (reason := why_no_gpu()) is not None:
        pytest.skip(f"no gpu backend: {reason}")
    return get_backend(request.param)


@pytest.fixture
def strict_backend() -> Backend:
    """The cpu side with arrays that know the Array API standard and nothing of NumPy beyond it."""
    import array_api_strict

    return replace(get_backend("cpu"), xp=array_api_strict, _to_host=np.asarray)


@pytest.fixture
def context(backend, tmp_path) -> Context:
    """A model's context on each backend."""
    return Context(backend, seed=3, name="model", folder=tmp_path)


@pytest.fixture(scope="session")
def make_samples():
    """Factory of samples of one made world; see `_samples`."""
    return _samples


def _samples(
    n: int = 200,
    seed: int = 0,
    *,
    name: str = "train",
    missing: float = 0.0,
    targets: int = 1,
    further: bool = False,
    backend: Backend | None = None,
) -> Samples:
    """Return n days of weather, 4 x 5 coarse cells of three channels to 8 x 10 fine ones.

    Three indices with a memory of five days drive smooth patterns; the fine target sees them through
    its orography, with a bend and some noise. `seed` draws the days, never the patterns. `missing` is
    the share of truth inside the mask that is NaN. `further` adds what some models ask for: the fields
    of the day before, and the day of the year as scalars.
    """
    backend = backend or get_backend("cpu")
    rng = np.random.default_rng([11, seed])
    coarse = Grid(np.linspace(40.0, 46.0, 4), np.linspace(-6.0, 2.0, 5))
    fine = Grid(np.linspace(39.5, 46.5, 8), np.linspace(-6.5, 2.5, 10))
    schema = _schema(coarse, fine, targets)
    index = _red_noise(n, 3, rng)
    channels = [_field(coarse, index, part) + 0.1 * rng.normal(size=(n, *coarse.shape)) for part in range(3)]
    inputs = np.stack(channels, axis=1)
    height = schema.static[0]
    bend = 0.4 * np.tanh(index[:, :1] * index[:, 1:2])[:, :, None]
    fields = [
        _field(fine, index, part) * (1 + 0.3 * height) + bend + 0.2 * rng.normal(size=(n, *fine.shape))
        for part in range(targets)
    ]
    target = np.stack(fields, axis=1)
    target[rng.random(target.shape) < missing] = np.nan
    target[:, :, ~schema.mask] = np.nan
    previous = np.concatenate([np.full_like(target[:1], np.nan), target[:-1]])
    previous[::SEASON] = np.nan
    step = np.arange(n) + 300 * (np.arange(n) // SEASON)
    time = np.datetime64("1990-01-01", "ns") + step * np.timedelta64(1, "D")
    day = (step % 365) / 365.0
    if further:
        inputs, schema = _further(inputs, day, schema)
    return Samples(
        name=name,
        inputs=backend.asarray(inputs.astype(np.float32)),
        target=backend.asarray(target.astype(np.float32)),
        previous=backend.asarray(previous.astype(np.float32)),
        time=time,
        day=day,
        schema=schema,
    )


def _schema(coarse: Grid, fine: Grid, targets: int) -> Schema:
    mask = np.ones(fine.shape, dtype=bool)
    mask[0, :3] = mask[5, 7] = mask[-1, -2:] = False
    lat, lon = np.meshgrid(fine.lat, fine.lon, indexing="ij")
    height = np.sin(lat) * np.cos(2 * lon)
    return Schema(
        channels=("tas", "psl", "hus850"),
        channel_units=("degC", "Pa", "1"),
        targets=("tas", "psl")[:targets],
        target_units=("degC", "Pa")[:targets],
        input_grid=coarse,
        target_grid=fine,
        mask=mask,
        static=height[None].astype(np.float32),
        statics=("orog",),
        step=np.timedelta64(1, "D"),
    )


def _further(inputs: np.ndarray, day: np.ndarray, schema: Schema) -> tuple[np.ndarray, Schema]:
    before = np.concatenate([inputs[:1], inputs[:-1]])
    before[::SEASON] = inputs[::SEASON]
    waves = np.stack([np.cos(2 * np.pi * day), np.sin(2 * np.pi * day)], axis=1)[:, :, None, None]
    scalars = np.broadcast_to(waves, (*waves.shape[:2], *inputs.shape[2:]))
    lagged, names = tuple(f"{channel}@-1" for channel in schema.channels), ("day_cos", "day_sin")
    wider = replace(
        schema,
        channels=(*schema.channels, *lagged, *names),
        channel_units=(*schema.channel_units, *schema.channel_units, "1", "1"),
        scalars=names,
    )
    return np.concatenate([inputs, before, scalars], axis=1), wider


def _red_noise(n: int, count: int, rng: np.random.Generator) -> np.ndarray:
    memory = np.exp(-1 / 5)
    index = np.empty((n, count))
    index[0] = rng.normal(size=count)
    for day in range(1, n):
        index[day] = memory * index[day - 1] + np.sqrt(1 - memory**2) * rng.normal(size=count)
    return index


def _field(grid: Grid, index: np.ndarray, part: int) -> np.ndarray:
    """Return smooth patterns times the indices, shape (time, lat, lon); `part` turns the patterns."""
    lat, lon = np.meshgrid(np.deg2rad(grid.lat) * 12, np.deg2rad(grid.lon) * 12, indexing="ij")
    waves = [np.ones_like(lat), np.sin(lat + part), np.cos(lon - part)]
    return sum(index[:, k, None, None] * wave for k, wave in enumerate(waves))
