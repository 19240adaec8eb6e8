"""What makes an event, in words from the options of real labels; and classes that are rarer in the test set."""

import json

import numpy as np
import pytest
import xarray as xr
import yaml

from pipeline.grid import Grid
from pipeline.prepare.labels import LABELS, make_label
from pipeline.prepare.splits import TimeSplit
from pipeline.report import cautions, event_words
from pipeline.report.load import load_run
from pipeline.report.sections import class_learned, class_limits, verdict
from pipeline.report.study import study

TIME = np.arange("2001-01-01", "2007-01-01", dtype="datetime64[D]").astype("datetime64[ns]")
GRID = Grid(np.array([45.0, 50.0]), np.array([0.0, 5.0]))


def _fitted(spec, units):
    """Return the label of ``spec``, fitted on four of six made years."""
    rng = np.random.default_rng(1)
    year = np.cos(2 * np.pi * np.arange(len(TIME)) / 365.25)[:, None, None]
    values = (10 * year + rng.normal(size=(len(TIME), *GRID.shape))).astype(np.float32)
    test = {"test": ("2006-01-01", "2006-12-31")}
    split = TimeSplit(("2001-01-01", "2004-12-31"), ("2005-01-01", "2005-12-31"), test)
    return make_label(spec).fit(values, TIME, split.train_split(TIME), GRID, units=units)


def _written(run, path, change):
    data = json.loads((run / path).read_text())
    change(data["summary"])
    (run / path).write_text(json.dumps(data))


@pytest.fixture
def labelled(make_class_run):
    """Return a function: what the prepare stage says of its label and its classes, to the study."""

    def make(facts, classes, variable="sst"):
        run = make_class_run(tiles=False, classes=tuple(classes), models=("class_frequencies", "class_unet"))
        # As a summary is written and read again.
        _written(run, "stages/prepare.json", lambda summary: summary.update(label=facts))
        experiment = yaml.safe_load((run / "experiment.yaml").read_text())
        experiment["data"] = {"target": {"dataset": "sea", "variables": [variable]}}
        (run / "experiment.yaml").write_text(yaml.safe_dump(experiment))
        return study(load_run(run))

    return make


DAY = "of its day of the year"


@pytest.mark.parametrize(
    ("spec", "units", "text"),
    [
        (
            {"kind": "marine_heatwave"}, "degC",
            f"The class marine heatwave is where sst lies above the 90th percentile {DAY} in the train split (pooled "
            "over 11 days, smoothed by a running mean over 31 days), 5 days or longer, events 2 days or less apart "
            "taken as one.",
        ),
        (
            {"kind": "marine_heatwave", "categories": True, "percentile": 92.5, "window": 9, "smooth": 1, "max_gap": 0,
             "min_days": 3}, "degC",
            f"The class moderate, strong, severe or extreme is where sst lies above the 92.5th percentile {DAY} in the "
            "train split (pooled over 9 days), 3 days or longer; the class is by multiples of the distance between "
            "percentile and mean.",
        ),
        (
            {"kind": "percentile_extreme", "name": "heat", "percentile": 93, "min_days": 6}, "degC",
            f"The class heat is where sst lies above the 93rd percentile {DAY} in the train split (pooled over 5 "
            "days), 6 days or longer.",
        ),
        (
            {"kind": "percentile_extreme", "name": "cold_spell", "percentile": 11, "side": "below", "max_gap": 1,
             "min_days": 2}, "degC",
            f"The class cold spell is where sst lies below the 11th percentile {DAY} in the train split (pooled over "
            "5 days), 2 days or longer, events 1 day or less apart taken as one.",
        ),
        (
            {"kind": "deep_low", "below": 970.0, "units": "hPa"}, "Pa",
            "The class deep low is where sst lies below 970 hPa.",
        ),
        (
            {"kind": "deep_low"}, "Pa",
            "The class deep low is where sst lies below 98,000 Pa.",
        ),
        (
            {"kind": "deep_low", "of": "anomaly"}, "hPa",
            f"The class deep low is where sst lies below −20 hPa, as an anomaly from the mean {DAY} (over 31 days).",
        ),
        (
            {"kind": "threshold", "above": 1.5, "units": "K", "of": "anomaly", "window": 11, "name": "warm",
             "min_days": 3, "max_gap": 2}, "degC",
            f"The class warm is where sst lies above 1.50 K, as an anomaly from the mean {DAY} (over 11 days), 3 days "
            "or longer, events 2 days or less apart taken as one.",
        ),
        (
            {"kind": "threshold", "below": -2.0, "units": "degC", "name": "frost"}, "degC",
            "The class frost is where sst lies below −2 °C, 1 day or longer.",
        ),
        (
            {"kind": "blocking", "overlap": 0.4, "persistence": 6.0}, "m",
            f"The class blocking is where sst lies above 150 m, as an anomaly from the mean {DAY} (over 31 days), in "
            "areas that overlap by 40 % from step to step and last 6 days or longer.",
        ),
        (
            {"kind": "blocking", "of": "value", "above": 120.0}, "m",
            "The class blocking is where sst lies above 120 m, in areas that overlap by 50 % from step to step and "
            "last 5 days or longer.",
        ),
    ],
    ids=["heatwave", "categories", "heat", "cold", "low", "usual low", "anomaly of a low", "threshold", "frost",
         "blocking", "blocking of anomalies"],
)  # fmt: skip
def test_the_definition_has_every_number(labelled, spec, units, text):
    label = _fitted(spec, units)
    found = labelled(label.facts(), label.classes)
    assert event_words.definition(found).replace("\u00a0", " ") == text


def test_every_known_label_has_words():
    known = {"marine_heatwave", "percentile_extreme", "deep_low", "threshold", "blocking"}
    assert known <= set(LABELS.names())
    assert set(event_words._KINDS) == known


def test_a_label_of_a_plug_in_is_told_by_its_options(labelled):
    found = labelled({"kind": "dry_spell", "options": {"least_days": 9, "wet": 1.5}}, ("background", "dry"), "pr")
    assert event_words.definition(found) == (
        "The class dry is computed from pr by the definition dry spell: least days 9, wet 1.50."
    )


@pytest.mark.parametrize(
    ("label", "given"),
    [
        ({"kind": "marine_heatwave", "min_days": 7}, "marine heatwave: min days 7."),
        ({"kind": "marine_heatwave"}, "marine heatwave: with the options' defaults."),
        ({"kind": "deep_low", "of": "anomaly"}, "deep low: of anomaly."),
    ],
)
def test_without_facts_it_says_what_was_written(labelled, label, given):
    found = labelled(None, ("background", "event"))
    found.run.experiment["prepare"] = {"target": {"label": label}}
    assert event_words.definition(found) == f"The class event is computed from sst by the definition {given}"


def test_classes_that_come_as_they_are_have_no_definition(labelled):
    found = labelled(None, ("clear", "cloud"))
    assert event_words.definition(found) == ""
    assert "errors of those who drew or computed them" in " ".join(class_limits.build(found).blocks[0].items)


def test_the_first_screen_and_the_sections_tell_the_definition(labelled):
    label = _fitted({"kind": "marine_heatwave"}, "degC")
    found = labelled(label.facts(), label.classes)
    text = event_words.definition(found)
    assert verdict.build(found).further[0] == text
    assert any(text in getattr(block, "items", ()) for block in class_learned.blocks(found))
    assert "They are computed from sst: where sst is wrong they are wrong" in " ".join(
        class_limits.build(found).blocks[0].items
    )


@pytest.fixture
def shifted(make_class_run):
    """Return a function: shares of the classes in the train split and on the test set, to the study."""

    def make(train, test):
        names = tuple(train)
        run = make_class_run(tiles=False, classes=names, models=("class_frequencies", "class_unet"))
        classes = [{"name": name, "share": share} for name, share in train.items()]
        _written(run, "stages/prepare.json", lambda summary: summary.update(classes=classes))
        path = run / "diagnostics/class_unet.nc"
        data = xr.load_dataset(path)
        data["mask_share"].values[:] = test
        path.unlink()
        data.to_netcdf(path)
        return study(load_run(run))

    return make


END = "Models were fitted to the first; their probabilities and scores are judged by the second."


def test_classes_that_are_as_common_have_no_shift(shifted):
    found = shifted({"none": 0.8, "heat": 0.2, "cold": 0.1}, [0.6, 0.295, 0.07])
    assert event_words.shift(found) == ""


def test_a_shift_is_told_in_both_directions_the_largest_first(shifted):
    found = shifted({"none": 0.2, "heat": 0.1, "cold": 0.1, "dry": 0.1}, [0.9, 0.2, 0.02, 0.149])
    assert event_words.shift(found).replace("\u00a0", " ") == (
        "Train and test differ in how common classes are: cold covers 10 % of the train split and 2 % of the test set; "
        f"heat covers 10 % of the train split and 20 % of the test set. {END}"
    )
    assert cautions.warnings(found)[-1] == event_words.shift(found)


def test_of_many_classes_three_are_told(shifted):
    names = ("none", "a", "b", "c", "d", "e")
    text = event_words.shift(shifted(dict.fromkeys(names, 0.1), [0.5, 0.2, 0.3, 0.4, 0.5, 0.6]))
    assert [text.index(f"{name} covers") for name in "edc"] == sorted(text.index(f"{name} covers") for name in "edc")
    assert "b covers" not in text
    assert (
        "; c covers 10\u00a0% of the train split and 40\u00a0% of the test set, and 2 other classes differ too. "
        in text
    )


def test_a_class_that_one_of_both_lacks_is_told_elsewhere(shifted):
    found = shifted({"none": 0.8, "heat": 0.0, "cold": 0.2}, [0.8, 0.2, 0.0])
    assert event_words.shift(found) == ""
