import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats

from pipeline.prediction import Prediction


def _laws(p):
    return scipy.stats.norm(p.parameters["mean"], p.parameters["sd"])


def test_distribution_function_and_likelihood_agree_with_scipy(make_prediction, truth):
    p = make_prediction("mixture")
    np.testing.assert_allclose(p.cdf(truth), _laws(p).cdf(truth).mean(axis=0), rtol=1e-12)
    expected = -scipy.special.logsumexp(_laws(p).logpdf(truth), axis=0, b=1 / 4)
    np.testing.assert_allclose(p.nll(truth), expected, rtol=1e-12)


def test_variances_follow_the_law_of_total_variance(make_prediction):
    p = make_prediction("mixture")
    mean, sd = p.parameters["mean"], p.parameters["sd"]
    aleatoric, epistemic = p.variances()
    np.testing.assert_allclose(aleatoric, (sd**2).mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(epistemic, mean.var(axis=0), rtol=1e-12)
    second_moment = (mean**2 + sd**2).mean(axis=0) - mean.mean(axis=0) ** 2
    np.testing.assert_allclose(p.variance(), second_moment, atol=1e-6)
    np.testing.assert_allclose(aleatoric + epistemic, second_moment, atol=1e-6)


def test_variances_keep_their_digits_in_float32_far_from_zero():
    mean = np.array([101325.0, 101327.0], np.float32).reshape(2, 1, 1, 1, 1)
    p = Prediction("mixture", {"mean": mean, "sd": np.ones_like(mean)})
    assert p.variances()[1].item() == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize("cell", range(5))
def test_crps_is_the_integral_of_the_squared_distance_of_distribution_functions(cell, make_prediction, truth):
    p = make_prediction("mixture")
    place = (cell, 1, 2, 0)
    mean, sd = (p.parameters[name][(slice(None), *place)] for name in ("mean", "sd"))
    y = truth[place]

    def cdf(x):
        return scipy.stats.norm.cdf(x, mean, sd).mean()

    left = scipy.integrate.quad(lambda x: cdf(x) ** 2, -40, y, limit=200)[0]
    right = scipy.integrate.quad(lambda x: (1 - cdf(x)) ** 2, y, 40, limit=200)[0]
    assert p.crps(truth)[place] == pytest.approx(left + right, rel=1e-6)


def test_one_member_is_the_normal(make_prediction, truth):
    mixture = make_prediction("mixture", members=1)
    normal = Prediction("normal", {name: values[0] for name, values in mixture.parameters.items()})
    for ask in ("crps", "nll", "cdf"):
        np.testing.assert_allclose(getattr(mixture, ask)(truth), getattr(normal, ask)(truth), rtol=1e-12)
    np.testing.assert_allclose(mixture.quantile(0.3), normal.quantile(0.3), rtol=1e-9)


def test_crps_without_spread_is_that_of_the_members(make_prediction, truth):
    members = make_prediction("members")
    values = members.parameters["members"]
    mixture = Prediction("mixture", {"mean": values, "sd": np.zeros_like(values)})
    np.testing.assert_allclose(mixture.crps(truth), members.crps(truth), atol=1e-12)
    np.testing.assert_allclose(mixture.cdf(values[0]), members.cdf(values[0]), atol=1e-12)
    assert np.isposinf(mixture.nll(truth)).all()
    assert np.isneginf(mixture.nll(values[1])).all()


@pytest.mark.parametrize("level", [0.001, 0.05, 0.5, 0.95, 0.999])
@pytest.mark.parametrize("apart", [0.1, 1.0, 30.0])
def test_quantile_inverts_the_distribution_function(level, apart):
    rng = np.random.default_rng(2)
    mean, sd = rng.normal(280.0, apart, (5, 40, 1, 3, 3)), rng.uniform(0.01, 2.0, (5, 40, 1, 3, 3))
    p = Prediction("mixture", {"mean": mean, "sd": sd})
    np.testing.assert_allclose(p.cdf(p.quantile(level)), level, atol=1e-7)


def test_quantile_finds_the_step_of_members_without_spread():
    mean = np.array([1.0, 2.0, 4.0]).reshape(3, 1, 1, 1, 1)
    p = Prediction("mixture", {"mean": mean, "sd": np.zeros_like(mean)})
    assert p.quantile(0.2).item() == pytest.approx(1.0, abs=1e-6)
    assert p.quantile(0.5).item() == pytest.approx(2.0, abs=1e-6)
    assert p.quantile(0.9).item() == pytest.approx(4.0, abs=1e-6)


def test_quantile_passes_nan_on_and_spoils_no_other_cell(make_prediction):
    p = make_prediction("mixture")
    broken = p.map(np.copy)
    broken.parameters["sd"][2, 0, 0, 0, 0] = np.nan
    expected = p.quantile(0.8).copy()
    expected[0, 0, 0, 0] = np.nan
    np.testing.assert_array_equal(broken.quantile(0.8), expected)


def test_quantile_of_nothing_is_empty():
    p = Prediction("mixture", {"mean": np.zeros((2, 0, 1, 3, 3)), "sd": np.ones((2, 0, 1, 3, 3))})
    assert p.quantile(0.5).shape == (0, 1, 3, 3)
