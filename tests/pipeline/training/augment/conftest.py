"""Small globes, and batches on them."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from pipeline.grid import Grid
from pipeline.samples import Schema
from pipeline.training.augment import Batch

LAT, LON = np.arange(-50.0, 51.0, 20.0), np.arange(0.0, 360.0, 45.0)
CHANNELS = ("U850", "V850", "TMQ", "U850@-1", "V850@-1", "TMQ@-1", "day_cos", "day_sin")


def _world(**changed) -> Schema:
    grid = changed.pop("grid", Grid(LAT, LON))
    parts = {
        "channels": CHANNELS,
        "channel_units": ("1",) * len(changed.get("channels", CHANNELS)),
        "targets": ("event",),
        "target_units": ("1",),
        "input_grid": grid,
        "target_grid": grid,
        "mask": np.ones(grid.shape, bool),
        "static": np.zeros((0, *grid.shape), np.float32),
        "statics": (),
        "step": np.timedelta64(1, "D"),
        "scalars": ("day_cos", "day_sin"),
        "classes": ("background", "storm", "river"),
    }
    return Schema(**parts | changed)


@pytest.fixture
def world() -> Callable[..., Schema]:
    """Return a maker of schemas: 6 x 8 cells round the globe, winds and moisture of two days, the day of the year."""
    return _world


@pytest.fixture
def batch() -> Callable[..., Batch]:
    """Return a maker of batches in such a world: the truth is a class that the moisture of the cell decides."""

    def make(count: int = 12, seed: int = 0, shape: tuple[int, int] = (len(LAT), len(LON))) -> Batch:
        random = torch.Generator().manual_seed(seed)
        inputs = torch.randn(count, len(CHANNELS), *shape, generator=random)
        inputs[:, 6:] = torch.randn(count, 2, 1, 1, generator=random)
        target = (inputs[:, 2:3] > 0).float() + (inputs[:, 2:3] > 1.2).float()
        target[torch.rand(target.shape, generator=random) < 0.1] = torch.nan
        area = torch.cos(torch.deg2rad(torch.linspace(-50.0, 50.0, shape[0])))[:, None].expand(shape).clone()
        return Batch(inputs=inputs, target=target, area=area)

    return make


@pytest.fixture
def always():
    """Return options that do a flip or a shift to every sample."""
    return {"probability": 1.0}
