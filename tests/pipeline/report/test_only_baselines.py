"""A run whose models are all baselines: the best of them is the answer, and the others are what it is measured with."""

import pandas as pd
import pytest

from pipeline.report import answers, cautions
from pipeline.report.load import load_run
from pipeline.report.result import Result
from pipeline.report.sections import skill, verdict, where
from pipeline.report.study import study

NAN = float("nan")
PLACE = "on 90 December to February days, 1997-12-01 to 1998-02-28"


@pytest.fixture
def alone(make_run):
    """Return a function: rows of comparisons (model, reference, difference, low, high, relative), to the run folder."""

    def make(rows, models=("climatology", "ridge"), **parts):
        run = make_run(models=models, baselines=models, years=1, attributions=False, **parts)
        scores = pd.read_csv(run / "scores.csv")
        for model, value in (("climatology", 4.0), ("ridge", 2.0)):
            hit = (scores["metric"] == "rmse") & (scores["model"] == model)
            scores.loc[hit, ["value", "low", "high"]] = value, value - 0.5, value + 0.5
        scores.to_csv(run / "scores.csv", index=False)
        columns = ["model", "reference", "difference", "low", "high", "relative"]
        table = pd.DataFrame(rows, columns=columns)
        rest = {"split": "test", "variable": "tas", "group": "all", "metric": "rmse", "n": 90}
        table.assign(**rest).to_csv(run / "comparisons.csv", index=False)
        return run

    return make


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        (
            [("climatology", "ridge", 2.0, 1.7, 2.4, 1.0)],
            "2.00 K or 50 % lower than that of climatology (95 % interval 1.70 to 2.40)",
        ),
        (
            [("ridge", "climatology", -2.0, -2.4, -1.7, -0.5)],
            "2.00 K or 50 % lower than that of climatology (95 % interval 1.70 to 2.40)",
        ),
        (
            [("climatology", "ridge", 2.0, -0.5, 4.5, 1.0)],
            "which cannot be told from that of climatology: they differ by −2.00 K (95 % interval −4.50 to 0.50)",
        ),
        (
            [("climatology", "ridge", 2.0, NAN, NAN, 1.0)],
            "2.00 K or 50 % lower than that of climatology",
        ),
        (
            [("climatology", "ridge", -1.0, -1.5, -0.5, -0.25)],
            "1.00 K or 33 % higher than that of climatology (95 % interval 0.50 to 1.50)",
        ),
    ],
    ids=["as it is written", "other way round", "a tie", "no interval", "worse on the test set"],
)
def test_the_best_baseline_is_measured_with_the_next(alone, rows, text):
    found = answers.answer(study(load_run(alone(rows))))
    assert found.tone == "alone"
    start = "Only baselines were tried: ridge is the best of 2, its RMSE 2.00 K (1.50 to 2.50), "
    unknown = "" if "interval" in text else "; no interval of the difference could be computed (too few blocks)"
    assert found.text.replace("\u00a0", " ") == f"{start}{text}, {PLACE}{unknown}."


def test_the_next_baseline_is_the_second_by_validation(alone):
    models = ("climatology", "persistence", "ridge")
    rows = [("climatology", "ridge", 2.0, 1.7, 2.4, 1.0), ("persistence", "ridge", 0.2, 0.1, 0.3, 0.1)]
    text = answers.answer(study(load_run(alone(rows, models, noise={"persistence": 2.4})))).text
    assert "ridge is the best of 3" in text
    assert "than that of persistence (95\u00a0% interval 0.100 to 0.300)" in text


def test_headline_never_holds_an_interval_that_is_not_known(alone):
    run = alone([("climatology", "ridge", 2.0, NAN, NAN, 1.0)])
    scores = pd.read_csv(run / "scores.csv").assign(low=NAN, high=NAN)
    scores.to_csv(run / "scores.csv", index=False)
    text = Result.of_run(run).verdict
    assert "ridge is the best of 2, its RMSE 2.00\u00a0K, 2.00\u00a0K or 50\u00a0% lower" in text
    assert "nan" not in text
    assert "–" not in text


def test_the_best_baseline_is_drawn_against_the_others_and_never_against_itself(alone):
    found = study(load_run(alone([("climatology", "ridge", 2.0, 1.7, 2.4, 1.0)])))
    assert (found.headline, found.reference, found.rival) == ("ridge", "ridge", None)
    first = verdict.build(found)
    assert not [picture for picture in first.pictures if "RMSE reduction" in picture.title]
    assert first.chosen == "The best baseline was chosen by its RMSE on the validation split."
    assert where.build(found).lead.startswith("The RMSE of ridge runs from")
    figures = {getattr(block, "name", "") for block in skill.build(found).blocks}
    assert "difference-tas" in figures


def test_a_choice_on_the_test_set_is_said_to_flatter_the_best_baseline(alone):
    rows = [("climatology", "ridge", 2.0, 1.7, 2.4, 1.0)]
    (warning,) = cautions.warnings(study(load_run(alone(rows, validation=False))))
    start = "There are no validation scores: the best baseline was chosen on the test set itself"
    assert warning == f"{start}, which flatters it."


def test_a_single_baseline_has_nothing_to_be_measured_with(alone):
    found = study(load_run(alone([], ("climatology",))))
    assert (found.headline, found.reference) == ("climatology", None)
    assert "there is no baseline to compare it with" in answers.answer(found).text
