import numpy as np
import pytest
import scipy.stats

from pipeline.metrics import METRICS, Case, PairMetric
from pipeline.metrics.probabilistic import corrected_variance
from pipeline.prediction import Prediction

ONES = np.ones(6)


def _valid(case, values):
    return values[np.isfinite(case.truth)]


def test_crps_of_a_point_forecast_is_its_mean_absolute_error(make_case, score):
    case = make_case("point")
    assert score("crps", case, ONES) == score("mae", case, ONES)


@pytest.mark.parametrize("family", ["normal", "mixture", "members"])
def test_crps_is_the_mean_of_the_exact_score(family, make_case, score):
    case = make_case(family)
    expected = _valid(case, case.prediction.crps(case.truth)).mean()
    assert score("crps", case, ONES) == pytest.approx(expected, rel=1e-12)


def test_crps_skill_is_against_the_climatology(make_case, score):
    case = make_case("normal")
    usual = _valid(case, case.climatology.crps(case.truth)).mean()
    expected = 1.0 - _valid(case, case.prediction.crps(case.truth)).mean() / usual
    assert score("crpss", case, ONES) == pytest.approx(expected, rel=1e-12)
    same = Case(case.climatology, case.truth, case.climatology)
    assert score("crpss", same, ONES) == pytest.approx(0.0, abs=1e-12)


def test_likelihood_agrees_with_scipy(make_case, score):
    case = make_case("normal")
    p = case.prediction.parameters
    expected = -scipy.stats.norm.logpdf(case.truth, p["mean"], p["sd"])
    assert score("nll", case, ONES) == pytest.approx(np.nanmean(expected), rel=1e-12)


def test_fair_crps_does_not_depend_on_the_number_of_members(make_case, score):
    few = make_case("members", n=4000, members=2, missing=0.0)
    many = make_case("members", n=4000, members=40, missing=0.0)
    assert score("crps", few, ONES) > 1.2 * score("crps", many, ONES)
    assert score("crps_fair", few, ONES) == pytest.approx(score("crps_fair", many, ONES), rel=0.05)


@pytest.mark.parametrize(("size", "raw"), [(2, 0.8174), (5, 0.9134), (10, 0.9545), (50, 0.9911)])
def test_spread_matches_error_for_any_number_of_members(size, raw, score):
    # Members and truth from one heteroscedastic law: without the correction the ratio falls to `raw`.
    rng = np.random.default_rng(size)
    sd = 0.1 + 0.3 * np.abs(np.sin(rng.uniform(-3.0, 3.0, (60_000, 1))))
    members, truth = sd * rng.standard_normal((size, 60_000, 1)), sd * rng.standard_normal((60_000, 1))
    case = Case(Prediction("members", {"members": members}), truth, Prediction("point", {"mean": truth * 0}))
    ratio = score("spread_skill", case, np.ones(1))
    assert ratio == pytest.approx(1.0, abs=0.02)
    assert ratio * np.sqrt(size / (size + 1)) == pytest.approx(raw, abs=0.02)


def test_only_the_part_between_members_is_corrected():
    rng = np.random.default_rng(0)
    mean, sd = rng.normal(size=(4, 10, 3)), rng.uniform(1, 2, (4, 10, 3))
    truth = np.zeros((10, 3))
    case = Case(Prediction("mixture", {"mean": mean, "sd": sd}), truth, Prediction("point", {"mean": truth}))
    expected = (sd**2).mean(axis=0) + 5 / 4 * mean.var(axis=0, ddof=1)
    np.testing.assert_allclose(corrected_variance(case), expected, rtol=1e-12)
    one = Case(case.prediction.map(lambda array: array[:1]), truth, case.climatology)
    np.testing.assert_allclose(corrected_variance(one), sd[0] ** 2, rtol=1e-12)


def test_spread_of_a_normal_is_its_own(make_case, score):
    case = make_case("normal", n=5000)
    assert score("spread_skill", case, ONES) == pytest.approx(1.0, abs=0.03)


def test_what_each_prediction_is_scored_by(make_case):
    def names(family, units="mm day-1", **options):
        case = make_case(family, **options)
        alone = (name for name in METRICS.names() if not issubclass(METRICS.get(name), PairMetric))
        return {name for name in alone if METRICS.get(name)().applies(case, units)}

    always = {"rmse", "mae", "bias", "crps", "pearson_r", "sd_ratio", "nse", "acc", "bias_q02", "bias_q98"}
    always |= {"sd_ratio_draws", "wasserstein"}  # those of days, years and fields need dates and a place
    distribution = {"crpss", "spread_skill"} | {f"{what}_{p}" for what in ("coverage", "width") for p in (50, 90, 95)}
    assert names("point") == always | {"kge"}
    assert names("point", "degC") == always
    assert names("normal") == always | distribution | {"kge", "nll"}
    assert names("mixture") == always | distribution | {"kge", "nll"}
    assert names("mixture", members=1) == always | distribution | {"kge", "nll"}
    assert names("members") == always | distribution | {"kge", "crps_fair"}
