"""Times of any calendar become dates, and what cannot be read is refused by name."""

import cftime
import numpy as np
import pytest
import xarray as xr

from pipeline.data.calendars import decode_times
from pipeline.errors import DataError


def coded(values, units=None, calendar=None, name="time"):
    attrs = {key: value for key, value in (("units", units), ("calendar", calendar)) if value is not None}
    values = np.asarray(values)
    return xr.Dataset({"a": (name, np.arange(len(values)))}, coords={name: (name, values, attrs)})


def dates(*arguments, **options):
    return decode_times(coded(*arguments, **options), "a.nc")[0]["time"].values


@pytest.mark.parametrize("calendar", ["standard", "gregorian", "proleptic_gregorian", None, "Gregorian"])
def test_the_common_calendar_becomes_datetime64(calendar):
    found = dates([0, 59, 60.5], "days since 2000-01-01", calendar)
    assert found.dtype == "datetime64[ns]"
    assert [str(date)[:16] for date in found] == ["2000-01-01T00:00", "2000-02-29T00:00", "2000-03-01T12:00"]


@pytest.mark.parametrize(
    ("calendar", "days", "expected"),
    [
        ("noleap", 59, (2000, 3, 1)),
        ("365_day", 59, (2000, 3, 1)),
        ("365_days", 59, (2000, 3, 1)),
        ("360_day", 59, (2000, 2, 30)),
        ("360", 59, (2000, 2, 30)),
        ("all_leap", 59, (2000, 2, 29)),
        ("julian", 60, (2000, 3, 1)),
    ],
)
def test_other_calendars_keep_their_own_dates(calendar, days, expected):
    (date,) = dates([days], "days since 2000-01-01", calendar)
    assert isinstance(date, cftime.datetime)
    assert (date.year, date.month, date.day) == expected


def test_an_alias_of_a_calendar_is_recorded():
    _, repairs = decode_times(coded([0], "days since 2000-01-01", "365_days"), "a.nc")
    assert [repair.text for repair in repairs] == ["the calendar '365_days' is 'noleap'"]


def test_dates_beyond_datetime64_are_cftime():
    found = dates([0, 1], "days since 1000-01-01", "proleptic_gregorian")
    assert (found[1].year, found[1].day) == (1000, 2)


@pytest.mark.parametrize(
    ("units", "mended"),
    [
        ("days since 0000-00-00 00:00:00", "days since 0000-01-01 00:00:00"),
        ("days since 1950-00-01", "days since 1950-01-01"),
        ("hours since 1-1-1 00:00:0.0", "hours since 0001-01-01 00:00:0.0"),
    ],
)
def test_an_odd_reference_date_is_mended_and_recorded(units, mended):
    data, repairs = decode_times(coded([0.0, 365.0], units, "noleap"), "a.nc")
    expected = cftime.num2date([0.0, 365.0], mended, "noleap", has_year_zero=True)
    assert list(data["time"].values) == list(expected)
    assert [(repair.count, repair.text) for repair in repairs] == [(2, f"times in {units!r} are read as {mended!r}")]


def test_absolute_times_of_digits_are_read():
    found = dates([19850131.25, 19850201.0], "day as %Y%m%d.%f")
    assert [str(date)[:16] for date in found] == ["1985-01-31T06:00", "1985-02-01T00:00"]


def test_fractions_of_a_day_are_rounded_to_seconds():
    found = dates(np.array([1 / 3, 2 / 3], "f4"), "days since 2000-01-01")
    assert (found == found.astype("datetime64[s]")).all()
    other = dates(np.array([1 / 3, 2 / 3]), "days since 2000-01-01", "360_day")
    assert [(date.hour, date.minute, date.second, date.microsecond) for date in other] == [(8, 0, 0, 0), (16, 0, 0, 0)]


def test_rows_without_a_time_are_dropped_and_counted():
    data, repairs = decode_times(coded([0.0, np.nan, 2.0], "days since 2000-01-01"), "a.nc")
    assert data["a"].values.tolist() == [0, 2]
    assert [(repair.kind, repair.count) for repair in repairs] == [("missing times", 1)]
    already = coded(np.array(["2000-01-01", "NaT"], "datetime64[ns]"))
    assert decode_times(already, "a.nc")[0].sizes["time"] == 1


def test_dates_stay_and_files_without_times_too():
    already = coded(np.array(["2000-01-01", "2000-01-02"], "datetime64[ns]"))
    found, repairs = decode_times(already, "a.nc")
    assert (found["time"].values == already["time"].values).all()
    assert repairs == ()
    without = xr.Dataset({"a": ("x", [1, 2])})
    assert decode_times(without, "a.nc")[0].identical(without)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ([0, 1],),
            "a.nc: expected times with units such as 'days since 1950-01-01', got numbers such as 0 without units",
        ),
        (([0], "days since 2000-01-01", "solar"), "a.nc: unknown calendar 'solar'.*Known: standard"),
        (([0], "days since 2000-01-01", "noleep"), "unknown calendar 'noleep'. Did you mean 'noleap'"),
        (
            ([0], "fortnights since 2000-01-01"),
            "a.nc: times in 'fortnights since 2000-01-01' of calendar 'standard' cannot",
        ),
        (
            ([0], "days since 2000-13-01"),
            "a.nc: times in 'days since 2000-13-01' of calendar 'standard' cannot be read",
        ),
        ((["a", "b"],), "a.nc: expected times as numbers or dates, got .* such as 'a'"),
    ],
)
def test_what_cannot_be_read_is_refused(arguments, message):
    with pytest.raises(DataError, match=message):
        decode_times(coded(*arguments), "a.nc")
