import numpy as np
import pytest
from scipy.optimize import check_grad
from scipy.stats import norm

from pipeline.errors import CalibrationError
from pipeline.prediction import Prediction
from pipeline.uncertainty.calibration import Evidence
from pipeline.uncertainty.calibration.emos import DRESSED, Cloud, Emos, EmosConfig, fitted, mean_crps

SHAPE = (1500, 1, 3, 4)
A, B, C, D = 1.5, 0.8, 0.7, 1.2


def fit(said, samples, context, **options):
    return Emos(EmosConfig(**options)).fit(Evidence(said, samples, "validation"), context)


def normal(mean, sd):
    return Prediction("normal", {"mean": mean.astype(np.float32), "sd": sd.astype(np.float32)})


@pytest.fixture
def world():
    """Return a forecast's mean and spread, and a truth of the mean a + b m and the variance c^2 + d^2 v."""
    rng = np.random.default_rng(0)
    mean, sd = rng.normal(20.0, 4.0, SHAPE), rng.uniform(0.2, 2.0, SHAPE)
    return mean, sd, A + B * mean + np.sqrt(C**2 + D**2 * sd**2) * rng.normal(size=SHAPE)


def test_finds_the_coefficients_that_data_were_made_with(world, samples_of, context):
    mean, sd, truth = world
    found = fit(normal(mean, sd), samples_of(truth, lat=(0.0, 1.0)), context)
    learned = {name: found.arrays[name].item() for name in "abcd"}
    assert learned["b"] == pytest.approx(B, abs=0.01)
    assert learned["a"] == pytest.approx(A, abs=0.2)
    assert learned["c"] == pytest.approx(C, abs=0.05)
    assert learned["d"] == pytest.approx(D, abs=0.03)
    answer = found.apply(normal(mean, sd), samples_of(truth), context)
    assert answer.family == "normal"
    np.testing.assert_allclose(answer.mean(), A + B * mean, atol=0.1)
    np.testing.assert_allclose(answer.variance(), C**2 + D**2 * sd**2, rtol=0.1)


def test_the_score_and_its_gradient_are_those_of_other_formulas():
    rng = np.random.default_rng(1)
    cloud = Cloud(rng.normal(size=50), rng.normal(size=50), rng.uniform(0.1, 2.0, 50), np.full(50, 0.02))
    at = np.array([0.3, 0.8, 0.5, 1.1])
    sd = np.sqrt(at[2] ** 2 + at[3] ** 2 * cloud.variance)
    draws = norm.ppf((np.arange(4000) + 0.5) / 4000)[:, None] * sd + at[0] + at[1] * cloud.mean
    brute = np.abs(draws - cloud.truth).mean() - np.mean(sd) / np.sqrt(np.pi)
    assert mean_crps(at, *cloud)[0] == pytest.approx(brute, rel=1e-3)
    assert check_grad(lambda x: mean_crps(x, *cloud)[0], lambda x: mean_crps(x, *cloud)[1], at) < 1e-6


def test_where_nothing_is_uncertain_the_score_is_the_absolute_error():
    truth = np.array([1.0, 2.0, 3.0])
    score, slope = mean_crps(np.array([0.0, 1.0, 0.0, 1.0]), truth, np.full(3, 2.0), np.zeros(3), np.full(3, 1 / 3))
    assert score == pytest.approx(2 / 3)
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("seed", range(6))
def test_is_never_worse_in_sample_than_what_it_began_with(seed):
    rng = np.random.default_rng(seed)
    truth, mean = rng.standard_t(2, 80) * 3.0 + 300.0, 300.0 + rng.normal(size=80) * 10.0 ** rng.uniform(-2, 2)
    weight = rng.uniform(0.1, 1.0, 80)
    cloud = Cloud(truth, mean, rng.exponential(size=80) ** 4, weight / weight.sum())
    *best, before, after = fitted(cloud)
    assert after <= before * (1.0 + 1e-6)
    assert after == pytest.approx(mean_crps(np.array(best), *cloud)[0], rel=1e-9)
    assert before == pytest.approx(mean_crps(np.array([0.0, 1.0, 0.0, 1.0]), *cloud)[0], rel=1e-9)


def test_units_do_not_matter():
    rng = np.random.default_rng(3)
    mean, variance = rng.normal(size=400), rng.uniform(0.5, 2.0, 400)
    truth = 0.5 + 0.9 * mean + np.sqrt(variance) * rng.normal(size=400)
    weight = np.full(400, 1 / 400)
    a, b, c, d, _, score = fitted(Cloud(truth, mean, variance, weight))
    a2, b2, c2, d2, _, score2 = fitted(Cloud(1e5 + 300 * truth, 1e5 + 300 * mean, 9e4 * variance, weight))
    assert (b2, d2) == pytest.approx((b, d), rel=1e-2)
    assert score2 == pytest.approx(300 * score, rel=1e-6)
    assert a2 == pytest.approx(1e5 * (1 - b) + 300 * a, rel=1e-2)
    assert c2 == pytest.approx(300 * c, rel=0.1, abs=1.0)


def test_cells_have_their_own(world, samples_of, context):
    mean, sd, truth = world
    truth = truth.copy()
    truth[:, :, 1, 2] += 7.0
    found = fit(normal(mean, sd), samples_of(truth), context, by=("cell",))
    offset = found.arrays["a"][0, 0]
    assert offset.shape == (12,)
    assert offset[6] - np.median(offset) == pytest.approx(7.0, abs=1.0)


def test_points_get_a_constant_spread(world, samples_of, context):
    mean, _, truth = world
    found = fit(Prediction("point", {"mean": mean.astype(np.float32)}), samples_of(truth), context)
    answer = found.apply(Prediction("point", {"mean": mean.astype(np.float32)}), samples_of(truth), context)
    assert answer.family == "normal"
    assert answer.parameters["sd"].shape == SHAPE
    assert np.ptp(answer.parameters["sd"]) == 0.0
    rest = truth - answer.mean()
    assert answer.parameters["sd"][0, 0, 0, 0] == pytest.approx(rest.std(), rel=0.1)


def test_members_stay_and_only_their_disagreement_is_epistemic(world, samples_of, context):
    mean, sd, truth = world
    rng = np.random.default_rng(4)
    means = mean + 0.5 * rng.normal(size=(5, *SHAPE))
    sds = sd * rng.uniform(0.8, 1.2, (5, *SHAPE))
    said = Prediction("mixture", {"mean": means.astype(np.float32), "sd": sds.astype(np.float32)})
    samples = samples_of(truth)
    found = fit(said, samples, context)
    answer = found.apply(said, samples, context)
    c, d = (found.arrays[name].item() for name in "cd")
    aleatoric, epistemic = said.variances()
    np.testing.assert_allclose(answer.variances()[1], d**2 * epistemic, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(answer.variances()[0], c**2 + d**2 * aleatoric, rtol=1e-4)
    a, b = (found.arrays[name].item() for name in "ab")
    np.testing.assert_allclose(answer.mean(), a + b * said.mean(), rtol=1e-5)


def test_many_members_are_thinned_and_their_variance_is_kept(world, samples_of, context):
    mean, sd, truth = world
    members = mean + sd * np.random.default_rng(5).normal(size=(50, *SHAPE))
    said = Prediction("members", {"members": members.astype(np.float32)})
    found = fit(said, samples_of(truth), context)
    answer = found.apply(said, samples_of(truth), context)
    assert answer.family == "mixture"
    assert answer.member_count == DRESSED
    c, d = (found.arrays[name].item() for name in "cd")
    np.testing.assert_allclose(answer.variances()[0], c**2, rtol=1e-2, atol=1e-3)
    np.testing.assert_allclose(answer.variance(), c**2 + d**2 * said.variance(), rtol=1e-3)


def test_members_that_agree_where_they_are_looked_at_lose_no_variance(samples_of, context):
    members = np.zeros((40, 200, 1, 1, 1), np.float32)
    members[1::2] = 2.0  # evenly chosen, the twenty are all 0
    truth = np.random.default_rng(0).normal(1.0, 1.0, (200, 1, 1, 1))
    said = Prediction("members", {"members": members})
    found = fit(said, samples_of(truth), context)
    answer = found.apply(said, samples_of(truth), context)
    c, d = (found.arrays[name].item() for name in "cd")
    np.testing.assert_allclose(answer.variance(), c**2 + d**2 * 1.0, rtol=1e-5)


def test_amounts_classes_and_few_values_are_refused(world, samples_of, context):
    mean, sd, truth = world
    for units in ("mm d-1", "m3 s-1"):
        with pytest.raises(
            CalibrationError, match=r"got amounts, which are never below zero.*Take isotonic or conformal"
        ):
            fit(normal(mean, sd), samples_of(truth, units=units), context)
    classes = Prediction("categorical", {"probabilities": np.full((2, *SHAPE), 0.5)})
    with pytest.raises(CalibrationError, match=r"got one of classes\. Take temperature"):
        fit(classes, samples_of(truth), context)
    with pytest.raises(CalibrationError, match="expected 60 values with truth or more in every group, got 36"):
        fit(normal(mean[:3], sd[:3]), samples_of(truth[:3]), context)
    with pytest.raises(CalibrationError, match="right to the last digit"):
        fit(normal(np.ones(SHAPE), sd), samples_of(np.ones(SHAPE)), context)


def test_the_summary_tells_coefficients_and_scores(world, samples_of, context):
    mean, sd, truth = world
    said = fit(normal(mean, sd), samples_of(truth), context, by=("cell",)).summary()
    assert said["crps"] < said["crps_before"]
    assert all(said[name]["least"] < said[name]["median"] < said[name]["most"] for name in "abcd" if said[name] != 0.0)
