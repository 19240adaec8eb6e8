"""How long a run will take, told from an earlier one: what it took, times how much more there is to do."""

from __future__ import annotations

import json
import shutil

import pytest

from flows.dry_run import describe
from flows.duration import duration
from flows.engine import Request, create_or_find
from flows.extent import extent_of
from flows.load import load_experiment
from flows.plan import make_plan
from flows.sources import open_sources
from pipeline.backend import get_backend
from pipeline.run_folder import STAGES
from pipeline.stage import StageRecord

SECONDS = {"ingest": 4.0, "prepare": 2.0, "fit": 40.0, "predict": 6.0, "score": 12.0, "explain": 3.0, "report": 10.0}
FITS = {"climatology": 0.5, "ridge": 1.5, "unet": 9.0}


def planned(*overrides, name="tiny"):
    loaded = load_experiment(name, overrides)
    return make_plan(loaded.experiment, where=str(loaded.source))


@pytest.fixture
def out(tmp_path, monkeypatch):
    """A folder with a run of `tiny` that says what its stages took."""
    monkeypatch.chdir(tmp_path)
    made(tmp_path / "runs", SECONDS, FITS)
    return tmp_path / "runs"


def made(folder, seconds, fits, *overrides, name="tiny"):
    run = create_or_find(Request(experiment=name, overrides=overrides, out=folder))
    for stage in STAGES:
        summary = {"seconds": fits} if stage == "fit" else {}
        record = StageRecord(stage, "digest", "2026-01-01T00:00:00+00:00", seconds[stage], 100.0, (), summary)
        run.write_json(f"stages/{stage}.json", {**vars(record), "outputs": []})
    return run


def told(out, *overrides, name="tiny", backend="cpu"):
    plan = planned(*overrides, name=name)
    return duration(plan, extent_of(plan.experiment, open_sources(), get_backend("cpu")), backend, out)


def test_the_same_again_takes_as_long(out):
    found = told(out, "seed=7")
    assert found.stages == pytest.approx(SECONDS)
    assert (found.scaled, found.unknown) == (False, ())
    assert found.like.startswith("tiny-")


def test_more_epochs_and_members_take_longer_to_fit_alone(out):
    epochs = planned().models["unet"].config.epochs
    members = planned().members("unet")
    whole = FITS["climatology"] + FITS["ridge"] + members * FITS["unet"]
    longer = told(out, f"models.unet.epochs={3 * epochs}")
    assert longer.stages["fit"] == pytest.approx(40.0 * (whole + 2 * members * FITS["unet"]) / whole)
    assert longer.scaled
    assert {name: longer.stages[name] for name in STAGES if name != "fit"} == pytest.approx(
        {name: SECONDS[name] for name in STAGES if name != "fit"}
    )
    more = told(out, f"uncertainty.0.members={members + 4}")
    assert more.stages["fit"] == pytest.approx(40.0 * (whole + 4 * FITS["unet"]) / whole)


def test_more_days_take_longer_everywhere(out):
    split = planned().experiment.split
    short = told(out, f"split.train=[{split.train[0]}, 2001-06-30]")
    for name in ("prepare", "fit"):
        assert short.stages[name] < 0.9 * SECONDS[name]
    assert short.stages["score"] == pytest.approx(SECONDS["score"])


def test_a_kind_that_the_run_had_none_of_is_named(out):
    found = told(out, "models.forest.kind=random_forest")
    assert found.unknown == ("forest",)
    assert found.scaled


def test_the_most_alike_run_tells_and_of_those_the_newest(out):
    alone = ("models={climatology: {kind: climatology}}", "uncertainty=[]", "explain=[]")
    other = made(out, dict.fromkeys(STAGES, 1.0), {"climatology": 1.0}, *alone)
    assert told(out).like != other.name
    shutil.rmtree(other.path)
    again = made(out, {**SECONDS, "fit": 80.0}, FITS)
    (out / again.name).rename(out / again.name.replace(again.name.split("-")[1], "29991231T000000Z"))
    assert told(out).stages["fit"] == pytest.approx(80.0)


def test_nothing_tells_of_another_backend_or_without_a_finished_run(out, tmp_path):
    assert told(out, backend="gpu") is None
    assert told(tmp_path / "none") is None
    run = next(out.iterdir())
    (run / "stages/report.json").unlink()
    assert told(out) is None


def test_a_damaged_run_is_passed_by(out):
    run = next(out.iterdir())
    (run / "work/settings.json").write_text("{")
    assert told(out) is None
    (run / "work/settings.json").unlink()
    assert told(out) is None


def test_a_dry_run_says_it_and_counts_what_is_to_do(out):
    plan = planned()
    run = next(out.iterdir())
    lines = describe(plan, open_sources(), "cpu", None, out).splitlines()
    at = lines.index(f"time, about, as {run.name} took it")
    assert lines[at + 3].split() == ["fit", "40", "s"]
    assert lines[at + 8] == "  all that is to do: 1:17"
    from pipeline.run_folder import RunFolder

    (run / "stages/report.json").rename(run / "stages/kept.json")
    assert "not known before a run with such models has finished" in describe(plan, open_sources(), "cpu", None, out)
    (run / "stages/kept.json").rename(run / "stages/report.json")
    assert "all that is to do" not in describe(plan, open_sources(), "cpu", RunFolder(run), out)
    half = out / "half-done"
    shutil.copytree(run, half)
    (half / "stages/report.json").unlink()
    lines = describe(plan, open_sources(), "cpu", RunFolder(half), out).splitlines()
    report = lines[lines.index(f"time, about, as {run.name} took it") + 7].split()
    assert report[0] == "report"
    assert lines[at + 8] == f"  all that is to do: {' '.join(report[1:])}"
    assert json.loads((run / "stages/fit.json").read_text())["seconds"] == 40.0
