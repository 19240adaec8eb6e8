"""ClimateNet's layout, written from made storms and read back."""

import numpy as np
import pytest
import xarray as xr

from pipeline.data.catalog import Catalog, find_catalog
from pipeline.data.climatenet import CLASSES, UNITS
from pipeline.data.synthetic import StormConfig, StormWorld, write_files
from pipeline.data.synthetic.storms import config as made
from pipeline.errors import DataError

CONFIG = StormConfig(times=4, step_hours=6, shape=(16, 32))
SPECS = {
    "TMQ": {"units": "kg m-2"},
    "PRECT": {"units": "mm d-1"},
    "LABELS": {"units": "1", "classes": list(CLASSES)},
}


@pytest.fixture
def folder(tmp_path):
    """Four maps, each labelled by two experts."""
    write_files(tmp_path / "train", CONFIG, experts=2)
    return tmp_path / "train"


@pytest.fixture
def load_maps(folder, entry_of, load_entry):
    def run(specs=SPECS, files=("train",)):
        return load_entry(entry_of("climatenet", list(files), specs))

    return run


def rewrite(path, change):
    with xr.open_dataset(path, decode_times=False) as data:
        changed = change(data.load())
    path.unlink()
    changed.to_netcdf(path)


def test_maps_come_by_time_with_labels_of_the_first_expert(load_maps, folder):
    assert len(list(folder.glob("*.nc"))) == 8
    loaded = load_maps()
    made_maps = StormWorld(CONFIG).dataset(["TMQ", "PRECT", "LABELS"])
    np.testing.assert_array_equal(loaded.data["time"], made_maps["time"])
    np.testing.assert_array_equal(loaded.data["LABELS"], made_maps["LABELS"])
    assert bool((loaded.data["LABELS"] == 2).any()), "the second expert sees no rivers"
    np.testing.assert_array_equal(loaded.data["TMQ"], made_maps["TMQ"])
    np.testing.assert_allclose(loaded.data["PRECT"], made_maps["PRECT"] * 86400e3, rtol=1e-5)
    (experts,) = (repair for repair in loaded.repairs if repair.kind == "experts")
    assert experts.count == 4
    assert "data-2001-01-01-00-00_1.nc" in experts.text


def test_of_the_experts_the_least_number_counts_and_not_the_order_of_names(load_maps, folder):
    for path in folder.glob("*_0.nc"):
        path.rename(path.with_name(path.name.replace("_0.nc", "_10.nc")))
    for path in folder.glob("*_1.nc"):
        path.rename(path.with_name(path.name.replace("_1.nc", "_9.nc")))
    assert not bool((load_maps().data["LABELS"] == 2).any())


def test_maps_without_a_time_take_it_from_their_names(load_maps, folder):
    expected = load_maps().data["time"].values
    for path in folder.glob("*.nc"):
        rewrite(path, lambda data: data.isel(time=0).drop_vars("time"))
    np.testing.assert_array_equal(load_maps().data["time"].values, expected)
    first = min(folder.glob("*.nc"))
    first.rename(folder / "map.nc")
    with pytest.raises(DataError, match=r"map.nc: expected a time in the file or a name such as data-2000"):
        load_maps()
    (folder / "map.nc").rename(folder / "data-2001-01-01-31-00_0.nc")
    with pytest.raises(DataError, match="expected a time in the file or a name such as"):
        load_maps()


def test_labels_may_stand_without_time(load_maps, folder):
    expected = load_maps().data["LABELS"].values
    for path in folder.glob("*.nc"):
        rewrite(path, lambda data: data.assign(LABELS=data["LABELS"].isel(time=0, drop=True)))
    np.testing.assert_array_equal(load_maps().data["LABELS"], expected)


def test_units_that_files_do_not_say_are_those_of_climatenet(load_maps, folder):
    expected = load_maps().data["PRECT"].values

    def bare(data):
        for array in data.data_vars.values():
            array.attrs = {}
        return data

    for path in folder.glob("*.nc"):
        rewrite(path, bare)
    loaded = load_maps()
    np.testing.assert_array_equal(loaded.data["PRECT"], expected)
    assert any(repair.kind == "source units" and "PRECT" in repair.text for repair in loaded.repairs)


def test_a_cut_file_is_named(load_maps, folder):
    path = folder / "data-2001-01-01-06-00_0.nc"
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataError, match=r"data-2001-01-01-06-00_0.nc: expected a whole netCDF file.*cut off"):
        load_maps()


def test_a_map_without_labels_is_named(load_maps, folder):
    rewrite(folder / "data-2001-01-01-06-00_0.nc", lambda data: data.drop_vars("LABELS"))
    message = r"06-00_0.nc: expected the variable 'LABELS', got .*TMQ.*A map without labels can be predicted"
    with pytest.raises(DataError, match=message):
        load_maps()
    assert load_maps({"TMQ": {"units": "kg m-2"}}).data["TMQ"].sizes["time"] == 4


def test_a_label_out_of_range_is_named(load_maps, folder):
    def strange(data):
        data["LABELS"].values[0, 3, 4] = 7
        return data

    rewrite(folder / "data-2001-01-01-06-00_0.nc", strange)
    with pytest.raises(DataError, match=r"'LABELS': expected class numbers \(0 background, .*\), got 7 at 1 places"):
        load_maps()


def test_a_file_of_several_maps_is_refused(load_maps, folder):
    path = folder / "data-2001-01-01-06-00_0.nc"
    rewrite(path, lambda data: xr.concat([data, data.assign_coords(time=data["time"] + 1)], "time"))
    with pytest.raises(DataError, match=r"expected one map of dims time, lat, lon, got .*'time': 2"):
        load_maps()


def test_a_folder_without_maps_is_refused(load_maps, folder):
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match=r"expected files data-YYYY-MM-DD-HH-mm_k.nc in .*empty, got none"):
        load_maps(files=["train/empty"])


def test_what_is_made_is_in_climatenets_words():
    assert (made.CLASSES, made.LABELS) == (CLASSES, "LABELS")
    assert {name: channel.units for name, channel in made.CHANNELS.items()} == UNITS
    shipped = Catalog.load(find_catalog())["climatenet-train"]
    assert list(shipped.variables) == [*UNITS, "LABELS"]
    assert tuple(shipped.variables["LABELS"].classes) == CLASSES
