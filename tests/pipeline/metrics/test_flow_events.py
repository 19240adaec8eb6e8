import time

import numpy as np
import pandas as pd
import pytest
import scipy.signal

from pipeline.metrics import METRICS, Case
from pipeline.metrics._peaks import find_peaks
from pipeline.metrics.flow_events import high_flow_month, years_from
from pipeline.prediction import Prediction

TIME = np.arange("2000-04-01", "2006-01-01", dtype="datetime64[D]")


def _rivers(cells=4, seed=0, time=TIME):
    """Flow with floods at random days that fall off over weeks, in tenths: with level stretches."""
    rng = np.random.default_rng(seed)
    flow = np.zeros((len(time), cells))
    rain = rng.gamma(0.05, 40.0, flow.shape)
    for day in range(1, len(time)):
        flow[day] = 0.93 * flow[day - 1] + rain[day]
    return np.round(flow + 5.0, 1)


def _case(truth, mean, time=TIME):
    point = Prediction("point", {"mean": mean})
    return Case(point, truth, point, units="m3 s-1", time=time)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("distance", [1, 30, 100])
def test_peaks_are_those_of_scipy(seed, distance):
    rivers = _rivers(seed=seed)
    found = find_peaks(rivers, np.arange(len(rivers)), distance=distance, prominence=rivers.std(axis=0))
    for cell in range(rivers.shape[1]):
        expected, _ = scipy.signal.find_peaks(rivers[:, cell], distance=distance, prominence=rivers[:, cell].std())
        assert len(expected) > 5
        np.testing.assert_array_equal(np.flatnonzero(found[:, cell]), expected)


@pytest.mark.parametrize("seed", range(20))
def test_ties_and_level_stretches_are_as_in_scipy(seed):
    """A few whole numbers: nearly every peak has others as high nearby, many are level, some at the ends."""
    rng = np.random.default_rng([5, seed])
    series = np.repeat(rng.integers(0, 4, (60, 3)), rng.integers(1, 4, 60), axis=0).astype(float)
    for distance in (1, 2, 5, 20):
        for prominence in (0.0, 1.0, 2.5):
            found = find_peaks(series, np.arange(len(series)), distance=distance, prominence=np.full(3, prominence))
            for cell in range(3):
                expected, _ = scipy.signal.find_peaks(series[:, cell], distance=distance, prominence=prominence)
                np.testing.assert_array_equal(np.flatnonzero(found[:, cell]), expected)


def test_a_gap_ends_no_prominence_and_days_are_counted_through_it():
    series = np.array([0.0, 4.0, 3.0, 9.0, 1.0, 5.0, 2.0])[:, None]
    day = np.array([0, 1, 2, 5, 6, 7, 8])  # 9 is beside a gap and no peak, but higher than what is round it
    for distance, expected in ((1, [1, 5]), (6, [1, 5]), (7, [5])):
        found = find_peaks(series, day, distance=distance, prominence=np.zeros(1))
        assert np.flatnonzero(found).tolist() == expected
    # From 4 it goes down to 3 before 9, from 5 to 1: without the gap between they would stand 4 and 5 high.
    assert np.flatnonzero(find_peaks(series, day, distance=1, prominence=np.array([1.5]))).tolist() == [5]
    assert find_peaks(series[:0], day[:0], distance=1, prominence=np.zeros(1)).shape == (0, 1)


def test_many_rivers_of_many_years_are_quick():
    rivers = np.random.default_rng(0).gamma(0.3, 20.0, (18000, 50))
    begun = time.perf_counter()
    find_peaks(rivers, np.arange(18000), distance=100, prominence=rivers.std(axis=0))
    assert time.perf_counter() - begun < 5.0  # a fifth of a second on an idle core


def test_a_level_peak_is_its_middle_and_a_shoulder_is_none():
    series = np.array([0, 3, 3, 3, 3, 1, 2, 2, 4, 4, 1, 0.5, 0.5, 0.0])[:, None]
    found = find_peaks(series, np.arange(14), distance=1, prominence=np.zeros(1))[:, 0]
    assert np.flatnonzero(found).tolist() == scipy.signal.find_peaks(series[:, 0])[0].tolist() == [2, 8]


def test_nothing_beside_a_gap_is_a_peak():
    series = np.array([0, 5, np.nan, 1, 6, 1, 7, 2.0])[:, None]
    day = np.array([0, 1, 2, 3, 4, 5, 6, 20])
    found = find_peaks(series, day, distance=1, prominence=np.zeros(1))[:, 0]
    assert np.flatnonzero(found).tolist() == [4]


def _brute_timing(truth, mean):
    """Return the mean error of one river's peaks, peak by peak, where all days are there."""
    peaks, _ = scipy.signal.find_peaks(truth, distance=100, prominence=np.std(truth))
    errors = []
    for day in peaks:
        if day < 3 or day + 3 >= len(truth):
            continue
        if mean[day] > mean[day - 1] and mean[day] > mean[day + 1]:
            errors.append(0)
        else:
            errors.append(abs(int(np.argmax(mean[day - 3 : day + 4])) - 3))
    return np.mean(errors)


@pytest.mark.parametrize("lag", [0, 1, 2])
def test_timing_is_that_of_every_peak(lag, score):
    truth = _rivers() + 1e-6 * np.random.default_rng(1).normal(size=(len(TIME), 4))
    mean = np.roll(truth, lag, axis=0) + np.random.default_rng(2).normal(0.0, 4.0, truth.shape)
    found = score("peak_timing", _case(truth, mean))
    np.testing.assert_allclose(found, [_brute_timing(truth[:, cell], mean[:, cell]) for cell in range(4)])
    assert (found > 0.0).sum() >= 3


def test_a_river_two_days_late_is_two_days_late(score):
    single = 5.0 + 50.0 * np.exp(-0.5 * ((np.arange(len(TIME)) % 150 - 75) / 6.0) ** 2)[:, None]
    assert score("peak_timing", _case(single, np.roll(single, 2, axis=0)))[0] == 2.0
    assert score("peak_timing", _case(single, np.ones_like(single)))[0] == 3.0  # no peak at all


def test_a_peak_with_a_missing_day_near_does_not_count(score):
    single = 5.0 + 50.0 * np.exp(-0.5 * ((np.arange(len(TIME)) % 150 - 75) / 6.0) ** 2)[:, None]
    mean = single.copy()
    mean[75 + 2] = 99.0
    mean[75] = 0.0  # the first flood is predicted two days late, the others in time
    whole = score("peak_timing", _case(single, mean))[0]
    assert whole == pytest.approx(2.0 / (len(TIME) // 150))
    holed = single.copy()
    holed[75 - 3] = np.nan
    assert score("peak_timing", _case(holed, mean))[0] == 0.0
    kept = np.delete(np.arange(len(TIME)), 75 - 3)
    assert score("peak_timing", _case(single[kept], mean[kept], TIME[kept]))[0] == 0.0


def _brute_mam7(flow, truth):
    """Return MAM7 of one river by pandas: years from the month of most flow of which nine tenths are there."""
    series = pd.Series(np.where(np.isnan(truth), np.nan, flow), pd.DatetimeIndex(TIME))
    begins = pd.Series(truth, series.index).groupby(series.index.month).mean().idxmax()
    year = series.index.year - (series.index.month < begins)
    minima = []
    for _, part in series.groupby(year):
        if part.notna().sum() >= 0.9 * 366:
            minima.append(part.rolling(7).mean().min())
    assert minima
    return np.mean(minima)


def test_low_flow_is_the_mean_of_the_years_seven_day_minima(score):
    rng = np.random.default_rng(4)
    truth = _rivers()
    mean = truth * rng.lognormal(0.0, 0.2, truth.shape)
    truth[rng.random(truth.shape) < 0.02] = np.nan
    truth[800:860, 1] = np.nan  # a year of one river that does not count
    truth[TIME.astype("datetime64[M]") == np.datetime64("2003-05"), 3] += 300.0
    assert len(set(high_flow_month(_case(truth, mean)).tolist())) > 1
    found = score("low_flow_bias", _case(truth, mean))
    for cell in range(4):
        mine, true = (_brute_mam7(flow[:, cell], truth[:, cell]) for flow in (mean, truth))
        assert found[cell] == pytest.approx(100.0 * (mine - true) / true, rel=1e-9)


def test_low_flow_is_scored_once_a_year_on_the_day_of_the_minimum():
    truth, mean = _rivers(), _rivers(seed=1)
    truth[TIME.astype("datetime64[M]").astype(int) % 12 == 3] += 20.0  # most flow in April
    terms = METRICS.get("low_flow_bias")().terms(_case(truth, mean))
    assert ((terms[1] != 0.0).sum(axis=0) == 5).all()  # the sixth year ends in December
    first = np.flatnonzero(terms[1][:, 0])[0]
    assert terms[1][first, 0] == pytest.approx(truth[first - 6 : first + 1, 0].mean())
    weeks = pd.Series(mean[:365, 0]).rolling(7).mean()
    assert terms[0][first, 0] + terms[1][first, 0] == pytest.approx(weeks.min())


def test_a_river_without_whole_years_or_that_runs_dry_has_no_low_flow(score):
    truth = _rivers(2)
    truth[np.arange(len(TIME)) % 5 == 0, 0] = np.nan
    truth[np.arange(len(TIME)) % 180 < 20, 1] = 0.0
    assert np.isnan(score("low_flow_bias", _case(truth, _rivers(2)))).all()


def test_years_begin_with_the_month_of_most_flow_and_no_day_follows_a_gap():
    time = np.array(["2001-03-30", "2001-03-31", "2001-04-01", "2001-04-03", "2001-04-04"], dtype="datetime64[D]")
    flow = np.array([[3.0, 1.0, np.nan], [3.0, 1.0, np.nan], [1.0, 2.0, np.nan], [9.0, 2.0, 1.0], [np.nan, 2.0, 1.0]])
    assert high_flow_month(_case(flow, flow, time)).tolist() == [4, 4, 4]
    flow[3, 0] = 2.0
    assert high_flow_month(_case(flow, flow, time)).tolist() == [3, 4, 4]
    years = years_from(time, 4)
    assert years.label.tolist() == [2000, 2001]
    assert years.edges.tolist() == [[0, 2], [2, 5]]
    assert years.begins.tolist() == [True, False, True, True, False]


@pytest.mark.parametrize("cells", [slice(0, 2), slice(3, 4)])
def test_a_river_is_scored_alike_alone_and_among_others(cells, score):
    case = _case(_rivers(), _rivers(seed=1))
    for name in ("peak_timing", "low_flow_bias"):
        np.testing.assert_allclose(score(name, case.select(cells, -1)), score(name, case)[cells], rtol=1e-12)
