import itertools
import time

import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from pipeline.prediction import Prediction

NAMES = ("wet", "shape", "scale")


def _single(p, member=0):
    return Prediction("bernoulli_gamma", {name: values[member] for name, values in p.parameters.items()})


def _of(wet, shape, scale):
    """Return a mixture at one cell."""
    values = zip(NAMES, (wet, shape, scale), strict=True)
    return Prediction("bernoulli_gamma_mixture", {n: np.array(v, float).reshape(-1, 1, 1, 1, 1) for n, v in values})


def _at(y):
    return np.full((1, 1, 1, 1), float(y))


MIXED = ([0.2, 0.9, 1.0], [0.4, 2.0, 8.0], [3.0, 6.0, 0.5])


@pytest.mark.parametrize("y", [-1.0, 0.0, 0.7, 5.0, 40.0])
@pytest.mark.parametrize("parameters", [MIXED, ([0.5, 0.7], [0.05, 30.0], [20.0, 0.1])])
def test_crps_is_the_integral_of_the_squared_distance_of_distribution_functions(y, parameters):
    p = _of(*parameters)
    wet, shape, scale = (np.array(values) for values in parameters)

    def cdf(x):
        return np.mean(1 - wet + wet * scipy.stats.gamma.cdf(x, shape, scale=scale))

    edges = sorted({0.0, *(e for e in (1e-6, 1e-3, 0.05, 0.5, 1.0, 2.5, 4.0, 8.0, 20.0, 60.0, 1000.0)), max(y, 0.0)})
    expected = max(-y, 0.0)
    for low, high in itertools.pairwise(edges):
        step = float(low >= y)
        expected += scipy.integrate.quad(lambda x, step=step: (cdf(x) - step) ** 2, low, high, limit=200)[0]
    assert p.crps(_at(y)).item() == pytest.approx(expected, rel=1e-6)


def test_distance_of_two_gammas_is_that_of_draws():
    random = np.random.default_rng(0)
    draws = [random.gamma(k, s, 10**6) for k, s in ((0.5, 8.0), (6.0, 0.5))]
    p = _of([1.0, 1.0], [0.5, 6.0], [8.0, 0.5])
    between = np.abs(draws[0] - draws[1]).mean()
    own = [np.abs(x - random.permutation(x)).mean() for x in draws]
    distance = np.mean([np.abs(x - 3.0).mean() for x in draws])
    assert p.crps(_at(3.0)).item() == pytest.approx(distance - (2 * between + sum(own)) / 8, rel=1e-2)


def test_distance_of_two_exponentials_by_hand():
    # E|X - Y| of exponentials of means a, b is (a^2 + b^2) / (a + b).
    a, b, y = 2.0, 5.0, 1.0
    spread = (2 * (a * a + b * b) / (a + b) + a + b) / 8
    distance = np.mean([y - m + 2 * m * np.exp(-y / m) for m in (a, b)])
    assert _of([1, 1], [1, 1], [a, b]).crps(_at(y)).item() == pytest.approx(distance - spread, rel=1e-12)


def test_members_without_spread_score_as_an_ensemble_of_values():
    values, y = np.array([1.0, 2.0, 4.0, 9.0]), np.linspace(0.0, 12.0, 7)
    shape = np.full(4, 1e10)  # a standard deviation of 1e-5 of the mean
    members = Prediction("members", {"members": values.reshape(4, 1, 1, 1, 1)})
    mixture = _of(np.ones(4), shape, values / shape)
    for truth in y:
        assert mixture.crps(_at(truth)).item() == pytest.approx(members.crps(_at(truth)).item(), abs=2e-4)


def test_equal_members_are_one(make_prediction, truth):
    one = make_prediction("bernoulli_gamma")
    many = Prediction("bernoulli_gamma_mixture", {n: np.stack([v] * 4) for n, v in one.parameters.items()})
    for ask in ("crps", "nll", "cdf", "exceedance"):
        np.testing.assert_allclose(getattr(many, ask)(truth), getattr(one, ask)(truth), rtol=1e-9, atol=1e-12)
    for level in (0.3, 0.9):
        np.testing.assert_allclose(many.quantile(level), one.quantile(level), rtol=1e-9)
    np.testing.assert_allclose(many.variance(), one.variance(), rtol=1e-12)
    np.testing.assert_allclose(many.variances()[1], 0.0, atol=1e-12)


def test_one_member_is_the_distribution_itself(make_prediction, truth):
    mixture = make_prediction("bernoulli_gamma_mixture", members=1)
    for ask in ("crps", "nll", "cdf"):
        np.testing.assert_allclose(getattr(mixture, ask)(truth), getattr(_single(mixture), ask)(truth), rtol=1e-12)
    assert mixture.sample(3, seed=1).shape == (3, *truth.shape)


def test_variance_is_that_of_the_whole_distribution(make_prediction):
    p = make_prediction("bernoulli_gamma_mixture")
    aleatoric, epistemic = p.variances()
    wet, shape, scale = (p.parameters[name] for name in NAMES)
    second = (wet * shape * (shape + 1) * scale**2).mean(axis=0)
    np.testing.assert_allclose(p.variance(), second - p.mean() ** 2, rtol=1e-10)
    np.testing.assert_allclose(epistemic, (wet * shape * scale).var(axis=0), rtol=1e-10)
    np.testing.assert_allclose(aleatoric, np.mean([_single(p, m).variance() for m in range(4)], axis=0), rtol=1e-10)
    np.testing.assert_array_equal(p.members, np.stack([_single(p, m).mean() for m in range(4)]))


@pytest.mark.parametrize("level", [0.001, 0.3, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("smallest", [0.01, 0.5])
def test_quantile_inverts_the_distribution_function(level, smallest):
    random = np.random.default_rng(2)
    size = (5, 40, 1, 3, 3)
    parameters = (random.uniform(0.0, 1.0, size), random.uniform(smallest, 20.0, size), random.gamma(1.0, 5.0, size))
    p = Prediction("bernoulli_gamma_mixture", dict(zip(NAMES, parameters, strict=True)))
    q = p.quantile(level)
    dry = 1.0 - parameters[0].mean(axis=0) >= level
    np.testing.assert_array_equal(q[dry], 0.0)
    np.testing.assert_allclose(p.cdf(q)[~dry], level, atol=1e-9)


def test_quantile_passes_nan_on_and_spoils_no_other_cell(make_prediction):
    p = make_prediction("bernoulli_gamma_mixture")
    for name in NAMES:
        broken = p.map(np.copy)
        broken.parameters[name][2, 0, 0, 0, 0] = np.nan
        expected = p.quantile(0.8).copy()
        expected[0, 0, 0, 0] = np.nan
        np.testing.assert_allclose(broken.quantile(0.8), expected, rtol=1e-9)


def test_quantile_at_edges():
    assert _of([0.0, 0.0], [1.0, 2.0], [1.0, 1.0]).quantile(0.999).item() == 0.0
    assert _of([1.0, 1.0], [0.0, 0.0], [1.0, 1.0]).quantile(0.9).item() == 0.0
    assert _of([1.0, 1.0], [1e-4, 1e-4], [1.0, 1.0]).quantile(0.5).item() == 0.0  # 0.5^10000
    # Half of it lies at 0, the other half is exponential: 0.75 is its median.
    assert _of([1.0, 1.0], [0.0, 1.0], [1.0, 2.0]).quantile(0.75).item() == pytest.approx(2.0 * np.log(2.0))
    assert _of([1.0, 0.0], [1.0, 1.0], [2.0, 9.0]).quantile(0.75).item() == pytest.approx(2.0 * np.log(2.0))
    nothing = Prediction("bernoulli_gamma_mixture", {name: np.ones((2, 0, 1, 3, 3)) for name in NAMES})
    assert nothing.quantile(0.5).shape == (0, 1, 3, 3)


def test_likelihood_is_that_of_the_mean_density():
    p = _of(*MIXED)
    wet, shape, scale = (np.array(values) for values in MIXED)
    for y in (0.01, 2.0, 30.0):
        density = np.mean(wet * scipy.stats.gamma.pdf(y, shape, scale=scale))
        assert p.nll(_at(y)).item() == pytest.approx(-np.log(density), rel=1e-10)
    assert p.nll(_at(0.0)).item() == pytest.approx(-np.log(np.mean(1 - wet)))
    assert p.nll(_at(1e6)).item() > 1e4  # no density of a member is representable there
    assert _of([1.0, 1.0], [1, 1], [1, 1]).nll(_at(0.0)).item() == np.inf


def test_draws_come_from_all_members():
    p = _of([0.5, 1.0], [50.0, 50.0], [0.02, 0.2])  # 0, near 1 and near 10
    draws = p.sample(100_000, seed=4).ravel()
    shares = [(draws == 0.0).mean(), ((draws > 0.3) & (draws < 3.0)).mean(), (draws > 4.0).mean()]
    np.testing.assert_allclose(shares, [0.25, 0.25, 0.5], atol=0.006)


def test_no_warning_is_given_at_the_edges():
    edges = np.array([[0.0, 0.5, 1.0], [1.0, 1.0, 0.0]]).reshape(2, 3, 1, 1, 1)
    p = Prediction("bernoulli_gamma_mixture", {"wet": edges, "shape": edges[:, ::-1], "scale": 2.0 * edges})
    with np.errstate(divide="raise", over="raise", invalid="raise"):
        for y in (np.zeros((3, 1, 1, 1)), edges[0] - 0.5, 1e5 * edges[0]):
            for answer in (p.crps(y), p.cdf(y), p.nll(y), p.exceedance(y), p.quantile(0.6)):
                assert not np.isnan(answer).any()


def test_a_year_over_a_region_takes_seconds():
    random = np.random.default_rng(0)
    size = (5, 450, 1, 15, 22)
    parameters = (random.beta(0.6, 1.0, size), random.uniform(0.3, 2.0, size), random.uniform(1.0, 15.0, size))
    p = Prediction("bernoulli_gamma_mixture", dict(zip(NAMES, parameters, strict=True)))
    y = p.sample(1, seed=1)[0]
    clock = time.perf_counter()
    assert np.isfinite(p.crps(y)).all()
    assert np.isfinite(p.quantile(0.9)).all()
    # About 4 s on one core; a loop over cells would take minutes.
    assert time.perf_counter() - clock < 60.0
