"""Scores of calibration, sparsification and paired tests in the report."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from pipeline.report import sparsified, tables
from pipeline.report.load import load_run
from pipeline.report.sections import skill, trust
from pipeline.report.study import study

STEPS = np.linspace(0, 1, 21)
PARTS = {"models": ("ridge", "unet"), "baselines": ("ridge",), "noise": {"unet": 0.9}, "attributions": False}


@pytest.fixture
def run(make_run):
    return make_run(**PARTS, years=1)


def _tested(run, p_dm, p_sign):
    table = pd.read_csv(run / "comparisons.csv")
    table.assign(p_dm=p_dm, p_sign=p_sign).to_csv(run / "comparisons.csv", index=False)
    return study(load_run(run))


def _tests(found):
    return next((block for block in skill.differences(found, "tas") if block.name == "tests-tas"), None)


def test_a_run_of_before_has_no_tests_and_says_none(run):
    found = study(load_run(run))
    assert found.run.comparisons[["p_dm", "p_sign"]].isna().all(axis=None)
    assert _tests(found) is None


def test_a_star_stands_where_p_is_below_a_twentieth(run):
    table = _tests(_tested(run, 0.0123, 0.25))
    assert [column.title for column in table.columns] == ["Model", "Difference", "Mean test", "Sign test"]
    (row,) = table.rows
    assert [cell.text for cell in row[2:]] == ["0.012*", "0.250"]
    assert "to" in row[1].note
    assert "p_dm" in table.csv
    caption = table.caption.replace("\u00a0", " ")
    assert caption.startswith(
        "Tests of the difference of the RMSE to ridge, tas on test. The mean test is of the mean difference of the square "
        "errors, allowing for errors that last from day to day;"
    )
    assert "neither how large a difference is" in caption
    assert "by chance alone" not in caption  # of one model


def test_a_test_that_was_not_made_is_a_dash(run):
    table = _tests(_tested(run, 0.2, float("nan")))
    assert [cell.text for cell in table.rows[0][2:]] == ["0.200", "\u2013"]


def test_of_many_models_it_says_how_many_stars_chance_gives(make_run):
    caption = _tests(_tested(make_run(years=1, attributions=False), 0.0001, 0.01)).caption
    assert "Of 6 models as good as the baseline, 0.3 would have a star by chance alone" in caption
    assert "a p below 0.008 holds even so" in caption


def _with_curves(run, by_spread):
    oracle = 1.0 - 0.9 * STEPS
    for path in (run / "diagnostics").iterdir():
        with xr.open_dataset(path) as data:
            data.load()
        for name, values in (("share", STEPS), ("by_spread", by_spread), ("oracle", oracle), ("random", STEPS**0)):
            data[f"tas_sparsification_{name}"] = ("left_out", values)
        data.to_netcdf(path)
    return study(load_run(run))


@pytest.mark.parametrize(
    ("slope", "said"),
    [
        (-0.4, "Its spread says where errors are large: leaving out the half of the days and places that unet is least "
               "sure of lowers the RMSE by 20 %; leaving out the half with the largest errors, which nobody knows "
               "beforehand, would lower it by 45 %."),
        (0.0, "Its spread does not say where errors are large: leaving out the half of the days and places that unet is "
              "least sure of leaves the RMSE of the rest as it is."),
        (0.3, "Its spread misleads: leaving out the half of the days and places that unet is least sure of raises the "
              "RMSE of the rest by 15 %."),
    ],
)  # fmt: skip
def test_what_leaving_out_the_least_sure_does_is_said_before_it_is_drawn(run, slope, said):
    found = _with_curves(run, 1.0 + slope * STEPS)
    blocks = trust.build(found).blocks
    assert blocks[0].items[0].replace("\u00a0", " ") == said
    assert [picture.title for picture in blocks[1].pictures] == [
        "PIT histogram", "Calibration", "Spread against error", "Leaving out the least sure",
    ]  # fmt: skip
    assert blocks[1].pictures[-1].alt.replace("\u00a0", " ") == said
    assert "where members are few; RMSE of what is left" in blocks[1].caption


def test_without_the_curve_nothing_is_said_of_it(run):
    found = study(load_run(run))
    data = found.run.diagnostics("unet")
    assert sparsified.sentence(found, "tas", data) == sparsified.sentence(found, "tas", None) == ""
    assert [picture.title for picture in trust.build(found).blocks[0].pictures][-1] == "Spread against error"


def test_scores_of_calibration_have_a_table_in_which_no_size_of_the_spread_is_best(run):
    scores = pd.read_csv(run / "scores.csv")
    rows = scores[(scores["metric"] == "rmse") & (scores["split"] == "test")]
    units = {"sharpness": "K"}
    more = [
        rows.assign(metric=name, value=value, low=value - 0.01, high=value + 0.01, units=units.get(name, "1"))
        for value, name in enumerate(tables.CALIBRATION, 1)
    ]
    pd.concat([scores, *more]).to_csv(run / "scores.csv", index=False)
    found = study(load_run(run))
    table = next(b for b in trust.build(found).blocks if getattr(b, "name", "") == "calibration-scores-tas")
    assert len(table.columns) == 1 + len(tables.CALIBRATION) <= tables.WIDEST + 1
    marks = np.array([[cell.mark for cell in row[1:]] for row in table.rows])
    assert (marks[:, :2] == "").all()
    assert (marks[:, 2:] == "best").all()
    notes = [column.note.replace("\u00a0", " ") for column in table.columns[1:5]]
    assert notes == ["", "", "best 90 %", "lower is better"]
    assert tables.others(found, "tas", "test") == []
