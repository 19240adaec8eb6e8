"""Every shipped experiment on real data runs from its YAML, with fewer epochs than it asks for."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from flows.apply.bundle import Bundle
from flows.apply.predict import Request as PredictRequest
from flows.apply.predict import apply
from flows.engine import Request, start
from pipeline.cf import names_back
from pipeline.prepare.coarsen import coarsen

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Runs a shipped experiment with some values changed; returns its folder."""
    mirror = os.environ.get("FINESCALE_DATA")
    if not mirror:
        pytest.skip("FINESCALE_DATA is not set: the files of the experiments are not here")
    out = tmp_path_factory.mktemp("runs")

    def run(name: str, *overrides: str) -> Path:
        request = Request(
            name, overrides=(*overrides, "compute.workers=1"), data=Path(mirror), out=out, use_server=False
        )
        return start(request).folder

    return run


def scores(folder: Path) -> pd.Series:
    table = pd.read_csv(folder / "scores.csv")
    return table[(table["split"] == "test") & (table["group"] == "all")].set_index(["model", "metric"])["value"]


def test_constrained_fields_keep_the_coarse_field(ran):
    folder = ran("hadcm3-sr", "training.epochs=3", "scores=[mae]", "explain=[]")
    fine = xr.load_dataset(folder / "work/ingest/hadcm3-na.nc")[["tas"]]
    for name in ("unet", "unet_additive", "unet_multiplicative", "unet_softmax"):
        predicted = xr.load_dataset(folder / f"predictions/{name}.nc")[["tas"]]
        known = fine.sel(time=predicted.time, lat=predicted.lat, lon=predicted.lon)
        means, wanted = (coarsen(part, 4, name)[0]["tas"].values.astype(float) for part in (predicted, known))
        gap = np.abs(means / wanted - 1).max()
        assert (gap < 1e-5) == (name != "unet"), name
    assert predicted.sizes == {"time": 10, "lat": 36, "lon": 48}
    assert "report.html" in {path.name for path in folder.iterdir()}


def test_temperature_of_the_winters_of_iberia_has_error_bars_that_hold(ran):
    """What the full run reaches is in ``test_figures.py``; ridge has no epochs and is the same here."""
    folder = ran(
        "iberia-tas",
        "models.unet.epochs=6",
        "models.deepesd.epochs=8",
        "uncertainty.0.members=2",
        "uncertainty.1.members=2",
        "uncertainty.1.calibration.folds=3",
        "explain=[]",
        "scores=[rmse, crps, coverage_90, spread_skill]",
    )
    found = scores(folder)
    calibrated = "deepesd+deep_ensemble+variance_scaling"
    assert found["ridge", "rmse"] == pytest.approx(1.391, abs=0.005)
    for model in ("unet+deep_ensemble", calibrated):
        assert found[model, "rmse"] < 1.40, model
        assert found[model, "crps"] < 0.79, model
        assert 0.84 <= found[model, "coverage_90"] <= 0.93, model
        assert 0.88 <= found[model, "spread_skill"] <= 1.1, model
    html = (folder / "report.html").read_bytes()
    assert len(html) < 5e6
    assert b"http-equiv" in html
    for word in (b"<link", b'src="http', b'href="//'):
        assert word not in html


def test_precipitation_is_scored_as_precipitation(ran):
    biases = ("bias_r01", "relative_bias_p98_wet", "bias_rx1day", "bias_cdd", "bias_cwd", "fss_r01", "brier_r01")
    wanted = ("crps", *biases, "bias_txx", "log_spectral_distance")
    folder = ran(
        "iberia-pr",
        "models.unet.epochs=1",
        "models.deepesd.epochs=6",
        "models.noise_unet.epochs=1",
        "models.noise_unet.draws=4",
        "uncertainty.0.members=2",
        "explain=[]",
        f"scores=[{', '.join(wanted)}]",
    )
    found = scores(folder)
    assert found["deepesd+deep_ensemble", "crps"] < found["climatology", "crps"]
    assert found["analogs", "crps"] < found["climatology", "crps"]
    for metric in biases:
        assert np.isfinite(found["deepesd+deep_ensemble", metric]), metric
    assert np.isfinite(found["quantile_mapping", "log_spectral_distance"])
    assert "bias_txx" not in set(found.index.get_level_values("metric"))
    with xr.open_dataset(folder / "predictions/deepesd.nc") as data:
        assert data.attrs["family"] == "bernoulli_gamma"
        assert float(data["pr_q05"].min()) == 0.0
        assert float(data["pr"].min()) >= 0.0


def test_stations_are_better_told_with_all_predictors_than_interpolated(ran):
    folder = ran(
        "iberia-stations",
        "models.deepesd.epochs=10",
        "models.convcnp.epochs=3",
        "models.random_forest.trees=20",
        "uncertainty.0.members=2",
        "explain=[]",
        "scores=[crps]",
    )
    errors = [xr.load_dataset(folder / f"diagnostics/{name}.nc")["tas_rmse"] for name in ("ridge", "interpolation")]
    assert errors[0].dims == ("station",)
    assert int((errors[0] < errors[1]).sum()) >= 8  # of eleven; the ensemble, trained in full, is at all of them
    found = scores(folder)
    assert found["deepesd+deep_ensemble", "rmse"] < found["interpolation", "rmse"]


def by_lead(folder: Path, metric: str) -> pd.Series:
    table = pd.read_csv(folder / "scores.csv")
    return table[(table["split"] == "test") & (table["metric"] == metric)].set_index(["model", "group"])["value"]


def test_the_index_of_the_pacific_is_known_as_far_ahead_as_it_is_known_to_be(ran):
    folder = ran(
        "nino34",
        "models.cnn_lstm.epochs=1",
        "models.random_forest.trees=20",
        "uncertainty.0.members=2",
        "explain=[]",
        "scores=[pearson_r, rmse]",
    )
    found = by_lead(folder, "pearson_r")
    # What simple forecasts reach on these years is known from outside.
    assert found["persistence", "lead=3"] == pytest.approx(0.778, abs=0.01)
    assert found["persistence", "lead=6"] == pytest.approx(0.417, abs=0.01)
    assert found["pca_ridge", "lead=3"] >= 0.829
    assert found["pca_ridge", "lead=6"] >= 0.709
    months = found["persistence"][lambda rows: rows.index.str.fullmatch(r"lead=6;month=\d+")]
    assert len(months) == 12
    assert months.max() - months.min() > 0.3  # the spring barrier


def test_flow_is_told_from_the_weather_alone(ran):
    folder = ran(
        "salmon-flow",
        "models.lstm.epochs=1",
        "models.lstm.hidden=16",
        "models.mlp.epochs=2",
        "models.lag_forest.trees=40",
        "uncertainty=[]",
        "scores=[nse, kge, log_nse]",
    )
    found = scores(folder)
    assert found["climatology", "nse"] == pytest.approx(0.658, abs=0.002)
    assert found["lag_forest", "nse"] > 0.78
    truth = xr.load_dataset(folder / "predictions/lag_forest.nc")["qobs_truth"]
    assert float(truth.min()) > 0  # -1.2345 marks what is missing
    assert str(truth["time"].values[0])[:10] == "2001-09-30"  # the first day of test with 365 days of weather behind it


def test_stations_are_told_three_days_ahead(ran):
    folder = ran(
        "us-stations",
        "models.gru.epochs=1",
        "models.lag_forest.trees=10",
        "models.lag_forest.max_rows=5000",
        "scores=[rmse]",
    )
    found = by_lead(folder, "rmse")
    for lead in ("lead=1", "lead=3"):
        assert found["ridge", lead] < found["damped_persistence", lead] < found["climatology", lead]
    truth = xr.load_dataset(folder / "predictions/ridge.nc")["tmax_truth"]
    assert -40 < float(truth.min()) < float(truth.max()) < 55  # degC, of degF; -9999 is missing


def test_basins_that_were_left_out_have_an_answer(ran):
    folder = ran("camels", "models.lstm.epochs=1", "models.lag_forest.trees=10", "scores=[nse, kge]")
    data = names_back(xr.load_dataset(folder / "predictions/lstm.nc"))
    split = data.isel(time=np.flatnonzero(data["split"] == "test"))
    answered = np.isfinite(split["streamflow"]).all("time")
    known = np.isfinite(split["streamflow_truth"]).any("time")
    assert int(known.sum()) == 1
    assert bool(answered.sel(station=known["station"][known]).all())
    assert float(split["streamflow"].sel(station=known["station"][known]).std()) > 0
    # The archive's own files of forcing alone, which say neither flow nor place.
    out = folder.parent / "new.nc"
    apply(
        Bundle.open(folder, "lstm"), PredictRequest((str(Path(os.environ["FINESCALE_DATA"], "camels-us/daymet")),), out)
    )
    again = xr.load_dataset(out)["streamflow"].sel(time=split["time"])
    np.testing.assert_allclose(again, split["streamflow"], rtol=1e-5)


def test_clouds_are_told_from_shadows_and_the_ground(ran):
    folder = ran(
        "cloud-masks",
        "models.class_unet.epochs=1",
        "models.as_seen.epochs=1",
        "models.forest_of_boxes.trees=20",
        "uncertainty=[]",
        "explain.0.days=2",
        "explain.0.check_days=1",
        "scores=[kappa, iou]",
    )
    table = pd.read_csv(folder / "scores.csv").query("metric == 'kappa' and group == 'all'")
    found = table.set_index(["split", "model"])["value"]
    assert found["landsat5", "pixel_forest"] == pytest.approx(0.81, abs=0.02)
    assert found["sentinel2", "pixel_forest"] == pytest.approx(0.905, abs=0.02)
    assert found["both", "forest_of_boxes"] > found["both", "pixel_forest"] > found["both", "pixel_threshold"]
