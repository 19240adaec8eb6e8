"""Spans that lie partly outside the data are said; those wholly outside are refused."""

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import SplitError
from pipeline.prepare.align import align
from pipeline.prepare.basin_split import BasinSplit
from pipeline.prepare.config import PrepareConfig
from pipeline.prepare.elsewhere import TestSource as Source
from pipeline.prepare.making import prepare
from pipeline.prepare.spans import beyond
from pipeline.prepare.splits import TimeSplit

SPLIT = TimeSplit(("1990", "1991"), ("1992", "1992"), {"test": ("1993", "1997")})
PAST = "split.test: asked for 1993 to 1997, the data end 1993-05-01."


def stamps(first, last, step="D"):
    return pd.date_range(first, last, freq=step).values


@pytest.mark.parametrize("hour", [0, 12])
def test_the_prepared_summary_says_where_the_data_end(field, cpu, hour):
    data = field("tas", time=pd.date_range(f"1990-01-01T{hour:02d}", f"1993-05-01T{hour:02d}"))
    made = prepare([("era", data)], data, config=PrepareConfig(), split=SPLIT, backend=cpu)
    assert PAST in made.summary()["notes"]
    assert not [note for note in made.summary()["notes"] if "split.train" in note or "split.validation" in note]
    whole = TimeSplit(SPLIT.train, SPLIT.validation, {"test": ("1993-01-01", "1993-05-01")})
    made = prepare([("era", data)], data, config=PrepareConfig(), split=whole, backend=cpu)
    assert not [note for note in made.summary()["notes"] if "asked for" in note]


def test_what_counts_are_the_dates_that_all_predictors_have(field):
    early, late = field("tas", time=pd.date_range("1990-01-01", "1993-05-01")), field("psl")
    assert PAST in align([("a", late), ("b", early)], late, SPLIT, None).notes


def test_a_span_wholly_outside_is_refused(field):
    data = field("tas", time=pd.date_range("1990-01-01", "1992-12-31"))
    message = (
        r"split 'test' \(1993 to 1997\) holds no data; the data span 1990-01-01 to 1992-12-31\. Change split\.test\.$"
    )
    with pytest.raises(SplitError, match=message):
        align([("era", data)], data, SPLIT, None)


def test_both_ends_are_said():
    asked = {"split.train": ("1980", "2020")}
    assert beyond(asked, stamps("1990-06-01", "1993-05-01")) == (
        "split.train: asked for 1980 to 2020, the data begin 1990-06-01 and end 1993-05-01.",
    )
    assert beyond({}, stamps("1990-06-01", "1993-05-01")) == ()
    assert beyond(asked, stamps("1990-06-01", "1990-06-01")) == ()


@pytest.mark.parametrize(
    ("time", "months"),
    [
        (stamps("1990-01-01", "1990-12-31"), None),
        (stamps("1990-01-01T00", "1990-12-31T18", "6h"), None),
        (stamps("1990-01-01", "1990-12-31", "MS"), None),
        (stamps("1990-01-01", "1990-12-31", "ME"), None),
        (stamps("1985-01-01", "1990-12-31", "YS"), None),
        (stamps("1990-01-02", "1990-12-31"), None),  # a step less, which may be stamped at its end
        (stamps("1990-06-01", "1990-08-31"), [6, 7, 8]),
        (stamps("1990-02-01", "1990-11-30"), [2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
    ],
)
def test_data_of_a_whole_year_are_whole_by_any_step_and_season(time, months):
    assert beyond({"split.test": ("1990", "1990")}, time, months) == ()


@pytest.mark.parametrize("months", [None, [6, 7, 8]])
def test_a_lacking_season_is_said(months):
    summers = stamps("1990-06-01", "1992-08-31")
    summers = summers[np.isin(pd.DatetimeIndex(summers).month, [6, 7, 8])]
    assert beyond({"split.test": ("1990", "1993")}, summers, months) == (
        "split.test: asked for 1990 to 1993, the data "
        f"{'begin 1990-06-01 and ' if months is None else ''}end 1992-08-31.",
    )


def test_calendars_of_models_count_their_own_days(days):
    time = days("1990-01-01", "1992-12-30", "360_day")
    assert beyond({"split.test": ("1990", "1992")}, time) == ()
    assert beyond({"split.test": ("1990", "1993")}, time) == (
        "split.test: asked for 1990 to 1993, the data end 1992-12-30.",
    )


def test_basins_have_one_span(field):
    data = field("tas", time=pd.date_range("1990-01-01", "1993-05-01"))
    basins = {"train": ("a",), "validation": ("b",), "test": ("c",)}
    notes = align([("era", data)], data, BasinSplit(basins, ("1990", "1999")), None).notes
    assert notes == ("split.span: asked for 1990 to 1999, the data end 1993-05-01.",)
    assert align([("era", data)], data, BasinSplit(basins), None).notes == ()


def test_a_test_set_of_its_own_data_says_so_too(field, cpu, split):
    data = field("tas")
    other = field("tas", time=pd.date_range("2001-01-01", "2002-05-01"), seed=3)
    tests = {"later": Source([("era", other)], other, span=("2001", "2005"))}
    made = prepare([("era", data)], data, config=PrepareConfig(), split=split, backend=cpu, tests=tests)
    assert "data.tests.later.span: asked for 2001 to 2005, the data end 2002-05-01." in made.summary()["notes"]
