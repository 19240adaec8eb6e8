"""Trained models of classes applied to new files: probabilities, no members, no images."""

import numpy as np
import pytest
import xarray as xr
import yaml

from flows.apply.bundle import Bundle
from flows.apply.predict import Request, apply
from flows.engine import Request as RunRequest
from flows.engine import start
from pipeline.errors import ConfigError, PredictError

LABELS = {"units": "1", "classes": ["background", "tropical_cyclone", "atmospheric_river"]}
STORMS = {
    "schema_version": 1,
    "storms": {
        "format": "synthetic_storms",
        "options": {"seed": 0, "first": "2001-01-01", "times": 90, "step_hours": 24, "shape": [16, 32]},
        "variables": {"TMQ": {"units": "kg m-2"}, "PSL": {"units": "Pa"}, "LABELS": LABELS},
        "licence": "CC0-1.0",
    },
}
FIELDS = {
    "name": "fields",
    "task": "segmentation",
    "data": {
        "predictors": [{"dataset": "storms", "variables": ["TMQ", "PSL"]}],
        "target": {"dataset": "storms", "variables": ["LABELS"]},
    },
    "split": {
        "train": ["2001-01-01", "2001-02-19"],
        "validation": ["2001-02-20", "2001-03-10"],
        "test": ["2001-03-11", "2001-03-31"],
    },
    "prepare": {"inputs": {"anomaly": "none", "scale": "per_field"}},
    "models": {"pixel_logistic": {"kind": "pixel_logistic"}, "class_persistence": {"kind": "class_persistence"}},
    "scores": ["iou"],
    "explain": [],
    "compute": {"workers": 1, "threads": 1},
}
TILES = {
    "name": "tiles",
    "task": "segmentation",
    "data": {
        "images": ["scene"],
        "predictors": [{"dataset": "images", "variables": ["red", "blue"]}],
        "target": {"dataset": "images", "variables": ["mask"]},
    },
    "split": {
        "by": "block",
        "margin": 2,
        "train": [0, 19],
        "validation": [22, 29],
        "test": [32, 39],
        "tile": [8, 8],
    },
    "prepare": FIELDS["prepare"],
    "models": {"pixel_threshold": {"kind": "pixel_threshold"}},
    "scores": ["iou"],
    "explain": [],
    "compute": FIELDS["compute"],
}


def finished(folder, experiment, catalog):
    path = folder / "data_catalog.yaml"
    path.write_text(yaml.safe_dump(catalog, sort_keys=False))
    (folder / "one.yaml").write_text(yaml.safe_dump(experiment, sort_keys=False))
    return start(RunRequest(str(folder / "one.yaml"), catalog=path, out=folder, use_server=False)).folder


@pytest.fixture(scope="module")
def fields(tmp_path_factory):
    return finished(tmp_path_factory.mktemp("fields"), FIELDS, STORMS)


@pytest.fixture(scope="module")
def spring(fields):
    with xr.open_dataset(fields / "work/ingest/storms.nc") as data:
        return data.sel(time=slice("2001-03-11", "2001-03-31")).load()


def test_classes_have_probabilities_and_no_members(fields, spring, tmp_path):
    spring[["TMQ", "PSL"]].to_netcdf(tmp_path / "new.nc")
    bundle, words = Bundle.open(fields, "pixel_logistic"), (str(tmp_path / "new.nc"),)
    done = apply(bundle, Request(words, tmp_path / "out.nc"))
    with xr.open_dataset(done.path) as found, xr.open_dataset(fields / "predictions/pixel_logistic.nc") as known:
        both = [data["LABELS_param_probabilities"].sel(time=known["time"]) for data in (found, known)]
        np.testing.assert_allclose(*both, atol=1e-5)
        np.testing.assert_allclose(both[0].sum("class"), 1, atol=1e-5)
    said = (
        r"--members: expected a model of numbers, got 'pixel_logistic', which answers classes: a class has no members\. "
        r"Its file holds the probability of every class\."
    )
    with pytest.raises(ConfigError, match=said):
        apply(bundle, Request(words, tmp_path / "none.nc", members=3))
    assert not (tmp_path / "none.nc").exists()


def test_the_class_before_is_read_of_the_file_or_asked_for(fields, spring, tmp_path):
    spring.to_netcdf(tmp_path / "whole.nc")
    spring[["TMQ", "PSL"]].to_netcdf(tmp_path / "without.nc")
    bundle = Bundle.open(fields, "class_persistence")
    for block in (None, 5):
        done = apply(bundle, Request((str(tmp_path / "whole.nc"),), tmp_path / f"out-{block}.nc", block=block))
        assert done.unknown == 1  # the first date has none before
        with xr.open_dataset(done.path) as found, xr.open_dataset(fields / "predictions/class_persistence.nc") as known:
            both = [data["LABELS_param_probabilities"].sel(time=known["time"]) for data in (found, known)]
            np.testing.assert_allclose(*both, atol=1e-6)
    with pytest.raises(
        PredictError, match=r"'LABELS' of 'storms', and the input has none of it; .* --model pixel_logistic"
    ):
        apply(bundle, Request((str(tmp_path / "without.nc"),), tmp_path / "none.nc"))


def test_a_model_of_images_is_refused_with_where_to_put_new_ones(tmp_path):
    rng = np.random.default_rng(0)
    mask = (rng.normal(size=(24, 40)).cumsum(axis=1) > 0).astype(np.uint8)
    image = np.stack([mask + 0.5 * rng.normal(size=mask.shape), rng.normal(size=mask.shape)], axis=-1)
    np.savez(tmp_path / "scene.npz", img=image.astype(np.float32), msk=mask[..., None])
    layout = {
        "arrays": {"img": ["y", "x", "channel"], "msk": ["y", "x", "channel"]},
        "channels": {"img": ["red", "blue"], "msk": ["mask"]},
    }
    band = {"units": "1", "source_units": "1"}
    scene = {
        "format": "npz",
        "options": layout,
        "files": [{"path": "scene.npz"}],
        "variables": {"red": band, "blue": band, "mask": {"units": "1", "classes": ["clear", "cloud"]}},
        "licence": "CC0-1.0",
    }
    run = finished(tmp_path, TILES, {"schema_version": 1, "scene": scene})
    said = (
        r"predict: expected a model of data with dates, got 'pixel_threshold' of images\. Give new images to a run: put "
        r"them under data\.images and into a test set of split\.images\."
    )
    with pytest.raises(ConfigError, match=said):
        apply(Bundle.open(run), Request((str(tmp_path / "scene.npz"),), tmp_path / "out.nc"))
