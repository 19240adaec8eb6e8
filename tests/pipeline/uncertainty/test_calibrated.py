"""A method and its calibration: what is calibrated on what, and that nothing of it was seen by a fit."""

import json
from dataclasses import replace

import numpy as np
import pytest

from pipeline.backend import get_backend
from pipeline.errors import CalibrationError, TrainingError
from pipeline.model import Context, Model
from pipeline.prediction import Prediction
from pipeline.uncertainty import WHOLE, Part
from pipeline.uncertainty._own import Own
from pipeline.uncertainty.calibrated import Calibrated, Ground
from pipeline.uncertainty.calibration.variance_scaling import VarianceScaling, VarianceScalingConfig
from pipeline.uncertainty.deep_ensemble import DeepEnsemble, DeepEnsembleConfig
from pipeline.uncertainty.parts import lesson

DAY = np.timedelta64(1, "D")
CONTEXT = Context(get_backend("cpu"), seed=5, name="unet")


class Sure(Model):
    """Answers the mean of what it was fitted on, and half of the deviation that the truth has."""

    traits = frozenset({"seeded", "probabilistic"})

    def __init__(self, family="normal"):
        super().__init__()
        self.family, self.seen = family, set()

    def fit(self, train, validation, context):
        self.seen = set(train.time) | set(validation.time)
        self.level = float(np.nanmean(train.target))
        return self

    def predict(self, inputs, context):
        mean = np.where(inputs.schema.mask, self.level, np.nan).astype(np.float32)
        mean = np.broadcast_to(mean, inputs.target.shape).copy()
        if self.family == "point":
            return Prediction("point", {"mean": mean})
        return Prediction("normal", {"mean": mean, "sd": np.where(np.isnan(mean), np.nan, np.float32(0.5))})

    def save(self, folder):
        raise NotImplementedError

    @classmethod
    def load(cls, folder, context):
        raise NotImplementedError


@pytest.fixture
def splits(make_samples):
    """Return train and validation of unit noise; the validation days are twice as hard."""
    parts = []
    for name, first, n, sd in (("train", "1980-01-01", 1200, 1.0), ("validation", "1984-01-01", 365, 2.0)):
        samples = make_samples(n, name=name)
        noise = np.random.default_rng(n).normal(0.0, sd, samples.target.shape).astype(np.float32)
        time = np.datetime64(first, "ns") + np.arange(n) * DAY
        parts.append(replace(samples, target=np.where(samples.schema.mask, noise, np.nan), time=time))
    return parts


class Source:
    """Members fitted when they are asked for; keeps whom it gave."""

    def __init__(self, splits, family="normal", lost=()):
        self.splits, self.family, self.lost, self.given = splits, family, lost, {}

    def __call__(self, count, part=WHOLE):
        found = lesson(part, *self.splits, seed=5)
        made = [
            Sure(self.family).fit(found.train, found.validation, CONTEXT)
            for _ in range(count - (1 if part in self.lost else 0))
        ]
        self.given[part] = made
        return made


def calibrated(ground, method=None):
    return Calibrated(method or Own(), VarianceScaling(), ground)


def test_on_validation_the_factor_is_that_of_the_validation_days(splits):
    train, validation = splits
    method = calibrated(Ground()).fit(Source(splits), train, validation, CONTEXT)
    # The mean square error of its days is 4, the variance said 0.25.
    assert abs(method.calibration.arrays["scale"].item() - 4.0) < 0.05
    assert method.summary()["calibrated_on"] == "the validation split, 1984-01-01 to 1984-12-30"


def test_on_folds_the_factor_is_that_of_all_days(splits):
    train, validation = splits
    source = Source(splits)
    method = calibrated(Ground(4)).fit(source, train, validation, CONTEXT)
    square = (1200 * 1.0 + 365 * 4.0) / 1565
    assert abs(method.calibration.arrays["scale"].item() - (square / 0.25) ** 0.5) < 0.05
    assert method.summary()["calibrated_on"] == (
        "4 folds of the train and validation splits, 1980-01-01 to 1984-12-30, each predicted by fits that had not "
        "seen it"
    )
    for fold in range(1, 5):
        held = lesson(Part(fold=fold, folds=4), train, validation, seed=5).held_out
        assert all(not member.seen & set(held.time) for member in source.given[Part(fold=fold, folds=4)])


def test_the_prediction_is_widened_and_keeps_its_mean(splits):
    train, validation = splits
    method = calibrated(Ground()).fit(Source(splits), train, validation, CONTEXT)
    plain, wide = method.method.predict(validation, CONTEXT), method.predict(validation, CONTEXT)
    factor = method.calibration.arrays["scale"].item()
    np.testing.assert_allclose(wide.mean(), plain.mean(), atol=1e-6)
    np.testing.assert_allclose(wide.parameters["sd"], factor * plain.parameters["sd"], rtol=1e-6)


def test_asks_for_the_members_of_every_fold():
    method = calibrated(Ground(3), DeepEnsemble(DeepEnsembleConfig(members=4, bagged=True)))
    assert method.wants() == {
        Part(bagged=True): 4,
        Part(bagged=True, fold=1, folds=3): 4,
        Part(bagged=True, fold=2, folds=3): 4,
        Part(bagged=True, fold=3, folds=3): 4,
    }
    assert calibrated(Ground()).wants() == {WHOLE: 1}


def test_saved_and_loaded_is_the_same(splits, tmp_path):
    train, validation = splits
    source = Source(splits)
    method = calibrated(Ground(3)).fit(source, train, validation, CONTEXT)
    method.save(tmp_path)
    again = calibrated(Ground(3)).load(tmp_path, source, CONTEXT)
    for name, values in method.predict(validation, CONTEXT).parameters.items():
        np.testing.assert_array_equal(again.predict(validation, CONTEXT).parameters[name], values)


def test_the_summary_is_json(splits):
    method = calibrated(Ground()).fit(Source(splits), *splits, CONTEXT)
    assert json.loads(json.dumps(method.summary(), allow_nan=False)) == method.summary()


def test_a_member_lost_in_one_fold_is_said(splits):
    ensemble = DeepEnsemble(DeepEnsembleConfig(members=3))
    source = Source(splits, lost=(Part(fold=2, folds=3),))
    wanted = (
        r"^expected the same kind of prediction of every fold, got the families mixture with 2, 3 members: fits of some "
        r"folds failed, the log says why\.$"
    )
    with pytest.raises(CalibrationError, match=wanted):
        calibrated(Ground(3), ensemble).fit(source, *splits, CONTEXT)


def test_a_model_that_failed_is_said(splits):
    wanted = r"^expected the fitted model 'unet', got none: it failed, the log says why\.$"
    with pytest.raises(TrainingError, match=wanted):
        Own().fit(Source(splits, lost=(WHOLE,)), *splits, CONTEXT)
    with pytest.raises(TrainingError, match=wanted):
        Own().load(None, Source(splits, lost=(WHOLE,)), CONTEXT)


def test_the_options_are_those_of_the_method():
    method = Calibrated(DeepEnsemble(), VarianceScaling(VarianceScalingConfig(by=("season",))), Ground())
    assert method.config == DeepEnsemble().config
    assert method.needs == {"seeded"}
