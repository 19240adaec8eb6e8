import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.grid import Grid
from pipeline.sphere import EARTH_RADIUS, cell_area, goes_round, unit_vectors

IMAGE = Grid(np.arange(3.0), np.arange(4.0), ("y", "x"))


def _two_dimensional(grid):
    lat, lon = np.meshgrid(grid.lat, grid.lon, indexing="ij")
    return Grid(lat, lon, ("y", "x"))


def test_cells_of_a_regular_grid_are_bands_between_latitudes():
    grid = Grid(np.array([60.0, 50.0, 40.0]), np.array([0.0, 5.0, 10.0]))
    expected = EARTH_RADIUS**2 * np.deg2rad(5.0) * (np.sin(np.deg2rad(55.0)) - np.sin(np.deg2rad(45.0)))
    assert cell_area(grid)[1] == pytest.approx(expected)


def test_cells_at_the_poles_end_there():
    grid = Grid(np.arange(90.0, -91.0, -2.0), np.arange(0.0, 360.0, 4.0))
    area = cell_area(grid)
    assert (area > 0.0).all()
    assert area.sum() == pytest.approx(4.0 * np.pi * EARTH_RADIUS**2)
    assert area[45, 0] == pytest.approx((EARTH_RADIUS * np.deg2rad(1.0)) ** 2 * 8.0, rel=1e-3)


def test_cells_of_a_projected_grid_are_as_large_as_the_same_ones_of_a_regular_one():
    grid = Grid(np.linspace(40.0, 45.0, 21), np.linspace(170.0, 190.0, 41))
    np.testing.assert_allclose(cell_area(_two_dimensional(grid)), cell_area(grid), rtol=1e-3)


def test_an_image_has_cells_of_one():
    assert cell_area(IMAGE).tolist() == np.ones((3, 4)).tolist()


@pytest.mark.parametrize(
    ("grid", "wanted"),
    [
        (Grid(np.array([0.0, 1.0]), np.arange(-180.0, 180.0, 2.5)), True),
        (Grid(np.array([0.0, 1.0]), np.arange(0.0, 350.0, 2.5)), False),
        (IMAGE, False),
        (Grid(np.arange(4.0), np.arange(0.0, 360.0), ("y", "x")), False),
        (_two_dimensional(Grid(np.array([0.0, 1.0]), np.arange(0.0, 360.0, 90.0))), False),
    ],
)
def test_what_goes_round(grid, wanted):
    assert goes_round(grid) == wanted


def test_unit_vectors_of_known_places():
    grid = Grid(np.array([0.0, 90.0]), np.array([0.0, 90.0]))
    expected = [[[1, 0, 0], [0, 1, 0]], [[0, 0, 1], [0, 0, 1]]]
    np.testing.assert_allclose(unit_vectors(grid), expected, atol=1e-15)


def test_a_row_of_stations_has_no_areas():
    stations = Grid(np.zeros((1, 3)), np.zeros((1, 3)), ("row", "station"), ("a", "b", "c"))
    with pytest.raises(DataError, match=r"at least 2 x 2 cells for areas of cells, got \(1, 3\)"):
        cell_area(stations)
