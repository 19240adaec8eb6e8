"""What a shift keeps: pairs of inputs and truth, latitudes, areas, neighbours round the globe."""

import numpy as np
import pytest
import torch

from pipeline.errors import ConfigError
from pipeline.grid import Grid
from pipeline.training.augment import make_augmentations


@pytest.fixture
def shifted(world, batch):
    def make(**options):
        (step,) = make_augmentations([{"kind": "longitude_shift", **options}])
        torch.manual_seed(5)
        return step.prepare(world())(batch())

    return make


def test_every_sample_is_one_roll_of_itself_inputs_and_truth_alike(shifted, batch):
    before, after, cells = batch(), shifted(), []
    for k in range(len(before)):
        rolls = [n for n in range(8) if torch.equal(before.inputs[k].roll(n, -1), after.inputs[k])]
        assert len(rolls) == 1
        torch.testing.assert_close(after.target[k], before.target[k].roll(rolls[0], -1), rtol=0, atol=0, equal_nan=True)
        cells += rolls
    assert len(set(cells)) > 3  # a number of its own for every sample


def test_numbers_of_cells_are_uniform(world, batch):
    (step,) = make_augmentations([{"kind": "longitude_shift"}])
    one = batch(1)
    many = type(one)(
        inputs=one.inputs.expand(4000, -1, -1, -1), target=one.target.expand(4000, -1, -1, -1), area=one.area
    )
    torch.manual_seed(1)
    first = step.prepare(world())(many).inputs[:, 0, 0]
    counts = np.array([int((first == one.inputs[0, 0, 0].roll(n)).all(1).sum()) for n in range(8)])
    assert counts.sum() == 4000
    assert ((counts - 500) ** 2 / 500).sum() < 24.3  # chi-square of 7 degrees of freedom, 0.1 %


def test_each_cell_keeps_its_truth_and_each_row_its_area_of_every_class(shifted, batch):
    before, after = batch(), shifted()
    known = after.target.isfinite()
    moisture = after.inputs[:, 2:3]
    told = (moisture > 0).float() + (moisture > 1.2).float()
    assert torch.equal(told[known], after.target[known])
    for number in range(3):
        rows = ((maps.target == number).sum((1, 3)) for maps in (before, after))
        torch.testing.assert_close(*rows, rtol=0, atol=0)
    assert torch.equal(after.area, before.area)


def test_channels_without_a_place_stay_as_they_are(shifted, batch):
    assert torch.equal(shifted().inputs[:, 6:], batch().inputs[:, 6:])


def test_probability_is_the_share_of_samples(shifted, batch, world):
    (step,) = make_augmentations([{"kind": "longitude_shift", "probability": 0.25}])
    before = batch(2000, shape=(2, 8))
    torch.manual_seed(1)
    moved = (step.prepare(world())(before).inputs != before.inputs).flatten(1).any(1).double().mean()
    assert float(moved) == pytest.approx(0.25 * 7 / 8, abs=0.03)  # one roll in eight is none


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"grid": Grid(np.arange(3.0), np.arange(0.0, 90.0, 10.0))},
         r"^longitude_shift: expected evenly spaced longitudes that go round the Earth, got 9 of 10 degrees, 90 in all\."),
        ({"target_grid": Grid(np.arange(3.0), np.arange(0.0, 360.0, 10.0))},
         r"^longitude_shift: expected inputs and target on one grid, got \(6, 8\) and \(3, 36\) cells\."),
        ({"static": np.zeros((2, 6, 8), np.float32)},
         r"^longitude_shift: expected no static fields, got 2: they belong to their place"),
        ({"grid": Grid(np.zeros((1, 3)), np.zeros((1, 3)), ("row", "station"), ("a", "b", "c"))},
         r"^longitude_shift: expected a regular grid of latitudes and longitudes, or an image, got a table of stations\."),
        ({"grid": Grid(np.zeros((2, 3)), np.zeros((2, 3)), ("y", "x"))},
         r"^longitude_shift: expected a regular grid .*, got a projected grid\."),
        ({"grid": Grid(np.arange(4.0), np.arange(5.0), ("y", "x"), image=True)}, r"expected evenly spaced longitudes"),
    ],
)  # fmt: skip
def test_what_stays_in_its_place_is_refused(world, changed, message):
    (step,) = make_augmentations([{"kind": "longitude_shift"}])
    with pytest.raises(ConfigError, match=message):
        step.prepare(world(**changed))
