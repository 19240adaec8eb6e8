"""Years of a time axis and what they hold, against loops over cells and days."""

import itertools

import array_api_strict
import cftime
import numpy as np
import pytest

from pipeline.metrics.years import longest_spell, rolling_sum, whole, yearly_max, yearly_mean, years_of


def _days(start, stop):
    return np.arange(start, stop, dtype="datetime64[D]")


WINTERS = np.concatenate([_days(f"{year}-12-01", f"{year + 1}-03-01") for year in range(1990, 1993)])
GAPS = np.delete(_days("1990-01-01", "1993-01-01"), [*range(40, 44), 200, *range(360, 371)])


def _spells(condition, time):
    """Return the longest run of neighbouring days of a year on which a condition holds, by year and cell."""
    found = {}
    for cell in range(condition.shape[1]):
        run = 0
        for number, day in enumerate(time):
            year = int(str(day)[:4])
            near = number > 0 and day - time[number - 1] == np.timedelta64(1, "D")
            same = number > 0 and str(time[number - 1])[:4] == str(day)[:4]
            run = (run if near and same else 0) + 1 if condition[number, cell] else 0
            found[year, cell] = max(found.get((year, cell), 0), run)
    years = sorted({year for year, _ in found})
    return np.array([[found[year, cell] for cell in range(condition.shape[1])] for year in years])


def test_calendar_years_of_whole_years_and_winters_of_winters():
    years = years_of(GAPS)
    assert years.label.tolist() == [1990, 1991, 1992]
    assert [str(GAPS[a])[:4] for a, _ in years.edges] == ["1990", "1991", "1992"]
    winters = years_of(WINTERS)
    assert winters.label.tolist() == [1991, 1992, 1993]
    assert [(str(WINTERS[a]), str(WINTERS[b - 1])) for a, b in winters.edges] == [
        ("1990-12-01", "1991-02-28"),
        ("1991-12-01", "1992-02-29"),
        ("1992-12-01", "1993-02-28"),
    ]
    part = years_of(WINTERS[31:])  # without its December, the first is still the winter of 1991
    assert part.label.tolist() == [1991, 1992, 1993]
    assert years_of(_days("1990-06-01", "1990-09-01")).label.tolist() == [1990]


def test_a_time_begins_anew_behind_gaps_and_with_a_year():
    begins = years_of(GAPS).begins
    step = np.diff(GAPS) > np.timedelta64(1, "D")
    new = np.array([str(a)[:4] != str(b)[:4] for a, b in itertools.pairwise(GAPS)])
    assert begins.tolist() == [True, *(step | new).tolist()]


def test_calendars_of_360_days_have_years():
    time = cftime.num2date(np.arange(800), "days since 1900-01-01", calendar="360_day")
    years = years_of(time)
    assert years.label.tolist() == [1900, 1901, 1902]
    assert years.edges.tolist() == [[0, 360], [360, 720], [720, 800]]


def test_a_year_counts_with_nine_tenths_of_the_days_of_the_longest():
    time = _days("1990-01-01", "1992-04-01")  # 365, 365 and 91 days
    valid = np.ones((len(time), 3), bool)
    valid[10:46, 1] = False  # 36 of 365 days: 329 are left, nine tenths are 328.5
    valid[10:47, 2] = False
    assert whole(valid, years_of(time)).tolist() == [[True, True, False], [True, True, True], [False, False, False]]
    # A chunk of cells of which none is whole must not make its own measure.
    assert whole(valid[:, 2:], years_of(time)).tolist() == [[False], [True], [False]]
    assert whole(np.ones((len(WINTERS) - 31, 1), bool), years_of(WINTERS[31:])).tolist() == [[False], [True], [True]]


@pytest.mark.parametrize("share", [0.2, 0.5, 0.95, 1.0])
def test_spells_are_those_of_a_loop(share):
    condition = np.random.default_rng(1).random((len(GAPS), 4)) < share
    years = years_of(GAPS)
    expected = _spells(condition, GAPS)
    np.testing.assert_array_equal(longest_spell(condition, years), expected)
    strict = longest_spell(array_api_strict.asarray(np.stack([condition, ~condition])), years)
    np.testing.assert_array_equal(np.asarray(strict)[0], expected)
    np.testing.assert_array_equal(np.asarray(strict)[1], _spells(~condition, GAPS))


def test_sums_of_several_days_are_those_of_a_loop():
    rng, days = np.random.default_rng(2), 5
    series = rng.gamma(1.0, 5.0, (len(GAPS), 3))
    series[rng.random(series.shape) < 0.02] = np.nan
    found = rolling_sum(series, days, years_of(GAPS))
    for number in range(len(GAPS)):
        window = slice(number - days + 1, number + 1)
        inside = number >= days - 1 and GAPS[number] - GAPS[number - days + 1] == np.timedelta64(days - 1, "D")
        inside = inside and str(GAPS[number])[:4] == str(GAPS[number - days + 1])[:4]
        expected = series[window].sum(axis=0) if inside else np.full(3, np.nan)
        np.testing.assert_allclose(found[number], expected, rtol=1e-12)
    assert np.isnan(rolling_sum(series[:3], days, years_of(GAPS[:3]))).all()


def test_highest_and_mean_are_over_the_days_that_count():
    rng = np.random.default_rng(3)
    series = rng.normal(size=(2, len(GAPS), 3)).astype(np.float32)
    valid = rng.random((len(GAPS), 3)) < 0.8
    years = years_of(GAPS)
    highest, mean = yearly_max(series, valid, years), yearly_mean(series, valid, years)
    for number, (a, b) in enumerate(years.edges):
        for cell in range(3):
            days = valid[a:b, cell]
            np.testing.assert_array_equal(highest[:, number, cell], series[:, a:b, cell][:, days].max(axis=1))
            np.testing.assert_allclose(
                mean[:, number, cell], series[:, a:b, cell][:, days].mean(axis=1, dtype=float), rtol=1e-12
            )
    assert mean.dtype == np.float64
