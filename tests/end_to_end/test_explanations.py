"""Explanations go the whole way: from the experiment to the file and the report, and bad ones are refused first."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr

from flows.engine import Request, start
from pipeline.attribution import ATTRIBUTIONS
from pipeline.cf import names_back

pytestmark = pytest.mark.timeout(900)
ASKED = [
    {"method": "integrated_gradients", "models": ["unet"], "steps": 8, "max_steps": 16},
    {"method": "deep_lift", "name": "unsure", "of": "log_variance", "models": ["unet"], "region": {"lat": [41, 43]}},
    {"method": "gradient", "of": "exceedance", "quantile": 0.9, "models": ["unet"], "checks": ["randomisation"]},
    {"method": "lrp", "models": ["unet"], "checks": [], "groups": ["regime"], "regimes": 2},
    {"method": "occlusion", "models": ["unet", "ridge"], "event": True, "quantile": 0.6, "checks": ["completeness"]},
    {"method": "saliency", "cells": 16, "models": ["unet"]},
    {"method": "grad_cam", "models": ["unet"], "checks": []},
    {"method": "kernel_shap", "by": "variable", "baseline": "train_draws", "baseline_draws": 3, "models": ["ridge"]},
    {"method": "linear_shap", "baseline": "day_of_year", "models": ["ridge"], "days": 60},
    {"method": "ale", "models": ["ridge"], "days": 60},
    {"method": "permutation", "models": ["ridge"], "days": 60},
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    asked = [{"days": 12, "check_days": 2, **entry} for entry in ASKED]
    changed = ["scores=[mae]", "models.unet.epochs=3", f"explain={json.dumps(asked)}"]
    out = tmp_path_factory.mktemp("runs")
    return start(Request("tiny", overrides=tuple(changed), out=out, use_server=False)).folder


def opened(folder, model):
    return names_back(xr.open_dataset(folder / f"attributions/{model}.nc"))


def findings(data, name):
    return {each["check"]: each for each in json.loads(data[f"{name}_importance"].attrs["findings"])}


def test_every_explanation_is_in_the_file_of_its_model(folder):
    with opened(folder, "unet") as data:
        assert json.loads(data.attrs["explanations"]) == [
            "integrated_gradients", "unsure", "gradient", "lrp", "occlusion", "saliency", "grad_cam",
        ]  # fmt: skip
    with opened(folder, "ridge") as data:
        assert json.loads(data.attrs["explanations"]) == [
            "occlusion",
            "kernel_shap",
            "linear_shap",
            "ale",
            "permutation",
        ]


def test_parts_add_up_and_both_members_are_told_of(folder):
    with opened(folder, "unet") as data:
        whole = data["integrated_gradients_explained"].values
        parts = data["integrated_gradients_daily"].sum("integrated_gradients_variable").values
        np.testing.assert_allclose(parts, whole, atol=0.02 * np.abs(whole).max())
        attrs = data["integrated_gradients_importance"].attrs
        assert attrs["members"] == 2
        assert attrs["units"] == "K"
        assert "the train climatology" in attrs["baseline"]
        assert (data["integrated_gradients_map_spread"] >= 0).all()
        assert np.isfinite(findings(data, "integrated_gradients")["agreement"]["value"])
        share = data["integrated_gradients_share"]
        np.testing.assert_allclose(share.sum("integrated_gradients_variable"), 1.0, rtol=1e-5)


def test_questions_are_those_that_were_asked(folder):
    with opened(folder, "unet") as data:
        assert "logarithm of the variance of tas over" in data["unsure_importance"].attrs["label"]
        assert "lat 41 to 43" in data["unsure_importance"].attrs["label"]
        assert "reaches its 0.9 quantile" in data["gradient_importance"].attrs["label"]
        assert "cells of the event" in data["occlusion_importance"].attrs["label"]
        assert list(findings(data, "gradient")) == ["randomisation", "agreement"]
        assert data["lrp_group"].values[0] == "all"
        assert {str(kind) for kind in data["lrp_group_kind"].values[1:]} == {"regime"}
        assert data["saliency_dispersion"].attrs["units"] == "km"
        assert abs(float(data["saliency_saliency"].sum()) - 1.0) < 1e-5
    with opened(folder, "ridge") as data:
        assert "days drawn from the train split" in data["kernel_shap_importance"].attrs["baseline"]
        assert findings(data, "linear_shap")["completeness"]["passed"]
        assert set(data["ale_moved_channel"].values) <= set(data["channel"].values)


def test_the_report_tells_of_all(folder):
    text = (folder / "report.html").read_text()
    assert "What drives the predictions?" in text
    for name in {entry["method"] for entry in ASKED}:
        assert ATTRIBUTIONS.get(name).title.lower() in text.lower(), name


def test_the_same_run_explains_the_same(folder):
    from flows.stages.explain import explained
    from flows.workspace import Workspace

    space = Workspace.open(folder)
    planned = next(one for one in space.plan.explanations if one.name == "unsure")
    again = explained(space, planned).joined
    with opened(folder, "unet") as data:
        np.testing.assert_allclose(data["unsure_importance"], again.importance, rtol=1e-5)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"method": "integrated_gradients", "models": ["ridge"]}, "needs a model with the trait differentiable"),
        ({"method": "occlusion", "baseline": "climatolgy"}, "Did you mean 'climatology'"),
        ({"method": "occlusion", "region": {"lat": [-60, -50]}}, "The cells lie within lat"),
        ({"method": "occlusion", "point": {"lat": 10, "lon": 10}}, "expected a place on the grid of the target"),
        ({"method": "occlusion", "target": "tass"}, "no target 'tass'"),
    ],
)
def test_what_cannot_be_explained_is_refused_before_any_fit(world, capfd, entry, message):
    world.experiment["explain"] = [entry]
    world.write()
    assert world.run() == 2
    assert message in capfd.readouterr().err
    assert not list(world.folder.glob("runs/*/models/*/member-*"))
