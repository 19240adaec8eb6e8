"""Thresholds in units: of any field, and deep lows."""

import numpy as np
import pytest
import xarray as xr

from pipeline.errors import ConfigError, DataError
from pipeline.grid import Grid
from pipeline.prepare.labels import make_label

GRID = Grid(np.array([40.0]), np.array([0.0]))
DAYS = np.arange("1990-01-01", "1992-01-01", dtype="datetime64[D]").astype("datetime64[ns]")


def column(*values):
    return np.array(values, np.float32)[:, None, None]


def labelled(spec, values, time, train, units):
    return make_label(spec).fit(values, time, train, GRID, units=units).label(values, time, GRID)[:, 0, 0].tolist()


def test_values_past_the_number_in_the_units_of_the_data(train_of):
    time, train = DAYS[:5], train_of(DAYS[:5], 3)
    values = column(298.15, 298.25, 290.0, np.nan, 303.0)
    nan = pytest.approx(np.nan, nan_ok=True)
    above = {"kind": "threshold", "above": 25.0, "units": "degC"}
    assert labelled(above, values, time, train, "K") == [0, 1, 0, nan, 1]
    assert labelled({**above, "min_days": 2}, values, time, train, "K") == [0, 0, 0, nan, 0]
    below = {"kind": "threshold", "below": 77.0, "units": "degF", "name": "cool"}
    assert labelled(below, values, time, train, "K") == [0, 0, 1, nan, 0]
    assert make_label(below).classes == ("background", "cool")


def test_a_missing_value_is_joined_as_a_day_that_is_not_past_and_stays_missing(train_of):
    time, train = DAYS[:7], train_of(DAYS[:7], 3)
    spec = {"kind": "threshold", "above": 0.5, "units": "1", "min_days": 2, "max_gap": 1}
    values = column(1, 1, np.nan, 1, 1, np.nan, 1)
    label = make_label(spec).fit(values, time, train, GRID, units="1")
    assert label.label(values, time, GRID)[:, 0, 0].tolist() == pytest.approx(
        [1, 1, np.nan, 1, 1, np.nan, 0], nan_ok=True
    )
    assert label.events(values, time, GRID)[:, 0, 0].tolist() == [True] * 5 + [False] * 2


def test_days_are_so_many_steps_of_the_data(train_of):
    time = np.arange("1990-01-01", "1990-01-05", dtype="datetime64[6h]").astype("datetime64[ns]")
    values = column(1, 1, 1, 0, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1)
    spec = {"kind": "threshold", "above": 0.5, "units": "1", "min_days": 1}
    train = train_of(time, 8)
    assert labelled(spec, values, time, train, "1") == [0] * 4 + [1] * 4 + [0] * 4 + [1] * 4
    assert labelled({**spec, "max_gap": 1}, values, time, train, "1") == [0] * 4 + [1] * 12


def test_months_are_no_gap_of_a_day(train_of):
    time = np.arange("1990-01", "1991-01", dtype="datetime64[M]").astype("datetime64[ns]")
    values = column(1, 0, 1, 0, 0, 1, 1, 0, 1, 0, 0, 0)
    spec = {"kind": "threshold", "above": 0.5, "units": "1", "max_gap": 2}
    assert labelled(spec, values, time, train_of(time, 8), "1") == values[:, 0, 0].tolist()


def test_anomalies_are_from_the_train_mean_of_the_day_of_the_year(train_of):
    rng = np.random.default_rng(0)
    time = np.arange("1990-01-01", "1996-01-01", dtype="datetime64[D]").astype("datetime64[ns]")
    values = (280 + rng.normal(0, 5, len(time))).astype(np.float32)[:, None, None]
    train = train_of(time, 1461)
    label = make_label({"kind": "threshold", "above": 9.0, "units": "degF", "of": "anomaly", "window": 11})
    label.fit(values, time, train, GRID, units="K")
    assert label.facts()["threshold"] == pytest.approx(5.0)  # a difference of 9 degF
    day = np.datetime64("1995-05-20")
    around = [np.datetime64(f"{year}-05-20") + shift for year in range(1990, 1994) for shift in range(-5, 6)]
    mean = values[np.isin(time.astype("datetime64[D]"), around)].astype(float).mean()
    here = np.flatnonzero(time.astype("datetime64[D]") == day)[0]
    strength = label.intensity(values, time, GRID)[here, 0, 0]
    assert strength == pytest.approx(values[here, 0, 0] - mean - 5.0, abs=1e-4)
    np.testing.assert_array_equal(label.label(values, time, GRID) == 1, label.intensity(values, time, GRID) > 0)


def test_a_deep_low_has_a_number_for_pressure_and_one_for_its_anomaly():
    assert make_label({"kind": "deep_low"}).number == 980.0
    assert make_label({"kind": "deep_low", "of": "anomaly"}).number == -20.0
    assert make_label({"kind": "deep_low", "below": 97000, "units": "Pa"}).number == 97000.0
    message = r"^label 'deep_low': units: expected 'below' with units of its own, got 'Pa' and no 'below'\.$"
    with pytest.raises(ConfigError, match=message):
        make_label({"kind": "deep_low", "units": "Pa"})


@pytest.mark.parametrize("both", [{}, {"above": 1.0, "below": 0.0}])
def test_a_threshold_has_one_side(both):
    message = r"^label 'threshold': below: expected one of 'above' and 'below', got above "
    with pytest.raises(ConfigError, match=message):
        make_label({"kind": "threshold", "units": "K", **both})


def test_a_threshold_has_units_of_the_data(train_of):
    with pytest.raises(ConfigError, match=r"^label 'threshold': units: this key is required and missing\.$"):
        make_label({"kind": "threshold", "above": 1.0})
    values, train = column(1, 2, 3), train_of(DAYS[:3], 2)
    message = (
        r"^the label 'deep_low': units 'hPa' cannot be converted to 'K': they measure different things\. Its threshold "
        r"is 980 hPa\.$"
    )
    with pytest.raises(DataError, match=message):
        make_label({"kind": "deep_low"}).fit(values, DAYS[:3], train, GRID, units="K")


def test_anomalies_of_hours_are_refused(train_of):
    time = np.arange("1990-01-01", "1990-01-05", dtype="datetime64[6h]").astype("datetime64[ns]")
    with pytest.raises(DataError, match=r"^the label 'deep_low': expected daily values, .* a step of 0\.25 days"):
        make_label({"kind": "deep_low", "of": "anomaly"}).fit(
            np.full((16, 1, 1), 1000.0), time, train_of(time, 8), GRID, units="hPa"
        )


@pytest.mark.real
def test_deep_lows_of_the_north_atlantic(real_data, train_until):
    data = xr.open_dataset(real_data / "natl-slp-daily" / "ncep_slp_2001_2010.nc")
    time, values, grid = data.time.values, data.slp.transpose("time", "lat", "lon").values, Grid.of(data)
    train = train_until(time, "2001", "2010")

    def found(**spec):
        return make_label(spec).fit(values, time, train, grid, units="Pa").label(values, time, grid)

    assert found(kind="deep_low").mean() == pytest.approx(0.0088, abs=5e-5)
    # The documented share is of anomalies from the plain mean of each date, ten values; a smoother mean leaves more.
    assert found(kind="deep_low", of="anomaly", window=1).mean() == pytest.approx(0.026, abs=5e-4)
    assert found(kind="deep_low", of="anomaly").mean() == pytest.approx(0.030, abs=5e-4)
    stormy = found(kind="threshold", below=975.0, units="hPa")
    assert (stormy > 0).any(axis=(1, 2)).mean() == pytest.approx(0.16, abs=5e-4)
    kyrill = np.flatnonzero(time.astype("datetime64[D]") == np.datetime64("2007-01-18"))[0]
    assert (stormy[kyrill] > 0).any()
