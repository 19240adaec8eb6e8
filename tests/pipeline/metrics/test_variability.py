from dataclasses import replace

import numpy as np
import pytest

from pipeline.metrics import METRICS, Case
from pipeline.prediction import Prediction

TIME = np.delete(np.arange("2001-01-01", "2001-12-01", dtype="datetime64[D]"), [*range(40, 44), 200])
CELLS = 3
WEIGHTS = np.array([1.0, 2.0, 0.5])


def _smooth(rng, *lead):
    """Return an AR(1) series with coefficient 0.7."""
    noise = rng.normal(size=(*lead, len(TIME), CELLS))
    for day in range(1, len(TIME)):
        noise[..., day, :] += 0.7 * noise[..., day - 1, :]
    return 280.0 + noise


def _case(family="members", missing=0.1, seed=0):
    rng = np.random.default_rng(seed)
    truth, members = _smooth(rng), _smooth(rng, 4)
    truth[rng.random(truth.shape) < missing] = np.nan
    parameters = {
        "members": {"members": members},
        "point": {"mean": members[0]},
        "normal": {"mean": members[0], "sd": rng.uniform(0.5, 2.0, truth.shape)},
        "mixture": {"mean": members, "sd": rng.uniform(0.5, 2.0, members.shape)},
    }[family]
    usual = Prediction("point", {"mean": np.full_like(truth, 280.0)})
    return Case(Prediction(family, parameters), truth, usual, units="K", time=TIME)


@pytest.mark.parametrize("family", ["members", "point"])
def test_the_deviation_of_members_is_that_of_all_their_days(family, score):
    case = _case(family)
    cells = np.array(
        [case.draws[:, case.valid[:, c], c].std() / case.truth[case.valid[:, c], c].std() for c in range(CELLS)]
    )
    np.testing.assert_allclose(score("sd_ratio_draws", case), cells, rtol=1e-9)
    assert score("sd_ratio_draws", case, WEIGHTS) == pytest.approx(np.average(cells, weights=WEIGHTS), rel=1e-9)


@pytest.mark.parametrize("family", ["normal", "mixture"])
def test_the_deviation_of_a_distribution_is_that_of_ever_more_draws(family, score):
    case = _case(family)
    draws = case.prediction.sample(2000, seed=1)
    for cell, found in enumerate(score("sd_ratio_draws", case)):
        days = case.valid[:, cell]
        assert found == pytest.approx(draws[:, days, cell].std() / case.truth[days, cell].std(), rel=0.01)


def test_a_mean_is_smoother_than_its_days(score):
    case = _case("normal")
    assert score("sd_ratio_draws", case, WEIGHTS) > 1.1 * score("sd_ratio", case, WEIGHTS)
    point = replace(case, prediction=Prediction("point", {"mean": case.mean}))
    assert score("sd_ratio_draws", point, WEIGHTS) == pytest.approx(score("sd_ratio", case, WEIGHTS), rel=1e-9)


def _correlation(case, series, cell):
    pairs = [
        (series[..., k - 1, cell], series[..., k, cell])
        for k in range(1, len(TIME))
        if TIME[k] - TIME[k - 1] == np.timedelta64(1, "D") and case.valid[k, cell] and case.valid[k - 1, cell]
    ]
    before, here = (np.ravel(side) for side in zip(*pairs, strict=True))
    return np.corrcoef(before, here)[0, 1]


@pytest.mark.parametrize("family", ["members", "point"])
def test_neighbouring_days_are_correlated_never_across_a_gap(family, score):
    case = _case(family)
    cells = [_correlation(case, case.draws, cell) - _correlation(case, case.truth, cell) for cell in range(CELLS)]
    np.testing.assert_allclose(score("bias_lag1", case), cells, rtol=1e-9)
    assert score("bias_lag1", case, WEIGHTS) == pytest.approx(np.average(cells, weights=WEIGHTS), rel=1e-9)


def test_years_that_follow_each_other_are_no_gap(score):
    time = np.arange("2001-12-30", "2002-01-03", dtype="datetime64[D]")
    case = _case("point", missing=0.0)
    case = replace(case.select(slice(0, 4), -2), time=time)
    assert METRICS.get("bias_lag1")().terms(case)[0][:, 0].tolist() == [0.0, 1.0, 1.0, 1.0]


def test_draws_without_members_do_not_follow_one_another(score):
    case = _case("normal", missing=0.0)
    flat = replace(case, prediction=Prediction("normal", {"mean": np.full_like(case.truth, 280.0), "sd": np.ones_like(case.truth)}))  # fmt: skip
    expected = [-_correlation(flat, flat.truth, cell) for cell in range(CELLS)]
    np.testing.assert_allclose(score("bias_lag1", flat), expected, atol=0.12)


def test_what_does_not_vary_has_no_correlation_and_no_truth_no_score(score):
    case = _case("point")
    case.prediction.parameters["mean"][:] = 280.0
    expected = [-_correlation(case, case.truth, cell) for cell in range(CELLS)]
    np.testing.assert_allclose(score("bias_lag1", case), expected, rtol=1e-9)
    np.testing.assert_array_equal(score("sd_ratio_draws", case), 0.0)
    case.truth[:, 1] = 280.0
    fresh = Case(case.prediction, case.truth, case.climatology, time=TIME)
    for name in ("bias_lag1", "sd_ratio_draws"):
        assert np.isnan(score(name, fresh)).tolist() == [False, True, False]
        assert np.isfinite(score(name, fresh, WEIGHTS))


def test_days_before_need_dates():
    case = replace(_case(), time=None)
    metric = METRICS.get("bias_lag1")()
    assert not metric.applies(case, "K")
    with pytest.raises(ValueError, match=r"^expected a case that knows its times, got one without\.$"):
        metric.terms(case)
