"""Regridding against SciPy, linear fields, and integrals over areas."""

import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator

from pipeline.errors import ConfigError, DataError
from pipeline.grid import Grid
from pipeline.prepare.regrid import Regridder
from pipeline.prepare.weights import is_periodic, overlap

COARSE = Grid(np.array([35.0, 36.5, 39.0, 42.0]), np.array([-10.0, -7.0, -5.5, 0.0, 5.0]))
FINE = Grid(np.linspace(34.5, 42.5, 17), np.linspace(-9.9, 5.5, 23))


def curved(rows=12, columns=15):
    """A rotated grid with 2-D coordinates round 40 N, 3 W."""
    y, x = np.meshgrid(np.linspace(-6, 6, rows), np.linspace(-9, 9, columns), indexing="ij")
    return Grid(40 + 0.95 * y + 0.2 * x, -3 + 0.95 * x - 0.2 * y, ("y", "x"))


def points(grid):
    lat, lon = (grid.lat, grid.lon) if grid.lat.ndim == 2 else np.meshgrid(grid.lat, grid.lon, indexing="ij")
    return lat, lon


@pytest.mark.parametrize("target", [FINE, curved()], ids=["regular", "curved"])
@pytest.mark.parametrize(("method", "scipys"), [("bilinear", "linear"), ("nearest", "nearest")])
def test_from_a_regular_grid_it_is_scipys_interpolator_at_clamped_points(backend, target, method, scipys):
    values = np.random.default_rng(0).normal(size=(3, 2, *COARSE.shape)).astype("float32")
    regridder = Regridder.between(COARSE, target, method)
    found = backend.to_host(regridder(backend.asarray(values)))
    lat, lon = points(target)
    clamped = np.stack([np.clip(lat, 35, 42), np.clip(lon, -10, 5)], axis=-1)
    for index in np.ndindex(3, 2):
        expected = RegularGridInterpolator((COARSE.lat, COARSE.lon), values[index], method=scipys)(clamped)
        np.testing.assert_allclose(found[index], expected, rtol=1e-5, atol=1e-6)
    assert regridder.outside == int(((lat < 35) | (lat > 42) | (lon < -10) | (lon > 5)).sum())
    assert found.dtype == np.float32


def test_a_linear_field_is_reproduced_from_triangles(backend):
    source, target = curved(20, 25), Grid(np.linspace(38, 42, 9), np.linspace(-6, 0, 7))
    field = lambda grid: (lambda lat, lon: 3 + 0.5 * lat - 0.25 * lon)(*points(grid))  # noqa: E731
    regridder = Regridder.between(source, target, "bilinear")
    found = backend.to_host(regridder(backend.asarray(field(source))))
    np.testing.assert_allclose(found, field(target), rtol=1e-12)
    assert regridder.outside == 0


def test_outside_the_triangles_the_nearest_cell_on_the_sphere_is_taken():
    source, target = curved(), Grid(np.array([60.0]), np.array([-3.0]))
    regridder = Regridder.between(source, target, "bilinear")
    lat, lon = (np.deg2rad(part) for part in points(source))
    cosine = np.sin(lat) * np.sin(np.deg2rad(60)) + np.cos(lat) * np.cos(np.deg2rad(60)) * np.cos(lon - np.deg2rad(-3))
    values = np.arange(lat.size, dtype=float).reshape(lat.shape)
    assert regridder(values)[0, 0] == values.flat[cosine.argmax()]
    assert regridder.outside == 1


def test_nearest_from_a_curved_grid_is_the_nearest_on_the_sphere():
    source, target = curved(), Grid(np.linspace(37, 43, 6), np.linspace(-8, 2, 5))
    values = np.arange(source.lat.size, dtype=float).reshape(source.shape)
    found = Regridder.between(source, target, "nearest")(values)
    lat, lon = (np.deg2rad(part).ravel() for part in points(source))
    for (row, column), value in np.ndenumerate(found):
        a, b = np.deg2rad(target.lat[row]), np.deg2rad(target.lon[column])
        cosine = np.sin(lat) * np.sin(a) + np.cos(lat) * np.cos(a) * np.cos(lon - b)
        assert value == cosine.argmax()


def globe(rows, columns, west=0.0):
    half = 90 / rows
    return Grid(np.linspace(-90 + half, 90 - half, rows), west + np.arange(columns) * 360 / columns)


def areas(grid):
    half = 90 / len(grid.lat)
    band = np.sin(np.deg2rad(grid.lat + half)) - np.sin(np.deg2rad(grid.lat - half))
    return np.repeat(band[:, None] * 360 / len(grid.lon), len(grid.lon), axis=1)


@pytest.mark.parametrize("target", [globe(18, 36), globe(7, 11, west=-180.0), globe(90, 100, west=3.3)])
def test_conservative_keeps_the_integral_over_the_globe(target):
    source = globe(30, 48)
    values = np.random.default_rng(1).gamma(0.5, size=source.shape)
    carried = Regridder.between(source, target, "conservative")(values)
    assert (carried * areas(target)).sum() == pytest.approx((values * areas(source)).sum(), rel=1e-10)
    assert carried.min() >= values.min()
    assert carried.max() <= values.max()


def test_conservative_is_the_mean_of_the_fine_cells_inside():
    fine, coarse = globe(20, 40), Grid(globe(10, 20).lat, globe(10, 20).lon + 4.5 - 9 + 0)
    values = np.random.default_rng(2).normal(size=fine.shape)
    weight = areas(fine)
    # Cells of the coarse grid start half a fine cell west of the first fine centre.
    blocks = (values * weight).reshape(10, 2, 20, 2).sum((1, 3)) / weight.reshape(10, 2, 20, 2).sum((1, 3))
    coarse = Grid(coarse.lat, fine.lon.reshape(20, 2).mean(1))
    np.testing.assert_allclose(Regridder.between(fine, coarse, "conservative")(values), blocks, rtol=1e-12)


def test_a_cell_that_nothing_covers_takes_the_nearest():
    shares = overlap(np.array([0.0, 1.0]), np.array([0.2, 9.0]), latitude=False)
    np.testing.assert_allclose(shares, [[0.5, 0.5], [0.0, 1.0]])
    regridder = Regridder.between(
        Grid(np.array([0.0, 1.0]), np.array([0.0, 1.0])), Grid(np.array([9.0]), np.array([9.0])), "conservative"
    )
    assert regridder(np.array([[1.0, 2.0], [3.0, 4.0]])).tolist() == [[4.0]]


@pytest.mark.parametrize("method", ["bilinear", "nearest"])
@pytest.mark.parametrize("west", [0.0, -180.0])
def test_global_longitudes_wrap(method, west):
    source = globe(4, 8, west)
    target = Grid(source.lat, np.array([-2.0, -1.0, 179.0, 181.0, 358.0]))
    values = np.cos(np.deg2rad(source.lon))[None].repeat(4, 0)
    found = Regridder.between(source, target, method)(values)[0]
    assert found[0] == pytest.approx(found[4])
    assert found[0] > 0.9
    assert found[2] == pytest.approx(found[3])
    assert found[2] < -0.9
    assert Regridder.between(source, target, method).outside == 0


def test_longitudes_of_the_other_convention_meet():
    source = Grid(np.array([0.0, 1.0]), np.array([350.0, 352.0]))
    target = Grid(np.array([0.0]), np.array([-9.0]))
    regridder = Regridder.between(source, target, "bilinear")
    assert regridder(np.array([[1.0, 3.0], [0.0, 0.0]])).tolist() == [[2.0]]
    assert regridder.outside == 0


def test_uneven_or_short_longitudes_do_not_go_round():
    assert not is_periodic(np.array([0.0, 180.0]))
    assert not is_periodic(np.array([0.0, 100.0, 240.0]))


def test_missing_cells_lend_their_weight_to_the_others(backend):
    source, target = Grid(np.array([0.0, 1.0]), np.array([0.0, 1.0])), Grid(np.array([0.25]), np.array([0.25, 0.75]))
    values = np.array([[1.0, np.nan], [3.0, 5.0]])
    found = backend.to_host(Regridder.between(source, target, "bilinear")(backend.asarray(values)))
    expected = (0.75 * 0.75 * 1 + 0.25 * 0.75 * 3 + 0.25 * 0.25 * 5) / (1 - 0.75 * 0.25)
    assert found[0, 0] == pytest.approx(expected)
    assert np.isnan(found[0, 1])  # three quarters of three quarters of its weight are missing


def test_the_same_grid_is_left_alone():
    again = Grid(COARSE.lat + 1e-6, COARSE.lon)
    regridder = Regridder.between(COARSE, again, "conservative")
    values = np.ones(COARSE.shape)
    assert regridder.identity
    assert regridder(values) is values


def test_one_row_of_cells_is_carried_everywhere():
    source = Grid(np.array([10.0]), np.array([0.0, 2.0]))
    found = Regridder.between(source, Grid(np.array([5.0, 10.0]), np.array([1.0])), "bilinear")(np.array([[2.0, 4.0]]))
    assert found.tolist() == [[3.0], [3.0]]


def test_blocks_of_fields_give_the_same(monkeypatch):
    values = np.random.default_rng(3).normal(size=(20, 3, *COARSE.shape)).astype("float32")
    whole = Regridder.between(COARSE, FINE, "bilinear")(values)
    monkeypatch.setattr("pipeline.prepare.regrid.block_bytes", lambda _: 5000)
    np.testing.assert_array_equal(Regridder.between(COARSE, FINE, "bilinear")(values), whole)


def test_conservative_needs_regular_grids():
    with pytest.raises(
        ConfigError,
        match=r"^prepare\.regrid\.method 'conservative' needs regular grids on both sides, got 2-D lat and lon; "
        r"choose 'bilinear' or 'nearest'\.$",
    ):
        Regridder.between(COARSE, curved(), "conservative")


def test_descending_axes_are_refused():
    with pytest.raises(DataError, match="expected ascending lat and lon to regrid from, got "):
        Regridder.between(Grid(COARSE.lat[::-1], COARSE.lon), FINE, "bilinear")


@pytest.mark.parametrize("method", ["bilinear", "nearest", "conservative"])
def test_a_region_across_greenwich_meets_a_globe_counted_from_zero(method):
    """Beyond the region the nearest value is taken; inside, whichever way longitudes are counted, the same."""
    source = Grid(np.array([40.0, 42.0]), np.arange(-10.0, 11.0, 2.0))
    values = np.stack([source.lon, 2 * source.lon])
    found = Regridder.between(source, Grid(source.lat, np.arange(0.0, 360.0, 2.0)), method)(values)
    for signed in (-10.0, -2.0, 0.0, 10.0, -20.0, 20.0):
        held = np.clip(signed, -10, 10)
        np.testing.assert_allclose(found[:, int(signed % 360 / 2)], [held, 2 * held])


@pytest.mark.parametrize("source", [COARSE, curved(), FINE], ids=["regular", "curved", "same"])
@pytest.mark.parametrize("method", ["bilinear", "nearest"])
def test_the_matrix_does_what_the_regridder_does(source, method):
    regridder = Regridder.between(source, FINE, method)
    values = np.random.default_rng(0).normal(size=source.shape)
    found = (regridder.matrix() @ values.ravel()).reshape(FINE.shape)
    np.testing.assert_allclose(found, regridder(values), atol=1e-12)


def test_places_that_nobody_knows_are_refused_but_not_to_stay_where_values_are():
    names = tuple("abcdefg")
    lat = np.linspace(36.0, 41.0, 7)[None]
    placed, nowhere = (Grid(lat, lon, ("row", "station"), names) for lon in (lat - 43.0, np.full((1, 7), np.nan)))
    message = (
        r"^expected a latitude and longitude of every place that values are carried from or to, got none for a, b, c, "
        r"d, e and so on\. Say where they lie in the catalog, with options: stations: {file: places.csv, id: station_id"
    )
    for source, target in ((COARSE, nowhere), (nowhere, COARSE), (placed, nowhere)):
        with pytest.raises(DataError, match=message):
            Regridder.between(source, target, "bilinear")
    values = np.arange(7.0)[None]
    np.testing.assert_array_equal(Regridder.between(nowhere, nowhere, "bilinear")(values), values)
    assert Regridder.between(COARSE, placed, "nearest")(np.zeros(COARSE.shape)).shape == (1, 7)
