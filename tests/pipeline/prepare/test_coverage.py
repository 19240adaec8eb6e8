"""Data that lie elsewhere than the models' input grid are refused, for training and for prediction."""

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.grid import Grid
from pipeline.prepare.config import PrepareConfig
from pipeline.prepare.coverage import far_outside
from pipeline.prepare.making import prepare
from pipeline.prepare.recipe import Recipe
from pipeline.prepare.regrid import Regridder

LAT, LON = (40.0, 42.0, 44.0, 46.0, 48.0), (0.0, 2.0, 4.0, 6.0)


def moved(data, lat=0.0, lon=0.0):
    return data.assign_coords(lat=data["lat"] + lat, lon=data["lon"] + lon)


@pytest.fixture
def recipe(field, split, cpu, tmp_path):
    made = prepare(
        [("era", field("tas", lat=LAT, lon=LON))],
        field("pr", lat=LAT, lon=LON, seed=1, units="degC"),
        config=PrepareConfig(),
        split=split,
        backend=cpu,
    )
    made.save(tmp_path)
    return Recipe.load(tmp_path, cpu)


@pytest.mark.parametrize("source", ["regular", "projected"])
@pytest.mark.parametrize("shift", [0.0, 0.9, 1.1, 3.1, 150.0])
@pytest.mark.parametrize("along", ["lat", "lon"])
def test_more_than_half_a_cell_is_counted_cell_by_cell(source, shift, along):
    """By distance to the nearest edge of the box of cells, an independent count; cells are two degrees wide."""
    lat, lon = np.arange(-6.0, 6.1, 2.0), np.arange(-8.0, 8.1, 2.0)
    target = Grid(lat, lon)
    north, east = (shift, 0.0) if along == "lat" else (0.0, shift)
    if along == "lat" and shift == 150:
        north = 60.0
    grid = Grid(lat + north, lon + east)
    if source == "projected":
        y, x = np.meshgrid(grid.lat, grid.lon, indexing="ij")
        grid = Grid(y, x, ("y", "x"))
    far = far_outside(Regridder.between(grid, target, "bilinear"))
    inside = lambda value, axis, more: axis.min() - 1 + more <= value <= axis.max() + 1 + more  # noqa: E731
    counted = sum(not (inside(a, lat, north) and inside(b, lon, east)) for a in lat for b in lon)
    assert int(far.sum()) == counted


def test_a_globe_covers_all_of_a_region_and_one_row_reaches_half_a_cell():
    globe, region = (
        Grid(np.arange(-87.5, 90, 5.0), np.arange(0.0, 360, 5)),
        Grid(np.arange(-90.0, 91), np.arange(-9.0, 9)),
    )
    assert not far_outside(Regridder.between(globe, region, "bilinear")).any()
    row = Grid(np.array([40.0]), np.array([0.0, 2.0, 4.0]))
    points = Grid(np.array([38.9, 39.1, 40.9, 41.1]), np.array([2.0]))
    assert far_outside(Regridder.between(row, points, "bilinear"))[:, 0].tolist() == [True, False, False, True]
    cell = Grid(np.array([40.0]), np.array([2.0]))
    points = Grid(np.array([40.4, 40.6]), np.array([2.0]))
    assert far_outside(Regridder.between(cell, points, "bilinear"))[:, 0].tolist() == [False, True]


def test_new_data_elsewhere_or_of_a_part_are_refused(recipe, field):
    data = field("tas", lat=LAT, lon=LON, seed=5)
    with pytest.raises(
        DataError,
        match=r"predictor 'era': expected cells on all of the models' input grid that the training data covered, lat 40 "
        r"to 48 and lon 0 to 6, got lat 40 to 48 and lon 150 to 156: 20 of 20 cells lie more than half a cell outside",
    ):
        recipe.encode([("era", moved(data, lon=150))])
    with pytest.raises(DataError, match=r"got lat 40 to 44 and lon 0 to 6: 8 of 20 cells lie more than half"):
        recipe.encode([("era", data.isel(lat=slice(0, 3)))])
    with pytest.raises(DataError, match=r"got lat 41.5 to 49.5 and lon 0 to 6: 4 of 20 cells"):
        recipe.encode([("era", moved(data, lat=1.5))])


def test_less_than_half_a_cell_and_a_larger_area_are_taken(recipe, field):
    data = field("tas", lat=LAT, lon=LON, seed=5)
    recipe.encode([("era", moved(data, lat=0.9, lon=-0.9))])
    larger = field("tas", lat=(38.0, *LAT, 50.0), lon=(-2.0, *LON), seed=6)
    whole, part = recipe.encode([("era", larger)]), recipe.encode([("era", larger.sel(lat=list(LAT), lon=list(LON)))])
    np.testing.assert_allclose(whole.inputs, part.inputs, atol=1e-5)


def test_only_what_the_training_data_covered_is_asked_for(field, split, cpu):
    """A second dataset that covers three of four columns may do so again, and no less."""
    first, second = field("tas", lat=LAT, lon=LON), field("psl", lat=LAT, lon=(0.0, 1.0, 3.0, 4.0), seed=2)
    target = field("pr", lat=LAT, lon=LON, seed=1, units="degC")
    made = prepare([("a", first), ("b", second)], target, config=PrepareConfig(), split=split, backend=cpu)
    assert [int(part.sum()) for part in made.encoder.covered] == [20, 15]
    assert made.summary()["regridding"][1]["cells_outside"] == 5
    made.encode([("b", second), ("a", first)])
    with pytest.raises(DataError, match=r"predictor 'b': .* lon 0 to 4, got .* lon 2 to 6: 5 of 15 cells"):
        made.encode([("a", first), ("b", moved(second, lon=2))])


def test_a_dataset_beside_the_common_grid_is_refused_in_training(field, split, cpu):
    first, second = field("tas", lat=LAT, lon=LON), field("psl", lat=LAT, lon=LON, seed=2)
    target = field("pr", lat=LAT, lon=LON, seed=1, units="degC")
    with pytest.raises(
        DataError,
        match=r"predictor 'b': expected cells round the common grid, lat 40 to 48 and lon 0 to 6, got lat 40 to 48 and "
        r"lon 6 to 12: 15 of 20 cells of the common grid lie outside, and would all take its nearest value",
    ):
        prepare([("a", first), ("b", moved(second, lon=6))], target, config=PrepareConfig(), split=split, backend=cpu)
    half = prepare(
        [("a", first), ("b", moved(second, lon=4))], target, config=PrepareConfig(), split=split, backend=cpu
    )
    assert (
        "10 cells of the common grid lie outside the cells of b and take its nearest value." in half.summary()["notes"]
    )
