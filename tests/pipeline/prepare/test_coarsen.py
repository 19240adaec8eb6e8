"""Block means against a loop, with missing cells, on both kinds of grid."""

import numpy as np
import pytest
import xarray as xr

from pipeline.errors import DataError
from pipeline.prepare.coarsen import coarsen


def loop(values, weight, n):
    rows, columns = weight.shape[0] // n, weight.shape[1] // n
    out = np.full((rows, columns), np.nan)
    for i in range(rows):
        for j in range(columns):
            v, w = (a[i * n : i * n + n, j * n : j * n + n] for a in (values, weight))
            known = np.isfinite(v)
            if w[known].sum() >= 0.5 * w.sum():
                out[i, j] = (v[known] * w[known]).sum() / w[known].sum()
    return out


def test_blocks_are_means_by_area_and_the_rest_is_left_out(field):
    data = field("tas", lat=np.arange(40.0, 47.0), lon=np.arange(0.0, 10.0))
    data.tas[3, 0, 0] = np.nan
    data.tas[4, :2, :2] = np.nan
    data.tas[4, 2, 2] = np.nan
    coarse, notes = coarsen(data, 3, "era")
    assert coarse.tas.shape == (len(data.time), 2, 3)
    assert coarse.lat.values.tolist() == [41.0, 44.0]
    assert coarse.lon.values.tolist() == [1.0, 4.0, 7.0]
    assert coarse.tas.attrs == {"units": "K"}
    weight = np.broadcast_to(np.cos(np.deg2rad(data.lat.values))[:, None], (7, 10))
    for day in (0, 3, 4, 150):
        np.testing.assert_allclose(coarse.tas[day], loop(data.tas.values[day].astype(float), weight, 3), rtol=1e-6)
    assert np.isnan(coarse.tas[4, 0, 0])
    assert notes == ("era is coarsened by 3 to 2 x 3 cells, without 1 row and 1 column that fill no block.",)


def test_a_projected_grid_keeps_the_middles_of_its_blocks():
    lat, lon = np.meshgrid(np.arange(4.0), np.arange(6.0), indexing="ij")
    data = xr.Dataset({"a": (("y", "x"), lat * 10 + lon)}, {"lat": (("y", "x"), lat), "lon": (("y", "x"), lon)})
    coarse, notes = coarsen(data, 2, "lam")
    assert coarse.lat.values[:, 0].tolist() == [0.5, 2.5]
    assert coarse.lon.values[0].tolist() == [0.5, 2.5, 4.5]
    np.testing.assert_allclose(coarse.a[0, 0], loop(data.a.values, np.cos(np.deg2rad(lat)), 2)[0, 0])
    assert notes == ("lam is coarsened by 2 to 2 x 3 cells.",)


def test_a_block_across_the_date_line_has_its_middle_there():
    lat, lon = np.meshgrid([-40.0, -39.0], [178.0, 179.0, -180.0, -179.0], indexing="ij")
    data = xr.Dataset({"a": (("y", "x"), lat)}, {"lat": (("y", "x"), lat), "lon": (("y", "x"), lon)})
    coarse, _ = coarsen(data.isel(x=[1, 2]), 2, "lam")
    assert coarse.lon.values.tolist() == [[179.5]]
    assert coarsen(data, 2, "lam")[0].lon.values.tolist() == [[178.5, 180.5]]


def test_a_year_is_the_mean_of_the_same_cells(field):
    data = field("tas", lat=(40.0, 41.0), lon=(0.0, 1.0))
    np.testing.assert_allclose(
        coarsen(data, 2, "era")[0].tas[:, 0, 0],
        data.tas.weighted(np.cos(np.deg2rad(data.lat))).mean(("lat", "lon")),
        rtol=1e-6,
    )


@pytest.mark.parametrize(("factor", "got"), [(4, "3 x 4 cells")])
def test_too_few_cells_are_refused(field, factor, got):
    with pytest.raises(DataError, match=rf"era: expected a grid of 4 x 4 cells or more to coarsen, got {got}"):
        coarsen(field("tas"), factor, "era")


def test_stations_are_refused():
    coords = {"station": ["a"], "lat": ("station", [1.0]), "lon": ("station", [1.0])}
    with pytest.raises(DataError, match="cells or more to coarsen, got stations"):
        coarsen(xr.Dataset({"a": ("station", [1.0])}, coords), 2, "x")
