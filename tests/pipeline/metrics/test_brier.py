"""Parts of the Brier score: they add up, are what loops give, and have the values of known forecasts."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from scores import probability

from pipeline.metrics import METRICS, Case
from pipeline.metrics.brier import BINS, brier_parts, probability_sums
from pipeline.metrics.exceedance import chance_and_event, exceedance_sums
from pipeline.prediction import Prediction

CELLS = 6
WEIGHTS = np.array([1.0, 2.0, 0.5, 3.0, 1.5, 0.1])
EVENTS = ("r01", "r10", "r20", "q90")


def _rain(n=400, seed=0, missing=0.1):
    rng, shape = np.random.default_rng(seed), (n, CELLS)
    wet = rng.uniform(0.2, 0.9, shape)
    truth = np.where(rng.random(shape) < wet, rng.gamma(0.7, 9.0, shape), 0.0)
    truth[rng.random(shape) < missing] = np.nan
    parts = {"wet": wet, "shape": np.full(shape, 0.6), "scale": np.full(shape, 11.0)}
    usual = {"wet": np.full(shape, 0.55), "shape": np.full(shape, 0.7), "scale": np.full(shape, 9.0)}
    kind = "bernoulli_gamma"
    time = np.datetime64("2001-01-01", "D") + np.arange(n)
    return Case(Prediction(kind, parts), truth, Prediction(kind, usual), units="mm d-1", time=time)


def _parts(case, event):
    return brier_parts(exceedance_sums(replace(case, weights=WEIGHTS), event).sum(axis=0))


def _loops(chance, event, area):
    """Return the five parts by a loop over bins, from their definitions."""
    total, usual = area.sum(), np.average(event, weights=area)
    found = dict.fromkeys(("reliability", "resolution", "within_variance", "within_covariance"), 0.0)
    for number in range(BINS):
        inside = np.minimum((chance * BINS).astype(int), BINS - 1) == number
        if not inside.any():
            continue
        weight = area[inside]
        p, o = (np.average(values[inside], weights=weight) for values in (chance, event))
        found["reliability"] += weight.sum() / total * (p - o) ** 2
        found["resolution"] += weight.sum() / total * (o - usual) ** 2
        found["within_variance"] += (weight * (chance[inside] - p) ** 2).sum() / total
        found["within_covariance"] += 2 * (weight * (chance[inside] - p) * (event[inside] - o)).sum() / total
    return found | {"uncertainty": usual * (1 - usual)}


@pytest.mark.parametrize("event", EVENTS)
def test_parts_are_what_loops_give_and_add_up_exactly(event):
    case = _rain()
    known = np.isfinite(case.truth)
    chance, happened = (values[known] for values in chance_and_event(case, event))
    area = np.broadcast_to(WEIGHTS, known.shape)[known]
    found = _parts(case, event)
    for name, value in _loops(chance, happened, area).items():
        assert getattr(found, name) == pytest.approx(value, rel=1e-9, abs=1e-14), name
    assert found.score == pytest.approx(np.average((chance - happened) ** 2, weights=area), rel=1e-12)


@pytest.mark.parametrize("event", EVENTS)
def test_registered_parts_add_up_to_the_registered_score(event, binned_score, score):
    case = _rain(seed=1)
    reliability, resolution = (
        binned_score(f"brier_{event}_{part}", case, WEIGHTS) for part in ("reliability", "resolution")
    )
    whole = binned_score if event == "q90" else score
    expected = float(whole(f"brier_{event}", case, WEIGHTS))
    assert reliability - resolution + float(_parts(case, event).uncertainty) == pytest.approx(expected, rel=1e-10)


def test_the_score_of_the_upper_tenth_is_that_of_the_scores_package(binned_score):
    case = _rain(seed=2, missing=0.0)
    threshold = case.climatology.quantile(0.9)
    chance = xr.DataArray(1.0 - case.prediction.cdf(threshold))
    event = xr.DataArray((case.truth > threshold).astype(float))
    expected = probability.brier_score(chance, event, check_args=False)
    assert binned_score("brier_q90", case, np.ones(CELLS)) == pytest.approx(float(expected), rel=1e-9)


def test_the_usual_forecast_has_no_resolution_and_is_reliable(binned_score):
    rng = np.random.default_rng(3)
    shape = (20_000, CELLS)
    usual = Prediction("normal", {"mean": np.full(shape, 4.0), "sd": np.full(shape, 2.0)})
    case = Case(usual, 4.0 + 2.0 * rng.standard_normal(shape), usual)
    assert binned_score("brier_q90_resolution", case, WEIGHTS) == pytest.approx(0.0, abs=1e-12)
    assert binned_score("brier_q90_reliability", case, WEIGHTS) == pytest.approx(0.0, abs=1e-4)
    assert binned_score("brier_q90", case, WEIGHTS) == pytest.approx(0.09, abs=0.002)  # 0.1 times 0.9


def test_sure_and_right_is_all_resolution_and_sure_and_wrong_all_reliability():
    event = np.array([[0.0, 1.0, 1.0, 0.0]])
    right, wrong = (brier_parts(probability_sums(p, event, np.ones((1, 4)))[0]) for p in (event, 1.0 - event))
    assert (right.reliability, right.generalised_resolution, right.score) == (0.0, 0.25, 0.0)
    assert (wrong.reliability, wrong.generalised_resolution, wrong.score) == (1.0, 0.25, 1.0)


def test_half_of_a_chance_has_a_known_reliability():
    """Of an event with chance p, forecast p / 2: the mean of p^2 / 4 is 1 / 12 for p even from 0 to 1."""
    rng = np.random.default_rng(4)
    p = rng.random((1, 400_000))
    found = brier_parts(probability_sums(p / 2, 1.0 * (rng.random(p.shape) < p), np.ones(p.shape))[0])
    assert found.reliability == pytest.approx(1 / 12, abs=0.002)
    assert found.uncertainty == pytest.approx(0.25, abs=1e-3)


def test_a_dry_season_has_rain_as_its_upper_tenth():
    """Where the climatology's quantile is zero, any rain is more, and no rain is not."""
    shape = (1, 3)
    usual = {"wet": np.full(shape, 0.05), "shape": np.ones(shape), "scale": np.ones(shape)}
    wet = Prediction("bernoulli_gamma", {**usual, "wet": np.full(shape, 0.3)})
    case = Case(wet, np.array([[0.0, 0.1, np.nan]]), Prediction("bernoulli_gamma", usual))
    chance, event = chance_and_event(case, "q90")
    assert event[0, :2].tolist() == [0.0, 1.0]
    np.testing.assert_allclose(chance[0, :2], 0.3, rtol=1e-6)


def test_without_truth_there_is_none_and_nan_in_a_probability_is_not_left_out(binned_score):
    case = _rain(n=30)
    gone = replace(case, truth=np.full_like(case.truth, np.nan))
    for part in ("", "_reliability", "_resolution"):
        assert np.isnan(binned_score(f"brier_q90{part}", gone, WEIGHTS))
    sums = probability_sums(np.array([[0.2, np.nan]]), np.zeros((1, 2)), np.ones((1, 2)))
    assert np.isnan(brier_parts(sums[0]).reliability)


def test_they_apply_where_there_is_a_climatology_with_quantiles():
    case = _rain(n=30)
    point = replace(case, climatology=Prediction("point", {"mean": case.truth}))
    for name in ("brier_q90", "brier_q90_reliability", "brier_q90_resolution"):
        metric = METRICS.get(name)()
        assert metric.applies(case, "mm d-1")
        assert not metric.applies(point, "mm d-1")
    single = replace(case, prediction=Prediction("point", {"mean": np.nan_to_num(case.truth)}))
    assert METRICS.get("brier_q90")().applies(single, "mm d-1")
    assert not METRICS.get("brier_q90_resolution")().applies(single, "mm d-1")
    assert not METRICS.get("brier_r01_reliability")().applies(case, "K")
