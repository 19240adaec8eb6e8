import dataclasses

import numpy as np
import scipy.stats
import xarray as xr

from pipeline.grid import Grid
from pipeline.metrics.diagnostics import diagnose
from pipeline.metrics.evaluate import evaluate
from pipeline.metrics.fields import to_dataset

MASK = np.array([[True, True, False, True], [True, False, True, True]])
GRID = Grid(np.array([40.0, 41.0]), np.array([-5.0, -4.0, -3.0, -2.0]))
WEIGHTS = GRID.area[MASK]


def _dataset(make_case, winters, model, reference):
    cases = {family: {"pr": make_case(family, n=len(winters))} for family in ("point", "mixture")}
    asked = {"split": "test", "time": winters, "weights": WEIGHTS, "seed": 0}
    found = evaluate(cases, units={"pr": "mm day-1"}, metrics=("rmse",), reference=reference, resamples=40, **asked)
    curves = {"pr": diagnose(cases[model]["pr"], variable="pr", **asked)}
    dataset = to_dataset(
        curves,
        found.maps[model],
        model=model,
        split="test",
        reference=reference,
        units={"pr": "mm day-1"},
        grid=GRID,
        mask=MASK,
    )
    return found.maps[model]["pr"], curves["pr"], dataset


def test_maps_and_curves_of_a_distribution(make_case, winters, tmp_path):
    maps, curves, dataset = _dataset(make_case, winters, "mixture", "point")
    dataset.to_netcdf(tmp_path / "m.nc", engine="netcdf4")
    found = xr.load_dataset(tmp_path / "m.nc")
    fields = ["rmse", "bias", "bias_low", "bias_high", "skill", "skill_low", "skill_high", "aleatoric", "epistemic"]
    for name in fields:
        assert found[f"pr_{name}"].dims == ("lat", "lon")
        np.testing.assert_array_equal(found[f"pr_{name}"].to_numpy()[MASK], getattr(maps, name).astype(np.float32))
        assert np.isnan(found[f"pr_{name}"].to_numpy()[~MASK]).all()
    rest = {
        "rank_count": ("rank", curves.rank_count),
        "pit_count": ("bin", curves.pit_count),
        "calibration_level": ("level", curves.level),
        "calibration_observed": ("level", curves.observed),
        "calibration_low": ("level", curves.low),
        "calibration_high": ("level", curves.high),
        "spread_bin_spread": ("bin", curves.spread),
        "spread_bin_rmse": ("bin", curves.rmse),
    }
    for name in ("share", "by_spread", "oracle", "random"):
        rest[f"sparsification_{name}"] = ("left_out", getattr(curves.sparsification, name))
    for name in ("probability", "frequency", "area", "low", "high"):
        rest[f"exceedance_{name}"] = ("probability_bin", getattr(curves.exceedance, name))
    parts = {f"brier_{field.name}" for field in dataclasses.fields(curves.exceedance.parts)}
    for name, (dim, values) in rest.items():
        assert found[f"pr_{name}"].dims == (dim,)
        np.testing.assert_array_equal(found[f"pr_{name}"], values)
    assert set(found.data_vars) == {f"pr_{name}" for name in (*fields, *rest, *parts)}
    units = {name: found[f"pr_{name}"].attrs["units"] for name in ("rmse", "skill", "aleatoric", "rank_count")}
    assert units == {"rmse": "mm day-1", "skill": "%", "aleatoric": "(mm day-1)2", "rank_count": "1"}
    assert found["pr_spread_bin_rmse"].attrs["units"] == "mm day-1"
    assert found["pr_rmse"].encoding["zlib"]
    assert found.attrs["reference"] == "point"


def test_what_a_model_does_not_have_is_left_out(make_case, winters):
    _, curves, dataset = _dataset(make_case, winters, "point", None)
    assert curves is None
    assert set(dataset.data_vars) == {"pr_rmse", "pr_bias", "pr_bias_low", "pr_bias_high"}
    assert "reference" not in dataset.attrs


def test_precipitation_has_maps_of_the_score_that_its_models_are_compared_by(make_case, winters):
    cases = {family: {"pr": make_case(family, n=len(winters))} for family in ("point", "normal")}
    asked = {"split": "test", "time": winters, "weights": WEIGHTS, "seed": 0, "reference": "point", "resamples": 40}
    maps = evaluate(cases, units={"pr": "mm d-1"}, metrics=("rmse", "crps"), **asked).maps
    case, point = (cases[family]["pr"] for family in ("normal", "point"))
    usual = np.nanmean(np.abs(point.truth - point.prediction.mean()), axis=0)  # the CRPS of a point forecast
    mean, sd = (case.prediction.parameters[name] for name in ("mean", "sd"))
    z = (case.truth - mean) / sd
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    exact = sd * (z * (2 * scipy.stats.norm.cdf(z) - 1) + 2 * density - 1 / np.sqrt(np.pi))  # Gneiting et al. 2005
    found = maps["normal"]["pr"]
    np.testing.assert_allclose(found.crps_skill, 100 * (1 - np.nanmean(exact, axis=0) / usual), rtol=1e-6)
    assert maps["point"]["pr"].crps_skill is None
    warm = evaluate(cases, units={"pr": "K"}, metrics=("rmse", "crps"), **asked).maps["normal"]["pr"]
    assert warm.crps_skill is None
    assert warm.skill is not None
