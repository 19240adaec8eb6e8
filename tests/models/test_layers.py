import numpy as np
import pytest
import torch
from scipy.interpolate import RegularGridInterpolator

from models._layers import Interpolation, bilinear, norm
from pipeline.errors import ConfigError
from pipeline.grid import Grid

GAUSSIAN = np.array([35.24, 37.14, 39.05, 40.95, 42.86, 44.76])
COARSE = Grid(GAUSSIAN, np.arange(-9.375, 4, 1.875))
FINE = Grid(np.arange(35.25, 44.5, 0.5), np.arange(-9.25, 3.6, 0.5))


def fields(grid, seed=0):
    return torch.randn(3, 2, *grid.shape, generator=torch.Generator().manual_seed(seed))


def test_bilinear_is_scipys_inside_the_grid():
    coarse = fields(COARSE)
    fine = Interpolation(COARSE, FINE)(coarse)
    points = np.stack(np.meshgrid(FINE.lat, FINE.lon, indexing="ij"), axis=-1)
    for time in range(3):
        for channel in range(2):
            oracle = RegularGridInterpolator((COARSE.lat, COARSE.lon), coarse[time, channel].double().numpy())(points)
            assert fine[time, channel].numpy() == pytest.approx(oracle, abs=1e-6)


def test_cells_outside_take_the_value_of_the_edge():
    outside = Grid(np.array([30.0, 50.0]), np.array([-20.0, 20.0]))
    coarse = fields(COARSE)
    fine = Interpolation(COARSE, outside)(coarse)
    torch.testing.assert_close(fine, coarse[:, :, [0, -1]][:, :, :, [0, -1]])


def test_falling_latitudes_give_the_same():
    falling = Grid(COARSE.lat[::-1], COARSE.lon)
    coarse = fields(COARSE)
    torch.testing.assert_close(Interpolation(falling, FINE)(coarse.flip(2)), Interpolation(COARSE, FINE)(coarse))


def test_a_projected_target_is_met_cell_by_cell():
    lat, lon = np.meshgrid(FINE.lat, FINE.lon, indexing="ij")
    turned = Grid(lat[:, ::-1], lon[:, ::-1], ("y", "x"))
    coarse = fields(COARSE)
    torch.testing.assert_close(Interpolation(COARSE, turned)(coarse), Interpolation(COARSE, FINE)(coarse).flip(3))


def test_weights_are_shares_and_exact_for_a_plane():
    weights = bilinear(COARSE, FINE)
    assert (weights >= 0).all()
    assert weights.sum(1) == pytest.approx(1.0)
    plane = (2 * COARSE.lat[:, None] - COARSE.lon[None, :]).ravel()
    assert weights @ plane == pytest.approx((2 * FINE.lat[:, None] - FINE.lon[None, :]).ravel())


def test_one_row_of_cells_is_carried_over_as_it_is():
    row = Grid(np.array([40.0]), COARSE.lon)
    assert bilinear(row, FINE).sum(1) == pytest.approx(1.0)


def test_the_same_grid_needs_no_weights():
    same = Interpolation(FINE, FINE)
    given = fields(FINE)
    assert same.weights is None
    assert same(given) is given


def test_projected_inputs_on_another_grid_are_refused():
    lat, lon = np.meshgrid(FINE.lat, FINE.lon, indexing="ij")
    with pytest.raises(
        ConfigError,
        match=r"^expected inputs on a regular grid or on the target's own, got a projected one of \(19, 26\) cells\. "
        r"Set prepare\.regrid\.to: target\.$",
    ):
        Interpolation(Grid(lat, lon, ("y", "x")), COARSE)


@pytest.mark.parametrize(("channels", "groups"), [(16, 8), (12, 4), (6, 2), (5, 1)])
def test_group_norm_divides_the_maps(channels, groups):
    assert norm("group", channels).num_groups == groups


def test_the_other_norms():
    assert isinstance(norm("batch", 3), torch.nn.BatchNorm2d)
    assert isinstance(norm("none", 3), torch.nn.Identity)
