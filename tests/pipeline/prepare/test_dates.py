"""Calendars, phases of the year and dates."""

import cftime
import numpy as np
import pytest
import xarray as xr

from pipeline.errors import DataError
from pipeline.prepare.dates import (
    DAY,
    as_times,
    calendar_of,
    components,
    elapsed,
    from_microseconds,
    iso,
    microseconds,
    parse,
    phase_of_year,
)

CALENDARS = ["standard", "proleptic_gregorian", "noleap", "all_leap", "360_day", "julian"]


@pytest.mark.parametrize("calendar", CALENDARS)
def test_microseconds_and_back_are_exact_in_every_calendar(calendar):
    times = np.array([cftime.datetime(1999, month, 28, 12, 30, 1, calendar=calendar) for month in range(1, 13)])
    back = from_microseconds(microseconds(times), calendar, native=False)
    assert list(back) == list(times)
    assert calendar_of(back) == calendar


def test_datetime64_counts_like_the_proleptic_gregorian_calendar():
    native = np.array(["1850-02-28T12:00", "2004-02-29"], "datetime64[s]")
    times = np.array([cftime.datetime(1850, 2, 28, 12), cftime.datetime(2004, 2, 29)])
    counted = cftime.date2num(times, "microseconds since 1970-01-01", "proleptic_gregorian")
    assert microseconds(native).tolist() == counted.tolist()
    assert (from_microseconds(microseconds(native), "proleptic_gregorian", native=True) == native).all()


@pytest.mark.parametrize(("calendar", "days"), [("noleap", 365), ("all_leap", 366), ("360_day", 360)])
def test_the_phase_runs_evenly_through_a_year_of_that_calendar(calendar, days):
    times = np.asarray(xr.date_range("2001-01-01", periods=2 * days, calendar=calendar, use_cftime=True))
    expected = np.tile(np.arange(days) / days, 2)
    np.testing.assert_allclose(phase_of_year(times), expected, atol=1e-12)


def test_the_phase_of_leap_years_is_that_of_pandas(days):
    import pandas as pd

    times = days("1999-01-01", "2001-12-31")
    index = pd.DatetimeIndex(times)
    expected = (index.dayofyear - 1) / np.where(index.is_leap_year, 366, 365)
    np.testing.assert_allclose(phase_of_year(times), expected, atol=1e-12)


def test_components_agree_between_both_kinds_of_time():
    native = np.array(["1999-12-31T23:59:58", "2000-02-29T06:00", "1850-01-01"], "datetime64[ns]")
    objects = np.array(
        [cftime.datetime(1999, 12, 31, 23, 59, 58), cftime.datetime(2000, 2, 29, 6), cftime.datetime(1850, 1, 1)]
    )
    expected = [[1999, 12, 31, 86398], [2000, 2, 29, 21600], [1850, 1, 1, 0]]
    assert components(native).tolist() == expected
    assert components(objects).tolist() == expected


@pytest.mark.parametrize(
    ("text", "calendar", "days"),
    [
        ("1995-02-30", "360_day", 1),
        ("1996-02", "standard", 29),
        ("1996-02", "noleap", 28),
        ("1996-12", "standard", 31),
        ("1996", "standard", 366),
        ("1996", "360_day", 360),
    ],
)
def test_a_date_lasts_as_long_as_it_says(text, calendar, days):
    first, after = parse(text, calendar)
    assert after - first == days * DAY


@pytest.mark.parametrize("text", ["1995-2-3", "03.02.1995", "", "1995-01-01T00"])
def test_another_way_to_write_a_date_is_refused(text):
    with pytest.raises(ValueError, match=r"expected a date as YYYY-MM-DD, YYYY-MM or YYYY, got "):
        parse(text, "standard")


@pytest.mark.parametrize(
    ("text", "calendar"), [("1995-02-30", "standard"), ("1996-02-29", "noleap"), ("1996-13", "noleap")]
)
def test_a_date_that_the_calendar_lacks_is_refused(text, calendar):
    with pytest.raises(ValueError, match=rf"expected a date of the calendar '{calendar}', got '{text}'"):
        parse(text, calendar)


def test_times_must_be_there_ascend_and_be_times():
    with pytest.raises(DataError, match=r"sst: expected a date on every step, got 1 missing ones; drop those steps\."):
        as_times(np.array(["1999-01-01", "NaT"], "datetime64[ns]"), "sst")
    with pytest.raises(DataError, match=r"sst: expected ascending times, got 1999-01-02 before 1999-01-01\."):
        as_times(np.array(["1999-01-02", "1999-01-01"], "datetime64[D]"), "sst")
    with pytest.raises(DataError, match=r"sst: expected datetime64 or cftime stamps, got dtype float64\."):
        as_times(np.array([0.0, 1.0]), "sst")


def test_iso_says_the_date_of_both_kinds():
    assert iso(np.datetime64("1999-02-03T12")) == "1999-02-03"
    assert iso(cftime.datetime(1999, 2, 30, calendar="360_day")) == "1999-02-30"


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        (["2000-02-27", "2000-02-28", "2000-03-01", "2000-03-02"], [1, 1, 1]),
        (["1999-02-28", "1999-03-01", "2000-02-28", "2000-02-29", "2000-03-01", "2004-02-28", "2004-03-01"],
         [1, 364, 1, 1, 1459, 2]),
        (["2000-02-25", "2000-02-26", "2000-02-27", "2000-03-01"], [1, 1, 3]),
        (["2000-02-28", "2000-03-01"], [2]),
        (["2000-02-26", "2000-02-28", "2000-03-01", "2000-03-03"], [2, 2, 2]),
    ],
    ids=["left out", "there in another year", "more missing", "too few", "every second day"],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["native", "cftime"])
def test_leap_days_that_dates_leave_out_take_no_time(dates, expected, kind):
    time = np.array(dates, "datetime64[ns]")
    if kind == "cftime":
        time = np.array([cftime.DatetimeGregorian(*map(int, day.split("-"))) for day in dates])
    assert (np.diff(elapsed(time)) // DAY).tolist() == expected


def test_a_calendar_without_leap_days_is_left_as_it_is():
    time = np.array([cftime.DatetimeNoLeap(2000, *day) for day in ((2, 27), (2, 28), (3, 1))])
    np.testing.assert_array_equal(elapsed(time), microseconds(time))
