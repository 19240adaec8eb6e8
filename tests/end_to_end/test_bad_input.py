"""Bad input: exit 2, one message that names the file, the thing and the next step, nothing left behind."""

from __future__ import annotations

import hashlib
import re

import numpy as np
import pytest


def missing_file(world):
    world.catalog["coarse"]["files"][0]["path"] = "nowhere.nc"
    return r"nowhere\.nc"


def wrong_sha256(world):
    world.catalog["coarse"]["files"][0]["sha256"] = hashlib.sha256(b"something else").hexdigest()
    return r"coarse\.nc.*sha256"


def truncated_netcdf(world):
    world.write()
    path = world.folder / "fine.nc"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    world.write = lambda: world
    return r"fine\.nc"


def variable_not_in_the_file(world):
    world.coarse = world.coarse.rename(psl="slp")
    return r"no variable 'psl' in the files\. Did you mean 'slp'\? Known: tas, slp\. Read from .*coarse\.nc"


def variable_not_in_the_catalog(world):
    world.experiment["data"]["predictors"][0]["variables"] = ["tas", "pls"]
    return r"dataset 'coarse' has no variable 'pls' .*Did you mean 'psl'\? Known: psl, tas\."


def dataset_not_in_the_catalog(world):
    world.experiment["data"]["target"]["dataset"] = "fien"
    return r"no dataset 'fien'\. Did you mean 'fine'\? Known: coarse, fine, and \d+ that are shipped; finescale data list shows all\."


def unit_not_there(world):
    del world.coarse["psl"].attrs["units"]
    return r"psl.*units.*coarse\.nc"


def unit_not_convertible(world):
    world.catalog["coarse"]["variables"]["psl"]["units"] = "degC"
    return r"psl.*Pa.*degC.*coarse\.nc"


def reversed_split(world):
    world.experiment["split"]["train"] = ["2001-12-31", "2001-01-01"]
    return r"train.*2001-12-31.*2001-01-01"


def overlapping_splits(world):
    world.experiment["split"]["validation"] = ["2001-12-01", "2002-06-30"]
    return r"(?s)train.*validation|validation.*train"


def split_without_data(world):
    world.experiment["split"]["test"] = ["2010-01-01", "2010-12-31"]
    return r"test.*2010-01-01.*2010-12-31"


def all_nan_channel(world):
    world.coarse["psl"][:] = np.nan
    return r"psl has no value at all.*coarse\.nc"


def duplicated_times(world):
    time = world.coarse["time"].values.copy()
    time[10] = time[9]
    world.coarse = world.coarse.assign_coords(time=time)
    return r"2001-01-10.*coarse\.nc"


def unknown_key(world):
    world.experiment["modles"] = {}
    return r"small\.yaml: modles: unknown key\. Did you mean 'models'\?"


def unknown_model_key(world):
    world.experiment["models"]["ridge"]["alhpas"] = [1.0]
    return r"small\.yaml: models\.ridge\.alhpas: unknown key\. Did you mean 'alphas'\?"


def unknown_catalog_key(world):
    world.catalog["coarse"]["varaibles"] = {}
    return r"data_catalog\.yaml.*'coarse'.*varaibles.*variables"


def unknown_model(world):
    world.experiment["models"]["ridge"]["kind"] = "rigde"
    return r"unknown model 'rigde'\. Did you mean 'ridge'\? Known: "


def unknown_metric(world):
    world.experiment["scores"] = ["rsme"]
    return r"unknown metric 'rsme'\. Did you mean 'rmse'\? Known: "


def unknown_method(world):
    world.experiment["uncertainty"] = [{"method": "deep_ensembel"}]
    return r"unknown uncertainty method 'deep_ensembel'\. Did you mean 'deep_ensemble'\?"


def method_that_cannot_serve(world):
    world.experiment["explain"] = [{"method": "integrated_gradients", "models": ["ridge"]}]
    return r"'integrated_gradients' needs a model with the trait differentiable, and 'ridge' \(ridge\) has "


def target_among_the_predictors(world):
    world.experiment["data"]["predictors"].append({"dataset": "fine"})
    return r"data\.predictors: 'fine' gives tas of the same time, which is the target itself\. Leave it out, coarsen it"


def grid_of_no_predictor(world):
    world.experiment["prepare"]["regrid"] = {"to": "coarse/tsa"}
    return r"prepare\.regrid\.to: expected 'target' or a predictor .* got 'coarse/tsa'\. Did you mean 'coarse/tas'\?"


def gpu_where_there_is_none(world):
    from pipeline.backend import why_no_gpu

    if why_no_gpu() is None:
        pytest.skip("this machine has a GPU and RAPIDS")
    world.experiment["compute"] = {"backend": "gpu"}
    return r"(?i)gpu"


FAULTS = [
    missing_file, wrong_sha256, truncated_netcdf, variable_not_in_the_file, variable_not_in_the_catalog,
    dataset_not_in_the_catalog, unit_not_there, unit_not_convertible, reversed_split, overlapping_splits,
    split_without_data, all_nan_channel, duplicated_times, unknown_key, unknown_model_key, unknown_catalog_key,
    unknown_model, unknown_metric, unknown_method, method_that_cannot_serve, target_among_the_predictors, grid_of_no_predictor, gpu_where_there_is_none,
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_of_the_input_is_told_in_one_message(world, capfd, fault):
    message = fault(world)
    world.write()
    assert world.run() == 2
    err = capfd.readouterr().err
    assert len(re.findall(r"^error: ", err, re.MULTILINE)) == 1, err
    assert re.search(message, err), err
    assert "Traceback" not in err
    runs = world.folder / "runs"
    left = [run for run in runs.iterdir() if not list((run / "stages").glob("*.json"))] if runs.is_dir() else []
    assert left == [], "a run that never began was left behind"


def test_unsorted_times_are_sorted_and_the_repair_is_told(world, capfd):
    order = np.random.default_rng(0).permutation(world.coarse.sizes["time"])
    world.coarse = world.coarse.isel(time=order)
    world.write()
    assert world.run() == 0
    run = next((world.folder / "runs").iterdir())
    assert "sorted" in (run / "work/ingest/summary.json").read_text()


def test_half_a_run_is_not_whole(world, monkeypatch):
    """A stage that is killed while it writes leaves no file with a final name."""
    world.write()
    import flows.stages.prepare as stage

    def killed(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(stage, "make_samples", killed)
    assert world.run() == 130
    run = next((world.folder / "runs").iterdir())
    assert (run / "stages/ingest.json").is_file()
    assert not (run / "stages/prepare.json").exists()
    assert not list((run / "work").glob("prepare/*"))
