"""Calibration by PIT: loops, closed forms, steps of members and dry days."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats

from pipeline.metrics import Case
from pipeline.metrics.diagnostics import diagnose
from pipeline.metrics.pit import LEVELS, pit_sums, steps
from pipeline.prediction import Prediction

CELLS = 6
WEIGHTS = np.array([1.0, 2.0, 0.5, 3.0, 1.5, 0.1])
NAMES = ("miscalibration_area", "pit_index", "pit_coverage_90")


def _both(pit, weights):
    """Return the scores of plain values by loops."""
    observed = [np.average(pit <= level, weights=weights) for level in np.arange(1, 20) / 20]
    area = np.mean([abs(share - level) for share, level in zip(observed, np.arange(1, 20) / 20, strict=True)])
    bins = [np.average((pit > low - 1e-12) & (pit <= low + 0.1), weights=weights) for low in np.arange(10) / 10]
    middle = np.average((pit > 0.05) & (pit <= 0.95), weights=weights)
    return {
        "miscalibration_area": area, "pit_index": sum(abs(share - 0.1) for share in bins), "pit_coverage_90": middle,
    }  # fmt: skip


def _normal(factor, n, seed=0):
    rng = np.random.default_rng(seed)
    sd = rng.uniform(0.5, 2.0, (n, CELLS))
    usual = Prediction("normal", {"mean": 0.0 * sd, "sd": sd})
    return Case(Prediction("normal", {"mean": 0.0 * sd, "sd": factor * sd}), sd * rng.standard_normal(sd.shape), usual)


@pytest.mark.parametrize("name", NAMES)
def test_they_are_what_plain_loops_give(name, make_case, binned_score):
    case = make_case("normal", n=150, missing=0.2)
    known, p = np.isfinite(case.truth), case.prediction.parameters
    pit = scipy.stats.norm.cdf(case.truth, p["mean"], p["sd"])[known]
    expected = _both(pit, np.broadcast_to(WEIGHTS, known.shape)[known])[name]
    assert binned_score(name, case, WEIGHTS) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_steps_of_members_are_the_mean_over_ranks_drawn_at_random(name, make_case, binned_score):
    case = make_case("members", n=80, members=3, missing=0.1, seed=2)
    rounded = case.prediction.map(lambda values: np.round(values / 4.0) * 4.0)  # many ties
    case = replace(case, prediction=rounded, truth=np.round(case.truth / 4.0) * 4.0)
    known, members = np.isfinite(case.truth), rounded.parameters["members"]
    below, equal = ((found).sum(axis=0)[known] for found in (members < case.truth, members == case.truth))
    assert (equal > 0).mean() > 0.2
    rng, share, bins = np.random.default_rng(0), np.zeros(19), np.zeros(10)
    area = np.broadcast_to(WEIGHTS, known.shape)[known]
    for _ in range(3000):
        rank = below + np.floor(rng.random(below.shape) * (equal + 1))
        pit = (rank + rng.random(below.shape)) / 4
        share += [np.average(pit <= level, weights=area) / 3000 for level in LEVELS]
        bins += np.histogram(pit, np.arange(11) / 10, weights=area)[0] / area.sum() / 3000
    expected = {
        "miscalibration_area": np.abs(share - LEVELS).mean(),
        "pit_index": np.abs(bins - 0.1).sum(),
        "pit_coverage_90": share[-1] - share[0],
    }
    assert binned_score(name, case, WEIGHTS) == pytest.approx(expected[name], abs=2e-3)


def test_of_right_forecasts_of_rain_nine_in_ten_lie_in_the_middle(binned_score):
    """Their 90 % intervals hold more, as those that begin at zero hold every dry day."""
    rng = np.random.default_rng(9)
    shape = (4000, CELLS)
    p = {"wet": rng.uniform(0.05, 0.9, shape), "shape": np.full(shape, 0.8), "scale": np.full(shape, 5.0)}
    truth = np.where(rng.random(shape) < p["wet"], rng.gamma(p["shape"], p["scale"]), 0.0)
    forecast = Prediction("bernoulli_gamma", p)
    case = Case(forecast, truth, forecast)
    held = (truth >= forecast.quantile(0.05)) & (truth <= forecast.quantile(0.95))
    assert held.mean() > 0.94
    assert binned_score("pit_coverage_90", case, WEIGHTS) == pytest.approx(0.9, abs=0.01)
    drier = Prediction("bernoulli_gamma", p | {"wet": p["wet"] / 3})
    assert binned_score("pit_coverage_90", Case(drier, truth, forecast), WEIGHTS) < 0.85


@pytest.mark.parametrize("family", ["normal", "mixture", "members"])
def test_a_right_forecast_goes_to_zero(family, make_case, binned_score):
    case = make_case(family, n=8000)
    assert binned_score("miscalibration_area", case, WEIGHTS) < 0.006
    assert binned_score("pit_index", case, WEIGHTS) < 0.05


@pytest.mark.parametrize("factor", [0.5, 0.8, 2.0])
def test_another_spread_has_its_closed_form(factor, binned_score):
    """The PIT of a spread times f is Phi(z / f): at most p with a chance of Phi(f Phi^-1(p))."""
    case = _normal(factor, 30_000)
    observed = scipy.stats.norm.cdf(factor * scipy.stats.norm.ppf(LEVELS))
    ends = scipy.stats.norm.cdf(factor * scipy.stats.norm.ppf(np.arange(11) / 10))
    expected = {
        "miscalibration_area": np.abs(observed - LEVELS).mean(),
        "pit_index": np.abs(np.diff(ends) - 0.1).sum(),
    }
    if factor == 0.5:
        assert expected["miscalibration_area"] == pytest.approx(0.10, abs=0.005)
    for name, number in expected.items():
        assert binned_score(name, case, WEIGHTS) == pytest.approx(number, abs=0.01)


def test_a_true_chance_of_rain_is_calibrated_in_spite_of_its_dry_days(binned_score):
    rng, shape = np.random.default_rng(5), (6000, CELLS)
    wet = rng.uniform(0.1, 0.6, shape)
    truth = np.where(rng.random(shape) < wet, rng.gamma(0.8, 6.0, shape), 0.0)
    rain = Prediction("bernoulli_gamma", {"wet": wet, "shape": np.full(shape, 0.8), "scale": np.full(shape, 6.0)})
    case = Case(rain, truth, rain)
    assert binned_score("miscalibration_area", case, WEIGHTS) < 0.006
    low, high = steps(case)
    np.testing.assert_allclose((high - low)[truth == 0.0], 1.0 - wet[truth == 0.0], atol=1e-6)
    np.testing.assert_allclose((high - low)[truth > 0.0], 0.0, atol=1e-6)


def test_all_truths_beyond_all_members_are_as_wrong_as_can_be(binned_score):
    members = np.zeros((19, 40, CELLS))
    usual = Prediction("point", {"mean": members[0]})
    case = Case(Prediction("members", {"members": members}), np.full((40, CELLS), 7.0), usual)
    assert binned_score("miscalibration_area", case, WEIGHTS) == pytest.approx(0.5)
    assert binned_score("pit_index", case, WEIGHTS) == pytest.approx(1.8)


def test_one_member_that_is_the_truth_is_calibrated_and_one_off_is_not(binned_score):
    """Equal ranks are shared: a member that is always right has the truth below as often as above."""
    members = np.zeros((1, 40, CELLS))
    one = Prediction("members", {"members": members})
    usual = Prediction("point", {"mean": members[0]})
    assert binned_score("pit_index", Case(one, members[0], usual), WEIGHTS) == pytest.approx(0.0, abs=1e-12)
    above = Case(one, members[0] + 1.0, usual)
    assert binned_score("pit_index", above, WEIGHTS) == pytest.approx(1.0)


@pytest.mark.parametrize("name", NAMES)
def test_no_spread_is_all_below_or_above(name, binned_score):
    rng = np.random.default_rng(3)
    truth = rng.standard_normal((400, CELLS))
    case = Case(
        Prediction("normal", {"mean": 0.0 * truth, "sd": 0.0 * truth}), truth, Prediction("point", {"mean": truth})
    )
    assert binned_score(name, case, WEIGHTS) == pytest.approx(
        {"miscalibration_area": 4.5 / 19, "pit_index": 1.6, "pit_coverage_90": 0.0}[name], abs=0.02
    )


@pytest.mark.parametrize("name", NAMES)
def test_order_does_not_matter_and_no_truth_is_no_score(name, make_case, binned_score):
    case = make_case("members", n=60, seed=8)
    rng = np.random.default_rng(0)
    order, members = rng.permutation(60), case.prediction.parameters["members"]
    turned = Prediction("members", {"members": members[rng.permutation(5)][:, order]})
    whole = binned_score(name, case, WEIGHTS)
    assert binned_score(name, Case(turned, case.truth[order], case.climatology), WEIGHTS) == pytest.approx(whole)
    assert np.isnan(binned_score(name, replace(case, truth=np.full_like(case.truth, np.nan)), WEIGHTS))


def test_the_sums_are_those_of_the_histogram_of_the_diagnostics(make_case):
    case = make_case("normal", n=300)
    time = np.datetime64("2000-01-01", "h") + np.arange(300) * np.timedelta64(1, "h")
    drawn = diagnose(case, split="test", variable="x", time=time, weights=np.ones(CELLS), seed=0).pit_count
    below = pit_sums(case).sum(axis=0)
    np.testing.assert_allclose(np.diff([0.0, *below[1:-1:2], below[-1]]), drawn, atol=1e-9)
