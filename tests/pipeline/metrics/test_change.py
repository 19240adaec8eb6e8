import dataclasses

import array_api_strict
import numpy as np
import pytest
import xarray as xr

from pipeline.errors import ConfigError, DataError
from pipeline.grid import Grid
from pipeline.metrics import Case
from pipeline.metrics.change import Changes, change_signals, to_dataset
from pipeline.prediction import Prediction

WEIGHTS = np.array([1.0, 2.0, 0.5, 3.0, 1.5])
CELLS = 5
ASKED = {"model": "unet", "variable": "x", "weights": WEIGHTS, "seed": 0, "resamples": 200}


def _time(start, years):
    return np.arange(f"{start}-01-01", f"{start + years}-01-01", dtype="datetime64[D]")


def _case(start=1961, years=8, *, units="degC", shift=0.0, seed=0, draws=3, truth=True):
    rng = np.random.default_rng(seed)
    time = _time(start, years)
    season = 10.0 * np.sin(2.0 * np.pi * np.arange(len(time)) / 365.25)[:, None]
    if units == "degC":
        real = 15.0 + shift + season + rng.normal(0.0, 3.0, (len(time), CELLS))
        members = real + rng.normal(0.5 * shift, 1.0, (draws, *real.shape))
    else:
        real = (1.0 + shift) * rng.gamma(0.4, 8.0, (len(time), CELLS))
        members = real * rng.uniform(0.8, 1.3, (draws, *real.shape))
    usual = Prediction("point", {"mean": np.zeros_like(real)})
    known = real if truth else np.full_like(real, np.nan)
    return Case(Prediction("members", {"members": members}), known, usual, units=units, time=time)


def _row(changes, name):
    return next(row for row in changes.rows if row.index == name)


def _by_loops(series, time, function):
    """Return the mean over years of a yearly index, by cell."""
    years = time.astype("datetime64[Y]")
    return np.array(
        [np.mean([function(series[years == year, cell]) for year in np.unique(years)]) for cell in range(CELLS)]
    )


def _longest_dry(days):
    return max(map(len, "".join("d" if day < 1.0 else " " for day in days).split()), default=0)


FORMULAS = {
    "degC": {"mean": np.mean, "txx": np.max, "tnn": np.min, "su": lambda x: (x > 25.0).mean()},
    "mm d-1": {
        "mean": np.mean,
        "rx1day": np.max,
        "r01": lambda x: (x >= 1.0).mean(),
        "sdii": lambda x: x[x >= 1.0].mean(),
        "cdd": _longest_dry,
    },
}
PER_CENT = {"mean", "rx1day", "sdii"}


@pytest.mark.parametrize(("units", "shift"), [("degC", 3.0), ("mm d-1", 0.4)])
def test_changes_are_differences_of_the_means_over_years_cell_by_cell(units, shift):
    first, second = _case(units=units), _case(2080, 3, units=units, shift=shift, seed=1)
    found = change_signals(first, second, **ASKED)
    for name, function in FORMULAS[units].items():
        expected = {}
        for kind in ("truth", "prediction"):
            means = []
            for case in (first, second):
                series = [case.truth] if kind == "truth" else case.draws
                means.append(np.mean([_by_loops(one, case.time, function) for one in series], axis=0))
            per_cent = units == "mm d-1" and name in PER_CENT
            expected[kind] = 100.0 * (means[1] / means[0] - 1.0) if per_cent else means[1] - means[0]
        field, row = found.fields[name], _row(found, name)
        np.testing.assert_allclose(field.prediction, expected["prediction"], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(field.truth, expected["truth"], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(field.error, field.prediction - field.truth, rtol=1e-12)
        for value, cells in ((row.value, field.prediction), (row.truth, field.truth), (row.error, np.abs(field.error))):
            assert value == pytest.approx(np.average(cells, weights=WEIGHTS), rel=1e-9)
        assert (row.model, row.variable, row.n_years_first, row.n_years_second) == ("unet", "x", 8, 3)


def test_units_say_what_is_a_share_and_what_is_not():
    rain = change_signals(_case(units="mm d-1"), _case(2080, units="mm d-1"), **ASKED)
    heat = change_signals(_case(), _case(2080), **ASKED)
    wet = {row.index: row.units for row in rain.rows}
    assert {name: wet[name] for name in ("r01", "sdii", "rx1day", "rx5day", "cdd", "cwd", "mean")} == {
        "r01": "1", "sdii": "%", "rx1day": "%", "rx5day": "%", "cdd": "d", "cwd": "d", "mean": "%",
    }  # fmt: skip
    assert not {row.index for row in heat.rows} & set(wet) - {"mean"}
    assert {row.index: row.units for row in heat.rows if row.index in ("txx", "tnn", "su", "mean")} == {
        "txx": "K",
        "tnn": "K",
        "su": "1",
        "mean": "K",
    }


def test_of_values_that_are_not_daily_only_the_mean_changes():
    first, second = (_case(start, 40).select(np.arange(0, 14600, 365), -2) for start in (1961, 2061))
    assert [row.index for row in change_signals(first, second, **ASKED).rows] == ["mean"]


def test_a_period_and_itself_do_not_differ():
    case = _case()
    found = change_signals(case, case, **ASKED)
    for row in found.rows:
        assert (row.value, row.truth, row.error) == (0.0, 0.0, 0.0)
        assert row.low <= 0.0 <= row.high


def test_intervals_are_of_years_drawn_independently():
    years = 30
    first, second = (_case(start, years, seed=seed, draws=1) for start, seed in ((1961, 0), (2061, 1)))
    rng = np.random.default_rng(2)
    for case in (first, second):
        level = rng.normal(0.0, 2.0, years)[
            case.time.astype("datetime64[Y]").astype(int) - case.time[0].astype("datetime64[Y]").astype(int)
        ]
        case.prediction.parameters["members"][0] += level[:, None]
    found = change_signals(first, second, **{**ASKED, "resamples": 2000}, indices=("mean",)).rows[0]
    spread = []
    for case in (first, second):
        area = np.average(case.draws[0], axis=1, weights=WEIGHTS)
        means = [
            area[case.time.astype("datetime64[Y]") == year].mean()
            for year in np.unique(case.time.astype("datetime64[Y]"))
        ]
        spread.append(np.std(means) ** 2 / years)
    assert found.high - found.low == pytest.approx(2.0 * 1.96 * np.sqrt(sum(spread)), rel=0.08)
    assert found.low < found.value < found.high


def test_without_truth_the_prediction_alone_changes():
    first, second = _case(), _case(2080, shift=2.0, truth=False)
    found = change_signals(first, second, **ASKED)
    whole = change_signals(first, dataclasses.replace(second, truth=second.draws[0]), **ASKED)
    for row, other in zip(found.rows, whole.rows, strict=True):
        assert row.value == pytest.approx(other.value, rel=1e-12)
        assert np.isnan([row.truth, row.error]).all()
        assert np.isfinite([other.truth, other.error]).all()
        assert found.fields[row.index].truth is None
        assert found.fields[row.index].error is None


def test_days_without_truth_do_not_count_where_there_is_some():
    first, second = _case(), _case(2080)
    gaps = np.random.default_rng(3).random(first.truth.shape) < 0.05
    first.truth[gaps] = np.nan
    plain = change_signals(first, second, **ASKED)
    first.prediction.parameters["members"][:, gaps] = 999.0
    assert change_signals(first, second, **ASKED).rows == plain.rows


def test_broken_years_do_not_count():
    first, second = _case(), _case(2080)
    longer = np.concatenate([first.time, np.arange("1969-01-01", "1969-06-01", dtype="datetime64[D]")])
    more = len(longer) - len(first.time)
    extended = dataclasses.replace(
        first,
        prediction=first.prediction.map(lambda x: np.concatenate([x, np.full((3, more, CELLS), 50.0)], axis=1)),
        truth=np.concatenate([first.truth, np.full((more, CELLS), 50.0)]),
        climatology=first.climatology.map(lambda x: np.concatenate([x, np.zeros((more, CELLS))])),
        time=longer,
    )
    assert change_signals(extended, second, **ASKED).rows == change_signals(first, second, **ASKED).rows


def test_a_share_of_nothing_is_left_out_of_map_and_mean():
    first, second = _case(units="mm d-1", draws=1), _case(2080, units="mm d-1", draws=1)
    first.prediction.parameters["members"][:, :, 1] = 0.0
    found = change_signals(first, second, **ASKED, indices=["mean"])
    cells = found.fields["mean"].prediction
    assert np.isnan(cells[1])
    rest = [0, 2, 3, 4]
    assert found.rows[0].value == pytest.approx(np.average(cells[rest], weights=WEIGHTS[rest]))


def test_cells_are_resampled_in_parts(monkeypatch):
    pair = _case(), _case(2080, shift=1.0)
    whole = change_signals(*pair, **ASKED).rows
    monkeypatch.setattr("pipeline.metrics.change._VALUES", 400)
    for row, expected in zip(change_signals(*pair, **ASKED).rows, whole, strict=True):
        assert [row.low, row.high] == pytest.approx([expected.low, expected.high], rel=1e-9)


@pytest.mark.parametrize("kind", ["strict", "backend"])
def test_other_kinds_of_arrays_give_the_same(kind, backend):
    place = array_api_strict.asarray if kind == "strict" else backend.asarray
    pair = _case(), _case(2080, shift=1.0)
    moved = [
        dataclasses.replace(
            case,
            prediction=case.prediction.map(place),
            truth=place(case.truth),
            climatology=case.climatology.map(place),
        )
        for case in pair
    ]
    for row, expected in zip(change_signals(*moved, **ASKED).rows, change_signals(*pair, **ASKED).rows, strict=True):
        assert dataclasses.astuple(row)[3:8] == pytest.approx(dataclasses.astuple(expected)[3:8], rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"units": "K"}, r"expected both periods of x in 'degC', got 'K' in the second"),
        ({"time": None}, r"expected the times of x in the second period, one for each of its 2922 values, got 0"),
    ],
)
def test_periods_must_fit(changed, message):
    with pytest.raises(DataError, match=message):
        change_signals(_case(), dataclasses.replace(_case(), **changed), **ASKED)


def test_cells_must_fit_and_names_be_known():
    with pytest.raises(DataError, match=r"expected both periods of x on 2 cells, got \[5, 5\]"):
        change_signals(_case(), _case(), **{**ASKED, "weights": np.ones(2)})
    with pytest.raises(ConfigError, match=r"unknown index 'rx1dy'.*rx1day.*Known: r01"):
        change_signals(_case(), _case(), **ASKED, indices=["rx1dy"])


def test_a_period_without_any_day_is_refused():
    with pytest.raises(DataError, match=r"expected the times of x in the second period.*its 0 values, got 0"):
        change_signals(_case(), _case().select(slice(0, 0), -2), **ASKED)


def test_an_index_without_a_value_is_nan():
    dry = _case(units="mm d-1", draws=1)
    dry.prediction.parameters["members"][:] = 0.0
    row = change_signals(dry, _case(units="mm d-1"), **ASKED, indices=["sdii"]).rows[0]
    assert np.isnan([row.value, row.low, row.high, row.error]).all()
    assert np.isfinite(row.truth)


def test_maps_as_a_dataset(tmp_path):
    mask = np.array([[True, True, False], [True, True, True]])
    grid = Grid(np.array([40.0, 41.0]), np.array([-5.0, -4.0, -3.0]))
    found = change_signals(_case(), _case(2080, shift=2.0), **ASKED, indices=["txx", "mean"])
    bare = Changes(found.rows, {"mean": dataclasses.replace(found.fields["mean"], truth=None, error=None)})
    dataset = to_dataset(
        {"tasmax": found, "tas": bare}, model="unet", first="past", second="future", grid=grid, mask=mask
    )
    dataset.to_netcdf(tmp_path / "c.nc", engine="netcdf4")
    read = xr.load_dataset(tmp_path / "c.nc")
    names = {f"tasmax_{name}_change{kind}" for name in ("txx", "mean") for kind in ("", "_truth", "_error")}
    assert set(read.data_vars) == names | {"tas_mean_change"}
    values = read["tasmax_txx_change_error"]
    np.testing.assert_array_equal(values.to_numpy()[mask], found.fields["txx"].error.astype(np.float32))
    assert np.isnan(values.to_numpy()[~mask]).all()
    assert (values.dims, values.attrs["units"]) == (("lat", "lon"), "K")
    assert values.attrs["long_name"] == "predicted less true change of hottest day of the year: tasmax"
    assert (read.attrs["first"], read.attrs["second"]) == ("past", "future")
