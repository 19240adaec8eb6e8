"""Samples and contexts for models, on each backend."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.grid import Grid
from pipeline.model import Context
from pipeline.samples import Affine, Past, Samples, Schema, lead_name


@pytest.fixture
def splits(make_samples, backend):
    """Train and validation samples."""
    return (
        make_samples(150, seed=0, backend=backend),
        make_samples(80, seed=1, name="validation", backend=backend),
    )


@pytest.fixture
def said() -> list[str]:
    """Whatever a model warned of."""
    return []


@pytest.fixture
def context(backend, tmp_path, said) -> Context:
    return Context(backend, seed=3, name="model", folder=tmp_path, warn=said.append)


@pytest.fixture
def with_truth():
    """Replace the truth of samples by a function of the host array."""

    def change(samples, function, context):
        truth = function(np.array(context.backend.to_host(samples.target)))
        return replace(samples, target=context.backend.asarray(truth.astype(np.float32)))

    return change


SIZE = 4  # rows and columns of a block
# 9 x 13 cells: one row and one column are left over behind the blocks.
FINE = Grid(np.arange(40.0, 49.0), np.arange(-10.0, 3.0))


class Nested:
    """A made world whose predictors hold the target itself, coarsened by four: 2 x 3 coarse cells."""

    grid = FINE

    def samples(self, n: int = 40, seed: int = 0, *, amounts: bool = False, targets: int = 1) -> Samples:
        rng = np.random.default_rng([7, seed])
        names = ("pr", "tas") if amounts else ("tas", "pr")
        truth = (
            rng.gamma(0.8, 4.0, (n, targets, *FINE.shape)) if amounts else rng.normal(285, 8, (n, targets, *FINE.shape))
        )
        coarse = self.means(truth)
        other = rng.normal(size=(n, 1, 2, 3))
        patterns = np.random.default_rng(3)  # the same for every split
        scale = patterns.uniform(2, 5, (targets, *FINE.shape))
        shift = np.zeros_like(scale) if amounts else patterns.uniform(275, 295, scale.shape)
        low, high = (0.0, 3.0) if amounts else (285.0, 6.0)
        raw = np.concatenate([other, coarse], axis=1)
        affine = Affine(
            np.broadcast_to(np.float32(high), (1 + targets, 2, 3)).copy(), np.full((1 + targets, 2, 3), low, np.float32)
        )
        schema = Schema(
            channels=("psl", *names[:targets]),
            channel_units=("Pa", *("mm/day" if amounts else "K" for _ in range(targets))),
            targets=names[:targets],
            target_units=tuple("mm/day" if amounts else "K" for _ in range(targets)),
            input_grid=Grid(FINE.lat[:8].reshape(2, SIZE).mean(1), FINE.lon[:12].reshape(3, SIZE).mean(1)),
            target_grid=FINE,
            mask=np.ones(FINE.shape, bool),
            static=np.zeros((0, *FINE.shape), np.float32),
            statics=(),
            step=np.timedelta64(1, "D"),
            channel_affine=affine,
            target_affine=Affine(scale.astype(np.float32), shift.astype(np.float32)),
        )
        numbers = (truth - schema.target_affine.shift) / schema.target_affine.scale
        time = np.datetime64("2000-01-01", "ns") + np.arange(n) * np.timedelta64(1, "D")
        return Samples(
            "train",
            ((raw - affine.shift) / affine.scale).astype(np.float32),
            numbers.astype(np.float32),
            None,
            time,
            np.arange(n) / 365.0,
            schema,
        )

    def means(self, field: np.ndarray) -> np.ndarray:
        """Return area-weighted means of 4 x 4 cells, one cell after the other."""
        rows, columns = (side // SIZE for side in FINE.shape)
        result = np.zeros((*field.shape[:-2], rows, columns))
        for row, column in np.ndindex(rows, columns):
            weights = total = 0.0
            for i in range(row * SIZE, (row + 1) * SIZE):
                for j in range(column * SIZE, (column + 1) * SIZE):
                    total = total + FINE.area[i, j] * field[..., i, j].astype(np.float64)
                    weights += FINE.area[i, j]
            result[..., row, column] = total / weights
        return result

    def coarse(self, samples: Samples) -> np.ndarray:
        """Return the coarse values in units."""
        affine = samples.schema.channel_affine
        return (np.asarray(samples.inputs, np.float64) * affine.scale + affine.shift)[:, 1:]

    def units(self, prediction, samples: Samples):
        """Return a prediction in units, as the predict stage makes it."""
        affine = samples.schema.target_affine
        return prediction.affine(affine.scale, affine.shift)

    def far(self, prediction, samples: Samples) -> np.ndarray:
        """Return how far block means of what stands in files are from the coarse values, in units."""
        mean = np.asarray(self.units(prediction, samples).mean())
        assert mean.dtype == np.float32
        return np.abs(self.means(mean) - self.coarse(samples))


@pytest.fixture(scope="session")
def nested() -> Nested:
    return Nested()


@pytest.fixture
def to_stations():
    """Make a table of stations of the cells of the mask's third and sixth rows."""

    def change(samples: Samples) -> Samples:
        schema = samples.schema
        rows, columns = np.nonzero(schema.mask & np.isin(np.arange(8), (2, 5))[:, None])
        lat, lon = schema.target_grid.lat[rows][None], schema.target_grid.lon[columns][None]
        grid = Grid(lat, lon, ("row", "station"), tuple(f"s{number}" for number in range(len(rows))))
        table = replace(
            schema,
            target_grid=grid,
            mask=np.ones(grid.shape, bool),
            static=schema.static[:, rows, columns][:, None],
        )
        target = np.asarray(samples.target)[:, :, rows, columns][:, :, None]
        return replace(samples, target=target, previous=None, schema=table)

    return change


@pytest.fixture
def series_of(backend):
    """Make samples of given series, see `_series_of`, on the backend that is tested."""

    def make(values, **options):
        options.setdefault("backend", backend)
        return _series_of(np.asarray(values, float), **options)

    return make


def _series_of(values, *, leads=(1, 2, 3), run=None, time=None, name="train", units="m3 s-1", affine=None, backend):
    """Return samples whose target is ``values``, shape (step, station), ahead of every step that has all leads.

    ``run`` says which run without a gap a step belongs to; no sample looks from one into another. The one input
    is nothing but zeros.
    """
    steps, stations = values.shape
    run = np.zeros(steps, int) if run is None else np.asarray(run)
    time = np.datetime64("1990-01-01", "ns") + np.arange(steps) * np.timedelta64(1, "D") if time is None else time
    back, ahead = (0 if min(leads) else 1), max(leads)
    now = np.array([t for t in range(back, steps - ahead) if run[t - back] == run[t + ahead]])
    names = tuple(f"s{number}" for number in range(stations))
    grid = Grid(np.full((1, stations), 50.0), np.arange(stations)[None] * 1.0, ("row", "station"), names)
    schema = Schema(
        channels=("nothing",),
        channel_units=("1",),
        targets=tuple(lead_name("flow", lead) for lead in leads),
        target_units=(units,) * len(leads),
        input_grid=grid,
        target_grid=grid,
        mask=np.ones(grid.shape, bool),
        static=np.zeros((0, *grid.shape), np.float32),
        statics=(),
        step=np.timedelta64(30 if time.dtype == object else int((time[1] - time[0]) / np.timedelta64(1, "D")), "D"),
        leads=leads,
        target_affine=affine,
    )
    fields = values[:, None, None, :].astype(np.float32)
    last = now - back
    day = (np.arange(steps) % 365) / 365.0
    return Samples(
        name=name,
        inputs=backend.asarray(np.zeros((len(now), 1, *grid.shape), np.float32)),
        target=backend.asarray(np.concatenate([fields[now + lead] for lead in leads], axis=1)),
        previous=backend.asarray(np.repeat(fields[last], len(leads), axis=1)),
        time=time[now],
        day=day[now],
        schema=schema,
        past=Past(backend.asarray(fields), np.searchsorted(run, run[now]), last),
    )
