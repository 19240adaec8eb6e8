"""Whether a verdict's models are worth anything, by scores written into a run."""

import pandas as pd
import pytest

from pipeline.report import answers, worth
from pipeline.report.load import load_run
from pipeline.report.study import study

NAN = float("nan")
PARTS = {"years": 1, "attributions": False, "diagnostics": False}


@pytest.fixture
def scored(make_run):
    """Return a function: scores (model, metric) to (value, low, high) on the test set, to the study."""

    def build(scores, models=("persistence", "ridge", "unet"), gap=None, **parts):
        baselines = tuple(model for model in models if model not in ("unet", "random_forest"))
        run = make_run(**{**PARTS, "models": models, "baselines": baselines, "noise": {"unet": 1.2}, **parts})
        table = pd.read_csv(run / "scores.csv")
        for (model, metric), bounds in scores.items():
            hit = (table["model"] == model) & (table["metric"] == metric) & (table["split"] == "test")
            if not hit.any():
                row = (model, "test", parts.get("variable", "tas"), "all", metric, *bounds[:1], "1", *bounds[1:], 90)
                table.loc[len(table)] = row
            else:
                table.loc[hit, ["value", "low", "high"]] = bounds
        if parts.get("variable") == "qobs":
            table["units"] = table["units"].replace("K", "m3 s-1")
        table.to_csv(run / "scores.csv", index=False)
        if gap is not None:
            compared = pd.read_csv(run / "comparisons.csv")
            hit = (compared["model"] == "unet") & (compared["reference"] == "ridge")
            compared.loc[hit, ["difference", "low", "high", "relative"]] = (*gap, gap[0] / 1.5)
            compared.to_csv(run / "comparisons.csv", index=False)
        return study(load_run(run))

    return build


FLOW = {"variable": "qobs", "units": "m3 s-1", "experiment": {"task": "series"}}
WIN = (-0.2, -0.3, -0.1)


@pytest.mark.parametrize(
    ("own", "base", "text", "headline"),
    [
        ((0.6, 0.5, 0.7), (0.4, 0.3, 0.5), "", False),
        ((-0.2, -0.3, -0.1), (0.4, 0.3, 0.5), "unet is worse than the mean flow.", True),
        ((-0.2, -0.5, 0.1), (0.4, 0.3, 0.5), "unet is no better than the mean flow.", True),
        ((-0.2, NAN, NAN), (0.4, 0.3, 0.5), "unet is no better than the mean flow.", True),
        ((-0.2, -0.3, -0.1), (-0.4, -0.5, -0.3), "Both are worse than the mean flow.", True),
        ((-0.2, -0.3, -0.1), (-0.4, -0.9, 0.1), "Both are no better than the mean flow.", True),
        ((0.3, 0.2, 0.4), (-0.4, -0.5, -0.3), "ridge is worse than the mean flow.", False),
    ],
)
def test_flow_is_measured_by_the_mean_flow(scored, own, base, text, headline):
    found = scored({("unet", "nse"): own, ("ridge", "nse"): base}, gap=WIN, **FLOW)
    assert (found.headline, found.rival) == ("unet", "ridge")
    assert worth.doubt(found) == worth.Doubt(text, headline)
    answer = answers.answer(found)
    assert answer.text.endswith(f" {text}" if text else f"{base[0]:.2f} ({base[1]:.2f} to {base[2]:.2f}).")
    # A baseline that is worth nothing takes nothing from the model that beats it.
    assert answer.tone == ("lose" if headline else "win")


def test_a_verdict_that_is_no_win_stays_what_it_is(scored):
    scores = {("unet", "nse"): (-0.2, -0.3, -0.1), ("ridge", "nse"): (-0.4, -0.5, -0.3)}
    assert answers.answer(scored(scores, gap=(-0.1, -0.3, 0.1), **FLOW)).tone == "tie"
    assert answers.answer(scored(scores, gap=(0.1, NAN, NAN), **FLOW)).tone == "tie"


def test_no_flow_is_not_measured_by_its_efficiency(scored):
    scores = {("unet", "nse"): (-0.2, -0.3, -0.1), ("ridge", "nse"): (-0.4, -0.5, -0.3)}
    assert worth.doubt(scored(scores, gap=WIN)) == worth.Doubt()


WITH = ("climatology", "ridge", "unet")
KINDS = {"experiment": {"models": {model: {"kind": model} for model in WITH}}}


@pytest.mark.parametrize(
    ("base", "text", "headline"),
    [
        ((3.0, 2.9, 3.1), "", False),
        ((1.0, 0.9, 1.1), "Both are worse than climatology.", True),
        ((1.0, 0.9, 1.45), "Both are no better than climatology.", True),
        ((1.0, NAN, NAN), "Both are no better than climatology.", True),
        ((1.45, 1.41, 1.49), "ridge is worse than climatology.", False),
    ],
)
def test_a_climatology_that_beats_the_best_is_said(scored, base, text, headline):
    # Validation chose ridge as the best baseline; on the test set the climatology may be better.
    scores = {("climatology", "rmse"): base, ("unet", "rmse"): (1.4, 1.3, 1.5), ("ridge", "rmse"): (1.6, 1.5, 1.7)}
    found = scored(scores, WITH, gap=WIN, **KINDS)
    assert (found.headline, found.rival) == ("unet", "ridge")
    assert worth.doubt(found) == worth.Doubt(text, headline)
    assert answers.answer(found).tone == ("lose" if headline else "win")


def test_a_climatology_that_is_the_best_baseline_is_told_by_the_difference_alone(scored):
    found = scored({("climatology", "rmse"): (1.0, 0.9, 1.1)}, ("climatology", "unet"), **KINDS)
    assert found.reference == "climatology"
    assert worth.doubt(found) == worth.Doubt()


def test_a_climatology_without_the_score_says_nothing(scored):
    found = scored({("climatology", "rmse"): (NAN, NAN, NAN)}, WITH, **KINDS)
    assert worth.doubt(found) == worth.Doubt()


@pytest.mark.parametrize(
    ("own", "base", "text", "headline"),
    [
        ((0.3, 0.2, 0.4), (0.2, 0.1, 0.3), "", False),
        ((-0.3, -0.4, -0.2), (0.2, 0.1, 0.3), "unet is worse than the climatology of the train split.", True),
        ((-0.3, -0.4, 0.2), (0.2, 0.1, 0.3), "unet is no better than the climatology of the train split.", True),
        ((-0.3, -0.4, -0.2), (-0.2, -0.3, -0.1), "Both are worse than the climatology of the train split.", True),
    ],
)
def test_without_a_climatology_the_skill_of_the_crps_is_taken(scored, own, base, text, headline):
    found = scored({("unet", "crpss"): own, ("ridge", "crpss"): base}, gap=WIN)
    assert worth.doubt(found) == worth.Doubt(text, headline)
    assert answers.answer(found).tone == ("lose" if headline else "win")


def test_without_any_measure_nothing_is_doubted(scored):
    assert worth.doubt(scored({}, gap=WIN)) == worth.Doubt()
