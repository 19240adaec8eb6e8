"""Every uncertainty method goes the whole way on the made climate: its row stands in the report's table of methods."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr

from flows.engine import Request, start
from flows.load import load_experiment
from pipeline.report.load import load_run
from pipeline.report.sections import methods
from pipeline.report.study import study
from pipeline.uncertainty import UNCERTAINTY
from pipeline.uncertainty.calibration import CALIBRATIONS

pytestmark = pytest.mark.timeout(900)
LITTLE = {"members": 2, "draws": 3, "epochs": 3, "burn": 2, "thin": 1, "leapfrog": 2}
OF_CLASSES = {"temperature", "isotonic_classes"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    shipped = load_experiment("error-bars").experiment
    changed = [
        "split.train=[2001-01-01, 2001-12-31]",
        "split.validation=[2002-01-01, 2002-06-30]",
        "split.test=[2002-07-01, 2002-12-31]",
        "models.unet.epochs=2",
        "models.unet.width=4",
        "models.random_forest.trees=10",
        "scores=[crps, crpss, coverage_90, spread_skill, ence]",
        "compute.workers=1",
    ]
    for number, entry in enumerate(shipped.uncertainty):
        if entry.method is not None:
            known = UNCERTAINTY.get(entry.method).Config.model_fields
            changed += [f"uncertainty.{number}.{key}={value}" for key, value in LITTLE.items() if key in known]
    out = tmp_path_factory.mktemp("runs")
    return start(Request("error-bars", overrides=tuple(changed), out=out, use_server=False)).folder


def test_the_shipped_experiment_has_all_of_them():
    asked = load_experiment("error-bars").experiment.uncertainty
    assert {entry.method for entry in asked} >= set(UNCERTAINTY.names())
    calibrated = {entry.calibration.kind for entry in asked if entry.calibration is not None}
    assert calibrated == set(CALIBRATIONS.names()) - OF_CLASSES


def test_every_method_has_its_row_with_scores_and_time(folder):
    made = methods.blocks(study(load_run(folder)), "tas")
    rows = {str(row[0].key): row for row in made[0].rows}
    asked = {path.name for path in folder.glob("models/*+*")}
    assert len(asked) == len(load_experiment("error-bars").experiment.uncertainty)
    assert asked <= set(rows)
    for name in asked:
        assert all(np.isfinite(cell.key) for cell in rows[name][1:]), name
    told = {row[0].text for row in made[1].rows}
    kinds = {f"unet + deep ensemble + {kind}" for kind in ("emos", "isotonic", "conformal")}
    assert told == {"ridge + variance scaling", *kinds}


def test_every_prediction_has_its_quantiles_and_says_what_is_known_of_their_cause(folder):
    for path in sorted((folder / "predictions").glob("*+*.nc")):
        with xr.open_dataset(path) as data:
            low, middle, high = (data[f"tas_{level}"].values for level in ("q05", "q50", "q95"))
            inside = np.isfinite(data["tas"].values)
            assert inside.any(), path.name
            assert ((low <= middle) & (middle <= high) & (low < high))[inside].all(), path.name
            known = [data[name].values[inside] for name in ("tas_aleatoric", "tas_epistemic") if name in data]
            assert known, path.name
            assert all((part >= 0.0).all() for part in known), path.name


def test_a_calibrated_method_counts_what_the_method_itself_took(world):
    world.experiment["models"]["unet"] = {"kind": "unet", "width": 4, "depth": 1, "epochs": 2}
    swag = {"method": "swag", "models": ["unet"], "epochs": 4, "draws": 4}
    world.experiment["uncertainty"] = [swag, {**swag, "calibration": {"kind": "variance_scaling"}}]
    assert world.write().run() == 0
    (run,) = (world.folder / "runs").iterdir()
    names = ("unet+swag", "unet+swag+variance_scaling")
    plain, calibrated = (json.loads((run / f"models/{name}/summary.json").read_text())["seconds"] for name in names)
    assert 0.0 < plain < calibrated
