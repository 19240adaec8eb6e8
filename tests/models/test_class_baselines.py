from dataclasses import replace

import numpy as np
import pytest

from models.class_frequencies import ClassFrequenciesConfig, FrequencyModel
from models.class_persistence import ClassPersistence
from pipeline.errors import DataError
from pipeline.grid import Grid
from pipeline.metrics import METRICS, Case
from pipeline.metrics.classes.confusion import confusion
from pipeline.prediction import Prediction
from pipeline.prepare.frequencies import class_shares
from pipeline.prepare.splits import train_split_at


@pytest.fixture
def make(make_classes, backend):
    """Make samples with cells outside of the mask, where every class stays for three steps."""

    def make(n, seed=0, name="train"):
        samples = make_classes(n, seed, name=name, backend=backend)
        mask = samples.schema.mask.copy()
        mask[0, :3] = False
        truth = np.repeat(backend.to_host(samples.target), 3, axis=0)[:n]
        truth = np.where(mask, truth, np.nan).astype(np.float32)
        before = np.concatenate([np.full_like(truth[:1], np.nan), truth[:-1]])
        before[5:6] = np.nan
        schema = replace(samples.schema, mask=mask)
        target, previous = backend.asarray(truth), backend.asarray(before)
        return replace(samples, target=target, previous=previous, schema=schema)

    return make


def chances(model, samples, context):
    return context.backend.to_host(model.predict(samples, context).parameters["probabilities"])


@pytest.mark.parametrize("per_cell", ["auto", True, False])
def test_frequencies_are_counts_of_the_train_split(make, context, backend, per_cell):
    train, test = make(30), make(4, 1, "test")
    model = FrequencyModel(ClassFrequenciesConfig(per_cell=per_cell)).fit(train, test, context)
    found, inside = chances(model, test, context), train.schema.mask
    truth = backend.to_host(train.target)[:, 0]
    area = np.broadcast_to(train.schema.target_grid.area, truth.shape)[:, inside]
    overall = np.array([np.average(truth[:, inside] == k, weights=area) for k in range(3)])
    assert found.shape == (3, 4, 1, *inside.shape)
    assert np.isnan(found[..., ~inside]).all()
    own = [((truth[:, 6, 4] == k).sum() + overall[k]) / 31 for k in range(3)]
    np.testing.assert_allclose(found[:, 2, 0, 6, 4], own if per_cell else overall, rtol=1e-5)
    assert model.summary() == {"per_cell": bool(per_cell), "samples": 30}


def test_pixels_of_an_image_have_the_same_frequencies(make, context):
    train = make(30)
    image = Grid(np.arange(12.0), np.arange(20.0), ("y", "x"))
    schema = replace(train.schema, input_grid=image, target_grid=image)
    train = replace(train, schema=schema)
    found = chances(FrequencyModel().fit(train, train, context), train, context)[..., train.schema.mask]
    assert (found == found[:, :1, :, :1]).all()


def test_a_cell_without_truth_is_answered_the_shares_over_all(make, context, backend):
    train = make(30)
    truth = np.array(backend.to_host(train.target))
    truth[:, :, 6, 4] = np.nan
    found = chances(FrequencyModel().fit(replace(train, target=backend.asarray(truth)), train, context), train, context)
    known, area = np.isfinite(truth), np.broadcast_to(train.schema.target_grid.area, truth.shape)
    expected = [np.average(truth[known] == k, weights=area[known]) for k in range(3)]
    np.testing.assert_allclose(found[:, 0, 0, 6, 4], expected, rtol=1e-5)


def test_frequencies_shares_and_scores_weigh_cells_alike(make, context, backend):
    """By area: the model's shares over all, those that losses are weighted by, and what a score says of its forecast."""
    train = make(30)
    area = train.schema.target_grid.area * train.schema.mask
    shares = class_shares(train.target, train_split_at(np.arange(30), 30), "abc", area)
    model = FrequencyModel(ClassFrequenciesConfig(per_cell=False)).fit(train, train, context)
    found = chances(model, train, context)[:, :, 0][..., train.schema.mask]
    np.testing.assert_allclose(found[:, 0, 0], shares, rtol=1e-5)
    truth = backend.to_host(train.target)[:, 0][:, train.schema.mask].astype(float)
    prediction = Prediction("categorical", {"probabilities": found.astype(float)})
    case = Case(prediction, truth, prediction, weights=area[train.schema.mask])
    # The least log loss of a constant forecast is the entropy of the shares, and its own: no other shares have it.
    metric = METRICS.get("log_loss")()
    entropy = -np.sum(np.array(shares) * np.log(shares))
    assert float(metric.value(metric.counts(case).sum(axis=0))) == pytest.approx(entropy, rel=1e-6)
    np.testing.assert_allclose(confusion(case).area.sum(axis=1) / confusion(case).area.sum(), shares, rtol=1e-6)


def test_persistence_is_how_often_a_class_was_followed_by_each(make, context, backend):
    train, test = make(30), make(9, 1, "test")
    model = ClassPersistence().fit(train, test, context)
    before, now = (backend.to_host(part) for part in (train.previous, train.target))
    known = np.isfinite(before) & np.isfinite(now)
    counts = np.array([[((before == b) & (now == c) & known).sum() for c in range(3)] for b in range(3)], float)
    shares = counts + counts.sum(axis=0) / counts.sum()
    after = shares / shares.sum(axis=1, keepdims=True)
    found, asked = chances(model, test, context), backend.to_host(test.previous)
    usual = chances(FrequencyModel().fit(train, test, context), test, context)
    for time, row, column in ((1, 4, 4), (3, 7, 9), (8, 11, 19)):
        number = int(asked[time, 0, row, column])
        np.testing.assert_allclose(found[:, time, 0, row, column], after[number], rtol=1e-5)
    for unknown in (0, 5):
        np.testing.assert_array_equal(found[:, unknown], usual[:, unknown])
    assert np.isnan(found[..., ~train.schema.mask]).all()
    assert model.summary()["stays"]["river"] == pytest.approx(after[2, 2], abs=1e-4)


def test_persistence_beats_the_frequencies_where_classes_stay(make, context, backend):
    train, test = make(60), make(30, 1, "test")
    losses = [
        np.nanmean(backend.to_host(kind().fit(train, test, context).predict(test, context).nll(test.target)))
        for kind in (ClassPersistence, FrequencyModel)
    ]
    assert losses[0] < 0.8 * losses[1]


def test_without_a_step_before_the_frequencies_stand_in(make, context):
    train, test = make(30), make(9, 1, "test")
    usual = chances(FrequencyModel().fit(train, test, context), test, context)
    found = chances(ClassPersistence().fit(train, test, context), replace(test, previous=None), context)
    np.testing.assert_array_equal(found, usual)


@pytest.mark.parametrize("known", [None, np.nan])
def test_persistence_of_samples_without_a_step_before_is_refused(make, context, known):
    train = make(30)
    previous = None if known is None else train.target * known
    with pytest.raises(
        DataError, match=r"expected samples whose step before is known, got none in the train split: tiles"
    ):
        ClassPersistence().fit(replace(train, previous=previous), train, context)
