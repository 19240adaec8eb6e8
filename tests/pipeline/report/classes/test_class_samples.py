"""Which samples are shown, and images put together from their tiles."""

import numpy as np
import pytest
import xarray as xr
from sklearn.metrics import jaccard_score

from pipeline.report.class_samples import blocks, choose, codes
from pipeline.report.load import load_run
from pipeline.report.study import study


@pytest.fixture
def opened(make_class_run):
    """Return a function from parts of a run to its study and the predictions of its headline model."""

    def make(**parts):
        found = study(load_run(make_class_run(**{"diagnostics": False, **parts})))
        with found.run.predictions(found.headline) as data:
            return found, data.load()

    return make


def _grid_iou(data, row):
    truth, predicted = (data[name].values[row].ravel() for name in ("mask_truth", "mask"))
    weights = np.repeat(np.cos(np.deg2rad(data["lat"].values)), data.sizes["lon"])
    there = sorted(set(truth) | set(predicted))
    return jaccard_score(truth, predicted, labels=there, average="macro", sample_weight=weights)


def test_best_middle_and_worst_are_ranked_by_mean_iou(opened):
    found, data = opened(tiles=False)
    choice = choose(found, data, "mask")
    full = [row for row in range(data.sizes["time"]) if len(set(data["mask_truth"].values[row].ravel())) == 3]
    ranked = sorted((_grid_iou(data, row) for row in full), reverse=True)
    expected = [ranked[0], ranked[(len(ranked) - 1) // 2], ranked[-1]]
    assert [sample.iou for sample in choice.samples] == pytest.approx(expected)
    assert choice.middle is choice.samples[1]
    assert choice.rule == f"of the {len(full)} days that hold all 3 classes"
    assert choice.samples[0].words in {str(day)[:10] for day in data["time"].values}


def test_samples_that_are_all_background_are_not_shown(opened):
    found, data = opened(tiles=False)
    empty = data.copy(deep=True)
    empty["mask_truth"].values[5:] = 0.0
    empty["mask"].values[5:] = 0.0  # and predicted so: a mean IoU of 1
    choice = choose(found, empty, "mask")
    assert all(sample.truth.any() for sample in choice.samples)


def test_few_samples_with_all_classes_are_filled_up_with_those_that_have_fewer(opened):
    found, data = opened(tiles=False)
    few = data.copy(deep=True)
    few["mask_truth"].values[2:] = np.minimum(few["mask_truth"].values[2:], 1.0)
    assert choose(found, few, "mask").rule.endswith("that hold 2 classes or more")


def test_without_truth_nothing_is_chosen(opened):
    found, data = opened(tiles=False)
    assert choose(found, data.assign(mask_truth=data["mask_truth"] * np.nan), "mask") is None
    assert choose(found, data.isel(time=[]), "mask") is None


def test_one_sample_is_the_only_one(opened):
    found, data = opened(tiles=False, days=1)
    choice = choose(found, data, "mask")
    assert len(choice.samples) == 1


def test_blocks_are_whole_and_hold_the_scored_prediction(opened):
    found, data = opened()
    left, right = blocks(found, data, "mask")
    assert (left.image, right.image) == ("left", "right")
    for block in (left, right):
        assert block.truth.shape == (96, 40)
        assert (block.truth >= 0).all()
        assert block.grid.lon[[0, -1]].tolist() == [80.0, 119.0]
    seen = np.zeros((96, 40), bool)
    rows = np.flatnonzero((data["split"].values == "test") & (data["image"].values == "left"))
    for row in rows:
        y, x = int(data["first_y"][row]), int(data["first_x"][row]) - 80
        place = np.s_[y : y + 16, x : x + 16]
        known = np.isfinite(data["mask_truth"].values[row])
        np.testing.assert_array_equal(left.truth[place][known], data["mask_truth"].values[row][known])
        np.testing.assert_array_equal(left.predicted[place][known], data["mask"].values[row][known])
        assert not (seen[place] & known).any()
        seen[place] |= known
    assert seen.all()


def test_tiles_are_shown_with_their_whole_truth(opened):
    found, data = opened()
    choice = choose(found, data, "mask")
    assert all((sample.truth >= 0).all() for sample in choice.samples)
    assert choice.middle.words.startswith("rows ")


def test_days_have_no_blocks(opened):
    found, data = opened(tiles=False)
    assert blocks(found, data, "mask") == ()


def test_codes():
    assert codes(np.array([[1.0, np.nan]])).tolist() == [[1, -1]]


def test_predictions_of_tiles_are_opened_along_time(make_class_run):
    run = load_run(make_class_run(diagnostics=False))
    with run.predictions("class_unet") as data:
        assert data["mask"].dims == ("time", "y", "x")
        path = data.encoding["source"]
    with xr.open_dataset(path) as raw:
        assert "tile" in raw.dims
