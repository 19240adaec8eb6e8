"""Curves for the report: what the scores are made of, with intervals."""

import numpy as np
import pytest

from pipeline.metrics import Case
from pipeline.metrics._spread import area_under
from pipeline.metrics.groups import make_groups
from pipeline.metrics.uncertainty_curves import exceedance_curve, sparsification_curves
from pipeline.prediction import Prediction

CELLS = 6
WEIGHTS = np.array([1.0, 2.0, 0.5, 3.0, 1.5, 0.1])


def _group(n, resamples=200):
    time = np.datetime64("1990-01-01", "D") + np.arange(n)
    noise = np.random.default_rng(9).normal(size=n)
    return make_groups(time, noise, seed=0, purpose="x", resamples=resamples)[0]


def _right(n=3000, level=0.0):
    """Return a case whose mean is known in part: what it says of the upper tenth comes true as often."""
    rng = np.random.default_rng(0)
    mean, sd = level + rng.normal(size=(n, CELLS)), rng.uniform(0.5, 2.0, (n, CELLS))
    usual = {"mean": np.full(mean.shape, level), "sd": np.full(mean.shape, 1.7)}
    truth = mean + sd * rng.standard_normal(mean.shape)
    return Case(Prediction("normal", {"mean": mean, "sd": sd}), truth, Prediction("normal", usual))


def test_the_area_between_the_curves_is_the_score(make_case, binned_score):
    case = make_case("normal", n=400, missing=0.1)
    found = sparsification_curves(case, _group(400), np.ones(CELLS))
    area = area_under(found.share, found.by_spread) - area_under(found.share, found.oracle)
    assert area == pytest.approx(binned_score("ause", case, np.ones(CELLS)), abs=1e-3)  # bins of 0.05 but for a count
    assert found.by_spread[0] == found.oracle[0] == found.random[-1] == 1.0


def test_no_order_leaves_less_than_the_oracle_and_a_right_spread_leaves_less_than_none():
    found = sparsification_curves(_right(), _group(3000), WEIGHTS)
    assert (found.oracle <= found.by_spread + 1e-12).all()
    assert (np.diff(found.oracle) <= 1e-12).all()
    assert found.by_spread[10] < 0.9
    np.testing.assert_array_equal(found.random, 1.0)


def test_leaving_out_half_at_random_leaves_the_error_as_it_is():
    """The curve of random removal by trial."""
    case, rng = _right(), np.random.default_rng(1)
    square = ((case.truth - case.mean) ** 2).ravel()
    left = [rng.permutation(square)[: square.size // 2].mean() for _ in range(50)]
    assert (np.mean(left) / square.mean()) ** 0.5 == pytest.approx(1.0, abs=0.003)


def test_the_reliability_of_a_right_forecast_is_the_diagonal():
    found = exceedance_curve(_right(), _group(3000), WEIGHTS)
    held = found.area > 0.01
    assert held.sum() >= 4
    np.testing.assert_allclose(found.frequency[held], found.probability[held], atol=0.06)
    inside = (found.low <= found.probability) & (found.probability <= found.high)
    assert inside[held].mean() > 0.7
    assert found.area.sum() == pytest.approx(1.0)
    assert float(found.parts.reliability) < 0.001 < float(found.parts.generalised_resolution)


def test_frequencies_are_those_of_a_loop():
    case = _right(n=200)
    found = exceedance_curve(case, _group(200), WEIGHTS)
    threshold = case.climatology.quantile(0.9)
    chance, event = 1.0 - case.prediction.cdf(threshold), case.truth > threshold
    area = np.broadcast_to(WEIGHTS, event.shape)
    for number in range(10):
        inside = np.minimum((chance * 10).astype(int), 9) == number
        if inside.any():
            assert found.frequency[number] == pytest.approx(np.average(event[inside], weights=area[inside]))
            assert found.probability[number] == pytest.approx(np.average(chance[inside], weights=area[inside]))
        else:
            assert np.isnan(found.frequency[number])
            assert found.area[number] == 0.0


def test_without_quantiles_of_a_climatology_there_is_none():
    case = _right(n=50)
    point = Case(case.prediction, case.truth, Prediction("point", {"mean": case.truth}))
    assert exceedance_curve(point, _group(50), WEIGHTS) is None
