"""Segmentation: global fields with classes, tiles of images, events made of values; and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from pipeline.cf import names_back

STORMS = {"seed": 0, "first": "2001-01-01", "times": 90, "step_hours": 24, "shape": [24, 48]}
VARIABLES = {
    "TMQ": {"units": "kg m-2"},
    "V850": {"units": "m s-1"},
    "PSL": {"units": "Pa"},
    "LABELS": {"units": "1", "classes": ["background", "tropical_cyclone", "atmospheric_river"]},
}


@pytest.fixture
def storms(world):
    """The small world with made storms in its catalog."""
    world.catalog = {
        "schema_version": 1,
        "storms": {"format": "synthetic_storms", "options": STORMS, "variables": VARIABLES, "licence": "CC0-1.0"},
    }
    world.experiment |= {
        "task": "segmentation",
        "data": {
            "predictors": [{"dataset": "storms", "variables": ["TMQ", "V850", "PSL"]}],
            "target": {"dataset": "storms", "variables": ["LABELS"]},
        },
        "split": {
            "train": ["2001-01-01", "2001-02-19"],
            "validation": ["2001-02-20", "2001-03-10"],
            "test": ["2001-03-11", "2001-03-31"],
        },
        "prepare": {"inputs": {"anomaly": "none", "scale": "per_field"}},
        "models": {
            "class_frequencies": {"kind": "class_frequencies"},
            "pixel_logistic": {"kind": "pixel_logistic"},
            "class_unet": {"kind": "class_unet", "epochs": 2, "width": 4, "depth": 2, "loss": "dice"},
        },
        "augment": [{"kind": "longitude_shift"}],
        "scores": ["iou", "kappa", "precision", "object_recall"],
    }
    return world


def finished(world, *words):
    world.write()
    assert world.run(*words) == 0
    return next((world.folder / "runs").iterdir())


def test_classes_are_predicted_scored_and_told(storms):
    storms.experiment["uncertainty"] = [{"method": "deep_ensemble", "models": ["class_unet"], "members": 2}]
    run = finished(storms)
    predicted = xr.load_dataset(run / "predictions/class_unet+deep_ensemble.nc")
    chance = predicted.LABELS_param_probabilities
    assert chance.dims == ("class", "time", "lat", "lon")
    assert chance["class_name"].values.tolist() == ["background", "tropical_cyclone", "atmospheric_river"]
    np.testing.assert_allclose(chance.sum("class"), 1, atol=1e-5)
    np.testing.assert_array_equal(predicted.LABELS, chance.argmax("class"))
    assert predicted.LABELS.attrs["flag_meanings"] == "background tropical_cyclone atmospheric_river"
    scores = pd.read_csv(run / "scores.csv")
    assert {"all", "class=tropical_cyclone"} <= set(scores.group)
    overall = scores[(scores.split == "test") & (scores.metric == "iou")].set_index(["model", "group"]).value
    truth, mode = predicted.LABELS_truth.values, predicted.LABELS.values
    weight = np.cos(np.deg2rad(predicted.lat.values))[None, :, None] * np.ones_like(truth)
    river = [(weight * part).sum() for part in ((truth == 2) & (mode == 2), (truth == 2) | (mode == 2))]
    key = ("class_unet+deep_ensemble", "class=atmospheric_river")
    assert overall[key] == pytest.approx(river[0] / river[1], rel=1e-4)
    parts = predicted.LABELS_aleatoric + predicted.LABELS_epistemic
    entropy = -(chance * np.log(chance.clip(1e-30))).sum("class")
    np.testing.assert_allclose(parts, entropy, atol=1e-5)
    assert float(predicted.LABELS_epistemic.min()) >= 0.0
    assert float(predicted.LABELS_epistemic.max()) > 0.0
    drawn = xr.load_dataset(run / "diagnostics/class_unet+deep_ensemble.nc")
    mean = predicted.sel(time=predicted.split == "test").LABELS_epistemic.weighted(np.cos(np.deg2rad(predicted.lat)))
    np.testing.assert_allclose(drawn.LABELS_epistemic_by_time, mean.mean(("lat", "lon")), rtol=1e-4)
    assert "How unsure, and why" in (run / "report.html").read_text()
    members_disagree_as_a_loop_says(run)
    # Fifty days are too few to say which are unusual.
    page = (run / "report.html").read_text()
    assert "lies from the train climate cannot be told: expected 100 train samples or more, got 50" in page
    assert (run / "report.html").stat().st_size > 10_000


def members_disagree_as_a_loop_says(run):
    """Hold the mutual information in the file against one worked out day by day from the members."""
    from flows.workspace import Workspace

    found = names_back(xr.load_dataset(run / "diagnostics/novelty.nc"))
    assert "novelty" not in found
    kept = found["disagreement"].sel(ensemble="class_unet+deep_ensemble", target="LABELS")
    kept = kept.isel(time=found["split"].values == "test").values
    space = Workspace.open(run)
    samples, context = space.prepared.inputs("test"), space.context("class_unet")
    members = [m.predict(samples, context).parameters["probabilities"][:, :, 0] for m in space.members("class_unet", 2)]
    area = space.prepared.schema.target_grid.area
    for day in range(0, len(samples), 5):
        parts = [member[:, day].astype(float) for member in members]
        whole, *own = (
            (-(p * np.log(np.maximum(p, 1e-300))).sum(axis=0) * area).sum() for p in [sum(parts) / 2, *parts]
        )
        assert kept[day] == pytest.approx((whole - np.mean(own)) / whole, rel=1e-3, abs=1e-7)


def test_tiles_of_images_are_split_by_blocks(world):
    rng = np.random.default_rng(0)
    for name in ("one", "two"):
        mask = (rng.normal(size=(24, 40)).cumsum(axis=1) > 0).astype(np.uint8)
        image = np.stack([mask + 0.5 * rng.normal(size=mask.shape), rng.normal(size=mask.shape)], axis=-1)
        np.savez(world.folder / f"{name}.npz", img=image.astype(np.float32), msk=mask[..., None])
    layout = {
        "arrays": {"img": ["y", "x", "channel"], "msk": ["y", "x", "channel"]},
        "channels": {"img": ["red", "blue"], "msk": ["mask"]},
    }
    band = {"units": "1", "source_units": "1"}
    variables = {"red": band, "blue": band, "mask": {"units": "1", "classes": ["clear", "cloud"]}}
    world.catalog = {"schema_version": 1} | {
        name: {
            "format": "npz", "options": layout, "files": [{"path": f"{name}.npz"}], "variables": variables, "licence": "CC0-1.0",
        }
        for name in ("one", "two")
    }  # fmt: skip
    world.experiment |= {
        "task": "segmentation",
        "data": {
            "images": ["one", "two"],
            "predictors": [{"dataset": "images", "variables": ["red", "blue"]}],
            "target": {"dataset": "images", "variables": ["mask"]},
        },
        "split": {
            "by": "block", "margin": 2, "train": [0, 19], "validation": [22, 29], "test": {"test": [32, 39], "two": [32, 39]},
            "images": {"two": ["two"]}, "tile": [8, 8],
        },
        "prepare": {"inputs": {"anomaly": "none", "scale": "per_field"}},
        "models": {"pixel_threshold": {"kind": "pixel_threshold"}, "class_unet": {"kind": "class_unet", "epochs": 2, "width": 4, "depth": 2}},
        "scores": ["iou", "kappa"],
    }  # fmt: skip
    run = finished(world)
    predicted = xr.load_dataset(run / "predictions/class_unet.nc")
    assert predicted["mask"].dims == ("tile", "y", "x")
    test = predicted.isel(tile=np.flatnonzero(predicted.split == "test"))
    assert set(test.image.values) == {"one", "two"}
    assert set(test.first_x.values) == {32}
    known = np.load(world.folder / "two.npz")["msk"][..., 0]
    for k in range(test.sizes["tile"]):
        tile = test.isel(tile=k)
        if tile.image == "two":
            part = known[int(tile.first_y) : int(tile.first_y) + 8, 32:40]
            np.testing.assert_array_equal(tile["mask_truth"], part)
    scores = pd.read_csv(run / "scores.csv")
    assert set(scores.split) == {"validation", "test", "two"}
    assert (run / "report.html").stat().st_size > 10_000


def test_events_are_made_of_values(world):
    """Cold days by percentile of the train years, found by a pixel classifier from the pressure and warmth."""
    world.experiment |= {
        "task": "segmentation",
        "data": {
            "predictors": [{"dataset": "coarse", "variables": ["tas", "psl"]}],
            "target": {"dataset": "coarse-target", "variables": ["tas"]},
        },
        "prepare": {
            "inputs": {"anomaly": "none"},
            "target": {"label": {"kind": "percentile_extreme", "percentile": 10, "side": "below", "window": 31}},
        },
        "models": {"class_frequencies": {"kind": "class_frequencies"}, "pixel_logistic": {"kind": "pixel_logistic"}},
        "scores": ["iou", "recall"],
    }
    world.catalog["coarse-target"] = dict(world.catalog["coarse"], files=[{"path": "coarse.nc"}])
    run = finished(world)
    predicted = xr.load_dataset(run / "predictions/pixel_logistic.nc")
    assert "percentile_extreme" in predicted
    share = float((predicted.percentile_extreme_truth == 1).mean())
    assert 0.02 < share < 0.35
    assert (run / "report.html").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("split", "classes", "message"),
    [
        (None, ["background", "tropical_cyclone"], "expected class numbers (0 background, 1 tropical_cyclone), got 2"),
        (None, ["background", "tropical_cyclone", "atmospheric_river", "front"], "class 'front' never occurs in the train split"),
        (None, None, "expected numbers of classes with names, got none"),
    ],
)  # fmt: skip
def test_labels_that_do_not_fit_are_refused(storms, capsys, split, classes, message):
    variables = {**VARIABLES, "LABELS": {"units": "1"} | ({} if classes is None else {"classes": classes})}
    storms.catalog["storms"]["variables"] = variables
    storms.write()
    assert storms.run() == 2
    said = capsys.readouterr().err
    assert message in " ".join(said.split())
    assert "Traceback" not in said


def test_a_loss_of_numbers_is_refused(storms, capsys):
    storms.experiment["models"]["class_unet"]["loss"] = "mse"
    storms.write()
    assert storms.run() == 2
    assert "mse" in capsys.readouterr().err
