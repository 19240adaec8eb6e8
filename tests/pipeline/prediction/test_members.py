import array_api_strict
import numpy as np
import pytest
import scipy.stats

from pipeline.prediction import Prediction
from pipeline.prediction.members import filled


def test_quantile_is_numpys_of_type_5(make_prediction):
    p = make_prediction("members")
    for level in (0.05, 0.37, 0.5, 0.99):
        expected = np.quantile(p.parameters["members"], level, axis=0, method="hazen")
        np.testing.assert_allclose(p.quantile(level), expected, rtol=1e-12)


@pytest.mark.parametrize("size", [10, 20, 50])
def test_an_interval_of_members_holds_the_share_of_further_draws_that_is_said(size):
    drawn = np.random.default_rng(size).random((size + 1, 60_000)).reshape(size + 1, 1, 1, 1, -1)
    p, truth = Prediction("members", {"members": drawn[1:]}), drawn[0]
    held = np.mean((truth >= p.quantile(0.05)) & (truth <= p.quantile(0.95)))
    assert held == pytest.approx(0.9 * size / (size + 1), abs=4 * np.sqrt(0.09 / 60_000))


def test_distribution_function_is_that_of_scipy(make_prediction, truth):
    p = make_prediction("members")
    members = p.parameters["members"].reshape(4, -1)
    expected = [scipy.stats.ecdf(x).cdf.evaluate(y) for x, y in zip(members.T, truth.ravel(), strict=True)]
    np.testing.assert_allclose(p.cdf(truth).ravel(), expected, atol=1e-12)


def test_all_variance_is_between_members_and_there_is_no_density(make_prediction, truth):
    p = make_prediction("members")
    aleatoric, epistemic = p.variances()
    assert aleatoric is None
    np.testing.assert_allclose(epistemic, p.parameters["members"].var(axis=0), rtol=1e-12)
    assert np.isnan(p.nll(truth)).all()


@pytest.fixture
def gaps():
    """Members of which some are missing: in one cell all, in one all but one, in one none."""
    rng = np.random.default_rng(2)
    members = rng.normal(size=(7, 40, 1, 2, 3)).astype(np.float32)
    members[rng.random(members.shape) < 0.3] = np.nan
    members[:, 0, 0, 0, 0] = np.nan
    members[:, 1, 0, 0, 0] = [np.nan] * 4 + [1.0] + [np.nan] * 2
    members[:, 2, 0, 0, 0] = np.arange(7.0)
    return members


@pytest.mark.parametrize("kind", [np.asarray, array_api_strict.asarray])
def test_members_that_are_missing_leave_the_distribution_to_the_others(gaps, kind):
    p = Prediction("members", {"members": kind(gaps)})
    truth = np.random.default_rng(3).normal(size=gaps.shape[1:]).astype(np.float32)
    answers = {
        "mean": (p.mean(), lambda x, y: x.mean()),
        "variance": (p.variance(), lambda x, y: x.var()),
        "low": (p.quantile(0.05), lambda x, y: np.quantile(x, 0.05, method="hazen")),
        "high": (p.quantile(0.9), lambda x, y: np.quantile(x, 0.9, method="hazen")),
        "cdf": (p.cdf(kind(truth)), lambda x, y: (x <= y).mean()),
        "exceedance": (p.exceedance(kind(truth)), lambda x, y: (x >= y).mean()),
        "crps": (
            p.crps(kind(truth)),
            lambda x, y: np.abs(x - y).mean() - np.abs(x[:, None] - x[None, :]).mean() / 2,
        ),
    }
    for found, formula in answers.values():
        assert found.dtype == kind(truth).dtype
        for cell in np.ndindex(truth.shape):
            x = gaps[(slice(None), *cell)].astype(float)
            x = x[~np.isnan(x)]
            expected = formula(x, float(truth[cell])) if len(x) else np.nan
            assert np.asarray(found)[cell] == pytest.approx(expected, rel=1e-5, abs=1e-6, nan_ok=True)


def test_a_gap_in_one_cell_changes_nothing_in_others(gaps):
    whole = np.random.default_rng(4).normal(size=gaps.shape)
    broken = whole.copy()
    broken[1, 5, 0, 1, 1] = np.nan
    elsewhere = np.ones(gaps.shape[1:], bool)
    elsewhere[5, 0, 1, 1] = False
    one, other = (Prediction("members", {"members": values}) for values in (whole, broken))
    for answer in (
        lambda p: p.mean(),
        lambda p: p.variance(),
        lambda p: p.quantile(0.3),
        lambda p: p.cdf(whole[0]),
        lambda p: p.crps(whole[0] + 0.1),
        lambda p: p.sample(1, seed=3)[0],
    ):
        np.testing.assert_allclose(answer(other)[elsewhere], answer(one)[elsewhere], rtol=1e-12)


def test_draws_are_of_the_members_that_are_there():
    members = np.array([[0.0, 0.0], [np.nan, 1.0], [2.0, 2.0], [np.nan, 3.0], [4.0, 4.0]]).reshape(5, 1, 1, 1, 2)
    draws = Prediction("members", {"members": members}).sample(30_000, seed=1).reshape(-1, 2)
    for cell, values in enumerate(([0.0, 2.0, 4.0], [0.0, 1.0, 2.0, 3.0, 4.0])):
        found, counts = np.unique(draws[:, cell], return_counts=True)
        np.testing.assert_array_equal(found, values)
        np.testing.assert_allclose(counts / len(draws), 1 / len(values), atol=0.02)


def test_filled_members_take_what_the_next_one_has(gaps):
    found = filled(gaps)
    size = len(gaps)
    for place in np.ndindex(gaps.shape):
        following = [gaps[((place[0] + step) % size, *place[1:])] for step in range(size)]
        there = [value for value in following if not np.isnan(value)]
        np.testing.assert_array_equal(found[place], there[0] if there else np.nan)
    strict = array_api_strict.asarray(gaps)
    np.testing.assert_array_equal(np.asarray(filled(strict)), found)
    assert filled(whole := np.ones((3, 2))) is whole
