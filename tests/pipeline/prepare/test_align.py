"""One axis for all datasets, and the target's region."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from pipeline.errors import DataError, SplitError
from pipeline.prepare.align import align, crop, shared_dates
from pipeline.prepare.splits import TimeSplit


def dated(time, name="tas"):
    values = np.arange(len(time), dtype="float32")[:, None, None]
    return xr.Dataset({name: (("time", "lat", "lon"), values)}, {"time": time, "lat": [0.0], "lon": [0.0]})


def test_midnight_and_noon_of_one_day_meet_and_it_is_noted(split):
    noon = dated(pd.date_range("1990-01-01 12:00", "1993-12-31 12:00"))
    axis = align([("era", noon)], dated(pd.date_range("1989-12-01", "1994-01-31")), split, None)
    assert axis.matched_by == "date"
    assert axis.notes[0] == "target is stamped 00:00, the first predictor 12:00."
    assert (
        axis.time.astype("datetime64[D]")
        == pd.date_range("1989-12-01", "1994-01-31").values[axis.target].astype("datetime64[D]")
    ).all()
    assert axis.time[0] == np.datetime64("1990-01-01T12:00")


def test_calendars_meet_by_date(days, split):
    noleap = dated(days("1990-01-01", "1993-12-31", "noleap"))
    target = dated(pd.date_range("1990-01-01", "1993-12-31"))
    axis = align([("gcm", noleap)], target, split, None, "match_dates")
    assert len(axis.time) == 4 * 365 - 20
    assert axis.split.calendar == "noleap"
    assert axis.notes[0] == "target counts in the calendar proleptic_gregorian, the axis in noleap."
    assert axis.notes[1] == "target has 1 dates that not all predictors have; they are left out."
    dates = pd.date_range("1990-01-01", "1993-12-31")[axis.target]
    assert [(t.month, t.day) for t in axis.time] == list(zip(dates.month, dates.day, strict=True))


@pytest.mark.parametrize("calendar", ["noleap", "360_day"])
def test_calendars_that_differ_are_refused_unless_asked_for(days, split, calendar):
    other = dated(days("1990-01-01", "1993-12-30", calendar))
    target = dated(pd.date_range("1990-01-01", "1993-12-31"))
    message = (
        rf"^expected all datasets in one calendar, got {calendar} in predictor 'gcm' and proleptic_gregorian in target: "
        r".* write calendars: match_dates under prepare to pair them by year, month and day\.$"
    )
    with pytest.raises(DataError, match=message):
        align([("gcm", other)], target, split, None)
    with pytest.raises(DataError, match=rf"got proleptic_gregorian in predictor 'era' and {calendar} in predictor 'b'"):
        align([("era", target), ("b", other)], target, split, None)


def test_names_of_one_calendar_are_no_difference(days, split):
    target = dated(pd.date_range("1990-01-01", "1993-12-31"))
    axis = align([("gcm", dated(days("1990-01-01", "1993-12-31", "standard")))], target, split, None)
    assert len(axis.time) == target.sizes["time"] - 20


def test_only_dates_that_all_predictors_have_are_kept(split):
    whole = pd.date_range("1990-01-01", "1993-12-31")
    first, second = dated(whole[5:]), dated(whole.delete(slice(10, 20)), "psl")
    axis = align([("a", first), ("b", second)], dated(whole), split, None)
    assert not np.isin(whole[10:20], axis.time).any()
    assert axis.time[0] == whole[5]
    for index, data in zip(axis.predictors, (first, second), strict=True):
        assert (data.time.values[index] == axis.time).all()
    time, steps = shared_dates([("a", first), ("b", second)])
    assert len(time) == len(whole) - 15
    assert (first.time.values[steps[0]] == second.time.values[steps[1]]).all()


def test_steps_without_truth_stay_and_are_marked(split):
    whole = pd.date_range("1990-01-01", "1993-12-31")
    axis = align([("a", dated(whole))], dated(whole[:1000]), split, None)
    assert (axis.target[axis.time >= whole[1000]] == -1).all()
    assert axis.notes == (f"target lacks {len(whole) - 1000} of the {len(whole)} dates that the predictors share.",)


def test_months_are_kept_and_the_step_is_that_of_all_data(split):
    months = pd.date_range("1990-01-01", "1993-12-01", freq="MS")
    axis = align([("a", dated(months + pd.Timedelta("15D")))], dated(months), split, [1])
    assert axis.matched_by == "month"
    assert [str(t)[:7] for t in axis.time] == ["1990-01", "1991-01", "1992-01", "1993-01"]
    assert axis.step == 31 * 86_400_000_000


@pytest.mark.parametrize(("freq", "periods", "word"), [("YS", 4, "year"), ("6h", 5840, "time")])
def test_years_meet_by_year_and_hours_by_stamp(freq, periods, word):
    split = TimeSplit(("1990", "1990"), ("1991", "1991"), {"test": ("1992", "1993")})
    time = pd.date_range("1990-01-01", periods=periods, freq=freq)
    assert align([("a", dated(time))], dated(time), split, None).matched_by == word


def test_steps_that_differ_are_refused(split):
    day, hour = pd.date_range("1990-01-01", "1993-12-31"), pd.date_range("1990-01-01", "1990-03-01", freq="6h")
    with pytest.raises(
        DataError,
        match=r"^expected the same step everywhere, got 0\.25 days in target and 1 days in predictor 'era'; "
        r"average the finer one first\.$",
    ):
        align([("era", dated(day))], dated(hour), split, None)


def test_two_steps_on_one_date_are_refused(split):
    time = pd.date_range("1990-01-01", "1993-12-31").insert(1, pd.Timestamp("1990-01-01 06:00"))
    with pytest.raises(DataError, match=r"^predictor 'era': expected one step a date, got two in 1990-01-01\.$"):
        align([("era", dated(time))], dated(time), split, None)


def test_predictors_without_common_dates_are_refused(split):
    early, late = pd.date_range("1990-01-01", "1990-12-31"), pd.date_range("1991-01-01", "1991-12-31")
    message = (
        r"^expected two or more dates that all predictors have, got 0: "
        r"predictor 'a' 1990-01-01 to 1990-12-31; predictor 'b' 1991-01-01 to 1991-12-31"
    )
    with pytest.raises(DataError, match=message):
        align([("a", dated(early)), ("b", dated(late))], dated(early), split, None)


def test_a_split_without_any_of_the_months_is_refused():
    time = pd.date_range("1990-01-01", "1993-12-31")
    split = TimeSplit(("1990", "1990"), ("1991-01", "1991-02"), {"test": ("1992", "1993")})
    message = r"^split 'validation' \(1991-01 to 1991-02\) holds 59 steps and none in data\.months \[7\]\.$"
    with pytest.raises(SplitError, match=message):
        align([("a", dated(time))], dated(time), split, [7])


def test_a_dataset_without_time_is_refused(split, field):
    with pytest.raises(DataError, match=r"^target: expected a dim and a coordinate time, got dims \('lat', 'lon'\)\. "):
        align([("a", field("tas"))], field("tas").isel(time=0, drop=True), split, None)


def test_a_region_keeps_the_cells_inside(field):
    cropped = crop(field("tas"), {"lat": (41.0, 44.0), "lon": (2.0, 5.0)})
    assert cropped.lat.values.tolist() == [42.0, 44.0]
    assert cropped.lon.values.tolist() == [2.0, 4.0]
    assert crop(field("tas"), None).sizes == field("tas").sizes
    assert crop(field("tas"), {"lat": (41.0, 44.0)}).lon.size == 4


def test_a_region_across_the_seam_is_one_piece(field):
    globe = field("tas", lon=tuple(np.arange(0.0, 360.0, 30.0)))
    cropped = crop(globe, {"lon": (-45.0, 45.0)})
    assert cropped.lon.values.tolist() == [-30.0, 0.0, 30.0]
    np.testing.assert_array_equal(cropped.tas[:, :, 0], globe.tas.sel(lon=330.0))


def test_a_region_of_a_projected_grid_is_its_box_with_the_rest_missing():
    lat, lon = np.meshgrid(np.arange(4.0), np.arange(5.0), indexing="ij")
    data = xr.Dataset(
        {"tas": (("time", "y", "x"), np.ones((2, 4, 5)))},
        {"time": [0, 1], "lat": (("y", "x"), lat + 0.3 * lon), "lon": (("y", "x"), lon)},
    )
    cropped = crop(data, {"lat": (1.0, 2.5), "lon": (1.0, 3.0)})
    inside = (cropped.lat >= 1) & (cropped.lat <= 2.5) & (cropped.lon >= 1) & (cropped.lon <= 3)
    assert (cropped.tas.notnull() == inside).all()
    whole = (data.lat >= 1) & (data.lat <= 2.5) & (data.lon >= 1) & (data.lon <= 3)
    assert int(inside.sum()) == int(whole.sum())
    with pytest.raises(DataError, match="holds no target cell"):
        crop(data, {"lat": (50.0, 60.0)})


def test_a_region_without_cells_says_where_the_target_is(field):
    message = (
        r"^data\.region \{'lat': \(0\.0, 9\.0\)\} holds no target cell; the target spans lat 40 to 44 and lon 0 to 6\.$"
    )
    with pytest.raises(DataError, match=message):
        crop(field("tas"), {"lat": (0.0, 9.0)})


def test_a_known_step_is_not_worked_out_of_a_few_dates():
    """Two winters' ends look like years; that they are months was known of the whole series."""
    dates = pd.DatetimeIndex(["1990-02-01", "1990-12-01"])
    with pytest.raises(DataError, match=r"expected one step a year, got two in 1990-02-01"):
        shared_dates([("a", dated(dates))])
    time, steps = shared_dates([("a", dated(dates))], 31 * 86_400_000_000)
    assert (time == dates.values).all()
    assert steps[0].tolist() == [0, 1]


def test_what_has_no_time_is_told_where_it_stands(split):
    """Images have neither place nor time; a table of attributes and a field of heights have a place."""
    image = xr.Dataset({"bands": (("y", "x"), np.zeros((3, 4)))})
    fixed = xr.Dataset({"orog": (("lat", "lon"), np.zeros((1, 1)))}, {"lat": [0.0], "lon": [0.0]})
    plain = dated(pd.date_range("1990-01-01", "1993-12-31"))
    said = r"Images, which have neither place nor time, stand under data\.images, with task: segmentation and split\.by"
    with pytest.raises(DataError, match=rf"^predictor 'scene': expected a dim and .* got dims \('y', 'x'\)\. {said}"):
        align([("scene", image)], plain, split, None)
    with pytest.raises(DataError, match=rf"^target: expected a dim and a coordinate time, got .*\. {said}"):
        align([("era", plain)], image, split, None)
    message = r"got dims \('lat', 'lon'\)\. Predictors that do not change in time stand under data\.static\.$"
    with pytest.raises(DataError, match=message):
        align([("height", fixed)], plain, split, None)
