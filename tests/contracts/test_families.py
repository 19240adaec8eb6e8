"""What every prediction family promises, whatever its formulas."""

import itertools

import array_api_strict
import numpy as np
import pytest

from pipeline.backend.special import to_host
from pipeline.prediction import FAMILIES, Prediction

SHAPE = (30, 1, 4, 5)
MEMBERS = 5
TRUTH = np.random.default_rng(7).normal(2.0, 2.0, SHAPE)
ANSWERS = {
    "mean": lambda p, y: p.mean(),
    "variance": lambda p, y: p.variance(),
    "quantile": lambda p, y: p.quantile(0.3),
    "cdf": lambda p, y: p.cdf(y),
    "crps": lambda p, y: p.crps(y),
    "nll": lambda p, y: p.nll(y),
}
HAVE_DENSITY = {"normal", "mixture"}


def _make(family, dtype=np.float64, shape=SHAPE):
    """Return a prediction whose parameters are plausible by name: what is called sd is positive."""
    rng = np.random.default_rng(3)
    formulas = FAMILIES.get(family)
    parameters = {}
    for name in formulas.parameters:
        full = (MEMBERS, *shape) if name in formulas.member_parameters else shape
        draw = rng.uniform(0.5, 2.0, full) if name == "sd" else rng.normal(2.0, 1.5, full)
        parameters[name] = draw.astype(dtype)
    return Prediction(family, parameters)


@pytest.fixture(params=FAMILIES.names())
def family(request):
    return request.param


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ANSWERS)
def test_answers_have_the_shape_of_the_field_and_the_dtype_of_the_parameters(family, name, dtype):
    answer = ANSWERS[name](_make(family, dtype), TRUTH.astype(dtype))
    if answer is None:
        assert (family, name) == ("point", "variance")
        return
    assert answer.shape == SHAPE
    assert answer.dtype == dtype


@pytest.mark.parametrize("name", ANSWERS)
def test_strict_arrays_give_the_same_on_their_own_kind(family, name):
    p = _make(family)
    answer = ANSWERS[name](p.map(array_api_strict.asarray), array_api_strict.asarray(TRUTH))
    expected = ANSWERS[name](p, TRUTH)
    if expected is None:
        assert answer is None
        return
    assert type(answer) is type(array_api_strict.ones(1))
    np.testing.assert_allclose(np.asarray(answer), expected, rtol=1e-10)


@pytest.mark.parametrize("name", ANSWERS)
def test_any_backend_gives_the_same(family, name, backend):
    p = _make(family)
    answer = ANSWERS[name](p.map(backend.asarray), backend.asarray(TRUTH))
    expected = ANSWERS[name](p, TRUTH)
    if expected is not None:
        np.testing.assert_allclose(to_host(answer), expected, rtol=1e-9)


@pytest.mark.parametrize("name", ["mean", "variance", "quantile", "cdf", "crps"])
def test_nan_in_any_parameter_gives_nan_there_and_nowhere_else(family, name):
    whole = ANSWERS[name](_make(family), TRUTH)
    if whole is None:
        return
    for parameter in FAMILIES.get(family).parameters:
        if (family, name, parameter) in {("normal", "mean", "sd"), ("mixture", "mean", "sd")}:
            continue  # a mean does not know of the spread
        if (family, name, parameter) == ("normal", "variance", "mean"):
            continue
        p = _make(family).map(np.copy)
        p.parameters[parameter][..., 4, 0, 1, 1] = np.nan
        answer = ANSWERS[name](p, TRUTH)
        expected = np.zeros(SHAPE, bool)
        expected[4, 0, 1, 1] = True
        if (family, name) == ("mixture", "variance"):
            assert np.isnan(answer[4, 0, 1, 1])
            continue
        np.testing.assert_array_equal(np.isnan(answer), expected)


@pytest.mark.parametrize("name", ["cdf", "crps"])
def test_nan_in_the_truth_gives_nan(family, name):
    y = TRUTH.copy()
    y[0, 0, 0, 0] = np.nan
    answer = ANSWERS[name](_make(family), y)
    assert np.isnan(answer[0, 0, 0, 0])
    assert np.isfinite(answer).sum() == TRUTH.size - 1


def test_distribution_function_is_a_probability_that_grows(family):
    p = _make(family)
    ladder = [p.cdf(TRUTH + step) for step in (-50.0, -1.0, 0.0, 1.0, 50.0)]
    assert (ladder[0] < 1e-12).all()
    assert (ladder[-1] == 1.0).all()
    for low, high in itertools.pairwise(ladder):
        assert (low <= high).all()


def test_quantiles_grow_with_their_level(family):
    p = _make(family)
    ladder = [p.quantile(level) for level in (0.01, 0.25, 0.5, 0.75, 0.99)]
    for low, high in itertools.pairwise(ladder):
        assert (low <= high).all()


def test_crps_is_zero_at_best_and_never_above_the_mean_distance_of_draws(family):
    p = _make(family)
    crps = p.crps(TRUTH)
    assert (crps >= 0.0).all()
    distance = np.abs(p.sample(400, seed=1) - TRUTH).mean(axis=0)
    assert (crps <= distance * 1.2 + 0.1).all()


def test_draws_have_mean_and_variance_of_the_distribution(family):
    p = _make(family, shape=(1, 1, 2, 3))
    draws = p.sample(20_000, seed=5)
    assert draws.shape == (20_000, 1, 1, 2, 3)
    np.testing.assert_allclose(draws.mean(axis=0), p.mean(), atol=0.08)
    if p.variance() is not None:
        np.testing.assert_allclose(draws.var(axis=0), p.variance(), rtol=0.035)


def test_draws_follow_from_the_seed(family):
    p = _make(family)
    np.testing.assert_array_equal(p.sample(3, seed=1), p.sample(3, seed=1))
    if family != "point":
        assert (p.sample(3, seed=1) != p.sample(3, seed=2)).any()


def test_scaled_and_shifted_everything_follows(family):
    p, scale, shift = _make(family), np.array([2.5]).reshape(1, 1, 1), np.linspace(-1, 1, 20).reshape(1, 1, 4, 5)
    q = p.affine(scale, shift)
    y = scale * TRUTH + shift
    np.testing.assert_allclose(q.mean(), scale * p.mean() + shift, rtol=1e-10)
    np.testing.assert_allclose(q.quantile(0.2), scale * p.quantile(0.2) + shift, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(q.cdf(y), p.cdf(TRUTH), atol=1e-10)
    np.testing.assert_allclose(q.crps(y), scale * p.crps(TRUTH), rtol=1e-8, atol=1e-10)
    if p.variance() is not None:
        np.testing.assert_allclose(q.variance(), scale**2 * p.variance(), rtol=1e-10)
    if family in HAVE_DENSITY:
        np.testing.assert_allclose(q.nll(y), p.nll(TRUTH) + np.log(2.5), rtol=1e-8, atol=1e-8)


def test_affine_keeps_float32_and_shapes(family):
    p = _make(family, np.float32)
    q = p.affine(np.float64(2.0), np.zeros((1, 1, 4, 5)))
    for name, values in p.parameters.items():
        assert q.parameters[name].dtype == np.float32
        assert q.parameters[name].shape == values.shape


def test_members_are_the_first_member_parameter(family):
    p = _make(family)
    names = FAMILIES.get(family).member_parameters
    assert (p.members is None) == (not names)
    if names:
        np.testing.assert_array_equal(p.members, p.parameters[names[0]])
        np.testing.assert_allclose(p.members.mean(axis=0), p.mean())
