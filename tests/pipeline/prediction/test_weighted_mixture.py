import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats

from pipeline.prediction import Prediction


def laws(p):
    return scipy.stats.norm(p.parameters["mean"], p.parameters["sd"])


def mixture_of(*answers):
    return Prediction("weighted_mixture", answers[0].formulas.mix([answer.parameters for answer in answers]))


def test_distribution_function_and_likelihood_agree_with_scipy(make_prediction, truth):
    p = make_prediction("weighted_mixture")
    weight = p.parameters["weight"]
    np.testing.assert_allclose(p.cdf(truth), (weight * laws(p).cdf(truth)).sum(axis=0), rtol=1e-12)
    np.testing.assert_allclose(p.exceedance(truth), (weight * laws(p).sf(truth)).sum(axis=0), rtol=1e-9)
    expected = -scipy.special.logsumexp(laws(p).logpdf(truth), axis=0, b=weight)
    np.testing.assert_allclose(p.nll(truth), expected, rtol=1e-12)


def test_moments_are_those_of_the_components(make_prediction):
    p = make_prediction("weighted_mixture")
    weight, mean, sd = (p.parameters[name] for name in ("weight", "mean", "sd"))
    middle = (weight * mean).sum(axis=0)
    np.testing.assert_allclose(p.mean(), middle, rtol=1e-12)
    total, epistemic = p.variances()
    np.testing.assert_allclose(total, (weight * (sd**2 + mean**2)).sum(axis=0) - middle**2, rtol=1e-9)
    assert epistemic is None
    assert (p.members, p.member_count, p.sizes) == (None, 1, {"component": 4, "member": 1})


@pytest.mark.parametrize("cell", range(5))
def test_crps_is_the_integral_of_the_squared_distance_of_distribution_functions(cell, make_prediction, truth):
    p = make_prediction("weighted_mixture")
    place = (cell, 1, 2, 0)
    weight, mean, sd = (p.parameters[name][(slice(None), *place)] for name in ("weight", "mean", "sd"))
    y = truth[place]

    def cdf(x):
        return weight @ scipy.stats.norm.cdf(x, mean, sd)

    left = scipy.integrate.quad(lambda x: cdf(x) ** 2, -40, y, limit=200)[0]
    right = scipy.integrate.quad(lambda x: (1 - cdf(x)) ** 2, y, 40, limit=200)[0]
    assert p.crps(truth)[place] == pytest.approx(left + right, rel=1e-6)


@pytest.mark.parametrize("level", [0.001, 0.05, 0.5, 0.95, 0.999])
@pytest.mark.parametrize("apart", [0.1, 1.0, 30.0])
def test_quantile_inverts_the_distribution_function(level, apart):
    rng = np.random.default_rng(2)
    shape = (5, 40, 1, 3, 3)
    parts = {"mean": rng.normal(280.0, apart, shape), "sd": rng.uniform(0.01, 2.0, shape), "weight": rng.random(shape)}
    parts["weight"][1] = 0.0  # a component that has no part in it, wherever it stands
    parts["mean"][1] += 1000.0
    p = Prediction("weighted_mixture", {**parts, "centre": parts["mean"][:1]})
    np.testing.assert_allclose(p.cdf(p.quantile(level)), level, atol=1e-7)


def test_equal_weights_are_the_equal_mixture(make_prediction, truth):
    equal = make_prediction("mixture")
    weight = np.full_like(equal.parameters["mean"], 0.25)
    p = Prediction("weighted_mixture", {**equal.parameters, "weight": weight, "centre": equal.mean()[None]})
    for ask in ("crps", "nll", "cdf", "exceedance"):
        np.testing.assert_allclose(getattr(p, ask)(truth), getattr(equal, ask)(truth), rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(p.quantile(0.3), equal.quantile(0.3), rtol=1e-9)
    np.testing.assert_allclose(p.variance(), equal.variance(), rtol=1e-9)


def test_a_component_without_weight_says_nothing(make_prediction, truth):
    p = make_prediction("weighted_mixture").map(np.copy)
    p.parameters["weight"][2] = 0.0
    p.parameters["sd"][2] = 0.0
    others = [0, 1, 3]
    rest = Prediction(
        "weighted_mixture", {n: v[others] if n != "centre" else v for n, v in p.parameters.items()}
    )  # weights that do not sum to 1 are divided by their sum
    for ask in ("crps", "nll", "cdf"):
        np.testing.assert_allclose(getattr(p, ask)(truth), getattr(rest, ask)(truth), rtol=1e-9)
    np.testing.assert_allclose(p.mean(), rest.mean(), rtol=1e-12)
    np.testing.assert_array_equal(p.nll(p.parameters["mean"][2]) < np.inf, True)
    draws = p.sample(500, seed=1)
    assert not (draws == p.parameters["mean"][2]).any()


def test_draws_are_of_each_component_as_often_as_its_weight():
    weight = np.array([0.1, 0.6, 0.3]).reshape(3, 1, 1, 1, 1)
    mean = np.array([-10.0, 0.0, 10.0]).reshape(3, 1, 1, 1, 1)
    p = Prediction("weighted_mixture", {"weight": weight, "mean": mean, "sd": 0 * mean + 0.1, "centre": mean[1:2]})
    draws = p.sample(100_000, seed=4).ravel()
    found = [(np.abs(draws - middle) < 1.0).mean() for middle in mean.ravel()]
    np.testing.assert_allclose(found, weight.ravel(), atol=0.005)


def test_mixed_answers_keep_the_variance_between_them_as_epistemic(make_prediction):
    answers = [make_prediction("weighted_mixture", seed=seed) for seed in range(3)]
    mixed = mixture_of(*answers)
    means = np.stack([answer.mean() for answer in answers])
    aleatoric, epistemic = mixed.variances()
    np.testing.assert_allclose(epistemic, means.var(axis=0), rtol=1e-9)
    np.testing.assert_allclose(aleatoric, np.mean([answer.variance() for answer in answers], axis=0), rtol=1e-9)
    np.testing.assert_allclose(aleatoric + epistemic, mixed.variance(), atol=1e-12)
    np.testing.assert_allclose(mixed.members, means, rtol=1e-12)
    np.testing.assert_allclose(mixed.parameters["weight"].sum(axis=0), 1.0, rtol=1e-12)


def test_answers_of_several_members_weigh_as_many(make_prediction, truth):
    answers = [make_prediction("weighted_mixture", seed=seed) for seed in range(4)]
    stepwise, whole = mixture_of(mixture_of(*answers[:3]), answers[3]), mixture_of(*answers)
    assert stepwise.member_count == 4
    np.testing.assert_allclose(stepwise.cdf(truth), whole.cdf(truth), rtol=1e-12)
    np.testing.assert_allclose(stepwise.variances()[1], whole.variances()[1], rtol=1e-12)


def test_variances_keep_their_digits_in_float32_far_from_zero():
    mean = np.array([101325.0, 101327.0], np.float32).reshape(2, 1, 1, 1, 1)
    one = Prediction(
        "weighted_mixture",
        {"weight": 0 * mean[:1] + 1, "mean": mean[:1], "sd": np.ones_like(mean[:1]), "centre": mean[:1]},
    )
    mixed = mixture_of(one, one.affine(np.float32(1.0), np.float32(2.0)))
    assert mixed.variances()[0].item() == pytest.approx(1.0, rel=1e-6)
    assert mixed.variances()[1].item() == pytest.approx(1.0, rel=1e-6)


def test_nan_spoils_no_other_cell(make_prediction):
    p = make_prediction("weighted_mixture")
    broken = p.map(np.copy)
    broken.parameters["weight"][2, 0, 0, 0, 0] = np.nan
    for ask in (lambda one: one.quantile(0.8), lambda one: one.sample(1, seed=1)[0], lambda one: one.mean()):
        expected = ask(p).copy()
        expected[0, 0, 0, 0] = np.nan
        np.testing.assert_array_equal(ask(broken), expected)
