"""Members trained as one, from the files to the report."""

import json

import numpy as np
import pytest
import xarray as xr

from flows.engine import Request, create_or_find, do_stage
from pipeline.files import remove
from pipeline.run_log import log_to

UNET = {"kind": "unet", "width": 4, "depth": 1, "large_scale": [4], "epochs": 3, "lr": 5e-3}


@pytest.fixture
def ensemble(world):
    """The small world with an ensemble of networks."""

    def make(stacked):
        world.experiment["models"] = {"climatology": {"kind": "climatology"}, "unet": UNET}
        world.experiment["uncertainty"] = [
            {"method": "deep_ensemble", "models": ["unet"], "members": 3, "stacked": stacked}
        ]
        return world.write()

    return make


def newest(world):
    return max((world.folder / "runs").iterdir(), key=lambda path: path.stat().st_mtime_ns)


def summaries(run):
    return [json.loads((run / f"models/unet/member-0{number}/summary.json").read_text()) for number in range(3)]


def test_nothing_downstream_can_tell_them_from_members_trained_one_by_one(ensemble):
    fields, found = [], []
    for stacked in (True, False):
        world = ensemble(stacked)
        assert world.run() == 0
        run = newest(world)
        fields.append(xr.load_dataset(run / "predictions/unet+deep_ensemble.nc"))
        found.append(summaries(run))
        assert (run / "report.html").stat().st_size > 10_000
        method = json.loads((run / "models/unet+deep_ensemble/summary.json").read_text())
        how = "stacked" if stacked else "one by one"
        assert method["training"] == f"unet: 3 members {how} on 1 worker, as asked"
    as_one, apart = fields
    assert list(as_one.variables) == list(apart.variables)
    np.testing.assert_allclose(as_one.tas_member, apart.tas_member, atol=0.02)
    assert float(abs(as_one.tas_member - apart.tas_member).max()) < 0.1 * float(apart.tas_member.std("member").max())
    for one, other in zip(*found, strict=True):
        assert one.pop("stacked") is True
        assert one.keys() == other.keys()
        assert {name: one[name] for name in ("member", "epochs", "parameters")} == {
            name: other[name] for name in ("member", "epochs", "parameters")
        }
    assert len({one["seconds"] for one in found[0]}) == 1


def fitted(world):
    """Do the stages as far as the fit; return the run's folder."""
    run = create_or_find(Request(experiment="small.yaml", out=world.folder / "runs", use_server=False))
    with log_to(run, "INFO"):
        for stage in ("ingest", "prepare", "fit"):
            do_stage(str(run.path), stage)
    return run


def weights(run):
    return [(run / f"models/unet/member-0{number}/weights.safetensors").read_bytes() for number in range(3)]


def test_a_second_run_is_the_same_to_the_byte_and_so_is_one_that_lost_a_member(ensemble):
    world = ensemble(True)
    first, second = fitted(world), fitted(world)
    assert weights(first) == weights(second)
    assert len(set(weights(first))) == 3
    # As if it had been killed between two members.
    (second / "stages/fit.json").rename(second / "stages/fit.unfinished")
    kept = second / "models/unet/member-00/weights.safetensors"
    before = kept.stat().st_mtime_ns
    remove(second / "models/unet/member-01")
    do_stage(str(second.path), "fit")
    assert kept.stat().st_mtime_ns == before
    assert weights(second) == weights(first)


def test_auto_measures_once_and_says_what_it_chose(ensemble):
    world = ensemble("auto")
    run = fitted(world)
    said = json.loads((run / "models/unet+deep_ensemble/summary.json").read_text())["training"]
    assert said.startswith("unet: 3 members ")
    assert said.endswith("measured)")
    assert said in (run / "log.jsonl").read_text()
    assert len(list((world.folder / "cache/timings").glob("*.json"))) == 1


def test_what_cannot_be_stacked_ends_the_run_with_the_reason(ensemble, capfd):
    world = ensemble(True)
    world.experiment["models"]["unet"] = UNET | {"dropout": 0.1}
    assert world.write().run() == 2
    assert (
        "got 'unet' (unet): it has dropout, whose random numbers would not be those of a member alone. Take"
        in " ".join(capfd.readouterr().err.split())
    )


@pytest.mark.slow
def test_workers_train_their_shares_as_one(ensemble):
    world = ensemble(True)
    assert world.run("--workers", "2") == 0
    run = newest(world)
    method = json.loads((run / "models/unet+deep_ensemble/summary.json").read_text())
    assert method["training"] == "unet: 3 members stacked 2 at a time on 2 workers, as asked"
    assert [summary.get("stacked", False) for summary in summaries(run)] == [True, True, False]
