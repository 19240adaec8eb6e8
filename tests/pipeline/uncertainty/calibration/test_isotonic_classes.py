import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

from pipeline.errors import CalibrationError
from pipeline.prediction import Prediction
from pipeline.uncertainty.calibration import Evidence
from pipeline.uncertainty.calibration.isotonic_classes import IsotonicClasses, IsotonicClassesConfig

SHAPE = (800, 1, 6, 10)
CLASSES = ("a", "b", "c")


def fit(said, samples, context, **options):
    return IsotonicClasses(IsotonicClassesConfig(**options)).fit(Evidence(said, samples, "validation"), context)


@pytest.fixture
def world():
    """Return probabilities, and two truths that are drawn from them."""
    rng = np.random.default_rng(0)
    chances = np.moveaxis(rng.dirichlet((4.0, 1.0, 0.5), SHAPE), -1, 0)
    said = Prediction("categorical", {"probabilities": chances})
    return chances, said.sample(1, seed=1)[0], said.sample(1, seed=2)[0]


def bent(chances):
    """Return probabilities of which the second class is said far too often."""
    wrong = chances * np.array([1.0, 4.0, 1.0]).reshape(3, 1, 1, 1, 1)
    return Prediction("categorical", {"probabilities": (wrong / wrong.sum(axis=0)).astype(np.float32)})


def test_what_is_said_of_a_class_is_how_often_it_is_true(samples_of, context):
    rng = np.random.default_rng(3)
    right = rng.uniform(0.0, 1.0, SHAPE)
    wrong = right**3 / (right**3 + 0.3 * (1.0 - right))  # a curve of no temperature
    said = Prediction("categorical", {"probabilities": np.stack([wrong, 1.0 - wrong]).astype(np.float32)})
    truth, fresh = ((rng.random(SHAPE) > right).astype(float) for _ in range(2))
    samples = samples_of(truth, lat=(0.0, 1.0), classes=CLASSES[:2])
    found = fit(said, samples, context)
    answer = found.apply(said, samples, context).parameters["probabilities"]
    np.testing.assert_allclose(answer.sum(axis=0), 1.0, rtol=1e-5)
    inner = (right > 0.05) & (right < 0.95)
    np.testing.assert_allclose(answer[0][inner], right[inner], atol=0.06)
    assert np.abs(answer[0] - right).mean() < 0.012 < 0.09 < np.abs(wrong - right).mean()
    for low, high in ((0.05, 0.3), (0.3, 0.6), (0.6, 0.95)):
        inside = (answer[0] > low) & (answer[0] <= high)
        assert (fresh[inside] == 0).mean() == pytest.approx(answer[0][inside].mean(), abs=0.02)


def test_of_three_classes_they_tell_more_of_another_truth_than_before(world, samples_of, context):
    chances, truth, fresh = world
    samples = samples_of(truth, classes=CLASSES)
    answer = fit(bent(chances), samples, context).apply(bent(chances), samples, context)
    before, after, best = (
        each.nll(fresh).mean()
        for each in (bent(chances), answer, Prediction("categorical", {"probabilities": chances}))
    )
    assert best < after < before
    assert before - after > 0.6 * (before - best)


def test_curves_are_those_of_another_library(world, samples_of, context):
    chances, truth, _ = world
    said = bent(chances)
    samples = samples_of(truth, lat=(0.0, 70.0), classes=CLASSES)
    area = np.broadcast_to(np.cos(np.deg2rad(np.linspace(0.0, 70.0, 6)))[:, None], (*SHAPE[:3], 10)).ravel()
    curve = fit(said, samples, context, bins=2000).arrays["curve"]
    middle = (np.arange(2000) + 0.5) / 2000
    for number in range(3):
        p = said.parameters["probabilities"][number].ravel()
        other = IsotonicRegression(out_of_bounds="clip").fit(p, truth.ravel() == number, sample_weight=area)
        dense = (middle > np.quantile(p, 0.02)) & (middle < np.quantile(p, 0.98))
        np.testing.assert_allclose(curve[number][dense], other.predict(middle[dense]), atol=0.03)
        assert (np.diff(curve[number]) >= 0.0).all()
        assert 0.0 < curve[number].min() < curve[number].max() < 1.0


def test_missing_truth_takes_no_part(world, samples_of, context):
    chances, truth, _ = world
    gone = truth.copy()
    gone[::2] = np.nan
    found = fit(bent(chances), samples_of(gone, classes=CLASSES), context)
    alone = fit(bent(chances[:, 1::2]), samples_of(truth[1::2], classes=CLASSES), context)
    np.testing.assert_allclose(found.arrays["curve"], alone.arrays["curve"], rtol=1e-9)


def test_numbers_and_few_cells_are_refused(world, samples_of, context):
    chances, truth, _ = world
    with pytest.raises(CalibrationError, match="expected probabilities of classes, got the family 'point'"):
        fit(Prediction("point", {"mean": truth}), samples_of(truth, classes=CLASSES), context)
    with pytest.raises(CalibrationError, match="expected 1000 values with truth or more in every group, got 600"):
        fit(bent(chances[:, :10]), samples_of(truth[:10], classes=CLASSES), context)


def test_the_summary_tells_what_becomes_of_some(world, samples_of, context):
    chances, truth, _ = world
    said = fit(bent(chances), samples_of(truth, classes=CLASSES), context).summary()
    assert len(said["of_10_50_90"]) == 3
    assert said["of_10_50_90"][1][1] < 0.35  # half of the second class is a quarter of it
