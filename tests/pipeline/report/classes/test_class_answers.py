"""The verdict to the word by a score that is better where it is higher."""

import numpy as np
import pandas as pd
import pytest

from pipeline.report import answers, worth
from pipeline.report.load import load_run
from pipeline.report.study import study

OWN = "class unet's mean IoU of 0.600 (0.550 to 0.650)"
BEST = "the best baseline, pixel forest"


@pytest.fixture
def masks(make_class_run):
    """Return a function: differences of the mean IoU to that of pixel_forest, by model, to the study."""

    def make(gaps, models=("pixel_forest", "class_unet"), drop=False):
        run = make_class_run(models=models, predictions=False, diagnostics=False)
        scores = pd.read_csv(run / "scores.csv")
        hit = (scores["metric"] == "iou") & (scores["group"] == "all")
        for model, bounds in (("pixel_forest", (0.4, 0.35, 0.45)), ("class_unet", (0.6, 0.55, 0.65))):
            scores.loc[hit & (scores["model"] == model), ["value", "low", "high"]] = bounds
        scores.loc[hit & (scores["model"] == "cgnet"), ["value", "low", "high"]] = (0.5, 0.45, 0.55)
        scores.to_csv(run / "scores.csv", index=False)
        table = pd.read_csv(run / "comparisons.csv")
        for model, gap in gaps.items():
            rows = (table["model"] == model) & (table["metric"] == "iou") & (table["group"] == "all")
            table.loc[rows, ["difference", "low", "high"]] = gap
        (table.iloc[:0] if drop else table).to_csv(run / "comparisons.csv", index=False)
        return study(load_run(run))

    return make


@pytest.mark.parametrize(
    ("gap", "tone", "text"),
    [
        (
            (0.2, 0.1, 0.3), "win",
            f"{OWN} is 0.200 (95 % interval 0.100 to 0.300) higher than that of {BEST}{{}}.",
        ),
        (
            (-0.2, -0.3, -0.1), "lose",
            f"No model beats {BEST}: {OWN} is 0.200 (95 % interval 0.100 to 0.300) lower{{}}.",
        ),
        (
            (0.2, -0.1, 0.5), "tie",
            f"No model beats {BEST}: {OWN} cannot be told from it, they differ by +0.200 (95 % interval −0.100 to "
            "0.500){}.",
        ),
        (
            (-0.2, np.nan, np.nan), "tie",
            f"{OWN} is 0.200 lower than that of {BEST}{{}}; no interval of the difference could be computed (too "
            "few blocks).",
        ),
        (
            None, "tie",
            f"{OWN} is 0.200 higher than that of {BEST}{{}}; the run did not compare these two, so that there is no "
            "interval of the difference.",
        ),
    ],
    ids=["win", "lose", "tie", "few blocks", "not compared"],
)  # fmt: skip
def test_two_models(masks, gap, tone, text):
    found = masks({"class_unet": gap} if gap else {}, drop=gap is None)
    answer = answers.answer(found)
    assert answer.tone == tone
    assert answer.text.replace("\u00a0", " ") == text.format(", on the test set")


def test_another_model_wins(masks):
    gaps = {"class_unet": (-0.2, -0.3, -0.1), "cgnet": (0.1, 0.05, 0.15)}
    answer = answers.answer(masks(gaps, ("pixel_forest", "class_unet", "cgnet")))
    assert answer.tone == "lose"
    assert answer.text.replace("\u00a0", " ") == (
        f"class unet does not beat {BEST}: its mean IoU of 0.600 (0.550 to 0.650) is 0.200 (95 % interval 0.100 to "
        "0.300) lower, on the test set. On the test set, cgnet does beat it, but validation did not choose it."
    )


@pytest.mark.parametrize(
    ("base", "doubt", "tone"),
    [
        ((0.2, 0.1, 0.3), "", "win"),
        ((0.5, 0.46, 0.54), "pixel forest is worse than class frequencies.", "win"),
        ((0.7, 0.66, 0.74), "Both are worse than class frequencies.", "lose"),
        ((0.61, 0.56, 0.66), "Both are no better than class frequencies.", "lose"),
    ],
)
def test_frequencies_that_score_more_are_said(masks, base, doubt, tone):
    # Validation chose pixel_forest as the best baseline.
    models = ("class_frequencies", "pixel_forest", "class_unet")
    found = masks({"class_unet": (0.2, 0.1, 0.3)}, models)
    assert found.reference == "pixel_forest"
    table = found.run.scores
    hit = (table["model"] == "class_frequencies") & (table["metric"] == "iou") & (table["group"] == "all")
    table.loc[hit & (table["split"] == "test"), ["value", "low", "high"]] = base
    assert worth.doubt(found) == worth.Doubt(doubt, tone == "lose")
    assert answers.answer(found).tone == tone
