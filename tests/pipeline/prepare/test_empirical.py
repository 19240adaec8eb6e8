"""The empirical climatology: against loops, on skewed data, and on the train split alone."""

from __future__ import annotations

import array_api_strict
import numpy as np
import pytest

from pipeline.prepare.climatology import Climatology
from pipeline.prepare.empirical import EmpiricalClimatology, drawn_at, members_at
from pipeline.prepare.quantiles import YearWindows, midpoints
from pipeline.prepare.splits import TimeSplit

SPLIT = TimeSplit(("2000", "2003"), ("2004", "2004"), {"test": ("2005", "2006")})
TIME = np.arange("2000-01-01", "2007-01-01", dtype="datetime64[D]").astype("datetime64[ns]")


def rain(xp=np, seed=0):
    """Wet on two of five days, heavier in winter; one cell never seen, one unseen in summer."""
    rng = np.random.default_rng(seed)
    season = 2 + np.cos(2 * np.pi * np.arange(len(TIME)) / 365.25)
    values = rng.gamma(0.7, 4.0, (len(TIME), 1, 2, 3)) * season[:, None, None, None]
    values[rng.random(values.shape) < 0.6] = 0.0
    values[:, 0, 1, 2] = np.nan
    month = TIME.astype("datetime64[M]").astype(int) % 12
    values[(month >= 4) & (month <= 8), 0, 1, 1] = np.nan
    return xp.asarray(values.astype(np.float32))


@pytest.fixture(scope="module")
def train():
    return SPLIT.train_split(TIME)


@pytest.mark.parametrize("xp", [np, array_api_strict])
def test_members_are_the_quantiles_of_the_train_days_of_three_months(xp, train):
    values = rain(xp)
    fitted = EmpiricalClimatology.fit(values, train, members=10)
    assert fitted.values.shape == (12, 10, 1, 2, 3)
    members = fitted.forecast(np.array([0.01, 0.5])).members
    assert members.dtype == xp.float32
    found, host = np.asarray(members), np.asarray(values)[train.index].astype(float)
    twelfth = (train.phase * 12).astype(int)
    near = np.isin(twelfth, [11, 0, 1])
    for row, column in ((0, 0), (0, 2), (1, 1)):
        expected = np.quantile(host[near, 0, row, column], midpoints(10))
        np.testing.assert_allclose(found[:, 0, 0, row, column], expected, rtol=1e-6)
    always = host[:, 0, 1, 1]  # nothing in summer: the quantiles of all days stand in
    np.testing.assert_allclose(found[:, 1, 0, 1, 1], np.nanquantile(always, midpoints(10)), rtol=1e-6)
    assert np.isnan(found[..., 1, 2]).all()


def test_it_beats_a_normal_curve_on_precipitation(train):
    values = rain()
    chosen = SPLIT.select("test", TIME)
    truth, phase = values[chosen], (TIME[chosen].astype("datetime64[D]").astype(int) % 365.25) / 365.25
    empirical = EmpiricalClimatology.fit(values, train)
    normal = Climatology.fit(values, train, harmonics=2)
    scores = [np.nanmean(one.forecast(phase).crps(truth)) for one in (empirical, normal)]
    assert scores[0] < 0.88 * scores[1]
    np.testing.assert_allclose(np.nanmean(empirical.crps(truth, phase)), scores[0], rtol=1e-6)
    assert (np.asarray(empirical.forecast(phase).mean())[:, 0, 0] >= 0).all()


def test_it_sees_the_train_split_alone(train):
    values = rain()
    moved = values.copy()
    outside = np.setdiff1d(np.arange(len(TIME)), train.index)
    moved[outside] = 1e6
    one, two = (EmpiricalClimatology.fit(part, train) for part in (values, moved))
    np.testing.assert_array_equal(one.values, two.values)
    with pytest.raises(TypeError, match="EmpiricalClimatology is fitted on a TrainSplit alone"):
        EmpiricalClimatology.fit(values, np.arange(5))


def test_one_season_has_the_windows_it_saw(train):
    split = TimeSplit(("2000", "2003"), ("2004", "2004"), {"test": ("2005", "2006")})
    winter = np.isin(TIME.astype("datetime64[M]").astype(int) % 12, [11, 0, 1])
    fitted = EmpiricalClimatology.fit(rain()[winter], split.train_split(TIME[winter]))
    assert fitted.values.shape[0] == 3
    asked = np.array([0.5, 0.95, 0.1])
    assert np.isfinite(np.asarray(fitted.forecast(asked).members)[..., 0, 0]).all()


@pytest.mark.parametrize("xp", [np, array_api_strict])
def test_draws_are_the_members_in_an_order_of_each_date_and_group(xp):
    phase = (np.arange(len(TIME)) % 365) / 365
    windows = YearWindows.of(phase, 4, shared=1)
    ranks = np.arange(4 * 10 * 6, dtype=np.float32).reshape(4, 10, 6)
    values = xp.asarray(ranks)
    found = np.asarray(drawn_at(values, windows, phase, TIME, groups=2))
    np.testing.assert_array_equal(np.sort(found, axis=0), np.asarray(members_at(values, windows, phase)))
    some = np.arange(40, 900, 7)
    again = drawn_at(values, windows, phase[some], TIME[some], groups=2)
    np.testing.assert_array_equal(np.asarray(again), found[:, some])
    rank = (found // 6) % 10  # 0 is the lowest quantile of its window and column
    assert np.abs(rank.mean((1, 2)) - 4.5).max() < 0.15
    for group in (rank[..., :3], rank[..., 3:]):
        assert (group == group[..., :1]).all()
    one, other = rank[0, :, 0], rank[0, :, 3]
    assert abs(np.corrcoef(one[1:], one[:-1])[0, 1]) < 0.08  # four standard errors of 2557 days
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.08
