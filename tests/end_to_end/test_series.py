"""Series: many basins and several leads, from the catalog to the report; and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from pipeline.cf import names_back

BASINS = {"seed": 0, "basins": 4, "first_year": 2001, "years": 4, "gaps": 0.02, "noise": 0.08}
PARTS = {
    "series": {"pr": {"units": "mm d-1"}, "tas": {"units": "degC"}, "flow": {"units": "L s-1 km-2"}},
    "static": {"area": {"units": "km2"}, "slope": {"units": "1"}},
}
SPLIT = {
    "train": ["2001-01-01", "2002-12-31"],
    "validation": ["2003-01-01", "2003-12-31"],
    "test": ["2004-01-01", "2004-12-31"],
}


@pytest.fixture
def basins(world):
    """The small world with made basins in its catalog."""
    world.catalog = {"schema_version": 1} | {
        f"basins-{part}": {
            "format": "synthetic_basins",
            "options": {**BASINS, "part": part},
            "variables": variables,
            "licence": "CC0-1.0",
        }
        for part, variables in PARTS.items()
    }
    world.experiment |= {
        "task": "series",
        "data": {
            "predictors": [{"dataset": "basins-series", "variables": ["pr", "tas"]}],
            "target": {"dataset": "basins-series", "variables": ["flow"]},
            "static": [{"dataset": "basins-static"}],
        },
        "split": SPLIT,
        "prepare": {
            "inputs": {"window": 20, "anomaly": "none", "scale": "per_field"},
            "target": {"anomaly": "none", "leads": [1, 3]},
        },
        "models": {
            "climatology": {"kind": "climatology"},
            "persistence": {"kind": "persistence"},
            "lag_ridge": {"kind": "lag_ridge", "rolling": [5, 20]},
            "gru": {"kind": "gru", "epochs": 1, "hidden": 8},
        },
        "scores": ["rmse", "nse", "kge", "crps"],
    }
    return world


def finished(world, *words):
    world.write()
    assert world.run(*words) == 0
    return next((world.folder / "runs").iterdir())


def table(run, name="scores"):
    return pd.read_csv(run / f"{name}.csv")


def test_leads_stand_in_files_and_scores(basins):
    run = finished(basins)
    predicted = names_back(xr.load_dataset(run / "predictions/gru.nc"))
    assert predicted.flow.dims == ("time", "lead", "station")
    assert predicted.lead.values.tolist() == [1, 3]
    later = predicted.valid_time.values - predicted.time.values[:, None]
    assert (later == np.array([1, 3]) * np.timedelta64(1, "D")).all()
    scores = table(run)
    groups = set(scores.group)
    assert {"all", "lead=1", "lead=3", "lead=1;season=DJF", "lead=3;season=JJA"} <= groups
    assert "season=DJF" not in groups
    error = scores[(scores.metric == "rmse") & (scores.split == "test")].set_index(["model", "group"]).value
    assert error["persistence", "lead=1"] < error["persistence", "lead=3"]
    # The truth in the file is the basins' own flow that many days later.
    truth = predicted.flow_truth.sel(lead=3)
    source = xr.load_dataset(run / "work/ingest/basins-series.nc").flow
    wanted = source.reindex(time=predicted.valid_time.sel(lead=3).values).sel(station=truth.station)
    both = np.isfinite(truth.values) & np.isfinite(wanted.values)
    assert both.mean() > 0.8
    np.testing.assert_allclose(truth.values[both], wanted.values[both], rtol=1e-6)
    # The overall score is that of all leads together.
    gap = (predicted.flow - predicted.flow_truth).values
    mean = float(np.sqrt(np.nanmean(gap[np.isin(predicted.split, "test")].astype(float) ** 2)))
    assert error["gru", "all"] == pytest.approx(mean, rel=1e-4)
    # Basins are samples of their own; the error of a day is over all basins and leads.
    strange = names_back(xr.load_dataset(run / "diagnostics/novelty.nc"))
    strange = strange.isel(time=strange["split"].values == "test")
    assert strange["novelty"].dims == ("time", "station")
    daily = np.sqrt(np.nanmean(gap[np.isin(predicted.split, "test")].astype(float) ** 2, axis=(1, 2)))
    np.testing.assert_allclose(strange["error"].sel(model="gru", target="flow"), daily, rtol=1e-4)
    known = np.isfinite(strange["novelty"].values)
    share = (strange["novelty"].values > 1)[known].mean()
    assert float(strange["unusual_share"].sel(set="test")) == pytest.approx(share, abs=1e-6)
    compared = table(run, "comparisons")
    assert {"all", "lead=1", "lead=3"} <= set(compared.group)
    assert (run / "report.html").stat().st_size > 10_000


def test_a_basin_that_no_model_saw_is_predicted(basins):
    basins.experiment["prepare"]["target"]["scale"] = "per_field"
    basins.experiment["models"] = {
        "lag_ridge": {"kind": "lag_ridge", "rolling": [5, 20]},
        "gru": {"kind": "gru", "epochs": 1, "hidden": 8},
    }
    ids = basin_ids(basins.write())
    basins.experiment["split"] = {"by": "basin", "train": ids[:2], "validation": [ids[2]], "test": [ids[3]]}
    run = finished(basins)
    truth = names_back(xr.load_dataset(run / "predictions/gru.nc")).flow_truth
    assert np.isfinite(truth.sel(station=ids[3])).any()
    assert not np.isfinite(truth.sel(station=ids[:3])).any()
    scores = table(run)
    assert set(scores.split) == {"validation", "test"}
    assert np.isfinite(scores.value[scores.metric == "nse"]).all()
    assert not (run / "diagnostics/novelty.nc").exists()
    assert "cannot be told: expected 5 train basins or more" in (run / "report.html").read_text()


def basin_ids(world):
    from pipeline.backend import get_backend
    from pipeline.data.catalog import open_catalog
    from pipeline.data.files import Places
    from pipeline.data.load import load

    catalog = open_catalog(world.folder / "data_catalog.yaml", None)
    loaded = load("basins-static", catalog, Places.of(catalog, None), get_backend("cpu"))
    return [str(name) for name in loaded.data.station.values]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("prepare", "inputs", "window", 5000), "expected 5001 steps in a row or more, for a window of 5000"),
        (("models", "lag_ridge", "rolling", [5, 90]), "20"),
        (("models", "unet", None, {"kind": "unet"}), "models.unet: unet is for downscaling, and the task is series. Known for it:"),
        (("scores", None, None, ["rmse", "iou"]), "scores: 'iou' is none of the task series. Known for it:"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(basins, capsys, change, message):
    *path, value = [part for part in change if part is not None]
    node = basins.experiment
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    basins.write()
    assert basins.run() == 2
    said = capsys.readouterr().err
    assert message in " ".join(said.split())
    assert "Traceback" not in said


def test_a_model_of_its_own_series_is_refused_for_new_basins(basins, capsys):
    basins.experiment["split"] = {"by": "basin", "train": ["a"], "validation": ["b"], "test": ["c"]}
    basins.experiment["prepare"]["target"]["scale"] = "per_field"
    basins.write()
    assert basins.run() == 2
    assert "climatology answers only for the basins that it was fitted on" in " ".join(capsys.readouterr().err.split())


def test_a_basin_without_attributes_is_refused(basins, capsys):
    basins.catalog["basins-static"]["options"]["basins"] = 3
    basins.write()
    assert basins.run() == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "data.static: expected values of all 4 stations of the target, got none for" in said
