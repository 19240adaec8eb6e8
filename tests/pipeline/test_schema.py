import pytest

from pipeline.errors import CatalogError, ConfigError
from pipeline.experiment import Experiment
from pipeline.model_config import ModelConfig
from pipeline.schema import parse_yaml, read_yaml, validate

GOOD = {
    "name": "x",
    "data": {"predictors": [{"dataset": "a"}], "target": {"dataset": "b"}},
    "split": {"train": ["2000", "2001"], "validation": ["2002", "2002"], "test": ["2003", "2003"]},
    "models": {"ridge": {"kind": "ridge"}},
}


def changed(path: str, value: object) -> dict:
    import copy

    tree = copy.deepcopy(GOOD)
    node = tree
    *parents, last = path.split(".")
    for key in parents:
        node = node.setdefault(key, {})
    node[last] = value
    return tree


def test_a_good_tree_passes_and_one_test_span_is_called_test():
    assert validate(Experiment, GOOD, where="x.yaml").split.test == {"test": ("2003", "2003")}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("sede", 1, r"^x\.yaml: sede: unknown key\. Did you mean 'seed'\? Known: augment, changes, compute, data,"),
        ("prepare.inputs", {"scael": "per_cell"}, r"x\.yaml: prepare\.inputs\.scael: unknown key\. Did you mean 'scale'\?"),
        ("data.target", {}, r"^x\.yaml: data\.target\.dataset: this key is required and missing\.$"),
        ("data.predictors", [{"dataset": "a", "variabels": []}], r"data\.predictors\.0\.variabels: unknown key\. Did you mean 'variables'"),
        ("task", "donwscaling", r"x\.yaml: task: input should be 'downscaling', 'series' or 'segmentation', got 'donwscaling'\. Did you mean 'downscaling'\?$"),
        ("split.gap", "ten", r"x\.yaml: split\.gap: expected a length of time such as '10D', got 'ten'\."),
        ("split.gap", "5", r"split\.gap: expected a length of time with its unit, such as '10D', got '5'\."),
        ("seed", True, r"^x\.yaml: seed: expected a whole number, got true\.$"),
        ("seed", "two", r"^x\.yaml: seed: expected a whole number, got 'two'\.$"),
        ("seed", 1.5, r"^x\.yaml: seed: expected a whole number, got 1\.5\.$"),
        ("seed", None, r"^x\.yaml: seed: expected a whole number, got nothing \(null\)\.$"),
        ("prepare.inputs", {"max_missing": True}, r"prepare\.inputs\.max_missing: expected a number, got true\.$"),
        ("prepare.inputs", {"calendar": 3}, r"prepare\.inputs\.calendar: .*got 3"),
        ("data.predictors", [{"dataset": "a", "coarsen": True}], r"data\.predictors\.0\.coarsen: expected a whole number, got true\."),
        ("split.train", "2000", r"split\.train: expected a list such as \[a, b\], got '2000'\."),
        ("data.months", 13, r"data\.months: expected a list such as \[a, b\], got 13\."),
        ("uncertainty", [{"calibration": {"knd": "emos"}}], r"calibration\.kind: this key is required and missing\. Did you mean it by 'knd'\?"),
        ("split.gap", "-1D", r"split\.gap: expected a gap of zero or more, got '-1D'\."),
        ("data.months", [13], r"data\.months: expected months from 1 to 12, got \[13\]\."),
        ("prepare.inputs", {"lags": [-1]}, r"prepare\.inputs\.lags: expected different lags of 0 or more, got \[-1\]\."),
        ("models", {"a b": {"kind": "ridge"}}, r"models: expected model names of letters, digits, - and _, got 'a b'\."),
        ("uncertainty", [{"method": "deep_ensemble", "models": ["unt"]}], r"uncertainty: deep_ensemble names the model 'unt'\. Known: ridge"),
        ("data.region", [37, 41], r"data\.region: expected a mapping with keys among lat, lon, got \[37, 41\]\."),
        ("data.region", {"lat": [41, 37]}, r"data\.region\.lat: expected the lower bound first, got \[41\.0, 37\.0\]\."),
        ("split.gap", 5, r"split\.gap: expected text, in quotes where it looks like a number, got 5\."),
        ("models", {}, r"models: dictionary should have at least 1 item"),
    ],
)  # fmt: skip
def test_each_fault_names_file_key_and_what_was_meant(path, value, message):
    with pytest.raises(ConfigError, match=message):
        validate(Experiment, changed(path, value), where="x.yaml")


def test_all_faults_come_in_one_message():
    with pytest.raises(ConfigError) as caught:
        validate(Experiment, {**GOOD, "sede": 1, "nmae": 2}, where="x.yaml")
    assert len(str(caught.value).splitlines()) == 2


def test_yaml_that_is_not_there_or_broken_is_named_with_its_place(tmp_path):
    with pytest.raises(ConfigError, match=r"no\.yaml: expected a YAML file, got FileNotFoundError"):
        read_yaml(tmp_path / "no.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [1, 2\nb: 3\n")
    with pytest.raises(CatalogError, match=r"broken\.yaml: line \d+, column \d+ expected YAML, got:"):
        read_yaml(broken, CatalogError)
    broken.write_text("a: 1\nb: 2\na: 3\n")
    with pytest.raises(ConfigError, match=r"line 3, column 1 expected YAML, got: the key 'a' stands twice"):
        read_yaml(broken)


def test_dates_stay_text(tmp_path):
    path = tmp_path / "dates.yaml"
    path.write_text("train: [1995-02-30, 1996-01-01]\n")
    assert read_yaml(path) == {"train": ["1995-02-30", "1996-01-01"]}


@pytest.mark.parametrize("word", ["on", "off", "yes", "no", "On", "NO", "y", "n"])
def test_only_true_and_false_are_truth_values(word):
    assert parse_yaml(f"{{{word}: {word}}}") == {word: word}
    assert parse_yaml("[true, False, TRUE]") == [True, False, True]


def test_an_option_that_takes_true_or_false_understands_words():
    class Options(ModelConfig):
        plot: bool = False

    assert validate(Options, parse_yaml("plot: on"), where="x.yaml").plot is True
    assert validate(Options, parse_yaml("plot: no"), where="x.yaml").plot is False
