"""Made fields: noise on grids, since what is in them does not matter for time."""

from __future__ import annotations

import numpy as np

from pipeline.grid import Grid
from pipeline.prepare.dates import DAY, from_microseconds
from pipeline.prepare.splits import TrainSplit, train_split_of

DAYS = 365  # of every year: other libraries group by the number of the day


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    """Return normal noise, float32."""
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def all_of(days: int) -> TrainSplit:
    """Return the split that trains on every one of so many days, in years of 365."""
    return train_split_of(np.arange(days), from_microseconds(np.arange(days) * DAY, "noleap", native=False))


def phase(days: int) -> np.ndarray:
    """Return the phase of the year of every day, in years of 365 days."""
    return np.arange(days) % DAYS / DAYS


def grid(lat: int, lon: int) -> Grid:
    """Return a regular grid over Iberia."""
    return Grid(np.linspace(36.0, 44.0, lat), np.linspace(-10.0, 4.0, lon))
