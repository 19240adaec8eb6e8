"""``finescale runs list``."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flows.run_table import age, lines, size
from pipeline.run_folder import RunFolder, RunRecord

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def record(name="tiny-20260101T030405Z-aaaaaa", headline="unet beats ridge, the best baseline, by 8 %", seconds=75.0):
    return RunRecord(
        RunFolder(Path(name)), datetime(2026, 1, 1, 3, 4, 5, tzinfo=UTC), "finished", headline, 5_000_000, seconds
    )


def test_columns_and_the_whole_result_without_a_terminal():
    head, line = lines([record()], None, NOW)
    assert head.split() == ["run", "state", "age", "took", "size", "result"]
    assert (
        line
        == "tiny-20260101T030405Z-aaaaaa  finished  1 d  1 min  4.8 MiB  unet beats ridge, the best baseline, by 8 %"
    )


def test_results_are_cut_to_the_terminal_or_stand_below():
    wide = lines([record()], 102, NOW)
    assert wide[1].endswith("…")
    assert max(map(len, wide)) <= 102
    narrow = lines([record()], 70, NOW)
    assert narrow[2] == "  unet beats ridge, the best baseline, by 8 %"
    assert max(map(len, narrow)) <= 70


def test_a_headline_of_many_lines_stays_on_one():
    assert len(lines([record(headline="fit: OSError:\nno space\n left")], None, NOW)) == 2


def test_json_holds_what_a_line_says(tmp_path, finescale):
    run = RunFolder.create(tmp_path, "tiny")
    run.write_json("stages/report.json", {"summary": {"headline": "unet wins"}, "seconds": 2.5})
    code, out, _ = finescale("runs", "list", "--json", "--out", str(tmp_path))
    (told,) = json.loads(out)
    assert code == 0
    assert told["name"] == run.name
    assert told["path"] == str(run.path)
    assert (told["experiment"], told["state"], told["headline"], told["seconds"]) == (
        "tiny",
        "finished",
        "unet wins",
        2.5,
    )
    assert told["bytes"] == (run / "stages/report.json").stat().st_size
    assert json.loads(finescale("runs", "list", "--json", "--out", str(tmp_path / "none"))[1]) == []


def test_a_run_at_work_says_so(tmp_path, finescale):
    run = RunFolder.create(tmp_path, "tiny")
    with run.lock():
        assert "at work" in finescale("runs", "list", "--out", str(tmp_path))[1]
    assert "unfinished" in finescale("runs", "list", "--out", str(tmp_path))[1]


def test_runs_of_one_experiment(tmp_path, finescale):
    for name in ("tiny", "tiny-other", "quickstart"):
        RunFolder.create(tmp_path, name)
    out = finescale("runs", "list", "--out", str(tmp_path), "--experiment", "tiny")[1]
    assert [line.split("-2")[0] for line in out.splitlines()[1:]] == ["tiny"]
    code, _, err = finescale("runs", "list", "--out", str(tmp_path), "--experiment", "tinny")
    assert code == 2
    assert "no run of an experiment 'tinny'" in err
    assert "Did you mean 'tiny'?" in err


@pytest.mark.parametrize("words", [["--help"], ["runs", "list"], ["runs", "--help"], ["experiments", "--help"]])
def test_what_is_asked_for_often_imports_nothing_that_takes_long(words, tmp_path):
    RunFolder.create(tmp_path / "runs", "tiny").write_json("stages/ingest.json", {"summary": {}})
    code = (
        "import sys\nfrom flows.cli import run_command\n"
        f"sys.argv = ['finescale', *{words!r}]\ncode = run_command()\nprint('MODULES', *sys.modules)\nsys.exit(code)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # pydantic: typer itself reads the values of options with it.
    heavy = {"torch", "numpy", "pandas", "xarray", "prefect", "matplotlib", "rich", "yaml", "scipy", "dask"}
    assert heavy.isdisjoint(done.stdout.split("MODULES")[1].split())


def test_amounts_in_few_letters():
    assert [age(x) for x in (0, 59, 3600, 86_400 * 400)] == ["0 s", "59 s", "1.0 h", "400 d"]
    assert [size(x) for x in (0, 999, 1000, 2**20, 2**40)] == ["0 B", "999 B", "1.0 KiB", "1.0 MiB", "1024.0 GiB"]
