"""Runs side by side: scores and marks, what differs, and the page."""

import base64
import hashlib
import json
import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

from pipeline.errors import ConfigError, RunFolderError
from pipeline.report import apart
from pipeline.report.compared import compare
from pipeline.report.comparison import html, write


@pytest.fixture
def two(make_run, tmp_path):
    """Two runs of one truth: the second lacks a model, its ridge is better beyond its interval."""
    first = make_run(members=2, years=3)
    second = first.rename(first.with_name("made-first")).parent / "made-second"
    first = first.with_name("made-first")
    import shutil

    shutil.copytree(first, second)
    scores = pd.read_csv(second / "scores.csv")
    scores = scores[scores["model"] != "random_forest"]
    ridge = (scores["model"] == "ridge") & (scores["metric"] == "rmse")
    scores.loc[ridge, ["value", "low", "high"]] *= 0.1
    scores.to_csv(second / "scores.csv", index=False)
    return first, second


def change(run, name, **parts):
    path = run / name
    told = yaml.safe_load(path.read_text())
    told.update(parts)
    path.write_text(json.dumps(told) if path.suffix == ".json" else yaml.safe_dump(told))


def row(found, model, metric="rmse"):
    table = next(table for table in found.tables if table.metric == metric)
    return next(row for row in table.rows if row.model == model)


def test_scores_stand_side_by_side_with_the_difference_of_the_second(two):
    found = compare(two)
    own = [pd.read_csv(run / "scores.csv") for run in two]
    where = "model == 'ridge' and metric == 'rmse' and split == 'test' and group == 'all'"
    values = [float(rows.query(where)["value"].iloc[0]) for rows in own]
    ridge = row(found, "ridge")
    assert [score.value for score in ridge.scores] == values
    assert ridge.difference(1) == pytest.approx(values[1] - values[0])
    assert ridge.separate(1)
    assert row(found, "unet").difference(1) == 0
    assert not row(found, "unet").separate(1)
    assert row(found, "random_forest").scores[1] is None
    assert np.isnan(row(found, "random_forest").difference(1))
    assert found.tables[0].main
    assert found.tables[0].metric == "rmse"


def test_runs_of_one_truth_and_code_carry_no_caution(two):
    found = compare(two)
    assert (found.cautions, found.experiment, found.surroundings) == ((), (), ())


def test_intervals_that_are_not_known_are_never_marked(two):
    for run in two:
        scores = pd.read_csv(run / "scores.csv").assign(low=np.nan, high=np.nan)
        scores.to_csv(run / "scores.csv", index=False)
    found = compare(two)
    assert not found.intervals
    assert not row(found, "ridge").separate(1)


def test_scores_in_other_units_are_left_out_and_that_is_said(two):
    scores = pd.read_csv(two[1] / "scores.csv")
    scores.loc[scores["metric"].isin(["rmse", "mae"]), "units"] = "degF"
    scores.to_csv(two[1] / "scores.csv", index=False)
    found = compare(two)
    assert found.cautions == ("Scores of tas in run B are in degF, not in K: they are left out.",)
    assert row(found, "ridge").scores[1] is None
    assert row(found, "ridge", "bias").scores[1] is not None


def test_another_truth_on_the_same_dates_is_said_first(two):
    path = next((two[1] / "predictions").glob("*.nc"))
    for path in (two[1] / "predictions").glob("*.nc"):
        data = xr.load_dataset(path)
        data["tas_truth"] = data["tas_truth"] + 1
        data.to_netcdf(path)
    cautions = compare(two).cautions
    assert cautions[0].startswith(
        "The truth of tas on test is not the same in A and B: other values on the same dates."
    )
    assert "of different questions" in cautions[0]


def test_other_test_dates_are_said_with_both_spans(two):
    for path in (two[1] / "predictions").glob("*.nc"):
        data = xr.load_dataset(path)
        data.isel(time=slice(0, -20)).to_netcdf(path)
    assert re.search(r"in A and B: \S+ to \S+ \(\d+ steps\) and \S+ to \S+ \(\d+ steps\)\.", compare(two).cautions[0])


def test_without_predictions_the_numbers_of_samples_are_compared(two):
    for run, count in zip(two, (100, 90), strict=True):
        for path in (run / "predictions").glob("*.nc"):
            path.unlink()
        scores = pd.read_csv(run / "scores.csv").assign(n=count)
        scores.to_csv(run / "scores.csv", index=False)
    assert "100 and 90 samples" in compare(two).cautions[0]


def test_a_test_set_of_one_run_alone_is_said(two):
    scores = pd.read_csv(two[1] / "scores.csv")
    scores.loc[scores["split"] == "test", "split"] = "later"
    scores.to_csv(two[1] / "scores.csv", index=False)
    cautions = compare(two).cautions
    assert "The test set test is in A alone; B has no scores on it." in cautions
    assert "The test set later is in B alone; A has no scores on it." in cautions


def test_code_libraries_backend_and_data_that_differ_are_named(two):
    told = json.loads((two[1] / "provenance.json").read_text())
    libraries = {**told["libraries"], "torch": "9.9"}
    change(
        two[0],
        "provenance.json",
        libraries={**libraries, "torch": "9.8"},
        data=[{"dataset": "a", "path": "x.nc", "sha256": "1" * 64}],
    )
    change(
        two[1], "provenance.json", libraries=libraries, source={"commit": "abc", "dirty": True},
        device={**told["device"], "backend": "gpu"}, data=[{"dataset": "a", "path": "x.nc", "sha256": "2" * 64}],
    )  # fmt: skip
    found = compare(two)
    around = {one.key: one.values for one in found.surroundings}
    assert around["library torch"] == ("9.8", "9.9")
    assert around["commit"][1] == "abc, with changes since"
    assert around["data a/x.nc"] == ("sha256 111111111111", "sha256 222222222222")
    text = " ".join(found.cautions)
    assert "The data differ: a/x.nc." in text
    assert "The code differs: commit and torch." in text
    assert "classical models agree within 1e-4" in text


def test_experiments_are_compared_by_dotted_key():
    one = {"name": "a", "models": {"unet": {"lr": "5e-3", "depth": 1}}, "explain": [{"method": "lrp", "days": 8}]}
    other = {"name": "b", "models": {"unet": {"lr": 0.005}}, "explain": [], "seed": 3}
    assert dict(apart.differing([one, other])) == {
        "models.unet.depth": ("1", "(not there)"),
        "explain.0": ("{method: lrp, days: 8}", "(not there)"),
        "seed": ("(not there)", "3"),
    }


def test_runs_of_different_tasks_are_refused(two):
    change(two[1], "experiment.yaml", task="series")
    message = (
        r"expected runs of one task, .*A \(made-first\) downscaling, B \(made-second\) series\. Compare runs of one"
    )
    with pytest.raises(ConfigError, match=message):
        compare(two)


def test_a_run_without_scores_is_refused_with_what_to_do(two):
    (two[1] / "scores.csv").unlink()
    with pytest.raises(
        RunFolderError, match=r"expected scores\.csv .*Finish the run first: finescale run --resume made-"
    ):
        compare(two)


def test_scores_that_no_run_has_are_refused_with_the_nearest(two):
    with pytest.raises(ConfigError, match=r"no run has the score 'rsme'\. Did you mean 'rmse'\? Known: "):
        compare(two, ["rsme"])
    assert [table.metric for table in compare(two, ["mae"]).tables] == ["rmse", "mae"]


@pytest.mark.parametrize("count", [0, 1])
def test_one_run_alone_cannot_be_compared(two, count):
    with pytest.raises(ConfigError, match=rf"expected 2 to 26 runs to compare, got {count}\."):
        compare(two[:count])


def test_a_run_is_not_compared_with_itself(two):
    with pytest.raises(ConfigError, match="expected different runs, got made-first, made-first, one of them twice"):
        compare([two[0], two[0]])


def test_the_page_opens_from_disk_and_links_to_the_reports(two, tmp_path):
    (two[0] / "report.html").write_text("report")
    path = write(compare(two), two[0].parent / "pages" / "all.html")
    source = path.read_text()
    assert 'href="../made-first/report.html"' in source
    assert "no report yet" in source
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', source)[1].replace("&#39;", "'")
    assert "default-src 'none'" in policy
    for tag, rule in (("style", "style-src"), ("script", "script-src")):
        inside = re.search(rf"<{tag}>(.*?)</{tag}>", source, re.DOTALL)[1]
        assert f"{rule} 'sha256-{base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()}'" in policy
    others = re.findall(r'(?:src|srcset|href)="(?!data:|#|\.\./made-)([^"]*)"', source)
    assert others == []
    assert source.count("data-sort") >= 2
    assert "prefers-color-scheme: dark" in source
    assert "\u2021" in source  # ridge is marked


def test_the_page_escapes_what_runs_say(two, tmp_path):
    change(two[0], "experiment.yaml", question="<script>alert(1)</script>", seed="<b>")
    source = html(compare(two), tmp_path / "page.html")
    assert "<script>alert" not in source
    assert "&lt;b&gt;" in source
