"""Splits by dates: order, gap, overlap, calendars, and the type that fitting demands."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import SplitError
from pipeline.prepare.splits import TimeSplit, TrainSplit
from pipeline.split_config import SplitConfig

TRAIN, VALIDATION, TEST = ("1990-01-01", "1990-12-31"), ("1991-01-11", "1991-12-31"), ("1992-01-11", "1992-12-31")


def make(train=TRAIN, validation=VALIDATION, test=TEST, gap="0D", calendar=None, **tests):
    return TimeSplit(train, validation, tests or {"test": test}, gap, calendar)


def test_both_ends_belong_to_the_span_to_the_end_of_that_day():
    time = np.array(["1989-12-31T23:59", "1990-01-01", "1990-12-31T23:59:59", "1991-01-01"], "datetime64[s]")
    assert make().select("train", time).tolist() == [1, 2]


def test_the_last_of_february_in_360_days(days):
    time = days("1995-01-01", "1997-12-30", "360_day")
    split = make(("1995-01-01", "1995-02-30"), ("1995-03-01", "1995-12-30"), ("1996", "1997"))
    found = split.select("train", time)
    assert len(found) == 60
    assert (time[found[-1]].month, time[found[-1]].day) == (2, 30)
    assert split.select("test", time).size == 720


@pytest.mark.parametrize(
    ("calendar", "count"), [("noleap", 365), ("all_leap", 366), ("360_day", 360), ("standard", 366)]
)
def test_a_leap_year_has_the_days_of_its_calendar(days, calendar, count):
    time = days("1995-01-01", "1998-12-30", calendar)
    assert make(("1996", "1996"), ("1997", "1997"), ("1998", "1998")).select("train", time).size == count


def test_a_span_that_runs_backwards_shows_both_dates():
    with pytest.raises(
        SplitError,
        match=r"^split 'train' runs backwards: expected first <= last, got '1990-12-31' to '1990-01-01'\.$",
    ):
        make(train=TRAIN[::-1])


def test_splits_out_of_order_are_refused():
    message = (
        r"^splits 'train' \(1995 to 1996\) and 'validation' \(1991-01-11 to 1991-12-31\) are out of order; "
        r"expected train, then validation, then every test set\.$"
    )
    with pytest.raises(SplitError, match=message):
        make(train=("1995", "1996"))
    with pytest.raises(SplitError, match=r"^splits 'validation' .* and 'late' .* are out of order"):
        make(early=TEST, late=("1980", "1981"))


def test_splits_that_overlap_are_refused():
    message = (
        r"^splits 'train' \(1990-01-01 to 1991-01-11\) and 'validation' \(1991-01-11 to 1991-12-31\) overlap; "
        r"no date may be in two splits\.$"
    )
    with pytest.raises(SplitError, match=message):
        make(train=("1990-01-01", "1991-01-11"))


def test_test_sets_that_overlap_are_refused():
    message = r"^test sets 'a' \(1992 to 1993\) and 'b' \(1993-06 to 1994\) overlap; separate them\.$"
    with pytest.raises(SplitError, match=message):
        make(b=("1993-06", "1994"), a=("1992", "1993"))


def test_a_gap_that_is_too_short_is_refused_and_says_how_long_it_is():
    assert make(gap="10D").gap == "10D"
    message = (
        r"^splits 'train' \(1990-01-01 to 1990-12-31\) and 'validation' \(1991-01-11 to 1991-12-31\) "
        r"are 10 days apart, and split\.gap asks for '11D'; move a date or lower it\.$"
    )
    with pytest.raises(SplitError, match=message):
        make(gap="11D")


def test_the_gap_is_counted_in_the_calendar_of_the_data():
    split = make(("1995", "1996-02-20"), ("1996-03-01", "1996-12-31"), ("1998", "1998"), gap="9D")
    with pytest.raises(SplitError, match="are 8 days apart"):
        split.on("noleap")


def test_a_date_of_no_calendar_is_refused():
    message = r"^split 'train': expected a date of the calendar 'proleptic_gregorian', got '1990-02-31'\.$"
    with pytest.raises(SplitError, match=message):
        make(train=("1990-01-01", "1990-02-31"))
    with pytest.raises(SplitError, match=r"expected a date of the calendar 'noleap', got '1992-02-29'"):
        make(test=("1992-02-29", "1992-12-31"), calendar="noleap")


def test_a_test_set_has_a_name_of_its_own():
    with pytest.raises(SplitError, match=r"^expected test sets with names of their own, got \['train'\]\.$"):
        TimeSplit(TRAIN, VALIDATION, {"train": TEST})
    assert TimeSplit(TRAIN, VALIDATION, {}).test == {}  # images of their own may be the test


def test_a_split_without_data_names_itself_its_span_and_the_data(days):
    message = (
        r"^split 'test' \(1992-01-11 to 1992-12-31\) holds no data; the data span 1990-01-01 to 1991-12-31\. "
        r"Change split\.test\.$"
    )
    with pytest.raises(SplitError, match=message):
        make().select("test", days("1990-01-01", "1991-12-31"))
    with pytest.raises(SplitError, match="the data span nothing"):
        make().select("test", days("1990-01-01", "1991-12-31")[:0])


def test_the_split_of_an_experiment_is_taken_as_it_stands():
    config = SplitConfig(train=TRAIN, validation=VALIDATION, test=TEST, gap="10D")
    assert TimeSplit.from_config(config) == make(gap="10D")


def test_nobody_else_makes_a_train_split():
    with pytest.raises(
        TypeError, match=r"^expected TimeSplit\.train_split\(time\) to make a TrainSplit; nothing else may\.$"
    ):
        TrainSplit(np.arange(3), np.zeros(3), 3)


def test_a_train_split_takes_its_rows_and_no_others(days):
    time = days("1989-12-30", "1992-12-31")
    train = make().train_split(time)
    values = np.arange(len(time))[:, None]
    assert train.take(values)[:, 0].tolist() == list(range(2, 367))
    with pytest.raises(ValueError, match=r"^expected 1098 steps on the first axis, got shape \(5, 1\)\.$"):
        train.take(values[:5])
    alone = train.alone()
    assert (alone.take(train.take(values)) == train.take(values)).all()


@given(
    lengths=st.lists(st.integers(1, 400), min_size=3, max_size=5),
    gaps=st.lists(st.integers(0, 30), min_size=5, max_size=5),
    asked=st.integers(0, 30),
)
def test_a_split_is_accepted_exactly_if_its_gaps_are_kept(lengths, gaps, asked):
    start, spans = np.datetime64("1990-01-01"), []
    for length, gap in zip(lengths, gaps, strict=False):
        spans.append((str(start), str(start + length - 1)))
        start = start + length + gap
    tests = {f"test{number}": span for number, span in enumerate(spans[2:])}
    if min(gaps[0], gaps[1]) >= asked:
        split = TimeSplit(spans[0], spans[1], tests, gap=f"{asked}D")
        time = np.arange(np.datetime64("1990-01-01"), start + 50)
        found = [split.select(name, time) for name in split.spans]
        assert [len(index) for index in found] == lengths
        assert (np.diff(np.concatenate(found)) > 0).all()
    else:
        with pytest.raises(SplitError, match="days apart"):
            TimeSplit(spans[0], spans[1], tests, gap=f"{asked}D")
