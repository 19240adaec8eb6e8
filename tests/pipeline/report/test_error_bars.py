"""Whether error bars can be trusted, in words."""

import pandas as pd
import pytest

from pipeline.report import error_bars, tables
from pipeline.report.load import load_run
from pipeline.report.sections import trust
from pipeline.report.study import study

NAN = float("nan")
SURE = (0.005, 0.005)


@pytest.fixture
def bars(make_run):
    """Return a function: coverage and spread of unet with half-widths of their intervals, to the study."""

    def make(coverage, spread, halves=SURE, effective=64.0, model="unet"):
        parts = {"models": ("ridge", "unet"), "baselines": ("ridge",), "noise": {"unet": 1.2}}
        run = make_run(**parts, years=1, attributions=False, diagnostics=False, effective=effective)
        scores = pd.read_csv(run / "scores.csv")
        for metric, value, half in zip(("coverage_90", "spread_skill"), (coverage, spread), halves, strict=True):
            hit = (scores["metric"] == metric) & (scores["model"] == model)
            scores.loc[hit, ["value", "low", "high"]] = value, value - half, value + half
        scores.to_csv(run / "scores.csv", index=False)
        return study(load_run(run))

    return make


def said(found):
    return error_bars.trust(found).replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("coverage", "spread", "start"),
    [
        (0.897, 1.02, "The error bars of unet can be trusted: its 90 % intervals hold the truth 89.7 % of the time"),
        (0.71, 0.7, "The error bars of unet are too narrow: its 90 % intervals hold the truth 71.0 % of the time"),
        (0.97, 1.4, "The error bars of unet are too wide"),
        (0.80, 0.98, "The error bars of unet are somewhat too narrow"),
        (0.45, 0.98, "The error bars of unet are too narrow"),
    ],
)
def test_trust(bars, coverage, spread, start):
    text = said(bars(coverage, spread))
    assert text.startswith(start)
    assert text.endswith(f"spread over error is {spread:.2f} (1 is right).")


@pytest.mark.parametrize(
    ("coverage", "spread", "halves", "hold", "ratio"),
    [
        (0.80, 1.3, SURE, "80.0 % of the time (79.5 to 80.5 %), too seldom", "1.30 (1 is right), too wide"),
        (0.97, 0.7, SURE, "97.0 % of the time (96.5 to 97.5 %), too often", "0.70 (1 is right), too narrow"),
        # The interval of the coverage holds 90 %, but its value and the spread point apart.
        (0.86, 1.13, (0.05, 0.005), "86.0 % of the time (81.0 to 91.0 %), too seldom", "1.13 (1 is right), too wide"),
    ],
)
def test_signs_that_contradict_each_other_are_called_mixed(bars, coverage, spread, halves, hold, ratio):
    text = said(bars(coverage, spread, halves))
    assert text == (
        f"The error bars of unet give mixed signs: its 90 % intervals hold the truth {hold}, but "
        f"spread over error is {ratio}."
    )


@pytest.mark.parametrize("effective", [11.6, 29.2])
def test_few_samples_trust_nothing(bars, effective):
    text = said(bars(0.9, 1.0, effective=effective))
    count = round(effective)
    assert text.startswith(f"Whether the error bars of unet are right cannot be told from {count} independent samples:")
    assert said(bars(0.5, 0.5, effective=effective)).startswith("The error bars of unet are too narrow")


def test_values_without_an_interval_trust_nothing(bars):
    text = said(bars(0.9, 1.0, (NAN, 0.005)))
    start = "Whether the error bars of unet are right cannot be told: no interval of these scores is known; its 90 %"
    assert text.startswith(start)
    assert "hold the truth 90.0 % of the time and spread" in text
    assert "can be trusted" not in said(bars(0.9, 1.0, (0.005, NAN)))


def test_sentence_and_table_round_alike(bars):
    for coverage, shown in ((0.9149, "91.5 %"), (0.99949, "99.9 %"), (0.9997, "100 %")):
        found = bars(coverage, 1.0)
        assert f"hold the truth {shown} of the time" in said(found)
        table = tables.skill_table(found, "tas", "test", ("coverage_90",), "t", "")
        cell = next(row[1] for row in table.rows if row[0].key == "unet")
        assert cell.text.replace("\u00a0", " ") == shown


def test_point_forecasts_have_no_error_bars(make_run):
    run = make_run(models=("ridge", "random_forest"), baselines=("ridge",), years=1, attributions=False)
    assert error_bars.trust(study(load_run(run))) == "random forest gives no error bars."


def test_interval_scores_have_a_table_beside_coverage_and_width(make_run):
    run = make_run(models=("ridge", "unet"), baselines=("ridge",), years=1, attributions=False)
    scores = pd.read_csv(run / "scores.csv")
    rows = [
        (model, "test", "tas", "all", f"interval_score_{percent}", value + percent / 50, "K", value, value + 9.0, 90)
        for model, value in (("ridge", 6.0), ("unet", 4.0))
        for percent in (50, 90)
    ]
    pd.concat([scores, pd.DataFrame(rows, columns=scores.columns)]).to_csv(run / "scores.csv", index=False)
    blocks = trust.build(found := study(load_run(run))).blocks
    shown = [block for block in blocks if isinstance(block, tables.Table)]
    assert [table.name for table in shown] == ["trust-tas", "intervals-tas"]
    own = shown[1]
    assert [(column.title, column.unit) for column in own.columns[1:]] == [
        ("interval score, 50 %", "K"), ("interval score, 90 %", "K"),
    ]  # fmt: skip
    assert {row[0].key: [cell.mark for cell in row[1:]] for row in own.rows}["unet"] == ["best", "best"]
    assert own.caption.startswith("Coverage and width of tas on test in one number: the width of the interval, and")
    assert not set(tables.INTERVALS) & set(tables.others(found, "tas", "test"))
