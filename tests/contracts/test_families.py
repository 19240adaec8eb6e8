"""What every prediction family promises, whatever its formulas; those of classes answer less than those of numbers."""

import itertools

import array_api_strict
import numpy as np
import pytest

from pipeline.backend.special import to_host
from pipeline.errors import DataError
from pipeline.prediction import FAMILIES, Prediction

SHAPE = (30, 1, 4, 5)
MEMBERS, CLASSES = 5, 4
SIZES = {"member": MEMBERS, "class": CLASSES, "quantile": 9, "component": 3}
TRUTH = np.random.default_rng(7).normal(2.0, 2.0, SHAPE)
ANSWERS = {
    "mean": lambda p, y: p.mean(), "variance": lambda p, y: p.variance(), "quantile": lambda p, y: p.quantile(0.3),
    "cdf": lambda p, y: p.cdf(y), "crps": lambda p, y: p.crps(y), "nll": lambda p, y: p.nll(y),
    "exceedance": lambda p, y: p.exceedance(y), "tail_crps": lambda p, y: p.tail_crps(y, 1.5),
}  # fmt: skip
OF_CLASSES = [name for name in FAMILIES.names() if "class" in FAMILIES.get(name).leading.values()]
ORDERED = [name for name in FAMILIES.names() if name not in OF_CLASSES]
WITHOUT_ORDER = ("mean", "variance", "nll")
ANSWERED = [(of, name) for of in FAMILIES.names() for name in ANSWERS if of in ORDERED or name in WITHOUT_ORDER]
HAVE_DENSITY = {"normal", "mixture", "weighted_mixture", "quantiles"}
AT_LEVELS = {"quantiles"}  # a mixture of them has its levels alone, and is a line between them: about the mixture
AT_ZERO = {"bernoulli_gamma", "bernoulli_gamma_mixture"}  # a mass there: scaled, not shifted, and nowhere below 0
SPREAD_ONLY = {(family, "mean", "sd") for family in ("normal", "mixture", "weighted_mixture")}
SPREAD_ONLY |= {
    ("normal", "variance", "mean"),
    *(("categorical_mixture", n, "expected_entropy") for n in ("mean", "nll")),
}
RANGES = {"sd": (0.5, 2.0), "wet": (0.2, 0.9), "shape": (0.5, 2.0), "scale": (0.5, 2.0), "expected_entropy": (0.0, 0.1)}


def _make(family, dtype=np.float64, shape=SHAPE):
    """Return a prediction whose parameters are plausible by name: what is called sd is positive, wet a probability."""
    rng, formulas, parameters = np.random.default_rng(3), FAMILIES.get(family), {}
    for name in formulas.parameters:
        dim = formulas.leading.get(name)
        full = shape if dim is None else (SIZES[dim], *shape)
        if dim == "class" or name == "weight":
            parameters[name] = np.moveaxis(rng.dirichlet(np.ones(SIZES[dim]), shape), -1, 0).astype(dtype)
            continue
        draw = rng.uniform(*RANGES[name], full) if name in RANGES else rng.normal(2.0, 1.5, full)
        parameters[name] = (np.sort(draw, axis=0) if dim == "quantile" else draw).astype(dtype)
    if "lowest" in parameters:
        parameters["lowest"] = parameters["quantiles"][0] - np.abs(parameters["lowest"])
        parameters["highest"] = parameters["quantiles"][-1] + np.abs(parameters["highest"])
    if "centre" in parameters:  # members have the mean of the whole
        middle = Prediction(family, parameters).mean() - 0.3 * parameters["centre"].mean(axis=0)
        parameters["centre"] = (middle + 0.3 * parameters["centre"]).astype(dtype)
    return Prediction(family, parameters)


def _truth(family):
    """Return the truths, of a family of classes their numbers."""
    return np.clip(TRUTH.round(), 0, CLASSES - 1) if family in OF_CLASSES else TRUTH


@pytest.fixture(params=FAMILIES.names())
def family(request):
    return request.param


@pytest.fixture(params=ORDERED)
def ordered(request):
    return request.param


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("family", "name"), ANSWERED)
def test_answers_have_the_shape_of_the_field_and_the_dtype_of_the_parameters(family, name, dtype):
    answer = ANSWERS[name](_make(family, dtype), _truth(family).astype(dtype))
    if answer is None:
        assert name == "variance"
        assert family in ("point", *OF_CLASSES)
        return
    assert answer.shape == SHAPE
    assert answer.dtype == dtype


@pytest.mark.parametrize(("family", "name"), ANSWERED)
def test_strict_arrays_give_the_same_on_their_own_kind(family, name):
    p = _make(family)
    answer = ANSWERS[name](p.map(array_api_strict.asarray), array_api_strict.asarray(_truth(family)))
    expected = ANSWERS[name](p, _truth(family))
    if expected is None:
        assert answer is None
        return
    assert type(answer) is type(array_api_strict.ones(1))
    np.testing.assert_allclose(np.asarray(answer), expected, rtol=1e-10)


@pytest.mark.parametrize(("family", "name"), ANSWERED)
def test_any_backend_gives_the_same(family, name, backend):
    p = _make(family)
    answer = ANSWERS[name](p.map(backend.asarray), backend.asarray(_truth(family)))
    expected = ANSWERS[name](p, _truth(family))
    if expected is not None:
        np.testing.assert_allclose(to_host(answer), expected, rtol=1e-9)


@pytest.mark.parametrize(("family", "name"), [pair for pair in ANSWERED if pair[0] in OF_CLASSES or pair[1] != "nll"])
def test_nan_in_any_parameter_gives_nan_there_and_nowhere_else(family, name):
    whole = ANSWERS[name](_make(family), _truth(family))
    if whole is None:
        return
    for parameter in FAMILIES.get(family).parameters:
        if (family, name, parameter) in SPREAD_ONLY or (parameter == "centre" and name != "variance"):
            continue  # a mean does not know of the spread, nor the spread of a mean; means of members part the variance
        p = _make(family).map(np.copy)
        p.parameters[parameter][..., 4, 0, 1, 1] = np.nan
        answer = ANSWERS[name](p, _truth(family))
        expected = np.zeros(SHAPE, bool)
        expected[4, 0, 1, 1] = True
        if (family, name) == ("mixture", "variance"):
            assert np.isnan(answer[4, 0, 1, 1])
            continue
        np.testing.assert_array_equal(np.isnan(answer), expected)


@pytest.mark.parametrize("name", ["cdf", "crps", "exceedance", "tail_crps"])
def test_nan_in_the_truth_gives_nan(ordered, name):
    y = TRUTH.copy()
    y[0, 0, 0, 0] = np.nan
    answer = ANSWERS[name](_make(ordered), y)
    assert np.isnan(answer[0, 0, 0, 0])
    assert np.isfinite(answer).sum() == TRUTH.size - 1


def test_distribution_function_is_a_probability_that_grows(ordered):
    p = _make(ordered)
    ladder = [p.cdf(TRUTH + step) for step in (-50.0, -1.0, 0.0, 1.0, 200.0)]
    assert (ladder[0] < 1e-12).all()
    assert (ladder[-1] == 1.0).all()
    for low, high in itertools.pairwise(ladder):
        assert (low <= high).all()


def test_exceedance_and_distribution_function_add_up_but_on_steps(ordered):
    p = _make(ordered)
    # No step lies on a random value, but all dry days lie on 0.
    y = np.where(TRUTH == 0.0, 1.0, TRUTH)
    np.testing.assert_allclose(p.exceedance(y) + p.cdf(y), 1.0, atol=1e-12)
    np.testing.assert_allclose(p.exceedance(1.5), p.exceedance(np.full(SHAPE, 1.5)), rtol=1e-12)
    np.testing.assert_allclose(p.exceedance(np.full((1, 1, 4, 5), 1.5)), p.exceedance(1.5), rtol=1e-12)
    ladder = [p.exceedance(level) for level in (-100.0, 0.0, 0.5, 2.0, 300.0)]
    assert (ladder[0] == 1.0).all()
    assert (ladder[-1] < 1e-12).all()
    for high, low in itertools.pairwise(ladder):
        assert (low <= high).all()


def test_quantiles_grow_with_their_level(ordered):
    p = _make(ordered)
    ladder = [p.quantile(level) for level in (0.01, 0.25, 0.5, 0.75, 0.99)]
    for low, high in itertools.pairwise(ladder):
        assert (low <= high).all()


def test_crps_is_zero_at_best_and_never_above_the_mean_distance_of_draws(ordered):
    p = _make(ordered)
    crps = p.crps(TRUTH)
    assert (crps >= 0.0).all()
    distance = np.abs(p.sample(400, seed=1) - TRUTH).mean(axis=0)
    assert (crps <= distance * 1.2 + 0.1).all()


def test_the_score_above_a_threshold_is_a_part_of_the_whole(ordered):
    p = _make(ordered)
    ladder = [p.tail_crps(TRUTH, threshold) for threshold in (-100.0, 0.0, 1.0, 2.5, 6.0)]
    np.testing.assert_allclose(ladder[0], p.crps(TRUTH), rtol=1e-6, atol=1e-6)
    for low, high in itertools.pairwise(ladder):
        assert (high <= low + 1e-6).all()
        assert (high >= 0.0).all()
    # Far above all that is predicted the truth alone is left.
    np.testing.assert_allclose(p.tail_crps(TRUTH + 500.0, 400.0), TRUTH + 100.0, rtol=1e-6)
    assert (p.tail_crps(TRUTH, 400.0) < 1e-9).all()


def test_thresholds_may_differ_from_cell_to_cell(ordered):
    p, levels = _make(ordered), np.linspace(-1.0, 4.0, 20).reshape(1, 1, 4, 5)
    found = p.tail_crps(TRUTH, levels)
    for cell in np.ndindex(4, 5):
        at = (slice(None), slice(None), *cell)
        np.testing.assert_allclose(found[at], p.tail_crps(TRUTH, levels[0, 0][cell])[at], rtol=1e-9, atol=1e-12)
    levels[0, 0, 2, 3] = np.nan
    np.testing.assert_array_equal(np.isnan(p.tail_crps(TRUTH, levels)), np.isnan(np.broadcast_to(levels, SHAPE)))


def test_draws_have_mean_and_variance_of_the_distribution(ordered):
    p = _make(ordered, shape=(1, 1, 2, 3))
    draws = p.sample(200_000, seed=5)  # so many for the variance of a skew distribution
    np.testing.assert_allclose(draws.mean(axis=0), p.mean(), atol=0.08)
    if p.variance() is not None:
        np.testing.assert_allclose(draws.var(axis=0), p.variance(), rtol=0.035)


def test_draws_follow_from_the_seed(family):
    p = _make(family)
    assert p.sample(3, seed=1).shape == (3, *SHAPE)
    np.testing.assert_array_equal(p.sample(3, seed=1), p.sample(3, seed=1))
    assert family == "point" or (p.sample(3, seed=1) != p.sample(3, seed=2)).any()


def test_scaled_and_shifted_everything_follows(ordered):
    p, scale, shift = _make(ordered), np.array([2.5]).reshape(1, 1, 1), np.linspace(-1, 1, 20).reshape(1, 1, 4, 5)
    shift = 0.0 * shift if ordered in AT_ZERO else shift
    q = p.affine(scale, shift)
    y = scale * TRUTH + shift
    np.testing.assert_allclose(q.mean(), scale * p.mean() + shift, rtol=1e-10)
    np.testing.assert_allclose(q.quantile(0.2), scale * p.quantile(0.2) + shift, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(q.cdf(y), p.cdf(TRUTH), atol=1e-10)
    np.testing.assert_allclose(q.crps(y), scale * p.crps(TRUTH), rtol=1e-8, atol=1e-10)
    if p.variance() is not None:
        np.testing.assert_allclose(q.variance(), scale**2 * p.variance(), rtol=1e-10)
    if ordered in HAVE_DENSITY:
        np.testing.assert_allclose(q.nll(y), p.nll(TRUTH) + np.log(2.5), rtol=1e-8, atol=1e-8)
    if ordered in AT_ZERO:  # the chance of a dry day does not stretch
        np.testing.assert_allclose(q.nll(y), p.nll(TRUTH) + np.log(2.5) * (TRUTH > 0), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("shift", [np.full((1, 1, 4, 5), 0.5), 1.0])
def test_a_point_mass_at_zero_cannot_be_shifted(ordered, shift):
    if ordered in AT_ZERO:
        with pytest.raises(DataError, match=r"^expected a shift of 0 .* Set prepare\.target\.anomaly: none for this"):
            _make(ordered).affine(2.0, shift)
    else:
        assert np.isfinite(_make(ordered).affine(2.0, shift).mean()).all()


def test_nothing_is_predicted_where_the_shift_is_nan(ordered):
    shift = np.zeros((1, 1, 4, 5))
    shift[..., 1, 2] = np.nan
    p = _make(ordered).affine(2.0, shift)
    for values in (p.mean(), p.cdf(TRUTH), p.crps(TRUTH), p.exceedance(0.0)):
        np.testing.assert_array_equal(np.isnan(values), np.broadcast_to(np.isnan(shift), SHAPE))


def test_affine_keeps_float32_and_shapes(ordered):
    p = _make(ordered, np.float32)
    q = p.affine(np.float64(2.0), np.zeros((1, 1, 4, 5)))
    for name, values in p.parameters.items():
        assert q.parameters[name].dtype == np.float32
        assert q.parameters[name].shape == values.shape


def test_members_have_the_mean_of_the_whole(family):
    p = _make(family)
    there = "member" in FAMILIES.get(family).leading.values()
    assert (p.members is None) == (not there)
    assert p.member_count == (MEMBERS if there else 0)
    if there:
        assert p.members.shape == (MEMBERS, *SHAPE)
        np.testing.assert_allclose(p.members.mean(axis=0), p.mean(), rtol=1e-12)


def test_several_answers_make_their_mean_distribution(ordered):
    formulas = FAMILIES.get(ordered)()
    answers = [_make(ordered), _make(ordered).affine(1.5, 0.0), _make(ordered).affine(0.5, 0.0)]
    mixed = Prediction(formulas.mixture, formulas.mix([answer.parameters for answer in answers]))
    assert mixed.member_count == 3 * (answers[0].member_count or 1)
    slack = 0.1 if ordered in AT_LEVELS else 0.0  # the distance between levels
    means = np.mean([answer.mean() for answer in answers], axis=0)
    np.testing.assert_allclose(mixed.mean(), means, rtol=1e-10, atol=slack)
    np.testing.assert_allclose(mixed.members.mean(axis=0), means, rtol=1e-10)
    np.testing.assert_allclose(mixed.cdf(TRUTH), np.mean([a.cdf(TRUTH) for a in answers], axis=0), atol=1e-12 + slack)
    expected = np.mean([answer.exceedance(1.0) for answer in answers], axis=0)
    np.testing.assert_allclose(mixed.exceedance(1.0), expected, atol=1e-12 + slack)


def test_a_mixture_of_mixtures_is_of_the_same_family(family):
    mixture = FAMILIES.get(family).mixture
    assert FAMILIES.get(mixture).mixture == mixture
    assert "member" in FAMILIES.get(mixture).leading.values() or family in OF_CLASSES


def test_parameters_without_units_or_with_a_leading_axis_are_parameters(family):
    formulas = FAMILIES.get(family)
    assert {type(formulas.has_likelihood), type(formulas.unbounded)} == {bool}
    assert set(formulas.unitless) <= set(formulas.parameters)
    assert set(formulas.leading) <= set(formulas.parameters)
    assert _make(family).sizes == {dim: SIZES[dim] for dim in formulas.leading.values()}


def test_classes_are_counted(family):
    p = _make(family)
    assert p.is_categorical == (family in OF_CLASSES)
    assert p.class_count == (CLASSES if family in OF_CLASSES else 0)
    assert p.member_count == 0 or not p.is_categorical


@pytest.fixture(params=OF_CLASSES)
def classes(request):
    return _make(request.param)


@pytest.mark.parametrize("name", [name for name in ANSWERS if name not in WITHOUT_ORDER])
def test_classes_refuse_what_needs_an_order(classes, name):
    message = r"^expected a prediction of numbers .*, got one of classes, .* have no order\. T"
    with pytest.raises(DataError, match=message):
        ANSWERS[name](classes, TRUTH)


def test_classes_that_are_not_known_have_no_likelihood(classes):
    truth = _truth(classes.family).copy()
    truth[0, 0, 0, 0] = np.nan
    answer = classes.nll(truth)
    assert np.isnan(answer[0, 0, 0, 0])
    assert np.isfinite(answer).sum() == truth.size - 1
    assert (answer[np.isfinite(answer)] >= 0.0).all()


def test_draws_of_classes_are_as_frequent_as_said(classes):
    draws = classes.map(lambda array: array[:, :1]).sample(20_000, seed=5)
    for number, chance in enumerate(classes.parameters["probabilities"][:, :1]):
        np.testing.assert_allclose((draws == number).mean(axis=0), chance, atol=0.02)


@pytest.mark.parametrize(("scale", "shift"), [(2.0, 0.0), (1.0, np.full((1, 1, 4, 5), 0.5)), (np.array(0.5), 0.0)])
def test_classes_cannot_be_scaled_or_shifted(classes, scale, shift):
    with pytest.raises(DataError, match=r"^expected a s.* for a prediction of classes, which have no units, got [02]"):
        classes.affine(scale, shift)


@pytest.mark.parametrize("part", ["scale", "shift"])
def test_no_class_is_predicted_where_scale_or_shift_is_nan(classes, part):
    gaps = {"scale": np.ones((1, 1, 4, 5), np.float32), "shift": np.zeros((1, 1, 4, 5), np.float32)}
    gaps[part][..., 1, 2] = np.nan
    p = classes.map(lambda array: array.astype(np.float32)).affine(gaps["scale"], gaps["shift"])
    for name, values in p.parameters.items():
        before = classes.parameters[name].astype(np.float32)
        assert values.dtype == np.float32
        expected = np.where(np.isnan(gaps[part]), np.nan, before)
        np.testing.assert_array_equal(values, expected)
    for values in (p.mean(), p.nll(_truth(p.family)), p.sample(2, seed=1)[1]):
        np.testing.assert_array_equal(np.isnan(values), np.broadcast_to(np.isnan(gaps[part]), SHAPE))


def test_several_answers_of_classes_make_their_mean_probabilities(classes):
    formulas = classes.formulas
    others = [classes, classes.map(np.flipud), classes.map(lambda array: np.roll(array, 1, axis=0))]
    mixed = Prediction(formulas.mixture, formulas.mix([answer.parameters for answer in others]))
    assert mixed.class_count == CLASSES
    for number in range(CLASSES):
        truth = np.full(SHAPE, float(number))
        expected = np.mean([np.exp(-answer.nll(truth)) for answer in others], axis=0)
        np.testing.assert_allclose(np.exp(-mixed.nll(truth)), expected, rtol=1e-12)
