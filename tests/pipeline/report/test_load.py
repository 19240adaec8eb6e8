"""Reading a run folder, and choosing what the report is about."""

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import RunFolderError
from pipeline.report import cautions, sentences
from pipeline.report.load import load_run
from pipeline.report.study import Sampling, study

SMALL = {"models": ("climatology", "ridge", "unet"), "years": 1, "attributions": False}


@pytest.fixture
def run(make_run):
    return make_run(**SMALL)


def test_run_holds_what_the_folder_holds(whole_run):
    run = load_run(whole_run)
    assert run.experiment["seed"] == 1
    assert [stage.name for stage in run.stages] == ["ingest", "prepare", "fit", "predict", "score", "explain"]
    assert sum(member.model == "unet" for member in run.members) == 5
    assert len(next(member.history for member in run.members if member.model == "unet")) == 40
    assert run.methods["unet+deep_ensemble"]["calibration"] == 1.04
    assert run.explained == ("ridge", "random_forest", "unet")
    assert run.diagnostics("nobody") is None


def test_names_like_missing_values_are_read_as_written(run):
    scores = pd.read_csv(run / "scores.csv")
    scores.replace({"model": {"unet": "nan"}}).to_csv(run / "scores.csv", index=False)
    assert set(load_run(run).scores["model"]) == {"climatology", "ridge", "nan"}


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        (
            "scores.csv",
            "model,split\n",
            r"expected the columns model, split, .* in .*scores\.csv, got model, split; missing: variable, ",
        ),
        ("experiment.yaml", "a: [", r"expected YAML in .*experiment\.yaml: "),
        ("experiment.yaml", "- a\n", r"expected a mapping in .*experiment\.yaml, got list\."),
        ("provenance.json", "{", r"expected JSON in .*provenance\.json: "),
        ("provenance.json", "[]", r"expected a JSON object in .*provenance\.json, got list\."),
    ],
)
def test_damaged_files_are_named(run, file, text, message):
    (run / file).write_text(text)
    with pytest.raises(RunFolderError, match=message):
        load_run(run)


def test_a_run_without_test_scores_is_told_by_its_validation(run):
    scores = pd.read_csv(run / "scores.csv")
    scores[scores["split"] == "validation"].to_csv(run / "scores.csv", index=False)
    told = study(load_run(run))
    assert (told.split, told.splits, told.sampling) == ("validation", ("validation",), None)
    assert sentences.named_set(told.split) == "the validation split"
    assert cautions.warnings(told)[0].startswith("No test set has truth: all scores are those of the validation")


def test_a_run_without_scores_is_refused(run):
    scores = pd.read_csv(run / "scores.csv")
    scores[scores["metric"] != "rmse"].to_csv(run / "scores.csv", index=False)
    with pytest.raises(
        RunFolderError, match=r"to hold the rmse of a test set \(group 'all'\), got the splits test, val"
    ):
        study(load_run(run))


def test_choice_is_made_on_validation_not_on_test(run):
    scores = pd.read_csv(run / "scores.csv")
    # On test alone, unet is far behind and climatology the better baseline.
    test = (scores["split"] == "test") & (scores["metric"] == "rmse")
    scores.loc[test & (scores["model"] == "unet"), "value"] = 9.0
    scores.loc[test & (scores["model"] == "climatology"), "value"] = 0.1
    scores.to_csv(run / "scores.csv", index=False)
    found = study(load_run(run))
    assert (found.headline, found.reference, found.chosen_on) == ("unet", "ridge", "validation")


def test_without_validation_the_choice_falls_back_to_test(make_run):
    found = study(load_run(make_run(**SMALL, validation=False)))
    assert (found.headline, found.reference, found.chosen_on) == ("unet", "ridge", "test")


def test_baselines_are_known_without_provenance(run):
    (run / "provenance.json").unlink()
    found = study(load_run(run))
    # Compared against, or of a trivial kind.
    assert {"climatology", "ridge"} - set(load_run(run).comparisons["reference"]) <= found.baselines
    assert "unet" not in found.baselines


def test_reference_is_the_one_that_the_run_compared_with(run):
    table = pd.read_csv(run / "comparisons.csv")
    table[table["reference"] == "climatology"].to_csv(run / "comparisons.csv", index=False)
    assert study(load_run(run)).reference == "climatology"


def test_every_model_has_one_colour(whole_run):
    found = study(load_run(whole_run))
    assert set(found.colours) == set(found.models)
    deep = [found.colours[model] for model in found.models if model not in found.baselines]
    assert len(set(deep)) == len(deep)


def test_independent_samples_are_found(make_run):
    assert study(load_run(make_run(**SMALL, effective=12.5))).effective == 12.5
    assert study(load_run(make_run(**SMALL, provenance={"n_effective": None}, effective=None))).effective is None


def test_errors_and_values_have_their_own_units(run):
    found = study(load_run(run))
    assert (found.units["tas"], found.field_units["tas"]) == ("K", "degC")


def days(first, last, months=range(1, 13)):
    index = pd.date_range(first, last)
    return index[index.month.isin(list(months))].to_numpy()


@pytest.mark.parametrize(
    ("time", "words", "years"),
    [
        (days("1997-12-01", "2002-02-28", (12, 1, 2)), "451 December to February days, 1997-12-01 to 2002-02-28", 5),
        (days("2000-01-01", "2000-12-31"), "366 days, 2000-01-01 to 2000-12-31", 1),
        (days("2000-04-01", "2000-05-31"), "61 April to May days, 2000-04-01 to 2000-05-31", 1),
        (days("2000-01-01", "2000-12-31", (1, 7)), "62 January and July days, 2000-01-01 to 2000-07-31", 1),
        (days("2002-07-02", "2003-03-31"), "273 July to March days, 2002-07-02 to 2003-03-31", 2),
        (pd.date_range("2000-01-01", periods=24, freq="MS").to_numpy(), "24 months, 2000-01-01 to 2001-12-01", 2),
        (pd.date_range("1950-07-01", periods=30, freq="YS").to_numpy(), "30 years, 1951-01-01 to 1980-01-01", 30),
        (np.array(["2000-01-05"], dtype="datetime64[ns]"), "1 January sample, 2000-01-05 to 2000-01-05", 1),
    ],
)
def test_sampling_in_words(time, words, years):
    sampling = Sampling.of(time)
    assert (sampling.words, sampling.years) == (words, years)


@pytest.mark.parametrize(
    ("time", "counted", "part"),
    [
        (days("2000-01-01", "2001-12-31"), 2, ""),
        (days("1997-12-01", "2002-02-28", (12, 1, 2)), 5, "December to February"),
        # Three months of 2003 are no year beside six of 2002, and half a year none beside a whole one.
        (days("2002-07-02", "2003-03-31"), 1, "July to December 2002"),
        (days("2000-01-01", "2001-06-30"), 1, ""),
    ],
)
def test_what_indices_of_a_year_are_taken_over(time, counted, part):
    sampling = Sampling.of(time)
    assert (sampling.counted, sampling.part) == (counted, part)


def test_sampling_of_another_calendar():
    cftime = pytest.importorskip("cftime")
    time = np.array([cftime.Datetime360Day(2000, 2, day) for day in range(1, 31)])
    assert Sampling.of(time).words == "30 February days, 2000-02-01 to 2000-02-30"
