"""Which fine cells make up a coarse one, and when they do not."""

import numpy as np
import pytest

from models._blocks import Blocks
from pipeline.errors import DataError
from pipeline.grid import Grid


def means(axis, size):
    return axis[: len(axis) // size * size].reshape(-1, size).mean(1)


@pytest.mark.parametrize("projected", [False, True])
def test_blocks_are_the_cells_within_the_edges_of_the_coarse_ones(projected):
    lat, lon = np.arange(30.0, 41.0, 0.5), np.arange(0.0, 9.0, 0.75)
    coarse, fine = Grid(means(lat, 4), means(lon, 3)), Grid(lat, lon)
    if projected:
        coarse, fine = (Grid(*np.meshgrid(grid.lat, grid.lon, indexing="ij"), ("y", "x")) for grid in (coarse, fine))
    mask = np.ones(fine.shape, bool)
    mask[-1, -1] = False  # left over: no block needs it
    blocks = Blocks.between(coarse, fine, mask)
    where = np.argwhere(mask)
    centres = np.argwhere(np.ones(coarse.shape, bool))
    for block, cells in enumerate(blocks.cells):
        row, column = centres[blocks.coarse[block]]
        inside = {
            number
            for number, (i, j) in enumerate(where)
            if abs(lat[i] - means(lat, 4)[row]) < 1.0 and abs(lon[j] - means(lon, 3)[column]) < 1.125
        }
        assert set(cells.tolist()) == inside
        area = np.cos(np.deg2rad(lat[where[cells][:, 0]]))
        np.testing.assert_allclose(blocks.weights[block], area / area.sum())
    assert len(blocks.cells) == 5 * 4


@pytest.mark.parametrize(
    ("coarse", "fine", "message"),
    [
        ((5, 7), (19, 29), r"divides every input cell into a block of cells, got \(19, 29\) on \(5, 7\) cells"),
        ((4, 6), (4, 6), r"got \(4, 6\) on \(4, 6\) cells"),
        ((8, 8), (4, 4), r"got \(4, 4\) on \(8, 8\) cells"),
    ],
)
def test_grids_that_do_not_divide_are_refused(coarse, fine, message):
    grids = [Grid(np.linspace(40, 50, rows), np.linspace(0, 10, columns)) for rows, columns in (coarse, fine)]
    with pytest.raises(DataError, match=message):
        Blocks.between(*grids, np.ones(fine, bool))


@pytest.mark.parametrize(("axis", "name"), [(0, "lat"), (1, "lon")])
@pytest.mark.parametrize("moved", [0.5, 1.0, -0.2])
def test_coarse_cells_beside_their_blocks_are_refused(axis, name, moved):
    lat, lon = np.arange(40.0, 48.0), np.arange(0.0, 8.0)
    middle = [means(lat, 4), means(lon, 4)]
    middle[axis] = middle[axis] + moved
    with pytest.raises(
        DataError, match=rf"blocks of 4 x 4 .* centres up to {abs(moved):g} fine cells away .* in {name}\."
    ):
        Blocks.between(Grid(*middle), Grid(lat, lon), np.ones((8, 8), bool))
    middle[axis] = middle[axis] - moved + 0.05  # float32 coordinates, or means by area
    assert len(Blocks.between(Grid(*middle), Grid(lat, lon), np.ones((8, 8), bool)).cells) == 4


def test_a_turned_grid_is_refused():
    lat, lon = np.arange(40.0, 48.0), np.arange(0.0, 8.0)
    with pytest.raises(DataError, match=r"fine cells away from the middle of theirs in lat"):
        Blocks.between(Grid(means(lat, 4)[::-1], means(lon, 4)), Grid(lat, lon), np.ones((8, 8), bool))


def test_stations_are_no_blocks():
    places = Grid(np.zeros((1, 4)), np.arange(4.0)[None], ("row", "station"), ("a", "b", "c", "d"))
    with pytest.raises(DataError, match=r"divides every input cell into a block of cells, got stations\."):
        Blocks.between(Grid(np.array([0.0]), np.array([1.5])), places, np.ones((1, 4), bool))
