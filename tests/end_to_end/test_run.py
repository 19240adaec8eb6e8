"""One small experiment from raw files to the report, as a user runs it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import xarray as xr

from benchmarks.memory import told_over_taken
from flows.stages.report import report
from flows.workspace import Workspace
from pipeline.cf import names_back

SCORES = ["model", "split", "variable", "group", "metric", "value", "units", "low", "high", "n"]
STAGES = ["ingest", "prepare", "fit", "predict", "score", "explain", "report"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    """A finished run of the shipped experiment `tiny`, made by the command line in a process of its own."""
    out = tmp_path_factory.mktemp("runs")
    done = call("run", "tiny", "--out", str(out), "--no-server", cwd=out)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"report: {next(out.iterdir()) / 'report.html'}"
    return next(out.iterdir())


def call(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flows.cli", *words], cwd=cwd, env=environment(), capture_output=True, text=True
    )


def environment() -> dict[str, str]:
    root = str(Path(__file__).resolve().parents[2])
    return {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}


def test_every_stage_left_a_record_and_the_folder_holds_what_the_design_says(tiny):
    assert sorted(path.stem for path in (tiny / "stages").glob("*.json")) == sorted(STAGES)
    for name in ("experiment.yaml", "provenance.json", "log.jsonl", "scores.csv", "comparisons.csv", "report.html"):
        assert (tiny / name).stat().st_size > 0
    models = ["climatology", "ridge", "unet", "unet+deep_ensemble"]
    assert sorted(path.stem for path in (tiny / "predictions").glob("*.nc")) == models
    assert sorted(path.stem for path in (tiny / "attributions").glob("*.nc")) == ["ridge", "unet"]
    assert (tiny / "models/unet/member-01/weights.safetensors").is_file()
    assert not list(tiny.rglob("*.pkl")) + list(tiny.rglob("*.pickle"))


def test_every_stage_took_the_memory_that_was_told_within_thirty_percent(tiny):
    found = told_over_taken(tiny)
    assert list(found) == STAGES
    assert {name: share for name, share in found.items() if not 0.7 < share < 1.3} == {}


def test_scores_are_tidy_and_hold_every_model_on_every_split(tiny):
    scores = pd.read_csv(tiny / "scores.csv")
    assert list(scores.columns) == SCORES
    overall = scores[(scores.group == "all") & (scores.metric == "rmse")]
    assert set(overall.split) == {"validation", "test"}
    assert set(overall.model) == {"climatology", "ridge", "unet", "unet+deep_ensemble"}
    # Half a year holds too few independent weeks for an interval of the whole; either both ends are known or none.
    assert (overall.low.isna() == overall.high.isna()).all()
    assert not (overall.low > overall.value).any()
    assert not (overall.value > overall.high).any()
    assert not scores.duplicated(["model", "split", "variable", "group", "metric"]).any()


def test_regions_are_scored_and_told(tiny):
    scores = pd.read_csv(tiny / "scores.csv")
    rows = scores[scores.group.str.startswith("region=") & (scores.split == "test")]
    told = json.loads((tiny / "stages/prepare.json").read_text())["summary"]["regions"]
    names = [part["name"] for part in told["regions"]]
    assert told["how"] == "height"
    assert names[-1] == "mountains"
    assert set(rows.group) == {
        f"region={name}{season}"
        for name in names
        for season in ("", *(f";season={s}" for s in ("DJF", "JJA", "SON", "MAM")))
    }
    assert set(rows[rows.model == "unet"].metric) >= {"rmse", "bias", "crps", "coverage_90", "width_90", "spread_skill"}
    # Squares of errors of parts are those of the whole, weighted by their shares of the area.
    own = rows[(rows.model == "ridge") & (rows.metric == "rmse")].set_index("group").value
    whole = scores[
        (scores.split == "test") & (scores.group == "all") & (scores.model == "ridge") & (scores.metric == "rmse")
    ]
    mean = sum(part["share"] * own[f"region={part['name']}"] ** 2 for part in told["regions"])
    assert mean**0.5 == pytest.approx(float(whole.value.iloc[0]), rel=1e-4)
    page = (tiny / "report.html").read_text(encoding="utf-8")
    assert "height of the ground, orog" in page
    assert "by region and season" in page.replace("\n", " ")


def test_ridge_beats_climatology_where_the_weather_is_known(tiny):
    scores = pd.read_csv(tiny / "scores.csv").set_index(["model", "split", "group", "metric"]).value
    assert scores["ridge", "test", "all", "rmse"] < 0.8 * scores["climatology", "test", "all", "rmse"]


def test_the_predictive_variance_is_aleatoric_plus_epistemic(tiny):
    import numpy as np

    data = xr.load_dataset(tiny / "predictions/unet+deep_ensemble.nc")
    means, deviations = data["tas_member"].values, data["tas_param_sd"].values
    np.testing.assert_allclose(data["tas_epistemic"], means.var(axis=0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(data["tas_aleatoric"], (deviations**2).mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(data["tas"], means.mean(axis=0), rtol=1e-5, atol=1e-5)


def test_unusual_days_are_told_in_the_file_and_in_the_report_alike(tiny):
    import numpy as np

    data = names_back(xr.load_dataset(tiny / "diagnostics/novelty.nc"))
    assert data.attrs["Conventions"] == "CF-1.11"
    assert all(part.attrs["long_name"] and part.attrs["units"] for part in data.data_vars.values())
    test = data.isel(time=data["split"].values == "test")
    predicted = xr.open_dataset(tiny / "predictions/unet+deep_ensemble.nc")
    np.testing.assert_array_equal(test["time"], predicted["time"])
    unusual = test["novelty"].values > 1
    np.testing.assert_array_equal(unusual, test["share"].values >= 0.99)
    shares = data["unusual_share"].sel(set="test")
    assert float(shares) == pytest.approx(unusual.mean())
    # The same year in a warmer or colder place would be unusual; another year of the same climate is not.
    assert unusual.mean() < 0.05
    # A sentence of the report says so, in the words of these numbers.
    page = (tiny / "report.html").read_text().replace("\u00a0", " ")
    count, days = int(unusual.sum()), len(unusual)
    start = f"{count} of {days} days of the test set (" if count else f"None of the {days} days of the test set lies"
    assert start in page
    assert (
        "farther from the train climate than 99 % of the train days of their time of the year; 1 % is expected" in page
    )
    # The error of each day is that of the predictions: the area mean over the land.
    error = (predicted["tas"] - predicted["tas_truth"]).values
    area = np.cos(np.deg2rad(predicted["lat"].values))[:, None] * np.isfinite(error)
    rmse = np.sqrt((np.nan_to_num(error) ** 2 * area).sum(axis=(1, 2)) / area.sum(axis=(1, 2)))
    kept = test["error"].sel(model="unet+deep_ensemble", target="tas")
    np.testing.assert_allclose(kept, rmse, rtol=1e-4)
    between, within = (predicted[f"tas_{kind}"].values * area for kind in ("epistemic", "aleatoric"))
    share = np.nansum(between, axis=(1, 2)) / np.nansum(between + within, axis=(1, 2))
    np.testing.assert_allclose(test["disagreement"].sel(ensemble="unet+deep_ensemble", target="tas"), share, rtol=1e-4)
    record = json.loads((tiny / "stages/prepare.json").read_text())["summary"]["novelty"]
    assert (record["samples"], record["left_out"], record["season"]) == (365, "blocks", False)


def test_the_provenance_says_where_the_numbers_come_from(tiny):
    provenance = json.loads((tiny / "provenance.json").read_text())
    assert provenance["seeds"] == {"experiment": 1}
    assert provenance["device"]["backend"] == "cpu"
    assert {source["dataset"] for source in provenance["data"]} == {
        "synthetic-coarse",
        "synthetic-fine",
        "synthetic-static",
    }
    assert provenance["command"].startswith("finescale run tiny")


def test_a_run_that_is_done_is_not_done_again(tiny):
    before = {path: path.stat().st_mtime_ns for path in (tiny / "stages").iterdir()}
    done = call("run", "--resume", str(tiny), "--no-server", cwd=tiny.parent)
    assert done.returncode == 0, done.stderr
    assert {path: path.stat().st_mtime_ns for path in (tiny / "stages").iterdir()} == before


def test_runs_are_listed_and_shown_by_a_prefix(tiny):
    listed = call("runs", "list", "--out", str(tiny.parent), cwd=tiny.parent)
    assert tiny.name in listed.stdout
    assert "finished" in listed.stdout
    shown = call("runs", "show", "tiny", "--out", str(tiny.parent), cwd=tiny.parent)
    assert "unet+deep_ensemble" in shown.stdout
    assert "spread_skill" in shown.stdout


def test_the_report_is_written_anew_from_the_folder(tiny):
    done = call("report", "tiny", "--format", "md", "--out", str(tiny.parent), cwd=tiny.parent)
    assert done.returncode == 0, done.stderr
    assert "ridge" in Path(done.stdout.strip()).read_text()


def test_a_large_report_is_told_of_until_it_is_a_small_one(tiny, tmp_path, monkeypatch):
    space = Workspace.open(shutil.copytree(tiny, tmp_path / "tiny"))
    for limit, told in ((1000, True), (5_000_000, False)):
        monkeypatch.setattr("flows.stages.report.LARGE", limit)
        report(space)
        assert any("more than 0.001 MB" in warning for warning in space.said("warnings")) == told


def test_a_dry_run_prints_the_plan_and_does_nothing(tmp_path):
    done = call("run", "quickstart", "--dry-run", "--out", str(tmp_path / "runs"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for word in ("unet+deep_ensemble", "2009-01-01 to 2010-12-31", "synthetic-coarse", "to do"):
        assert word in done.stdout
    assert not (tmp_path / "runs").exists()


def test_a_dry_run_of_a_run_says_what_is_done(tiny):
    done = call("run", "--resume", str(tiny), "--dry-run", cwd=tiny.parent)
    assert "to do" not in done.stdout
    assert "time, about" not in done.stdout
    assert done.stdout.count("done") == len(STAGES)


def test_a_changed_experiment_is_not_resumed(world, command, capfd):
    world.write()
    assert world.run() == 0
    run = next((world.folder / "runs").iterdir())
    path = run / "experiment.yaml"
    text = path.read_text()
    path.write_text(text.replace("seed: 0", "seed: 5"))
    assert command("run", "--resume", str(run), "--no-server") == 2
    assert "was changed after the run began" in capfd.readouterr().err
    path.write_text(text)
    assert command("run", "--resume", str(run), "--set", "seed=5", "--no-server") == 2
    assert "goes on with the same experiment, got the changes seed=5" in capfd.readouterr().err


def test_a_plugin_that_changed_is_not_passed_over(world, command):
    plugin = world.folder / "mine.py"
    source = (
        "from models import MODELS\nfrom models.climatology import Climatology\n"
        "MODELS.register('mine')(type('Mine', (Climatology,), {}))\n"
    )
    plugin.write_text(source)
    world.experiment["plugins"] = ["mine.py"]
    world.experiment["models"]["own"] = {"kind": "mine"}
    world.write()
    assert world.run() == 0
    run = next((world.folder / "runs").iterdir())
    stages = [run / f"stages/{name}.json" for name in ("ingest", "fit")]
    before = [path.stat().st_mtime_ns for path in stages]
    assert command("run", "--resume", str(run), "--no-server") == 0
    assert [path.stat().st_mtime_ns for path in stages] == before
    plugin.write_text(source + "# another version\n")
    assert command("run", "--resume", str(run), "--no-server") == 0
    assert all(path.stat().st_mtime_ns > old for path, old in zip(stages, before, strict=True))


def test_the_same_seed_gives_the_same_scores_byte_for_byte(tiny, tmp_path):
    done = call("run", "tiny", "--out", str(tmp_path), "--no-server", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    again = next(tmp_path.glob("tiny-*"))
    assert (again / "scores.csv").read_bytes() == (tiny / "scores.csv").read_bytes()
    assert (again / "comparisons.csv").read_bytes() == (tiny / "comparisons.csv").read_bytes()


def test_a_killed_run_goes_on_where_it_stopped(tiny, tmp_path):
    words = [sys.executable, "-m", "flows.cli", "run", "tiny", "--out", str(tmp_path), "--no-server"]
    process = subprocess.Popen(words, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 240
        while not list(tmp_path.glob("tiny-*/models/ridge/member-00/summary.json")):
            assert time.monotonic() < deadline, "the run never fitted ridge"
            assert process.poll() is None, process.stderr.read().decode()
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    run = next(tmp_path.glob("tiny-*"))
    assert not (run / "report.html").exists()
    kept = [run / "stages/ingest.json", run / "stages/prepare.json", run / "models/ridge/member-00/summary.json"]
    before = [path.stat().st_mtime_ns for path in kept]
    done = call("run", "--resume", "tiny", "--out", str(tmp_path), "--no-server", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [path.stat().st_mtime_ns for path in kept] == before
    assert (run / "scores.csv").read_bytes() == (tiny / "scores.csv").read_bytes()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_run_with_its_code(tmp_path, number, code):
    words = [sys.executable, "-m", "flows.cli", "run", "tiny", "--out", str(tmp_path), "--no-server"]
    # A shell that starts this in the background has SIGINT ignored, and children inherit that.
    process = subprocess.Popen(
        words,
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("tiny-*/stages/ingest.*")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    error = process.communicate(timeout=60)[1].decode()
    assert process.returncode == code, error
    assert f"finescale run --resume {next(tmp_path.glob('tiny-*'))}" in error
    assert "Traceback" not in error


def test_what_it_wrote_keeps_to_cf_and_says_where_it_comes_from(tiny, complaints):
    files = [
        path for folder in ("predictions", "attributions", "diagnostics") for path in (tiny / folder).rglob("*.nc")
    ]
    assert {path.name: found for path in files if (found := complaints(path))} == {}
    for path in files:
        with xr.open_dataset(path) as data:
            assert data.attrs["Conventions"] == "CF-1.11"
            assert path.stem in data.attrs["title"] or path.stem == "novelty"
            assert f"of the run {tiny.name}, Finescale" in data.attrs["source"]
            assert "finescale run tiny" in data.attrs["history"]
            assert "CC0-1.0" in data.attrs["license"]
            assert "institution" not in data.attrs
