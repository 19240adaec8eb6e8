import json
import tracemalloc
import weakref

import array_api_strict
import cftime
import numpy as np
import pytest
import xarray as xr

from pipeline.errors import DataError
from pipeline.grid import Grid
from pipeline.prediction import FAMILIES, Prediction
from pipeline.prediction.serial import (
    QUANTILES,
    Forecast,
    Variable,
    from_dataset,
    names_of_variables,
    read,
    write_forecasts,
)

GRID = Grid(np.array([40.0, 41.0, 42.0]), np.array([-5.0, -4.0]))
VARIABLES = (Variable("tas", "degC", "air_temperature"), Variable("pr", "mm day-1", long_name="precipitation"))
DAYS = np.datetime64("1997-12-01", "ns") + np.arange(6) * np.timedelta64(1, "D")


@pytest.fixture
def make_forecast(make_prediction, truth):
    """Factory of forecasts of six days, two targets and 3 x 2 cells, the first cell outside the mask."""

    def make(family, split="test", time=DAYS, known=True, **options):
        prediction = make_prediction(family, dtype=np.float32, **options).map(np.copy)
        for values in prediction.parameters.values():
            values[..., 0, 0] = np.nan
        return Forecast(split, time, prediction, truth.astype(np.float32) if known else None)

    return make


def _write(path, *forecasts, grid=GRID, variables=VARIABLES):
    write_forecasts(path, iter(forecasts), model="m", variables=variables, grid=grid)
    return path


def _file(tmp_path, *forecasts, grid=GRID):
    return read(_write(tmp_path / "m.nc", *forecasts, grid=grid))


@pytest.mark.parametrize("family", FAMILIES.names())
def test_every_family_comes_back_bit_for_bit(family, tmp_path, make_forecast):
    later = DAYS + np.timedelta64(400, "D")
    written = (make_forecast(family), make_forecast(family, "late", later, known=False, seed=4))
    found = from_dataset(_file(tmp_path, *written))
    assert [forecast.split for forecast in found] == ["test", "late"]
    for before, after in zip(written, found, strict=True):
        np.testing.assert_array_equal(after.time, before.time)
        assert after.prediction.family == family
        assert set(after.prediction.parameters) == set(before.prediction.parameters)
        for name, values in before.prediction.parameters.items():
            assert after.prediction.parameters[name].dtype == np.float32
            np.testing.assert_array_equal(after.prediction.parameters[name], values)
    np.testing.assert_array_equal(found[0].truth, written[0].truth)
    assert found[1].truth is None


def found_of(dataset, label):
    """Return one statistic of both variables, shape (time, target, lat, lon)."""
    return np.stack([dataset[f"{name}_{label}"].to_numpy() for name in ("tas", "pr")], axis=1)


def test_the_file_holds_what_a_reader_without_this_code_needs(tmp_path, make_forecast):
    forecast = make_forecast("mixture")
    found = _file(tmp_path, forecast)
    assert found.attrs["Conventions"] == "CF-1.11"
    assert found.attrs["family"] == "mixture"
    assert names_of_variables(found) == ("tas", "pr")
    for target, name in enumerate(("tas", "pr")):
        p = forecast.prediction
        aleatoric, epistemic = p.variances()
        expected = {
            name: p.mean(),
            f"{name}_truth": forecast.truth,
            f"{name}_aleatoric": aleatoric,
            f"{name}_epistemic": epistemic,
            **{f"{name}_{label}": p.quantile(level) for label, level in QUANTILES.items()},
        }
        for label, values in expected.items():
            assert found[label].dims == ("time", "lat", "lon")
            np.testing.assert_array_equal(found[label], values[:, target])
        assert found[f"{name}_member"].dims == ("member", "time", "lat", "lon")
        np.testing.assert_array_equal(found[f"{name}_member"], p.parameters["mean"][:, :, target])
    shares = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}
    for label, share in shares.items():
        reached = forecast.prediction.cdf(found_of(found, label))
        assert np.isfinite(reached).sum() > 10
        np.testing.assert_allclose(reached[np.isfinite(reached)], share, atol=1e-5)
    assert found["tas"].attrs["standard_name"] == "air_temperature"
    assert found["tas"].attrs["units"] == "degC"
    assert found["tas_aleatoric"].attrs["units"] == "K2"
    assert "standard_name" not in found["tas_aleatoric"].attrs
    assert found["pr"].attrs["long_name"] == "mean of the predicted precipitation"
    assert found["lat"].attrs["units"] == "degrees_north"
    assert set(found["tas"].attrs["ancillary_variables"].split()) <= set(found.data_vars)


def test_fields_are_compressed_and_a_point_forecast_has_no_error_bars(tmp_path, make_forecast):
    found = _file(tmp_path, make_forecast("point"))
    assert found["tas"].encoding["zlib"]
    assert set(found.data_vars) == {"tas", "tas_truth", "pr", "pr_truth"}


def test_pieces_in_time_give_the_same(tmp_path, make_forecast, monkeypatch):
    whole = _file(tmp_path, make_forecast("mixture"))
    monkeypatch.setattr("pipeline.prediction.serial.writing._BLOCK", 1)
    xr.testing.assert_identical(_file(tmp_path, make_forecast("mixture")), whole)


def test_written_again_it_is_the_same_file(tmp_path, make_forecast):
    one, two = (_write(tmp_path / name, make_forecast("mixture")).read_bytes() for name in ("one.nc", "two.nc"))
    assert one == two


def test_parameters_say_what_they_are(tmp_path, make_forecast):
    found = _file(tmp_path, make_forecast("bernoulli_gamma_mixture"))
    units = {name: found[f"pr_param_{name}"].attrs["units"] for name in ("wet", "shape", "scale")}
    assert units == {"wet": "1", "shape": "1", "scale": "mm day-1"}
    assert found["pr_param_wet"].dims == ("member", "time", "lat", "lon")
    assert found["pr_member"].attrs["units"] == "mm day-1"
    product = found["pr_param_wet"] * found["pr_param_shape"] * found["pr_param_scale"]
    np.testing.assert_allclose(found["pr_member"], product, rtol=1e-6)
    single = _file(tmp_path, make_forecast("bernoulli_gamma"))
    assert single["pr_param_wet"].dims == ("time", "lat", "lon")
    assert single["pr"].attrs["parameters"] == "wet: pr_param_wet shape: pr_param_shape scale: pr_param_scale"
    normal = _file(tmp_path, make_forecast("normal"))
    assert normal["tas"].attrs["parameters"] == "mean: tas sd: tas_param_sd"


def test_projected_grids_and_other_calendars_come_back(tmp_path, make_forecast):
    lat, lon = np.meshgrid(np.linspace(40, 42, 3), np.linspace(-5, -4, 2), indexing="ij")
    days = np.array(
        [
            cftime.DatetimeNoLeap(2000, 2, 26 + day) if day < 3 else cftime.DatetimeNoLeap(2000, 3, day - 2)
            for day in range(6)
        ]
    )
    found = _file(tmp_path, make_forecast("normal", time=days), grid=Grid(lat, lon, ("y", "x")))
    assert found["tas"].dims == ("time", "y", "x")
    np.testing.assert_array_equal(found["lat"], lat)
    np.testing.assert_array_equal(from_dataset(found)[0].time, days)


def test_stations_have_one_dim_in_files(tmp_path):
    names = ("Braganca", "Lisboa", "Madrid")
    grid = Grid(np.array([[41.8, 38.7, 40.4]]), np.array([[-6.7, -9.1, -3.7]]), ("row", "station"), names)
    values = np.random.default_rng(0).normal(size=(4, 6, 2, 1, 3)).astype(np.float32)
    forecast = Forecast("test", DAYS, Prediction("members", {"members": values}), values[0])
    found = _file(tmp_path, forecast, grid=grid)
    assert found["tas"].dims == ("time", "station")
    assert found["tas_member"].dims == ("member", "time", "station")
    assert tuple(found["station"].values) == names
    assert found["lat"].dims == ("station",)
    assert found["station"].attrs["cf_role"] == "timeseries_id"
    (back,) = from_dataset(found)
    np.testing.assert_array_equal(back.prediction.parameters["members"], values)
    np.testing.assert_array_equal(back.truth, values[0])


def test_arrays_on_a_device_are_written_block_by_block(tmp_path, make_forecast):
    there = make_forecast("bernoulli_gamma_mixture")
    device = Forecast("test", DAYS, there.prediction.map(array_api_strict.asarray), there.truth)
    xr.testing.assert_identical(_file(tmp_path, device), _file(tmp_path, there))


def test_one_split_at_a_time_is_in_memory(tmp_path, make_forecast):
    alive = weakref.WeakSet()

    def told():
        for number in range(4):
            assert not alive
            forecast = make_forecast("normal", f"test{number}")
            alive.add(forecast)
            yield forecast
            del forecast

    write_forecasts(tmp_path / "m.nc", told(), model="m", variables=VARIABLES, grid=GRID)
    assert [forecast.split for forecast in from_dataset(read(tmp_path / "m.nc"))] == [f"test{n}" for n in range(4)]


def test_memory_holds_a_block_beside_the_prediction(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.prediction.serial.writing._BLOCK", 2**16)
    days = np.datetime64("1997-01-01", "ns") + np.arange(300) * np.timedelta64(1, "D")
    grid = Grid(np.linspace(40.0, 45.0, 40), np.linspace(-5.0, 0.0, 50))
    values = np.random.default_rng(0).normal(size=(5, 300, 1, 40, 50)).astype(np.float32)
    forecast = Forecast("test", days, Prediction("members", {"members": values}), None)
    _write(tmp_path / "m.nc", forecast.rows(0, 2), grid=grid, variables=VARIABLES[:1])  # imports
    tracemalloc.start()
    try:
        _write(tmp_path / "m.nc", forecast, grid=grid, variables=VARIABLES[:1])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The members in float64 are 24 MB, all fields 32 MB; a block of them half a megabyte, times what is made of it.
    assert peak < 8e6
    np.testing.assert_array_equal(from_dataset(read(tmp_path / "m.nc"))[0].prediction.parameters["members"], values)


def test_a_split_may_come_in_parts(tmp_path, make_forecast):
    whole = make_forecast("normal")
    parts = [whole.rows(start, start + 2) for start in (0, 2, 4)]
    (found,) = from_dataset(_file(tmp_path, *parts))
    np.testing.assert_array_equal(found.time, DAYS)
    np.testing.assert_array_equal(found.prediction.parameters["sd"], whole.prediction.parameters["sd"])
    late = make_forecast("normal", "late")
    message = r"^expected the parts of split 'test' one after another, got 'late' between\.$"
    with pytest.raises(DataError, match=message):
        _file(tmp_path, parts[0], late, parts[1])


def test_one_split_is_read_alone(tmp_path, make_forecast):
    written = make_forecast("normal"), make_forecast("normal", "late", seed=3)
    path = _write(tmp_path / "m.nc", *written)
    with read(path, "late") as dataset:
        assert dataset.sizes["time"] == 6
        assert not isinstance(dataset.variables["tas_param_sd"]._data, np.ndarray)  # still on disk
        (found,) = from_dataset(dataset)
    assert found.split == "late"
    np.testing.assert_array_equal(found.prediction.parameters["sd"], written[1].prediction.parameters["sd"])
    with pytest.raises(DataError, match=r"^expected one of the splits test, late in '.*m\.nc', got 'lat'\.$"):
        read(path, "lat")


def _noleap(year=2000):
    """Return six days over the end of February of a year without a leap day."""
    return cftime.num2date(np.arange(56, 62), f"days since {year}-01-01", "noleap")


def test_a_model_run_without_leap_days_stands_beside_a_calendar_with_them(tmp_path, make_forecast):
    written = make_forecast("normal"), make_forecast("normal", "run", time=_noleap()), make_forecast("normal", "late")
    dataset = _file(tmp_path, *written)
    assert json.loads(dataset["split"].attrs["calendars"]) == {"run": "noleap"}
    assert dataset["time"].encoding["calendar"] == "proleptic_gregorian"
    assert str(dataset["time"].values[8])[:10] == "2000-02-28"
    for before, after in zip(written, from_dataset(dataset), strict=True):
        np.testing.assert_array_equal(after.time, before.time)
    with read(tmp_path / "m.nc", "run") as part:
        assert from_dataset(part)[0].time[0].calendar == "noleap"


def test_dates_that_only_one_calendar_has_are_refused(tmp_path, make_forecast):
    days = cftime.num2date(np.arange(56, 62), "days since 2001-01-01", "360_day")
    message = r"^expected all splits in one calendar, .* got '360_day' of 'run', 2001-02-27.* Put it into an experiment"
    with pytest.raises(DataError, match=message):
        _file(tmp_path, make_forecast("normal", "run", time=days), make_forecast("normal"))


def test_stamps_within_the_day_come_back(tmp_path, make_forecast):
    noon = DAYS + np.timedelta64(12 * 3600 + 90, "s")
    found = from_dataset(_file(tmp_path, make_forecast("point"), make_forecast("point", "noon", time=noon)))
    np.testing.assert_array_equal(found[1].time, noon)


def test_what_does_not_fit_is_refused(tmp_path, make_forecast):
    path = tmp_path / "m.nc"
    with pytest.raises(DataError, match=r"^expected predictions of 'm' for at least one split, got none\.$"):
        _write(path)
    message = r"^expected one family of predictions of 'm' in all splits, got \['normal', 'point'\]\.$"
    with pytest.raises(DataError, match=message):
        _write(path, make_forecast("normal"), make_forecast("point", "late"))
    message = r"^expected 4 members of 'm' in all splits, got 3 in one\.$"
    with pytest.raises(DataError, match=message):
        _write(path, make_forecast("members"), make_forecast("members", "late", members=3))
    message = (
        r"^expected mean of 'm' on 'test' in shape \(time, target, lat, lon\) = \(6, 1, 3, 2\), got \(6, 2, 3, 2\)\.$"
    )
    with pytest.raises(DataError, match=message):
        _write(path, make_forecast("point"), variables=VARIABLES[:1])
    short = Forecast("test", DAYS, Prediction("point", {"mean": np.zeros((6, 2, 3, 2))}), np.zeros((5, 2, 3, 2)))
    with pytest.raises(DataError, match=r"^expected truth of 'm' on 'test' in shape .* got \(5, 2, 3, 2\)\.$"):
        _write(path, short)


def test_a_split_without_times_leaves_nothing(tmp_path, make_forecast):
    empty = make_forecast("normal", "empty").rows(0, 0)
    assert [forecast.split for forecast in from_dataset(_file(tmp_path, empty, make_forecast("normal")))] == ["test"]


def test_a_file_that_is_not_there_or_something_else_is_named(tmp_path):
    with pytest.raises(
        DataError, match=r"^expected predictions at '.*no\.nc', which is not there\. Run the stage predict"
    ):
        read(tmp_path / "no.nc")
    xr.Dataset(attrs={"title": "other"}).to_netcdf(tmp_path / "other.nc")
    message = r"^expected predictions with a family and splits in '.*other\.nc', got \{'title': 'other'\}\.$"
    with pytest.raises(DataError, match=message):
        read(tmp_path / "other.nc")
