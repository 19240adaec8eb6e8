"""Tests of two models against each other: loops, other libraries, their size and power."""

import numpy as np
import pytest
import scipy.stats
import xarray as xr
from scores.stats.statistical_tests import diebold_mariano as of_scores

from pipeline.metrics import Case
from pipeline.metrics.blocks import make_blocks
from pipeline.metrics.evaluate import evaluate
from pipeline.metrics.paired_tests import diebold_mariano, sign_test
from pipeline.prediction import Prediction

YEAR = np.arange("2001-01-01", "2002-01-01", dtype="datetime64[D]")
WINTERS = np.concatenate([np.arange(f"{y}-12-01", f"{y + 1}-03-01", dtype="datetime64[D]") for y in range(1991, 1999)])


def _red(rng, size, memory):
    values = rng.normal(size=size + 60)
    for step in range(1, len(values)):
        values[step] += memory * values[step - 1]
    return values[60:] * (1.0 - memory**2) ** 0.5


def _winters(rng, memory):
    """Return red noise of all days, of which the winters are kept."""
    every = np.arange(WINTERS[0], WINTERS[-1] + 1)
    return _red(rng, len(every), memory)[np.isin(every, WINTERS)]


def _loop(time, series, window):
    """Return the p of Diebold and Mariano by a loop over all pairs of days and their distance."""
    known = np.isfinite(series)
    days, away = time[known].astype(int), series[known] - series[known].mean()
    n, total = len(days), 0.0
    for i in range(n):
        for j in range(n):
            lag = abs(int(days[i] - days[j]))
            total += max(0.0, 1.0 - lag / window) * away[i] * away[j]
    statistic = series[known].mean() / np.sqrt(total / n**2)
    statistic *= np.sqrt((n + 1 - 2 * window + window * (window - 1) / n) / n)
    freedom = min(n - 1, 1.5 * n / window)
    return statistic, 2 * scipy.stats.t.sf(abs(statistic), freedom)


@pytest.mark.parametrize("window", [1, 2, 5, 12])
def test_it_is_what_a_loop_over_all_pairs_of_days_gives(window):
    rng = np.random.default_rng(0)
    time = WINTERS[:180]
    series = _winters(rng, 0.6)[:180] + 0.1
    series[[3, 4, 90, 91, 150]] = np.nan
    found = diebold_mariano(time, series, window=window)
    statistic, p = _loop(time, series, window)
    assert found.statistic == pytest.approx(statistic, rel=1e-10)
    assert found.p == pytest.approx(p, rel=1e-8)


def test_without_lags_it_is_that_of_scores_and_the_paired_t_test():
    series = np.random.default_rng(1).normal(0.2, 1.0, 90)
    found = diebold_mariano(YEAR[:90], series, window=1)
    frame = xr.DataArray(series[None], dims=("lead", "time"), coords={"lead": [1], "h": ("lead", [1])})
    other = of_scores(frame, "lead", "h", method="HLN", statistic_distribution="t")
    assert found.statistic == pytest.approx(float(other["dm_test_stat"][0]), rel=1e-10)
    assert found.p == pytest.approx(2 * (1 - float(other["confidence_gt_0"][0])), rel=1e-8)
    assert found.p == pytest.approx(scipy.stats.ttest_1samp(series, 0.0).pvalue, rel=1e-10)


def test_the_window_follows_memory_and_lead():
    rng = np.random.default_rng(2)
    white, red = diebold_mariano(YEAR, rng.normal(size=365)), diebold_mariano(YEAR, _red(rng, 365, 0.7))
    assert 4 <= white.window <= 8
    assert 12 <= red.window <= 40  # four times (1 + 0.7) / (1 - 0.7) = 5.7 days
    assert diebold_mariano(YEAR, rng.normal(size=365), ahead=30).window == 30
    assert diebold_mariano(np.arange(365), _red(rng, 365, 0.7)).window == 1  # samples without dates


def test_the_last_day_of_a_winter_is_not_the_day_before_the_next():
    """Winters that end high and begin low: their neighbours in the row are far apart in time."""
    time = np.concatenate([np.datetime64(f"{year}-12-01", "D") + np.arange(90) for year in range(1991, 1999)])
    days = np.tile(np.linspace(-1.0, 1.0, 90), 8) + 0.02
    found = diebold_mariano(time, days, window=5)
    assert found.statistic == pytest.approx(_loop(time, days, 5)[0], rel=1e-10)
    in_a_row = diebold_mariano(np.datetime64("1991-12-01", "D") + np.arange(len(days)), days, window=5)
    assert in_a_row.statistic > 1.005 * found.statistic  # jumps from high to low would pass for a lack of memory


def test_models_that_turn_around_have_the_same_p():
    series = _red(np.random.default_rng(3), 365, 0.5) + 0.1
    one, other = diebold_mariano(YEAR, series), diebold_mariano(YEAR, -series)
    assert (one.p, one.statistic) == (other.p, -other.statistic)
    assert sign_test(YEAR, series) == sign_test(YEAR, -series)


@pytest.mark.parametrize(
    "series", [np.zeros(365), np.full(365, 0.3), np.full(365, np.nan)], ids=["same", "constant", "none"]
)
def test_without_variation_or_truth_there_is_none(series):
    assert np.isnan(diebold_mariano(YEAR, series).p)


def test_too_few_times_have_none():
    series = np.random.default_rng(4).normal(size=12)
    assert np.isfinite(diebold_mariano(YEAR[:12], series, window=4).p)
    assert np.isnan(diebold_mariano(YEAR[:12], series, window=7).p)
    assert np.isnan(diebold_mariano(YEAR[:7], series[:7], window=1).p)
    assert np.isnan(sign_test(YEAR[:7], series[:7]))


def test_signs_are_counted_by_blocks_and_held_against_the_binomial():
    rng = np.random.default_rng(5)
    series = _red(rng, 365, 0.6) + 0.4
    blocks = make_blocks(YEAR, series)
    signs = [np.sign(series[first:last].sum()) for first, last in blocks.edges]
    expected = scipy.stats.binomtest(signs.count(1.0), len(signs)).pvalue
    assert len(signs) > 8
    assert sign_test(YEAR, series) == pytest.approx(expected, rel=1e-10)
    assert sign_test(YEAR, np.abs(series)) == pytest.approx(2 * 0.5 ** len(make_blocks(YEAR, np.abs(series))))


def test_blocks_without_a_difference_count_for_none():
    series = np.zeros(365)
    assert np.isnan(sign_test(YEAR, series))
    series[::10] = 1.0
    blocks = make_blocks(YEAR, series)
    known = sum(series[a:b].any() for a, b in blocks.edges)
    assert sign_test(YEAR, series) == pytest.approx(min(1.0, 2 * 0.5**known))


def _case(truth, error, time):
    usual = Prediction("normal", {"mean": np.zeros_like(truth), "sd": np.full_like(truth, 3.0)})
    return Case(Prediction("point", {"mean": truth + error}), truth, usual, units="K", time=time)


def test_rows_of_errors_have_both_and_others_none():
    rng = np.random.default_rng(6)
    weights = np.array([1.0, 3.0])
    truth = rng.normal(size=(len(WINTERS), 2))
    truth[5:9, 1] = np.nan
    one, other = (_case(truth, size * rng.normal(size=truth.shape), WINTERS) for size in (1.0, 1.2))
    found = evaluate(
        {"a": {"x": one}, "b": {"x": other}}, split="test", time=WINTERS, weights=weights, units={"x": "K"}, seed=1,
        metrics=("rmse", "mae", "crps", "bias"), reference="b", months=True,
    )  # fmt: skip
    losses = [np.nansum(weights * (c.mean - truth) ** 2, axis=1) for c in (one, other)]
    gap = (losses[0] - losses[1]) / (np.isfinite(truth) @ weights)
    rows = {row.metric: row for row in found.comparisons if row.group == "all"}
    assert rows["rmse"].p_dm == pytest.approx(diebold_mariano(WINTERS, gap).p, rel=1e-9)
    assert rows["rmse"].p_sign == pytest.approx(sign_test(WINTERS, gap), rel=1e-9)
    assert rows["rmse"].p_dm < 1e-3
    for metric, row in rows.items():
        assert np.isfinite([row.p_dm, row.p_sign]).all() == (metric != "bias")
    assert rows["crps"].p_dm == pytest.approx(rows["mae"].p_dm, rel=1e-6)  # of points the same loss
    assert all(np.isnan(row.p_dm) for row in found.comparisons if row.group.startswith("month"))
    assert next(row for row in found.comparisons if row.group == "season=DJF" and row.metric == "mae").p_dm < 1e-3


def _rejected(make, shift=0.0, worlds=300):
    wrong = np.zeros(2)
    for seed in range(worlds):
        time, series = make(np.random.default_rng([11, seed]))
        p = np.array([diebold_mariano(time, series + shift).p, sign_test(time, series + shift)])
        wrong += p < 0.05
    return wrong / worlds


@pytest.mark.slow
@pytest.mark.parametrize("memory", [0.0, 0.4, 0.7])
@pytest.mark.parametrize("winters", [False, True], ids=["year", "winters"])
def test_models_as_good_are_told_apart_in_about_five_cases_of_a_hundred(memory, winters):
    def make(rng):
        return (WINTERS, _winters(rng, memory)) if winters else (YEAR, _red(rng, 365, memory))

    of_mean, of_signs = _rejected(make, worlds=1000)
    assert 0.03 <= of_mean <= 0.08  # 0.05 and its error of 0.007
    assert 0.0 <= of_signs <= 0.07  # of few blocks no p is near 0.05


@pytest.mark.parametrize("memory", [0.0, 0.6])
def test_a_difference_of_half_a_deviation_is_found(memory):
    """Of a year with memory 0.6 there are 91 independent days: 0.5 is 4.8 standard errors."""
    of_mean, of_signs = _rejected(lambda rng: (YEAR, _red(rng, 365, memory)), shift=0.5, worlds=60)
    assert of_mean > 0.9
    assert of_signs > 0.5
