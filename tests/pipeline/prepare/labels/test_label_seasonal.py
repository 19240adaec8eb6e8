"""Curves over the year, against loops over days, dates and cells."""

import datetime

import array_api_strict
import cftime
import numpy as np
import pandas as pd
import pytest

from pipeline.errors import DataError
from pipeline.prepare.labels._seasonal import at_days, day_of_year, fit_seasonal, year_length


def made(time, cells=2, missing=0.03, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(len(time), 1, cells)).astype(np.float32)
    values[rng.random(values.shape) < missing] = np.nan
    return values


def pooled(values, time, train, month, day, half):
    """Values of the train dates within `half` days of that date in any year, one cell."""
    dates = [pd.Timestamp(stamp).to_pydatetime() for stamp in time]
    found = []
    for step in train.index:
        for year in (dates[step].year - 1, dates[step].year, dates[step].year + 1):
            if abs((dates[step] - datetime.datetime(year, month, day)).days) <= half:
                found.append(values[step])
    return np.array([value for value in found if np.isfinite(value)])


def test_days_of_the_year_have_one_number_in_all_years():
    assert day_of_year(np.array(["2000-02-29", "2001-12-31"], "datetime64[ns]")).tolist() == [59, 365]
    assert day_of_year(np.array([cftime.DatetimeNoLeap(2000, 3, 1)])).tolist() == [60]
    assert day_of_year(np.array([cftime.Datetime360Day(2000, 2, 30), cftime.Datetime360Day(2000, 12, 30)])).tolist() == [
        59, 359,
    ]  # fmt: skip
    assert [year_length(name) for name in ("360_day", "noleap", "all_leap", "standard")] == [360, 366, 366, 366]


@pytest.mark.parametrize("date", [(1, 2), (2, 27), (3, 1), (7, 15), (12, 30)])
def test_mean_and_percentile_are_those_of_the_pooled_days(days, train_of, date):
    time = days("1991-03-05", "1997-12-31")
    values, train = made(time), train_of(time, 2000)
    found = fit_seasonal(values, time, train, window=11, percentile=90.0)
    day = int(day_of_year(np.array([f"1991-{date[0]:02}-{date[1]:02}"], "datetime64[ns]"))[0])
    for cell in range(2):
        pool = pooled(values[:, 0, cell], time, train, *date, 5)
        assert len(pool) > 40
        assert found.mean[day, 0, cell] == pytest.approx(pool.astype(float).mean(), abs=1e-6)
        assert found.threshold[day, 0, cell] == pytest.approx(np.percentile(pool.astype(float), 90), abs=1e-6)


def test_the_leap_day_lies_between_its_neighbours(days, train_of):
    time = days("1991-01-01", "1996-12-31")
    values = made(time)
    leap = [pd.Timestamp(stamp).strftime("%m-%d") == "02-29" for stamp in time]
    values[leap] = 100.0
    found = fit_seasonal(values, time, train_of(time, len(time)), window=1)
    np.testing.assert_allclose(found.mean[59], 0.5 * (found.mean[58] + found.mean[60]), rtol=1e-5)
    assert np.abs(found.mean).max() < 10
    wider = fit_seasonal(values, time, train_of(time, len(time)), window=3)
    assert wider.mean[58].min() > 10  # in its neighbours' windows it counts


@pytest.mark.parametrize("calendar", ["360_day", "noleap", "all_leap"])
def test_other_calendars(days, train_of, calendar):
    time = days("1991-01-01", "1996-12-30", calendar)
    values, train = made(time, missing=0.0), train_of(time, len(time) - 30)
    found = fit_seasonal(values, time, train, window=1).mean[:, 0, 0]
    assert len(found) == year_length(calendar)
    for month, day in ((1, 1), (2, 28), (3, 1), (12, 30)):
        same = [values[step, 0, 0] for step in train.index if (time[step].month, time[step].day) == (month, day)]
        number = day_of_year(np.array([type(time[0])(1991, month, day)]))[0]
        assert found[number] == pytest.approx(np.mean(same), abs=1e-6)
    if calendar == "all_leap":
        same = [values[step, 0, 0] for step in train.index if (time[step].month, time[step].day) == (2, 29)]
        assert found[59] == pytest.approx(np.mean(same), abs=1e-6)


def test_smoothing_is_a_running_mean_round_the_year(days, train_of):
    time = days("1991-01-01", "1994-12-31")
    values, train = made(time), train_of(time, len(time))
    raw = fit_seasonal(values, time, train, window=5, percentile=80.0)
    even = fit_seasonal(values, time, train, window=5, smooth=31, percentile=80.0)
    for rough, smooth in ((raw.mean, even.mean), (raw.threshold, even.threshold)):
        wanted = [np.mean([rough[(day + k) % 366] for k in range(-15, 16)], axis=0) for day in range(366)]
        np.testing.assert_allclose(smooth, np.array(wanted), atol=1e-6)


def test_days_that_the_train_split_never_has_are_not_known(days, train_of):
    time = days("1991-01-01", "1996-12-31")
    winter = time[np.isin([pd.Timestamp(stamp).month for stamp in time], (12, 1, 2))]
    values = made(winter, missing=0.0)
    found = fit_seasonal(values, winter, train_of(winter, len(winter)), window=11, smooth=31, percentile=75.0)
    known = np.isfinite(found.threshold[:, 0, 0])
    assert np.flatnonzero(known).tolist() == [*range(60), *range(335, 366)]  # 29 February takes the 28th
    first = [day for day in range(366) if known[day] and min((day - 335) % 366, (335 - day) % 366) <= 15]
    raw = fit_seasonal(values, winter, train_of(winter, len(winter)), window=11, percentile=75.0)
    np.testing.assert_allclose(found.threshold[335], raw.threshold[first].mean(axis=0), atol=1e-6)


def test_cells_that_the_train_split_never_has_are_not_known(days, train_of):
    time = days("1991-01-01", "1996-12-31")
    values, train = made(time), train_of(time, 1500)
    values[train.index, :, 1] = np.nan
    found = fit_seasonal(values, time, train, window=11, smooth=5, percentile=90.0)
    assert np.isfinite(found.threshold[..., 0]).all()
    assert np.isnan(found.threshold[..., 1]).all()
    assert np.isnan(found.mean[..., 1]).all()


def test_on_any_arrays(days, train_of):
    time = days("1991-01-01", "1994-12-31")
    values, train = made(time), train_of(time, 1200)
    one, other = (
        fit_seasonal(array, time, train, window=11, smooth=5, percentile=90.0)
        for array in (values, array_api_strict.asarray(values))
    )
    np.testing.assert_allclose(np.asarray(other.mean), one.mean, atol=1e-6)
    np.testing.assert_allclose(np.asarray(other.threshold), one.threshold, atol=1e-6)


def test_a_percentile_of_too_few_values_is_refused(days, train_of):
    time = days("1991-01-01", "1993-12-31")
    message = (
        r"^the label 'x': expected 10 train values or more for the percentile 90 of a day of the year, got 6 in a "
        r"window of 3 days; take a longer train split or a wider window\.$"
    )
    with pytest.raises(DataError, match=message):
        fit_seasonal(made(time), time, train_of(time, 730), window=3, percentile=90.0, what="the label 'x'")


def test_another_calendar_is_refused(days, train_of):
    time = days("1991-01-01", "1993-12-30", "360_day")
    mean = fit_seasonal(made(time), time, train_of(time, 720), window=3).mean
    message = (
        r"^the label: expected times of a calendar with 360 days of the year, .* 'proleptic_gregorian' with 366; fit"
    )
    with pytest.raises(DataError, match=message):
        at_days(mean, days("1991-01-01", "1991-01-03"))


def test_only_a_train_split_is_fitted_on(days):
    time = days("1991-01-01", "1991-12-31")
    with pytest.raises(TypeError, match=r"^the label is fitted on a TrainSplit alone"):
        fit_seasonal(made(time), time, np.arange(5), window=3)
