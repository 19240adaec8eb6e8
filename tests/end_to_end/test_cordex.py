"""The shipped CORDEX experiments, cut down to made data in the benchmark's layout: from files to a submission."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

from pipeline.backend import get_backend
from pipeline.data.synthetic.cordex_tree import TEST_PERIODS, write_cordex_tree
from pipeline.prepare.prepared import Prepared

SHIPPED = Path(__file__).parents[2] / "flows/experiments"
SMALL = {"epochs": 1, "patience": 0, "width": 4}
MODELS = {
    "cordex-nz": {"climatology": {}, "deepesd": {"epochs": 2, "patience": 0}, "noise_unet": {**SMALL, "depth": 2}},
    "cordex-alps-emulator": {"climatology": {}, "analogs": {}, "doury_unet": SMALL},
}
DAYS = 180
SETS = sorted(f"{period}_{quality}" for period in TEST_PERIODS for quality in ("perfect", "imperfect"))


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Finished runs of all that the tests below ask for, by experiment."""
    made: dict[str, Path] = {}

    def run(name: str, command) -> Path:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            domain = name.split("-")[1].upper()
            write_cordex_tree(folder / "mirror/cordex-ml-bench", domain, days=DAYS, cells=16, coarse=16)
            experiment = cut_down(name)
            (folder / "cut.yaml").write_text(yaml.safe_dump(experiment))
            words = ["--data", str(folder / "mirror"), "--out", str(folder / "runs"), "--no-server"]
            assert command("run", str(folder / "cut.yaml"), *words) == 0
            made[name] = next((folder / "runs").iterdir())
        return made[name]

    return run


def cut_down(name):
    """The shipped experiment with few models, few scores and the dates that the made data have."""
    tree = yaml.safe_load((SHIPPED / f"{name}.yaml").read_text())
    tree["models"] = {key: {**tree["models"][key], **changes} for key, changes in MODELS[name].items()}
    # Of the emulator's second period the last days stand in for its last years.
    year = 2080 if name.endswith("emulator") else 1961
    tree["split"]["train"][1] = f"{year}-05-15"
    tree["split"]["validation"] = [f"{year}-05-16", f"{year}-05-31"]
    tree["split"]["test"] = {"held_out": [f"{year}-06-01", f"{year}-06-29"]}
    tree["scores"] = ["rmse", "bias"]
    return tree


@pytest.mark.parametrize("name", MODELS)
def test_a_run_predicts_every_test_set_and_scores_what_has_truth(ran, command, name):
    run = ran(name, command)
    scores = pd.read_csv(run / "scores.csv")
    assert set(scores.split) == {"validation", "held_out"}
    assert set(scores.variable) == {"tasmax", "pr"}
    assert np.isfinite(scores.value).all()
    for model in MODELS[name]:
        with xr.open_dataset(run / f"predictions/{model}.nc") as told:
            count = pd.Series(told["split"].values).value_counts()
            assert sorted(count.index) == sorted([*SETS, "held_out"])
            assert {count[name] for name in SETS} == {DAYS}
            assert bool(np.isfinite(told["tasmax"]).all())
    assert (run / "report.html").stat().st_size > 0


def test_the_channels_are_those_of_training_whatever_their_order_in_the_files(ran, command):
    """The imperfect files have them backwards: 1.1 x + 0.5 deviations says which is which."""
    run = ran("cordex-nz", command)
    prepared = Prepared.load(run / "work/prepare", get_backend("cpu"))
    fields = [name for name in prepared.schema.channels if name not in ("day_cos", "day_sin")]
    assert fields == [f"{letter}_{level}" for letter in "uvqtz" for level in (850, 700, 500)]
    one, other = (prepared.samples(f"historical_{quality}").inputs for quality in ("perfect", "imperfect"))
    for position in range(len(fields)):
        pair = np.corrcoef(np.ravel(one[:, position]), np.ravel(other[:, position]))[0, 1]
        assert pair > 0.99, fields[position]


@pytest.mark.parametrize(
    ("name", "model", "members"),
    [
        ("cordex-nz", "deepesd", False),
        ("cordex-nz", "noise_unet", True),
        ("cordex-alps-emulator", "doury_unet", False),
        ("cordex-alps-emulator", "analogs", True),
    ],
)
def test_a_submission_of_the_run_is_accepted(ran, command, tmp_path, capsys, name, model, members):
    run = ran(name, command)
    words = ["--model", model, "--to", str(tmp_path), "--name", "team"]
    assert command("cordex", "submit", str(run), *words) == 0
    assert capsys.readouterr().out.endswith("attributes; no official template was given, see --templates DIR\n")
    files = sorted(tmp_path.rglob("*.nc"))
    assert len(files) == 6
    experiment = "Emulator_hist_future" if name.endswith("emulator") else "ESD_pseudo_reality"
    assert {file.relative_to(tmp_path).parts[:3] for file in files} == {
        ("team", f"{name.split('-')[1].upper()}_Domain", experiment)
    }
    for file in files:
        with xr.open_dataset(file) as data:
            assert data.sizes["time"] == DAYS
            assert ("member" in data.dims) == members
            assert float(data["pr"].min()) >= 0


@pytest.mark.parametrize(("name", "model"), [("cordex-nz", "noise_unet"), ("cordex-alps-emulator", "doury_unet")])
def test_the_benchmarks_own_diagnostics_are_told(ran, command, capsys, name, model):
    run = ran(name, command)
    capsys.readouterr()
    assert command("cordex", "indices", str(run), "--model", model, "--season", "JJA") == 0
    table = pd.read_csv(io.StringIO(capsys.readouterr().out))
    assert set(table["split"]) == {"held_out"}
    assert {"su", "rx1day", "ralsd", "wasserstein", "correlation"} <= set(table["index"])
    own = table.set_index(["index", "variable"])["prediction"]
    with xr.open_dataset(run / f"predictions/{model}.nc") as told:
        part = told.isel(time=np.flatnonzero(told["split"].values == "held_out"))
        part = part.isel(time=part["time.month"].isin([6, 7, 8]))
        field = part["tasmax_member"] if model == "noise_unet" else part["tasmax"]
        assert own["mean", "tasmax"] == pytest.approx(float(field.mean()), rel=1e-4)
        error = float(((field - part["tasmax_truth"]) ** 2).mean()) ** 0.5
        assert own["rmse", "tasmax"] == pytest.approx(error, rel=1e-3)
    assert command("cordex", "indices", str(run), "--model", "unet") == 2
    assert "expected predictions of 'unet'" in capsys.readouterr().err


def test_the_provenance_names_the_files_that_were_read_and_no_others(ran, command):
    run = ran("cordex-nz", command)
    provenance = json.loads((run / "provenance.json").read_text())
    read = {source["dataset"]: source["path"] for source in provenance["data"]}
    assert read["cordex-nz-esd-target"] == "pr_tasmax_ACCESS-CM2_1961-1980.nc"
    assert read["cordex-nz-end-century-imperfect"] == "ACCESS-CM2_2080-2099.nc"
    assert len(read) == 9


def test_a_domain_that_is_not_there_ends_with_what_to_do(tmp_path, command, capsys):
    (tmp_path / "cordex-ml-bench").mkdir()
    words = ["--data", str(tmp_path), "--out", str(tmp_path / "runs"), "--no-server"]
    assert command("run", "cordex-sa", *words) == 2
    assert "expected a folder SA_domain" in (shown := capsys.readouterr().err)
    assert "Unpack SA_domain.zip there." in shown
