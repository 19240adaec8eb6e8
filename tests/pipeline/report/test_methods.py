"""The methods side by side with their costs, and what was calibrated on what."""

import json

import pytest

from pipeline.report.load import load_run
from pipeline.report.sections import methods
from pipeline.report.study import study

FOLDS = (
    "5 folds of the train and validation splits, 1982-12-02 to 1997-02-28, each predicted by fits that had not seen it"
)


@pytest.fixture
def told(make_run):
    """Return a function: what the fit stage says of the ensemble, and seconds by stage and model, to the blocks."""

    def make(summary=None, fit=None, predict=None):
        run = make_run(attributions=False, years=1)
        (path,) = run.glob("models/unet+deep_ensemble/summary.json")
        path.write_text(json.dumps(json.loads(path.read_text()) | (summary or {})))
        for stage, seconds in (("fit", fit), ("predict", predict)):
            record = json.loads((run / f"stages/{stage}.json").read_text())
            record["summary"]["seconds"] = seconds or {}
            (run / f"stages/{stage}.json").write_text(json.dumps(record))
        return methods.blocks(study(load_run(run)), "tas")

    return make


def cells(table, model):
    return [cell.text for cell in next(row for row in table.rows if row[0].text == model)]


def test_every_distribution_has_a_row_with_its_scores_and_what_it_cost(told):
    (table,) = told(fit={"unet": 26.6, "unet+deep_ensemble": 139.0}, predict={"unet+deep_ensemble": 4.1})
    heads = [column.title for column in table.columns]
    assert heads[-2:] == ["Fit", "Predict"]
    assert "CRPS" in heads
    assert any("coverage" in head for head in heads)
    assert cells(table, "unet + deep ensemble")[-2:] == ["2 min 19 s", "4.1 s"]
    assert cells(table, "unet")[-2] == "26.6 s"
    assert cells(table, "ridge")[-2:] == ["\u2013", "\u2013"]  # not known of an older run
    ranks = [row[-2].key for row in table.rows]
    assert sorted(ranks)[:2] == [26.6, 139.0]


def test_what_was_calibrated_on_what_is_told_with_what_was_learned(told):
    learned = {
        "kind": "conformal", "by": ["season"], "blocks": "15 years",
        "widened": {"low": {"least": 0.1, "median": 0.25, "most": 0.5}, "high": 0.3},
    }  # fmt: skip
    _, table = told({"calibrated_on": FOLDS, "calibration": learned})
    (row,) = table.rows
    assert [cell.text for cell in row[:3]] == ["unet + deep ensemble", "conformal", FOLDS]
    said = row[3].text.replace("\u00a0", " ")
    assert said == "by: season; blocks: 15 years; widened: low 0.250 (0.100 to 0.500), high 0.300"
    assert table.caption.startswith("What was calibrated on what.")


def test_without_a_method_there_is_nothing(make_run):
    run = make_run(models=("ridge", "unet"), baselines=("ridge",), attributions=False, years=1)
    assert methods.blocks(study(load_run(run)), "tas") == []
