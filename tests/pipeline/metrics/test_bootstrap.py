import numpy as np
import pytest
import scipy.stats

from pipeline.metrics.blocks import make_blocks
from pipeline.metrics.bootstrap import difference_interval, percentile_interval, resample


def test_resamples_draw_as_many_blocks_as_there_are():
    counts = resample(12, 0, "test", count=4000)
    assert (counts.sum(axis=1) == 12).all()
    np.testing.assert_allclose(counts.mean(axis=0), 1.0, atol=0.08)
    np.testing.assert_allclose(counts.var(axis=0), 11 / 12, atol=0.1)


def test_resamples_follow_from_seed_and_purpose():
    np.testing.assert_array_equal(resample(5, 1, "a"), resample(5, 1, "a"))
    assert (resample(5, 1, "a") != resample(5, 1, "b")).any()
    assert (resample(5, 1, "a") != resample(5, 2, "a")).any()


@pytest.mark.parametrize("blocks", [8, 10, 40])
def test_interval_is_that_of_numpy(blocks, expanded):
    values = np.random.default_rng(0).normal(size=(500, 3))
    interval = percentile_interval(values, blocks)
    low, high = expanded(blocks)
    np.testing.assert_allclose(interval.low, np.quantile(values, low, axis=0), rtol=1e-10)
    np.testing.assert_allclose(interval.high, np.quantile(values, high, axis=0), rtol=1e-10)


def test_of_many_blocks_it_is_the_plain_percentile_interval():
    values = np.linspace(0.0, 1.0, 1001)
    interval = percentile_interval(values, 10**6)
    assert (float(interval.low), float(interval.high)) == pytest.approx((0.025, 0.975), abs=1e-5)


@pytest.mark.parametrize("blocks", [8, 12, 50])
def test_of_resampled_means_a_difference_has_the_interval_of_a_t_test(blocks):
    values = np.random.default_rng(blocks).normal(size=blocks)
    draws = resample(blocks, 0, "test", count=200_000) @ values / blocks
    found = difference_interval(values.mean(), draws, blocks)
    expected = scipy.stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert (float(found.low), float(found.high)) == pytest.approx(tuple(expected), abs=0.01 * values.std())


def test_a_difference_without_enough_blocks_or_values_has_no_interval():
    draws = np.random.default_rng(0).normal(size=(100, 2))
    draws[:60, 1] = np.nan
    found = difference_interval(np.zeros(2), draws, 10)
    assert np.isfinite([found.low[0], found.high[0]]).all()
    assert np.isnan([found.low[1], found.high[1]]).all()
    for blocks in (1, 7):
        assert np.isnan(difference_interval(np.zeros(2), draws, blocks).low).all()
    draws[:30, 1] = 0.0
    of_known = difference_interval(np.zeros(1), draws[np.isfinite(draws[:, 1]), 1:], 10)
    assert difference_interval(np.zeros(2), draws, 10).high[1] == pytest.approx(of_known.high[0], rel=1e-12)


def test_resamples_without_a_value_are_left_out_until_they_are_half(expanded):
    values = np.random.default_rng(0).normal(size=(500, 2))
    values[:100, 0] = np.nan
    values[:300, 1] = np.nan
    interval = percentile_interval(values, 10)
    assert interval.low[0] == pytest.approx(np.nanquantile(values[:, 0], expanded(10)[0]), rel=1e-10)
    assert np.isnan(interval.low[1])
    assert np.isnan(interval.high[1])


@pytest.mark.parametrize(("blocks", "known"), [(1, False), (3, False), (7, False), (8, True)])
def test_few_blocks_say_nothing_of_the_spread(blocks, known):
    interval = percentile_interval(np.arange(100.0), blocks)
    assert np.isfinite([interval.low, interval.high]).tolist() == [known, known]


def test_agrees_with_scipy_where_times_are_independent():
    values = np.random.default_rng(1).exponential(size=200)
    counts = resample(200, 0, "test", count=4000)
    found = percentile_interval(counts @ values / 200, 200)
    expected = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    assert float(found.low) == pytest.approx(expected.low, abs=0.015)
    assert float(found.high) == pytest.approx(expected.high, abs=0.015)


def test_intervals_hold_the_truth_as_often_as_they_say_in_red_noise():
    rng = np.random.default_rng(3)
    cases, n, phi = 200, 600, 0.6
    x = np.zeros((n, cases))
    for t in range(1, n):
        x[t] = phi * x[t - 1] + rng.normal(size=cases)
    time = np.arange(n) * np.timedelta64(1, "h") + np.datetime64("2000-01-01", "h")
    hits = naive = 0
    for case in range(cases):
        blocks = make_blocks(time, x[:, case])
        sums = np.add.reduceat(x[:, case], blocks.edges[:, 0])
        counts = resample(len(blocks), case, "test", count=300)
        interval = percentile_interval(counts @ sums / (counts @ np.diff(blocks.edges, axis=1)[:, 0]), len(blocks))
        hits += bool(interval.low <= 0.0 <= interval.high)
        naive += bool(abs(x[:, case].mean()) < 1.96 * x[:, case].std() / n**0.5)
    assert hits / cases >= 0.92  # the memory of a series is known badly, too
    assert naive / cases < 0.75
