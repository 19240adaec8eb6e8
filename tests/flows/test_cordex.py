"""Submissions from a run, and their check, by the command line."""

from __future__ import annotations

import json
import shlex
import shutil
import sys

import numpy as np
import pytest
import xarray as xr
import yaml

from flows.workspace import FORMAT
from pipeline.data.catalog import find_catalog
from pipeline.data.synthetic.cordex_tree import write_cordex_tree
from pipeline.grid import Grid
from pipeline.prediction import Prediction
from pipeline.prediction.serial import Forecast, Variable, write_forecasts

DAYS, CELLS = 35, 8
SETS = {
    "historical_perfect": "cordex-nz-historical-perfect",
    "mid_century_imperfect": "cordex-nz-mid-century-imperfect",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A mirror with a made NZ tree, and templates cut from its target."""
    root = tmp_path_factory.mktemp("mirror")
    made = write_cordex_tree(root / "cordex-ml-bench", "NZ", days=DAYS, cells=CELLS, coarse=8)
    (root / "templates").mkdir()
    target = made / "train/ESD_pseudo_reality/target/pr_tasmax_ACCESS-CM2_1961-1980.nc"
    with xr.open_dataset(target, decode_times=False) as whole:
        for name in ("pr", "tasmax"):
            whole[[name]].isel(time=[0]).to_netcdf(root / f"templates/{name}_NZ.nc")
    return root


@pytest.fixture
def run(data, tmp_path, monkeypatch):
    """A run's folder as far as its predictions, of several families."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs/cordex-nz-20260101T000000Z-abcdef"
    (folder / "predictions").mkdir(parents=True)
    (folder / "stages").mkdir()
    tree = {
        "name": "cordex-nz",
        "data": {
            "predictors": [{"dataset": "cordex-nz-esd-predictors"}],
            "target": {"dataset": "cordex-nz-esd-target"},
            "tests": {name: {"predictors": [{"dataset": dataset}]} for name, dataset in SETS.items()},
        },
        "split": {"train": ["1961", "1962"], "validation": ["1963", "1963"], "test": ["1964", "1964"]},
        "models": {"climatology": {"kind": "climatology"}},
    }
    (folder / "experiment.yaml").write_text(yaml.safe_dump(tree))
    settings = {
        "format": FORMAT,
        "base": str(tmp_path),
        "backend": "cpu",
        "data": str(data),
        "catalog": str(find_catalog()),
    }
    (folder / "work").mkdir()
    (folder / "work/settings.json").write_text(json.dumps(settings))
    for family in ("point", "normal", "members"):
        predict(folder, data, family)
    return folder


def predict(folder, data, family, members=12, days=DAYS):
    rng = np.random.default_rng(0)
    forecasts = []
    for name, dataset in SETS.items():
        period, quality = dataset.removeprefix("cordex-nz-").rsplit("-", 1)
        file = next(
            (data / f"cordex-ml-bench/NZ_domain/test/{period.replace('-', '_')}/predictors/{quality}").glob("*")
        )
        with xr.open_dataset(file) as raw:
            time = raw["time"].values[:days]
        mean = np.stack(
            [285 + rng.standard_normal((days, CELLS, CELLS)), rng.gamma(1, 3, (days, CELLS, CELLS)) - 0.01], 1
        )
        mean = mean.astype("f4")
        parameters = {
            "point": {"mean": mean},
            "normal": {"mean": mean, "sd": np.full_like(mean, 0.5)},
            "members": {"members": mean + rng.standard_normal((members, *mean.shape)).astype("f4") ** 2},
        }[family]
        forecasts.append(Forecast(name, time, Prediction(family, parameters), None))
    south, north, west, east = -47.56, -33.93, 166.04, 179.67
    lat, lon = (np.linspace(*ends, CELLS).astype("f4").astype("f8") for ends in ((south, north), (west, east)))
    variables = [Variable("tasmax", "K"), Variable("pr", "mm d-1")]
    path = folder / f"predictions/{family}.nc"
    write_forecasts(path, iter(forecasts), model=family, variables=variables, grid=Grid(lat, lon))


@pytest.fixture
def call(capsys):
    """Runs the command line in this process; returns exit code and both outputs."""
    from flows.cli import run_command

    def run(*words, group="cordex"):
        before, sys.argv = sys.argv, ["finescale", group, *map(str, words)]
        try:
            code = run_command()
        finally:
            sys.argv = before
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


def written(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.nc"))


@pytest.mark.parametrize("templates", [True, False])
def test_single_fields_are_submitted_as_they_are(run, data, call, tmp_path, templates):
    words = ["--templates", data / "templates"] if templates else []
    code, out, err = call("submit", run, "--model", "point", "--to", tmp_path / "s", "--name", "team", *words)
    assert (code, err) == (0, "")
    told = (
        "the training target in coordinates, types and attributes; no official template was given, see --templates DIR"
    )
    assert out.endswith(f"2 files match {'their templates' if templates else told}\n")
    assert "values of pr below 0 are set to 0" in out
    assert written(tmp_path / "s") == [
        "team/NZ_Domain/ESD_pseudo_reality/historical/perfect/Predictions_pr_tasmax_ACCESS-CM2_1981-2000.nc",
        "team/NZ_Domain/ESD_pseudo_reality/mid_century/imperfect/Predictions_pr_tasmax_ACCESS-CM2_2041-2060.nc",
    ]
    with (
        xr.open_dataset(run / "predictions/point.nc") as told,
        xr.open_dataset(tmp_path / "s" / written(tmp_path / "s")[1]) as file,
    ):
        rows = told["split"].values == "mid_century_imperfect"
        np.testing.assert_array_equal(file["tasmax"], told["tasmax"].values[rows])
        np.testing.assert_array_equal(file["pr"], np.maximum(told["pr"].values[rows], 0))
        assert file["time"].values[0].calendar == "noleap"


def test_ten_members_are_taken_of_more(run, call, tmp_path):
    assert call("submit", run, "--model", "members", "--to", tmp_path / "s")[0] == 0
    with (
        xr.open_dataset(run / "predictions/members.nc") as told,
        xr.open_dataset(tmp_path / "s" / written(tmp_path / "s")[0]) as file,
    ):
        rows = told["split"].values == "historical_perfect"
        assert file["tasmax"].dims == ("time", "lat", "lon", "member")
        chosen = [0, 1, 2, 3, 4, 6, 7, 8, 9, 10]  # of twelve, evenly
        expected = told["tasmax_member"].values[chosen][:, rows]
        np.testing.assert_array_equal(file["tasmax"].transpose("member", ...), expected)
    assert call("submit", run, "--model", "members", "--to", tmp_path / "m", "--content", "mean")[0] == 0
    with xr.open_dataset(tmp_path / "m" / written(tmp_path / "m")[0]) as file:
        assert "member" not in file.dims


def test_ten_draws_are_made_of_a_distribution(run, call, tmp_path):
    for folder in ("a", "b"):
        assert call("submit", run, "--model", "normal", "--to", tmp_path / folder)[0] == 0
    one, other = (xr.load_dataset(tmp_path / folder / written(tmp_path / folder)[0]) for folder in ("a", "b"))
    assert one.identical(other)
    with xr.open_dataset(run / "predictions/normal.nc") as told:
        error = one["tasmax"].values - told["tasmax"].values[told["split"].values == "historical_perfect"][..., None]
    assert error.std() == pytest.approx(0.5, rel=0.02)
    assert abs(np.corrcoef(error[..., 0].ravel(), error[..., 1].ravel())[0, 1]) < 0.1


def test_what_cannot_be_submitted_is_refused(run, data, call, tmp_path):
    to = ["--to", tmp_path / "s"]
    code, _, err = call("submit", run, "--model", "unet", *to)
    assert code == 2
    assert "expected predictions of 'unet'" in err
    assert "Known: members, normal, point." in err
    code, _, err = call("submit", run, "--model", "point", "--content", "members", *to)
    assert code == 2
    assert "expected a distribution to take members of, got single fields" in err
    predict(run, data, "members", members=5)
    code, _, err = call("submit", run, "--model", "members", *to)
    assert code == 2
    assert "expected 10 members or more, got 5" in err
    predict(run, data, "point", days=DAYS - 2)
    code, _, err = call("submit", run, "--model", "point", *to)
    assert code == 2
    assert (
        "expected predictions for the 35 days of ACCESS-CM2_1981-2000.nc, got 33; 2 are missing, the first 1981-02-03"
        in err
    )


def test_runs_on_other_data_are_refused(run, call, tmp_path):
    tree = yaml.safe_load((run / "experiment.yaml").read_text())
    none = {**tree, "data": {**tree["data"], "tests": {}}}
    (run / "experiment.yaml").write_text(yaml.safe_dump(none))
    code, _, err = call("submit", run, "--model", "point", "--to", tmp_path / "s")
    assert code == 2
    assert "expected test sets of CORDEX ML-Bench in data.tests" in err
    other = {**none, "data": {**none["data"], "target": {"dataset": "synthetic-fine"}}}
    (run / "experiment.yaml").write_text(yaml.safe_dump(other))
    code, _, err = call("submit", run, "--model", "point", "--to", tmp_path / "s")
    assert code == 2
    assert "expected a run on CORDEX ML-Bench, got one whose target 'synthetic-fine' is of format 'synthetic'" in err


def test_files_that_went_away_are_missed_and_looked_for_elsewhere(run, data, call, tmp_path):
    settings = json.loads((run / "work/settings.json").read_text())
    (run / "work/settings.json").write_text(json.dumps({**settings, "data": str(tmp_path)}))
    code, _, err = call("submit", run, "--model", "point", "--to", tmp_path / "s")
    assert code == 2
    assert "cordex-nz-historical-perfect: expected the files that the run read" in err
    assert call("submit", run, "--model", "point", "--to", tmp_path / "s", "--data", data)[0] == 0


def test_a_submission_is_checked_against_templates_and_days(run, data, call, tmp_path):
    to = tmp_path / "s"
    assert call("submit", run, "--model", "point", "--to", to)[0] == 0
    words = ["check", to, "--templates", data / "templates", "--data", data / "cordex-ml-bench"]
    code, out, _ = call(*words)
    assert code == 0
    assert out.endswith("2 files match their templates\n")
    path = to / written(to)[0]
    changed = xr.load_dataset(path, decode_times=False).isel(time=slice(3, None))
    path.unlink()
    changed.to_netcdf(path)
    code, out, err = call(*words)
    assert code == 2
    assert f"error: {written(to)[0]}: time: 3 days of the predictors are missing" in err
    assert written(to)[1] in out.splitlines()
    code, _, err = call("check", tmp_path / "runs", "--templates", data / "templates")
    assert code == 2
    assert "expected files Predictions_pr_tasmax_GCM_PERIOD.nc below" in err


def test_predictions_without_truth_have_no_diagnostics(run, call):
    tree = yaml.safe_load((run / "experiment.yaml").read_text())
    tree["split"]["test"], tree["data"]["tests"] = {"historical_perfect": ["1981", "1981"]}, {}
    (run / "experiment.yaml").write_text(yaml.safe_dump(tree))
    code, _, err = call("indices", run, "--model", "point")
    assert code == 2
    assert "expected a test set with truth in" in err


def test_a_tree_in_a_folder_of_another_name_is_told_how_to_lie(data, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["cordex-nz", "--no-server", "--out", tmp_path / "runs", "--data"]
    code, _, err = call(*words, tmp_path, group="run")
    assert code == 2
    assert "expected the folder cordex-ml-bench with NZ_domain/train and NZ_domain/test in it, found in none of" in err
    assert "or pass --data DIR, the folder that holds it" in err
    shutil.copytree(data / "cordex-ml-bench", tmp_path / "bench")
    code, _, err = call(*words, tmp_path / "bench", group="run")
    assert code == 2
    told = "is such a folder itself: call it cordex-ml-bench and pass the folder above it, --data"
    assert f"{tmp_path / 'bench'} {told} {tmp_path}" in err
    code, _, err = call(*words, data / "cordex-ml-bench", group="run")
    assert code == 2
    assert f"cordex-ml-bench is such a folder itself: pass the folder above it, --data {data}" in err


def test_an_example_tree_is_written(call, tmp_path):
    code, out, err = call("example", tmp_path / "made", "--domain", "SA", "--days", 30)
    assert code == 0
    assert out.strip() == str(tmp_path / "made/SA_domain")
    assert len(written(tmp_path / "made")) == 12
    assert "in a folder cordex-ml-bench: rename it so" in err


@pytest.mark.parametrize("domain", ["NZ", "SA", "ALPS"])
def test_an_example_tree_says_how_to_run_on_it(call, tmp_path, domain):
    """What is printed is taken as it stands by the command line, and its dates are among those of the files."""
    code, _, err = call("example", tmp_path / "my data/cordex-ml-bench", "--domain", domain, "--days", 60)
    assert code == 0
    group, *words = shlex.split(err.partition("Try it: finescale ")[2])
    code, out, err = call(*words, "--dry-run", group=group)
    assert code == 0, err
    assert "cordex" in out
    assert words[words.index("--data") + 1] == str(tmp_path / "my data")
    assert "split.test.held_out=[1961-02-10, 1961-03-01]" in words
