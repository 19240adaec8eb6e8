import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from pipeline.prediction import Prediction


def test_formulas_agree_with_scipy(make_prediction, truth):
    p = make_prediction("normal")
    law = scipy.stats.norm(p.parameters["mean"], p.parameters["sd"])
    np.testing.assert_allclose(p.cdf(truth), law.cdf(truth), rtol=1e-12)
    np.testing.assert_allclose(p.quantile(0.9), law.ppf(0.9), rtol=1e-12)
    np.testing.assert_allclose(p.nll(truth), -law.logpdf(truth), rtol=1e-12)
    np.testing.assert_allclose(p.variance(), law.var(), rtol=1e-12)


@pytest.mark.parametrize(("mean", "sd", "y"), [(0.0, 1.0, 0.0), (2.0, 0.5, -1.0), (-1.0, 3.0, 1.0)])
def test_crps_is_the_integral_of_the_squared_distance_of_distribution_functions(mean, sd, y):
    p = Prediction("normal", {"mean": np.full((1, 1, 1, 1), mean), "sd": np.full((1, 1, 1, 1), sd)})
    law = scipy.stats.norm(mean, sd)
    left = scipy.integrate.quad(lambda x: law.cdf(x) ** 2, -40, y)[0]
    right = scipy.integrate.quad(lambda x: law.sf(x) ** 2, y, 40)[0]
    assert p.crps(np.full((1, 1, 1, 1), y)).item() == pytest.approx(left + right, rel=1e-6)


def test_without_spread_it_is_a_point():
    mean = np.array([1.0, 1.0, np.nan]).reshape(3, 1, 1, 1)
    y = np.array([1.0, 3.0, 1.0]).reshape(3, 1, 1, 1)
    p = Prediction("normal", {"mean": mean, "sd": np.zeros_like(mean)})
    np.testing.assert_array_equal(p.crps(y).ravel(), [0.0, 2.0, np.nan])
    np.testing.assert_array_equal(p.cdf(y).ravel(), [1.0, 1.0, np.nan])
    np.testing.assert_array_equal(p.cdf(y - 2.5).ravel(), [0.0, 0.0, np.nan])
    np.testing.assert_array_equal(p.nll(y).ravel(), [-np.inf, np.inf, np.nan])
    np.testing.assert_array_equal(p.quantile(0.1).ravel(), mean.ravel())


def test_oracle_of_a_heteroscedastic_sine():
    # E s / sqrt(pi) = .16866 and the mean of .5 log(2 pi) + .5 + log s = .15931 for s = .1 + .3 |sin x|.
    x = np.random.default_rng(0).uniform(-3.0, 3.0, (400_000, 1, 1, 1))
    sd = 0.1 + 0.3 * np.abs(np.sin(x))
    y = np.sin(x) + sd * np.random.default_rng(1).standard_normal(x.shape)
    p = Prediction("normal", {"mean": np.sin(x), "sd": sd})
    assert p.crps(y).mean() == pytest.approx(0.16866, abs=5e-4)
    assert p.nll(y).mean() == pytest.approx(0.15931, abs=4e-3)
