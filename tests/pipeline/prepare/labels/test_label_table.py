"""Records of the events of a series."""

import cftime
import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.prepare.labels import event_table


@pytest.fixture
def time():
    return np.arange("2001-01-01", "2001-01-11", dtype="datetime64[D]").astype("datetime64[ns]")


def test_each_event_has_its_dates_and_numbers(time):
    events = np.array([1, 1, 0, 0, 1, 1, 1, 0, 0, 1], bool)
    strength = np.array([1.0, 2.0, 0.0, -1.0, 3.0, np.nan, 1.5, 0.0, 0.0, 0.5])
    levels = np.array([1, 2, 0, 0, 3, np.nan, 1, 0, 0, 1])
    first, second, third = event_table(events, strength, time, levels)
    assert (first.start, first.end, first.peak) == (time[0], time[1], time[1])
    assert (first.duration, first.maximum, first.mean, first.cumulative, first.level) == (2, 2.0, 1.5, 3.0, 2)
    # The missing day counts in the duration and in nothing else.
    assert (second.duration, second.maximum, second.mean, second.cumulative, second.level) == (3, 3.0, 2.25, 4.5, 3)
    assert (second.peak, third.start, third.end, third.level) == (time[4], time[9], time[9], 1)


def test_a_gap_in_time_ends_an_event(time):
    there = np.array([0, 1, 2, 6, 7, 8])
    found = event_table(np.ones(6, bool), np.ones(6), time[there])
    assert [(event.start, event.duration) for event in found] == [(time[0], 3), (time[6], 3)]


def test_levels_are_one_where_none_are_given_and_times_may_be_of_any_calendar():
    time = np.array([cftime.Datetime360Day(2001, 2, day) for day in (28, 29, 30)])
    (event,) = event_table(np.array([0, 1, 1], bool), np.array([0.0, 1.0, 2.0]), time)
    assert (event.start, event.end, event.level) == (time[1], time[2], 1)


def test_an_event_of_missing_days_has_no_numbers(time):
    (event,) = event_table(np.arange(10) < 2, np.full(10, np.nan), time, np.full(10, np.nan))
    assert (event.peak, event.duration, event.level) == (time[0], 2, 1)
    assert np.isnan([event.maximum, event.mean, event.cumulative]).all()


def test_a_series_may_have_no_events_or_no_steps(time):
    assert event_table(np.zeros(10, bool), np.ones(10), time) == ()
    assert event_table(np.zeros(0, bool), np.ones(0), time[:0]) == ()
    assert len(event_table(np.ones(1, bool), np.ones(1), time[:1])) == 1


def test_fields_are_refused(time):
    message = (
        r"^event_table: expected series of one length, got the shapes \[\(10, 1\), \(10,\), \(10,\)\]; give one cell"
    )
    with pytest.raises(DataError, match=message):
        event_table(np.ones((10, 1), bool), np.ones(10), time)
    with pytest.raises(DataError, match=r"got the shapes \[\(10,\), \(10,\), \(10,\), \(9,\)\]"):
        event_table(np.ones(10, bool), np.ones(10), time, np.ones(9))
