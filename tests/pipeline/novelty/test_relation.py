"""Errors on unusual samples against the rest, with loops beside."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from pipeline.metrics import Case
from pipeline.metrics.groups import make_groups
from pipeline.novelty.relation import relate, unusual_share
from pipeline.prediction import Prediction

DAYS = 800
TIME = np.arange("2001-01-01", "2010-01-01", dtype="datetime64[D]")[:DAYS]
WEIGHTS = np.array([1.0, 2.0, 0.5])


def group_of(series=None, time=TIME):
    series = np.random.default_rng(0).normal(size=len(time)) if series is None else series
    return make_groups(time, series, seed=1, purpose="test:tas", resamples=400, seasons=False)[0]


@pytest.fixture
def novelty():
    return np.random.default_rng(1).gamma(4.0, 0.15, (DAYS, 1))


def normal_case(novelty, seed=2, growth=1.0):
    """Truth whose error grows with novelty, of forecasts that know nothing of it."""
    rng = np.random.default_rng(seed)
    mean = rng.normal(size=(DAYS, 3))
    truth = mean + rng.normal(size=(DAYS, 3)) * (1.0 + growth * (novelty > 1.0))
    truth[5], truth[9, 1] = np.nan, np.nan
    usual = Prediction("point", {"mean": np.zeros((DAYS, 3))})
    return Case(Prediction("normal", {"mean": mean, "sd": np.ones((DAYS, 3))}), truth, usual, time=TIME)


def test_errors_and_coverage_are_those_of_a_loop(novelty):
    case = normal_case(novelty)
    found = relate(case, WEIGHTS, novelty, group_of())
    gap = case.truth - case.prediction.mean()
    for side, chosen in ((found.unusual, novelty[:, 0] > 1), (found.rest, novelty[:, 0] <= 1)):
        area = np.isfinite(gap[chosen]) * WEIGHTS
        square = np.where(np.isfinite(gap[chosen]), gap[chosen], 0.0) ** 2
        np.testing.assert_allclose(side.error.value, np.sqrt((square * area).sum() / area.sum()), rtol=1e-9)
        inside = np.abs(gap[chosen]) <= 1.6448536
        np.testing.assert_allclose(side.coverage.value, (inside * area).sum() / area.sum(), rtol=1e-9)
        for value in (side.error, side.coverage):
            assert value.low < value.value < value.high
    assert found.unusual.error.low > found.rest.error.high
    assert found.unusual.coverage.high < 0.9
    assert np.isnan(found.error[5])
    area = np.isfinite(gap[9]) * WEIGHTS
    np.testing.assert_allclose(found.error[9], np.sqrt((np.nan_to_num(gap[9]) ** 2 * area).sum() / area.sum()))


def test_the_rank_correlation_is_scipys(novelty):
    found = relate(normal_case(novelty, growth=3.0), WEIGHTS, novelty, group_of())
    known = np.isfinite(found.error)
    np.testing.assert_allclose(found.rank.value, spearmanr(novelty[known, 0], found.error[known]).statistic, rtol=1e-9)
    assert found.rank.low > 0
    nothing = relate(normal_case(novelty, growth=0.0), WEIGHTS, novelty, group_of())
    assert nothing.rank.low < 0 < nothing.rank.high


def test_the_interval_of_the_correlation_is_about_that_of_fisher(novelty):
    found = [relate(normal_case(novelty, seed, growth=0.0), WEIGHTS, novelty, group_of()).rank for seed in range(12)]
    wide = 2 * 1.96 / np.sqrt(DAYS - 3)
    assert 0.85 * wide < np.mean([rank.high - rank.low for rank in found]) < 1.3 * wide


def test_few_blocks_with_unusual_samples_give_no_interval():
    novelty = np.full((DAYS, 1), 0.5)
    novelty[[10, 200, 201]] = 2.0
    found = relate(normal_case(novelty), WEIGHTS, novelty, group_of())
    assert np.isfinite(found.unusual.error.value)
    assert np.isnan([found.unusual.error.low, found.unusual.error.high, found.unusual.coverage.low]).all()
    assert np.isfinite(found.rest.error.low)


def test_without_unusual_samples_nothing_is_said_of_them(novelty):
    found = relate(normal_case(novelty), WEIGHTS, np.minimum(novelty, 0.9), group_of())
    assert np.isnan([found.unusual.error.value, found.unusual.coverage.value]).all()
    assert np.isfinite(found.rest.error.value)


def test_samples_of_unknown_novelty_are_on_neither_side(novelty):
    case = normal_case(novelty)
    holes = novelty.copy()
    holes[::3] = np.nan
    found = relate(case, WEIGHTS, holes, group_of())
    part = case.select(np.flatnonzero(np.isfinite(holes[:, 0])), -2)
    kept = np.isfinite(holes[:, 0])
    wanted = relate(part, WEIGHTS, holes[kept], group_of(time=TIME[kept]))
    np.testing.assert_allclose(found.unusual.error.value, wanted.unusual.error.value, rtol=1e-9)
    np.testing.assert_allclose(found.rank.value, wanted.rank.value, rtol=1e-9)


def test_a_point_forecast_has_no_coverage(novelty):
    case = normal_case(novelty)
    point = replace(case, prediction=Prediction("point", {"mean": case.prediction.mean()}))
    found = relate(point, WEIGHTS, novelty, group_of())
    assert np.isnan(found.rest.coverage.value)
    np.testing.assert_allclose(found.rest.error.value, relate(case, WEIGHTS, novelty, group_of()).rest.error.value)


def test_the_error_of_classes_is_the_share_that_is_wrong(novelty):
    rng = np.random.default_rng(3)
    chances = rng.dirichlet(np.ones(3), (DAYS, 3)).transpose(2, 0, 1)
    truth = rng.integers(0, 3, (DAYS, 3)).astype(float)
    truth[4, 2] = np.nan
    case = Case(Prediction("categorical", {"probabilities": chances}), truth, Prediction("point", {"mean": truth}))
    found = relate(case, WEIGHTS, novelty, group_of())
    wrong = (chances.argmax(axis=0) != truth) & np.isfinite(truth)
    chosen = novelty[:, 0] > 1
    area = np.isfinite(truth) * WEIGHTS
    np.testing.assert_allclose(found.unusual.error.value, (wrong * WEIGHTS)[chosen].sum() / area[chosen].sum())
    np.testing.assert_allclose(found.error, (wrong * WEIGHTS).sum(axis=1) / area.sum(axis=1))
    assert np.isnan(found.unusual.coverage.value)


def test_stations_are_samples_of_their_own_at_all_leads():
    """Cells are two leads of three stations; novelty is of time and station."""
    novelty = np.random.default_rng(4).gamma(4.0, 0.15, (DAYS, 3))
    rng = np.random.default_rng(5)
    mean, truth = rng.normal(size=(2, DAYS, 6))
    case = Case(Prediction("point", {"mean": mean}), truth, Prediction("point", {"mean": mean}))
    found = relate(case, np.ones(6), novelty, group_of())
    square = ((mean - truth) ** 2).reshape(DAYS, 2, 3).mean(axis=1)
    np.testing.assert_allclose(found.unusual.error.value, np.sqrt(square[novelty > 1].mean()), rtol=1e-9)
    np.testing.assert_allclose(found.rank.value, spearmanr(novelty.ravel(), square.ravel()).statistic, rtol=1e-9)
    np.testing.assert_allclose(found.error, np.sqrt(square.mean(axis=1)), rtol=1e-9)


def test_the_share_of_unusual_samples_has_an_interval_of_its_blocks(novelty):
    found = unusual_share(novelty, group_of())
    assert found.value == (novelty > 1).mean()
    wide = 2 * 1.96 * np.sqrt(found.value * (1 - found.value) / DAYS)
    assert 0.6 * wide < found.high - found.low < 1.5 * wide
    holes = np.where(np.arange(DAYS)[:, None] % 2 == 0, np.nan, novelty)
    assert unusual_share(holes, group_of()).value == (novelty[1::2] > 1).mean()


def test_it_runs_on_any_array(novelty, strict_backend):
    case = normal_case(novelty)
    on = strict_backend.asarray
    carried = Case(case.prediction.map(on), on(case.truth), case.climatology.map(on), time=TIME)
    known, found = (relate(one, WEIGHTS, novelty, group_of()) for one in (case, carried))
    np.testing.assert_allclose(found.error, known.error)
    assert found.unusual == known.unusual
