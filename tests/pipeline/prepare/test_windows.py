"""Samples never cross a gap or the border of a split."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import DataError, SplitError
from pipeline.prepare.dates import DAY, microseconds
from pipeline.prepare.windows import lagged, require_step, segments, usual_step, windows


def test_months_of_different_length_are_one_step_apart():
    count = microseconds(np.arange("1999-01", "2001-01", dtype="datetime64[M]"))
    assert set(segments(count, usual_step(count)).tolist()) == {0}


def test_winters_are_segments_of_their_own(days):
    time = days("1990-12-01", "1993-02-28")
    month = time.astype("datetime64[M]").astype(int) % 12
    count = microseconds(time[np.isin(month, [11, 0, 1])])
    segment = segments(count, usual_step(count))
    assert np.bincount(segment).tolist() == [90, 91, 90]


def test_one_step_has_no_length():
    with pytest.raises(DataError, match=r"^tas: expected two steps or more, got 1\.$"):
        usual_step(np.array([0]), "tas")


MONTHS = microseconds(np.arange("1999-01", "2003-01", dtype="datetime64[M]"))
YEAR_DAYS = microseconds(np.arange("1999-01-01", "2000-01-01", dtype="datetime64[D]"))


@pytest.mark.parametrize(
    ("count", "wanted", "words"),
    [
        (YEAR_DAYS // 4, DAY, r"^era5: expected a step of 1 day, which the models were trained on, got 6 hours; average"),
        (MONTHS, DAY, r"^era5: expected a step of 1 day, which .* got 31 days; give values of that step\.$"),
        (MONTHS.reshape(-1, 12)[:, [0, 1, 11]].ravel(), DAY, r"got 31 days; give"),
        (YEAR_DAYS[::5], DAY, r"got 5 days; give"),
        (YEAR_DAYS, 30 * DAY, r"expected a step of 30 days, .* got 1 day; average"),
        (YEAR_DAYS // 24, DAY // 4, r"expected a step of 6 hours, .* got 1 hour; average"),
    ],
)  # fmt: skip
def test_values_of_another_step_are_refused(count, wanted, words):
    with pytest.raises(DataError, match=words):
        require_step(count, wanted, "era5")


def test_values_of_the_step_and_picked_days_are_welcome():
    picked = np.sort(np.random.default_rng(1).choice(YEAR_DAYS, 40, replace=False))
    winters = YEAR_DAYS[np.r_[0:59, 334:365]]
    for count, wanted in (
        (YEAR_DAYS, DAY),
        (picked, DAY),
        (winters, DAY),
        (MONTHS, 30 * DAY),
        (YEAR_DAYS[[0, 90]], DAY),
    ):
        require_step(count, wanted, "era5", step=None if len(count) > 2 else DAY)
    require_step(YEAR_DAYS[:1], DAY, "era5", step=DAY)


@st.composite
def axes(draw):
    """An axis with gaps, cut into splits, with some steps incomplete."""
    strides = draw(st.lists(st.sampled_from([1, 1, 1, 2, 90]), min_size=8, max_size=60))
    count = np.cumsum([0, *strides]) * DAY
    borders = sorted(draw(st.lists(st.integers(1, len(count) - 1), min_size=1, max_size=3, unique=True)))
    complete = np.array(draw(st.lists(st.booleans(), min_size=len(count), max_size=len(count))))
    lags = sorted(draw(st.sets(st.integers(0, 4), min_size=1, max_size=3)))
    leads = sorted(draw(st.sets(st.integers(0, 3), min_size=1, max_size=2)))
    return count, np.split(np.arange(len(count)), borders), complete, lags, leads


@given(axes())
def test_windows_are_those_that_a_plain_search_finds(drawn):
    count, parts, complete, lags, leads = drawn
    truth = np.arange(len(count)) % 3 > 0
    for position in parts:
        moments = {int(count[step]): int(step) for step in position}
        expected, previous, ahead, first = {}, {}, {}, {}
        for step in position:
            back = [moments.get(int(count[step]) - lag * DAY) for lag in lags]
            # A lag of two days may not jump over a missing day in between either.
            chain = [int(count[step]) - k * DAY in moments for k in range(max(lags) + 1)]

            runs = {lead: [int(count[step]) + k * DAY for k in range(lead + 1)] for lead in leads}
            onward = [moments[run[-1]] if all(day in moments for day in run) else -1 for run in runs.values()]
            known = any(step >= 0 and truth[step] for step in onward)
            if all(chain) and all(complete[b] for b in back) and known:
                expected[int(step)] = back
                previous[int(step)] = int(step) if leads[0] else moments.get(int(count[step]) - DAY, -1)
                ahead[int(step)] = onward
                start = int(count[step])
                while start - DAY in moments:
                    start -= DAY
                first[int(step)] = moments[start]
        if not expected:
            with pytest.raises(SplitError, match=r"no sample is left|steps in a row or more, for a window of"):
                windows("part", position, count, DAY, lags, complete, truth, leads)
            continue
        found = windows("part", position, count, DAY, lags, complete, truth, leads)
        assert dict(zip(found.now.tolist(), found.ahead.tolist(), strict=True)) == ahead
        assert dict(zip(found.now.tolist(), found.first.tolist(), strict=True)) == first
        assert dict(zip(found.now.tolist(), found.index.tolist(), strict=True)) == expected
        assert dict(zip(found.now.tolist(), found.previous.tolist(), strict=True)) == previous
        assert set(found.index.ravel()) <= set(position)
        assert found.steps == len(found.now) + sum(found.dropped.values())


def test_dropped_steps_are_counted_for_their_first_reason():
    count, complete, truth = np.arange(6) * DAY, np.array([1, 1, 0, 1, 1, 1], bool), np.array([1, 1, 1, 1, 0, 1], bool)
    found = windows("train", np.arange(6), count, DAY, [0, 1], complete, truth)
    assert found.dropped == {"missing lag": 1, "missing predictor": 2, "no truth": 1}
    assert found.now.tolist() == [1, 5]
    assert found.previous.tolist() == [0, 4]
    assert found.truth


def test_a_split_without_any_sample_says_why():
    with pytest.raises(
        SplitError,
        match=r"^split 'train' has 2 steps, and no sample is left of them: 1 missing lag, 1 missing predictor\.$",
    ):
        windows("train", np.arange(2), np.arange(2) * DAY, DAY, [1], np.zeros(2, bool), None)


def test_a_lag_of_zero_is_the_step_itself():
    assert lagged(np.array([0, 0, 1]), 0).tolist() == [0, 1, 2]
