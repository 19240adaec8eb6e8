"""Marine heatwaves: the documented event of Western Australia, and the definition day by day."""

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import ConfigError, DataError
from pipeline.prepare.labels import event_table, make_label


@pytest.fixture
def series():
    """Twelve years of a made sea: a season, a memory of days and weeks, a few missing days."""
    time = np.arange("1990-01-01", "2002-01-01", dtype="datetime64[D]").astype("datetime64[ns]")
    rng = np.random.default_rng(8)
    noise = rng.normal(size=len(time))
    for day in range(1, len(time)):
        noise[day] += 0.92 * noise[day - 1]
    values = 20 + 3 * np.cos(2 * np.pi * np.arange(len(time)) / 365.25) + 0.4 * noise
    values[[500, 501, 3000]] = np.nan
    return time, values.astype(np.float32)


def by_hand(time, values, last_year):
    """The definition with loops over days: thresholds, mean, events as (first, last)."""
    dates = pd.DatetimeIndex(time)
    leap_number = pd.DatetimeIndex([f"2000-{date:%m-%d}" for date in dates]).dayofyear.to_numpy() - 1
    base = np.flatnonzero(dates.year <= last_year)
    mean, limit = np.full(366, np.nan), np.full(366, np.nan)
    for number in set(range(366)) - {59}:
        centres = base[leap_number[base] == number]
        window = {step + shift for step in centres for shift in range(-5, 6)} & set(base.tolist())
        # The days just outside the first and last year, whose own centres are not there.
        for step in base[:5].tolist() + base[-5:].tolist():
            near = dates[step] + pd.to_timedelta(np.arange(-5, 6), "D")
            window |= {step} if number in pd.DatetimeIndex([f"2000-{d:%m-%d}" for d in near]).dayofyear - 1 else set()
        pool = values[sorted(window)].astype(float)
        mean[number], limit[number] = np.nanmean(pool), np.nanpercentile(pool, 90)
    for curve in (mean, limit):
        curve[59] = 0.5 * (curve[58] + curve[60])
        curve[:] = [np.mean([curve[(day + k) % 366] for k in range(-15, 16)]) for day in range(366)]
    hot = values > limit[leap_number]
    events, step = [], 0
    while step < len(values):
        last = step
        while last < len(values) and hot[last]:
            last += 1
        if last - step >= 5:
            if events and step - events[-1][1] - 1 <= 2:
                events[-1] = (events[-1][0], last - 1)
            else:
                events.append((step, last - 1))
        step = max(last, step + 1)
    return events, mean[leap_number], limit[leap_number]


def test_events_are_those_of_the_definition_day_by_day(series, one_cell, train_until):
    time, values = series
    events, mean, _ = by_hand(time, values, 1999)
    field = values[:, None, None]
    label = make_label({"kind": "marine_heatwave"}).fit(
        field, time, train_until(time, "1990", "1999"), one_cell, units="degC"
    )
    found = event_table(*(part(field, time, one_cell)[:, 0, 0] for part in (label.events, label.intensity)), time)
    assert [(event.start, event.end) for event in found] == [(time[a], time[b]) for a, b in events]
    assert len(events) > 20
    np.testing.assert_allclose(label.intensity(field, time, one_cell)[:, 0, 0], values - mean, atol=2e-5)
    for event, (first, last) in zip(found, events, strict=True):
        assert event.cumulative == pytest.approx(np.nansum((values - mean)[first : last + 1]), abs=1e-3)
    numbers = label.label(field, time, one_cell)[:, 0, 0]
    assert np.isnan(numbers[[500, 501, 3000]]).all()


def test_categories_count_how_often_the_threshold_is_exceeded(series, one_cell, train_until):
    time, values = series
    values = values.copy()
    values[4000:4006] += np.array([4.0, 6.0, 8.0, 10.0, 12.0, 40.0], np.float32)
    _, mean, limit = by_hand(time, values, 1999)
    field, train = values[:, None, None], train_until(time, "1990", "1999")
    plain, graded = (
        make_label({"kind": "marine_heatwave", "categories": graded}).fit(field, time, train, one_cell, units="degC")
        for graded in (False, True)
    )
    assert plain.classes == ("background", "marine_heatwave")
    one, many = (label.label(field, time, one_cell)[:, 0, 0] for label in (plain, graded))
    known = np.isfinite(values)
    np.testing.assert_array_equal(one[known] > 0, many[known] > 0)
    within = (one > 0) & known
    ratio = ((values - mean) / (limit - mean))[within]
    assert (ratio < 1).any()  # days of joined gaps, which are moderate
    sure = np.abs(ratio - np.round(ratio)) > 1e-3
    np.testing.assert_array_equal(many[within][sure], np.clip(np.floor(ratio), 1, 4)[sure])
    assert many[4005] == 4


def test_a_sea_that_never_changes_has_no_events_and_its_first_change_is_moderate(one_cell, train_until):
    time = np.arange("1990-01-01", "1996-01-01", dtype="datetime64[D]").astype("datetime64[ns]")
    values = np.full((len(time), 1, 1), 4.0, np.float32)
    values[-10:] = 5.0
    label = make_label({"kind": "marine_heatwave", "categories": True})
    label.fit(values, time, train_until(time, "1990", "1994"), one_cell, units="degC")
    found = label.label(values, time, one_cell)[:, 0, 0]
    assert not found[:-10].any()
    assert (found[-10:] == 1).all()


@pytest.mark.parametrize("form", [np.float64, np.float32])
@pytest.mark.real
def test_the_documented_event_of_western_australia(real_data, one_cell, train_until, form):
    table = pd.read_csv(real_data / "marine-heatwave" / "sst_WA.csv", parse_dates=["t"])
    time, field = table["t"].to_numpy().astype("datetime64[ns]"), table["temp"].to_numpy(form)[:, None, None]
    label = make_label({"kind": "marine_heatwave", "categories": True})
    label.fit(field, time, train_until(time, "1982-01-01", "2011-12-31"), one_cell, units="degC")
    events, strength, levels = (
        part(field, time, one_cell)[:, 0, 0] for part in (label.events, label.intensity, label.label)
    )
    found = event_table(events, strength, time, levels)
    assert len(found) == 90
    assert np.mean(levels > 0) == pytest.approx(0.086, abs=5e-4)
    top, second, third = sorted(found, key=lambda event: -event.maximum)[:3]
    assert [str(day)[:10] for day in (top.start, top.end, top.peak)] == ["2010-12-24", "2011-04-07", "2011-02-28"]
    assert top.duration == 105
    # Two implementations by the authors give 6.5798 and 293.2107 (heatwaveR), and 6.5804 and 293.2277
    # (marineHeatWaves): the tolerance is what they differ by, with their mean in the middle.
    assert top.maximum == pytest.approx(6.5801, abs=4e-4)
    assert top.cumulative == pytest.approx(293.219, abs=0.011)
    assert top.level == 4
    assert [(str(event.start)[:10], event.duration) for event in (second, third)] == [
        ("2008-03-25", 35),
        ("1999-05-13", 95),
    ]
    assert [second.maximum, third.maximum] == pytest.approx([3.8299, 3.639], abs=4e-4)


def test_hours_are_refused(one_cell, train_until):
    time = np.arange("1990-01-01", "1992-01-01", dtype="datetime64[6h]").astype("datetime64[ns]")
    message = (
        r"^the label 'marine_heatwave': expected daily values, .* got a step of 0.25 days; take daily means first\."
    )
    with pytest.raises(DataError, match=message):
        make_label({"kind": "marine_heatwave"}).fit(
            np.zeros((len(time), 1, 1)), time, train_until(time, "1990", "1991"), one_cell, units="degC"
        )


def test_windows_have_a_centre():
    with pytest.raises(ConfigError, match=r"window: expected an odd number of days up to 365, .* got 10\.$"):
        make_label({"kind": "marine_heatwave", "window": 10})
    with pytest.raises(ConfigError, match=r"smooth: expected an odd number of days up to 365, .* got 367\.$"):
        make_label({"kind": "marine_heatwave", "smooth": 367})
