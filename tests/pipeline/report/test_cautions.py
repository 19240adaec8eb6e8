"""Warnings: their order, and that none is there twice."""

import json

import numpy as np
import pytest
import xarray as xr

from pipeline.report import cautions, constant, event_words
from pipeline.report.load import load_run
from pipeline.report.study import study


def _still(path, variable):
    data = xr.load_dataset(path)
    data[variable].values[:] = np.where(np.isfinite(data[variable].values), 280.0, np.nan)
    path.unlink()
    data.to_netcdf(path)


def test_few_samples_come_first_and_constant_models_last(make_run):
    provenance = {
        "warnings": ["a", "b", "a"], "fallbacks": [{"model": "ridge", "why": "no device"}, "b"],
        "failed_members": ["unet/1", "unet/1"],
    }  # fmt: skip
    run = make_run(
        models=("ridge", "unet"), baselines=("ridge",), years=1, attributions=False, diagnostics=False,
        validation=False, provenance=provenance, effective=29.6,
    )  # fmt: skip
    _still(run / "predictions/ridge.nc", "tas")
    cells = int(np.isfinite(xr.load_dataset(run / "predictions/ridge.nc")["tas_truth"].values).any(axis=0).sum())
    found = study(load_run(run))
    assert [text.replace("\u00a0", " ") for text in cautions.warnings(found)] == [
        "The test set holds about 29 independent samples, fewer than 30: take its scores as a hint, not as a claim.",
        "There are no validation scores: model and baseline were chosen on the test set itself, which flatters the "
        "model.",
        "a",
        "b",
        "model: ridge; why: no device",
        "Member 1 of unet failed and was left out.",
        f"ridge predicts nearly the same value at all times at all {cells} cells: the standard deviation there is below "
        "1 % of that of the truth.",
    ]


def test_a_warning_of_the_run_that_says_the_same_is_there_once(make_run):
    parts = {"models": ("ridge", "unet"), "years": 1, "attributions": False, "diagnostics": False}
    run = make_run(**parts)
    _still(run / "predictions/unet.nc", "tas")
    (text,) = constant.sentences(study(load_run(run)))
    path = run / "provenance.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "warnings": [text]}))
    assert cautions.warnings(study(load_run(run))) == (text,)


@pytest.mark.parametrize("effective", [30.0, 64.0])
def test_a_run_in_which_all_went_well_warns_of_nothing(make_run, effective):
    run = make_run(models=("ridge", "unet"), years=1, attributions=False, diagnostics=False, effective=effective)
    found = study(load_run(run))
    assert cautions.warnings(found) == ()
    assert event_words.definition(found) == ""
