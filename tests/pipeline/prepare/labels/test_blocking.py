"""Blocking: anomalies that stay in their place for days."""

import numpy as np
import pytest
import xarray as xr

from pipeline.errors import ConfigError
from pipeline.grid import Grid
from pipeline.prepare.labels import make_label

GRID = Grid(np.array([40.0, 50.0, 60.0]), np.arange(0.0, 360.0, 30.0))
VALUES = {"kind": "blocking", "of": "value"}


def days(count):
    return np.datetime64("2001-01-01", "ns") + np.arange(count) * np.timedelta64(1, "D")


def block(count, *, start, length, speed=0):
    """An anomaly of 200 m over three columns of the middle latitude, `length` steps from `start` on."""
    values = np.zeros((count, *GRID.shape), np.float32)
    for step in range(start, start + length):
        for column in range(3):
            values[step, 1, (10 + column + speed * (step - start)) % 12] = 200.0
    return values


def labelled(values, time, train_of, **options):
    label = make_label(VALUES | options).fit(values, time, train_of(time, len(time) // 2), GRID, units="m")
    return label.label(values, time, GRID)


def test_an_anomaly_that_stays_for_five_days_blocks(train_of):
    time = days(12)
    stays = block(12, start=3, length=5)  # across the seam of longitude
    np.testing.assert_array_equal(labelled(stays, time, train_of) > 0, stays > 0)
    assert not labelled(block(12, start=3, length=4), time, train_of).any()
    assert labelled(block(12, start=3, length=4), time, train_of, persistence=4).any()


def test_one_that_moves_on_does_not_unless_enough_of_it_overlaps(train_of):
    time = days(12)
    slow, fast = block(12, start=2, length=6, speed=1), block(12, start=2, length=6, speed=2)
    assert labelled(slow, time, train_of).any()  # two of three columns overlap
    assert not labelled(slow, time, train_of, overlap=0.7).any()
    assert not labelled(fast, time, train_of).any()


def test_one_that_is_met_counts_and_a_weak_or_negative_one_does_not(train_of):
    time = days(12)
    stays = block(12, start=3, length=6)
    assert labelled(stays, time, train_of, above=200.0).any()
    assert not labelled(stays, time, train_of, above=200.1).any()
    assert not labelled(-stays, time, train_of).any()
    assert labelled(stays, time, train_of, above=20.0, units="dam").any()
    assert not labelled(stays, time, train_of, above=21.0, units="dam").any()


def test_days_are_so_many_steps(train_of):
    hours = days(1)[0] + np.arange(48) * np.timedelta64(6, "h")
    assert labelled(block(48, start=3, length=20), hours, train_of).any()
    assert not labelled(block(48, start=3, length=19), hours, train_of).any()


def test_a_missing_value_is_missing_and_in_no_event(train_of):
    values = block(12, start=3, length=6)
    values[5, 1, 11] = np.nan
    found = labelled(values, days(12), train_of)
    assert np.isnan(found[5, 1, 11])
    assert np.isnan(found).sum() == 1
    np.testing.assert_array_equal(found[np.isfinite(values)] > 0, values[np.isfinite(values)] > 0)


def test_anomalies_are_made_of_heights_where_asked(train_of):
    time = days(4 * 365)
    season = 5500 + 100 * np.cos(2 * np.pi * np.arange(len(time)) / 365.25)[:, None, None]
    values = (season + block(len(time), start=1200, length=8) * 1.5).astype(np.float32)
    label = make_label({"kind": "blocking"}).fit(values, time, train_of(time, 1095), GRID, units="m")
    found = label.label(values, time, GRID)
    np.testing.assert_array_equal(np.flatnonzero(found.any(axis=(1, 2))), np.arange(1200, 1208))
    assert found.sum() == 24


def test_shares_are_shares():
    with pytest.raises(
        ConfigError, match=r"^label 'blocking': overlap: input should be less than or equal to 1, got 50"
    ):
        make_label(VALUES | {"overlap": 50})
    with pytest.raises(ConfigError, match=r"^label 'blocking': of: input should be 'value' or 'anomaly', got 'height'"):
        make_label({"kind": "blocking", "of": "height"})


@pytest.mark.real
def test_the_reference_fields(real_data, train_of):
    data = xr.open_dataset(real_data / "z500-blocking" / "anom_test.nc").rename(latitude="lat", longitude="lon")
    time, values, grid = data.time.values, data.anom.values, Grid.of(data)
    found = make_label(VALUES).fit(values, time, train_of(time, 9), grid, units="m").label(values, time, grid)
    # ConTrack finds three events of 7.1, 0.31 and 3.4 % of cells and steps, the first and last on all of them.
    assert found.mean() == pytest.approx(0.071 + 0.0031 + 0.034, abs=1e-3)
    assert found.any(axis=(1, 2)).all()
    assert (values >= 150).mean() == pytest.approx(0.124, abs=5e-4)
    assert not found[values < 150].any()
