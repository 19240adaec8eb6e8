import numpy as np
import pytest

from pipeline.metrics import METRICS, Case
from pipeline.prediction import Prediction


def _class_case(
    truth=None, predicted=None, *, n=30, cells=40, classes=3, seed=0, missing=0.0, weights=None, place=None, sharp=1.5
):
    """Return a case of given classes (time, cell), sure of what it predicts, or one of random truth and probabilities."""
    rng = np.random.default_rng(seed)
    if truth is None:
        shares = np.array([0.7, 0.25, 0.05])[:classes]
        truth = rng.choice(classes, (n, cells), p=shares / shares.sum()).astype(float)
    truth = np.asarray(truth, float)
    each = np.arange(classes)[:, None, None]
    if predicted is not None:
        chance = (np.asarray(predicted) == each).astype(float)
    else:
        logits = sharp * (truth == each) + rng.normal(size=(classes, *truth.shape))
        chance = np.exp(logits) / np.exp(logits).sum(axis=0)
    truth = np.where(rng.random(truth.shape) < missing, np.nan, truth)
    prediction = Prediction("categorical", {"probabilities": chance})
    return Case(prediction, truth, prediction, weights=weights, place=place)


def _class_score(name, case):
    """Return (overall, by class) over all times of a case."""
    metric = METRICS.get(name)()
    sums = metric.counts(case).sum(axis=0)
    return float(metric.value(sums)), metric.by_class(sums)


@pytest.fixture(scope="session")
def make_class_case():
    """Factory of cases of classes, see `_class_case`."""
    return _class_case


@pytest.fixture(scope="session")
def class_score():
    """Function that scores a case, see `_class_score`."""
    return _class_score


@pytest.fixture(scope="session")
def flat():
    """Function from a case to (truth, predicted class, probabilities (cell, class), weights) of the cells with truth."""

    def run(case):
        known = np.isfinite(case.truth)
        chance = case.prediction.parameters["probabilities"]
        weights = np.ones(case.truth.shape[1]) if case.weights is None else case.weights
        return (
            case.truth[known].astype(int),
            chance.argmax(axis=0)[known],
            np.moveaxis(chance, 0, -1)[known],
            np.broadcast_to(weights, case.truth.shape)[known],
        )

    return run
