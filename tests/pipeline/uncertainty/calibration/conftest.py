"""Samples with any truth on a small grid, on days of winters and summers."""

import numpy as np
import pytest

from pipeline.backend import get_backend
from pipeline.grid import Grid
from pipeline.model import Context
from pipeline.samples import Affine, Samples, Schema


def _samples(
    truth,
    *,
    time=None,
    lat=(40.0, 50.0),
    units="degC",
    mask=None,
    affine=True,
    regions=(),
    region=None,
    leads=(0,),
    classes=(),
):
    """Return samples with ``truth``, shape (time, target, lat, lon), one row of latitude for each of ``lat``."""
    truth = np.asarray(truth, np.float32)
    count, targets, _, columns = truth.shape
    grid = Grid(np.linspace(*lat, truth.shape[2]), np.linspace(0.0, 5.0, columns))
    mask = np.ones(grid.shape, bool) if mask is None else mask
    scales = np.ones((targets, 1, 1), np.float32)
    names = tuple(
        f"t{number}@+{lead}" if lead else f"t{number}" for lead in leads for number in range(targets // len(leads))
    )
    schema = Schema(
        channels=("x",), channel_units=("1",), targets=names, target_units=(units,) * targets, input_grid=grid,
        target_grid=grid, mask=mask, static=np.zeros((0, *grid.shape), np.float32), statics=(),
        step=np.timedelta64(1, "D"), target_affine=Affine(scales, 0.0 * scales) if affine else None, leads=leads,
        regions=regions, region=region, classes=classes,
    )  # fmt: skip
    if time is None:
        time = np.datetime64("1990-12-01", "ns") + np.arange(count) * np.timedelta64(1, "D")
    return Samples(
        name="validation", inputs=np.zeros((count, 1, *grid.shape), np.float32), target=truth, previous=None,
        time=time, day=np.zeros(count), schema=schema,
    )  # fmt: skip


@pytest.fixture(scope="session")
def samples_of():
    """Factory of samples with a given truth; see `_samples`."""
    return _samples


@pytest.fixture(scope="session")
def winters():
    """Return a function that gives the days of so many winters, so many days each from 1 December."""
    return lambda count, days=60: np.concatenate(
        [
            np.datetime64(f"{1950 + year}-12-01", "ns") + np.arange(days) * np.timedelta64(1, "D")
            for year in range(count)
        ]
    )


@pytest.fixture
def warned():
    """What the context was warned of."""
    return []


@pytest.fixture
def context(warned):
    return Context(get_backend("cpu"), seed=2, name="unet", warn=warned.append)
