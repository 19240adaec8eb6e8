"""Moving means over a season, and seasons that never were."""

import cftime
import numpy as np
import pytest

from pipeline.novelty.folds import Folds, folds_of_time
from pipeline.novelty.season import DAYS, Season, moving

TIME = np.arange("1990-01-01", "2002-01-01", dtype="datetime64[D]")
PHASE = (np.arange(len(TIME)) % 365.25) / 365.25


def weather(seed, n=4383, memory=0.85):
    rng = np.random.default_rng(seed)
    values = np.empty((n, 3))
    values[0] = rng.normal(size=3)
    for day in range(1, n):
        values[day] = memory * values[day - 1] + np.sqrt(1 - memory**2) * rng.normal(size=3)
    return values + 4 * np.cos(2 * np.pi * PHASE[:n])[:, None]


def test_means_are_over_an_eighth_of_a_year_on_both_sides():
    rng = np.random.default_rng(1)
    kept = np.sort(rng.choice(400, 300, replace=False))
    time, values = TIME[kept], rng.normal(size=(300, 2))
    values[40:60] = np.nan
    found = moving(values, time)
    assert DAYS == 91
    for k in (0, 50, 150, 299):
        near = np.abs((time - time[k]).astype(float)) <= 365.25 / 8
        np.testing.assert_allclose(found[k], np.nanmean(values[near], axis=0), rtol=1e-9)


def test_a_mean_of_next_to_nothing_is_none():
    values = np.full((200, 1), np.nan)
    values[:10] = 1.0
    found = moving(values, TIME[:200])
    assert np.isnan(found[100:]).all()
    assert np.isnan(found[0]).all()  # ten of the 91 days that seasons usually have


def test_a_shift_that_few_days_stand_out_by_is_a_season_that_never_was():
    train, test = weather(1), weather(2, 730)
    season = Season.fit(train, TIME, PHASE, folds_of_time(TIME), 2)
    assert season.judge(test, TIME[:730], PHASE[:730]).unusual.mean() < 0.1
    warm = test + np.array([2.0, 0.0, 0.0])
    assert season.judge(warm, TIME[:730], PHASE[:730]).unusual.mean() > 0.9


def test_other_calendars():
    time = np.array(
        [cftime.datetime(1990 + k // 360, k // 30 % 12 + 1, k % 30 + 1, calendar="360_day") for k in range(3600)]
    )
    season = Season.fit(weather(1, 3600), time, PHASE[:3600], folds_of_time(time), 2)
    assert season.judge(weather(2, 720), time[:720], PHASE[:720]).unusual.mean() < 0.2


@pytest.mark.parametrize("case", ["blocks", "months apart", "nothing known", "too few"])
def test_where_it_cannot_be_told_there_is_none(case, monkeypatch):
    folds, step, values = folds_of_time(TIME), 1, weather(1)
    if case == "blocks":
        folds = Folds(folds.of, "blocks")
    elif case == "months apart":
        step = 30  # three a season
    elif case == "too few":
        step = 48  # eight a year and two a season
        monkeypatch.setattr("pipeline.novelty.season._LEAST", 2)
    else:
        values = np.full_like(values, np.nan)
    kept = slice(None, None, step)
    assert Season.fit(values[kept], TIME[kept], PHASE[kept], Folds(folds.of[kept], folds.kind), 2) is None


def test_missing_days_are_left_out():
    values = weather(1)
    values[100:130] = np.nan
    season = Season.fit(values, TIME, PHASE, folds_of_time(TIME), 2)
    assert np.isfinite(season.judge(values, TIME, PHASE).novelty).all()
