"""Maps of climate indices, from cases to the file."""

import numpy as np
import pytest
import xarray as xr

from pipeline.grid import Grid
from pipeline.metrics import Case
from pipeline.metrics.evaluate import evaluate
from pipeline.metrics.fields import to_dataset
from pipeline.metrics.indices import INDICES, indices_of_years
from pipeline.prediction import Prediction

MASK = np.array([[True, True, False, True], [True, False, True, True]])
GRID = Grid(np.array([40.0, 41.0]), np.array([-5.0, -4.0, -3.0, -2.0]))
WEIGHTS = GRID.area[MASK]
TIME = np.arange("1990-01-01", "1993-01-01", dtype="datetime64[D]")
CELLS = int(MASK.sum())


def _case(units, seed=0):
    rng = np.random.default_rng(seed)
    shape = (len(TIME), CELLS)
    days = [
        rng.normal(12.0, 9.0, shape)
        if units == "degC"
        else np.where(rng.random(shape) < 0.5, rng.gamma(0.8, 8.0, shape), 0.0)
        for _ in range(4)
    ]
    usual = Prediction("point", {"mean": np.zeros(shape)})
    days[0][:, 2] = np.nan
    return Case(Prediction("members", {"members": np.stack(days[1:])}), days[0], usual)


def _evaluate(case, units, names=None):
    asked = {"split": "test", "time": TIME, "weights": WEIGHTS, "seed": 0, "resamples": 5}
    return evaluate({"m": {"x": case}}, units={"x": units}, metrics=names, **asked).maps["m"]["x"]


def _share(series, truth):
    return np.where(np.isfinite(truth), series >= 1.0, np.nan).mean(axis=-2)


@pytest.mark.parametrize(
    ("units", "names"),
    [("mm d-1", {"r01", "sdii", "rx1day", "cdd", "cwd", "p98_wet"}), ("degC", {"txx", "tnn"}), ("m s-1", set())],
)
def test_every_index_that_is_scored_has_a_map(units, names):
    case = _case(units)
    maps = _evaluate(case, units).indices
    assert set(maps) == names
    for name, found in maps.items():
        if name == "r01":
            truth, prediction = _share(case.truth, case.truth), _share(case.draws, case.truth).mean(axis=0)
        elif name == "p98_wet":
            truth, prediction = np.full((2, CELLS), np.nan)
            for cell in np.delete(np.arange(CELLS), 2):
                known = np.isfinite(case.truth[:, cell])
                one, drawn = case.truth[known, cell], case.draws[:, known, cell]
                truth[cell], prediction[cell] = (np.quantile(x[x >= 1.0], 0.98) for x in (one, drawn))
        else:
            series = [np.where(np.isfinite(case.truth), x, np.nan) for x in (case.truth, *case.draws)]
            truth, *drawn = (indices_of_years([name], x, TIME, units)[name].mean(axis=0) for x in series)
            prediction = np.mean(drawn, axis=0)
            assert found.label == INDICES[name].label
        assert np.isnan(found.truth).tolist() == [cell == 2 for cell in range(CELLS)]
        np.testing.assert_allclose(found.truth, truth, rtol=1e-9)
        np.testing.assert_allclose(found.bias, prediction - truth, rtol=1e-9, atol=1e-12)


def test_what_is_not_scored_has_no_map():
    assert _evaluate(_case("mm d-1"), "mm d-1", ("rmse", "brier_r01", "abs_bias_cdd")).indices == {}
    assert set(_evaluate(_case("mm d-1"), "mm d-1", ("bias_cdd",)).indices) == {"cdd"}


def test_the_file_holds_them_with_their_units(tmp_path):
    maps = {"pr": _evaluate(_case("mm d-1"), "mm d-1"), "tas": _evaluate(_case("degC"), "degC")}
    units = {"pr": "mm d-1", "tas": "degC"}
    dataset = to_dataset(
        dict.fromkeys(maps), maps, model="m", split="test", reference=None, units=units, grid=GRID, mask=MASK
    )
    dataset.to_netcdf(tmp_path / "m.nc", engine="netcdf4")
    found = xr.load_dataset(tmp_path / "m.nc")
    for variable, name, true, bias in (
        ("pr", "cdd", "d", "d"),
        ("pr", "r01", "1", "1"),
        ("pr", "p98_wet", "mm d-1", "mm d-1"),
        ("tas", "txx", "degC", "K"),
    ):
        index = maps[variable].indices[name]
        for ending, values, wanted in (("", index.truth, true), ("_bias", index.bias, bias)):
            field = found[f"{variable}_{name}{ending}"]
            assert field.dims == ("lat", "lon")
            assert field.attrs["units"] == wanted
            assert field.dtype == np.float32
            np.testing.assert_array_equal(field.to_numpy()[MASK], values.astype(np.float32))
            assert np.isnan(field.to_numpy()[~MASK]).all()
    assert found["pr_cdd"].attrs["long_name"] == "longest dry spell of the year of pr, truth"
    assert found["pr_cdd_bias"].attrs["long_name"] == "longest dry spell of the year of pr, prediction less truth"
