"""Test sets with data of their own, forcings, stations, coarsened predictors: from files to the report."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr

SYNTHETIC = {"variant": "full", "years": 2, "coarse": [3, 4], "refine": 4, "stations": 6}
VARIABLES = {
    "coarse": {"tas": {"units": "degC"}, "psl": {"units": "hPa"}},
    "fine": {"tas": {"units": "degC"}},
    "stations": {"tas": {"units": "degC"}},
    "static": {"orog": {"units": "m"}},
}


def entry(part, **options):
    return {
        "format": "synthetic",
        "options": {**SYNTHETIC, "first_year": 2001, "seed": 0, "part": part, **options},
        "variables": VARIABLES[part],
        "licence": "CC0-1.0",
    }


@pytest.fixture
def made(world):
    """The small world with made data in its catalog: the same climate at another time, and yearly CO2."""
    later = {"first_year": 2041}
    world.catalog = {
        "schema_version": 1,
        "coarse": entry("coarse"),
        "fine": entry("fine"),
        "stations": entry("stations"),
        "static": entry("static"),
        "later-coarse": entry("coarse", **later),
        "later-fine": entry("fine", **later),
        "gases": gases("gases.nc"),
    }
    years = pd.to_datetime([f"{year}-07-01" for year in (2001, 2002, 2041, 2042)])
    co2 = xr.Dataset({"co2": ("time", [371.0, 373.0, 480.0, 484.0], {"units": "ppm"})}, {"time": years})
    co2.to_netcdf(world.folder / "gases.nc")
    world.experiment["data"] = {
        "predictors": [{"dataset": "coarse", "variables": ["tas", "psl"]}],
        "target": {"dataset": "fine"},
        "static": [{"dataset": "static"}],
    }
    return world


def gases(path):
    return {
        "format": "netcdf",
        "files": [{"path": path}],
        "variables": {"co2": {"units": "ppm"}},
        "licence": "CC0-1.0",
    }


def finished(world):
    world.write()
    assert world.run() == 0
    run = next((world.folder / "runs").iterdir())
    assert (run / "report.html").stat().st_size > 10_000
    return run


def overall(run, metric="rmse"):
    scores = pd.read_csv(run / "scores.csv")
    return scores[(scores.group == "all") & (scores.metric == metric)].set_index(["split", "model"]).value


def test_sets_with_data_of_their_own_are_predicted_and_scored_where_they_have_truth(made, command, capsys):
    later = [{"dataset": "later-coarse", "variables": ["psl", "tas"]}]  # in another order
    made.experiment["data"] |= {
        "forcings": [{"dataset": "gases"}],
        "tests": {
            "projection": {"predictors": later},
            "later": {"predictors": later, "target": {"dataset": "later-fine"}, "span": ["2042-01-01", "2042-12-31"]},
        },
    }
    made.experiment["prepare"] = {"harmonics": 1, "inputs": {"calendar": True, "lags": [0, 1]}}
    made.experiment["models"] = {
        "climatology": {"kind": "climatology"},
        "persistence": {"kind": "persistence"},
        "ridge": {"kind": "ridge"},
        "unet": {"kind": "unet", "width": 4, "depth": 1, "epochs": 2},
    }
    made.experiment["explain"] = [{"method": "permutation", "models": ["ridge"], "days": 16}]
    assert made.write().run("--dry-run") == 0
    told = capsys.readouterr().out
    assert "projection   all dates of later-coarse, without truth: predicted, not scored" in told
    assert "later        2042-01-01 to 2042-12-31 of later-coarse\n" in told

    run = finished(made)
    rmse = overall(run)
    assert set(rmse.index.get_level_values("split")) == {"validation", "test", "later"}
    assert set(rmse.index.get_level_values("model")) == set(made.experiment["models"])
    assert rmse["later", "ridge"] < 0.8 * rmse["later", "climatology"]
    with xr.open_dataset(run / "predictions/ridge.nc") as data:
        split = data["split"].values
        assert list(dict.fromkeys(split)) == ["test", "later", "projection"]
        assert [(split == name).sum() for name in ("projection", "later")] == [729, 364]  # the first day lacks its lag
        assert data["time"].dt.year.values[split == "projection"][0] == 2041
        truth = data["tas_truth"].values
        assert np.isnan(truth[split == "projection"]).all()
        assert np.isfinite(truth[split == "later"]).any()
        assert np.isfinite(data["tas"].values[split == "projection"]).any()
        inside = np.isfinite(truth[split == "later"])
        error = (data["tas"].values - truth)[split == "later"][inside]
        assert np.sqrt(np.mean(error**2)) == pytest.approx(rmse["later", "ridge"], rel=0.02)  # without the weights
    provenance = json.loads((run / "provenance.json").read_text())
    assert {source["dataset"] for source in provenance["data"]} >= {"later-coarse", "later-fine", "gases"}
    report = (run / "report.html").read_text()
    assert "projection" in report
    assert "later" in report
    assert command("check-leakage", "small.yaml") == 0
    assert command("report", str(run), "--format", "md") == 0


def test_a_run_whose_only_test_sets_have_no_truth_ends_with_a_report(made):
    made.experiment["data"]["target"] = {"dataset": "short"}
    made.experiment["split"]["validation"] = ["2002-01-01", "2002-04-30"]
    made.experiment["split"]["test"] = {"unknown": ["2002-07-01", "2002-09-30"]}
    made.experiment["data"]["tests"] = {"projection": {"predictors": [{"dataset": "later-coarse"}]}}
    made.experiment["explain"] = [{"method": "permutation", "models": ["ridge"], "days": 16}]
    made.catalog["short"] = {**gases("short.nc"), "variables": {"tas": {"units": "degC"}}}
    fine = xr.Dataset({"tas": made.fine.tas.isel(time=slice(0, 485)) - 273.15})
    fine.tas.attrs["units"] = "degC"
    fine.to_netcdf(made.folder / "short.nc")
    made.experiment["data"]["static"] = []
    made.experiment["data"]["predictors"] = [{"dataset": "coarse", "variables": ["tas", "psl"]}]
    run = finished(made)
    assert set(overall(run).index.get_level_values("split")) == {"validation"}
    with xr.open_dataset(run / "predictions/ridge.nc") as data:
        assert set(data["split"].values) == {"unknown", "projection"}
        assert "tas_truth" not in data
    report = (run / "report.html").read_text()
    assert "No test set has truth: all scores are those of the validation split" in report
    assert "the test set validation" not in report


def test_stations_are_a_target(made):
    made.experiment["data"] |= {
        "target": {"dataset": "stations"},
        "static": [{"dataset": "stations", "variables": ["altitude"]}, {"dataset": "static"}],
    }
    made.experiment["models"]["interpolation"] = {"kind": "interpolation"}
    made.experiment["explain"] = [{"method": "permutation", "models": ["ridge"], "days": 16}]
    run = finished(made)
    rmse = overall(run)
    assert rmse["test", "ridge"] < rmse["test", "climatology"]
    summary = json.loads((run / "work/prepare/summary.json").read_text())
    assert [static["name"] for static in summary["statics"]] == ["altitude", "orog"]
    with xr.open_dataset(run / "predictions/ridge.nc") as data:
        assert data["tas"].dims == ("time", "station")
        assert data.sizes["station"] == 6
    with xr.open_dataset(run / "diagnostics/ridge.nc") as data:
        assert data.sizes["station"] == 6


def test_a_field_is_found_again_from_its_block_means(made):
    made.experiment["data"] = {
        "predictors": [{"dataset": "later-fine", "coarsen": 5}],
        "target": {"dataset": "later-fine"},
        "region": {"lat": [-90.0, 90.0]},
    }
    for name, span in {
        "train": ["2041-01-01", "2041-12-31"], "validation": ["2042-01-01", "2042-06-30"], "test": ["2042-07-01", "2042-12-31"],
    }.items():  # fmt: skip
        made.experiment["split"][name] = span
    made.experiment["models"]["interpolation"] = {"kind": "interpolation"}
    run = finished(made)
    rmse = overall(run)
    assert rmse["test", "ridge"] < 0.7 * rmse["test", "climatology"]
    summary = json.loads((run / "work/prepare/summary.json").read_text())
    said = "later-fine is coarsened by 5 to 2 x 3 cells, without 2 rows and 1 column that fill no block."
    assert said in summary["notes"]
    assert "coarsened by 5 to 2" in (run / "report.html").read_text()
