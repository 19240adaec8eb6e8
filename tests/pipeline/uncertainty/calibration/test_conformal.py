import numpy as np
import pytest
from scipy.stats import beta, kstest, norm

from pipeline.errors import CalibrationError
from pipeline.prediction import Prediction
from pipeline.samples import Affine
from pipeline.uncertainty.calibration import Evidence
from pipeline.uncertainty.calibration.conformal import Conformal, ConformalConfig

MISS = 0.1
HEADLINE = 0  # of 19 quantiles: from 5 % to 95 %


def fit(said, samples, context, **options):
    config = ConformalConfig(**{"quantiles": 19, **options})
    return Conformal(config).fit(Evidence(said, samples, "validation"), context)


def normal(mean, sd):
    mean, sd = np.broadcast_arrays(mean, sd)
    return Prediction("normal", {"mean": mean.astype(np.float32), "sd": sd.astype(np.float32)})


def point(shape):
    return Prediction("point", {"mean": np.zeros(shape, np.float32)})


def ends(said, level=0.9):
    return said.quantile(0.5 - level / 2), said.quantile(0.5 + level / 2)


def share(said, truth, level=0.9):
    low, high = ends(said, level)
    return float(((truth >= low) & (truth <= high)).mean())


def draws_of_coverage(make, samples_of, context, draws, spread=1.0, **options):
    """Return the exact coverage of 90 % intervals about 0 for a further normal truth, one a draw of evidence."""
    found = []
    for seed in range(draws):
        truth, time = make(np.random.default_rng(seed))
        fitted = fit(point(truth.shape), samples_of(truth, time=time), context, score="absolute", **options)
        found.append(2.0 * norm.cdf(fitted.arrays["low"][HEADLINE].item() / spread) - 1.0)
    return np.array(found)


@pytest.mark.parametrize("count", [94, 99])
def test_of_exchangeable_values_the_coverage_is_that_of_the_theorem(samples_of, context, count):
    """It is Beta(k, n + 1 - k), and its mean lies in [1 - a, 1 - a + 1 / (n + 1)]."""
    found = draws_of_coverage(
        lambda rng: (rng.normal(size=(count, 1, 1, 1)), None), samples_of, context, 200, blocks="none"
    )
    rank = int(np.ceil((count + 1) * (1 - MISS)))
    law = beta(rank, count + 1 - rank)
    error = 3.0 * law.std() / np.sqrt(len(found))
    assert 1 - MISS - error <= found.mean() <= 1 - MISS + 1 / (count + 1) + error
    assert found.mean() == pytest.approx(law.mean(), abs=error)
    assert kstest(found, law.cdf).pvalue > 0.01


def test_of_few_seasons_that_differ_blocks_keep_the_coverage_and_values_alone_lose_it(samples_of, context, winters):
    """Twelve winters of 30 days: an effect of each, and AR(1) noise within."""
    effect, noise, memory = 1.0, 0.7, 0.8

    def winters_of(rng):
        each = rng.normal(size=(12, 1)) * effect
        day = np.zeros((12, 30))
        day[:, 0] = rng.normal(size=12)
        for step in range(1, 30):
            day[:, step] = memory * day[:, step - 1] + np.sqrt(1 - memory**2) * rng.normal(size=12)
        return (each + noise * day).reshape(-1, 1, 1, 1), winters(12, 30)

    spread = np.hypot(effect, noise)
    blocks, naive = (
        draws_of_coverage(winters_of, samples_of, context, 200, spread, blocks=kind) for kind in ("years", "none")
    )
    error = 2.0 / np.sqrt(200)
    print(f"mean coverage of 90 %: in blocks {blocks.mean():.3f}, of values alone {naive.mean():.3f}")
    assert naive.mean() < 0.9 - error * naive.std()
    assert 0.9 - error * blocks.std() <= blocks.mean() < 0.97


@pytest.fixture
def uneven():
    """Return a spread that grows tenfold over the cells, and two truths."""
    rng = np.random.default_rng(0)
    sd = np.broadcast_to(np.geomspace(0.3, 3.0, 12).reshape(1, 1, 3, 4), (2000, 1, 3, 4))
    return sd, sd * rng.normal(size=sd.shape), sd * rng.normal(size=sd.shape)


def test_quantiles_have_the_coverage_and_are_narrower_than_distances_where_spreads_differ(uneven, samples_of, context):
    sd, truth, fresh = uneven
    said, width, samples = normal(0.0 * sd, 0.6 * sd), {}, samples_of(truth, lat=(0.0, 1.0))
    for score in ("absolute", "normalised", "cqr"):
        answer = fit(said, samples, context, score=score, blocks="none").apply(said, samples, context)
        assert share(answer, fresh) == pytest.approx(0.9, abs=0.01)
        low, high = ends(answer)
        width[score] = float((high - low).mean())
    assert width["cqr"] < 0.97 * width["absolute"]
    assert width["normalised"] < 0.9 * width["absolute"]


def test_all_intervals_hold_not_only_the_headline(uneven, samples_of, context):
    sd, truth, fresh = uneven
    said = normal(0.0 * sd, 0.6 * sd)
    samples = samples_of(truth, lat=(0.0, 1.0))
    answer = fit(said, samples, context, blocks="none", quantiles=39).apply(said, samples, context)
    for level in (0.1, 0.5, 0.8, 0.9, 0.95):
        assert share(answer, fresh, level) == pytest.approx(level, abs=0.012)


def test_every_end_is_that_of_the_definition(samples_of, context):
    rng = np.random.default_rng(3)
    mean, sd = rng.normal(size=(99, 1, 1, 1)), rng.uniform(0.5, 2.0, (99, 1, 1, 1))
    truth = rng.normal(0.3, 2.0, (99, 1, 1, 1)).astype(np.float32)
    said, samples = normal(mean, sd), samples_of(truth)
    wide = {"score": "cqr", "blocks": "none"}
    answer = fit(said, samples, context, **wide).apply(said, samples, context)
    low, high = ends(said)
    step = np.sort(np.maximum(low - truth, truth - high).ravel())[89]
    np.testing.assert_allclose(ends(answer), (low - step, high + step), rtol=1e-5)
    apart = fit(said, samples, context, tails="apart", **wide).apply(said, samples, context)
    down, up = np.sort((low - truth).ravel())[94], np.sort((truth - high).ravel())[94]
    np.testing.assert_allclose(ends(apart), (low - down, high + up), rtol=1e-5)
    off = np.sort((truth - mean).ravel())[49]
    np.testing.assert_allclose(apart.quantile(0.5), mean + off, rtol=1e-4, atol=1e-6)
    scaled = fit(said, samples, context, score="normalised", blocks="none").apply(said, samples, context)
    step = np.sort((np.abs(truth - mean) / sd).ravel())[89]
    np.testing.assert_allclose(ends(scaled), (mean - step * sd, mean + step * sd), rtol=1e-4, atol=1e-5)


def test_an_interval_is_at_least_as_wide_as_those_inside_it(samples_of, context):
    rng = np.random.default_rng(4)
    truth = rng.normal(size=(60, 1, 1, 3))
    said = normal(rng.normal(size=truth.shape) * 0.2, rng.uniform(3.0, 20.0, truth.shape))  # far too wide
    found = fit(said, samples_of(truth), context, blocks="none", quantiles=39)
    assert found.arrays["low"].max() < 0.0
    answer = found.apply(said, samples_of(truth), context).parameters["quantiles"]
    assert (np.diff(answer, axis=0) >= 0.0).all()


def test_cells_and_seasons_have_their_own(uneven, samples_of, context):
    sd, truth, fresh = uneven
    said = point(sd.shape)
    found = fit(said, samples_of(truth), context, score="absolute", blocks="none", by=("cell",))
    np.testing.assert_allclose(found.arrays["low"][HEADLINE, 0, 0], norm.ppf(0.95) * sd[0, 0].ravel(), rtol=0.1)
    answer = found.apply(said, samples_of(fresh), context)
    inside = (fresh >= ends(answer)[0]) & (fresh <= ends(answer)[1])
    np.testing.assert_allclose(inside.mean(axis=(0, 1)), 0.9, atol=0.03)


def test_cells_count_by_their_area(samples_of, context):
    truth = np.zeros((200, 1, 2, 1))
    truth[:, 0, 0], truth[:, 0, 1] = 1.0, 2.0
    quantile = {"score": "absolute", "blocks": "none", "level": 0.5}
    found = fit(point(truth.shape), samples_of(truth, lat=(0.0, 80.0)), context, **quantile)
    levels = 0.9 - 0.1 * np.arange(9)
    tropics = 1.0 / (1.0 + np.cos(np.deg2rad(80.0)))
    np.testing.assert_array_equal(found.arrays["low"][:, 0, 0, 0], np.where(levels < tropics, 1.0, 2.0))


def test_wider_intervals_go_on_as_the_distribution_does(samples_of, context, winters):
    rng = np.random.default_rng(0)
    truth = 2.0 * rng.normal(size=(15 * 20, 1, 1, 2))
    samples, said = samples_of(truth, time=winters(15, 20)), normal(np.zeros(truth.shape), 1.0)
    found = fit(said, samples, context, blocks="years", quantiles=39)
    assert np.isinf(found.arrays["low"][0]).all()  # 95 %: 15 winters bear it not
    assert np.isfinite(found.arrays["low"][1:]).all()
    answer, z = found.apply(said, samples, context), norm.ppf([0.95, 0.975])
    np.testing.assert_allclose(answer.quantile(0.975) / answer.quantile(0.95), z[1] / z[0], rtol=1e-4)
    assert found.summary()["intervals_from_shape"] == 1
    assert found.summary()["intervals"] == 19
    assert found.summary()["blocks"] == "15 years"
    single = point(truth.shape)
    flat = fit(single, samples, context, score="absolute", blocks="years", quantiles=39).apply(single, samples, context)
    np.testing.assert_allclose(flat.quantile(0.975) / flat.quantile(0.95), z[1] / z[0], rtol=1e-4)
    sure = fit(said, samples_of(truth, time=winters(30, 10)), context, blocks="years", level=0.95, quantiles=39)
    assert np.isfinite(sure.arrays["low"]).all()


def test_too_few_blocks_for_the_level_are_refused(samples_of, context, winters):
    truth = np.random.default_rng(0).normal(size=(120, 1, 1, 2))
    samples, said = samples_of(truth, time=winters(2)), normal(np.zeros(truth.shape), 1.0)
    with pytest.raises(CalibrationError, match=r"expected 9 blocks .* for intervals of 90%, got 2 \(seasons\)"):
        fit(said, samples, context, blocks="seasons")
    with pytest.raises(CalibrationError, match="expected 19 blocks"):
        fit(said, samples, context, blocks="seasons", tails="apart")
    found = fit(said, samples, context, blocks="seasons", level=0.6)
    assert found.summary()["intervals_from_shape"] == 3
    tiny = fit(said, samples, context, blocks="seasons", level=0.01)  # the narrowest rests on blocks in any case
    assert np.isfinite(tiny.arrays["low"][-1]).all()


def test_certain_and_wrong_answers_have_no_normalised_interval(samples_of, context):
    truth = np.random.default_rng(0).normal(size=(200, 1, 1, 2))
    sd = np.where(np.arange(200) % 5, 1.0, 0.0).reshape(200, 1, 1, 1)
    said = normal(0.0 * truth, sd + 0.0 * truth)
    with pytest.raises(
        CalibrationError, match=r"expected a spread above zero around 90% .*Take score: absolute or cqr"
    ):
        fit(said, samples_of(truth), context, score="normalised", blocks="none")
    right = np.where(sd == 0.0, 0.0, truth)
    found = fit(said, samples_of(right), context, score="normalised", blocks="none")
    assert found.arrays["low"][HEADLINE].item() < norm.ppf(0.95)


@pytest.mark.parametrize("affine", [True, False])
def test_no_quantile_of_an_amount_is_below_zero(samples_of, context, affine):
    rng = np.random.default_rng(0)
    truth = rng.exponential(1.0, (200, 1, 1, 3)) * (rng.random((200, 1, 1, 3)) < 0.4)
    samples = samples_of(truth, units="mm d-1", affine=affine)
    said = normal(np.ones(truth.shape), 1.0)
    answer = fit(said, samples, context, blocks="none").apply(said, samples, context)
    assert answer.parameters["lowest"].min() == 0.0
    assert answer.quantile(0.05).max() == 0.0
    assert share(answer, truth) >= 0.89


def test_zero_may_be_another_number(samples_of, context):
    rng = np.random.default_rng(0)
    rain = rng.exponential(1.0, (200, 1, 1, 3)) * (rng.random((200, 1, 1, 3)) < 0.4)
    samples = samples_of((rain - 1.5) / 2.0, units="mm d-1")
    object.__setattr__(samples.schema, "target_affine", Affine(np.full((1, 1, 1), 2.0), np.full((1, 1, 1), 1.5)))
    said = normal(np.zeros(rain.shape), 1.0)
    answer = fit(said, samples, context, blocks="none").apply(said, samples, context)
    assert answer.parameters["quantiles"].min() == pytest.approx(-0.75)


def test_classes_and_single_values_are_refused_where_they_say_too_little(samples_of, context):
    truth = np.zeros((200, 1, 1, 3))
    for score in ("normalised", "cqr"):
        with pytest.raises(CalibrationError, match=rf"score: {score}, got single values .*Take score: absolute"):
            fit(point(truth.shape), samples_of(truth), context, score=score)
    classes = Prediction("categorical", {"probabilities": np.full((2, *truth.shape), 0.5)})
    with pytest.raises(CalibrationError, match=r"got one of classes\. Take temperature"):
        fit(classes, samples_of(truth), context)


def test_members_keep_their_share_and_points_have_none(samples_of, context):
    rng = np.random.default_rng(0)
    shape = (300, 1, 1, 3)
    mean = rng.normal(size=(5, *shape))
    mixture = Prediction("mixture", {"mean": mean, "sd": np.ones_like(mean)})
    samples = samples_of(3.0 * rng.normal(size=shape))
    answer = fit(mixture, samples, context, blocks="none").apply(mixture, samples, context)
    for before, after in zip(mixture.variances(), answer.variances(), strict=True):
        np.testing.assert_allclose(after / answer.variance(), before / mixture.variance(), rtol=1e-3)
    single = fit(point(shape), samples, context, score="absolute", blocks="none").apply(point(shape), samples, context)
    assert single.variances()[1] is None
