import numpy as np
import pytest
import scipy.stats

from pipeline.metrics import METRICS, Case, PairMetric
from pipeline.metrics.probabilistic import corrected_variance
from pipeline.metrics.sums import chunks
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


@pytest.mark.parametrize("family", ["quantiles", "weighted_mixture"])
def test_of_a_mixture_the_part_between_its_answers_alone_is_corrected(family, make_case):
    cases = [make_case(family, seed=seed, missing=0.0) for seed in range(3)]
    parts = [case.prediction.parameters for case in cases]
    mixed = Prediction(family, cases[0].prediction.formulas.mix(parts))
    aleatoric, epistemic = mixed.variances()
    between = np.stack([case.mean for case in cases]).var(axis=0, ddof=1)
    np.testing.assert_allclose(epistemic, 2 / 3 * between, rtol=1e-6)
    case = Case(mixed, cases[0].truth, cases[0].climatology)
    np.testing.assert_allclose(corrected_variance(case), aleatoric + 4 / 3 * between, rtol=1e-6)
    np.testing.assert_array_equal(corrected_variance(cases[0]), cases[0].prediction.variances()[0])


@pytest.mark.parametrize("family", ["normal", "quantiles", "weighted_mixture"])
def test_spread_of_a_single_distribution_is_its_own(family, make_case, score):
    case = make_case(family, n=5000)
    assert score("spread_skill", case, ONES) == pytest.approx(1.0, abs=0.03)


def test_cells_worked_on_at_a_time_are_fewer_where_there_are_many_quantiles(make_case):
    wide = {
        family: chunks(make_case(family, cells=60), 8 * 120 * 24 * 60)[0].stop for family in ("normal", "quantiles")
    }
    assert wide == {"normal": 60, "quantiles": 60 * 24 // (24 + 4 * 39)}


def test_what_each_prediction_is_scored_by(make_case):
    def names(family, units="mm day-1", **options):
        case = make_case(family, **options)
        alone = (name for name in METRICS.names() if not issubclass(METRICS.get(name), PairMetric))
        return {name for name in alone if METRICS.get(name)().applies(case, units)}

    always = {"rmse", "mae", "bias", "crps", "pearson_r", "sd_ratio", "nse", "acc", "bias_q02", "bias_q98"}
    # Those of days, years and most of fields need dates and a place.
    always |= {"sd_ratio_draws", "wasserstein", "twcrps_q90", "energy_score"}
    distribution = {"crpss", "spread_skill"} | {f"{what}_{p}" for what in ("coverage", "width") for p in (50, 90, 95)}
    always |= {"brier_q90"}
    distribution |= {"sharpness", "cv_spread", "ence", "ause", "miscalibration_area", "pit_index", "pit_coverage_90"}
    distribution |= {"brier_q90_reliability", "brier_q90_resolution"}
    distribution |= {"interval_score_50", "interval_score_90"}
    assert names("point") == always | {"kge"}
    assert names("point", "degC") == always
    assert names("normal") == always | distribution | {"kge", "nll"}
    assert names("mixture") == always | distribution | {"kge", "nll"}
    assert names("mixture", members=1) == always | distribution | {"kge", "nll"}
    assert names("weighted_mixture") == always | distribution | {"kge", "nll"}
    assert names("quantiles") == always | distribution | {"kge"}  # its density ends: one truth beyond makes it infinite
    assert names("members") == always | distribution | {"kge", "crps_fair"}


def test_of_one_member_there_is_no_spread(make_case):
    case = make_case("members", members=1)
    assert not METRICS.get("spread_skill")().applies(case, "K")
    assert METRICS.get("spread_skill")().applies(make_case("members", members=2), "K")
    assert METRICS.get("spread_skill")().applies(make_case("normal"), "K")
