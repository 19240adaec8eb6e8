"""Finescale from Python: a run made, read and used, and what goes wrong said as everywhere."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from flows import load_bundle, load_run, run_experiment
from pipeline.data.synthetic import SyntheticConfig, generate
from pipeline.errors import ConfigError, RunFolderError

EXPERIMENT = {
    "name": "small",
    "question": "Is <b>this</b> escaped?",
    "data": {
        "predictors": [{"dataset": "synthetic-coarse", "variables": ["tas", "psl"]}],
        "target": {"dataset": "synthetic-fine", "variables": ["tas"]},
    },
    "split": {
        "train": ["2001-01-01", "2001-12-31"], "validation": ["2002-01-01", "2002-03-31"],
        "test": ["2002-07-01", "2002-12-31"],
    },
    "prepare": {"inputs": {"anomaly": "none"}, "target": {"anomaly": "mean"}},
    "models": {"climatology": {"kind": "climatology"}, "ridge": {"kind": "ridge"}},
    "scores": ["rmse", "crps"],
    "explain": [{"method": "permutation", "models": ["ridge"], "days": 16}],
    "compute": {"workers": 1, "threads": 1},
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    return run_experiment(EXPERIMENT, {"seed": 7}, out=out, backend="cpu", workers=1, progress=False)


@pytest.fixture(scope="module")
def new():
    return generate(SyntheticConfig(years=10)).dataset("coarse").sel(time=slice("2004-01", "2004-02"))


def test_a_run_has_all_that_its_folder_has(run):
    assert run.experiment.seed == 7
    assert run.experiment.compute.backend == "cpu"
    assert run.models == ("climatology", "ridge")
    assert run.report.read_text().startswith("<!doctype html>".lower()) or run.report.is_file()
    assert run.verdict
    assert isinstance(run.warnings, tuple)
    assert {"model", "reference", "difference"} <= set(run.comparisons.columns)
    with run.predictions("ridge") as data:
        assert data["tas"].dims == ("time", "lat", "lon")
        error = data["tas"] - data["tas_truth"]
        rmse = float(np.sqrt((error**2).mean()))
    told = run.scores.query("model == 'ridge' and split == 'test' and group == 'all' and metric == 'rmse'")
    assert 0.8 < rmse / float(told["value"].iloc[0]) < 1.2
    with run.attributions("ridge") as data:
        assert data.sel(channel="tas")["permutation_importance"] > 0


def test_a_run_is_found_by_its_path_name_or_the_start_of_one(run):
    for word in (run.path, str(run.path), run.name, "small-"):
        assert load_run(word, out=run.path.parent).path.resolve() == run.path.resolve()
    with pytest.raises(RunFolderError, match=r"expected a run's path, name or the start of one, got 'other'"):
        load_run("other", out=run.path.parent)


def test_scores_read_straight_into_pandas(run):
    for name in ("scores.csv", "comparisons.csv"):
        raw = (run.path / name).read_bytes()
        assert raw.decode("utf-8").splitlines()[0].startswith("model,")
        assert b"#" not in raw
        plain = pd.read_csv(run.path / name)
        assert not [column for column in plain.columns if column.startswith("Unnamed")]
        for column in ("model", "split", "variable", "group", "metric"):
            assert pd.api.types.is_string_dtype(plain[column]) or plain[column].dtype == object, column
        for column in {"value", "low", "high", "difference", "relative", "p_dm", "p_sign"} & set(plain.columns):
            assert pd.api.types.is_float_dtype(plain[column]), column
        assert pd.api.types.is_integer_dtype(plain["n"])
    tidy = run.scores.set_index(["model", "split", "variable", "group", "metric"])["value"].to_xarray()
    assert float(tidy.sel(model="ridge", split="test", variable="tas", group="all", metric="rmse")) > 0
    assert set(run.scores["units"]) == {"K"}


def test_units_of_one_are_text_and_missing_ends_are_numbers(run, tmp_path):
    (tmp_path / "scores.csv").write_text("model,split,units,value,low\na,test,1,2,\nNA,test,1,3,\n")
    found = type(run)(tmp_path).scores
    assert found["units"].tolist() == ["1", "1"]
    assert found["model"].tolist() == ["a", "NA"]
    assert np.isnan(found["low"]).all()


def test_a_model_of_it_predicts_and_is_carried_away(run, new, tmp_path):
    model = run.model("ridge")
    from_data = model.predict(new)
    new.to_netcdf(tmp_path / "new.nc")
    from_file = model.predict(tmp_path / "new.nc", tmp_path / "out.nc", period=("2004-01-01", "2004-01-31"))
    xr.testing.assert_allclose(from_data["tas"].sel(time="2004-01"), from_file["tas"])
    assert (tmp_path / "out.nc").is_file()
    assert run.model().name is None
    bundle = load_bundle(model.export(tmp_path / "bundle", zipped=True))
    xr.testing.assert_allclose(bundle.predict(new, members=3)["tas"].mean(), from_data["tas"].mean(), atol=1.0)


def test_a_notebook_shows_a_run_small_and_escaped(run, tmp_path):
    shown = run._repr_html_()
    assert run.name in shown
    assert "ridge" in shown
    assert "report.html" in shown
    assert len(shown) < 20_000
    (tmp_path / "scores.csv").write_text(
        "model,split,variable,group,metric,value,units,low,high,n\n<i>x</i>,test,tas,all,rmse,1.0,K,,,3\n"
    )
    odd = type(run)(tmp_path)
    odd.__dict__["verdict"] = "<script>"
    assert "<i>" not in odd._repr_html_()
    assert "<script>" not in odd._repr_html_()


def test_what_is_not_there_is_said(run, tmp_path):
    with pytest.raises(ConfigError, match=r"no predictions of 'rigde' in .* Did you mean 'ridge'\?"):
        run.predictions("rigde")
    with pytest.raises(ConfigError, match="no fitted model 'unet'"):
        run.model("unet")
    with pytest.raises(ConfigError, match="unknown experiment 'tinny'"):
        run_experiment("tinny", out=tmp_path)
    with pytest.raises(ConfigError, match=r"models\.rigde\.alpha"):
        run_experiment(EXPERIMENT, {"models.rigde.alpha": 1.0}, out=tmp_path)
    with pytest.raises(RunFolderError, match="expected a run whose stage prepare is done, or a bundle"):
        load_bundle(tmp_path / "none")
    with pytest.raises(RunFolderError, match=r"expected scores\.csv in .*: the stage score is not done"):
        _ = type(run)(tmp_path).scores


def test_importing_it_costs_next_to_nothing_and_a_running_event_loop_does_not_matter(run):
    code = (
        "import asyncio, sys\n"
        "from flows import load_run, run_experiment\n"
        "heavy = {'torch', 'pandas', 'xarray', 'prefect', 'pydantic', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "async def main():\n"
        f"    return load_run({str(run.path)!r}).verdict\n"
        "print(asyncio.run(main()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == run.verdict
