"""When an experiment is run by itself: what is taken, and what is refused with which words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prefect._vendor.croniter import CroniterBadDateError, croniter

from pipeline.errors import ConfigError
from pipeline.schedule_config import ScheduleConfig, check_cron, length
from pipeline.schema import validate


def test_lengths():
    assert [length(text) for text in ("30min", "6h", "1 d", "2w")] == [
        timedelta(minutes=30), timedelta(hours=6), timedelta(days=1), timedelta(weeks=2),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "6", "0h", "-1h", "6 hours", "1h30min"])
def test_other_lengths_are_refused(text):
    with pytest.raises(ValueError, match="expected a length of time such as 30min"):
        length(text)


def test_a_length_is_a_year_at_most():
    assert length("366d") == timedelta(days=366)
    with pytest.raises(ValueError, match="expected a length of time of a year at most, got '999999999999w'"):
        length("999999999999w")


@pytest.mark.parametrize("text", ["0 3 * * *", "*/15 6-18 * * mon-fri", "0 0 1,15 jan,jul *", "5 4 * * 7"])
def test_cron_lines_are_taken_as_prefect_takes_them(text):
    check_cron(text)
    assert croniter.is_valid(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0 3 * *", "expected five parts"),
        ("60 3 * * *", "expected a minute of 0 to 59 .* got '60'"),
        ("0 25 * * *", "expected an hour of 0 to 23 .* got '25'"),
        ("0 3 0 * *", "expected a day of the month of 1 to 31 .* got '0'"),
        ("0 3 * foo *", "expected a month of 1 to 12 .* got 'foo'"),
        ("0 3 * * 5-1", "expected a day of the week of 0 to 7 .* got '5-1'"),
        ("*/0 3 * * *", "expected a minute of 0 to 59"),
        ("0 0 31 2 *", "expected a day that comes in the cron line .* got day 31 of month 2"),
        ("0 0 31 apr,jun *", "got day 31 of month apr,jun"),
    ],
)
def test_what_is_wrong_in_a_cron_line_is_named(text, words):
    with pytest.raises(ValueError, match=words):
        check_cron(text)


numbers = [st.integers(low, high) for low, high in ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))]


@given(st.tuples(*(st.one_of(st.just("*"), part.map(str), part.map(lambda n: f"*/{max(n, 1)}")) for part in numbers)))
def test_we_take_what_prefect_takes_unless_its_day_never_comes(parts):
    text = " ".join(parts)
    assert croniter.is_valid(text)
    try:
        check_cron(text)
    except ValueError:
        with pytest.raises(CroniterBadDateError):
            croniter(text, datetime(2001, 1, 1, tzinfo=UTC)).get_next()
    else:
        assert croniter(text, datetime(2001, 1, 1, tzinfo=UTC)).get_next() > 0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "expected cron or every, one of both"),
        ({"cron": "0 3 * * *", "every": "1d"}, "expected cron or every, one of both"),
        ({"every": "1d", "timezone": "Mars/Olympus"}, "expected a time zone such as UTC or Europe/Madrid"),
        ({"every": "1d", "timezone": "localtime"}, "expected a time zone such as UTC or Europe/Madrid"),
        ({"every": "1d", "timezone": "right/UTC"}, "expected a time zone such as UTC or Europe/Madrid"),
        ({"every": "1d", "late": "soon"}, "expected a length of time"),
        ({"crom": "0 3 * * *"}, "unknown key. Did you mean 'cron'?"),
    ],
)
def test_what_does_not_fit_is_told(given, words):
    with pytest.raises(ConfigError, match=words):
        validate(ScheduleConfig, given, where="mine.yaml", prefix="schedule")


def test_both_forms():
    assert ScheduleConfig(every="6h").interval == timedelta(hours=6)
    nightly = ScheduleConfig(cron="0 3 * * *", timezone="Europe/Madrid", late="2h")
    assert (nightly.interval, nightly.patience) == (None, timedelta(hours=2))
