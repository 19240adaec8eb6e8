"""Scores of the upper tail: the CRPS above a threshold, per day and cell or fixed."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
import xarray as xr
from scores.probability import tail_tw_crps_for_ensemble

from pipeline.metrics import METRICS, Case
from pipeline.metrics.evaluate import evaluate
from pipeline.prediction import Prediction

ONES = np.ones(6)
Q90 = 8.0 + 3.3 * scipy.stats.norm.ppf(0.9)  # of the climatology that cases have


def _daily(case, units="mm day-1"):
    return replace(case, units=units, time=np.datetime64("2001-01-01", "D") + np.arange(len(case.truth)))


@pytest.mark.parametrize("family", ["point", "normal", "mixture", "members"])
def test_it_is_the_mean_score_above_the_quantile_of_the_climatology(family, make_case, score):
    case = make_case(family)
    expected = case.prediction.tail_crps(case.truth, np.full(case.truth.shape, Q90))
    assert score("twcrps_q90", case, ONES) == pytest.approx(np.nanmean(expected), rel=1e-6)


def test_every_day_and_cell_has_a_threshold_of_its_own(make_case, score):
    case = make_case("members")
    usual = np.random.default_rng(3).normal(9.0, 2.0, (25, *case.truth.shape))
    case = replace(case, climatology=Prediction("members", {"members": usual}))
    chained = np.quantile(usual, 0.9, axis=0, method="hazen")
    v = np.maximum(case.prediction.parameters["members"], chained)
    y = np.maximum(case.truth, chained)
    crps = np.abs(v - y).mean(axis=0) - np.abs(v[:, None] - v[None, :]).mean(axis=(0, 1)) / 2
    assert score("twcrps_q90", case, ONES) == pytest.approx(np.nanmean(crps), rel=1e-10)


def test_above_ten_millimetres_it_is_that_of_scores_in_any_units(make_case, score):
    case = _daily(make_case("members"))
    expected = tail_tw_crps_for_ensemble(
        xr.DataArray(case.prediction.parameters["members"], dims=("member", "time", "cell")),
        xr.DataArray(case.truth, dims=("time", "cell")), "member", 10.0, tail="upper",
    )  # fmt: skip
    assert score("twcrps_r10", case, ONES) == pytest.approx(float(expected), rel=1e-12)
    metres = replace(case, prediction=case.prediction.map(lambda x: x / 1000), truth=case.truth / 1000, units="m day-1")
    assert score("twcrps_r10", metres, ONES) == pytest.approx(float(expected) / 1000, rel=1e-9)


def test_a_point_forecast_is_scored_by_what_is_above(make_case, score):
    case = make_case("point")
    above = np.abs(np.maximum(case.mean, Q90) - np.maximum(case.truth, Q90))
    assert score("twcrps_q90", case, ONES) == pytest.approx(np.nanmean(above), rel=1e-12)
    perfect = Case(Prediction("point", {"mean": np.nan_to_num(case.truth)}), case.truth, case.climatology)
    assert score("twcrps_q90", perfect, ONES) == 0.0


def test_it_looks_at_the_upper_tail_alone_and_is_at_most_the_whole_score(make_case, score):
    case = make_case("normal", n=400)
    mean, sd = case.prediction.parameters["mean"], case.prediction.parameters["sd"]
    # Whoever forecasts low days still lower is as good above the threshold.
    low = mean + 5 * sd < Q90
    other = replace(case, prediction=Prediction("normal", {"mean": np.where(low, mean - 9.0, mean), "sd": sd}))
    assert score("twcrps_q90", other, ONES) == pytest.approx(score("twcrps_q90", case, ONES), rel=1e-4)
    assert score("crps", other, ONES) > 1.5 * score("crps", case, ONES)
    assert score("twcrps_q90", case, ONES) < score("crps", case, ONES)


def test_permuting_members_and_samples_changes_nothing(make_case, score):
    case, rng = make_case("members"), np.random.default_rng(0)
    people, times = rng.permutation(5), rng.permutation(len(case.truth))
    members = case.prediction.parameters["members"][people]
    other = replace(case, prediction=Prediction("members", {"members": members})).select(times, -2)
    for name in ("twcrps_q90", "crps", "crps_fair", "interval_score_90"):
        assert score(name, other, ONES) == pytest.approx(score(name, case, ONES), rel=1e-12)


def test_where_they_mean_something(make_case):
    case = make_case("normal")
    r10, q90 = (METRICS.get(f"twcrps_{name}")() for name in ("r10", "q90"))
    assert r10.applies(_daily(case), "mm day-1")
    assert not r10.applies(_daily(case, "K"), "K")
    assert not r10.applies(case, "mm day-1")  # it does not know its days
    assert q90.applies(case, "K")
    assert not q90.applies(replace(case, climatology=Prediction("point", {"mean": case.mean})), "K")


def test_it_is_scored_in_the_units_of_the_target(make_case, winters):
    cases = {"unet": {"pr": make_case("mixture", n=len(winters))}}
    found = evaluate(
        cases, split="test", time=winters, weights=ONES, units={"pr": "mm day-1"}, seed=0, resamples=20,
        metrics=("twcrps_q90", "twcrps_r10", "energy_score", "interval_score_90"),
    )  # fmt: skip
    rows = [row for row in found.scores if row.group == "all"]
    assert [row.units for row in rows] == ["mm day-1"] * 4
    assert all(row.low <= row.value <= row.high for row in rows)
