import numpy as np
import pytest
import xarray as xr
from scores.continuous import interval_score

from pipeline.metrics import METRICS, Case
from pipeline.prediction import Prediction

ONES = np.ones(6)


@pytest.mark.parametrize("percent", [50, 90, 95])
@pytest.mark.parametrize("family", ["normal", "mixture"])
def test_a_true_distribution_covers_what_it_says(percent, family, make_case, score):
    case = make_case(family, n=4000)
    assert score(f"coverage_{percent}", case, ONES) == pytest.approx(percent / 100, abs=0.01)


@pytest.mark.parametrize(("percent", "z"), [(50, 0.6744898), (90, 1.6448536), (95, 1.9599640)])
def test_width_is_the_distance_of_the_quantiles(percent, z, make_case, score):
    case = make_case("normal")
    sd = case.prediction.parameters["sd"][np.isfinite(case.truth)]
    assert score(f"width_{percent}", case, ONES) == pytest.approx(2 * z * sd.mean(), rel=1e-6)


def test_the_interval_is_closed(score):
    members = np.array([0.0, 1.0, 2.0, 3.0, 4.0]).reshape(5, 1, 1)
    usual = Prediction("point", {"mean": np.zeros((1, 1))})
    for truth, inside in ((0.75, 1.0), (3.25, 1.0), (0.749, 0.0), (3.251, 0.0)):
        case = Case(Prediction("members", {"members": members}), np.full((1, 1), truth), usual)
        assert score("coverage_50", case, np.ones(1)) == inside


def test_an_interval_that_is_missing_is_not_a_miss(make_case, score):
    case = make_case("normal", missing=0.0)
    case.prediction.parameters["sd"][3, 2] = np.nan
    assert np.isnan(score("coverage_90", case, ONES))
    assert np.isfinite(np.delete(score("coverage_90", case), 2)).all()


@pytest.mark.parametrize("family", ["normal", "mixture", "members"])
@pytest.mark.parametrize(("percent", "level"), [(50, 0.5), (90, 0.9)])
def test_interval_score_is_its_definition_and_that_of_scores(family, percent, level, make_case, score):
    case = make_case(family)
    lower, upper = (case.prediction.quantile((1 + side * level) / 2) for side in (-1, 1))
    (found,) = METRICS.get(f"interval_score_{percent}")().terms(case)
    for place in zip(*np.nonzero(np.isfinite(case.truth)), strict=True):
        low, high, y, a = lower[place], upper[place], case.truth[place], 1.0 - level
        penalty = 2 / a * (low - y) * (y < low) + 2 / a * (y - high) * (y > high)
        assert found[place] == pytest.approx(high - low + penalty, rel=1e-12)
    low, high, y = (xr.DataArray(values, dims=("time", "cell")) for values in (lower, upper, case.truth))
    expected = float(interval_score(low, high, y, interval_range=level)["total"])
    assert score(f"interval_score_{percent}", case, ONES) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("percent", "z"), [(50, 0.6744898), (90, 1.6448536)])
def test_interval_score_of_a_true_normal_in_closed_form_and_least(percent, z, score):
    # E = 2 z + (2 / a) 2 (phi(z) - z a / 2) = 4 phi(z) / a for a normal of sd 1, a the chance to be outside.
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(100_000, 1))

    def scored(mean, sd):
        p = Prediction("normal", {"mean": np.full_like(truth, mean), "sd": np.full_like(truth, sd)})
        return score(f"interval_score_{percent}", Case(p, truth, p), np.ones(1))

    a = 1 - percent / 100
    best = scored(0.0, 1.0)
    assert best == pytest.approx(4 * np.exp(-z * z / 2) / np.sqrt(2 * np.pi) / a, rel=0.01)
    for mean, sd in ((0.2, 1.0), (0.0, 0.8), (0.0, 1.25)):
        assert scored(mean, sd) > best


def test_an_interval_score_without_an_interval_is_nan(make_case, score):
    case = make_case("normal", missing=0.0)
    case.prediction.parameters["sd"][3, 2] = np.nan
    assert np.isnan(score("interval_score_90", case, ONES))
    assert np.isfinite(np.delete(score("interval_score_90", case), 2)).all()
