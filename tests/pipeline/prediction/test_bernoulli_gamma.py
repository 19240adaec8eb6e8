import itertools

import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from pipeline.prediction import Prediction

# wet, shape, scale, truth: dry, wet, in the bulk and in both tails; far from what is trained as well.
CASES = [
    (0.6, 0.8, 5.0, 0.0),
    (0.6, 0.8, 5.0, 3.0),
    (0.6, 0.8, 5.0, 60.0),
    (0.6, 0.8, 5.0, -0.5),
    (1.0, 2.0, 1.0, 0.0),
    (1.0, 2.0, 1.0, 1.5),
    (0.3, 0.05, 8.0, 0.1),
    (0.9, 40.0, 0.2, 9.0),
]


def _one(wet, shape, scale):
    values = {"wet": wet, "shape": shape, "scale": scale}
    return Prediction("bernoulli_gamma", {name: np.full((1, 1, 1, 1), float(x)) for name, x in values.items()})


def _at(y):
    return np.full((1, 1, 1, 1), float(y))


def _integral(wet, shape, scale, y):
    """Return the CRPS as the integral of (F - 1[x >= y])^2."""
    law = scipy.stats.gamma(shape, scale=scale)
    edges = [0.0, *law.ppf([1e-8, 1e-3, 0.1, 0.5, 0.9, 0.999]), law.ppf(1 - 1e-13)]

    def total(function, low, high):
        inside = [low, *[edge for edge in edges if low < edge < high], high]
        return sum(
            scipy.integrate.quad(function, a, b, epsabs=1e-12, limit=200)[0] for a, b in itertools.pairwise(inside)
        )

    below = total(lambda x: (1 - wet + wet * law.cdf(x)) ** 2, 0.0, max(y, 0.0))
    above = total(lambda x: (wet * law.sf(x)) ** 2, max(y, 0.0), max(y, edges[-1]))
    return below + above + max(-y, 0.0)


@pytest.mark.parametrize(("wet", "shape", "scale", "y"), CASES)
def test_crps_is_the_integral_of_the_squared_distance_of_distribution_functions(wet, shape, scale, y):
    assert _one(wet, shape, scale).crps(_at(y)).item() == pytest.approx(_integral(wet, shape, scale, y), rel=1e-7)


def test_crps_is_that_of_draws():
    random = np.random.default_rng(0)
    one, two = (random.gamma(0.7, 4.0, 10**6) * (random.random(10**6) < 0.4) for _ in range(2))
    expected = np.abs(one - 2.0).mean() - np.abs(one - two).mean() / 2
    assert _one(0.4, 0.7, 4.0).crps(_at(2.0)).item() == pytest.approx(expected, rel=1e-2)


def test_always_wet_with_shape_one_is_exponential():
    # CRPS of an exponential of mean m: y - 3 m / 2 + 2 m exp(-y / m), by hand.
    y = np.linspace(0.0, 20.0, 7).reshape(7, 1, 1, 1)
    p = Prediction(
        "bernoulli_gamma",
        {name: np.full(y.shape, x) for name, x in (("wet", 1.0), ("shape", 1.0))} | {"scale": 3.0 + 0 * y},
    )
    np.testing.assert_allclose(p.crps(y), y - 4.5 + 6.0 * np.exp(-y / 3.0), atol=1e-12)
    np.testing.assert_allclose(p.nll(y + 0.1), np.log(3.0) + (y + 0.1) / 3.0, rtol=1e-12)
    np.testing.assert_allclose(p.exceedance(y), np.exp(-y / 3.0), rtol=1e-12)
    np.testing.assert_allclose(p.quantile(0.25), -3.0 * np.log(0.75), rtol=1e-12)


def test_never_wet_is_a_point_at_zero():
    p = _one(0.0, 0.8, 5.0)
    assert (p.mean().item(), p.variance().item(), p.quantile(0.999).item()) == (0.0, 0.0, 0.0)
    assert p.crps(_at(3.0)).item() == 3.0
    assert p.crps(_at(0.0)).item() == 0.0
    assert (p.cdf(_at(0.0)).item(), p.cdf(_at(-1e-9)).item()) == (1.0, 0.0)
    assert (p.nll(_at(0.0)).item(), p.nll(_at(1.0)).item()) == (0.0, np.inf)
    assert (p.sample(50, seed=0) == 0.0).all()


@pytest.mark.parametrize(("shape", "scale"), [(0.0, 2.0), (2.0, 0.0), (0.0, 0.0)])
@pytest.mark.parametrize("wet", [0.0, 0.7, 1.0])
def test_amounts_of_nothing_are_a_point_at_zero(wet, shape, scale):
    p = _one(wet, shape, scale)
    assert (p.mean().item(), p.quantile(0.9).item(), p.crps(_at(3.0)).item()) == (0.0, 0.0, 3.0)
    assert (p.cdf(_at(0.0)).item(), p.exceedance(1e-9).item()) == (1.0, 0.0)


def test_a_large_shape_is_normal():
    shape, scale = 1e4, 0.01
    p = _one(1.0, shape, scale)
    normal = Prediction("normal", {"mean": _at(shape * scale), "sd": _at(shape**0.5 * scale)})
    for y in (98.0, 100.0, 103.0):
        assert p.crps(_at(y)).item() == pytest.approx(normal.crps(_at(y)).item(), rel=0.01)
        assert p.nll(_at(y)).item() == pytest.approx(normal.nll(_at(y)).item(), rel=0.05)
    assert p.quantile(0.9).item() == pytest.approx(normal.quantile(0.9).item(), rel=1e-3)


@pytest.mark.parametrize("shape", [1e-3, 1e4, 1e7])
@pytest.mark.parametrize("wet", [1e-6, 0.5, 1.0])
def test_extreme_parameters_give_sane_answers(shape, wet):
    p = _one(wet, shape, 2.0)
    for y in (0.0, 1e-300, 1e-3, 2.0 * shape, 1e6):
        crps = p.crps(_at(y)).item()
        assert 0.0 <= crps <= y + 2.0 * p.mean().item() + 1e-9
        assert np.isfinite(p.nll(_at(y)).item()) or (wet == 1.0 and y == 0.0)
        assert 0.0 <= p.cdf(_at(y)).item() <= 1.0
    assert np.isfinite(p.quantile(0.999).item())


def test_tiny_shapes_keep_their_digits():
    # E|X - X'| of a gamma is 2 scale / B(1/2, shape), nearly 2 shape scale for tiny shapes.
    for shape in (1e-3, 1e-8):
        y = 1e-200
        half = shape * 5.0 * (1.0 - 2.0 * np.log(2.0) * shape)  # first terms of 1 / B(1/2, shape)
        expected = shape * 5.0 - half  # E|X - y| is the mean, y being nothing
        assert _one(1.0, shape, 5.0).crps(_at(y)).item() == pytest.approx(expected, rel=2e-2)


@pytest.mark.parametrize(("wet", "shape", "scale", "y"), CASES)
def test_formulas_agree_with_scipy(wet, shape, scale, y):
    p, law = _one(wet, shape, scale), scipy.stats.gamma(shape, scale=scale)
    assert p.mean().item() == pytest.approx(wet * law.mean())
    assert p.variance().item() == pytest.approx(wet * (law.var() + law.mean() ** 2) - (wet * law.mean()) ** 2)
    assert p.variances()[1] is None
    assert p.cdf(_at(y)).item() == pytest.approx((y >= 0) * (1 - wet + wet * law.cdf(y)))
    assert p.exceedance(y).item() == pytest.approx(1.0 if y <= 0 else wet * law.sf(y))
    with np.errstate(divide="ignore"):
        expected = -np.log(wet) - law.logpdf(y) if y > 0 else -np.log(1.0 - wet)
    assert p.nll(_at(y)).item() == pytest.approx(expected)
    for level in (0.05, 0.4, 0.41, 0.97):
        expected = 0.0 if level <= 1 - wet else law.ppf((level - 1 + wet) / wet)
        assert p.quantile(level).item() == pytest.approx(expected, rel=1e-9)


def test_draws_are_dry_as_often_as_said_and_follow_the_distribution():
    p = _one(0.35, 0.6, 4.0)
    draws = p.sample(100_000, seed=3).ravel()
    assert (draws == 0.0).mean() == pytest.approx(0.65, abs=0.005)
    assert scipy.stats.kstest(draws[draws > 0], scipy.stats.gamma(0.6, scale=4.0).cdf).pvalue > 0.01


def test_draws_pass_nan_on_and_keep_float32(make_prediction):
    p = make_prediction("bernoulli_gamma", dtype=np.float32).map(np.copy)
    for name in p.parameters:
        broken = p.map(np.copy)
        broken.parameters[name][1, 0, 0, 0] = np.nan
        draws = broken.sample(4, seed=0)
        assert draws.dtype == np.float32
        assert np.isnan(draws[:, 1, 0, 0, ...][..., 0]).all()
        assert np.isnan(draws).sum() == 4


def test_nan_gives_nan_in_the_likelihood_too(make_prediction, truth):
    y = np.maximum(truth, 0.0)
    y[0, 0, 0, 0] = np.nan
    p = make_prediction("bernoulli_gamma").map(np.copy)
    p.parameters["shape"][1] = np.nan
    found = p.nll(y)
    assert np.isnan(found[0, 0, 0, 0])
    assert np.isnan(found[1]).all()
    assert np.isfinite(found).sum() == y.size - 1 - y[1].size


def test_no_warning_is_given_at_the_edges(make_prediction):
    edges = np.array([0.0, 0.5, 1.0]).reshape(3, 1, 1, 1)
    p = Prediction("bernoulli_gamma", {"wet": edges, "shape": edges[::-1], "scale": 2.0 * edges})
    with np.errstate(divide="raise", over="raise", invalid="raise"):
        for y in (0.0 * edges, edges - 0.5, 1e5 * edges):
            for answer in (p.crps(y), p.cdf(y), p.nll(y), p.exceedance(y), p.quantile(0.5)):
                assert not np.isnan(answer).any()
