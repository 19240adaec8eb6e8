import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from pipeline.errors import CalibrationError
from pipeline.prediction import FAMILIES, Prediction
from pipeline.prediction.categorical import Categorical, entropy
from pipeline.uncertainty.calibration import Evidence
from pipeline.uncertainty.calibration._classes import with_chances
from pipeline.uncertainty.calibration.temperature import HOTTEST, Temperature, TemperatureConfig, powered

SHAPE = (400, 1, 5, 8)
CLASSES = ("a", "b", "c", "d")


class Pair(Categorical):
    """A family of classes with the mean entropy of members beside."""

    parameters = ("probabilities", "expected_entropy")


def fit(said, samples, context, **options):
    return Temperature(TemperatureConfig(**options)).fit(Evidence(said, samples, "validation"), context)


def forecast(logits):
    return Prediction("categorical", {"probabilities": softmax(logits, axis=0).astype(np.float32)})


@pytest.fixture
def world():
    """Return logits and classes drawn from them."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0.0, 1.5, (4, *SHAPE))
    truth = Prediction("categorical", {"probabilities": softmax(logits, axis=0)}).sample(1, seed=3)[0]
    return logits, truth


@pytest.mark.parametrize("sharp", [0.3, 1.0, 3.0])
def test_logits_that_were_multiplied_are_divided_again(world, samples_of, context, sharp):
    logits, truth = world
    samples = samples_of(truth, units="1", classes=CLASSES)
    found = fit(forecast(sharp * logits), samples, context)
    assert found.arrays["temperature"].item() == pytest.approx(sharp, rel=0.03)
    answer = found.apply(forecast(sharp * logits), samples, context)
    np.testing.assert_allclose(answer.parameters["probabilities"], softmax(logits, axis=0), atol=0.02)
    np.testing.assert_allclose(answer.parameters["probabilities"].sum(axis=0), 1.0, rtol=1e-5)
    np.testing.assert_array_equal(answer.mean(), forecast(logits).mean())


def test_it_is_where_another_minimiser_finds_the_least_loss_by_area(world, samples_of, context):
    logits, truth = world
    truth = truth.copy()
    truth[::7] = np.nan
    truth[:, :, 4] = np.nan
    found = fit(forecast(2.0 * logits), samples_of(truth, lat=(0.0, 80.0), units="1", classes=CLASSES), context)
    area = np.cos(np.deg2rad(np.linspace(0.0, 80.0, 5)))[None, None, :, None] * np.ones(SHAPE)
    known = np.isfinite(truth)

    def loss(power):
        logs = log_softmax(2.0 * logits * power, axis=0)
        own = np.take_along_axis(logs, np.nan_to_num(truth).astype(int)[None], axis=0)[0]
        return -np.average(own[known], weights=area[known])

    best = minimize_scalar(loss, bounds=(0.05, 5.0), method="bounded", options={"xatol": 1e-9})
    assert found.arrays["temperature"].item() == pytest.approx(1.0 / best.x, rel=1e-4)


def test_every_group_has_its_own_and_one_without_evidence_that_of_all(world, samples_of, context, winters):
    logits, truth = world
    samples = samples_of(truth, time=winters(8, 50), units="1", classes=CLASSES)
    sharp = np.full(SHAPE, 2.0)
    sharp[..., 4:] = 0.5
    found = fit(forecast(sharp * logits), samples, context, by=("season", "cell"))
    heat = found.arrays["temperature"][0]
    assert heat.shape == (4, 40)
    np.testing.assert_allclose(heat[1:], heat[:1].repeat(3, axis=0))
    columns = heat[0].reshape(5, 8)
    assert np.median(columns[:, :4]) == pytest.approx(2.0, rel=0.1)
    assert np.median(columns[:, 4:]) == pytest.approx(0.5, rel=0.1)
    answer = found.apply(forecast(sharp * logits), samples, context).parameters["probabilities"]
    expected = powered(softmax(sharp * logits, axis=0), 1.0 / columns[None, None] * np.ones(SHAPE))
    np.testing.assert_allclose(answer, expected, atol=1e-5)


def test_classes_without_an_overlap_go_to_the_end(samples_of, context):
    truth = np.random.default_rng(0).integers(0, 4, SHAPE).astype(float)
    right = np.stack([np.where(truth == number, 0.4, 0.2) for number in range(4)])
    found = fit(Prediction("categorical", {"probabilities": right}), samples_of(truth, classes=CLASSES), context)
    assert found.arrays["temperature"].item() == pytest.approx(0.02, rel=0.2)
    noise = np.random.default_rng(1).dirichlet(np.ones(4), SHAPE)
    silly = Prediction("categorical", {"probabilities": np.moveaxis(noise, -1, 0)})
    assert fit(silly, samples_of(truth, classes=CLASSES), context).arrays["temperature"].item() > 5.0


def test_a_class_that_had_no_chance_takes_no_part_and_is_told(world, samples_of, context, warned):
    logits, truth = world
    chances = softmax(2.0 * logits, axis=0)
    lost = np.zeros(SHAPE, bool)
    lost[3, 0, 2, :5] = True
    chances[:, lost] = 0.0
    for number in range(4):  # all on the class behind the true one
        chances[(number + 1) % 4, lost & (truth == number)] = 1.0
    samples = samples_of(truth, units="1", classes=CLASSES)
    found = fit(Prediction("categorical", {"probabilities": chances}), samples, context)
    gone = truth.copy()
    gone[lost] = np.nan
    alone = fit(forecast(2.0 * logits), samples_of(gone, units="1", classes=CLASSES), context)
    np.testing.assert_allclose(found.arrays["temperature"], alone.arrays["temperature"], rtol=1e-5)
    assert found.summary()["impossible"] == 5
    assert alone.summary()["impossible"] == 0
    assert warned == [
        "unet: 5 cells of validation are of a class that had no chance at all; a temperature cannot give it one."
    ]
    answer = found.apply(Prediction("categorical", {"probabilities": chances}), samples, context)
    np.testing.assert_array_equal(answer.parameters["probabilities"][:, lost], chances[:, lost])


def test_what_members_disagree_by_keeps_its_share(world, monkeypatch):
    monkeypatch.setitem(FAMILIES._entries, "pair", Pair)
    monkeypatch.setitem(FAMILIES._requires, "pair", ())
    chances = softmax(world[0], axis=0)
    chances[:, 0, 0, 0, 0] = [1.0, 0.0, 0.0, 0.0]
    said = Prediction("pair", {"probabilities": chances, "expected_entropy": 0.6 * entropy(chances)})
    answer = with_chances(said, powered(chances, np.full(SHAPE, 0.5)))
    whole = entropy(answer.parameters["probabilities"])
    np.testing.assert_allclose(answer.parameters["expected_entropy"], 0.6 * whole, rtol=1e-10)
    assert answer.family == "pair"
    assert answer.parameters["expected_entropy"][0, 0, 0, 0] == 0.0
    assert (whole > entropy(chances)).mean() > 0.99


def test_numbers_and_few_cells_are_refused(world, samples_of, context):
    logits, truth = world
    normal = Prediction("normal", {"mean": truth, "sd": truth})
    with pytest.raises(CalibrationError, match="expected probabilities of classes, got the family 'normal'"):
        fit(normal, samples_of(truth, classes=CLASSES), context)
    rare = np.full(SHAPE, np.nan)
    rare[0, 0, 0] = truth[0, 0, 0]
    with pytest.raises(CalibrationError, match="expected 30 values with truth or more in every group, got 8"):
        fit(forecast(logits), samples_of(rare, classes=CLASSES), context)


def test_the_range_is_what_it_says():
    assert HOTTEST == 50.0
    np.testing.assert_allclose(powered(np.array([[0.5], [0.3], [0.2]]), np.ones(1)).ravel(), [0.5, 0.3, 0.2])
