"""Predictors on one grid: what they are called there, and their values, read and carried a block at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from pipeline.backend import Backend
from pipeline.errors import ConfigError, DataError
from pipeline.grid import Grid
from pipeline.prepare.align import Predictors
from pipeline.prepare.config import RegridConfig
from pipeline.prepare.coverage import Carrier
from pipeline.prepare.places import is_nowhere
from pipeline.rows import Rows

Array = Any


def carry(predictors: Predictors, steps: Sequence[np.ndarray], carriers: Sequence[Carrier], backend: Backend) -> Rows:
    """Return all predictors at ``steps`` of each dataset on the common grid, (time, channel, lat, lon).

    They are read and carried over when they are asked for, so that files that are opened and not loaded stay on the
    disk.
    """
    return Carried(backend, predictors, tuple(steps), tuple(carriers))


@dataclass(frozen=True, eq=False)
class Carried(Rows):
    """Predictors on the common grid, worked out of their datasets each time; see :func:`carry`."""

    dtype = np.dtype(np.float32)
    backend: Backend
    predictors: Predictors
    steps: tuple[np.ndarray, ...]
    carriers: tuple[Carrier, ...]

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """Of (time, channel, lat, lon)."""
        channels = sum(len(data.data_vars) for _, data in self.predictors)
        return (len(self.steps[0]), channels, *self.carriers[0].regrid.target.shape)

    def read(self, positions: np.ndarray) -> Array:
        """Return some steps."""
        parts = []
        for (_, data), steps, carrier in zip(self.predictors, self.steps, self.carriers, strict=True):
            source, chosen = carrier.regrid.source, as_slice(steps[positions])
            fields = [field(data[[name]].isel(time=chosen), name, source, "time") for name in _variables(data)]
            stacked = np.stack(fields, axis=1).astype(np.float32, copy=False)
            parts.append(carrier.regrid(self.backend.asarray(stacked)))
        return parts[0] if len(parts) == 1 else self.backend.xp.concat(parts, axis=1)


def as_slice(steps: np.ndarray) -> np.ndarray | slice:
    """Return steps that follow each other as a slice: a view of what lies in memory, one read of what does not."""
    if len(steps) and (np.diff(steps) == 1).all():
        return slice(int(steps[0]), int(steps[-1]) + 1)
    return steps


def common_grid(predictors: Predictors, target: Grid, config: RegridConfig) -> Grid:
    """Return the grid that all predictors are carried to.

    Raises
    ------
    ConfigError
        If ``config.to`` is neither ``target`` nor a dataset/variable of the predictors.
    """
    if config.to is None:
        grids = [Grid.of(data) for _, data in predictors]
        return next((grid for grid in grids if not is_nowhere(grid)), target)
    if config.to == "target":
        return target
    known = {f"{dataset}/{name}": data for dataset, data in predictors for name in _variables(data)}
    if config.to not in known:
        raise ConfigError(
            f"prepare.regrid.to: expected 'target' or a dataset/variable, got {config.to!r}. Known: {', '.join(known)}."
        )
    return Grid.of(known[config.to])


def channel_names(predictors: Predictors) -> tuple[str, ...]:
    """Return the channels' names, ``dataset:variable`` where two datasets share a variable's name.

    Raises
    ------
    DataError
        If one dataset gives the same variable twice, or none.
    """
    pairs = [(dataset, name) for dataset, data in predictors for name in _variables(data)]
    doubled = [pair for pair, number in Counter(pairs).items() if number > 1]
    if doubled or not pairs:
        raise DataError(f"expected predictors that differ, got {doubled!r} twice; list each variable once.")
    number = Counter(name for _, name in pairs)
    return tuple(f"{dataset}:{name}" if number[name] > 1 else name for dataset, name in pairs)


def channel_units(predictors: Predictors) -> tuple[str, ...]:
    """Return the channels' units in the same order."""
    return tuple(str(data[name].attrs.get("units", "")) for _, data in predictors for name in _variables(data))


def lag_names(names: Sequence[str], lags: Sequence[int]) -> tuple[str, ...]:
    """Return the names of all channels of a sample.

    Examples
    --------
    >>> lag_names(["tas", "psl"], [0, 1])
    ('tas', 'psl', 'tas@-1', 'psl@-1')
    """
    return tuple(name if lag == 0 else f"{name}@-{lag}" for lag in lags for name in names)


def field(data: xr.Dataset, name: str, grid: Grid, *leading: str) -> np.ndarray:
    """Return one variable as a host array with the dims ``leading`` and the two of ``grid``.

    Raises
    ------
    DataError
        If it has other dims.
    """
    wanted = (*leading, *grid.file_dims)
    if set(data[name].dims) != set(wanted):
        raise DataError(
            f"variable {name!r}: expected dims {wanted}, got {tuple(data[name].dims)}; select a level first."
        )
    return grid.from_file(np.asarray(data[name].transpose(*wanted).values))


def _variables(data: xr.Dataset) -> list[str]:
    return [str(name) for name in data.data_vars]
