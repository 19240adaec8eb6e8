"""Longitudes run on, whatever the file's convention; values stay with their places."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data.longitudes import contiguous


def field(lon):
    """A field whose value is the cosine of its longitude, which knows no convention."""
    lon = np.asarray(lon, float)
    return xr.Dataset({"a": ("lon", np.cos(np.deg2rad(lon)))}, coords={"lon": lon})


@pytest.mark.parametrize(
    ("lon", "expected"),
    [
        ([350, 355, 0, 5, 10], [-10, -5, 0, 5, 10]),
        ([124, 126, 178, 180, 182, 290], [124, 126, 178, 180, 182, 290]),
        ([170, 175, -180, -175], [170, 175, 180, 185]),
        ([225, 240, 255], [-135, -120, -105]),
        ([-9.75, -4.75, 4.25], [-9.75, -4.75, 4.25]),
        ([10, 5, 0], [0, 5, 10]),
        ([0, 90, 180, 270], [-180, -90, 0, 90]),
        ([0, 90, 180, 270, 360], [-180, -90, 0, 90]),
        ([300], [-60]),
    ],
)
def test_a_domain_is_in_one_piece(lon, expected):
    found, _ = contiguous(field(lon))
    np.testing.assert_allclose(found["lon"], expected, atol=1e-9)
    np.testing.assert_allclose(found["a"], np.cos(np.deg2rad(expected)), atol=1e-9)


def test_regular_longitudes_stay_bit_by_bit():
    lon = np.array([-9.75, -9.2500001, 4.25])
    found, repairs = contiguous(field(lon))
    assert (found["lon"].values == lon).all()
    assert repairs == ()


def test_changes_are_recorded():
    _, repairs = contiguous(field([0, 90, 180, 270, 360]))
    assert [repair.text for repair in repairs] == [
        "the last column, which repeats the first, is dropped",
        "longitudes 0 to 270 are -180 to 90 and rise",
    ]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 359), st.integers(2, 60), st.booleans())
def test_any_domain_rises_by_its_own_step(start, count, west):
    lon = (start + 2.5 * np.arange(count)) % 360.0
    lon = np.where(west & (lon >= 180.0), lon - 360.0, lon)
    found, _ = contiguous(field(lon))
    np.testing.assert_allclose(np.diff(found["lon"]), 2.5)
    assert -180.0 <= found["lon"].values[0] < 180.0
    np.testing.assert_allclose(found["a"], np.cos(np.deg2rad(found["lon"].values)), atol=1e-9)


def test_a_projected_grid_keeps_its_cells():
    lon = np.array([[358.0, 0.0, 2.0], [359.0, 1.0, 3.0]])
    data = xr.Dataset({"a": (("y", "x"), lon)}, coords={"lon": (("y", "x"), lon)})
    found, _ = contiguous(data)
    np.testing.assert_allclose(found["lon"], [[-2, 0, 2], [-1, 1, 3]])
    np.testing.assert_allclose(found["a"], lon)


def test_stations_are_west_or_east_of_greenwich():
    data = xr.Dataset(coords={"lon": ("station", [170.0, 190.0, 355.0])})
    np.testing.assert_allclose(contiguous(data)[0]["lon"], [170, -170, -5])


def test_without_longitudes_or_with_missing_ones_nothing_is_done():
    assert contiguous(xr.Dataset())[1] == ()
    assert contiguous(field([0.0, np.nan]))[1] == ()
