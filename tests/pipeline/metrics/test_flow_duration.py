import array_api_strict
import numpy as np
import pytest

from pipeline.metrics import METRICS, Case
from pipeline.metrics._tails import lowest_sum
from pipeline.prediction import Prediction


@pytest.fixture
def flow():
    """Flow of five basins, one without truth and one that runs dry; resamples of the days, the first of each once."""
    rng = np.random.default_rng(5)
    truth = rng.gamma(0.8, 20.0, (150, 5))
    mean = truth * rng.lognormal(0.1, 0.5, truth.shape)
    truth[rng.random(truth.shape) < 0.1] = np.nan
    truth[:, 1] = np.nan
    truth[::4, 2] = 0.0
    mean[3:5, 3] = -1.0
    counts = np.concatenate([np.ones((1, 150)), rng.multinomial(150, [1 / 150] * 150, size=8)]).T.astype(np.int32)
    point = Prediction("point", {"mean": mean})
    return Case(point, truth, point, units="m3 s-1"), counts


def _brute(case, counts, score):
    """Return a score of two series without gaps, resample by resample and basin by basin."""
    found = np.full((counts.shape[1], case.truth.shape[1]), np.nan)
    for resample in range(counts.shape[1]):
        for cell in range(case.truth.shape[1]):
            days = np.repeat(np.arange(len(counts)), counts[:, resample])
            days = days[np.isfinite(case.truth[days, cell])]
            if len(days):
                least = 1e-6 * np.nanmean(case.truth[:, cell])
                found[resample, cell] = score(case.mean[days, cell], case.truth[days, cell], least)
    return found


def _fhv(mean, truth, least):
    number = round(0.02 * len(truth))
    high_mean, high = (np.sort(flow)[::-1][:number] for flow in (mean, truth))
    return 100.0 * np.sum(high_mean - high) / np.sum(high)


def _flv(mean, truth, least):
    number = round(0.3 * len(truth))
    low_mean, low = (np.log(np.maximum(np.sort(flow)[:number], least)) for flow in (mean, truth))
    above_mean, above = np.sum(low_mean - low_mean.min()), np.sum(low - low.min())
    return -100.0 * (above_mean - above) / above


def _fms(mean, truth, least):
    falls = []
    for flow in (mean, truth):
        logs = np.log(np.maximum(flow, least))
        falls.append(np.quantile(logs, 0.8) - np.quantile(logs, 0.3))
    return 100.0 * (falls[0] - falls[1]) / falls[1]


@pytest.mark.parametrize("kind", [np.asarray, array_api_strict.asarray])
@pytest.mark.parametrize(("name", "brute"), [("fhv", _fhv), ("flv", _flv), ("fms", _fms)])
def test_errors_of_the_curve_are_those_of_every_resample_and_basin(name, brute, kind, flow):
    case, counts = flow
    moved = Case(case.prediction.map(kind), kind(case.truth), case.climatology.map(kind), units=case.units)
    found = np.asarray(METRICS.get(name)().cells(moved, kind(counts)))
    expected = _brute(case, counts, brute)
    assert np.isnan(expected[:, 1]).all()
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize(("name", "expected"), [("fhv", 30.0), ("flv", 0.0), ("fms", 0.0)])
def test_a_factor_moves_the_peaks_and_leaves_the_slopes(name, expected):
    truth = np.random.default_rng(0).gamma(1.0, 10.0, (300, 2)) + 1.0
    point = Prediction("point", {"mean": 1.3 * truth})
    found = METRICS.get(name)().cells(Case(point, truth, point), np.ones((300, 1), np.int32))
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize(("name", "expected"), [("flv", 50.0), ("fms", -50.0)])
def test_the_root_of_the_flow_has_half_its_slope(name, expected):
    truth = np.random.default_rng(0).gamma(1.0, 10.0, (300, 2)) + 1.0
    point = Prediction("point", {"mean": np.sqrt(truth)})
    found = METRICS.get(name)().cells(Case(point, truth, point), np.ones((300, 1), np.int32))
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("name", ["fhv", "flv", "fms"])
@pytest.mark.parametrize("level", [0.0, 4.0])
def test_a_truth_without_such_flow_has_no_score(name, level):
    truth = np.full((60, 1), level)
    point = Prediction("point", {"mean": np.random.default_rng(0).gamma(1.0, 10.0, (60, 1))})
    found = METRICS.get(name)().cells(Case(point, truth, point), np.ones((60, 1), np.int32))
    assert np.isnan(found).all() == (name != "fhv" or level == 0.0)


@pytest.mark.parametrize("share", [0.001, 0.3, 1.0])
def test_lowest_sums_are_those_of_the_repeated_series(share, flow, monkeypatch):
    case, counts = flow
    for _ in range(2):
        tail = lowest_sum(case.truth, counts, share)
        for resample in range(counts.shape[1]):
            for cell in (0, 2, 3, 4):
                series = np.repeat(case.truth[:, cell], counts[:, resample])
                series = np.sort(series[np.isfinite(series)])
                number = max(1, round(share * len(series)))
                assert tail.number[resample, cell] == number
                assert tail.total[resample, cell] == pytest.approx(series[:number].sum(), rel=1e-12)
        assert (tail.number[:, 1] == 0).all()
        assert (tail.total[:, 1] == 0.0).all()
        monkeypatch.setattr("pipeline.metrics._tails._LIMIT", 20)  # two cells at a time, the second time round
