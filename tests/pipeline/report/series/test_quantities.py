"""What a target is, from its units and its standard name: runoff in mm d-1 is flow, and rain is not."""

import pytest

from pipeline.report import answers, flow_words, gaps, worth
from pipeline.report.load import load_run
from pipeline.report.prepare_facts import prepare_facts
from pipeline.report.sections import extremes, flow, hydrograph, limits, origin
from pipeline.report.series_facts import series_facts
from pipeline.report.study import study

RUNOFF = {
    "variable": "q", "units": "mm d-1", "leads": (0,), "step": "D", "parts": "season", "times": 900, "stations": 4,
    "first": "1993-01-01",
}  # fmt: skip


def _targets(name):
    return {"targets": [{"name": "q", "units": "mm d-1", "standard_name": name, "constant_cells": 0}]}


@pytest.fixture(scope="module")
def named(series_run):
    """The study of a target whose standard name says that it runs off."""
    return study(load_run(series_run(**RUNOFF, prepared=_targets("runoff_flux"))))


@pytest.fixture(scope="module")
def nameless(series_run):
    """The study of the same target without a standard name."""
    return study(load_run(series_run(**RUNOFF, prepared=_targets(""))))


def test_the_standard_name_says_what_it_is(named, nameless, series_run):
    assert named.quantities == {"q": "flow"}
    assert nameless.quantities == {"q": "precipitation"}
    # A run of an earlier release wrote no standard name.
    prepared = {"targets": [{"name": "q", "units": "mm d-1"}]}
    assert study(load_run(series_run(**RUNOFF, prepared=prepared))).quantities == {"q": "precipitation"}


def test_runoff_is_judged_by_its_rmse_and_rain_by_its_crps(named, nameless):
    assert (named.metric, nameless.metric) == ("rmse", "crps")


def test_runoff_is_of_basins_and_rain_of_stations(named, nameless):
    for found, word in ((named, "basin"), (nameless, "station")):
        text = " ".join(limits.build(found).blocks[0].items)
        assert f"4 {word}s were tested" in text
        assert f"days and {word}s are judged here" in text
        place = hydrograph.place_of(found, "q")
        assert place.words.startswith(f"{word} st00")


def _names(found):
    section = extremes.build(found)
    return [getattr(block, "name", "") for block in section.blocks] if section is not None else []


def test_runoff_has_an_efficiency(named, nameless):
    assert " lstm reaches a median NSE of " in answers.answer(named).text
    assert "NSE" not in answers.answer(nameless).text
    assert flow_words.efficiency(nameless) == ""
    assert (flow.is_flow(named, "q"), flow.is_flow(nameless, "q")) == (True, False)
    assert "by-basin-q" in _names(named)
    assert "by-basin-q" not in _names(nameless)


def test_runoff_is_doubted_by_its_efficiency(named):
    table = named.run.scores
    hit = (table["metric"] == "nse") & (table["model"] == "lstm") & (table["split"] == "test")
    before = table.loc[hit, ["value", "low", "high"]].copy()
    table.loc[hit, ["value", "low", "high"]] = (-0.2, -0.3, -0.1)
    try:
        assert worth.doubt(named) == worth.Doubt("lstm is worse than the mean flow.", headline=True)
    finally:
        table.loc[hit, ["value", "low", "high"]] = before


def test_runoff_is_shown_in_the_year_of_its_highest_flow(named, nameless):
    record = hydrograph.record_of(named, "q")
    assert "the basin with the median" in record.why
    part = hydrograph.part_of(named, "q", record)
    assert part.rule.startswith("Shown is the year round the highest flow of the test set, ")
    assert part.series.truth[part.peak] == record.series.truth.max()
    record = hydrograph.record_of(nameless, "q")
    assert "the station with the median" in record.why
    assert hydrograph.part_of(nameless, "q", record).rule.startswith("Shown is the stretch of the test set")


def test_stations_left_out_are_called_what_they_are():
    prepared = {
        "step_days": 1.0, "target_grid": {"dims": ["row", "station"]}, "mask": {"cells": 3, "of": 4},
        "scaling": {"inputs": {"lags": [0], "window": None, "missing": "leave_out"}, "target": {"leads": [0]}},
    }  # fmt: skip
    for name, word in (("runoff_flux", "basins"), ("", "stations")):
        text = " ".join(series_facts({**prepared, **_targets(name)}))
        assert f"1 of 4 {word} is left out: too little truth to learn from." in text


def test_values_without_inputs_are_told():
    splits = {
        "train": {"steps": 9, "samples": 9, "without_inputs": {"values": 1200, "of": 15000}},
        "validation": {"steps": 9, "samples": 9, "without_inputs": {"values": 0, "of": 36}},
        "test": {"steps": 9, "samples": 9, "without_inputs": {"values": 1, "of": 36}},
        "warm": {"steps": 9, "samples": 9},
    }
    assert prepare_facts({"splits": splits}) == (
        "Of the values of single stations at the samples of train, 1,200 of 15,000 are left out too: predictors are "
        "missing in their window.",
        "Of the values of single stations at the samples of test, 1 of 36 is left out too: a predictor is missing in "
        "its window.",
    )
    assert gaps.unanswered({"splits": splits}, "train") == pytest.approx(0.08)
    assert [gaps.unanswered({"splits": splits}, name) for name in ("validation", "warm", "none")] == [0, 0, 0]
    assert gaps.unanswered({}, "test") == 0


def _from(found):
    table = next(block for block in origin.build(found).blocks if getattr(block, "name", "") == "model-card")
    return next(row[1].text for row in table.rows if row[0].text == "From")


@pytest.fixture
def carded(series_run):
    """Return a function: parts of ``data`` and of what prepare says, to what the model card says inputs are."""

    def make(data, **prepared):
        found = study(load_run(series_run(**{**RUNOFF, "times": 60}, prepared=prepared)))
        found.run.experiment["data"] = {"predictors": [{"dataset": "camels", "variables": ["rain", "warm"]}], **data}
        return _from(found)

    return make


def test_the_card_names_statics_and_forcings(carded):
    static = [{"dataset": "soils", "variables": ["clay", "sand"]}, {"dataset": "relief", "variables": ["height"]}]
    forcings = [{"dataset": "gases", "variables": ["co2"]}]
    assert carded({"static": static, "forcings": forcings}) == (
        "camels (rain, warm); soils and relief, that do not change (clay, sand, height); gases, without a place (co2)"
    )


def test_the_card_takes_names_of_what_was_prepared_where_none_are_written(carded):
    said = {
        "statics": [{"name": "clay"}, {"name": "height"}],
        "scalars": [{"name": "day_cos"}, {"name": "day_sin"}, {"name": "co2"}],
    }
    assert carded({"static": [{"dataset": "soils"}], "forcings": [{"dataset": "gases"}]}, **said) == (
        "camels (rain, warm); soils, that do not change (clay, height); gases, without a place (co2)"
    )
    # One of two without names: those of all that was prepared.
    mixed = [{"dataset": "soils"}, {"dataset": "relief", "variables": ["height"]}]
    assert "soils and relief, that do not change (clay, height)" in carded({"static": mixed}, **said)


def test_the_card_of_a_run_that_prepared_nothing_says_all_variables(carded):
    assert carded({"static": [{"dataset": "soils"}]}).endswith("soils, that do not change (all variables)")


def test_the_card_without_statics_names_predictors_alone(carded):
    assert carded({}) == "camels (rain, warm)"
