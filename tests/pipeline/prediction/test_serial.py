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
    to_dataset,
    write,
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


def _file(tmp_path, *forecasts, grid=GRID):
    write(tmp_path / "m.nc", to_dataset(forecasts, model="m", variables=VARIABLES, grid=grid))
    return read(tmp_path / "m.nc")


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
    monkeypatch.setattr("pipeline.prediction.serial._CHUNK", 1)
    xr.testing.assert_identical(_file(tmp_path, make_forecast("mixture")), whole)


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


def test_what_does_not_fit_is_refused(make_forecast):
    with pytest.raises(DataError, match=r"^expected predictions of 'm' for at least one split, got none\.$"):
        to_dataset([], model="m", variables=VARIABLES, grid=GRID)
    both = [make_forecast("normal"), make_forecast("point", "late")]
    message = r"^expected one family of predictions of 'm' in all splits, got \['normal', 'point'\]\.$"
    with pytest.raises(DataError, match=message):
        to_dataset(both, model="m", variables=VARIABLES, grid=GRID)
    message = (
        r"^expected mean of 'm' on 'test' in shape \(time, target, lat, lon\) = \(6, 1, 3, 2\), got \(6, 2, 3, 2\)\.$"
    )
    with pytest.raises(DataError, match=message):
        to_dataset([make_forecast("point")], model="m", variables=VARIABLES[:1], grid=GRID)
    short = Forecast("test", DAYS, Prediction("point", {"mean": np.zeros((6, 2, 3, 2))}), np.zeros((5, 2, 3, 2)))
    with pytest.raises(DataError, match=r"^expected truth of 'm' on 'test' in shape .* got \(5, 2, 3, 2\)\.$"):
        to_dataset([short], model="m", variables=VARIABLES, grid=GRID)


def test_a_file_that_is_not_there_or_something_else_is_named(tmp_path):
    with pytest.raises(
        DataError, match=r"^expected predictions at '.*no\.nc', which is not there\. Run the stage predict"
    ):
        read(tmp_path / "no.nc")
    xr.Dataset(attrs={"title": "other"}).to_netcdf(tmp_path / "other.nc")
    message = r"^expected predictions with a family and splits in '.*other\.nc', got \{'title': 'other'\}\.$"
    with pytest.raises(DataError, match=message):
        read(tmp_path / "other.nc")
