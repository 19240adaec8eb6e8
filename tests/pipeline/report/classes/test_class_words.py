"""What is said of classes follows the numbers: the verdict, trust, and which models stand for it."""

import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from pipeline.errors import RunFolderError
from pipeline.report import answers, cautions, class_words, sentences
from pipeline.report.differences import Difference
from pipeline.report.load import load_run
from pipeline.report.sections import class_limits
from pipeline.report.study import study


@pytest.fixture
def told(make_class_run):
    """Return a function from the change of a table's rows to the study of a run with few parts."""

    def make(difference=None, **parts):
        run = make_class_run(predictions=False, diagnostics=parts.pop("diagnostics", False), **parts)
        if difference is not None:
            table = pd.read_csv(run / "comparisons.csv")
            rows = (table["model"] == "class_unet") & (table["metric"] == "iou") & (table["group"] == "all")
            table.loc[rows, ["difference", "low", "high"]] = difference
            table.to_csv(run / "comparisons.csv", index=False)
        return study(load_run(run))

    return make


def _said(found):
    answer = answers.answer(found)
    return answer.text.replace("\u00a0", " "), answer.tone


def test_the_highest_score_is_the_best(told):
    found = told()
    assert (found.headline, found.reference, found.chosen_on) == ("class_unet", "pixel_forest", "validation")
    assert found.word() == "mean IoU"
    assert found.better() == "higher"
    assert found.classes == ("clear", "cloud", "shadow")


def test_validation_chooses(told, make_class_run):
    run = make_class_run(models=("pixel_forest", "class_unet", "cgnet"), predictions=False, diagnostics=False)
    scores = pd.read_csv(run / "scores.csv")
    rows = (scores["model"] == "cgnet") & (scores["split"] == "validation") & (scores["metric"] == "iou")
    scores.loc[rows, "value"] = 0.99
    scores.to_csv(run / "scores.csv", index=False)
    assert study(load_run(run)).headline == "cgnet"


def test_a_win(told):
    text, tone = _said(told((0.03, 0.012, 0.049)))
    assert tone == "win"
    assert re.match(
        r"class unet's mean IoU of 0\.\d{3} \(0\.\d{3} to 0\.\d{3}\) is 0\.0300 \(95 % interval 0\.0120 to 0\.0490\) "
        r"higher than that of the best baseline, pixel forest",
        text,
    )


def test_a_defeat(told):
    text, tone = _said(told((-0.2, -0.25, -0.15)))
    assert tone == "lose"
    assert text.startswith("No model beats the best baseline, pixel forest: class unet's mean IoU of ")
    assert "is 0.200 (95 % interval 0.150 to 0.250) lower, on" in text


def test_a_tie(told):
    text, tone = _said(told((0.01, -0.02, 0.04)))
    assert tone == "tie"
    assert "cannot be told from it, they differ by +0.0100 (95 % interval −0.0200 to 0.0400)" in text


def test_no_interval(told):
    text, tone = _said(told((0.01, np.nan, np.nan)))
    assert tone == "tie"
    assert "is 0.0100 higher than that of the best baseline, pixel forest" in text
    assert text.endswith("; no interval of the difference could be computed (too few blocks).")


def test_nothing_to_compare_with(told):
    text, tone = _said(told(models=("class_unet",)))
    assert tone == "alone"
    assert re.match(r"class unet predicts mask with a mean IoU of 0\.\d{3} .*; there is no baseline", text)


def test_only_baselines(told):
    text, tone = _said(told(models=("class_frequencies", "pixel_forest")))
    assert tone == "alone"
    assert text.startswith("Only baselines were tried: pixel forest is the best of 2, its mean IoU 0.")
    assert "higher than that of class frequencies" in text


def test_ties_of_the_skill_sentence_are_from_below(told):
    found = told()
    table = found.run.scores
    rows = (table["metric"] == "iou") & (table["group"] == "all") & (table["split"] == "test")
    table.loc[rows & (table["model"] == "pixel_forest"), "high"] = 1.0
    text = sentences.skill(found, "mask", "test")
    assert text.startswith("On the test set, class unet has the highest mean IoU for mask of 3 models, ")
    assert text.endswith("it lies inside the 95\u00a0% interval of pixel forest.")


def test_no_mean_iou_at_all_is_refused(make_class_run):
    run = make_class_run(predictions=False, diagnostics=False)
    scores = pd.read_csv(run / "scores.csv")
    scores[scores["metric"] != "iou"].to_csv(run / "scores.csv", index=False)
    with pytest.raises(RunFolderError, match=r"to hold the iou of a test set \(group 'all'\)"):
        study(load_run(run))


@pytest.mark.parametrize(
    ("better", "low", "high", "ahead", "behind"),
    [("lower", -2, -1, True, False), ("lower", 1, 2, False, True), ("higher", 1, 2, True, False),
     ("higher", -2, -1, False, True), ("higher", -1, 1, False, False), ("lower", np.nan, np.nan, False, False)],
)  # fmt: skip
def test_ahead_and_behind(better, low, high, ahead, behind):
    gap = Difference(0.0, low, high, 0.0, better)
    assert (gap.ahead, gap.behind) == (ahead, behind)
    assert (gap.turned.ahead, gap.turned.behind) == (behind, ahead)


def _trust(make_class_run, mean, right, low, high, error, *, effective=36.0, expected=1.0):
    run = make_class_run(predictions=False)
    path = run / "diagnostics" / "class_unet.nc"
    data = xr.load_dataset(path)
    for name, value in {"mean": mean, "right": right, "gap_low": low, "gap_high": high, "error": error}.items():
        data[f"mask_confidence_{name}"] = value
    data["mask_reliability_probability"] = data["mask_reliability_frequency"] * expected
    data.to_netcdf(path)
    record = run / "stages" / "score.json"
    record.write_text(record.read_text().replace('"test": {"mask": 36.0}', f'"test": {{"mask": {effective}}}'))
    return class_words.trust(study(load_run(run))).replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("numbers", "more", "said"),
    [
        ((0.95, 0.90, 0.03, 0.07, 0.05), {}, "The probabilities of class unet are too high: its most likely class has a "
         "probability of 95.0 % on average and is right 90.0 % of the time; 95 % interval of the difference 3.0 to 7.0 "
         "percentage points."),
        ((0.80, 0.90, -0.12, -0.08, 0.1), {}, "The probabilities of class unet are too low: "),
        ((0.90, 0.90, -0.01, 0.01, 0.01), {}, "The probabilities of class unet can be trusted: "),
        ((0.91, 0.90, 0.005, 0.015, 0.01), {}, "The probabilities of class unet are slightly too high: "),
        ((0.90, 0.90, -0.01, 0.01, 0.08), {}, "The probabilities of class unet are right on average and not at every "
         "level, where they are off by 8 % on average: "),
        ((0.90, 0.90, -0.01, 0.01, 0.01), {"effective": 12.0}, "Whether the probabilities of class unet are right cannot "
         "be told from 12 independent samples: "),
        ((0.90, 0.90, np.nan, np.nan, 0.01), {}, "Whether the probabilities of class unet are right cannot be told: no "
         "interval is known: "),
        ((0.90, 0.90, -0.01, 0.01, 0.01), {"expected": 2.0}, "The probabilities of class unet are right for the most "
         "likely class, not for every class: "),
    ],
)  # fmt: skip
def test_trust_follows_the_numbers(make_class_run, numbers, more, said):
    assert _trust(make_class_run, *numbers, **more).startswith(said)


def test_a_class_expected_too_often_is_named(make_class_run):
    text = _trust(make_class_run, 0.9, 0.9, -0.01, 0.01, 0.01, expected=2.0)
    assert re.search(r"It expects (cloud|shadow) on \d+ % of the area, and it is on \d+ %\.$", text)


def test_without_diagnostics_nothing_is_said_of_trust(told):
    assert class_words.trust(told()) == ""


def _without(run, models, classes):
    """Take away, in the scores, all answers of ``classes``: what models that never give them have."""
    table = pd.read_csv(run / "scores.csv")
    rows = table["model"].isin(models) & table["group"].isin([f"class={name}" for name in classes])
    table.loc[rows & (table["metric"] == "recall"), ["value", "low", "high"]] = 0.0
    table.loc[rows & (table["metric"] == "precision"), ["value", "low", "high"]] = np.nan
    table.to_csv(run / "scores.csv", index=False)
    return study(load_run(run))


def test_a_class_that_is_never_answered_is_told(make_class_run):
    found = _without(make_class_run(predictions=False, diagnostics=False), ["class_unet"], ["shadow"])
    (text,) = class_words.never_answered(found)
    assert text == (
        "class unet never answers shadow on the test set, where it is found: the IoU of that class is 0, which the mean "
        "over classes hides."
    )
    assert text in cautions.warnings(found)


def test_models_and_classes_that_are_never_answered_are_told_at_once(make_class_run):
    run = make_class_run(predictions=False, diagnostics=False)
    (text,) = class_words.never_answered(_without(run, ["class_unet", "pixel_forest"], ["cloud", "shadow"]))
    assert re.match("(pixel forest and class unet|class unet and pixel forest) never answer cloud or shadow on", text)
    assert "where they are found: the IoU of those classes is 0" in text


def test_a_model_of_frequencies_and_an_absent_class_are_not_told(make_class_run):
    found = study(load_run(make_class_run(predictions=False, diagnostics=False)))
    assert found.score("class_frequencies", "precision", group="class=shadow") is None  # nor does it answer this one
    assert class_words.never_answered(found) == ()
    run = make_class_run(predictions=False, diagnostics=False, absent=True)
    assert class_words.never_answered(study(load_run(run))) == ()


def test_limits_name_rare_and_absent_classes(make_class_run):
    run = make_class_run(absent=True)
    data = xr.load_dataset(run / "diagnostics" / "class_unet.nc")
    data["mask_share"].values[:] = (0.99, 0.01, 0.0)
    data.to_netcdf(run / "diagnostics" / "class_unet.nc")
    words = " ".join(class_limits.build(study(load_run(run))).blocks[0].items).replace("\u00a0", " ")
    assert re.search(r"cloud covers 1 % of the area in \d+ objects", words)
    assert "shadow is not in the truth of the test set: it has no score." in words
