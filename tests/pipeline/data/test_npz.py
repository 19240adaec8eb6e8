"""NumPy archives: images with channels, fields with axes, and what is neither."""

import numpy as np
import pytest

from pipeline.data.describe import draft_entry
from pipeline.errors import CatalogError, DataError
from pipeline.grid import Grid

ARRAYS = {"img": ["y", "x", "channel"], "msk": ["y", "x", "channel"]}
CHANNELS = {"img": ["blue", "nir"], "msk": ["mask"]}
SPECS = {
    "nir": {"units": "1", "source_units": "1"},
    "mask": {"units": "1", "classes": ["clear", "cloud", "shadow"]},
}


def patch(seed=0):
    rng = np.random.default_rng(seed)
    mask = rng.choice([0, 1, 3, 4], (5, 4, 1)).astype(np.uint8)
    return {"img": rng.random((5, 4, 2)).astype(np.float32), "msk": mask}


@pytest.fixture
def load_npz(tmp_path, entry_of, load_entry):
    def run(held, specs=SPECS, /, **options):
        np.savez(tmp_path / "patch.npz", **held)
        return load_entry(entry_of("npz", ["patch.npz"], specs, **options))

    return run


def test_channels_are_variables_on_pixels(load_npz):
    arrays = patch()
    remap = {"mask": {0: 2, 1: 0, 3: 0, 4: 1}}
    loaded = load_npz(arrays, arrays=ARRAYS, channels=CHANNELS, remap=remap)
    assert {name: array.dims for name, array in loaded.data.items()} == {"nir": ("y", "x"), "mask": ("y", "x")}
    np.testing.assert_array_equal(loaded.data["nir"], arrays["img"][..., 1])
    np.testing.assert_array_equal(loaded.data["mask"], np.array([2, 0, np.nan, 0, 1])[arrays["msk"][..., 0]])
    assert loaded.data["y"].values.tolist() == [0, 1, 2, 3, 4]
    assert Grid.of(loaded.data).image
    (repair,) = loaded.repairs
    assert (repair.kind, repair.variable) == ("class numbers", "mask")
    assert repair.count == int((arrays["msk"] != 9).sum())


@pytest.mark.parametrize("given", [np.nan, -9.0])
def test_what_is_unknown_stays_so_whatever_classes_become(load_npz, given):
    """NaN of the file; a number that stands for none has to be named among those of remap first."""
    arrays = patch()
    arrays["msk"] = arrays["msk"].astype(np.float32)
    arrays["msk"][2, 1] = given
    options = {"arrays": ARRAYS, "channels": CHANNELS, "remap": {"mask": {0: 2, 1: 0, 3: 0, 4: 1}}}
    if np.isfinite(given):
        with pytest.raises(DataError, match="expected the class numbers 0, 1, 3, 4 of remap, got -9 at 1 places"):
            load_npz(arrays, **options)
        return
    loaded = load_npz(arrays, **options)
    whole = load_npz(patch(), **options)
    there = np.ones((5, 4), bool)
    there[2, 1] = False
    assert np.isnan(loaded.data["mask"].values[2, 1])
    np.testing.assert_array_equal(loaded.data["mask"].values[there], whole.data["mask"].values[there])
    (repair,), (before,) = loaded.repairs, whole.repairs
    assert repair.count == before.count - 1  # NaN is no number that was changed


def test_a_class_that_remap_does_not_know_is_refused(load_npz):
    arrays = patch()
    arrays["msk"][2, 1] = 2
    message = "variable 'mask': expected the class numbers 0, 1, 3, 4 of remap, got 2 at 1 places"
    with pytest.raises(DataError, match=message):
        load_npz(arrays, arrays=ARRAYS, channels=CHANNELS, remap={"mask": {0: 2, 1: 0, 3: 0, 4: 1}})


def test_arrays_without_options_are_images(load_npz):
    arrays = patch() | {"scene": np.arange(20.0).reshape(5, 4), "note": np.arange(3)}
    specs = {name: {"units": "1", "source_units": "1"} for name in ("img_0", "img_1", "scene", "msk")}
    data = load_npz(arrays, specs).data
    np.testing.assert_array_equal(data["img_1"], arrays["img"][..., 1])
    np.testing.assert_array_equal(data["scene"], arrays["scene"])
    assert data["msk"].dims == ("y", "x")


def test_axes_may_be_arrays_of_their_own(load_npz):
    time = np.array(["2001-01-01", "2001-01-02"], "datetime64[D]")
    arrays = {"level": np.arange(12.0).reshape(2, 3, 2), "time": time, "lat": [10.0, 20.0, 30.0], "lon": [1.0, 2.0]}
    dims = {"level": ["time", "lat", "lon"], "time": ["time"], "lat": ["lat"], "lon": ["lon"]}
    data = load_npz(arrays, {"level": {"units": "m", "source_units": "m"}}, arrays=dims).data
    assert dict(data.sizes) == {"time": 2, "lat": 3, "lon": 2}
    assert data["lat"].values.tolist() == [10.0, 20.0, 30.0]
    np.testing.assert_array_equal(data["time"].values, time.astype("datetime64[ns]"))


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({}, {"arrays": {"image": ["y", "x"]}}, r"no array 'image'\..*Known: img, msk"),
        ({}, {"arrays": {"img": ["y", "x"]}}, r"'img': expected dims \['y', 'x'\], got an array of shape \(5, 4, 2\)"),
        ({}, {"arrays": ARRAYS, "channels": {"img": ["a"]}}, r"'img': expected 1 channels \(a\), got 2"),
        ({}, {"arrays": ARRAYS, "remap": {"masks": {0: 1}}}, "remap: no variable 'masks'"),
        ({}, {"channels": {"img": ["a", "msk"]}}, "names of their own, got 'msk' twice"),
        ({"msk": np.zeros((4, 4, 1))}, {"arrays": ARRAYS}, "'msk': expected y of 5, got 4"),
    ],
)
def test_what_does_not_fit_the_options_is_refused(load_npz, change, options, message):
    with pytest.raises(DataError, match=message):
        load_npz(patch() | change, **options)


def test_arrays_of_other_dims_need_options(load_npz):
    with pytest.raises(DataError, match=r"expected arrays of two or three dims, got a \(3,\). Write options: arrays"):
        load_npz({"a": np.zeros(3)})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arrays": {"img": ["y", "y"]}}, "dims with names of their own for the array 'img'"),
        ({"arrays": {"img": ["y", "x"]}, "channels": {"img": ["a"]}}, "a dim channel under arrays for 'img'"),
        ({"channels": {"img": ["a", "a"]}}, "channels with names of their own for 'img'"),
    ],
)
def test_options_that_contradict_each_other_are_refused(load_npz, options, message):
    with pytest.raises(CatalogError, match=message):
        load_npz(patch(), **options)


@pytest.mark.parametrize("damage", ["cut", "objects", "single"])
def test_a_damaged_archive_is_refused(tmp_path, entry_of, load_entry, damage):
    path = tmp_path / "bad.npz"
    if damage == "objects":
        np.savez(path, img=np.array([{"a": 1}], dtype=object))
    elif damage == "single":
        with path.open("wb") as file:
            np.save(file, np.zeros((2, 2)))
    else:
        np.savez(path, **patch())
        path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"bad.npz: expected an? (whole|archive)"):
        load_entry(entry_of("npz", ["bad.npz"], SPECS))


def test_a_drafted_entry_has_every_channel(tmp_path):
    np.savez(tmp_path / "patch.npz", **patch())
    text = draft_entry(tmp_path / "patch.npz", "mine")
    assert "format: npz" in text
    assert all(name in text for name in ("img_0", "img_1", "msk"))
