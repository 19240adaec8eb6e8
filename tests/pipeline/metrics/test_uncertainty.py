"""The parts of the uncertainty by cell and by time: by loops, whatever is worked on at a time."""

from dataclasses import replace

import array_api_strict
import numpy as np
import pytest
import xarray as xr

from pipeline.grid import Grid
from pipeline.metrics import Case
from pipeline.metrics.fields import to_dataset
from pipeline.metrics.uncertainty import mean_uncertainties, to_variables, uncertainty_series
from pipeline.prediction import Prediction

WEIGHTS = np.array([1.0, 0.5, 2.0, 0.25, 1.5, 0.75])
TIME = np.datetime64("2001-01-01", "ns") + np.arange(40) * np.timedelta64(1, "D")


@pytest.fixture(params=["mixture", "normal", "members", "classes", "one network of classes"])
def case(request, make_case):
    if request.param in ("mixture", "normal", "members"):
        found = make_case(request.param, n=40)
        if request.param == "mixture":  # whose members agree as they are made
            shifted = found.prediction.map(lambda array: array * np.linspace(0.9, 1.2, 5)[:, None, None])
            found = replace(found, prediction=shifted)
    else:
        rng = np.random.default_rng(1)
        chance = np.moveaxis(rng.dirichlet(np.ones(3), (2, 40, 6)), -1, 1)
        alone = Prediction("categorical", {"probabilities": chance[0]})
        both = alone.formulas.mix([{"probabilities": part} for part in chance])
        said = Prediction("categorical_mixture", both) if request.param == "classes" else alone
        truth = rng.integers(0, 3, (40, 6)).astype(float)
        truth[rng.random(truth.shape) < 0.1] = np.nan
        found = Case(said, truth, said)
    found.truth[7] = np.nan
    found.truth[:, 4] = np.nan
    return found


def missed(case):
    said = case.prediction.mean()
    return (said != case.truth).astype(float) if case.prediction.is_categorical else (said - case.truth) ** 2


def test_maps_are_means_over_the_times_with_truth(case):
    for found, values in zip(mean_uncertainties(case), case.prediction.uncertainties(), strict=True):
        assert (found is None) == (values is None)
        for cell in range(6 if values is not None else 0):
            kept = [values[time, cell] for time in range(40) if np.isfinite(case.truth[time, cell])]
            if kept:
                assert found[cell] == pytest.approx(sum(kept) / len(kept), rel=1e-9)
            else:
                assert cell == 4
                assert np.isnan(found[cell])


@pytest.mark.parametrize("values_at_a_time", [1, 100, 10**6])
def test_series_are_area_means_over_the_cells_with_truth(case, monkeypatch, values_at_a_time):
    monkeypatch.setattr("pipeline.metrics.uncertainty._VALUES", values_at_a_time)
    found = uncertainty_series(case, WEIGHTS, TIME)
    assert found.measure == ("entropy" if case.prediction.is_categorical else "variance")
    asked = zip(
        (found.aleatoric, found.epistemic, found.error), (*case.prediction.uncertainties(), missed(case)), strict=True
    )
    for series, values in asked:
        assert (series is None) == (values is None)
        for time in range(40 if values is not None else 0):
            cells = [cell for cell in range(6) if np.isfinite(case.truth[time, cell])]
            if not cells:
                assert time == 7
                assert np.isnan(series[time])
                assert found.area[time] == 0.0
                continue
            assert found.area[time] == pytest.approx(sum(WEIGHTS[cell] for cell in cells))
            total = sum(WEIGHTS[cell] * values[time, cell] for cell in cells)
            assert series[time] == pytest.approx(total / sum(WEIGHTS[cell] for cell in cells), rel=1e-9)


def test_series_of_several_leads_are_those_of_each(make_case):
    parts = [make_case("normal", n=40, seed=seed) for seed in range(3)]

    def together(*arrays):
        return np.concatenate(arrays, axis=-1)

    said = {name: together(*(part.prediction.parameters[name] for part in parts)) for name in ("mean", "sd")}
    whole = Case(Prediction("normal", said), together(*(part.truth for part in parts)), parts[0].climatology)
    whole = replace(whole, climatology=whole.prediction)
    valid = np.stack([TIME + lead * np.timedelta64(1, "D") for lead in (1, 2, 5)], axis=1)
    found = uncertainty_series(whole, np.tile(WEIGHTS, 3), TIME, valid)
    assert found.aleatoric.shape == found.error.shape == (40, 3)
    for lead, part in enumerate(parts):
        alone = uncertainty_series(part, WEIGHTS, TIME)
        np.testing.assert_allclose(found.aleatoric[:, lead], alone.aleatoric)
        np.testing.assert_allclose(found.error[:, lead], alone.error)


def test_a_point_forecast_has_no_series(make_case):
    assert uncertainty_series(make_case("point", n=40), WEIGHTS, TIME) is None
    assert mean_uncertainties(make_case("point", n=40)) == (None, None)


def test_strict_arrays_give_the_same(case):
    strict = Case(
        case.prediction.map(array_api_strict.asarray),
        array_api_strict.asarray(case.truth),
        case.climatology.map(array_api_strict.asarray),
    )
    for ours, expected in zip(mean_uncertainties(strict), mean_uncertainties(case), strict=True):
        assert (ours is None) == (expected is None)
        if expected is not None:
            np.testing.assert_allclose(ours, expected, rtol=1e-10)
    ours, expected = uncertainty_series(strict, WEIGHTS, TIME), uncertainty_series(case, WEIGHTS, TIME)
    np.testing.assert_allclose(ours.error, expected.error, rtol=1e-10)


def test_files_hold_both_parts_and_the_error_with_their_times(case, tmp_path):
    unit = "1" if case.prediction.is_categorical else "degC"
    said = to_variables({"v": uncertainty_series(case, WEIGHTS, TIME), "w": None}, {"v": unit, "w": unit})
    xr.Dataset(said).to_netcdf(tmp_path / "a.nc", engine="netcdf4")
    data = xr.load_dataset(tmp_path / "a.nc")
    np.testing.assert_array_equal(data.time, TIME)
    aleatoric, epistemic = case.prediction.uncertainties()
    error = "error_rate" if case.prediction.is_categorical else "squared_error"
    wanted = {f"v_{error}_by_time", "v_area_by_time"}
    wanted |= {"v_aleatoric_by_time"} if aleatoric is not None else set()
    wanted |= {"v_epistemic_by_time"} if epistemic is not None else set()
    assert set(data.data_vars) == wanted
    for name in wanted:
        assert data[name].dims == ("time",)
        squared = not case.prediction.is_categorical and "area" not in name
        assert data[name].attrs["units"] == ("K2" if squared else "1")
        in_nat = case.prediction.is_categorical and ("aleatoric" in name or "epistemic" in name)
        assert ("[nat]" in data[name].attrs["long_name"]) == in_nat


def test_files_of_several_leads_say_what_times_are_forecast(make_case):
    case = make_case("normal", n=40)
    valid = np.stack([TIME, TIME + np.timedelta64(1, "D")], axis=1)
    series = uncertainty_series(case, WEIGHTS[:3].repeat(2), TIME, valid)
    grid = Grid(np.array([40.0]), np.array([1.0, 2.0, 3.0]))
    data = to_dataset(
        {}, {}, model="m", split="test", reference=None, units={"v": "m"}, grid=grid, mask=np.ones((1, 3), bool),
        leads=(0, 1), series={"v": series},
    )  # fmt: skip
    assert data["v_aleatoric_by_time"].dims == ("time", "lead")
    assert data["valid_time"].attrs["standard_name"] == "time"
    np.testing.assert_array_equal(data["valid_time"], valid)


def test_tiles_of_images_have_numbers_for_times():
    said = Prediction("categorical", {"probabilities": np.full((2, 3, 4), 0.5)})
    series = uncertainty_series(Case(said, np.ones((3, 4)), said), np.ones(4), np.array([4, 5, 6]))
    parts = to_variables({"mask": series}, {"mask": "1"})
    assert parts["mask_aleatoric_by_time"].dims == ("tile",)
    assert parts["tile"].values.tolist() == [4, 5, 6]
    np.testing.assert_allclose(parts["mask_aleatoric_by_time"].values, np.log(2.0))
    np.testing.assert_allclose(parts["mask_error_rate_by_time"].values, 1.0)  # of two as likely the lower is taken
