import numpy as np
import pytest
import torch
from scipy.interpolate import RegularGridInterpolator

from models._layers import Interpolation, norm
from pipeline.grid import Grid
from pipeline.prepare.regrid import Regridder

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


def test_fields_are_carried_across_the_date_line():
    globe, pacific = Grid(GAUSSIAN, np.arange(-180.0, 180.0, 2.0)), Grid(GAUSSIAN, np.arange(170.5, 190.0, 1.5))
    wave = np.cos(np.deg2rad(3 * globe.lon))
    given = torch.tensor(np.broadcast_to(wave, (1, 1, *globe.shape)).copy(), dtype=torch.float32)
    found = Interpolation(globe, pacific)(given)[0, 0].numpy()
    # Linear interpolation of a wave is off by at most an eighth of its curvature times the square of the step.
    expected = np.cos(np.deg2rad(3 * pacific.lon))
    assert np.abs(found - expected).max() < np.deg2rad(3 * 2.0) ** 2 / 8 + 1e-6


def test_a_projected_target_is_met_cell_by_cell():
    lat, lon = np.meshgrid(FINE.lat, FINE.lon, indexing="ij")
    turned = Grid(lat[:, ::-1], lon[:, ::-1], ("y", "x"))
    coarse = fields(COARSE)
    torch.testing.assert_close(Interpolation(COARSE, turned)(coarse), Interpolation(COARSE, FINE)(coarse).flip(3))


def test_weights_are_shares_and_exact_for_a_plane():
    weights = Interpolation(COARSE, FINE).weights.numpy()
    assert (weights >= 0).all()
    assert weights.sum(1) == pytest.approx(1.0)
    plane = (2 * COARSE.lat[:, None] - COARSE.lon[None, :]).ravel()
    assert weights @ plane == pytest.approx((2 * FINE.lat[:, None] - FINE.lon[None, :]).ravel(), abs=1e-4)


def test_one_row_of_cells_is_carried_over_as_it_is():
    row = Grid(np.array([40.0]), COARSE.lon)
    fine = Interpolation(row, FINE)(fields(row))
    torch.testing.assert_close(fine, fine[:, :, :1].expand_as(fine))
    assert fine[0, 0, 0, 0].item() == pytest.approx(
        float(np.interp(FINE.lon[0], COARSE.lon, fields(row)[0, 0, 0].numpy())), abs=1e-6
    )


def test_the_same_grid_needs_no_weights():
    same = Interpolation(FINE, FINE)
    given = fields(FINE)
    assert same.weights is None
    assert same(given) is given


def test_projected_inputs_are_carried_over_by_their_coordinates():
    lat, lon = np.meshgrid(FINE.lat, FINE.lon, indexing="ij")
    turned = Grid(lat + 0.1 * lon, lon - 0.1 * lat, ("y", "x"))
    plane = torch.tensor(2 * turned.lat - turned.lon, dtype=torch.float32)[None, None]
    inner = Grid(np.array([39.0, 40.0]), np.array([-6.5, -6.0]))
    expected = torch.tensor(2 * inner.lat[:, None] - inner.lon[None, :], dtype=torch.float32)[None, None]
    torch.testing.assert_close(Interpolation(turned, inner)(plane), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("channels", "groups"), [(16, 8), (12, 4), (6, 2), (5, 1)])
def test_group_norm_divides_the_maps(channels, groups):
    assert norm("group", channels).num_groups == groups


def test_the_other_norms():
    assert isinstance(norm("batch", 3), torch.nn.BatchNorm2d)
    assert isinstance(norm("none", 3), torch.nn.Identity)


def test_large_grids_are_carried_by_rows_and_columns_to_the_same_values():
    wide = Grid(np.linspace(36.0, 44.0, 150), np.linspace(-8.0, 4.5, 151))  # columns beyond the last centre too
    apart = Interpolation(COARSE, wide)
    assert apart.weights is None
    assert apart.rows.shape == (150, 6)
    assert apart.columns.shape == (151, 8)
    coarse = fields(COARSE)
    whole = torch.tensor(Regridder.between(COARSE, wide, "bilinear").matrix(), dtype=torch.float32)
    expected = (coarse.flatten(2) @ whole.T).reshape(3, 2, 150, 151)
    torch.testing.assert_close(apart(coarse), expected, atol=1e-5, rtol=1e-5)
    assert apart.state_dict() == {}
