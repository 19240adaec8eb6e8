import numpy as np
import pytest
from scipy.stats import kstest, norm

from pipeline.errors import CalibrationError
from pipeline.prediction import Prediction
from pipeline.prediction.quantiles import levels
from pipeline.uncertainty.calibration import Evidence
from pipeline.uncertainty.calibration._groups import groups_of
from pipeline.uncertainty.calibration._numbers import weighted_quantiles
from pipeline.uncertainty.calibration.isotonic import Isotonic, IsotonicConfig, by_group, transform

SHAPE = (2000, 1, 3, 4)


def fit(said, samples, context, **options):
    return Isotonic(IsotonicConfig(**options)).fit(Evidence(said, samples, "validation"), context)


def normal(mean, sd):
    return Prediction("normal", {"mean": mean.astype(np.float32), "sd": sd.astype(np.float32)})


def rainy(count, seed):
    rng = np.random.default_rng(seed)
    parameters = {"wet": (0.1, 1.0), "shape": (0.5, 2.0), "scale": (1.0, 4.0)}
    shape = (count, 1, 3, 4)
    return Prediction("bernoulli_gamma", {k: rng.uniform(*v, shape).astype(np.float32) for k, v in parameters.items()})


@pytest.fixture
def world():
    """Return mean, spread and truth of a forecast that is right."""
    rng = np.random.default_rng(0)
    mean, sd = rng.normal(3.0, 2.0, SHAPE), rng.uniform(0.5, 2.0, SHAPE)
    return mean, sd, mean + sd * rng.normal(size=SHAPE)


def test_levels_of_half_the_spread_are_those_that_theory_gives(world, samples_of, context):
    mean, sd, truth = world
    found = fit(normal(mean, sd / 2), samples_of(truth), context)
    expected = norm.cdf(2.0 * norm.ppf(levels(39)))
    np.testing.assert_allclose(found.arrays["level"][:, 0, 0, 0], expected, atol=0.01)
    answer = found.apply(normal(mean, sd / 2), samples_of(truth), context)
    assert answer.family == "quantiles"
    for level in (0.05, 0.5, 0.9):
        np.testing.assert_allclose(answer.quantile(level), normal(mean, sd).quantile(level), atol=0.2)


def test_a_shift_and_a_skew_are_mended(samples_of, context):
    rng = np.random.default_rng(2)
    truth = rng.exponential(1.0, SHAPE) + 5.0
    said = normal(np.zeros(SHAPE) + 5.5, np.ones(SHAPE))
    found = fit(said, samples_of(truth), context)
    answer = found.apply(said, samples_of(truth), context)
    fresh = rng.exponential(1.0, SHAPE) + 5.0
    for level in (0.05, 0.25, 0.5, 0.75, 0.95):
        assert (fresh <= answer.quantile(level)).mean() == pytest.approx(level, abs=0.01)


def test_dry_days_are_mended_too_and_no_quantile_is_negative(samples_of, context):
    wrong, right = rainy(2000, 0), rainy(2000, 0)
    wrong = Prediction(wrong.family, {**wrong.parameters, "scale": wrong.parameters["scale"] / 2})
    truth = right.sample(1, seed=1)[0]
    samples = samples_of(truth, units="mm d-1")
    answer = fit(wrong, samples, context).apply(wrong, samples, context)
    fresh = right.sample(1, seed=2)[0]
    for level in (0.8, 0.9, 0.95):
        assert (fresh <= answer.quantile(level)).mean() == pytest.approx(level, abs=0.01)
    assert answer.parameters["quantiles"].min() == 0.0
    assert answer.parameters["lowest"].min() == 0.0


def test_the_transform_of_a_right_forecast_is_even_also_on_a_mass():
    for said in (rainy(1500, 3), normal(np.zeros((1500, 1, 3, 4)), np.ones((1500, 1, 3, 4)))):
        level = transform(said, said.sample(1, seed=5)[0], 1)
        assert kstest(level.ravel(), "uniform").pvalue > 0.01
    dry = transform(rainy(1500, 3), np.zeros((1500, 1, 3, 4), np.float32), 1)
    chance = 1.0 - rainy(1500, 3).parameters["wet"]
    assert (dry <= chance + 1e-6).all()
    assert kstest((dry / chance).ravel(), "uniform").pvalue > 0.01


def test_the_transform_of_members_is_the_inverse_of_the_line_between_them():
    rng = np.random.default_rng(0)
    members = rng.normal(size=(7, 200, 1, 1, 1))
    members[:, :50] = np.round(members[:, :50])  # ties
    truth = rng.normal(0.0, 1.5, (200, 1, 1, 1))
    truth[:50] = np.round(truth[:50])
    level = transform(Prediction("members", {"members": members}), truth, 1)
    lowest, highest = members.min(axis=0), members.max(axis=0)
    np.testing.assert_array_equal(level[truth < lowest], 0.0)
    np.testing.assert_array_equal(level[truth > highest], 1.0)
    inside = np.flatnonzero(((truth >= lowest) & (truth <= highest)).ravel())
    assert len(inside) > 100
    for day in inside:
        said = Prediction("members", {"members": members[:, day : day + 1]})
        assert said.quantile(level[day].item()).item() == pytest.approx(truth[day].item(), abs=1e-9)
        own = np.quantile(members[:, day], level[day].item(), method="hazen")
        assert own == pytest.approx(truth[day].item(), abs=1e-9)


@pytest.mark.parametrize("narrow", [1.0, 0.5])
def test_intervals_of_members_hold_as_much_of_the_evidence_as_they_say(narrow, samples_of, context):
    rng = np.random.default_rng(4)
    said = Prediction("members", {"members": narrow * rng.normal(size=(60, *SHAPE)).astype(np.float32)})
    truth = rng.normal(size=SHAPE) * 0.8
    samples = samples_of(truth)
    answer = fit(said, samples, context).apply(said, samples, context)
    for level in (0.25, 0.5, 0.75) if narrow < 1.0 else (0.05, 0.25, 0.5, 0.75, 0.95):
        assert (samples.target <= answer.quantile(level)).mean() == pytest.approx(level, abs=0.004)


def test_missing_truth_and_broken_members_are_missing():
    members = np.zeros((3, 2, 1, 1, 1))
    members[1, 0] = np.nan
    assert np.isnan(transform(Prediction("members", {"members": members}), np.zeros((2, 1, 1, 1)), 1)).tolist() == [
        [[[True]]],
        [[[False]]],
    ]
    said = normal(np.zeros((2, 1, 1, 1)), np.ones((2, 1, 1, 1)))
    assert np.isnan(transform(said, np.array([np.nan, 1.0]).reshape(2, 1, 1, 1), 1)).ravel().tolist() == [True, False]


def test_weighted_quantiles_of_equal_weights_are_those_of_weibull():
    values, wanted = np.random.default_rng(0).normal(size=41), levels(39)
    expected = np.quantile(values, wanted, method="weibull")
    np.testing.assert_allclose(weighted_quantiles(values, np.full(41, 3.0), wanted), expected)


def test_a_value_of_twice_the_weight_counts_nearly_as_two():
    rng = np.random.default_rng(0)
    values, weight = rng.normal(size=3000), rng.integers(1, 4, 3000)
    twice = weighted_quantiles(np.repeat(values, weight), np.ones(weight.sum()), levels(19))
    np.testing.assert_allclose(weighted_quantiles(values, weight.astype(float), levels(19)), twice, atol=0.01)


def test_quantiles_by_group_are_those_of_a_loop_over_cells(samples_of):
    rng = np.random.default_rng(1)
    shape = (400, 2, 3, 4)
    said = normal(rng.normal(size=shape), rng.uniform(0.5, 1.0, shape))
    mask = np.ones((3, 4), bool)
    mask[1, 1] = False
    groups = groups_of(samples_of(np.zeros(shape), mask=mask), ("season", "cell"))
    wanted = np.sort(rng.uniform(0.05, 0.95, (3, 2, *groups.shape)), axis=0)
    found = by_group(said, groups, wanted)
    assert found.shape == (3, *shape)
    for day, target, (row, column) in [(0, 0, (0, 0)), (120, 1, (2, 3)), (399, 0, (1, 2)), (250, 1, (0, 3))]:
        for number in range(3):
            level = wanted[number, target, groups.of_time[day], groups.of_cell[row, column]]
            expected = said.quantile(float(level))[day, target, row, column]
            assert found[number, day, target, row, column] == pytest.approx(expected, rel=1e-6)


def test_seasons_are_mended_apart(world, samples_of, context):
    mean, sd, truth = world
    samples = samples_of(truth)
    month = samples.time.astype("datetime64[M]").astype(int) % 12 + 1
    off = np.where(np.isin(month, (6, 7, 8)), 3.0, 1.0)[:, None, None, None]
    found = fit(normal(mean, sd / off), samples, context, by=("season",))
    assert norm.ppf(found.arrays["level"][-2, 0, 2, 0]) == pytest.approx(3.0 * norm.ppf(0.95), rel=0.06)
    assert norm.ppf(found.arrays["level"][-2, 0, 0, 0]) == pytest.approx(norm.ppf(0.95), rel=0.06)


def test_members_classes_points_and_few_values_are_refused(world, samples_of, context):
    mean, sd, truth = world
    few = Prediction("members", {"members": np.stack([mean] * 5)})
    with pytest.raises(
        CalibrationError, match=r"expected 39 members or more for isotonic.* got 5.* Take conformal or emos"
    ):
        fit(few, samples_of(truth), context)
    with pytest.raises(
        CalibrationError, match="expected a distribution of numbers for isotonic, got the family 'point'"
    ):
        fit(Prediction("point", {"mean": mean}), samples_of(truth), context)
    classes = Prediction("categorical", {"probabilities": np.full((2, *SHAPE), 0.5)})
    with pytest.raises(CalibrationError, match=r"got the family 'categorical'\. Take temperature for classes"):
        fit(classes, samples_of(truth), context)
    with pytest.raises(CalibrationError, match="expected 100 values with truth or more in every group, got 60"):
        fit(normal(mean[:5], sd[:5]), samples_of(truth[:5]), context)


def test_an_even_number_of_quantiles_is_refused():
    with pytest.raises(ValueError, match="expected an odd number of quantiles"):
        IsotonicConfig(quantiles=40)


def test_the_summary_tells_where_levels_went(world, samples_of, context):
    mean, sd, truth = world
    said = fit(normal(mean, sd / 2), samples_of(truth), context).summary()
    assert list(said["levels"]) == ["5 %", "50 %", "95 %"]
    np.testing.assert_allclose(list(said["levels"].values()), norm.cdf(2.0 * norm.ppf([0.05, 0.5, 0.95])), atol=0.01)
