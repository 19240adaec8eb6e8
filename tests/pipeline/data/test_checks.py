"""What is in a dataset, and what a run would trip over."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from pipeline.data.checks import faults, overlap_remarks
from pipeline.data.contents import Gap, inspect


def series(times, values=None, units="K", **attrs):
    values = np.arange(len(times), dtype="f4") + 280 if values is None else np.asarray(values, "f4")
    return xr.Dataset({"a": ("time", values, {"units": units, **attrs})}, coords={"time": times})


def texts(data):
    return [fault.text for fault in faults(data)]


def test_a_variable_is_described(make_field):
    data = make_field()
    data["tas"][0, 0, :3] = np.nan
    (check,) = inspect(data)
    assert (check.name, check.units, check.dims) == ("tas", "K", {"time": 5, "lat": 3, "lon": 4})
    assert (check.start, check.end, check.step, check.gaps) == ("2001-01-01", "2001-01-05", "1 day", ())
    assert check.missing == pytest.approx(3 / 60)
    assert check.minimum == float(data["tas"].min())
    assert check.maximum == float(data["tas"].max())
    assert not check.constant
    assert faults(data) == ()


@pytest.mark.parametrize(
    ("frequency", "step"),
    [("D", "1 day"), ("6h", "6 hours"), ("h", "1 hour"), ("30min", "30 minutes"), ("MS", "1 month"), ("YS", "1 year"),
     ("5D", "5 days"), ("QS", "3 months"), ("5YS", "5 years")],
)  # fmt: skip
def test_the_step_has_a_name_and_no_gaps(frequency, step):
    (check,) = inspect(series(pd.date_range("2000-01-01", periods=40, freq=frequency)))
    assert (check.step, check.gaps) == (step, ())


def test_steps_of_other_calendars_are_counted_in_their_days():
    times = xr.date_range("2000-01-01", periods=30, freq="MS", calendar="360_day", use_cftime=True)
    (check,) = inspect(series(times))
    assert (check.step, check.start, check.end, check.gaps) == ("1 month", "2000-01-01", "2002-06-01", ())


def test_seasons_are_gaps_and_no_faults():
    days = pd.date_range("1990-12-01", "1993-02-28")
    winter = days[days.month.isin([12, 1, 2])]
    (check,) = inspect(series(winter, values=np.full(len(winter), 280.0)))
    assert check.step == "1 day"
    assert check.gaps == (Gap("1991-02-28", "1991-12-01", 275), Gap("1992-02-29", "1992-12-01", 275))
    assert check.constant
    assert faults(series(winter)) == ()


def test_a_variable_without_time_or_values_is_described(make_field):
    data = make_field().isel(time=0, drop=True)
    (check,) = inspect(data * np.nan)
    assert (check.start, check.step, check.missing) == (None, None, 1.0)
    assert np.isnan(check.minimum)
    assert not check.constant
    (single,) = inspect(make_field(days=1))
    assert (single.start, single.step) == ("2001-01-01", None)


@pytest.mark.parametrize(
    ("values", "units", "name", "found"),
    [
        ([10.0, 20.0], "K", "air_temperature", "values from 10 to 20 K, expected 150 to 350"),
        ([280.0, 300.0], "degC", "air_temperature", "values from 280 to 300 degC, expected -123.15 to 76.85"),
        ([1013.0, 1020.0], "Pa", "air_pressure_at_mean_sea_level", "expected 85000 to 112000"),
        ([-9999.0, 3.0], "mm d-1", "precipitation_flux", "values from -9999 to 3 mm d-1, expected -1 to 20000"),
        ([-5572.8, 3.0], "degC", "", "values from -5572.8 to 3 degC, expected -273.15 to inf"),
        ([-3.0, 5.0], "K", "", "values from -3 to 5 K, expected 0 to inf"),
        ([-3.0, 5.0], "kelvin", "brightness_temperature", "values from -3 to 5 kelvin, expected 0 to inf"),
    ],
)
def test_values_that_no_field_has_are_faults(values, units, name, found):
    (text,) = texts(series(pd.date_range("2000", periods=2), values, units, standard_name=name))
    assert found in text


@pytest.mark.parametrize(
    ("values", "units", "name"),
    [
        ([-3.0, 5.0], "K", "air_temperature_anomaly"),
        ([-3.0, 5.0], "degC", "air_temperature"),
        ([0.0, 1e-3], "kg m-2 s-1", "precipitation_flux"),
        ([970.0, 1040.0], "hPa", "air_pressure_at_sea_level"),
        ([1e20, -5.0], "1", "something_else"),
    ],
)
def test_values_that_may_be_are_none(values, units, name):
    assert texts(series(pd.date_range("2000", periods=2), values, units, standard_name=name)) == []


@pytest.mark.parametrize(
    ("name", "values", "units", "found"),
    [
        ("tas", [-1.7, 19.2], "K", "expected 150 to 350"),
        ("tasmax", [280.0, 300.0], "degC", "expected -123.15 to 76.85"),
        ("ta850", [-9999.0, 250.0], "K", "expected 150 to 350"),
        ("psl", [1000.0, 1020.0], "Pa", "expected 85000 to 112000"),
        ("ps", [-1.0, 9e4], "Pa", "expected 30000 to 112000"),
        ("pr", [-9999.0, 3.0], "mm d-1", "expected -1 to 20000"),
        ("hus700", [0.0, 4.0], "kg kg-1", "expected -0.005 to 0.1"),
    ],
)
def test_known_names_have_the_limits_of_their_standard_name(name, values, units, found):
    data = series(pd.date_range("2000", periods=2), values, units).rename(a=name)
    (text,) = texts(data)
    assert found in text
    assert "missing: [-9999] beside its units in the catalog" in text


@pytest.mark.parametrize(
    ("name", "values", "units"),
    [
        ("tas", [-1.7, 19.2], "degC"),
        ("tas_anomaly", [-3.0, 3.0], "K"),
        ("tasq", [1.0, 3.0], "K"),
        ("pr", [-5.0, 3.0], "mm"),
        ("pr", [0.0, 1e-3], "kg m-2 s-1"),
        ("tas", [-3.0, 5.0], "1"),
    ],
)
def test_names_that_promise_nothing_have_no_limits(name, values, units):
    assert texts(series(pd.date_range("2000", periods=2), values, units).rename(a=name)) == []


def test_stations_may_be_at_no_known_place_but_not_some_of_them():
    data = xr.Dataset(
        {"flow": (("station",), [1.0, 2.0], {"units": "mm d-1"})},
        {"lat": ("station", [np.nan, np.nan]), "lon": ("station", [np.nan, 3.0])},
    )
    assert texts(data) == ["some values of lon are not finite"]


def test_doubled_times_are_a_fault():
    times = pd.to_datetime(["2000-01-01", "2000-01-02", "2000-01-01"])
    assert texts(series(times)) == ["some times stand more than once"]


def test_datasets_that_do_not_meet_get_one_line_a_calendar(make_field):
    one, two = make_field(), make_field(start="2002-01-01")
    assert overlap_remarks([("one", one), ("also", one), ("static", one.isel(time=0, drop=True))]) == ()
    apart = (
        "calendar standard: one 2001-01-01 to 2001-01-05, two 2002-01-01 to 2002-01-05; no time in common: one and two"
    )
    assert overlap_remarks([("one", one), ("two", two)]) == (apart,)
    other = two.assign_coords(time=xr.date_range("2001-01-01", periods=5, calendar="noleap", use_cftime=True))
    assert overlap_remarks([("one", one), ("other", other), ("third", other)]) == (
        "calendar standard: one 2001-01-01 to 2001-01-05",
        "calendar noleap: other 2001-01-01 to 2001-01-05, third 2001-01-01 to 2001-01-05",
    )
    years = [(str(year), make_field(start=f"{year}-01-01")) for year in range(2001, 2005)]
    (line,) = overlap_remarks(years)
    assert line.endswith("no time in common: 2001 and 2002, 2001 and 2003, 2001 and 2004, and 3 pairs more")
