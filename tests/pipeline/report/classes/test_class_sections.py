"""Tables and small multiples of classes: their order, their marks, their numbers."""

import numpy as np
import pandas as pd
import pytest

from pipeline.report import class_tables
from pipeline.report.load import load_run
from pipeline.report.sampling import Sampling
from pipeline.report.sections import class_learned, class_skill, class_trust
from pipeline.report.study import study


@pytest.fixture
def found(make_class_run):
    return study(load_run(make_class_run(predictions=False)))


def _names(table, column=0):
    return [row[column].text for row in table.rows]


def _block(found, name):
    return next(block for block in class_skill.build(found).blocks if getattr(block, "name", "") == name)


def test_tables_have_the_best_on_top(found):
    table = class_tables.by_class(found, "mask", "test", "iou", "x", "IoU of each class.")
    assert _names(table) == ["class unet", "pixel forest", "class frequencies"]
    assert [column.title for column in table.columns] == ["Model", "clear", "cloud", "shadow"]
    assert [cell.mark for cell in table.rows[0][1:]] == ["best"] * 3
    assert table.rows[2][2].text.strip("0.") == ""  # never predicted: an IoU of zero, not a missing one


@pytest.mark.parametrize(("intervals", "said"), [(True, "with 95 % interval"), (False, "no interval is known")])
def test_scores_of_the_test_sets_say_whether_there_are_intervals(make_class_run, intervals, said):
    run = make_class_run(predictions=False, intervals=intervals)
    caption = _block(study(load_run(run)), "by-test-set-mask").caption.replace("\u00a0", " ")
    assert caption == f"Mean IoU of mask on each test set, {said}; same scale."


def test_the_skill_table_has_the_best_on_top(found):
    scores = _block(found, "scores-mask-test")
    assert _names(scores) == ["class unet", "pixel forest", "class frequencies"]
    assert [column.title for column in scores.columns][1:] == [
        "IoU", "Cohen's kappa", "F1", "precision", "recall", "accuracy",
    ]  # fmt: skip


def test_dice_stands_in_for_f1(found):
    assert "f1" in class_tables.skill_metrics(found, "mask", "test")
    table = found.run.scores
    table.drop(table.index[table["metric"] == "f1"], inplace=True)
    assert "dice" in class_tables.skill_metrics(found, "mask", "test")


def test_small_multiples_by_class_are_in_the_order_of_the_verdict(found):
    figure = _block(found, "by-class-mask-test")
    assert [picture.title for picture in figure.pictures] == ["clear", "cloud", "shadow"]
    for picture in figure.pictures:
        text = picture.light.decode()
        assert text.index("class unet") < text.index("pixel forest")
        assert "class unet has the highest value" in picture.alt
    assert figure.caption.startswith("IoU of mask on test by class")


def test_differences_name_the_higher_score(found):
    figure = _block(found, "difference-mask")
    assert figure.caption.startswith("Mean IoU of each model less that of the best baseline, pixel forest,")
    assert (
        "1 of 2 models has a higher mean IoU than pixel forest, with the whole interval above zero." in figure.caption
    )


def test_objects_are_counted_by_class_and_model(found):
    table = class_tables.objects(found, "mask")
    assert _names(table) == ["cloud"] * 3 + ["shadow"] * 3
    data = found.run.diagnostics("class_unet")
    hits, misses, false = (int(data[f"mask_object_{part}"].values[1]) for part in ("hits", "misses", "false_alarms"))
    row = table.rows[0]
    assert [cell.key for cell in row[2:5]] == [hits, misses, false]
    assert row[5].key == pytest.approx(hits / (hits + misses))
    assert row[6].key == pytest.approx(false / (hits + false))
    assert row[7].key == pytest.approx(hits / (hits + misses + false))
    nothing = next(row for row in table.rows if row[1].text == "class frequencies")
    assert nothing[6].text == "–"  # nothing was predicted: no share of it is false


def test_shares_and_weights_of_classes(found):
    weights = class_learned._weights(found)
    table = class_tables.shares(found, "mask", weights)
    share = np.array([one["share"] for one in found.run.stage("prepare")["classes"]])
    assert list(weights) == ["inverse_sqrt"]
    np.testing.assert_allclose(np.array(weights["inverse_sqrt"]) @ share, 1.0)
    ratio = np.array(weights["inverse_sqrt"]) * np.sqrt(share)
    np.testing.assert_allclose(ratio, ratio[0])
    assert [row[1].key for row in table.rows] == pytest.approx(share.tolist())


def test_weights_are_those_of_the_losses(make_class_run):
    import torch

    from pipeline.training.losses import make_loss

    run = study(load_run(make_class_run(predictions=False, loss="cross_entropy (weights inverse)")))
    share = [one["share"] for one in run.run.stage("prepare")["classes"]]
    loss = make_loss({"kind": "cross_entropy", "weights": "inverse"}, classes=run.classes)
    relative = loss._relative(torch.tensor(share)).numpy()
    np.testing.assert_allclose(class_learned._weights(run)["inverse"], relative / (relative @ share), rtol=1e-5)


def test_a_loss_without_weights_has_no_column(make_class_run):
    run = study(load_run(make_class_run(predictions=False, diagnostics=False, loss="dice")))
    assert [column.title for column in class_tables.shares(run, "mask", {}).columns] == [
        "Class", "Train split", "Test set",
    ]  # fmt: skip


def test_calibration_table_has_a_row_for_every_model(found):
    table = class_trust.build(found).blocks[1]
    assert _names(table) == ["class unet", "pixel forest", "class frequencies"]
    data = found.run.diagnostics("class_unet")
    assert table.rows[0][1].key == pytest.approx(float(data["mask_confidence_mean"]))
    assert table.rows[0][3].note.count(" to ") == 1


def test_tiles_in_words():
    assert Sampling.of_tiles(1, ("y 3", "9"), 1).words == "1 tile, rows 3 to 9 of 1 image"
    assert Sampling.of_tiles(5).words == "5 tiles"


def test_split_of_tiles_is_a_table(make_class_run):
    table = class_learned.split_table(study(load_run(make_class_run(diagnostics=False))))
    assert _names(table) == ["train", "validation", "test", "first"]
    assert _names(table, 1) == ["columns 0 to 29", "columns 40 to 79", "columns 80 to 119", "columns 80 to 119"]
    assert _names(table, 2)[-2:] == ["left and right", "left"]
    assert "Tiles of 16 by 16 pixels, those of train every 8 by 8." in table.caption


def test_a_score_that_no_table_knows_is_shown(found):
    table = found.run.scores
    extra = table[(table["metric"] == "iou") & (table["group"] == "all")].assign(metric="plug_in")
    object.__setattr__(found.run, "scores", pd.concat([table, extra]))
    assert class_tables.others(found, "mask", "test") == ["plug_in"]


def test_calibration_has_a_table_of_its_own(found):
    table = next(b for b in class_trust.build(found).blocks if getattr(b, "name", "") == "calibration-scores-mask")
    assert [column.title for column in table.columns[1:]] == [
        "expected calibration error", "expected calibration error, equal mass", "reliability of the Brier score",
        "resolution of the Brier score", "sparsification error by entropy (AUSE)",
    ]  # fmt: skip
    assert all(cell.text != "\u2013" for row in table.rows for cell in row[1:])
    assert not set(class_tables.CALIBRATION) & set(class_tables.others(found, "mask", "test"))
