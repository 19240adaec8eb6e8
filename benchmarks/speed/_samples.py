"""Made samples: inputs on a coarse grid, a target on a fine one."""

from __future__ import annotations

import numpy as np

from benchmarks.speed._fields import DAYS, grid
from pipeline.backend import Backend
from pipeline.grid import Grid
from pipeline.lagged import Lagged
from pipeline.samples import Samples, Schema


def schema_of(channels: tuple[str, ...], coarse: Grid, fine: Grid) -> Schema:
    """Return what samples share: one target everywhere, no static field."""
    return Schema(
        channels=channels,
        channel_units=("1",) * len(channels),
        targets=("y",),
        target_units=("1",),
        input_grid=coarse,
        target_grid=fine,
        mask=np.ones(fine.shape, bool),
        static=np.zeros((0, *fine.shape), np.float32),
        statics=(),
        step=np.timedelta64(1, "D"),
    )


def samples_of(inputs: np.ndarray, target: np.ndarray, backend: Backend, name: str = "train") -> Samples:
    """Return samples of fields, inputs (time, channel, lat, lon), target (time, 1, lat, lon)."""
    channels = tuple(f"c{number}" for number in range(inputs.shape[1]))
    schema = schema_of(channels, grid(*inputs.shape[2:]), grid(*target.shape[2:]))
    return _made(name, backend.asarray(inputs), backend.asarray(target), schema)


def windows_of(values: np.ndarray, lags: int, backend: Backend) -> Samples:
    """Return windows of series that are not laid out: values (time, variable, station), a sample a day."""
    days, variables, stations = values.shape
    names = [f"v{number}" for number in range(variables)]
    place = Grid(
        np.full((1, stations), 50.0),
        np.linspace(0.0, 9.0, stations)[None],
        ("row", "station"),
        tuple(f"s{number}" for number in range(stations)),
    )
    channels = tuple(f"{name}@-{lag}" if lag else name for lag in range(lags) for name in names)
    now = np.arange(lags - 1, days)
    lagged = Lagged(
        backend.asarray(values[:, :, None, :]),
        backend.asarray(np.zeros((days, 0), np.float32)),
        now[:, None] - np.arange(lags),
        now,
    )
    target = backend.asarray(np.zeros((len(now), 1, 1, stations), np.float32))
    return _made("train", lagged, target, schema_of(channels, place, place))


def _made(name: str, inputs: object, target: object, schema: Schema) -> Samples:
    count = len(inputs)  # type: ignore[arg-type]
    time = (np.datetime64("1990-01-01", "D") + np.arange(count)).astype("datetime64[ns]")
    return Samples(name, inputs, target, None, time, np.arange(count) % DAYS / DAYS, schema)
