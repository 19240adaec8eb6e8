"""Quantiles of many columns and windows of the year against numpy and against loops."""

from __future__ import annotations

import array_api_strict
import numpy as np
import pytest

from pipeline.prepare import quantiles
from pipeline.prepare.quantiles import YearWindows, column_quantiles, midpoints


@pytest.mark.parametrize("xp", [np, array_api_strict])
def test_column_quantiles_are_numpys_over_what_is_finite(xp, monkeypatch):
    monkeypatch.setattr(quantiles, "BLOCK_BYTES", 100)  # one column or two at a time
    rng = np.random.default_rng(0)
    values = rng.gamma(0.5, 3.0, (40, 7))
    values[rng.random(values.shape) < 0.4] = 0.0
    values[rng.random(values.shape) < 0.3] = np.nan
    values[:, 5], values[:, 6] = np.nan, np.nan
    values[11, 6] = 2.5
    levels = np.array([0.0, 0.013, 0.5, 0.87, 1.0])
    found = np.asarray(column_quantiles(xp.asarray(values.astype(np.float32)), levels))
    assert found.dtype == np.float64
    for column in range(7):
        known = values[:, column].astype(np.float32)
        known = known[np.isfinite(known)].astype(float)
        expected = np.quantile(known, levels) if len(known) else np.full(5, np.nan)
        np.testing.assert_allclose(found[:, column], expected, atol=1e-12)
    assert column_quantiles(xp.asarray(values[:, :0]), levels).shape == (5, 0)


def test_midpoints_of_a_uniform_sample_are_its_values():
    sample = (np.arange(1000) + 0.5) / 1000
    np.testing.assert_allclose(np.quantile(sample, midpoints(10)), midpoints(10), atol=1e-3)


def brute(phase, count, shift, shared, day):
    """Which train days speak for a day, by distances between parts of the year, one at a time."""
    part = [int((p + shift) % 1.0 * count) for p in phase]
    seen = sorted({k for k in part if part.count(k) >= quantiles.FEWEST})

    def apart(a, b):
        return min(abs(a - b), count - abs(a - b))

    own = int((day + shift) % 1.0 * count)
    best = min(seen, key=lambda k: apart(own, k))
    return [i for i, k in enumerate(part) if apart(k, best) <= shared]


@pytest.mark.parametrize(("count", "shift", "shared"), [(12, 0.0, 1), (4, 1 / 12, 0), (1, 0.0, 0)])
@pytest.mark.parametrize("season", ["year", "winter"])
def test_windows_are_those_that_a_loop_finds(count, shift, shared, season):
    day = np.arange(365) / 365
    phase = day if season == "year" else np.concatenate([day[:59], day[334:], day[100:105]])
    windows = YearWindows.of(phase, count, shift=shift, shared=shared)
    sets = windows.days(phase)
    for ask in (0.0, 0.13, 0.3, 0.5, 0.77, 0.95, 0.999):
        chosen = sets[int(windows.at(np.array([ask]))[0])]
        assert chosen.tolist() == brute(phase, count, shift, shared, ask)


def test_winter_begins_in_december():
    windows = YearWindows.of(np.arange(365) / 365, 4, shift=1 / 12)
    december, january, march = windows.at(np.array([335, 15, 75]) / 365)
    assert december == january != march


def test_too_few_days_for_any_part_make_one_window_of_all():
    windows = YearWindows.of(np.arange(30) * 12 / 365, 12)
    assert [len(days) for days in windows.days(np.arange(30) / 365)] == [30]
    assert windows.at(np.array([0.1, 0.9])).tolist() == [0, 0]


def test_windows_come_back_from_their_arrays():
    phase = np.arange(90) / 365
    windows = YearWindows.of(phase, 12, shared=1)
    again = YearWindows.of_arrays(windows.arrays())
    assert (again.count, again.shift, again.shared) == (windows.count, windows.shift, windows.shared)
    ask = np.linspace(0, 0.999, 50)
    np.testing.assert_array_equal(again.at(ask), windows.at(ask))
    for one, two in zip(again.days(phase), windows.days(phase), strict=True):
        np.testing.assert_array_equal(one, two)
