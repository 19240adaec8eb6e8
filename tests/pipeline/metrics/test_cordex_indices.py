"""The benchmark's diagnostics against loops over days, years and cells, and each mended fault."""

from __future__ import annotations

import time as clock

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

from pipeline.errors import ConfigError, DataError
from pipeline.metrics.cordex_indices import INDICES, index, summary

MONTHS = {"DJF": (12, 1, 2), "MAM": (3, 4, 5), "JJA": (6, 7, 8), "SON": (9, 10, 11)}


def days(start="2001-01-01", end="2003-12-31"):
    return pd.date_range(start, end, unit="ns")


def field(name="tasmax", time=None, shape=(2, 3), seed=0, members=None):
    time = days() if time is None else time
    rng = np.random.default_rng(seed)
    size = (*(() if members is None else (members,)), len(time), *shape)
    values = 299 + 8 * rng.standard_normal(size) if name == "tasmax" else np.maximum(rng.gamma(0.4, 6, size) - 0.6, 0)
    dims = (*(() if members is None else ("member",)), "time", "lat", "lon")
    coords = {"time": time, "lat": np.linspace(-40, -38, shape[0]), "lon": np.linspace(170, 173, shape[1])}
    return xr.DataArray(values, coords, dims, name, {"units": "K" if name == "tasmax" else "mm d-1"})


def longest(flags):
    best = run = 0
    for flag in flags:
        run = run + 1 if flag else 0
        best = max(best, run)
    return best


def expected(name, data, season=None):
    """The definition, cell by cell and year by year, with pandas."""
    frame = data.stack(cell=("lat", "lon")).to_pandas()
    if season:
        frame = frame[frame.index.month.isin(MONTHS[season])]
    year = frame.index.year + ((frame.index.month == 12) if season == "DJF" else 0)
    count = pd.Series(1, frame.index).groupby(year).sum()
    whole = count.index[count >= 0.9 * count.max()]
    answers = []
    for cell in frame:
        series = frame[cell]
        parts = [series[year == y] for y in whole]
        pairs = [
            (b, a) for (d, a), (e, b) in zip(series.items(), series.iloc[1:].items(), strict=False) if (e - d).days == 1
        ]
        answers.append(
            {
                "mean": lambda s=series: s.mean(),
                "q02": lambda s=series: np.quantile(s, 0.02),
                "q98": lambda s=series: np.quantile(s, 0.98),
                "q99": lambda s=series: np.quantile(s, 0.99),
                "su": lambda p=parts: np.mean([(one > 300).sum() for one in p]),
                "txx": lambda p=parts: np.mean([one.max() for one in p]),
                "txn": lambda p=parts: np.mean([one.min() for one in p]),
                "rx1day": lambda p=parts: np.mean([one.max() for one in p]),
                "sdii": lambda s=series: s[s >= 1].mean(),
                "cdd": lambda p=parts: np.mean([longest(one < 1) for one in p]),
                "cwd": lambda p=parts: np.mean([longest(one >= 1) for one in p]),
                "lag1_corr": lambda q=pairs: np.corrcoef(np.array(q).T)[0, 1],
                "interannual_var": lambda p=parts: np.std([one.mean() for one in p]),
            }[name]()
        )
    return np.array(answers).reshape(data.sizes["lat"], data.sizes["lon"])


CASES = [
    (name, variable)
    for name, spec in INDICES.items()
    for variable in ([spec.variable] if spec.variable else ["tasmax", "pr"])
]


@pytest.mark.parametrize(("name", "variable"), CASES)
@pytest.mark.parametrize("season", [None, "DJF", "JJA"])
def test_indices_are_what_loops_over_cells_say(name, variable, season):
    data = field(variable)
    np.testing.assert_allclose(index(name, data, season), expected(name, data, season), rtol=1e-12)


def test_every_official_index_is_there():
    official = {"mean", "su", "txx", "txn", "rx1day", "sdii", "cdd", "cwd", "lag1_corr", "interannual_var"}
    assert official <= set(INDICES)


@pytest.mark.parametrize("season", [None, "DJF"])
def test_a_spell_ends_with_its_season_and_where_days_are_missing(season):
    """All dry: joined winters, or years, would give one spell of all days."""
    data = xr.zeros_like(field("pr"))
    longest_expected = {None: 365.0, "DJF": 90.0}[season]
    assert index("cdd", data, season) == pytest.approx(longest_expected)
    assert index("cwd", data, season) == pytest.approx(0.0)
    part = data.sel(time=~((data["time.month"] == 7) & (data["time.day"] == 1)))  # a day is lost
    assert index("cdd", part) == pytest.approx(184 - 1)


def test_the_hole_between_two_periods_is_neither_a_spell_nor_a_year():
    """The emulator's 1961-1980 and 2080-2099."""
    time = days("1961-01-01", "1962-12-31").append(days("2081-01-01", "2082-12-31"))
    data = xr.zeros_like(field("pr", time))
    assert index("cdd", data) == pytest.approx(365.0)
    warm = field("tasmax", time)
    np.testing.assert_allclose(index("lag1_corr", warm), expected("lag1_corr", warm), rtol=1e-12)
    np.testing.assert_allclose(index("interannual_var", warm), expected("interannual_var", warm), rtol=1e-12)


def test_february_goes_on_with_march_where_leap_days_are_left_out():
    time = days("2004-01-01", "2004-12-31")
    time = time[~((time.month == 2) & (time.day == 29))]
    assert index("cdd", xr.zeros_like(field("pr", time))) == pytest.approx(365.0)
    own = xr.date_range("2004-01-01", periods=365, calendar="noleap", use_cftime=True)
    assert index("cdd", xr.zeros_like(field("pr", own))) == pytest.approx(365.0)


def test_winters_without_all_their_months_are_left_out():
    data = xr.full_like(field("pr"), 2.0)
    data[data["time"].values < np.datetime64("2001-03-01")] = 50.0  # January and February of a winter that began before
    assert index("rx1day", data, "DJF") == pytest.approx(2.0)
    assert index("rx1day", data) == pytest.approx((50 + 2 + 2) / 3)


def test_missing_values_are_left_out_and_not_taken_for_zero():
    data = field("pr")
    some = data.copy()
    some[100:140, 0, 0] = np.nan
    some[:, 1, 1] = np.nan
    for name in ("mean", "q98", "sdii", "rx1day", "cdd", "cwd", "lag1_corr", "interannual_var"):
        found = index(name, some)
        assert np.isnan(found[1, 1]), name
        assert np.isfinite(found[0, 0]), name
    values = data.values[:, 0, 0][np.r_[0:100, 140 : len(data)]]
    assert index("mean", some)[0, 0] == pytest.approx(values.mean())
    assert index("q98", some)[0, 0] == pytest.approx(np.quantile(values, 0.98))
    dry = xr.zeros_like(data)
    dry[100] = np.nan
    assert index("cdd", dry)[0, 0] == pytest.approx((264 + 365 + 365) / 3)


def test_of_members_the_index_is_the_mean_and_not_that_of_the_mean():
    data = field("pr", members=3)
    each = [index("rx1day", data.isel(member=n)) for n in range(3)]
    np.testing.assert_allclose(index("rx1day", data), np.mean(each, axis=0))
    assert (index("rx1day", data) > index("rx1day", data.mean("member", keep_attrs=True))).all()


def test_units_are_converted():
    data = field()
    celsius = (data - 273.15).assign_attrs(units="degC")
    np.testing.assert_allclose(index("txx", celsius), index("txx", data), rtol=1e-9)
    np.testing.assert_allclose(index("su", celsius), index("su", data))


def pair(members=None):
    truth = xr.Dataset({name: field(name, shape=(8, 8), seed=n) for n, name in enumerate(("tasmax", "pr"))})
    prediction = xr.Dataset(
        {name: field(name, shape=(8, 8), seed=7 + n, members=members) for n, name in enumerate(("tasmax", "pr"))}
    )
    return truth, prediction


def row(table, name, variable):
    return table.set_index(["index", "variable"]).loc[(name, variable)]


def test_a_perfect_prediction_has_no_fault():
    truth, _ = pair()
    table = summary(truth, truth)
    same = table.dropna(subset=["bias"])
    assert len(same) == 20
    assert (same["abs_bias"] == 0).all()
    np.testing.assert_allclose(same["ratio"][same["truth"] != 0], 1.0)
    assert np.isnan(row(table, "q02", "pr")["ratio"])  # two days in a hundred are dry: nothing to divide by
    for name in ("rmse", "ralsd", "wasserstein", "wasserstein_pooled"):
        for variable in ("tasmax", "pr"):
            assert row(table, name, variable)["prediction"] == 0.0


def test_the_summary_holds_means_over_cells_of_biases():
    truth, prediction = pair()
    table = summary(truth, prediction, "JJA")
    one, other = (expected("txx", data["tasmax"], "JJA") for data in (truth, prediction))
    found = row(table, "txx", "tasmax")
    assert found["truth"] == pytest.approx(one.mean())
    assert found["bias"] == pytest.approx((other - one).mean())
    assert found["abs_bias"] == pytest.approx(np.abs(other - one).mean())
    assert found["ratio"] == pytest.approx(other.mean() / one.mean())
    assert found["units"] == "K"


def test_scores_of_both_are_what_others_say():
    truth, prediction = pair()
    table = summary(truth, prediction)
    for variable in ("tasmax", "pr"):
        one, other = truth[variable].values, prediction[variable].values
        assert row(table, "rmse", variable)["prediction"] == pytest.approx(np.sqrt(np.mean((one - other) ** 2)))
        pooled = stats.wasserstein_distance(one.ravel(), other.ravel())
        assert row(table, "wasserstein_pooled", variable)["prediction"] == pytest.approx(pooled)
        cells = [stats.wasserstein_distance(one[:, i, j], other[:, i, j]) for i in range(8) for j in range(8)]
        assert row(table, "wasserstein", variable)["prediction"] == pytest.approx(np.mean(cells))
    joint = [
        [
            np.corrcoef(data["tasmax"].values[:, i, j], data["pr"].values[:, i, j])[0, 1]
            for i in range(8)
            for j in range(8)
        ]
        for data in (truth, prediction)
    ]
    assert row(table, "correlation", "tasmax;pr")["abs_bias"] == pytest.approx(np.abs(np.subtract(*joint)).mean())


def test_the_spectral_distance_has_its_root():
    """Twice the amplitude at every wavelength is 10 log10(4) dB; its square, the benchmark's number, is 36."""
    truth, _ = pair()
    double = (truth - truth.mean(("lat", "lon"))) * 2 + truth.mean(("lat", "lon"))
    for name in double:
        double[name].attrs = truth[name].attrs
    table = summary(truth, double)
    for variable in ("tasmax", "pr"):
        found = row(table, "ralsd", variable)
        assert found["prediction"] == pytest.approx(10 * np.log10(4.0))
        assert found["units"] == "dB"


def test_the_spectrum_is_centred_on_the_transforms_mean():
    """A field with one wave along each diagonal differs from its mirror image only if the rings are off centre."""
    rows, columns = np.meshgrid(np.arange(8), np.arange(8), indexing="ij")
    wave = np.cos(2 * np.pi * (rows + 2 * columns) / 8)
    base = field(shape=(8, 8), time=days("2001-01-01", "2001-12-31"))
    base = base.assign_coords(lat=np.linspace(-3.5, 3.5, 8), lon=np.linspace(0, 7, 8))
    one = base.copy(data=np.broadcast_to(290 + wave, base.shape))
    other = base.copy(data=np.broadcast_to(290 + wave[:, ::-1], base.shape))
    table = summary(xr.Dataset({"tasmax": one}), xr.Dataset({"tasmax": other}))
    assert row(table, "ralsd", "tasmax")["prediction"] == pytest.approx(0.0, abs=1e-9)


def test_members_are_scored_one_by_one():
    truth, prediction = pair(members=2)
    table = summary(truth, prediction)
    each = [summary(truth, prediction.isel(member=n)) for n in range(2)]
    for name in ("txx", "wasserstein", "ralsd"):
        values = [row(one, name, "tasmax")["prediction"] for one in each]
        assert row(table, name, "tasmax")["prediction"] == pytest.approx(np.mean(values))
    squares = [row(one, "rmse", "tasmax")["prediction"] ** 2 for one in each]
    assert row(table, "rmse", "tasmax")["prediction"] == pytest.approx(np.sqrt(np.mean(squares)))


def test_many_cells_take_a_tenth_of_the_time_of_a_loop_over_them():
    data = field("pr", days("2001-01-01", "2004-12-31"), shape=(40, 40))
    index("cdd", data[:, :2, :2])  # what is made once
    begun = clock.perf_counter()
    expected("cdd", data[:, :2, :2])
    loop = (clock.perf_counter() - begun) / 4
    begun = clock.perf_counter()
    index("cdd", data)
    assert clock.perf_counter() - begun < loop * 1600 / 10


def test_what_cannot_be_compared_is_refused():
    truth, prediction = pair()
    with pytest.raises(ConfigError, match=r"unknown index 'txxx'. Did you mean 'txx'\? Known: mean"):
        index("txxx", truth["tasmax"])
    with pytest.raises(ConfigError, match=r"unknown season 'winter'. Known: DJF, MAM"):
        index("mean", truth["tasmax"], "winter")
    with pytest.raises(DataError, match=r"expected 'pr' for the index 'cdd', got 'tasmax'"):
        index("cdd", truth["tasmax"])
    with pytest.raises(DataError, match=r"expected days in DJF, got none among 92 times"):
        index("mean", truth["tasmax"].sel(time=slice("2001-06-01", "2001-08-31")), "DJF")
    with pytest.raises(DataError, match=r"tasmax: expected truth and prediction at the same times and cells"):
        summary(truth, prediction.isel(time=slice(1, None)))
    with pytest.raises(DataError, match=r"expected a prediction of 'pr', got tasmax"):
        summary(truth, prediction[["tasmax"]])
    with pytest.raises(DataError, match=r"expected the variables tasmax and pr, got 'tas'"):
        summary(truth.rename(tasmax="tas"), prediction)
