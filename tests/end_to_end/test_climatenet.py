"""The shipped experiment on ClimateNet, on made maps in its layout: folders of maps, one file a map and expert."""

from __future__ import annotations

import datetime
import re

import pandas as pd
import pytest
import xarray as xr

from flows.engine import Request, start
from pipeline.data.synthetic.storms import StormConfig, write_files

CHEAP = (
    "training.epochs=1",
    "models.class_unet.width=4",
    "models.class_unet.depth=2",
    "uncertainty.0.members=2",
    "compute.workers=1",
    "scores=[iou, kappa, object_recall]",
)


@pytest.fixture
def mirror(tmp_path):
    """Maps of some days in the folders train and test; some days have none, and some have two experts."""
    folder = tmp_path / "mirror" / "climatenet"
    days = {"train": (datetime.date(2008, 11, 20), 70), "test": (datetime.date(2011, 1, 1), 16)}
    for name, (first, times) in days.items():
        config = StormConfig(seed=len(name), first=first, times=times, shape=(24, 48))
        for number, path in enumerate(write_files(folder / name, config, experts=2)):
            if number % 7 in (3, 4) or (path.stem.endswith("_1") and number % 4 == 1):
                path.unlink()
    return folder.parent


def test_climatenet_runs_from_its_yaml(mirror, tmp_path):
    run = start(Request("climatenet", overrides=CHEAP, data=mirror, out=tmp_path / "runs", use_server=False)).folder
    predicted = xr.load_dataset(run / "predictions/class_unet.nc")
    days = {re.search(r"\d{4}-\d\d-\d\d", path.name)[0] for path in (mirror / "climatenet/test").iterdir()}
    assert {str(stamp)[:10] for stamp in predicted.time.values} == days
    assert 8 < len(days) < 16
    scores = pd.read_csv(run / "scores.csv").query("split == 'test' and metric == 'iou'")
    assert {"all", "class=atmospheric_river"} <= set(scores.group)
    assert {"cgnet+deep_ensemble", "class_unet", "pixel_logistic", "class_frequencies"} == set(scores.model) - {"cgnet"}
    assert (run / "report.html").stat().st_size > 10_000
