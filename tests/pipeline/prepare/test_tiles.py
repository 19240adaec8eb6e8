"""Images cut into tiles by blocks, and their classes."""

import numpy as np
import pytest
import xarray as xr

from pipeline.errors import DataError, SplitError
from pipeline.prepare.config import InputsConfig, PrepareConfig
from pipeline.prepare.frequencies import ClassFrequencies, class_shares
from pipeline.prepare.making import prepare_tiles
from pipeline.prepare.prepared import Prepared
from pipeline.prepare.storage import state
from pipeline.prepare.tiles import Tile, cut, strips
from pipeline.split_config import BlockSplitConfig

CONFIG = PrepareConfig(inputs=InputsConfig(anomaly="none", scale="per_field"))


def an_image(seed, size=(20, 30)):
    rng = np.random.default_rng(seed)
    mask = rng.integers(0, 3, size).astype(np.float32)
    dims = ("y", "x")
    return xr.Dataset(
        {
            "blue": (dims, (mask + rng.normal(size=size)).astype(np.float32), {"units": "1"}),
            "nir": (dims, rng.normal(size=size).astype(np.float32), {"units": "1"}),
            "mask": (dims, mask, {"units": "1", "flag_values": [0, 1, 2], "flag_meanings": "clear cloud shadow"}),
        },
        {"y": np.arange(size[0]), "x": np.arange(size[1])},
    )


@pytest.fixture
def images():
    return [("one", an_image(1)), ("two", an_image(2))]


def a_split(**changes):
    asked = {
        "by": "block", "margin": 2, "train": [0, 14], "validation": [17, 21], "test": {"test": [24, 29], "two": [24, 29]},
        "images": {"two": ["two"]}, "tile": [8, 4], "stride": [4, 4],
    }  # fmt: skip
    return BlockSplitConfig.model_validate(asked | changes)


def test_tiles_of_a_split_lie_in_its_block(images):
    split = a_split()
    tiles = cut(images, ["blue", "nir"], ["mask"], split)
    blocks = {"train": (0, 14), "validation": (17, 21), "test": (24, 29), "two": (24, 29)}
    for name, (first, last) in blocks.items():
        own = [tiles.origins[place] for place in tiles.axis.split.select(name)]
        assert min(tile.x for tile in own) == first
        assert max(tile.x + 3 for tile in own) == last
        assert max(tile.y + 7 for tile in own) == 19
        assert {tile.image for tile in own} == ({"two"} if name == "two" else {"one", "two"})


def test_tiles_hold_the_pixels_of_their_image(images):
    tiles = cut(images, ["blue"], ["mask"], a_split())
    known = dict(images)
    for place, tile in enumerate(tiles.origins):
        part = known[tile.image].isel(y=slice(tile.y, tile.y + 8), x=slice(tile.x, tile.x + 4))
        np.testing.assert_array_equal(tiles.predictors.blue[place], part.blue)


def test_every_pixel_of_a_test_block_is_scored_once(images):
    tiles = cut(images, ["blue"], ["mask"], a_split())
    for name, (first, last) in {"validation": (17, 21), "test": (24, 29)}.items():
        seen = {image: np.zeros((20, 30), int) for image, _ in images}
        for place in tiles.axis.split.select(name):
            tile = tiles.origins[place]
            seen[tile.image][tile.y : tile.y + 8, tile.x : tile.x + 4] += np.isfinite(
                tiles.target["mask"].values[place]
            )
        for counts in seen.values():
            assert (counts[:, first : last + 1] == 1).all()
            assert counts.sum() == 20 * (last - first + 1)


def test_samples_are_tiles_with_class_numbers(images, backend, tmp_path):
    tiles = cut(images, ["blue", "nir"], ["mask"], a_split())
    prepared = prepare_tiles(tiles, config=CONFIG, backend=backend, classes=True)
    prepared.save(tmp_path)
    for again in (prepared, Prepared.load(tmp_path, backend)):
        schema = again.schema
        assert schema.classes == ("clear", "cloud", "shadow")
        assert schema.target_grid.image
        assert schema.channels == ("blue", "nir")
        assert again.origins == tiles.origins
        samples = again.samples("test")
        numbers = np.asarray(samples.target)
        assert set(np.unique(numbers[np.isfinite(numbers)])) == {0, 1, 2}
        np.testing.assert_array_equal(numbers, again.truth("test"))
        assert samples.time.dtype.kind == "i"
        assert np.isnan(samples.previous).all()
        usual = again.climatology(samples)
        assert usual.is_categorical
        np.testing.assert_allclose(np.asarray(usual.parameters["probabilities"]).sum(axis=0), 1, atol=1e-6)


def test_shares_are_those_of_the_train_block(images, cpu):
    tiles = cut(images, ["blue"], ["mask"], a_split(stride=None))
    prepared = prepare_tiles(tiles, config=CONFIG, backend=cpu, classes=True)
    numbers = np.asarray(prepared.samples("train").target)
    expected = [np.mean(numbers == number) for number in range(3)]
    np.testing.assert_allclose(prepared.schema.class_shares, expected, atol=1e-6)


def test_pixels_outside_the_train_block_move_nothing_that_is_fitted(images, cpu):
    before = state(
        prepare_tiles(cut(images, ["blue", "nir"], ["mask"], a_split()), config=CONFIG, backend=cpu, classes=True)
    )
    for _, image in images:
        image["blue"][dict(x=slice(15, None))] = 99.0
        image["mask"][dict(x=slice(15, None))] = 1.0
    after = state(
        prepare_tiles(cut(images, ["blue", "nir"], ["mask"], a_split()), config=CONFIG, backend=cpu, classes=True)
    )
    for name, array in before[0].items():
        np.testing.assert_array_equal(array, after[0][name], err_msg=name)
    assert before[1] == after[1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": {"train": ["won"]}}, r"split\.images\.train: no image 'won'\. Did you mean '(one|two)'\?"),
        ({"test": [24, 30]}, r"split 'test': expected x below 30 in image 'one', got 30"),
        ({"tile": [8, 6]}, r"split 'validation': expected a block of 6 pixels or more along x, the size of a tile, got 5"),
    ],
)  # fmt: skip
def test_blocks_that_do_not_fit_are_refused(images, changes, message):
    with pytest.raises(SplitError, match=message):
        cut(images, ["blue"], ["mask"], a_split(**{"images": {}, **changes}))


def test_images_with_other_variables_or_units_are_refused(images):
    with pytest.raises(DataError, match=r"image 'one': no variable 'bleu'\. Did you mean 'blue'"):
        cut(images, ["bleu"], ["mask"], a_split())
    images[1][1]["blue"].attrs["units"] = "%"
    with pytest.raises(
        DataError, match=r"image 'two': expected 'blue' with the units '1', as the first image has it, got '%'"
    ):
        cut(images, ["blue"], ["mask"], a_split())


def test_a_class_that_train_never_has_is_refused(images, cpu):
    for _, image in images:
        image["mask"] = (
            image["mask"].where((image.x > 16) | (image["mask"] != 2), 0.0).assign_attrs(image["mask"].attrs)
        )
    with pytest.raises(DataError, match=r"class 'shadow' never occurs in the train split, so nothing can be learned"):
        prepare_tiles(cut(images, ["blue"], ["mask"], a_split()), config=CONFIG, backend=cpu, classes=True)


def test_numbers_that_are_no_class_are_refused(images, cpu):
    images[0][1]["mask"].values[0, 0] = 4
    with pytest.raises(DataError, match=r"expected class numbers \(0 clear, 1 cloud, 2 shadow\), got 4"):
        prepare_tiles(cut(images, ["blue"], ["mask"], a_split()), config=CONFIG, backend=cpu, classes=True)


def test_numbers_without_names_are_refused(images, cpu):
    for _, image in images:
        del image["mask"].attrs["flag_meanings"]
    with pytest.raises(DataError, match=r"the target 'mask': expected numbers of classes with names, got none"):
        prepare_tiles(cut(images, ["blue"], ["mask"], a_split()), config=CONFIG, backend=cpu, classes=True)


def test_strips_lie_across_the_longer_side_of_an_image():
    wide = [Tile("a", y, x) for y in (0, 64) for x in (0, 64, 128)]
    assert strips(wide).tolist() == [0, 1, 2, 0, 1, 2]
    high = [Tile("b", y, x) for y in (0, 64, 100) for x in (410, 448)]
    assert strips(high).tolist() == [0, 0, 1, 1, 2, 2]
    assert strips([*wide, *high]).tolist() == [0, 1, 2, 0, 1, 2, 4, 4, 5, 5, 6, 6]
    assert strips([high[0]]).tolist() == [0]


def test_classes_are_of_one_target(images, cpu):
    with pytest.raises(DataError, match=r"^a segmentation: expected one target, got mask, nir\.$"):
        prepare_tiles(cut(images, ["blue"], ["mask", "nir"], a_split()), config=CONFIG, backend=cpu, classes=True)


def test_frequencies_of_a_cell_begin_with_those_of_all(train_of, backend):
    numbers = np.array([0, 0, 1, 0, 2, 2, 2, 1], np.float32).reshape(4, 1, 1, 2)
    train = train_of(np.arange("2001-01-01", "2001-01-05", dtype="M8[D]").astype("M8[ns]"), 4)
    area = np.array([[1.0, 3.0]])
    found = np.asarray(ClassFrequencies.fit(backend.asarray(numbers), train, 3, area, per_cell=True).values)[:, 0, 0]
    overall = np.array([1 + 2 * 3, 1 + 3, 2 + 3]) / 16  # by area
    expected = [(np.array([np.sum(numbers[:, 0, 0, cell] == c) for c in range(3)]) + overall) / 5 for cell in range(2)]
    np.testing.assert_allclose(found.T, expected, rtol=1e-6)
    everywhere = np.asarray(ClassFrequencies.fit(backend.asarray(numbers), train, 3, area, per_cell=False).values)
    np.testing.assert_allclose(everywhere[:, 0, 0].T, [overall, overall], rtol=1e-6)
    shares = class_shares(backend.asarray(numbers), train, "abc", area)
    np.testing.assert_allclose(shares, overall)


def test_frequencies_are_fitted_on_train_alone(backend):
    with pytest.raises(TypeError, match="ClassFrequencies is fitted on a TrainSplit alone"):
        ClassFrequencies.fit(backend.asarray(np.zeros((2, 1, 1, 1))), slice(0, 1), 2, np.ones((1, 1)), per_cell=True)


def test_tiles_are_not_said_to_lack_seasons(images, cpu):
    tiles = cut(images, ["blue", "nir"], ["mask"], a_split())
    made = prepare_tiles(tiles, config=CONFIG, backend=cpu, classes=True)
    assert not [note for note in made.summary()["notes"] if "harmonics" in note]


def test_pixels_without_truth_in_train_are_asked_about_all_the_same(images, cpu):
    for _, image in images:
        image["mask"][dict(y=slice(0, 20, 4), x=slice(0, 15))] = np.nan
    prepared = prepare_tiles(
        cut(images, ["blue"], ["mask"], a_split(stride=None)), config=CONFIG, backend=cpu, classes=True
    )
    assert prepared.schema.mask.all()
    assert np.isfinite(prepared.truth("test")).sum() == 2 * 20 * 6


def test_images_of_other_classes_are_refused(images, cpu):
    images[1][1]["mask"].attrs["flag_meanings"] = "cloud clear shadow"
    with pytest.raises(DataError, match=r"image 'two': expected 'mask' with the classes 'clear cloud shadow'"):
        cut(images, ["blue"], ["mask"], a_split())
