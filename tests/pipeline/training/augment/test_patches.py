"""What patches keep: pairs of inputs, truth, weights and units, and neighbours across the seam."""

import numpy as np
import pytest
import torch

from pipeline.errors import ConfigError
from pipeline.grid import Grid
from pipeline.training.augment import Augmenter, Batch, make_augmentations
from pipeline.training.losses import Place

ROWS, COLUMNS = 6, 8


def made(world, size=(3, 5), **options):
    return make_augmentations([{"kind": "patches", "size": size, **options}])[0].prepare(world)


def numbered(count=2):
    """Return a batch whose every map says the number of the cell."""
    cells = torch.arange(float(ROWS * COLUMNS)).reshape(ROWS, COLUMNS)
    maps = cells.expand(count, 1, ROWS, COLUMNS)
    return Batch(
        inputs=maps.expand(-1, 4, -1, -1),
        target=maps + 100,
        area=cells + 200,
        second=maps + 300,
        share=0.7,
        scale=cells[None] + 400,
        shift=cells[None] + 500,
    )


def windows(step, draws=300):
    torch.manual_seed(3)
    return [step(numbered()) for _ in range(draws)]


def test_all_maps_are_cut_alike(world):
    for patch in windows(made(world()), 20):
        cells = patch.inputs[0, 0]
        assert patch.shape == cells.shape == (3, 5)
        for maps, more in (
            (patch.target, 100),
            (patch.area, 200),
            (patch.second, 300),
            (patch.scale, 400),
            (patch.shift, 500),
        ):
            assert torch.equal(maps, (cells + more).expand(maps.shape))
        assert torch.equal(patch.inputs, cells.expand(2, 4, 3, 5))
        assert patch.share == 0.7


def corners(patches):
    return {(int(p.inputs[0, 0, 0, 0]) // COLUMNS, int(p.inputs[0, 0, 0, 0]) % COLUMNS) for p in patches}


def test_windows_go_round_where_the_globe_does_and_never_past_a_pole(world):
    patches = windows(made(world()))
    for patch in patches:
        top, left = divmod(int(patch.inputs[0, 0, 0, 0]), COLUMNS)
        rows = np.arange(top, top + 3)[:, None]
        np.testing.assert_array_equal(patch.inputs[0, 0], rows * COLUMNS + np.arange(left, left + 5) % COLUMNS)
    assert corners(patches) == {(top, left) for top in range(4) for left in range(8)}


def test_elsewhere_windows_stay_inside(world):
    region = Grid(np.arange(6.0), np.arange(8.0))
    assert corners(windows(made(world(grid=region)))) == {(top, left) for top in range(4) for left in range(4)}


def test_a_window_of_the_whole_region_is_the_whole(world):
    region = Grid(np.arange(6.0), np.arange(8.0))
    assert torch.equal(made(world(grid=region), size=(6, 8))(numbered()).inputs, numbered().inputs)


def test_probability_is_the_share_of_batches(world):
    cut = [patch.shape == (3, 5) for patch in windows(made(world(), probability=0.25), 1000)]
    assert np.mean(cut) == pytest.approx(0.25, abs=0.04)


def test_cells_outside_of_the_mask_have_neither_truth_nor_weight(world):
    """The network answers all cells of a patch row by row; what it says outside of the mask does not count."""
    mask = torch.rand(ROWS, COLUMNS, generator=torch.Generator().manual_seed(0)) < 0.6
    index = mask.flatten().nonzero()[:, 0]
    place = Place(area=index + 1.0, index=index, shape=(ROWS, COLUMNS), scale=index[None] + 1.0)
    inputs = numbered().inputs[:, :1]
    torch.manual_seed(2)
    changed = Augmenter([made(world())], [])(inputs, index.expand(2, 1, -1) + 0.0, place)
    ((share, target),) = changed.targets
    cells = changed.inputs[0, 0].flatten()
    inside = mask.flatten()[cells.long()]
    assert share == 1.0
    assert changed.place.shape == (3, 5)
    assert torch.equal(changed.place.index, torch.arange(15))
    assert torch.equal(target[0, 0].isfinite(), inside)
    assert torch.equal(target[0, 0][inside], cells[inside])
    assert torch.equal(changed.place.area, torch.where(inside, cells + 1, 0.0))
    assert torch.equal(changed.place.scale[0][inside], cells[inside] + 1)
    assert changed.place.shift is None


@pytest.mark.parametrize(
    ("changed", "size", "message"),
    [
        ({}, (7, 5), r"^patches\.size: expected 1 row and column or more, and not more than the grid's \[6, 8\], got \[7, 5\]\.$"),
        ({}, (0, 5), r"got \[0, 5\]\.$"),
        ({"target_grid": Grid(np.arange(3.0), np.arange(4.0))}, (2, 2), r"^patches: expected inputs and target on one grid"),
        ({"static": np.zeros((1, 6, 8), np.float32)}, (2, 2), r"^patches: expected no static fields, got 1"),
    ],
)  # fmt: skip
def test_what_is_no_part_of_the_grid_is_refused(world, changed, size, message):
    with pytest.raises(ConfigError, match=message):
        made(world(**changed), size)


def test_there_is_no_size_by_default():
    with pytest.raises(ConfigError, match=r"^augmentation 'patches': size: this key is required and missing\.$"):
        make_augmentations([{"kind": "patches"}])
