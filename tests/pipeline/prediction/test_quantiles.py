import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from pipeline.errors import DataError
from pipeline.prediction import Prediction
from pipeline.prediction.quantiles import from_quantiles, levels

PLACE = (0, 0, 0, 0)


def one(values, lowest=None, highest=None):
    """A distribution of one cell."""
    made = from_quantiles(np.asarray(values, float).reshape(-1, 1, 1, 1, 1))
    if lowest is not None:
        made |= {"lowest": np.full((1, 1, 1, 1), float(lowest)), "highest": np.full((1, 1, 1, 1), float(highest))}
        made["centre"] = Prediction("quantiles", made).mean()[None]
    return Prediction("quantiles", made)


def line(p):
    """The quantile function of a cell from its definition."""
    values = p.parameters
    nodes = [values["lowest"][PLACE], *values["quantiles"][(slice(None), *PLACE)], values["highest"][PLACE]]
    return lambda level: np.interp(level, np.linspace(0, 1, len(nodes)), nodes)


def normals(mean, sd, count):
    """Normal distributions as quantiles."""
    level = levels(count).reshape(-1, *[1] * np.ndim(mean))
    return from_quantiles(mean + sd * scipy.stats.norm.ppf(level))


DRY = one([0.0, 0.0, 0.0, 0.5, 1.0, 2.0, 5.0], 0.0, 9.0)
UNEVEN = one([-1.0, 0.5, 0.6, 0.6, 2.0], -3.0, 2.5)
LEVEL = (np.arange(400_000) + 0.5) / 400_000


@pytest.mark.parametrize("p", [DRY, UNEVEN], ids=["dry", "uneven"])
def test_moments_are_those_of_the_line_through_the_quantiles(p):
    drawn = line(p)(LEVEL)
    assert p.mean()[PLACE] == pytest.approx(drawn.mean(), abs=1e-6)
    assert p.variance()[PLACE] == pytest.approx(drawn.var(), rel=1e-6)
    assert p.variances()[1] is None
    for level in (0.001, 0.125, 0.3, 0.51, 0.999):
        assert p.quantile(level)[PLACE] == pytest.approx(line(p)(level), abs=1e-12)


@pytest.mark.parametrize("truth", [-5.0, -0.2, 0.0, 0.3, 0.6, 1.0, 4.4, 9.0, 12.0])
@pytest.mark.parametrize("p", [DRY, UNEVEN], ids=["dry", "uneven"])
def test_crps_is_the_integral_of_twice_the_pinball_loss_over_all_levels(p, truth):
    drawn = line(p)(LEVEL)
    expected = np.mean(2.0 * ((truth <= drawn) - LEVEL) * (drawn - truth))
    assert p.crps(np.full((1, 1, 1, 1), truth))[PLACE] == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("truth", [-5.0, -0.2, 0.0, 0.3, 0.6, 1.0, 4.4, 9.0, 12.0])
@pytest.mark.parametrize("p", [DRY, UNEVEN], ids=["dry", "uneven"])
def test_crps_is_the_integral_of_the_squared_distance_of_distribution_functions(p, truth):
    x = np.linspace(-20.0, 20.0, 400_001)
    grid = np.interp(x, line(p)(LEVEL), LEVEL, left=0.0, right=1.0)
    expected = scipy.integrate.trapezoid((grid - (x >= truth)) ** 2, x)
    assert p.crps(np.full((1, 1, 1, 1), truth))[PLACE] == pytest.approx(expected, abs=2e-4)


def test_a_mass_is_a_step_that_both_probabilities_count():
    at = {value: np.full((1, 1, 1, 1), value) for value in (-1e-9, 0.0, 1e-9, 0.25)}
    assert DRY.cdf(at[-1e-9])[PLACE] == 0.0
    assert DRY.cdf(at[0.0])[PLACE] == pytest.approx(3 / 8)
    assert DRY.cdf(at[0.25])[PLACE] == pytest.approx(3.5 / 8)
    assert DRY.exceedance(at[0.0])[PLACE] == 1.0
    assert DRY.exceedance(at[1e-9])[PLACE] == pytest.approx(5 / 8)
    draws = DRY.sample(200_000, seed=2)[:, 0, 0, 0, 0]
    assert (draws == 0.0).mean() == pytest.approx(3 / 8, abs=5e-3)
    np.testing.assert_allclose(np.quantile(draws, [0.5, 0.9]), line(DRY)([0.5, 0.9]), atol=0.02)


def test_equal_quantiles_are_a_point():
    p = one([2.0, 2.0, 2.0])
    assert (p.parameters["lowest"], p.parameters["highest"]) == (2.0, 2.0)
    truth = np.full((1, 1, 1, 1), 3.0)
    assert (p.mean(), p.variance(), p.crps(truth), p.quantile(0.9)) == (2.0, 0.0, 1.0, 2.0)
    assert (p.cdf(truth), p.cdf(0.0 * truth + 2.0), p.exceedance(2.0), p.exceedance(2.1)) == (1.0, 1.0, 1.0, 0.0)


def test_likelihood_is_that_of_each_piece():
    x = np.linspace(-4.0, 11.0, 150_001)
    field = np.broadcast_to(x[:, None, None, None], (len(x), 1, 1, 1))
    for p in (DRY, UNEVEN):
        density = np.exp(-np.where(np.isneginf(found := p.nll(field)[:, 0, 0, 0]), np.inf, found))
        masses = {id(DRY): 3 / 8, id(UNEVEN): 1 / 6}[id(p)]
        assert scipy.integrate.trapezoid(density, x) == pytest.approx(1.0 - masses, abs=2e-4)
    said = {value: DRY.nll(np.full((1, 1, 1, 1), value))[PLACE] for value in (-0.1, 0.0, 0.7, 1.0, 5.0, 9.0, 9.1)}
    assert np.isposinf([said[-0.1], said[9.1]]).all()  # beyond the outermost pieces
    assert np.isneginf(said[0.0])  # on a mass
    np.testing.assert_allclose([said[0.7], said[1.0], said[5.0], said[9.0]], np.log([4.0, 8.0, 32.0, 32.0]))


def test_many_levels_of_a_normal_are_the_normal():
    rng = np.random.default_rng(1)
    mean, sd = rng.normal(280.0, 3.0, (5, 1, 3, 4)), rng.uniform(0.3, 2.0, (5, 1, 3, 4))
    truth = rng.normal(mean, 2 * sd)
    law = Prediction("normal", {"mean": mean, "sd": sd})
    p = Prediction("quantiles", normals(mean, sd, 1999))
    np.testing.assert_allclose(p.mean(), mean, rtol=1e-9)
    np.testing.assert_allclose(p.variance(), sd**2, rtol=2e-4)
    np.testing.assert_allclose(p.crps(truth), law.crps(truth), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(p.cdf(truth), scipy.stats.norm.cdf(truth, mean, sd), atol=5e-4)
    near = np.abs(truth - mean) < 2.5 * sd
    np.testing.assert_allclose(p.nll(truth)[near], -scipy.stats.norm.logpdf(truth, mean, sd)[near], atol=0.05)


@pytest.mark.parametrize(("count", "slack"), [(9, 0.012), (19, 0.003), (39, 0.003)])
def test_few_levels_of_a_normal_have_its_mean_and_variance(count, slack):
    """The outermost pieces have the mean of a normal distribution's; with the slope beside them 5 % would lack of 39."""
    p = Prediction("quantiles", normals(np.full((1, 1, 1, 1), 7.0), 2.0, count))
    assert p.mean()[PLACE] == pytest.approx(7.0, rel=1e-12)
    assert p.variance()[PLACE] == pytest.approx(4.0, rel=slack)
    edge = scipy.stats.norm.ppf(levels(count)[-1])
    tail = 7.0 + 2.0 * scipy.stats.norm.expect(lb=edge, conditional=True)
    assert line(p)((levels(count)[-1] + 1.0) / 2.0) == pytest.approx(tail, rel=1e-9)


def test_one_quantile_makes_no_distribution():
    with pytest.raises(DataError, match=r"^expected 2 quantiles or more, of which .* got 1\. Take an odd number, so"):
        from_quantiles(np.zeros((1, 2, 1, 3, 3)))


def mixture_of(*answers):
    formulas = answers[0].formulas
    return Prediction("quantiles", formulas.mix([answer.parameters for answer in answers]))


def brute(answers, level, weights=None):
    """Quantile of a mixture: halving the mean of distribution functions that are looked up on a line."""
    parts = []
    for answer in answers:
        nodes = line(answer)(np.linspace(0, 1, 1 + answer.parameters["quantiles"].shape[0] + 1))
        parts.append(nodes)

    def cdf(x):
        found = []
        for nodes in parts:
            steps = np.diff(nodes)
            inside = np.where(
                steps > 0, np.clip((x - nodes[:-1]) / np.where(steps > 0, steps, 1.0), 0, 1), x >= nodes[:-1]
            )
            found.append(inside.mean())
        return np.average(found, weights=weights)

    low, high = min(nodes[0] for nodes in parts), max(nodes[-1] for nodes in parts)
    for _ in range(200):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if cdf(middle) >= level - 1e-13 else (middle, high)
    return high


APART = [one([1.0, 2.0, 3.0], 0.0, 4.0), one([11.0, 12.0, 13.0], 10.0, 14.0)]
SETS = {
    "masses": [
        DRY,
        one([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.1], 0.0, 0.2),
        one([0.0, 0.5, 0.5, 0.5, 1.0, 2.0, 3.0], 0.0, 4.0),
    ],
    "apart": APART,
    "point and range": [one([2.0, 2.0, 2.0]), one([1.0, 2.0, 3.0], 0.0, 4.0)],
    "equal": [UNEVEN, UNEVEN],
    "random": [one(np.sort(np.random.default_rng(seed).normal(seed, 2.0, 9))) for seed in range(4)],
}


@pytest.mark.parametrize("answers", SETS.values(), ids=SETS.keys())
def test_the_mixture_has_the_quantiles_of_the_mean_distribution_function(answers):
    mixed = mixture_of(*answers)
    count = answers[0].parameters["quantiles"].shape[0]
    expected = [brute(answers, level) for level in levels(count)]
    np.testing.assert_allclose(mixed.parameters["quantiles"][(slice(None), *PLACE)], expected, atol=1e-9)
    ends = [(answer.parameters["lowest"], answer.parameters["highest"]) for answer in answers]
    assert min(low for low, _ in ends) <= mixed.parameters["lowest"] <= mixed.parameters["quantiles"][0]
    assert mixed.parameters["quantiles"][-1] <= mixed.parameters["highest"] <= max(high for _, high in ends)


def test_the_outermost_pieces_of_a_mixture_have_its_own_means():
    answers = SETS["random"]
    drawn = np.sort(np.concatenate([line(answer)(LEVEL) for answer in answers]))
    tails = drawn[: len(drawn) // 10], drawn[-len(drawn) // 10 :]
    mixed = line(mixture_of(*answers))
    np.testing.assert_allclose([mixed(0.05), mixed(0.95)], [tail.mean() for tail in tails], atol=1e-4)


def test_equal_answers_make_the_same_distribution():
    for p in (DRY, UNEVEN, SETS["random"][0]):
        mixed = mixture_of(p, p, p)
        for name in ("quantiles", "lowest", "highest"):
            np.testing.assert_allclose(mixed.parameters[name], p.parameters[name], atol=1e-12)
        assert mixed.member_count == 3
        assert mixed.variances()[1] == pytest.approx(0.0, abs=1e-12)


def test_answers_of_several_members_weigh_as_many():
    three = mixture_of(*SETS["random"][:3])
    four = mixture_of(three, SETS["random"][3])
    assert four.member_count == 4
    np.testing.assert_array_equal(four.members[:3], three.members)
    expected = [brute([three, SETS["random"][3]], level, weights=[3, 1]) for level in levels(9)]
    np.testing.assert_allclose(four.parameters["quantiles"][(slice(None), *PLACE)], expected, atol=1e-9)


def test_variances_of_a_mixture_follow_the_law_of_total_variance():
    rng = np.random.default_rng(3)
    mean, sd = rng.normal(0.0, 1.0, (5, 30, 1, 3, 2)), rng.uniform(0.3, 1.5, (5, 30, 1, 3, 2))
    answers = [Prediction("quantiles", normals(*pair, 39)) for pair in zip(mean, sd, strict=True)]
    mixed = mixture_of(*answers)
    aleatoric, epistemic = mixed.variances()
    np.testing.assert_allclose(epistemic, mean.var(axis=0), rtol=1e-10)
    np.testing.assert_allclose(aleatoric + epistemic, mixed.variance(), atol=1e-6)
    np.testing.assert_allclose(aleatoric, (sd**2).mean(axis=0), rtol=0.03)
    np.testing.assert_allclose(mixed.members, mean, atol=1e-10)
    np.testing.assert_allclose(mixed.mean(), mean.mean(axis=0), atol=0.01)


def test_the_epistemic_part_is_never_more_than_all():
    """Two points: the variance between them is all there is, but three levels hold less of it."""
    p = mixture_of(one([0.0, 0.0, 0.0]), one([1.0, 1.0, 1.0]))
    aleatoric, epistemic = p.variances()
    assert epistemic[PLACE] == p.variance()[PLACE] <= 0.25
    assert aleatoric[PLACE] == 0.0


def test_a_single_model_has_no_members_and_no_epistemic_part():
    assert (DRY.member_count, DRY.members, DRY.variances()[1]) == (1, None, None)
    assert DRY.sizes == {"quantile": 7, "member": 1}


def test_what_lies_below_the_least_value_lies_on_it():
    cold = one([-2.0, -1.0, -0.2, 0.5, 1.0, 2.0, 4.0])
    p = cold.at_least(np.zeros((1, 1, 1)))
    np.testing.assert_array_equal(p.parameters["quantiles"].ravel(), [0, 0, 0, 0.5, 1, 2, 4])
    assert p.parameters["lowest"] == 0.0
    assert p.parameters["highest"] == cold.parameters["highest"]
    assert p.parameters["centre"][0] == p.mean() > cold.mean()
    mixed = mixture_of(cold, DRY).at_least(np.zeros((1, 1, 1)))
    np.testing.assert_array_equal(mixed.members.ravel(), [cold.mean()[PLACE], DRY.mean()[PLACE]])
    assert mixed.sample(100, seed=1).min() == 0.0


def test_far_from_zero_digits_are_kept_in_float32():
    values = (101325.0 + scipy.stats.norm.ppf(levels(39))).astype(np.float32).reshape(-1, 1, 1, 1, 1)
    p = Prediction("quantiles", from_quantiles(values))
    assert {array.dtype for array in p.parameters.values()} == {np.dtype("f4")}
    assert p.variance()[PLACE] == pytest.approx(1.0, rel=5e-3)
    shifted = Prediction("quantiles", from_quantiles(values + np.float32(2.0)))
    assert mixture_of(p, shifted).variances()[1][PLACE] == pytest.approx(1.0, rel=2e-2)


def test_a_mixture_passes_nan_on_and_spoils_no_other_cell(make_prediction):
    answers = [make_prediction("quantiles", seed=seed) for seed in range(3)]
    broken = [answer.map(np.copy) for answer in answers]
    for values in broken[1].parameters.values():
        values[..., 0, 0, 0, 0] = np.nan
    whole, other = mixture_of(*answers), mixture_of(*broken)
    for name, values in whole.parameters.items():
        if name == "centre":
            continue
        expected = values.copy()
        expected[..., 0, 0, 0, 0] = np.nan
        np.testing.assert_array_equal(other.parameters[name], expected)


def test_a_mixture_of_nothing_is_empty(make_prediction):
    empty = make_prediction("quantiles").map(lambda array: array[..., :0, :, :, :])
    assert mixture_of(empty, empty).quantile(0.5).shape == (0, 2, 3, 2)


def test_answers_with_other_levels_do_not_mix(make_prediction):
    with pytest.raises(
        DataError, match=r"^expected as many quantiles in every answer of a mixture, got 3 and 7\. Take"
    ):
        mixture_of(DRY, APART[0])
