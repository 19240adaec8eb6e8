"""The split section: by time, by basin, by block."""

import pytest

from pipeline.errors import ConfigError
from pipeline.experiment import Experiment
from pipeline.schema import validate

SERIES = {
    "name": "x",
    "task": "series",
    "data": {"predictors": [{"dataset": "m"}], "target": {"dataset": "q"}},
    "split": {"by": "basin", "train": ["a", "b"], "validation": ["c"], "test": ["d"]},
    "prepare": {
        "inputs": {"anomaly": "none", "scale": "per_field", "window": 30},
        "target": {"anomaly": "none", "scale": "per_field"},
    },
    "models": {"lstm": {"kind": "lstm"}},
}
IMAGES = {
    "name": "x",
    "task": "segmentation",
    "data": {
        "images": ["one", "two"],
        "predictors": [{"dataset": "images", "variables": ["blue"]}],
        "target": {"dataset": "images", "variables": ["mask"]},
    },
    "split": {"by": "block", "margin": 5, "train": [0, 9], "validation": [15, 19], "test": [25, 30], "tile": [4, 4]},
    "prepare": {"inputs": {"anomaly": "none", "scale": "per_field"}},
    "models": {"forest": {"kind": "pixel_forest"}},
}


def read(tree, **parts):
    return validate(Experiment, tree | parts, where="x.yaml")


def test_each_kind_is_told_by_its_word():
    assert read(SERIES).split.by == "basin"
    assert read(SERIES).split.test == {"test": ["d"]}
    made = read(IMAGES)
    assert made.split.test == {"test": (25, 30)}
    assert made.tests == ("test",)
    again = made.model_dump(mode="json", by_alias=True)
    assert read(again) == made


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"by": "pixel"}, "^x.yaml: split: expected keys with split.by one of time, basin and block"),
        ({"by": "basin", "train": ["a"], "validation": ["b"], "test": ["a"]}, "expected a basin in one split, got a in test and train"),
        ({"by": "basin", "train": ["a"], "validation": ["b"], "test": "c"}, "split.test: expected a list .*, or names with a list each, got 'c'"),
        ({"train": ["2001", "2002"], "validation": ["2003", "2003"], "test": 2004}, "expected a list .*, or names with a list each, got 2004"),
        ({"by": "basin", "train": ["a", "a"], "validation": ["b"], "test": ["c"]}, "expected each basin once in train"),
        ({"by": "basin", "train": ["a"], "validation": ["b"], "test": {"train": ["c"]}}, "expected test sets with names of their own"),
    ],
)  # fmt: skip
def test_basins_are_in_one_split(split, message):
    with pytest.raises(ConfigError, match=message):
        read(SERIES, split=split)


@pytest.mark.parametrize(
    ("part", "key", "value", "message"),
    [
        ("inputs", "anomaly", "day_of_year", "prepare.inputs.anomaly: expected none where split.by is basin, got 'day_of_year'"),
        ("target", "scale", "per_cell", "prepare.target.scale: expected per_field where split.by is basin, got 'per_cell'"),
    ],
)  # fmt: skip
def test_new_basins_have_no_climatology_of_their_own(part, key, value, message):
    prepare = {**SERIES["prepare"], part: {**SERIES["prepare"][part], key: value}}
    with pytest.raises(ConfigError, match=message):
        read(SERIES, prepare=prepare)


def test_a_split_by_basin_is_for_series():
    with pytest.raises(ConfigError, match="expected task series for a split by basin, got 'downscaling'"):
        read(SERIES, task="downscaling")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"validation": [8, 12]}, r"splits train \[0, 9\] and validation \[8, 12\] overlap; move one of them"),
        ({"validation": [13, 19]}, r"splits train .* and validation .* are 3 pixels apart, and split.margin asks for 5"),
        ({"train": [9, 0]}, r"train: expected 0 <= first <= last, got \[9, 0\]"),
        ({"images": {"tset": ["one"]}}, r"images: no split 'tset'\. Known: train, validation, test"),
        ({"images": {"test": []}}, r"images\.test: expected an image or more, each once, got \[\]"),
        ({"tile": [0, 4]}, r"expected a tile and a stride of 1 or more"),
    ],
)  # fmt: skip
def test_blocks_are_apart(changes, message):
    with pytest.raises(ConfigError, match=message):
        read(IMAGES, split=IMAGES["split"] | changes)


def test_blocks_of_different_images_may_be_the_same_columns():
    split = IMAGES["split"] | {"test": [0, 9], "images": {"train": ["one"], "validation": ["one"], "test": ["two"]}}
    assert read(IMAGES, split=split).split.test["test"] == (0, 9)


def test_images_and_blocks_go_together():
    with pytest.raises(ConfigError, match=r"data\.images: expected images with a split by block and with no other"):
        read(IMAGES, split={"train": ["2000", "2000"], "validation": ["2001", "2001"], "test": ["2002", "2002"]})
    data = IMAGES["data"] | {"target": {"dataset": "one"}}
    with pytest.raises(ConfigError, match=r"expected the dataset 'images' and names of its variables, got 'one'"):
        read(IMAGES, data=data)
    with pytest.raises(ConfigError, match=r"data\.months: expected none with images"):
        read(IMAGES, data=IMAGES["data"] | {"months": [1]})


def test_leads_are_for_series():
    split = {"train": ["2000", "2000"], "validation": ["2001", "2001"], "test": ["2002", "2002"]}
    with pytest.raises(ConfigError, match=r"prepare\.target\.leads: expected \[0\] for task 'downscaling', got \[1\]"):
        read(SERIES, task="downscaling", split=split, prepare={"target": {"leads": [1]}})


def test_a_test_set_or_more_is_asked_for():
    split = {"train": ["2000", "2000"], "validation": ["2001", "2001"]}
    with pytest.raises(ConfigError, match=r"split\.test: expected a test set or more, there or under data\.tests"):
        read(SERIES, split=split)


def test_only_a_mean_over_a_region_has_a_name():
    with pytest.raises(
        ConfigError, match=r"expected a name for the mean over a region of one variable, got name: 'nino'"
    ):
        read(SERIES, data=SERIES["data"] | {"target": {"dataset": "sst", "name": "nino"}})
    source = {"dataset": "sst", "variables": ["sst"], "mean_over": {"lat": [-5, 5]}, "name": "nino 3"}
    with pytest.raises(ConfigError, match=r"expected a name of letters, digits and _, got 'nino 3'"):
        read(SERIES, data=SERIES["data"] | {"target": source})


@pytest.mark.parametrize(
    ("tree", "parts", "message"),
    [
        (IMAGES, {"task": "downscaling"}, r"task: expected 'segmentation' where split.by is block, got 'downscaling'"),
        (IMAGES, {"prepare": {}}, r"prepare\.inputs\.anomaly: expected 'none' where split.by is block, got 'day_of_year'"),
        (IMAGES, {"data": IMAGES["data"] | {"images": ["one", "one"]}}, r"data\.images: expected each image once"),
        (SERIES, {"split": SERIES["split"] | {"test": {"t": []}}}, r"split\..*test\.t"),
        (
            SERIES,
            {"prepare": SERIES["prepare"] | {"target": SERIES["prepare"]["target"] | {"variables": {"q": {"scale": "per_cell"}}}}},
            r"prepare\.target\.variables\.q: expected no anomaly and scale per_field",
        ),
        (
            SERIES,
            {"data": SERIES["data"] | {"tests": {"far": {"predictors": [{"dataset": "n"}]}}}},
            r"data\.tests: expected none where split\.by is basin",
        ),
    ],
)  # fmt: skip
def test_what_has_no_meaning_for_a_split_is_refused(tree, parts, message):
    with pytest.raises(ConfigError, match=message):
        read(tree, **parts)


def test_labels_are_for_segmentations_and_changes_for_numbers():
    split = {
        "train": ["2000", "2000"],
        "validation": ["2001", "2001"],
        "test": {"a": ["2002", "2002"], "b": ["2003", "2003"]},
    }
    label = {"target": {"label": {"kind": "deep_low"}}}
    with pytest.raises(
        ConfigError, match=r"prepare\.target\.label: expected task segmentation with a label, got task 'series'"
    ):
        read(SERIES, split=split, prepare=label)
    with pytest.raises(ConfigError, match=r"changes: expected a target of numbers at one lead; leave changes out"):
        read(SERIES, split=split, prepare={"target": {"leads": [1, 2]}}, changes=[{"from": "a", "to": "b"}])


TIMES = {"train": ["2000", "2000"], "validation": ["2001", "2001"], "test": ["2002", "2002"]}


@pytest.mark.parametrize(
    ("tree", "split", "message"),
    [
        (SERIES, TIMES | {"train": 5}, r"^x\.yaml: split\.train: "),
        (SERIES, TIMES | {"gap": "ten"}, r"^x\.yaml: split\.gap: expected a length of time"),
        (SERIES, TIMES | {"trian": 1}, r"^x\.yaml: split\.trian: unknown key\. Did you mean 'train'\? Known: by, gap, test,"),
        (SERIES, {"validation": TIMES["validation"]}, r"^x\.yaml: split\.train: this key is required and missing\.$"),
        (SERIES, SERIES["split"] | {"validation": []}, r"^x\.yaml: split\.validation: "),
        (SERIES, SERIES["split"] | {"margin": 5}, r"^x\.yaml: split\.margin: unknown key\. Known: by, "),
        (IMAGES, IMAGES["split"] | {"margin": -1}, r"^x\.yaml: split\.margin: input should be greater than or equal to 0, got -1\."),
        (SERIES, {"by": "pixel"}, r"^x\.yaml: split: expected keys with split\.by one of time, basin and block\.$"),
        (SERIES, "1990", r"^x\.yaml: split: expected .*split\.by one of time, basin and block"),
    ],
)  # fmt: skip
def test_faults_of_a_split_are_told_by_the_keys_of_the_file(tree, split, message):
    with pytest.raises(ConfigError, match=message) as caught:
        read(tree, split=split)
    assert not any(f"split.{kind}." in str(caught.value) for kind in ("time", "basin", "block"))


def test_leads_are_refused_with_what_the_task_has_instead():
    message = r"leads: expected \[0\] for task 'downscaling', got \[1, 2\]\. take task: series for stations, basins or an index"
    with pytest.raises(ConfigError, match=message):
        read(SERIES, task="downscaling", split=TIMES, prepare={"target": {"leads": [1, 2]}})
    message = (
        r"leads: expected \[0\] for task 'segmentation', got \[0, 3, 5\]\. Classes are of the sample's own time; to tell "
        r"of later ones give predictors of earlier times alone, such as prepare\.inputs\.lags: \[3\]"
    )
    with pytest.raises(ConfigError, match=message):
        read(SERIES, task="segmentation", split=TIMES, prepare={"target": {"leads": [0, 3, 5]}})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("static", [{"dataset": "n"}]),
        ("forcings", [{"dataset": "n"}]),
        ("tests", {"far": {"predictors": [{"dataset": "n"}]}}),
        ("months", [1]),
        ("region", {"lat": [0, 1]}),
    ],
)
def test_images_have_neither_place_nor_time(key, value):
    message = rf"data\.{key}: expected none with images, which have neither place nor time"
    with pytest.raises(ConfigError, match=message):
        read(IMAGES, data=IMAGES["data"] | {key: value})


def test_images_have_no_regions_by_name():
    with pytest.raises(ConfigError, match=r"regions: expected auto or none with images, which have no place, got alps"):
        read(IMAGES, regions={"alps": {"lat": [45, 48]}})
    assert read(IMAGES, regions="none").regions == "none"
