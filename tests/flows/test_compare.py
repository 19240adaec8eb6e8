"""``finescale runs compare`` as text, and on two runs that were really made."""

import math

import pytest

from flows.compare import _settings, aligned, as_text, score_lines
from pipeline.report.compared import Comparison, Score, ScoreRow, ScoreTable, Setting
from pipeline.report.load import load_run


def score(value, low=math.nan, high=math.nan):
    return Score(value, low, high, 10.0)


def test_a_model_that_a_run_lacks_has_a_dash_and_no_difference():
    table = ScoreTable("test", "tas", "rmse", "K", (ScoreRow("unet", (score(1.0), None)),), True)
    assert score_lines(table, "AB")[1:] == ["model  A      B  B - A", "unet   1.000  -"]


def test_of_three_runs_each_is_held_to_the_first():
    row = ScoreRow("unet", (score(2.0, 1.9, 2.1), score(1.0, 0.9, 1.1), score(2.0)))
    lines = score_lines(ScoreTable("test", "tas", "rmse", "K", (row,), True), "ABC")
    assert lines[1].split() == ["model", "A", "B", "C", "B", "-", "A", "C", "-", "A"]
    assert lines[2].endswith("-1.000 *  0")


def test_columns_stand_below_each_other():
    lines = aligned([["a", "bb", "c"], ["aaa", "b", "c"]])
    assert lines == ["a    bb  c", "aaa  b   c"]


@pytest.fixture
def runs(finescale, tmp_path, monkeypatch):
    """Two runs of `tiny` without networks, with different --set, and the folder that holds them."""
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "runs"
    few = ["--set", "models.unet={kind: ridge, alphas: [3]}", "--set", "uncertainty=[]", "--set", "explain=[]"]
    for seed, alpha in (("1", "3"), ("2", "30")):
        code, _, err = finescale(
            "run",
            "tiny",
            "--no-server",
            "--out",
            str(out),
            *few,
            "--set",
            f"seed={seed}",
            "--set",
            f"models.unet.alphas=[{alpha}]",
        )
        assert code == 0, err
    return sorted(out.iterdir())


@pytest.mark.timeout(600)
def test_two_runs_with_different_options_side_by_side(runs, finescale, tmp_path):
    names = [run.name for run in runs]
    code, out, err = finescale("runs", "compare", *names, "--out", str(runs[0].parent))
    assert code == 0, err
    assert out.splitlines()[0].startswith(f"A  {names[0]}")
    assert "test, tas" in out
    assert "RMSE [K], lower is better" in out
    keys = out[out.index("Experiments differ in:") :]
    assert [line.split() for line in keys.splitlines()[2:4]] == [
        ["models.unet.alphas", "[3]", "[30]"],
        ["seed", "1", "2"],
    ]
    code, _, err = finescale("runs", "compare", *names, "--out", str(runs[0].parent), "--html", str(tmp_path))
    assert code == 2
    assert "--html: expected the name of a file to write, got the folder" in err
    page = tmp_path / "all.html"
    code, out, err = finescale("runs", "compare", *names, "--out", str(runs[0].parent), "--html", str(page))
    assert (code, out) == (0, f"page: {page}\n")
    assert f'href="runs/{names[1]}/report.html"' in page.read_text()


def test_long_values_stand_below_their_key():
    long = Setting("models.unet", ("(not there)", "{kind: unet, width: 8, depth: 1, epochs: 10, lr: 0.005, loss: mse}"))
    assert _settings("Differ in", (long,), "AB", "none")[1:] == [
        "  models.unet", "    A  (not there)", f"    B  {long.values[1]}",
    ]  # fmt: skip
    assert _settings("Differ in", (), "AB", "nothing") == ["Differ in: nothing."]


def test_cautions_come_before_scores(tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "experiment.yaml").write_text("name: a\n")
    (folder / "scores.csv").write_text("model,split,variable,group,metric,value,units,low,high,n\n")
    run = load_run(folder)
    table = ScoreTable("test", "tas", "rmse", "K", (ScoreRow("unet", (score(1.0), score(2.0))),), True)
    text = as_text(Comparison(("A", "B"), (run, run), (table,), (), (), ("The truth differs.",)))
    assert text.index("warning: The truth differs.") < text.index("test, tas")
    assert "No run has 95 % intervals for these scores" in text
