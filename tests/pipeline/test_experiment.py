"""What an experiment may ask for: coarse predictors, forcings, test sets with data of their own, changes."""

import copy

import pytest

from pipeline.errors import ConfigError
from pipeline.experiment import Experiment
from pipeline.schema import validate

GOOD = {
    "name": "x",
    "data": {
        "predictors": [{"dataset": "fine", "variables": ["tas"], "coarsen": 4}],
        "target": {"dataset": "fine", "variables": ["tas", "pr"]},
        "forcings": [{"dataset": "gases", "variables": ["co2"]}],
        "tests": {
            "historical": {"predictors": [{"dataset": "gcm"}], "target": {"dataset": "rcm"}, "span": ["1981", "2000"]},
            "end_century": {"predictors": [{"dataset": "gcm"}], "forcings": [{"dataset": "scenario"}]},
        },
    },
    "split": {"train": ["2000", "2001"], "validation": ["2002", "2002"], "test": ["2003", "2003"]},
    "prepare": {
        "inputs": {"calendar": True},
        "target": {"scale": "per_cell", "variables": {"pr": {"anomaly": "none"}, "tas": {"scale": "none"}}},
    },
    "models": {"ridge": {"kind": "ridge"}},
    "changes": [{"from": "historical", "to": "end_century"}, {"from": "test", "to": "historical"}],
}


def changed(path, value):
    tree = copy.deepcopy(GOOD)
    *parents, last = path.split(".")
    node = tree
    for key in parents:
        node = node[int(key)] if isinstance(node, list) else node[key]
    node[last] = value
    return tree


def test_all_of_it_is_read():
    made = validate(Experiment, GOOD, where="x.yaml")
    assert made.tests == ("test", "historical", "end_century")
    assert made.data.predictors[0].coarsen == 4
    assert (made.data.tests["historical"].span, made.data.tests["end_century"].target) == (("1981", "2000"), None)
    target = made.prepare.target
    assert [(target.anomaly_of(name), target.scale_of(name)) for name in ("tas", "pr", "other")] == [
        ("day_of_year", "none"), ("none", "per_cell"), ("day_of_year", "per_cell"),
    ]  # fmt: skip
    assert (made.changes[0].first, made.changes[0].second) == ("historical", "end_century")


def test_what_is_written_is_read_again():
    made = validate(Experiment, GOOD, where="x.yaml")
    tree = made.model_dump(mode="json", by_alias=True)
    assert tree["changes"][0] == {"from": "historical", "to": "end_century"}
    assert validate(Experiment, tree, where="x.yaml") == made


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("models", {"novelty": {"kind": "ridge"}}, r"expected another model name than 'novelty': diagnostics/novelty\.nc"),
        ("data.predictors.0.coarsen", 1, r"data\.predictors\.0\.coarsen: .*greater than or equal to 2, got 1"),
        ("data.tests", {"validation": GOOD["data"]["tests"]["historical"]}, r"data\.tests: expected names of their own, got validation, taken by the split"),
        ("data.tests", {"test": GOOD["data"]["tests"]["historical"]}, r"data\.tests: expected names of their own, got test, taken"),
        ("data.tests", {"a": {"predictors": [{"dataset": "g"}] * 2}}, r"data\.tests\.a\.predictors: expected 1 sources, one for each of data\.predictors, got 2"),
        ("data.tests", {"a": {"predictors": []}}, r"data\.tests\.a\.predictors: .*at least 1 item"),
        ("data.tests", {"a": {"predictor": []}}, r"data\.tests\.a\.predictor: unknown key\. Did you mean 'predictors'"),
        ("changes", [{"from": "histrical", "to": "test"}], r"changes: no test set 'histrical'\. Known: test, historical, end_century"),
        ("changes", [{"from": "test", "to": "test"}], r"changes: expected two test sets, got 'test' twice"),
        ("changes", [{"from": "test"}], r"changes\.0\.to: this key is required and missing"),
        ("changes", [{"from": "test", "until": "historical"}], r"changes\.0\.until: unknown key"),
        ("regions", "quarters", r"regions: expected auto, none, or regions by name such as \{alps: .*\}, got 'quarters'"),
        ("regions", None, r"regions: expected auto, none, or regions by name"),
        ("regions", {}, r"regions: expected 1 to 12 regions, got 0\. Take none for no scores by region"),
        ("regions", {f"r{i}": {"lat": [1, 2]} for i in range(13)}, r"regions: expected 1 to 12 regions, got 13"),
        ("regions", {"all": {"lat": [1, 2]}}, r"regions: expected names of at most 40 letters, .*, none of them all or elsewhere, got 'all'"),
        ("regions", {"a=b": {"lat": [1, 2]}}, r"regions: expected names of .* got 'a=b'"),
        ("regions", {"alps": {"latt": [45, 48]}}, r"regions\.alps\.latt: unknown key\. Did you mean 'lat'\? Known: lat, lon, stations"),
        ("regions", {"alps": {"lat": [48, 45]}}, r"regions\.alps\.lat: expected the lower bound first, got \[48\.0, 45\.0\]"),
        ("regions", {"alps": {}}, r"regions\.alps: expected lat and lon \(or one of them\), or stations, got neither"),
        ("regions", {"alps": {"lat": [45, 48], "stations": ["a"]}}, r"regions\.alps: expected lat and lon .* got both"),
        ("regions", {"alps": {"stations": []}}, r"regions\.alps\.stations: .*at least 1 item"),
        ("prepare.target.variables", {"pr": {"anomally": "none"}}, r"prepare\.target\.variables\.pr\.anomally: unknown key\. Did you mean 'anomaly'"),
        ("prepare.target.variables", {"pr": {"scale": "per_day"}}, r"prepare\.target\.variables\.pr\.scale: input should be 'none', 'per_cell' or 'per_field'"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_called_so(path, value, message):
    with pytest.raises(ConfigError, match=message):
        validate(Experiment, changed(path, value), where="x.yaml")


def test_options_of_a_target_that_is_not_there_are_refused():
    target = validate(Experiment, GOOD, where="x.yaml").prepare.target
    target.require(["pr", "tas"])
    with pytest.raises(ConfigError, match=r"variables: the target has no variable 'pr'\. .*Known: prr, tas\."):
        target.require(["prr", "tas"])


def test_regions_are_read_and_written():
    boxes = {"alps": {"lat": [45, 48], "lon": [6, 14]}, "two of them": {"stations": ["a", "7"]}}
    made = validate(Experiment, changed("regions", boxes), where="x.yaml")
    assert made.regions["alps"].bounds() == {"lat": (45, 48), "lon": (6, 14)}
    assert made.regions["two of them"].stations == ["a", "7"]
    assert validate(Experiment, made.model_dump(mode="json", by_alias=True), where="x.yaml") == made
    assert validate(Experiment, GOOD, where="x.yaml").regions == "auto"
    assert validate(Experiment, changed("regions", "none"), where="x.yaml").regions == "none"


def test_regions_that_no_cell_can_lie_in_are_refused():
    tree = changed("regions", {"north": {"lat": [60, 70]}, "alps": {"lat": [45, 48]}})
    tree["data"]["region"] = {"lat": [36, 44]}
    message = r"regions\.north\.lat: expected latitudes of data\.region, \[36\.0, 44\.0\], got \[60\.0, 70\.0\]"
    with pytest.raises(ConfigError, match=message):
        validate(Experiment, tree, where="x.yaml")
    tree = changed("regions", {"alps": {"lat": [45, 48]}})
    tree["data"]["target"] = {"dataset": "fine", "variables": ["tas"], "mean_over": {"lat": [-5, 5]}}
    with pytest.raises(ConfigError, match=r"regions: expected auto or none with a target that is a mean .*, got alps"):
        validate(Experiment, tree, where="x.yaml")
