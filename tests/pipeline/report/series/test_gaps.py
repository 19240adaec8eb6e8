"""What is not scored: no truth and no answer, each with its own share, checked against shares counted by hand."""

import shutil

import numpy as np
import pytest
import xarray as xr

from pipeline.report import gaps
from pipeline.report.load import load_run
from pipeline.report.sections import limits
from pipeline.report.study import study

TABLE = {"stations": 4, "leads": (0,), "step": "D", "times": 50, "models": ("ridge", "lstm"), "parts": "season"}
INPUTS = {"inputs": {"lags": [0], "window": 12, "missing": "leave_out"}, "target": {"leads": [0]}}


@pytest.fixture
def make(series_run, tmp_path):
    """Return a function: values that are taken away, as (name, index) of the predictions' own dims, to the study."""

    def build(holes=(), lost=None, **parts):
        splits = {"test": {"samples": 50, "steps": 50, **({} if lost is None else {"without_inputs": lost})}}
        prepared = {"splits": splits, "scaling": INPUTS, **parts.pop("prepared", {})}
        run = shutil.copytree(series_run(**{**TABLE, **parts}, prepared=prepared), tmp_path / "run")
        path = run / "predictions/lstm.nc"
        data = xr.load_dataset(path)
        for name, index in holes:
            data[name].values[index] = np.nan
        path.unlink()
        data.to_netcdf(path)
        return study(load_run(run))

    return build


def _told(found):
    return [text.replace("\u00a0", " ") for text in gaps.sentences(found)]


MEAN, TRUTH = "nino34", "nino34_truth"


def test_nothing_is_said_where_nothing_is_missing(make):
    assert _told(make()) == []


def test_no_truth_is_told_of_answers_alone(make):
    # 4 stations and 50 days are 200 values; 10 have no truth, 4 of those have no answer either.
    holes = [(TRUTH, np.s_[:10, 0]), (MEAN, np.s_[:4, 0])]
    assert _told(make(holes)) == ["Of the station-days of the test set, 3 % have no truth and are not scored."]


def test_no_answer_is_told_with_its_cause(make):
    found = make([(MEAN, np.s_[:20, 1])], lost={"values": 20, "of": 200})
    assert _told(found) == [
        "Of the station-days of the test set, 10 % have no answer, because a predictor is missing within the window of "
        "12 days (prepare.inputs.missing: leave_out)."
    ]


def test_both_are_told_apart_in_one_sentence(make):
    holes = [(TRUTH, np.s_[30:, 0]), (MEAN, np.s_[:20, 1])]
    assert _told(make(holes, lost={"values": 20, "of": 200})) == [
        "Of the station-days of the test set, 10 % have no truth and are not scored; 10 % have no answer, because a "
        "predictor is missing within the window of 12 days (prepare.inputs.missing: leave_out)."
    ]


def test_without_a_window_none_is_named(make):
    scaling = {"inputs": {"lags": [0], "window": None, "missing": "leave_out"}}
    (text,) = _told(make(lost={"values": 1, "of": 200}, prepared={"scaling": scaling}))
    assert text.endswith("0.5 % have no answer, because a predictor is missing (prepare.inputs.missing: leave_out).")


def test_the_window_of_lags_is_from_the_first_to_the_last(make):
    scaling = {"inputs": {"lags": [0, 1, 6], "window": None, "missing": "leave_out"}}
    (text,) = _told(make(lost={"values": 2, "of": 200}, prepared={"scaling": scaling}))
    assert "within the window of 7 days" in text


def test_stations_that_are_never_predicted_have_their_own_sentence_and_no_part_in_shares(make):
    # Of the 3 stations left, 150 values: 15 without truth.
    holes = [(MEAN, np.s_[:, 3]), (TRUTH, np.s_[:15, 2])]
    assert _told(make(holes)) == [
        "3 stations of 4 are predicted; the others have too little truth to learn from.",
        "Of the station-days of the test set, 10 % have no truth and are not scored.",
    ]


def test_one_station_alone_is_told_in_the_singular(make):
    (text,) = _told(make([(MEAN, np.s_[:, 1:])]))
    assert text.startswith("1 station of 4 is predicted; ")


def test_the_other_basins_of_a_split_by_basin_are_not_gaps(make):
    flow = {"variable": "qobs", "units": "m3 s-1", "split": {"by": "basin", "train": ["st000"], "test": {"test": []}}}
    holes = [("qobs_truth", np.s_[:, :2]), ("qobs_truth", np.s_[:10, 2])]
    assert _told(make(holes, **flow)) == [
        "2 basins of 4 are predicted; the others are of other splits.",
        "Of the basin-days of the test set, 10 % have no truth and are not scored.",
    ]


AHEAD = {"leads": (1, 2, 3, 4, 5, 6), "stations": 1, "parts": "month", "step": "MS"}


def test_the_last_times_of_a_forecast_are_no_gap(make):
    # A sample has truth at its first lead: at the lead that is shown, 3, the last two lie behind the test set.
    assert _told(make([(TRUTH, np.s_[-2:, 2])], **AHEAD)) == []


def test_a_gap_before_the_last_times_of_a_forecast_is_one(make):
    # Of 48 months that can be known.
    found = make([(TRUTH, np.s_[-2:, 2]), (TRUTH, np.s_[10:22, 2])], **AHEAD)
    assert _told(found) == ["Of the station-months of the test set, 25 % have no truth and are not scored."]


def test_a_gap_at_the_end_is_one_as_far_as_leads_do_not_explain_it(make):
    # 14 without truth at the end, 2 of them behind the test set.
    assert _told(make([(TRUTH, np.s_[-14:, 2])], **AHEAD)) == [
        "Of the station-months of the test set, 25 % have no truth and are not scored."
    ]


def test_a_run_without_predictions_says_nothing(series_run):
    assert gaps.sentences(study(load_run(series_run(**TABLE, predictions=False)))) == []


def test_fields_say_values_and_limits_hold_the_sentence(make_run):
    run = make_run(models=("ridge", "unet"), years=1, attributions=False, diagnostics=False, mask=False)
    path = run / "predictions/unet.nc"
    data = xr.load_dataset(path)
    data["tas_truth"].values[:9] = np.nan  # of 90 days
    path.unlink()
    data.to_netcdf(path)
    found = study(load_run(run))
    assert _told(found) == ["Of the predicted values of the test set, 10 % have no truth and are not scored."]
    assert gaps.sentences(found)[0] in limits.build(found).blocks[0].items
