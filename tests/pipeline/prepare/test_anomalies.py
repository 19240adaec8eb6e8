"""Values less the mean of their day: each way of doing it says the same as the plain formula."""

import numpy as np
import pytest

from pipeline.prepare import anomalies
from pipeline.prepare.anomalies import less_mean
from pipeline.prepare.climatology import Climatology
from pipeline.prepare.dates import phase_of_year


@pytest.fixture
def made(backend):
    """A climatology, values and their phases, over four years with a leap day."""
    rng = np.random.default_rng(3)
    time = np.arange(np.datetime64("1990-01-01"), np.datetime64("1994-01-01")).astype("datetime64[ns]")
    values = rng.standard_normal((len(time), 2, 3, 4)).astype("float32")
    values[5, 0, 1, 2] = np.nan
    mean, variance = rng.standard_normal((3, 2, 3, 4)), np.ones((3, 2, 3, 4))
    parts = [backend.asarray(part) for part in (mean, variance, np.ones((2, 3, 4)))]
    return Climatology(*parts, 1, 1, 0), backend.asarray(values), phase_of_year(time)


def plain(climatology, values, phase, scale, backend):
    away = backend.to_host(values) - backend.to_host(climatology.mean_at(phase))
    return away if scale is None else away / backend.to_host(scale)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("chosen", ["years", "shuffled", "few", "one"])
def test_every_order_of_days_has_the_numbers_of_the_formula(made, backend, chosen, scaled):
    climatology, values, phase = made
    rng = np.random.default_rng(0)
    index = {
        "years": np.arange(len(phase)),
        "shuffled": rng.permutation(len(phase)),
        "few": np.arange(40),
        "one": np.array([7]),
    }[chosen]
    scale = backend.asarray(np.array([[[2.0]], [[3.0]]], "float32")) if scaled else None
    values = backend.xp.take(values, backend.asarray(index), axis=0)
    found = backend.to_host(less_mean(values, climatology, phase[index], scale))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, plain(climatology, values, phase[index], scale, backend))


def test_threads_change_nothing(made, backend, monkeypatch):
    climatology, values, phase = made
    alone = backend.to_host(less_mean(values, climatology, phase))
    monkeypatch.setattr(anomalies, "usable", lambda: 3)
    monkeypatch.setattr(anomalies, "SHARED", 0)
    monkeypatch.setattr(anomalies, "block_bytes", lambda _: 1000)
    np.testing.assert_array_equal(backend.to_host(less_mean(values, climatology, phase)), alone)


def test_what_is_given_stays_as_it_is(made, backend):
    climatology, values, phase = made
    before = np.array(backend.to_host(values))
    less_mean(values, climatology, phase)
    np.testing.assert_array_equal(backend.to_host(values), before)


def test_no_rows_are_no_rows(made):
    climatology, values, _ = made
    assert less_mean(values[:0, ...], climatology, np.zeros(0)).shape == (0, 2, 3, 4)


def test_float64_stays_float64(made, backend):
    climatology, values, phase = made
    xp = backend.xp
    assert less_mean(xp.astype(values, xp.float64), climatology, phase).dtype == xp.float64
