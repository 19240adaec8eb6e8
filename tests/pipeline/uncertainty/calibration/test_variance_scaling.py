import numpy as np
import pytest

from pipeline.errors import CalibrationError
from pipeline.prediction import Prediction
from pipeline.prediction.quantiles import from_quantiles, levels
from pipeline.uncertainty.calibration import Evidence
from pipeline.uncertainty.calibration.variance_scaling import VarianceScaling, VarianceScalingConfig

SHAPE = (1000, 1, 3, 4)


def fit(said, samples, context, **options):
    return VarianceScaling(VarianceScalingConfig(**options)).fit(Evidence(said, samples, "validation"), context)


def normal(mean, sd):
    return Prediction("normal", {"mean": mean.astype(np.float32), "sd": sd.astype(np.float32)})


@pytest.fixture
def world():
    """Return mean, spread and truth of a forecast that is right."""
    rng = np.random.default_rng(0)
    mean, sd = rng.normal(3.0, 2.0, SHAPE), rng.uniform(0.5, 2.0, SHAPE)
    return mean, sd, mean + sd * rng.normal(size=SHAPE)


def test_half_the_spread_gets_the_factor_2(world, samples_of, context):
    mean, sd, truth = world
    found = fit(normal(mean, sd / 2), samples_of(truth), context)
    assert found.arrays["scale"].item() == pytest.approx(2.0, abs=0.03)
    assert found.arrays["bias"].item() == 0.0
    answer = found.apply(normal(mean, sd / 2), samples_of(truth), context)
    np.testing.assert_allclose(answer.parameters["sd"], found.arrays["scale"].item() * sd / 2, rtol=1e-5)
    np.testing.assert_allclose(answer.parameters["mean"], mean, atol=1e-5)
    ratio = np.sqrt(answer.variance().mean() / ((truth - mean) ** 2).mean())
    assert ratio == pytest.approx(1.0, abs=0.01)  # but for the area


def test_the_factor_is_the_ratio_of_means_by_area(world, samples_of, context):
    mean, sd, truth = world
    truth = truth.copy()
    truth[:, :, 0] += 5.0  # the row at 10 degrees weighs most
    found = fit(normal(mean, sd), samples_of(truth, lat=(10.0, 80.0)), context)
    area = np.cos(np.deg2rad(np.linspace(10.0, 80.0, 3)))[None, None, :, None] * np.ones(SHAPE)
    expected = np.sqrt(np.average((truth - mean) ** 2, weights=area) / np.average(sd**2, weights=area))
    assert found.arrays["scale"].item() == pytest.approx(expected, rel=1e-5)


def test_the_bias_is_taken_off_where_it_is_asked_for(world, samples_of, context):
    mean, sd, truth = world
    found = fit(normal(mean, sd), samples_of(truth + 3.0), context, bias=True)
    assert found.arrays["bias"].item() == pytest.approx(3.0, abs=0.05)
    assert found.arrays["scale"].item() == pytest.approx(1.0, abs=0.03)
    answer = found.apply(normal(mean, sd), samples_of(truth), context)
    np.testing.assert_allclose(answer.mean(), mean + found.arrays["bias"].item(), atol=1e-5)
    assert found.summary()["bias"] == found.arrays["bias"].item()
    left = fit(normal(mean, sd), samples_of(truth + 3.0), context)
    assert left.arrays["scale"].item() > 2.0  # else it widens the spread


def test_every_season_and_cell_has_its_own(world, samples_of, context):
    mean, sd, truth = world
    samples = samples_of(truth)
    off = np.ones(SHAPE)
    off[(samples.time.astype("datetime64[M]").astype(int) % 12) < 2] = 3.0  # January and February: part of DJF
    off[:, :, 1, 2] *= 2.0
    found = fit(normal(mean, sd / off), samples, context, by=("month", "cell"))
    scale = found.arrays["scale"][0]
    assert scale.shape == (12, 12)
    np.testing.assert_allclose(np.median(scale[:2]), 3.0, rtol=0.1)
    np.testing.assert_allclose(np.median(scale[2:]), 1.0, rtol=0.1)
    np.testing.assert_allclose(np.median(scale[2:, 6]), 2.0, rtol=0.15)


def test_a_season_that_the_evidence_lacks_has_the_factor_of_the_others(world, samples_of, context, winters):
    mean, sd, truth = world
    found = fit(normal(mean, sd / 2), samples_of(truth, time=winters(20, 50)), context, by=("season",))
    np.testing.assert_allclose(found.arrays["scale"][0, :, 0], found.arrays["scale"][0, 0, 0])
    summer = samples_of(truth[:30], time=np.datetime64("1999-07-01", "ns") + np.arange(30) * np.timedelta64(1, "D"))
    answer = found.apply(normal(mean, sd / 2).map(lambda a: a[:30]), summer, context)
    np.testing.assert_allclose(answer.parameters["sd"], sd[:30], rtol=0.05)


def test_missing_truth_and_missing_answers_are_left_out(world, samples_of, context):
    mean, sd, truth = world
    gone = truth.copy()
    gone[::3] = np.nan
    found = fit(normal(mean, sd / 2), samples_of(gone), context)
    kept = np.arange(SHAPE[0]) % 3 > 0
    alone = fit(normal(mean[kept], sd[kept] / 2), samples_of(truth[kept]), context)
    np.testing.assert_allclose(found.arrays["scale"], alone.arrays["scale"], rtol=1e-6)
    blind = mean.copy()
    blind[::3] = np.nan
    silent = fit(normal(blind, sd / 2), samples_of(truth), context)
    np.testing.assert_allclose(silent.arrays["scale"], alone.arrays["scale"], rtol=1e-6)


def test_members_that_the_truth_could_be_one_of_keep_their_spread(samples_of, context):
    rng = np.random.default_rng(1)
    for count in (2, 5, 20):
        drawn = rng.normal(size=(count + 1, 4000, 1, 3, 4)).astype(np.float32)
        said = Prediction("members", {"members": drawn[:-1]})
        found = fit(said, samples_of(drawn[-1]), context)
        assert found.arrays["scale"].item() == pytest.approx(1.0, abs=0.02)
        widened = found.apply(said, samples_of(drawn[-1]), context).members
        np.testing.assert_allclose(widened.mean(axis=0), said.members.mean(axis=0), atol=1e-5)


def test_parts_of_the_variance_keep_their_share(world, samples_of, context):
    mean, sd, truth = world
    means = mean + np.random.default_rng(2).normal(size=(4, *SHAPE))
    mixture = Prediction("mixture", {"mean": means.astype(np.float32), "sd": np.stack([sd] * 4).astype(np.float32)})
    found = fit(mixture, samples_of(truth), context, by=("cell",))
    answer = found.apply(mixture, samples_of(truth), context)
    for before, after in zip(mixture.variances(), answer.variances(), strict=True):
        np.testing.assert_allclose(after / answer.variance(), before / mixture.variance(), rtol=1e-4)


def test_quantiles_are_scaled_about_their_mean(world, samples_of, context):
    mean, sd, truth = world
    base = normal(mean, sd / 2)
    said = Prediction("quantiles", from_quantiles(np.stack([base.quantile(float(level)) for level in levels(39)])))
    found = fit(said, samples_of(truth), context)
    assert found.arrays["scale"].item() == pytest.approx(2.0, abs=0.05)
    answer = found.apply(said, samples_of(truth), context)
    np.testing.assert_allclose(answer.quantile(0.95), normal(mean, sd).quantile(0.95), atol=0.15)


def test_what_cannot_be_scaled_is_refused(world, samples_of, context):
    mean, sd, truth = world
    with pytest.raises(CalibrationError, match="widened about its mean, got the family 'point' of temperature"):
        fit(Prediction("point", {"mean": mean}), samples_of(truth), context)
    members = Prediction("members", {"members": np.stack([mean, mean + 1])})
    with pytest.raises(
        CalibrationError, match=r"got the family 'members' of precipitation. Take isotonic or conformal"
    ):
        fit(members, samples_of(truth, units="mm d-1"), context)
    with pytest.raises(CalibrationError, match="expected a spread above zero to scale"):
        fit(Prediction("members", {"members": np.stack([mean, mean])}), samples_of(truth), context)
    with pytest.raises(CalibrationError, match="right to the last digit"):
        fit(normal(truth, sd), samples_of(truth), context)
    with pytest.raises(CalibrationError, match="expected 30 values with truth or more in every group, got 24"):
        fit(normal(mean[:2], sd[:2]), samples_of(truth[:2]), context)


def test_normal_flow_is_scaled_although_it_is_an_amount(world, samples_of, context):
    mean, sd, truth = world
    found = fit(normal(mean, sd / 2), samples_of(truth, units="m3 s-1"), context)
    assert found.arrays["scale"].item() == pytest.approx(2.0, abs=0.03)


def test_the_summary_tells_the_factors_and_what_they_rest_on(world, samples_of, context):
    mean, sd, truth = world
    said = fit(normal(mean, sd), samples_of(truth), context, by=("cell",)).summary()
    assert said["kind"] == "variance_scaling"
    assert said["by"] == ["cell"]
    assert list(said["scale"].values()) == sorted(said["scale"].values())
    assert (said["samples"], said["values"]) == (1000, 12000)
