"""The verdict to the word: every way it can go that the words on errors and on classes do not hold already."""

import pandas as pd
import pytest

from pipeline.report import answers
from pipeline.report.load import load_run
from pipeline.report.study import study

NAN = float("nan")
PLACE = "on 90 December to February days, 1997-12-01 to 1998-02-28"
UNCOMPARED = "the run did not compare these two, so that there is no interval of the difference"
COLUMNS = ["model", "reference", "split", "variable", "group", "metric", "difference", "low", "high", "relative", "n"]


@pytest.fixture
def told(make_run):
    """Return a function: RMSE of models and their differences to ridge (value, low, high, relative), to the study."""

    def make(gaps, models=("ridge", "unet"), **parts):
        scores = {"ridge": (1.5, 1.4, 1.6), "unet": (1.4, 1.3, 1.5), "random_forest": (1.45, 1.3, 1.6)}
        given = parts.pop("scores", {})
        baselines = parts.pop("baselines", ("ridge",))
        run = make_run(models=models, baselines=baselines, years=1, attributions=False, diagnostics=False, **parts)
        table = pd.read_csv(run / "scores.csv")
        for model, bounds in {**scores, **given}.items():
            hit = (table["metric"] == "rmse") & (table["model"] == model)
            table.loc[hit, ["value", "low", "high"]] = bounds
        table.to_csv(run / "scores.csv", index=False)
        rows = [(model, reference, "test", "tas", "all", "rmse", *gap, 90) for (model, reference), gap in gaps.items()]
        pd.DataFrame(rows, columns=COLUMNS).to_csv(run / "comparisons.csv", index=False)
        return study(load_run(run))

    return make


def _said(found):
    answer = answers.answer(found)
    return answer.text.replace("\u00a0", " "), answer.tone


OURS = ("unet", "ridge")


@pytest.mark.parametrize(
    ("gaps", "tone", "text"),
    [
        (
            {OURS: (-0.1, -0.15, -0.05, NAN)}, "win",
            f"unet beats the best baseline, ridge, by 0.100 K RMSE (95 % interval 0.050 to 0.150), {PLACE}.",
        ),
        (
            {OURS: (0.2, 0.1, 0.3, 0.2)}, "lose",
            "No model beats the best baseline, ridge: unet is worse by 0.200 K RMSE (95 % interval 0.100 to 0.300), "
            f"20 % higher, {PLACE}.",
        ),
        (
            {OURS: (0.02, -0.1, 0.14, 0.02)}, "tie",
            "No model beats the best baseline, ridge: unet cannot be told from it, its RMSE differs by +0.020 K "
            f"(95 % interval −0.100 to 0.140), {PLACE}.",
        ),
        (
            {OURS: (0.12, NAN, NAN, NAN)}, "tie",
            "unet has an RMSE of 1.40 K (1.30 to 1.50), 0.120 K higher than that of the best baseline, ridge, "
            f"{PLACE}; no interval of the difference could be computed (too few blocks).",
        ),
        (
            {}, "tie",
            "unet has an RMSE of 1.40 K (1.30 to 1.50), 0.100 K (7 %) lower than that of the best baseline, ridge, "
            f"{PLACE}; {UNCOMPARED}.",
        ),
        (
            {("ridge", "unet"): (0.1, 0.05, 0.15, 0.07)}, "win",
            "unet beats the best baseline, ridge, by 0.100 K RMSE (95 % interval 0.050 to 0.150), 7 % lower, " f"{PLACE}.",
        ),
    ],
    ids=["a win without a share", "a defeat", "a tie", "few blocks", "not compared", "compared the other way round"],
)  # fmt: skip
def test_two_models(told, gaps, tone, text):
    assert _said(told(gaps)) == (text, tone)


def test_a_tie_of_the_headline_names_those_that_do_win(told):
    gaps = {
        OURS: (0.02, -0.1, 0.14, 0.02), ("random_forest", "ridge"): (-0.2, -0.3, -0.1, -0.1),
        ("random_forest+bagging", "ridge"): (-0.2, -0.3, -0.1, -0.1),
    }  # fmt: skip
    models = ("ridge", "unet", "random_forest", "random_forest+bagging")
    worse = dict.fromkeys(models[2:], (1.6, 1.5, 1.7))
    text, tone = _said(told(gaps, models, scores=worse))
    assert tone == "tie"
    assert text == (
        "unet does not beat the best baseline, ridge: it cannot be told from it, its RMSE differs by +0.020 K "
        f"(95 % interval −0.100 to 0.140), {PLACE}. On the test set, random forest and random forest + bagging do "
        "beat it, but validation did not choose them."
    )


def test_without_a_baseline_there_is_a_score_alone(told):
    text, tone = _said(told({}, ("unet",), baselines=()))
    assert tone == "alone"
    assert text == (
        f"unet predicts tas with an RMSE of 1.40 K (1.30 to 1.50), {PLACE}; there is no baseline to compare it with."
    )


def test_models_without_a_common_score_are_not_compared(told):
    found = told({})
    table = found.run.scores
    hit = (table["model"] == "ridge") & (table["split"] == "test") & (table["metric"] == "rmse")
    table.loc[hit, "value"] = NAN
    assert _said(found) == (
        "unet and the best baseline, ridge, share no score on the test set, so they cannot be compared.", "alone",
    )  # fmt: skip


def test_baselines_that_the_run_did_not_compare(told):
    text, tone = _said(told({}, ("persistence", "ridge"), baselines=("persistence", "ridge"),
                            scores={"persistence": (3.0, 2.9, 3.1)}))  # fmt: skip
    assert tone == "alone"
    assert text == (
        "Only baselines were tried: ridge is the best of 2, its RMSE 1.50 K (1.40 to 1.60), 1.50 K or 50 % lower than "
        f"that of persistence, {PLACE}; {UNCOMPARED}."
    )
