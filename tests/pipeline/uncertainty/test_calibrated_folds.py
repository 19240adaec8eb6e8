"""Calibrations on folds: every day is answered by a fit that has not seen it, and its truth changes nothing of that."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.backend import get_backend
from pipeline.errors import CalibrationError
from pipeline.model import Context, Model
from pipeline.prediction import Prediction
from pipeline.uncertainty import WHOLE
from pipeline.uncertainty._own import Own
from pipeline.uncertainty.calibrated import Calibrated, Ground
from pipeline.uncertainty.calibration.conformal import Conformal, ConformalConfig
from pipeline.uncertainty.calibration.variance_scaling import VarianceScaling
from pipeline.uncertainty.deep_ensemble import DeepEnsemble, DeepEnsembleConfig
from pipeline.uncertainty.parts import Part, fold_of, join, lesson

FOLDS = 4


class Mean(Model):
    """Answers the mean of the truth that it was fitted on, with half the spread that it has."""

    traits = frozenset({"seeded"})
    narrow = 0.5

    def fit(self, train, validation, context):
        self.seen = [str(time) for time in (*train.time, *validation.time)]
        self.mean = float(np.nanmean(train.target)) + 0.01 * context.member
        self.sd = float(np.nanstd(train.target))
        return self

    def predict(self, inputs, context):
        shape = (len(inputs), *inputs.schema.mask.shape)
        mean = np.where(inputs.schema.mask, self.mean, np.nan)[None, None] * np.ones((shape[0], 1, 1, 1))
        return Prediction(
            "normal", {"mean": mean.astype(np.float32), "sd": (self.narrow * self.sd + 0 * mean).astype("f4")}
        )

    def save(self, folder):
        raise NotImplementedError

    @classmethod
    def load(cls, folder, context):
        raise NotImplementedError


@pytest.fixture(scope="module")
def splits(make_samples):
    """Return train and validation of eight seasons, and a test."""
    whole = make_samples(400, seed=0)
    train, validation = whole.take(slice(0, 300)), replace(whole.take(slice(300, 400)), name="validation")
    return train, validation, make_samples(80, seed=1, name="test")


def context(part=WHOLE, member=0):
    return Context(get_backend("cpu"), seed=5, name="mean", member=member, part=part.name)


class Source:
    """Fits members of a kind of model, each once, and remembers them."""

    def __init__(self, kind, train, validation):
        self.kind, self.splits, self.fitted = kind, (train, validation), {}

    def __call__(self, count, part=WHOLE):
        for member in range(count):
            if (part, member) not in self.fitted:
                found = lesson(part, *self.splits, seed=5, member=member)
                model = self.kind().fit(found.train, found.validation, context(part, member))
                self.fitted[part, member] = model
        return [self.fitted[part, member] for member in range(count)]


def made(ground, method=None, calibration=None):
    return Calibrated(method or Own(), calibration or VarianceScaling(), ground)


def test_on_folds_every_day_is_answered_by_a_fit_that_has_not_seen_it(splits):
    train, validation, _ = splits
    source = Source(Mean, train, validation)
    heard = {}

    class Listening(VarianceScaling):
        def learn(self, evidence, context):
            heard["evidence"] = evidence
            return super().learn(evidence, context)

    found = made(Ground(FOLDS), calibration=Listening()).fit(source, train, validation, context())
    evidence, whole = heard["evidence"], join(train, validation)
    np.testing.assert_array_equal(evidence.samples.time, whole.time)
    np.testing.assert_array_equal(evidence.samples.target, whole.target)
    fold = fold_of(whole.time, FOLDS)
    cell = tuple(np.argwhere(whole.schema.mask)[0])
    for number in range(1, FOLDS + 1):
        model = source.fitted[Part(fold=number, folds=FOLDS), 0]
        own = fold == number
        assert not {str(time) for time in whole.time[own]} & set(model.seen)
        np.testing.assert_allclose(evidence.prediction.mean()[own][(slice(None), 0, *cell)], model.mean, rtol=1e-6)
    assert found.summary()["calibrated_on"].startswith(
        "4 folds of the train and validation splits, 1990-01-01 to 1996-11-04"
    )
    assert found.wants() == {WHOLE: 1, **{Part(fold=number, folds=FOLDS): 1 for number in range(1, FOLDS + 1)}}
    assert {part for part, _ in source.fitted} == set(found.wants())


def test_truth_of_a_fold_changes_nothing_of_what_is_said_of_it(splits):
    train, validation, _ = splits
    fold = fold_of(join(train, validation).time, FOLDS)
    other = np.array(train.target)
    other[fold[:300] == 2] += 100.0
    said = []
    for target in (train.target, other):
        changed = replace(train, target=target)
        source = Source(Mean, changed, validation)
        ensemble = made(Ground(FOLDS), method=DeepEnsemble(DeepEnsembleConfig(members=2)))
        evidence = ensemble._left_out(source, changed, validation, context())
        said.append(evidence.prediction.mean())
    mask = train.schema.mask
    same = (said[0] == said[1])[:, :, mask].all(axis=(1, 2))
    assert same[fold == 2].all()
    assert not same[fold > 2].any()  # fold 1 chooses on fold 2, which this model does not do


def test_saved_and_loaded_answers_the_same(splits, tmp_path):
    train, validation, test = splits
    source = Source(Mean, train, validation)
    ensemble = DeepEnsemble(DeepEnsembleConfig(members=3))
    calibration = Conformal(ConformalConfig(by=("cell",), quantiles=19))
    found = made(Ground(FOLDS), ensemble, calibration).fit(source, train, validation, context())
    found.save(tmp_path)
    blank = made(Ground(FOLDS), DeepEnsemble(DeepEnsembleConfig(members=3)), Conformal(calibration.config))
    loaded = blank.load(tmp_path, source, context())
    before, after = (each.predict(test, context()) for each in (found, loaded))
    assert before.family == "quantiles"
    for name, values in before.parameters.items():
        np.testing.assert_array_equal(after.parameters[name], values)
    assert not source.fitted.keys() - {(part, member) for part in found.wants() for member in range(3)}


def test_too_little_evidence_is_said(splits):
    train, validation, _ = splits
    source = Source(Mean, train, validation)
    years = Conformal(ConformalConfig(blocks="years"))
    with pytest.raises(CalibrationError, match=r"expected 9 blocks of time or more .* Calibrate with folds: 5"):
        made(Ground(), calibration=years).fit(source, train, validation, context())
