"""A made climate prepared as samples, and samples of basins that models may not have seen."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.backend import get_backend
from pipeline.data.synthetic import SyntheticConfig, generate
from pipeline.grid import Grid
from pipeline.prepare.config import InputsConfig, PrepareConfig, TargetConfig
from pipeline.prepare.making import prepare
from pipeline.prepare.splits import TimeSplit
from pipeline.samples import Samples, Schema

SPLIT = TimeSplit(("2001", "2007"), ("2008", "2008"), {"test": ("2009", "2010")})


@pytest.fixture(scope="session")
def made():
    """Return a function that prepares ten years of the made climate, its test set warmed by some K."""
    climate = generate(SyntheticConfig(years=10))
    coarse, fine = climate.dataset("coarse"), climate.dataset("fine").isel(lat=slice(0, 2), lon=slice(0, 2))
    fine["tas"] = fine["tas"].fillna(0.0)

    def samples(warmer: float = 0.0, **inputs):
        later = coarse["time"] >= np.datetime64("2009-01-01")
        data = coarse.assign(tas=(coarse["tas"] + warmer * later).assign_attrs(coarse["tas"].attrs))
        config = PrepareConfig(
            inputs=InputsConfig(**{"anomaly": "none", **inputs}), target=TargetConfig(anomaly="mean")
        )
        return prepare([("coarse", data)], fine, config=config, split=SPLIT, backend=get_backend("cpu"))

    return samples


@pytest.fixture(scope="session")
def basins():
    """Return a function that makes n days of basins, 3 variables of a window of 4 days and 2 static values."""

    def make(n=700, count=30, seed=0, *, name="train", shift=None, static=None):
        rng = np.random.default_rng([23, seed])
        own = np.random.default_rng(99).normal(size=(2, count)) if static is None else static
        grid = Grid(np.full((1, count), 50.0), np.linspace(5, 9, count)[None], ("row", "station"),
                    tuple(f"b{k:02d}" for k in range(count)))  # fmt: skip
        # Wetter basins have more rain: what does not change and what does go together.
        series = rng.normal(size=(n, 4, 3, 1, count)) + 0.7 * own[0]
        if shift is not None:
            series = series + shift
        lags, names = range(4), ("rain", "warm", "snow")
        schema = Schema(
            channels=tuple(f"{part}@-{lag}" if lag else part for lag in lags for part in names),
            channel_units=("1",) * 12, targets=("flow",), target_units=("mm d-1",), input_grid=grid, target_grid=grid,
            mask=np.ones((1, count), bool), static=own[:, None, :].astype(np.float32), statics=("wet", "high"),
            step=np.timedelta64(1, "D"),
        )  # fmt: skip
        time = np.datetime64("1990-01-01", "ns") + np.arange(n) * np.timedelta64(1, "D")
        inputs = series.reshape(n, 12, 1, count).astype(np.float32)
        return Samples(name, inputs, None, None, time, (np.arange(n) % 365) / 365.0, schema)

    return make


@pytest.fixture
def on():
    """Return a function that carries samples to another backend."""

    def carried(samples, backend):
        return replace(
            samples, inputs=backend.asarray(np.asarray(samples.inputs)), target=None, previous=None, past=None
        )

    return carried
