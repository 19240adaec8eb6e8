"""The words: wins, ties, losses, and what a reader is warned of."""

import re

import pandas as pd
import pytest

from pipeline.report import answers, cautions, sentences
from pipeline.report.differences import difference
from pipeline.report.load import load_run
from pipeline.report.study import study

MODELS = ("climatology", "ridge", "unet", "random_forest")


@pytest.fixture
def words(make_run):
    """Return a function: comparisons of models with ridge (difference, low, high), to the study."""

    def make(gaps, **parts):
        run = make_run(models=MODELS, years=1, attributions=False, diagnostics=False, **parts)
        rows = [
            ("ridge", "test", "tas", "all", "rmse", difference, low, high, difference / 1.5, 90)
            for difference, low, high in gaps.values()
        ]
        columns = ["reference", "split", "variable", "group", "metric", "difference", "low", "high", "relative", "n"]
        pd.DataFrame(rows, columns=columns).assign(model=list(gaps)).to_csv(run / "comparisons.csv", index=False)
        return study(load_run(run))

    return make


NAN = float("nan")
PLACE = "on 90 December to February days, 1997-12-01 to 1998-02-28"


@pytest.mark.parametrize(
    ("gaps", "tone", "text"),
    [
        (
            {"unet": (-0.142, -0.194, -0.0903)}, "win",
            f"unet beats the best baseline, ridge, by 0.142 K RMSE (95 % interval 0.090 to 0.194), 9 % lower, {PLACE}.",
        ),
        (
            {"unet": (0.1, 0.05, 0.15), "random_forest": (0.2, 0.1, 0.3)}, "lose",
            f"No model beats the best baseline, ridge: the best of the others on validation, unet, is worse by 0.100 K RMSE (95 % interval 0.050 to 0.150), 7 % higher, {PLACE}.",
        ),
        (
            {"unet": (-0.01, -0.06, 0.04)}, "tie",
            "No model beats the best baseline, ridge: the best of the others on validation, unet, cannot be told from it, its RMSE differs by "
            f"−0.0100 K (95 % interval −0.0600 to 0.0400), {PLACE}.",
        ),
        (
            {"unet": (0.1, 0.05, 0.15), "random_forest": (-0.2, -0.3, -0.1)}, "lose",
            f"unet does not beat the best baseline, ridge: it is worse by 0.100 K RMSE (95 % interval 0.050 to 0.150), 7 % higher, {PLACE}. "
            "On the test set, random forest does beat it, but validation did not choose it.",
        ),
        (
            {"unet": (-0.15, NAN, NAN)}, "tie",
            "unet has an RMSE of 1.11 K (1.05 to 1.16), 0.150 K (10 %) lower than that of the best baseline, ridge, "
            f"{PLACE}; no interval of the difference could be computed (too few blocks).",
        ),
    ],
)  # fmt: skip
def test_answer(words, gaps, tone, text):
    found = answers.answer(words(gaps, noise={"unet": 1.2}))
    assert found.tone == tone
    assert found.text.replace("\u00a0", " ") == text


def test_answer_without_a_paired_difference_takes_that_of_the_scores(words):
    found = words({"random_forest": (0.1, 0.0, 0.2)}, noise={"unet": 1.2})
    own, base = (found.score(model, "rmse")["value"] for model in ("unet", "ridge"))
    gap = difference(found, "unet")
    assert gap.value == pytest.approx(own - base)
    assert gap.relative == pytest.approx(own / base - 1)
    assert not gap.known


def test_warnings_come_from_everywhere_and_once(words):
    provenance = {
        "warnings": ["Member 3 of unet failed: loss is not finite", "a"], "fallbacks": ["ridge runs on the CPU", "a"],
        "failed_members": ["unet/3", {"model": "unet", "member": 4, "error": "out of memory"}],
    }  # fmt: skip
    found = cautions.warnings(words({}, provenance=provenance, effective=17.4))
    assert found == (
        "The test set holds about 17 independent samples, fewer than 30: take its scores as a hint, not as a claim.",
        "Member 3 of unet failed: loss is not finite",
        "a",
        "ridge runs on the CPU",
        "Member 4 of unet failed and was left out: out of memory.",
    )


def test_few_samples_are_said_once(words):
    said = "The split 'test' holds about 17 independent samples of tas, fewer than 30."
    assert cautions.warnings(words({}, provenance={"warnings": [said]}, effective=17.4)) == (said,)


def test_choice_on_the_test_set_is_a_warning(words):
    (warning,) = cautions.warnings(words({}, validation=False))
    assert warning.startswith("There are no validation scores: model and baseline were chosen on the test set itself")


def test_question_is_made_up_where_there_is_none(words):
    found = words({}, experiment={"question": " "})
    assert sentences.question(found) == "How well can tas be predicted in the experiment iberia-tas?"


def test_skill_names_ties(words):
    text = sentences.skill(words({}, noise={"unet": 1.3, "random_forest": 1.2}), "tas", "test")
    pattern = r"On the test set, (unet|random forest) has the lowest RMSE for tas of 4 models, 1\.\d\d K .*; it lies inside the 95 % interval of (unet|random forest)\."
    assert re.fullmatch(pattern, text.replace("\u00a0", " "))
