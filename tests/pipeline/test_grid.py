import numpy as np
import pytest
import xarray as xr

from pipeline.errors import DataError
from pipeline.grid import Grid


def test_area_is_the_cosine_of_latitude_on_regular_and_projected_grids():
    lat, lon = np.array([0.0, 60.0]), np.array([1.0, 2.0, 3.0])
    regular = Grid(lat, lon)
    projected = Grid(*np.meshgrid(lat, lon, indexing="ij"), dims=("y", "x"))
    np.testing.assert_allclose(regular.area, [[1, 1, 1], [0.5, 0.5, 0.5]])
    np.testing.assert_allclose(projected.area, regular.area)
    assert regular.shape == projected.shape == (2, 3)


def test_grid_of_a_dataset_reads_both_kinds():
    regular = xr.DataArray(np.zeros((2, 3)), {"lat": [0.0, 1.0], "lon": [5.0, 6.0, 7.0]}, ("lat", "lon"))
    assert Grid.of(regular).same(Grid(np.array([0.0, 1.0]), np.array([5.0, 6.0, 7.0])))
    lat2d = ("y", "x"), np.array([[0.0, 0.1], [1.0, 1.1]])
    lon2d = ("y", "x"), np.array([[5.0, 6.0], [5.1, 6.1]])
    projected = xr.Dataset({"a": (("y", "x"), np.zeros((2, 2)))}, {"lat": lat2d, "lon": lon2d})
    assert Grid.of(projected).dims == ("y", "x")
    assert set(Grid.of(projected).coords()) == {"lat", "lon"}


def test_a_table_without_places_has_no_grid():
    with pytest.raises(DataError, match=r"or station with the coordinates lat and lon, got dims \('station',\)"):
        Grid.of(xr.DataArray(np.zeros(3), dims="station"))


def test_stations_are_one_row_of_cells_that_count_the_same():
    coords = {"station": ["b", "a"], "lat": ("station", [50.0, 0.0]), "lon": ("station", [1.0, 2.0])}
    table = xr.DataArray(np.arange(6.0).reshape(3, 2), coords, ("time", "station"))
    grid = Grid.of(table)
    assert (grid.shape, grid.stations, grid.file_dims) == ((1, 2), ("b", "a"), ("station",))
    np.testing.assert_array_equal(grid.area, [[1.0, 1.0]])
    arrays = grid.from_file(table.values)
    assert arrays.shape == (3, 1, 2)
    written = xr.DataArray(grid.to_file(arrays), grid.coords(), ("time", *grid.file_dims))
    np.testing.assert_array_equal(written, table)
    assert Grid.of(written).same(grid)
    assert not grid.same(Grid(grid.lat, grid.lon, grid.dims, ("b", "c")))


def test_grids_differ_when_shifted():
    a = Grid(np.array([0.0, 1.0]), np.array([5.0, 6.0]))
    assert not a.same(Grid(np.array([0.0, 1.0]), np.array([5.5, 6.5])))
    assert not a.same(Grid(np.array([0.0]), np.array([5.0, 6.0])))


def test_a_regular_grid_and_the_same_cells_with_2d_coordinates_are_two():
    regular = Grid(np.array([1.0, 2.0]), np.array([3.0, 4.0, 5.0]))
    lat, lon = np.meshgrid(regular.lat, regular.lon, indexing="ij")
    assert not regular.same(Grid(lat, lon, ("y", "x")))


def image(y=(0, 1), x=(0, 1, 2), **coords):
    return xr.DataArray(np.zeros((len(y), len(x))), {"y": list(y), "x": list(x), **coords}, ("y", "x"))


def test_an_image_has_pixels_that_count_the_same():
    grid = Grid.of(image(y=(4, 5)))
    assert (grid.image, grid.shape, grid.dims, grid.file_dims) == (True, (2, 3), ("y", "x"), ("y", "x"))
    np.testing.assert_array_equal(grid.area, np.ones((2, 3)))
    np.testing.assert_array_equal(grid.lat, [4, 5])
    coords = grid.coords()
    assert {name: coord.dims for name, coord in coords.items()} == {"y": ("y",), "x": ("x",)}
    assert Grid.of(xr.DataArray(np.zeros((2, 3)), coords, ("y", "x"))).same(grid)
    assert not Grid.of(image(y=(5, 6))).same(grid)


def test_an_image_is_told_from_its_dims_alone():
    stored = Grid(np.arange(2.0), np.arange(3.0), ("y", "x"))
    assert stored.image
    assert stored.same(Grid(np.arange(2.0), np.arange(3.0), ("y", "x"), image=True))
    assert not stored.same(Grid(np.arange(2.0), np.arange(3.0)))
    lat, lon = np.meshgrid(np.arange(2.0), np.arange(3.0), indexing="ij")
    assert not Grid(lat, lon, ("y", "x")).image


@pytest.mark.parametrize("y", [(0.0, 12.5), (1, 0), (0, 2)])
def test_distances_are_no_pixel_numbers(y):
    with pytest.raises(DataError, match=r"of an image with pixel numbers.*got dims \('y', 'x'\)"):
        Grid.of(image(y=y))


def test_an_image_has_dims_of_its_own():
    with pytest.raises(DataError, match=r"an image: expected dims y and x .* got dims \('lat', 'lon'\)"):
        Grid(np.arange(2.0), np.arange(3.0), image=True)


def test_stations_at_no_known_place_are_the_same():
    def nowhere(lat):
        return Grid(np.array([[lat]]), np.array([[np.nan]]), ("row", "station"), ("soi",))

    assert nowhere(np.nan).same(nowhere(np.nan))
    assert not nowhere(np.nan).same(nowhere(1.0))
