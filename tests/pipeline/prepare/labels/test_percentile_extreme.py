"""Heat and cold extremes by percentile."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from pipeline.errors import ConfigError
from pipeline.grid import Grid
from pipeline.prepare.labels import make_label
from pipeline.prepare.splits import TimeSplit

GRID = Grid(np.array([40.0]), np.array([0.0, 1.0, 2.0]))


@pytest.fixture
def world():
    time = np.arange("1990-01-01", "2000-01-01", dtype="datetime64[D]").astype("datetime64[ns]")
    values = np.random.default_rng(4).normal(size=(len(time), 1, 3))
    for day in range(1, len(time)):
        values[day] += 0.7 * values[day - 1]
    return time, values.astype(np.float32)


@pytest.mark.parametrize(("side", "percentile"), [("above", 90.0), ("below", 10.0), ("above", 50.0)])
def test_days_past_the_percentile_of_their_date(world, train_until, side, percentile):
    time, values = world
    train = train_until(time, "1990", "1997")
    label = make_label({"kind": "percentile_extreme", "side": side, "percentile": percentile, "window": 5})
    label.fit(values, time, train, GRID, units="K")
    found, past = label.label(values, time, GRID), label.intensity(values, time, GRID)
    for day in (np.datetime64("1993-06-15"), np.datetime64("1999-10-03")):
        years = range(1990, 1998)
        around = [np.datetime64(f"{year}-{str(day)[5:]}") + shift for year in years for shift in range(-2, 3)]
        pool = values[np.isin(time.astype("datetime64[D]"), around), 0].astype(float)
        assert len(pool) == 40
        limit, here = np.percentile(pool, percentile, axis=0), np.flatnonzero(time.astype("datetime64[D]") == day)[0]
        wanted = values[here, 0] > limit if side == "above" else values[here, 0] < limit
        np.testing.assert_array_equal(found[here, 0], wanted)
        np.testing.assert_allclose(np.abs(past[here, 0]), np.abs(values[here, 0] - limit), atol=1e-6)
    share = percentile / 100 if side == "below" else 1 - percentile / 100
    assert found[train.index].mean() == pytest.approx(share, abs=0.005)
    assert (past[found == 1] > 0).all()


def test_spells_are_days_in_a_row(world, train_until):
    time, values = world
    train = train_until(time, "1990", "1997")
    days, spells = (
        make_label({"kind": "percentile_extreme", "min_days": least}).fit(values, time, train, GRID, units="K")
        for least in (1, 3)
    )
    one, three = (label.label(values, time, GRID)[:, 0, 0] for label in (days, spells))
    padded = np.concatenate([[0.0, 0.0], one, [0.0, 0.0]])
    wanted = [
        padded[k + 2] == 1
        and max(padded[k : k + 3].sum(), padded[k + 1 : k + 4].sum(), padded[k + 2 : k + 5].sum()) == 3
        for k in range(len(one))
    ]
    np.testing.assert_array_equal(three, wanted)
    assert 0 < three.mean() < one.mean()


def test_the_class_has_the_name_it_is_given():
    assert make_label({"kind": "percentile_extreme", "name": "cold"}).classes == ("background", "cold")
    message = r"^label 'percentile_extreme': name: expected a name for the class of the events, got 'background', which"
    with pytest.raises(ConfigError, match=message):
        make_label({"kind": "percentile_extreme", "name": "background"})
    with pytest.raises(
        ConfigError, match=r"^label 'percentile_extreme': side: input should be 'above' or 'below', got"
    ):
        make_label({"kind": "percentile_extreme", "side": "left"})


@pytest.mark.real
@pytest.mark.parametrize(("side", "percentile"), [("above", 90.0), ("below", 10.0)])
def test_a_tenth_of_iberian_winter_days_is_extreme(real_data, side, percentile):
    data = xr.open_dataset(real_data / "iberia-downscaling" / "eobs_tas.nc")
    time, values, grid = data.time.values, data.tas.transpose("time", "lat", "lon").values, Grid.of(data)
    split = TimeSplit(
        ("1982-12-01", "1996-02-29"), ("1996-12-01", "1997-02-28"), {"test": ("1997-12-01", "2002-02-28")}
    )
    train = split.train_split(time)
    label = make_label({"kind": "percentile_extreme", "side": side, "percentile": percentile})
    found = label.fit(values, time, train, grid, units="degC").label(values, time, grid)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(values))
    # Strictly past a percentile of hundredths of a degree, with ties on it: a little less than a tenth.
    assert np.nanmean(found[train.index]) == pytest.approx(0.099, abs=0.002)
    later = np.nanmean(found[split.select("test", time)])
    assert 0.08 < later < 0.16  # other winters, warmer ones
    days = pd.DatetimeIndex(time)
    leap = (days.month == 2) & (days.day == 29)
    assert leap.sum() == 5
    assert np.isfinite(found[leap][np.isfinite(values[leap])]).all()  # 1 March is in no winter
