"""Yearly data in a calendar of 360 days: no season to tell apart, lags of a year, forcings by year."""

import numpy as np
import pytest
import xarray as xr

from pipeline.prepare.config import InputsConfig, PrepareConfig
from pipeline.prepare.making import prepare
from pipeline.prepare.prepared import Prepared
from pipeline.prepare.splits import TimeSplit

SPLIT = TimeSplit(("1900", "1939"), ("1940", "1949"), {"test": ("1950", "1959")})


@pytest.fixture
def years(field):
    """Return a function that makes sixty years, one field a year stamped in June."""
    time = xr.date_range("1900-06-01", periods=60, freq="360D", calendar="360_day", use_cftime=True)

    def make(*names, **options):
        return field(*names, time=np.asarray(time), **options)

    return make


def test_years_are_samples_with_lags_and_a_mean_for_a_climatology(years, backend, tmp_path):
    predictors, target = years("psl"), years("tas", seed=1)
    co2 = xr.Dataset({"co2": ("time", np.arange(60.0), {"units": "ppm"})}, {"time": predictors.time})
    config = PrepareConfig(inputs=InputsConfig(lags=[0, 1]))
    prepared = prepare([("gcm", predictors)], target, (), [co2], config=config, split=SPLIT, backend=backend)
    prepared.save(tmp_path)
    for made in (prepared, Prepared.load(tmp_path, backend)):
        assert [len(made.samples(name)) for name in made.names] == [39, 9, 9]  # the first of each lacks its lag
        samples = made.samples("test")
        assert [stamp.year for stamp in samples.time] == list(range(1951, 1960))
        inputs = backend.to_host(samples.inputs)
        np.testing.assert_array_equal(inputs[1:, 1], inputs[:-1, 0])
        np.testing.assert_allclose(inputs[:, 2, 0, 0], (np.arange(51, 60) - 19.5) / np.std(np.arange(40)), rtol=1e-5)
        assert made.schema.step == np.timedelta64(360, "D")
        assert made.reference.used == 0
        mean = backend.to_host(made.climatology(samples).mean())
        np.testing.assert_allclose(mean[0, 0], target.tas.values[:40].mean(axis=0), rtol=1e-6)
        before = backend.to_host(samples.previous)[:, 0] * backend.to_host(made.transform.scale)[0, 0, 0] + mean[:, 0]
        np.testing.assert_allclose(before[1:], target.tas.values[51:59], rtol=1e-5)
    summary = prepared.summary()
    assert (summary["matched_by"], summary["step_days"], summary["calendar"]) == ("year", 360.0, "360_day")
