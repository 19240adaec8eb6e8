"""What a draft says of the values: numbers for none, classes, attributes, stations without a place."""

import re

import numpy as np
import pandas as pd
import pytest

from pipeline.data.describe import draft_entry
from pipeline.errors import DataError

PLACELESS = (
    r"have no latitude and longitude: fields cannot be brought to them, nor can they be drawn on a map, until .*"
)
PLACELESS += r"options: stations: {file: places.csv, id: station_id, lat: lat, lon: lon}"


def flow_of(days, *, mark, places=("01", "02")):
    rng = np.random.default_rng(4)
    time = pd.date_range("2001-01-01", periods=days)
    parts = []
    for place in places:
        values = np.round(rng.gamma(2.0, 3.0, days), 3)
        values[5:9] = mark
        parts.append(pd.DataFrame({"date": time, "basin": place, "flow": values}))
    return pd.concat(parts)


@pytest.mark.parametrize(("mark", "said"), [(-999, "-999"), (-9999.0, "-9999"), (-1.2345, "-1.2345")])
def test_numbers_for_none_are_drafted_with_a_remark_and_are_missing_then(tmp_path, drafted, mark, said):
    flow_of(200, mark=mark).to_csv(tmp_path / "flow.csv", index=False)
    text, entry, loaded = drafted(tmp_path / "flow.csv")
    assert entry["variables"]["flow"] == {"units": "1", "source_units": "1", "missing": [float(mark)]}
    assert f"  # {said} of flow is taken for a missing value: take it out of missing if it is none." in text
    assert int(loaded.data["flow"].isnull().sum()) == 8
    assert ("missing", 8) in [(repair.kind, repair.count) for repair in loaded.repairs]


def test_zeros_of_rain_are_none_for_the_draft(tmp_path, drafted):
    rng = np.random.default_rng(0)
    rain = np.where(rng.random(400) < 0.7, 0.0, np.round(rng.gamma(0.6, 8.0, 400), 1))
    frame = pd.DataFrame({"time": pd.date_range("2001-01-01", periods=400), "rain": rain})
    frame.to_csv(tmp_path / "rain.csv", index=False)
    text, entry, _ = drafted(tmp_path / "rain.csv")
    assert entry["variables"] == {"rain": {"units": "1", "source_units": "1"}}
    assert "missing" not in text


def test_stations_without_a_place_are_drafted_with_a_remark_and_load(tmp_path, drafted):
    flow_of(20, mark=5.0).to_csv(tmp_path / "flow.csv", index=False)
    text, entry, loaded = drafted(tmp_path / "flow.csv")
    assert entry["options"] == {"time": "date", "station": "basin"}
    (remark,) = [line for line in text.splitlines() if "latitude" in line]
    assert re.match(rf"  # The stations {PLACELESS}", remark)
    assert loaded.data["station"].values.tolist() == ["01", "02"]
    assert loaded.data["lat"].isnull().all()
    assert loaded.data["lon"].isnull().all()
    (repair,) = [repair for repair in loaded.repairs if repair.kind == "places"]
    assert re.match(rf"the 2 stations {PLACELESS}", repair.text)


@pytest.mark.parametrize(
    ("text", "station", "variables", "names"),
    [
        (
            "gauge_id,area,slope\n01013500,2252.7,21.6\n01022500,573.6,17.8\n",
            "gauge_id",
            ["area", "slope"],
            ["01013500", "01022500"],
        ),
        ("river,area\nRhine,160800\nLahn,5925\n", "river", ["area"], ["Rhine", "Lahn"]),
        ("site;area\n1;160800\n2;5925\n", "site", ["area"], ["1", "2"]),
    ],
)
def test_a_table_of_attributes_is_drafted_without_times(tmp_path, drafted, text, station, variables, names):
    (tmp_path / "t.csv").write_text(text)
    _, entry, loaded = drafted(tmp_path / "t.csv")
    separator = {"separator": ";"} if ";" in text else {}
    assert entry["options"] == separator | {"time": None, "station": station}
    assert list(entry["variables"]) == variables
    assert loaded.data[variables[0]].dims == ("station",)
    assert sorted(loaded.data["station"].values.tolist()) == sorted(names)


@pytest.mark.parametrize(
    "text",
    [
        "x,y\n1,2\n2,3\n",  # numbers name no row
        "when,y\n2001-01-01,2\n2001-01-02,3\n",  # dates are times under another name
        "name,y\na,2\na,3\n",  # a name twice
        "basin,y\n01,2\n01,3\n",
        "basin,y\n01,2\n,3\n",
    ],
)
def test_what_has_neither_times_nor_a_row_a_station_is_refused(tmp_path, text):
    (tmp_path / "t.csv").write_text(text)
    message = (
        r"t.csv: expected a column called time, date.*, got \w+, y. Write the entry by hand: options: time names the"
    )
    message += (
        r" column, start and step replace it; a table of attributes, a row a station, has time: null and station:"
    )
    with pytest.raises(DataError, match=message):
        draft_entry(tmp_path / "t.csv", "mine")


def images(tmp_path, numbers):
    rng = np.random.default_rng(1)
    scene = rng.normal(size=(12, 10, 2)).astype("f4")
    mask = rng.choice(numbers, size=(12, 10)).astype("u1")
    mask.ravel()[: len(numbers)] = numbers
    np.savez(tmp_path / "scene.npz", bands=scene, mask=mask)
    return tmp_path / "scene.npz", mask


@pytest.mark.parametrize("numbers", [[0, 255], [1, 2, 4], [0, 1, 2]])
def test_an_image_of_few_whole_numbers_is_drafted_as_classes(tmp_path, drafted, numbers):
    path, mask = images(tmp_path, numbers)
    text, entry, loaded = drafted(path)
    assert entry["variables"]["mask"] == {"units": "1", "classes": [f"class_{n}" for n in range(len(numbers))]}
    as_they_are = numbers == list(range(len(numbers)))
    assert entry.get("options", {}).get("remap", {}) == (
        {} if as_they_are else {"mask": {number: place for place, number in enumerate(numbers)}}
    )
    shown = ", ".join(map(str, numbers))
    assert f"  # mask holds the numbers {shown} alone: name their classes, in this order, in place of class_0" in text
    np.testing.assert_array_equal(loaded.data["mask"].values, np.searchsorted(numbers, mask))


def test_channels_are_drafted_with_a_remark_on_their_names(tmp_path, drafted):
    text, entry, loaded = drafted(images(tmp_path, [0, 1])[0])
    assert (
        "  # Channels are called by their numbers; name them with options: channels: {bands: [first, second]}." in text
    )
    assert {"bands_0", "bands_1", "mask"} == set(entry["variables"]) == set(loaded.data.data_vars)


def test_an_image_of_many_numbers_is_no_classes(tmp_path, drafted):
    path, _ = images(tmp_path, list(range(0, 100, 2)))
    text, entry, _ = drafted(path)
    assert "classes" not in entry["variables"]["mask"]
    assert "mask holds the numbers" not in text
