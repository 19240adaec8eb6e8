import numpy as np
import pytest
import scipy.stats
import xarray as xr
from scores.probability import crps_for_ensemble

from pipeline.prediction import Prediction
from pipeline.prediction.members import crps_ensemble


@pytest.mark.parametrize(("fair", "method"), [(False, "ecdf"), (True, "fair")])
@pytest.mark.parametrize("size", [2, 3, 10])
def test_crps_agrees_with_scores(fair, method, size):
    rng = np.random.default_rng(size)
    members, truth = rng.normal(size=(size, 50)), rng.normal(size=50)
    expected = crps_for_ensemble(
        xr.DataArray(members, dims=("member", "x")),
        xr.DataArray(truth, dims="x"),
        "member",
        method=method,
        preserve_dims="all",
    )
    np.testing.assert_allclose(crps_ensemble(members, truth, fair=fair), expected, atol=1e-12)


def test_crps_is_the_double_sum_over_members():
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=7), 0.3
    pairs = sum(abs(a - b) for a in x for b in x)
    assert crps_ensemble(x, np.array(y)).item() == pytest.approx(np.abs(x - y).mean() - pairs / (2 * 49), rel=1e-12)
    assert crps_ensemble(x, np.array(y), fair=True).item() == pytest.approx(
        np.abs(x - y).mean() - pairs / (2 * 42), rel=1e-12
    )


@pytest.mark.parametrize(("size", "ecdf"), [(2, 0.25261), (5, 0.20218), (10, 0.18535), (50, 0.17187)])
def test_oracle_of_a_heteroscedastic_sine(size, ecdf):
    # Members drawn from the distribution itself: the fair score has no bias, E s / sqrt(pi) = .16866.
    rng = np.random.default_rng(0)
    n = 100_000
    sd = 0.1 + 0.3 * np.abs(np.sin(rng.uniform(-3.0, 3.0, n)))
    members, truth = sd * rng.standard_normal((size, n)), sd * rng.standard_normal(n)
    assert crps_ensemble(members, truth).mean() == pytest.approx(ecdf, abs=2e-3)
    assert crps_ensemble(members, truth, fair=True).mean() == pytest.approx(0.16866, abs=2e-3)


def test_quantile_is_that_of_numpy(make_prediction):
    p = make_prediction("members")
    for level in (0.05, 0.37, 0.5, 0.99):
        np.testing.assert_allclose(p.quantile(level), np.quantile(p.parameters["members"], level, axis=0), rtol=1e-12)


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


def test_one_missing_member_is_not_passed_over():
    members = np.array([1.0, np.nan, 3.0]).reshape(3, 1, 1, 1, 1)
    p = Prediction("members", {"members": members})
    y = np.ones((1, 1, 1, 1))
    for value in (p.mean(), p.quantile(0.1), p.cdf(y), p.crps(y), p.variance()):
        assert np.isnan(value).all()
