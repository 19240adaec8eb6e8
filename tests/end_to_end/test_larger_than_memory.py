"""A run on data eight times as large as what arrays may take, from files to the report."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from benchmarks._large import write_world
from benchmarks.memory import told_over_taken

BUDGET = 64 * 2**20
SIDE, CELLS, TIMES = 48, 4, 29_200  # 20 years, six-hourly: 512 MiB of predictors, and a small target
SMALL = 1_460  # a year: what the same run takes with next to no data


def _run(folder, times):
    """Return a run on that many times, done by a process of its own."""
    folder.mkdir()
    models = {
        "climatology": {"kind": "climatology"},
        "persistence": {"kind": "persistence"},
        "deepesd": {"kind": "deepesd", "filters": [2, 2, 1], "epochs": 1, "batch_size": 64},
        **({"analogs": {"kind": "analogs"}} if times == TIMES else {}),
    }
    asked = {"scores": ["rmse", "bias", "crps"], "memory": f"{BUDGET}", "threads": 1}
    write_world(folder, times, SIDE, CELLS, models, ["deepesd"], **asked)
    command = [sys.executable, "-m", "flows.cli", "run", "large.yaml", "--data", ".", "--out", "runs", "--no-server"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=1500, check=False)
    assert done.returncode == 0, done.stderr
    (run,) = (folder / "runs").iterdir()
    return run, done.stderr


@pytest.mark.timeout(1800)
def test_data_eight_times_the_memory_go_through_all_stages(tmp_path):
    small, _ = _run(tmp_path / "small", SMALL)
    large, said = _run(tmp_path / "large", TIMES)
    assert (tmp_path / "large/coarse.nc").stat().st_size > 8 * BUDGET * 0.99
    # A process keeps what it had before: a stage is held to the most that the small run had taken by then.
    least, more = 0.0, {}
    for stage in ("ingest", "prepare", "fit", "predict", "score", "explain", "report"):
        one, other = (
            json.loads((run / f"stages/{stage}.json").read_text())["peak_memory_mib"] for run in (small, large)
        )
        least = max(least, one)
        more[stage] = round(other - least)
    told = {run: told_over_taken(run) for run in (small, large)}
    print(more, told)
    assert max(more.values()) < BUDGET / 2**20, more
    for shares in told.values():
        assert {stage: share for stage, share in shares.items() if not 0.7 < share < 1.3} == {}
    assert (large / "models/deepesd/member-00").is_dir()
    # One that needs its samples in memory is left out, and says what it would have needed.
    assert not (large / "models/analogs").exists()
    assert "expected analogs 0 with the" in said
    assert "for 64 MiB; give it more memory" in said
    assert (large / "report.html").is_file()
