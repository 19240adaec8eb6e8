"""Datasets and backends for the tests of pipeline.prepare."""

from __future__ import annotations

import array_api_strict
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from pipeline.backend import Backend, get_backend
from pipeline.prepare.splits import TimeSplit

SPLIT = TimeSplit(("1990", "1991"), ("1992-01-11", "1992-12-31"), {"test": ("1993-01-11", "1993-12-31")}, gap="10D")


def strict_backend() -> Backend:
    """A backend whose arrays refuse whatever is not in the Array API standard."""
    host = get_backend("cpu")
    return Backend("cpu", array_api_strict, host.xdf, "cpu", host.cluster_class, np.asarray)


@pytest.fixture
def cpu() -> Backend:
    return get_backend("cpu")


@pytest.fixture(params=["cpu", "strict"])
def backend(request) -> Backend:
    return get_backend("cpu") if request.param == "cpu" else strict_backend()


@pytest.fixture
def strict() -> Backend:
    return strict_backend()


@pytest.fixture
def split() -> TimeSplit:
    return SPLIT


@pytest.fixture
def field():
    """Return a function that makes a dataset of one or more variables with a yearly cycle and noise."""

    def make(
        *names, time=None, lat=(40.0, 42.0, 44.0), lon=(0.0, 2.0, 4.0, 6.0), seed=0, units="K", hour=0, offset=280.0
    ):
        stamps = pd.date_range("1990-01-01", "1993-12-31") + pd.Timedelta(hours=hour) if time is None else time
        generator = np.random.default_rng(seed)
        phase = 2 * np.pi * np.arange(len(stamps)) / 365.25
        shape = (len(stamps), len(lat), len(lon))
        data = {
            name: (
                ("time", "lat", "lon"),
                (offset + 5 * np.cos(phase)[:, None, None] + generator.normal(size=shape)).astype("float32"),
                {"units": units},
            )
            for name in names
        }
        return xr.Dataset(data, coords={"time": stamps, "lat": list(lat), "lon": list(lon)})

    return make


@pytest.fixture
def days():
    """Return a function that makes all days of some years in a calendar."""

    def make(first, last, calendar="proleptic_gregorian"):
        dates = xr.date_range(first, last, freq="D", calendar=calendar, use_cftime=calendar != "proleptic_gregorian")
        return np.asarray(dates)

    return make


@pytest.fixture
def train_of():
    """Return a function that makes a TrainSplit of the first steps of an axis of days."""

    def make(time, count):
        later = pd.date_range("2200-01-01", periods=2)
        if time.dtype == object:
            calendar = time[0].calendar
            whole = TimeSplit((str(time[0])[:10], str(time[count - 1])[:10]), ("3000", "3000"), {"t": ("3001", "3001")})
            return whole.on(calendar).train_split(time)
        span = tuple(str(stamp)[:10] for stamp in (time[0], time[count - 1]))
        return TimeSplit(span, (str(later[0])[:10],) * 2, {"t": (str(later[1])[:10],) * 2}).train_split(time)

    return make
