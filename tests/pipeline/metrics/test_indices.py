"""Indices of years against loops over years, cells and days."""

import array_api_strict
import cftime
import numpy as np
import pytest

from pipeline.backend.special import to_host
from pipeline.errors import ConfigError
from pipeline.metrics.indices import INDICES, indices_of_years, mean_of_years, wet_threshold, yearly
from pipeline.metrics.years import years_of
from pipeline.units import quantity

CELLS = 4
WHOLE = np.arange("1990-01-01", "1994-01-01", dtype="datetime64[D]")
GAPS = np.delete(WHOLE, [*range(40, 44), 200, *range(360, 371), 900])


def _rain(time, seed=0, missing=0.03):
    rng = np.random.default_rng(seed)
    rain = np.where(rng.random((len(time), CELLS)) < 0.4, rng.gamma(0.8, 8.0, (len(time), CELLS)), 0.0)
    rain[5] = 1.0  # a wet day: the threshold itself counts
    rain[rng.random(rain.shape) < missing] = np.nan
    return rain


def _heat(time, seed=0, missing=0.03):
    rng = np.random.default_rng(seed)
    heat = 12.0 + rng.normal(0.0, 9.0, (len(time), CELLS))
    heat[rng.random(heat.shape) < missing] = np.nan
    return heat


def _runs(time, series, holds):
    """Return the longest run of days that follow each other on which `holds`; missing days end it."""
    longest = run = 0
    for number, value in enumerate(series):
        follows = number > 0 and time[number] - time[number - 1] == np.timedelta64(1, "D")
        run = (run if follows else 0) + 1 if not np.isnan(value) and holds(value) else 0
        longest = max(longest, run)
    return longest


def _five(time, series):
    sums = [
        series[k : k + 5].sum()
        for k in range(len(series) - 4)
        if time[k + 4] - time[k] == np.timedelta64(4, "D") and not np.isnan(series[k : k + 5]).any()
    ]
    return max(sums, default=np.nan)


LOOPS = {
    "r01": lambda time, x: np.mean(x[~np.isnan(x)] >= 1.0),
    "sdii": lambda time, x: np.mean(x[x >= 1.0]) if (x >= 1.0).any() else np.nan,
    "rx1day": lambda time, x: np.nanmax(x),
    "rx5day": _five,
    "cdd": lambda time, x: _runs(time, x, lambda value: value < 1.0),
    "cwd": lambda time, x: _runs(time, x, lambda value: value >= 1.0),
    "p98_wet_of_year": lambda time, x: np.quantile(x[x >= 1.0], 0.98) if (x >= 1.0).any() else np.nan,
    "txx": lambda time, x: np.nanmax(x),
    "tnn": lambda time, x: np.nanmin(x),
    "su": lambda time, x: np.mean(x[~np.isnan(x)] > 25.0),
    "fd": lambda time, x: np.mean(x[~np.isnan(x)] < 0.0),
    "mean": lambda time, x: np.nanmean(x),
}


def _expected(name, series, time):
    label = time.astype("datetime64[Y]")
    years = np.unique(label)
    longest = max((label == year).sum() for year in years)
    found = np.full((len(years), CELLS), np.nan)
    for row, year in enumerate(years):
        for cell in range(CELLS):
            days = series[label == year, cell]
            if (~np.isnan(days)).sum() >= 0.9 * longest:
                found[row, cell] = LOOPS[name](time[label == year], days)
    return found


def _cases():
    for name, index in INDICES.items():
        for units in {"precipitation": ("mm d-1",), "temperature": ("degC",)}.get(index.quantity, ("mm d-1", "degC")):
            yield pytest.param(name, units, id=f"{name}-{units}")


@pytest.mark.parametrize(("name", "units"), list(_cases()))
@pytest.mark.parametrize("time", [WHOLE, GAPS], ids=["whole", "gaps"])
def test_they_are_those_of_a_loop(name, units, time):
    series = _rain(time) if quantity(units) == "precipitation" else _heat(time)
    series[60:120, 1] = np.nan  # the first year of this cell has too few days
    found = indices_of_years([name], series, time, units)[name]
    expected = _expected(name, series, time)
    assert np.isnan(expected[0, 1])
    assert not np.isnan(expected[1:]).any()
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("own", "factor", "shift", "units"),
    [("mm d-1", 1 / 86400.0, 0.0, "kg m-2 s-1"), ("degC", 1.0, 273.15, "K")],
)
def test_thresholds_are_of_the_units(own, factor, shift, units):
    series = _rain(WHOLE) if quantity(own) == "precipitation" else _heat(WHOLE)
    series[5] = np.nan  # a value on the threshold may round to either side of it
    names = [name for name, index in INDICES.items() if index.quantity in ("any", quantity(own))]
    plain = indices_of_years(names, series, WHOLE, own)
    other = indices_of_years(names, series * factor + shift, WHOLE, units)
    for name in names:
        scale, offset = (factor, shift) if INDICES[name].units == "target" else (1.0, 0.0)
        np.testing.assert_allclose(other[name], plain[name] * scale + offset, rtol=1e-9)


def test_a_year_without_rain_has_no_mean_wet_day_and_is_dry_all_through():
    dry = np.zeros((len(WHOLE), CELLS))
    found = indices_of_years(["r01", "sdii", "cdd", "cwd", "p98_wet_of_year"], dry, WHOLE, "mm d-1")
    assert np.isnan(found["sdii"]).all()
    assert np.isnan(found["p98_wet_of_year"]).all()
    assert (found["r01"] == 0.0).all()
    assert (found["cwd"] == 0.0).all()
    assert found["cdd"][:, 0].tolist() == [365, 365, 366, 365]


def test_winters_are_years_and_do_not_go_on_with_each_other():
    time = np.concatenate([np.arange(f"{y}-12-01", f"{y + 1}-03-01", dtype="datetime64[D]") for y in range(1990, 1993)])
    dry = np.zeros((len(time), 1))
    assert indices_of_years(["cdd"], dry, time, "mm d-1")["cdd"][:, 0].tolist() == [90, 91, 90]
    part = indices_of_years(["cdd"], dry[31:], time[31:], "mm d-1")["cdd"][:, 0]
    np.testing.assert_array_equal(part, [np.nan, 91, 90])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_strict_arrays_draws_and_parts_of_the_cells_give_the_same(dtype, monkeypatch):
    years = years_of(GAPS)
    for units, series in (("mm d-1", _rain(GAPS)), ("degC", _heat(GAPS))):
        series = series.astype(dtype)
        names = [name for name, index in INDICES.items() if index.quantity in ("any", quantity(units))]
        plain = indices_of_years(names, series, GAPS, units)
        strict = indices_of_years(names, array_api_strict.asarray(series), GAPS, units)
        monkeypatch.setattr("pipeline.metrics.indices._VALUES", 2 * len(GAPS))
        parts = indices_of_years(names, series, GAPS, units)
        monkeypatch.undo()
        valid = np.isfinite(series)
        for name in names:
            assert plain[name].dtype == np.float64
            np.testing.assert_allclose(to_host(strict[name]), plain[name], rtol=1e-12)
            np.testing.assert_array_equal(parts[name], plain[name])
            both = yearly(INDICES[name], np.stack([series, series[:, ::-1]]), valid & valid[:, ::-1], years, units)
            assert both.shape == (2, len(years), CELLS)
            one = yearly(INDICES[name], series, valid & valid[:, ::-1], years, units)
            np.testing.assert_array_equal(both[0], one)


def test_means_over_years_leave_out_years_that_do_not_count():
    values = np.array([[1.0, np.nan], [2.0, np.nan], [6.0, 4.0]])
    np.testing.assert_allclose(mean_of_years(values), [3.0, 4.0])
    counts = np.array([[2.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
    np.testing.assert_allclose(mean_of_years(values, counts), [[8.0 / 3.0, 4.0], [1.5, np.nan]])


def test_a_name_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match=r"^unknown index 'rx1dy'\. Did you mean 'rx1day'\? Known: r01, sdii"):
        indices_of_years(["rx1dy"], _rain(WHOLE), WHOLE, "mm d-1")


def test_a_spell_goes_on_over_a_leap_day_that_the_dates_leave_out():
    """A model's year of 365 days, stored with dates that have leap days: as in the calendar without them."""
    native = np.arange("1980-01-01", "1981-01-01", dtype="datetime64[D]")
    native = native[native != np.datetime64("1980-02-29")]
    plain = np.array([cftime.DatetimeNoLeap(*map(int, str(day).split("-"))) for day in native])
    rain = np.full((365, 1), 5.0)
    rain[39:79] = 0.0  # forty days round the first of March
    for time in (native.astype("datetime64[ns]"), plain):
        assert indices_of_years(["cdd"], rain, time, "mm d-1")["cdd"].tolist() == [[40.0]]
    gap = np.delete(native, 40)  # a day that is missing ends the spell, as ever
    assert indices_of_years(["cdd"], np.delete(rain, 40, 0), gap, "mm d-1")["cdd"].tolist() == [[38.0]]


def test_a_wet_day_has_a_millimetre():
    assert np.nextafter(np.float32(1.0), np.float32(0.0)) > wet_threshold("mm d-1") > 1.0 - 2e-6
    assert wet_threshold("kg m-2 s-1", 20.0) == pytest.approx(20.0 / 86400.0, rel=2e-6)
