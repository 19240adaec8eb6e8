"""Real files, one-cell grids and splits for the tests of labels."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from pipeline.grid import Grid
from pipeline.prepare.splits import TimeSplit


@pytest.fixture
def real_data() -> Path:
    """The folder of real files; skips where there is none."""
    folder = os.environ.get("FINESCALE_DATA")
    if not folder:
        pytest.skip("FINESCALE_DATA is not set: no real files")
    return Path(folder)


@pytest.fixture
def one_cell() -> Grid:
    return Grid(np.array([-29.0]), np.array([112.0]))


@pytest.fixture
def train_until():
    """Return a function that makes the train split of the years of `time` from the first to the last."""

    def make(time, first, last):
        later = {"validation": ("2500", "2500"), "test": {"test": ("2501", "2501")}}
        return TimeSplit((first, last), **later).train_split(time)

    return make
