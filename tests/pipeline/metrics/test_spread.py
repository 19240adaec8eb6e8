"""Spread against error: loops, closed forms, limits."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from pipeline.metrics import Case
from pipeline.metrics._spread import BINS as FINE
from pipeline.metrics._spread import equal_bins, sparsification
from pipeline.metrics.spread import BINS
from pipeline.prediction import Prediction

CELLS = 6
WEIGHTS = np.array([1.0, 2.0, 0.5, 3.0, 1.5, 0.1])
NAMES = ("ence", "ause", "sharpness", "cv_spread")


@pytest.fixture
def value(binned_score, score):
    """Function from a name and a case to a score of any kind."""

    def run(name, case, weights=WEIGHTS):
        scored = binned_score if name in ("ence", "ause") else score
        return float(scored(name, case, weights))

    return run


def _normal(sd, error, truth=None):
    truth = np.zeros(sd.shape) if truth is None else truth
    usual = Prediction("normal", {"mean": np.zeros(sd.shape), "sd": np.ones(sd.shape)})
    return Case(Prediction("normal", {"mean": truth + error, "sd": sd}), truth, usual)


def _right(n=4000, seed=0, factor=1.0):
    """Return a case whose errors have `sd` as deviation, and that predicts `factor` of it."""
    rng = np.random.default_rng(seed)
    sd = rng.uniform(0.5, 2.0, (n, CELLS))
    return _normal(factor * sd, sd * rng.standard_normal(sd.shape))


def _loops(case, weights):
    """Return all four scores by plain loops over sorted values."""
    known = np.isfinite(case.truth)
    p = case.prediction.parameters
    sd, square = p["sd"][known], ((p["mean"] - case.truth) ** 2)[known]
    area = np.broadcast_to(weights, known.shape)[known]
    order, worst = np.argsort(sd), np.argsort(square)
    ence = 0.0
    fine = np.array_split(order, FINE)
    for number in range(BINS):
        index = np.concatenate(fine[number * FINE // BINS : (number + 1) * FINE // BINS])
        rmv = np.sqrt(np.average(sd[index] ** 2, weights=area[index]))
        rmse = np.sqrt(np.average(square[index], weights=area[index]))
        ence += area[index].sum() / area.sum() * abs(rmv - rmse) / rmv
    under = []
    for by in (fine, np.array_split(worst, FINE)):
        shares, errors = [], []
        for left in range(FINE, 0, -1):
            index = np.concatenate(by[:left])
            shares.append(1 - area[index].sum() / area.sum())
            errors.append(np.sqrt(np.average(square[index], weights=area[index])))
        shares, errors = [*shares, 1.0], np.array([*errors, errors[-1]]) / errors[0]
        under.append(np.trapezoid(errors, shares))
    mean = np.average(sd, weights=area)
    return {
        "ence": ence,
        "ause": under[0] - under[1],
        "sharpness": np.sqrt(np.average(sd**2, weights=area)),
        "cv_spread": np.sqrt(np.average((sd - mean) ** 2, weights=area)) / mean,
    }


@pytest.mark.parametrize("name", NAMES)
def test_they_are_what_plain_loops_give(name, make_case, value):
    case = make_case("normal", n=171, missing=0.15, seed=4)
    assert value(name, case) == pytest.approx(_loops(case, WEIGHTS)[name], rel=1e-10)


def test_a_right_forecast_has_an_ence_that_goes_to_zero(value):
    few, many = (value("ence", _right(n)) for n in (200, 20_000))
    assert many < 0.01
    assert many == pytest.approx(few / 10, rel=0.8)  # as the root of the number of times


@pytest.mark.parametrize(("factor", "expected"), [(0.5, 1.0), (2.0, 0.5), (0.8, 0.25)])
def test_another_spread_has_the_ence_of_its_ratio(factor, expected, value):
    assert value("ence", _right(20_000, factor=factor)) == pytest.approx(expected, abs=0.01)


def test_a_constant_spread_may_have_no_ence_and_does_not_vary(value):
    rng = np.random.default_rng(1)
    case = _normal(np.full((20_000, CELLS), 1.3), 1.3 * rng.standard_normal((20_000, CELLS)))
    assert value("ence", case) < 0.01
    assert value("cv_spread", case) == pytest.approx(0.0, abs=1e-5)
    assert value("sharpness", case) == pytest.approx(1.3)


def test_variation_of_an_even_spread_is_that_of_the_uniform_distribution(value):
    # Of sd even between 0.5 and 2: a deviation of 1.5 / sqrt(12) and a mean of 1.25.
    assert value("cv_spread", _right(20_000)) == pytest.approx(1.5 / 12**0.5 / 1.25, rel=0.01)
    assert value("sharpness", _right(20_000)) == pytest.approx((1.5**2 / 12 + 1.25**2) ** 0.5, rel=0.01)


def test_an_oracle_whose_spread_is_the_error_has_no_ause(value):
    rng = np.random.default_rng(2)
    error = rng.standard_normal((500, CELLS))
    assert value("ause", _normal(np.abs(error), error)) == pytest.approx(0.0, abs=1e-12)
    assert value("ause", _normal(3.0 * np.abs(error), error)) == pytest.approx(0.0, abs=1e-12)
    worst = value("ause", _normal(1.0 / np.abs(error), error))
    assert worst > value("ause", _right()) > 0.2


def _oracle_area():
    """Return the area under the curve of normal errors, the largest left out first, in twenty steps."""

    def left(share):
        limit = scipy.stats.norm.ppf(1 - share / 2) if share else 40.0
        second = scipy.integrate.quad(lambda z: 2 * z * z * scipy.stats.norm.pdf(z), 0, limit, epsabs=1e-12)[0]
        return (second / (1 - share)) ** 0.5

    errors = [left(step / FINE) for step in range(FINE)]
    return np.trapezoid([*errors, errors[-1]], np.arange(FINE + 1) / FINE)


def test_a_spread_that_says_nothing_has_the_ause_of_leaving_out_at_random(value):
    rng = np.random.default_rng(3)
    error = rng.standard_normal((20_000, CELLS))
    expected = 1.0 - _oracle_area()
    assert expected == pytest.approx(0.59, abs=0.005)
    assert value("ause", _normal(np.ones(error.shape), error)) == pytest.approx(expected, abs=0.005)
    assert value("ause", _normal(rng.uniform(0.5, 2.0, error.shape), error)) == pytest.approx(expected, abs=0.01)


def test_ause_of_a_right_forecast_has_its_closed_form(value):
    """Errors of two kinds, a quarter of them with three times the deviation: what is left has a known RMSE."""
    rng = np.random.default_rng(5)
    sd = np.where(rng.random((40_000, CELLS)) < 0.25, 3.0, 1.0)
    case = _normal(sd, sd * rng.standard_normal(sd.shape))
    share, error = _curves(case)[0]
    np.testing.assert_allclose(share[:2], [0.0, 0.25], atol=0.005)
    assert error[1] == pytest.approx((1.0 / 3.0) ** 0.5, abs=0.01)  # of a variance of 3 in all, 1 is left


def _curves(case):
    from pipeline.metrics._spread import spread_sums

    by_spread, by_error = spread_sums(replace(case, weights=np.ones(CELLS)), np.arange(len(case.truth)))
    pairs = (by_spread[..., [0, 2]].sum(axis=0), by_error.sum(axis=0))
    # Equal spread shares a bin: empty ones move nothing.
    curves = [sparsification(pair[:, 0], pair[:, 1]) for pair in pairs]
    return [
        (np.unique(share.round(9)), error[np.unique(share.round(9), return_index=True)[1]]) for share, error in curves
    ]


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_members_and_times_changes_nothing(name, make_case, value):
    case = make_case("members", n=90, seed=6)
    rng = np.random.default_rng(0)
    members, order = case.prediction.parameters["members"], rng.permutation(90)
    turned = Prediction("members", {"members": members[rng.permutation(5)][:, order]})
    other = Case(turned, case.truth[order], case.climatology)
    assert value(name, other) == pytest.approx(value(name, case), rel=1e-10)


def test_ties_of_spread_do_not_depend_on_their_order(value):
    rng = np.random.default_rng(7)
    sd, error = rng.choice([0.5, 1.0, 2.0], (300, CELLS)), rng.standard_normal((300, CELLS))
    order = rng.permutation(300)
    equal = np.ones(CELLS)
    for name in NAMES:
        one, other = value(name, _normal(sd, error), equal), value(name, _normal(sd[order], error[order]), equal)
        assert other == pytest.approx(one, rel=1e-10)


def test_few_members_have_a_higher_ence_and_ause_than_many(value):
    """As said in the module: the spread of few is known badly (Spaeth and Roberts 2026)."""
    rng = np.random.default_rng(8)
    sd = rng.uniform(0.5, 2.0, (2000, CELLS))
    truth = sd * rng.standard_normal(sd.shape)
    usual = Prediction("normal", {"mean": 0.0 * sd, "sd": sd})
    few, many = (
        Case(Prediction("members", {"members": sd * rng.standard_normal((size, *sd.shape))}), truth, usual)
        for size in (4, 80)
    )
    assert value("ence", few) > value("ence", many) + 0.1
    assert value("ause", few) > value("ause", many) + 0.02


def test_no_spread_at_all(value):
    error = np.random.default_rng(9).standard_normal((400, CELLS))
    none = _normal(np.zeros(error.shape), error)
    one = Case(Prediction("members", {"members": error[None]}), np.zeros(error.shape), none.climatology)
    for case in (none, one):
        assert np.isnan(value("ence", case))
        assert np.isnan(value("cv_spread", case))
        assert value("sharpness", case) == 0.0
        assert value("ause", case) == pytest.approx(1.0 - _oracle_area(), abs=0.04)


def test_sure_and_right_is_perfect(value):
    sd = np.zeros((50, CELLS))
    assert value("ence", _normal(sd, sd)) == 0.0
    assert value("ause", _normal(sd, sd)) == 0.0


def test_without_truth_there_is_none(value, make_case):
    case = make_case("normal", n=30)
    case.truth[:] = np.nan
    for name in NAMES:
        assert np.isnan(value(name, case))


def test_of_three_values_the_two_smallest_share_a_bin(value):
    """Twenty bins, taken two by two: the first value is in the first bin, the second in the second."""
    error, sd = np.array([[1.0, 2.0, 3.0, 9.0, 9.0, 9.0]]), np.array([[0.6, 1.1, 1.6, 1.0, 1.0, 1.0]])
    case = _normal(sd, error)
    case.truth[0, 3:] = np.nan
    spread = np.array([np.average([0.6**2, 1.1**2], weights=[1.0, 2.0]) ** 0.5, 1.6])
    rmse = np.array([np.average([1.0, 4.0], weights=[1.0, 2.0]) ** 0.5, 3.0])
    assert value("ence", case) == pytest.approx(np.average(np.abs(spread - rmse) / spread, weights=[3.0, 0.5]))


def test_bins_hold_equal_counts_as_far_as_ties_allow():
    values = np.random.default_rng(10).normal(size=(7, 9))
    known = np.full(values.shape, True)
    known[0] = False
    count = np.bincount(equal_bins(values, known, 5)[known], minlength=5)
    assert count.max() - count.min() <= 1
    assert equal_bins(np.ones((3, 4)), np.full((3, 4), True), 5).ravel().tolist() == [4] * 12
    assert equal_bins(values, np.zeros_like(known), 5).max() == 0
