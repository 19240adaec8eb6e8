"""A run on two workers, one of which is killed in the fit and one in the predictions: the same numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from flows.engine import Request, create_or_find, do_stage
from pipeline.backend.cluster import client, one_cluster
from pipeline.errors import ConfigError
from pipeline.files import TEMPORARY
from pipeline.run_folder import RunFolder
from pipeline.run_log import log_to
from pipeline.stage import StageRecord

OF_RUN = ("source", "history")  # attributes that say which run a file is of
STAGES = ("ingest", "prepare", "fit", "predict", "score", "explain")
UNLUCKY = '''
"""A ridge that takes its process down, once in its fit and once in its predictions on test days."""

import os
import signal
from pathlib import Path

from models import MODELS
from models.ridge import Ridge

HERE = Path(__file__).parent

def die_once(name):
    mark = HERE / name
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)


@MODELS.register("unlucky")
class Unlucky(Ridge):
    """See above."""

    def fit(self, train, validation, context):
        die_once("fitted")
        return super().fit(train, validation, context)

    def predict(self, inputs, context):
        die_once("predicted")
        return super().predict(inputs, context)
'''


def run(world, *changes: str) -> RunFolder:
    """Do all stages but the report."""
    request = Request(experiment="small.yaml", overrides=changes, out=world.folder / "runs", use_server=False)
    found = create_or_find(request)
    with log_to(found), one_cluster():
        for stage in STAGES:
            do_stage(str(found.path), stage)
    return found


def files(folder: Path, *patterns: str) -> dict[str, Path]:
    return {str(path.relative_to(folder)): path for pattern in patterns for path in sorted(folder.glob(pattern))}


def without_run(data):
    """Return a file's data without the attributes that say which run it is of."""
    return data.drop_attrs(deep=False).assign_attrs({k: v for k, v in data.attrs.items() if k not in OF_RUN})


def test_workers_give_the_numbers_of_one_process_though_two_of_them_are_killed(world, monkeypatch):
    starts = []
    start = client._start
    monkeypatch.setattr(client, "_start", lambda spec: (starts.append(spec), start(spec))[1])
    world.experiment["models"]["unlucky"] = {"kind": "unlucky"}
    world.experiment["plugins"] = ["unlucky.py"]
    world.experiment["explain"] = [
        {"method": "permutation", "models": ["ridge", "unlucky"], "days": 8},
        {"method": "linear_shap", "models": ["unlucky"], "days": 8, "check_days": 2},
    ]
    (world.folder / "unlucky.py").write_text(UNLUCKY)
    world.write()
    marks = [world.folder / name for name in ("fitted", "predicted")]
    for mark in marks:
        mark.touch()
    alone = run(world, "compute.threads=1")
    assert starts == []
    for mark in marks:
        mark.unlink()
    spread = run(world, "compute.threads=1", "compute.workers=2")
    assert all(mark.exists() for mark in marks)
    assert len(starts) == 1  # the workers of the fit did all the rest

    for name in ("scores.csv", "comparisons.csv"):
        assert (spread / name).read_bytes() == (alone / name).read_bytes()
    patterns = ("predictions/*.nc", "work/validation/*.nc", "diagnostics/*.nc", "attributions/*.nc")
    ours, theirs = files(alone.path, *patterns), files(spread.path, *patterns)
    assert ours.keys() == theirs.keys()
    assert len(ours) == 3 + 3 + 4 + 2
    for name, path in ours.items():
        with xr.open_dataset(path) as one, xr.open_dataset(theirs[name]) as other:
            assert without_run(one).identical(without_run(other)), name

    # What the dead workers left half-written is gone, and no stage has counted it.
    assert not list(spread.path.rglob(f"{TEMPORARY}*"))
    for stage in STAGES:
        assert StageRecord.read(spread, stage).damage(spread) == ()
    log = (spread / "log.jsonl").read_text()
    assert log.count("died; the task is done again") == 2
    assert '"stage": "predict", "logger": "pipeline.backend.cluster.tasks"' in log


@pytest.mark.slow
def test_a_model_that_kills_every_worker_is_left_out_and_the_others_stay(world, capfd):
    world.experiment["models"]["unlucky"] = {"kind": "unlucky"}
    world.experiment["plugins"] = ["unlucky.py"]
    (world.folder / "unlucky.py").write_text(UNLUCKY.replace("mark.touch()", "pass"))
    assert world.write().run("--workers", "2") == 0
    said = capfd.readouterr().err
    assert "member 0 of unlucky failed and was left out: the worker of task" in said
    assert "died 3 times, most often for want of memory" in said


def test_two_workers_train_one_model_as_one_process_would(world):
    world.experiment["models"] = {
        "climatology": {"kind": "climatology"},
        "unet": {"kind": "unet", "width": 4, "depth": 1, "epochs": 3, "batch_size": 50},
    }
    world.experiment["uncertainty"] = [{"method": "deep_ensemble", "models": ["unet"], "members": 2}]
    world.write()
    one = run(world, "compute.threads=1")
    two = run(world, "compute.threads=1", "compute.workers=2", "models.unet.workers=2")
    for member in ("member-00", "member-01"):
        curves = [pd.read_csv(found / f"models/unet/{member}/history.csv") for found in (one, two)]
        for column in ("train_loss", "validation_loss"):
            np.testing.assert_allclose(curves[1][column], curves[0][column], rtol=1e-4)
    said = two.read_json("models/unet+deep_ensemble/summary.json")["training"]
    assert "each is trained by 2 workers" in said
    scores = [pd.read_csv(found / "scores.csv") for found in (one, two)]
    np.testing.assert_allclose(scores[1]["value"], scores[0]["value"], rtol=1e-3, atol=1e-4)


def test_more_workers_for_a_model_than_there_are_are_refused(world):
    world.experiment["models"]["unet"] = {"kind": "unet", "workers": 3}
    world.write()
    with pytest.raises(ConfigError, match=r"models\.unet\.workers: expected at most the 2 of compute\.workers, got 3"):
        run(world, "compute.workers=2")


def test_more_workers_than_models_share_the_times_of_a_prediction(world):
    world.experiment["models"] = {
        "climatology": {"kind": "climatology"},
        "unet": {"kind": "unet", "width": 4, "depth": 1, "epochs": 1, "batch_size": 50},
    }
    world.write()
    asked = ("compute.threads=1", "compute.memory=1MiB")
    alone, spread = run(world, *asked), run(world, *asked, "compute.workers=3")
    patterns = ("predictions/*.nc", "work/validation/*.nc")
    ours, theirs = files(alone.path, *patterns), files(spread.path, *patterns)
    assert ours.keys() == theirs.keys()
    assert len(ours) == 2 + 2
    for name, path in ours.items():
        with xr.open_dataset(path) as one, xr.open_dataset(theirs[name]) as other:
            assert without_run(one).identical(without_run(other)), name
    assert (spread / "scores.csv").read_bytes() == (alone / "scores.csv").read_bytes()
    assert not (spread / "work/blocks").exists()
    assert "unet, validation 0 to" in (spread / "log.jsonl").read_text()


def test_blocks_that_an_ended_run_left_are_not_taken_for_whole_ones(world):
    world.experiment["models"] = {"climatology": {"kind": "climatology"}}
    world.write()
    found = run(world, "compute.threads=1")
    (predictions,) = (found / "predictions").iterdir()
    before = predictions.read_bytes()
    left = found / "work/blocks/climatology/test/000000000"
    left.mkdir(parents=True)
    np.savez(left / "0000.npz", family=np.array("point"), mean=np.zeros((5, 1, 6, 8)))
    predictions.unlink()
    (found / "stages/predict.json").rename(found.unfinished_file("predict"))  # as if it had been killed
    with log_to(found):
        do_stage(str(found.path), "predict")
    assert predictions.read_bytes() == before
