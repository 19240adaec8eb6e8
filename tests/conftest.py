"""Backends to test on, and a small made world that every model can learn something of."""

from __future__ import annotations

import importlib
import os
import pkgutil
import random
from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest

import pipeline
from pipeline.backend import Backend, get_backend, why_no_gpu
from pipeline.grid import Grid
from pipeline.model import Context
from pipeline.registry import Registry
from pipeline.samples import Past, Samples, Schema, lead_name
from tests.cf_oracle import complaints  # noqa: F401 - a fixture

# Networks of tests are small: on two threads they take ten times as long as on one where cores are shared.
os.environ.setdefault("OMP_NUM_THREADS", "1")

SEASON = 50  # days in a row; between two seasons there is a gap


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Begin every test, and what it sets up, with the same random numbers, whatever ran before it."""
    import torch

    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """A cache of this session alone: what is measured here is not what a user's own runs should remember."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINESCALE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def registries() -> list[Registry]:
    """Every registry there is, with all that is in it."""
    names = [
        "models",
        *(module.name for module in pkgutil.walk_packages(pipeline.__path__, "pipeline.") if module.ispkg),
    ]
    parts = [vars(importlib.import_module(name)) for name in names]
    found = {id(value): value for part in parts for value in part.values() if isinstance(value, Registry)}
    for registry in found.values():
        registry.names()
    return list(found.values())


@pytest.fixture(autouse=True)
def plugins_are_forgotten(registries):
    """What a test registers is gone after it: no other test meets a model that Finescale does not have."""
    before = [(registry, dict(registry._entries), dict(registry._requires)) for registry in registries]
    yield
    for registry, entries, requires in before:
        registry._entries, registry._requires = entries, requires


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


@pytest.fixture(scope="session")
def make_series():
    """Factory of series of several basins; see `_series`."""
    return _series


@pytest.fixture(scope="session")
def make_classes():
    """Factory of fields with classes; see `_classes`."""
    return _classes


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


LAGS, LEADS, BASINS = 8, (1, 2, 3), ("a01", "a02", "b07", "c10")


def _series(
    n: int = 300,
    seed: int = 0,
    *,
    name: str = "train",
    missing: float = 0.0,
    leads: tuple[int, ...] = LEADS,
    gridded: bool = False,
    backend: Backend | None = None,
) -> Samples:
    """Return n days of four basins: rain and warmth of the last eight days, flow at some leads.

    A store fills with rain, empties by a share that the basin's one static value sets, and the flow is what it
    loses. `gridded`: the predictors are 3 x 4 fields, whose mean drives one index. There is one run without a gap.
    """
    backend = backend or get_backend("cpu")
    rng = np.random.default_rng([13, seed])
    basins = BASINS[:1] if gridded else BASINS
    grid = Grid(np.full((1, len(basins)), 50.0), np.linspace(5.0, 8.0, len(basins))[None], ("row", "station"), basins)
    coarse = Grid(np.linspace(-4.0, 4.0, 3), np.linspace(190.0, 220.0, 4)) if gridded else grid
    slow = np.linspace(0.75, 0.9, len(basins))
    total = n + LAGS + max(leads)
    rain = _red_noise(total, int(np.prod(coarse.shape)), rng).reshape(total, *coarse.shape)
    if gridded:  # fields that one pattern rules, as it rules a sea
        rain = rain[:, :1, :1] + 0.3 * rain
    warm = rng.normal(size=rain.shape)
    drive = rain.mean(axis=(1, 2))[:, None] if gridded else (rain - 0.3 * warm)[:, 0]
    store = np.zeros((total, len(basins)))
    for day in range(1, total):
        store[day] = slow * store[day - 1] + (1 - slow) * drive[day]
    flow = store / store[:, :1].std() + 0.1 * rng.normal(size=store.shape)
    now = np.arange(LAGS - 1, LAGS - 1 + n)
    lagged = [np.stack([rain[now - lag], warm[now - lag]], axis=1) for lag in range(LAGS)]
    channels = tuple(f"{part}@-{lag}" if lag else part for lag in range(LAGS) for part in ("rain", "warm"))
    target = np.stack([flow[now + lead] for lead in leads], axis=1)[:, :, None, :]
    target[rng.random(target.shape) < missing] = np.nan
    last = now if min(leads) else now - 1
    time = np.datetime64("1990-01-01", "ns") + np.arange(n) * np.timedelta64(1, "D")
    schema = Schema(
        channels=channels,
        channel_units=("mm d-1", "degC") * LAGS,
        targets=tuple(lead_name("flow", lead) for lead in leads),
        target_units=("m3 s-1",) * len(leads),
        input_grid=coarse,
        target_grid=grid,
        mask=np.ones(grid.shape, bool),
        static=((slow - slow.mean()) / max(slow.std(), 1e-6)).astype(np.float32)[None, None],
        statics=("slowness",),
        step=np.timedelta64(1, "D"),
        leads=leads,
    )
    known = backend.asarray(flow[:, None, None, :].astype(np.float32))
    return Samples(
        name=name,
        inputs=backend.asarray(np.concatenate(lagged, axis=1).astype(np.float32)),
        target=backend.asarray(target.astype(np.float32)),
        previous=backend.asarray(np.repeat(flow[last][:, None, None, :], len(leads), axis=1).astype(np.float32)),
        time=time,
        day=(np.arange(n) % 365) / 365.0,
        schema=schema,
        past=Past(known, np.zeros(n, np.int64), last),
    )


CLASSES = ("background", "cyclone", "river")


def _classes(
    n: int = 40,
    seed: int = 0,
    *,
    name: str = "train",
    missing: float = 0.0,
    shape: tuple[int, int] = (12, 20),
    backend: Backend | None = None,
) -> Samples:
    """Return n fields round the globe with discs (class 1) and bands (class 2) in noise, and what class a cell is.

    A disc is wet and windy, a band is wet alone; both may lie across the seam of the longitudes.
    """
    backend = backend or get_backend("cpu")
    rng = np.random.default_rng([17, seed])
    grid = Grid(np.linspace(-55.0, 55.0, shape[0]), np.arange(shape[1]) * 360.0 / shape[1])
    rows, columns = np.meshgrid(np.arange(shape[0]), np.arange(shape[1]), indexing="ij")
    label = np.zeros((n, *shape))
    for k in range(n):
        at = rng.uniform(0, shape[1])
        across = np.abs((columns - at + 0.4 * rows + shape[1] / 2) % shape[1] - shape[1] / 2)
        label[k][across < 1.6] = 2
        row, column = rng.uniform(2, shape[0] - 2), rng.uniform(0, shape[1])
        apart = np.abs((columns - column + shape[1] / 2) % shape[1] - shape[1] / 2)
        label[k][(rows - row) ** 2 + apart**2 < 2.2**2] = 1
    wet, wind = (label > 0) * 2.0, (label == 1) * 2.5
    inputs = np.stack([wet, wind, 0 * wet], axis=1) + 0.5 * rng.normal(size=(n, 3, *shape))
    target = label[:, None].copy()
    target[rng.random(target.shape) < missing] = np.nan
    area = np.broadcast_to(grid.area, label.shape)
    shares = tuple(float(area[label == k].sum() / area.sum()) for k in range(3))
    schema = Schema(
        channels=("tmq", "wind", "t500"),
        channel_units=("kg m-2", "m s-1", "K"),
        targets=("event",),
        target_units=("1",),
        input_grid=grid,
        target_grid=grid,
        mask=np.ones(grid.shape, bool),
        static=np.zeros((0, *grid.shape), np.float32),
        statics=(),
        step=np.timedelta64(1, "D"),
        classes=CLASSES,
        class_shares=shares,
    )
    return Samples(
        name=name,
        inputs=backend.asarray(inputs.astype(np.float32)),
        target=backend.asarray(target.astype(np.float32)),
        previous=None,
        time=np.datetime64("1990-01-01", "ns") + np.arange(n) * np.timedelta64(1, "D"),
        day=(np.arange(n) % 365) / 365.0,
        schema=schema,
    )


@pytest.fixture(scope="session")
def alike():
    """Holds that two values are the same, records field by field."""

    def hold(one, two, where="value"):
        if is_dataclass(one):
            for part in fields(one):
                hold(getattr(one, part.name), getattr(two, part.name), f"{where}.{part.name}")
        elif isinstance(one, np.ndarray):
            np.testing.assert_array_equal(one, two, err_msg=where)
        else:
            assert one == two, where

    return hold
