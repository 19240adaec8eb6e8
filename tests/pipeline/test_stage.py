import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import FinescaleError, RunFolderError, TrainingError
from pipeline.files import file_digest, write_atomic
from pipeline.run_folder import RunFolder, list_runs
from pipeline.stage import StageOutput, StageRecord, run_stage


class Work:
    """A stage that writes two files and counts how often it was done."""

    def __init__(self, run, text="one"):
        self.run, self.text, self.calls = run, text, 0

    def __call__(self):
        self.calls += 1
        for name in ("a.txt", "deep/b.txt"):
            with write_atomic(self.run / "work/prepare" / name) as temporary:
                temporary.write_text(f"{name} {self.text}")
        return StageOutput((self.run / "work/prepare",), {"cells": np.int64(4), "headline": "good"})


@pytest.fixture
def run(tmp_path):
    return RunFolder.create(tmp_path, "tiny")


@pytest.fixture
def work(run):
    return Work(run)


def test_a_stage_is_recorded(run, work):
    record = run_stage(run, "prepare", "d1", work)
    assert record == StageRecord.read(run, "prepare")
    assert (record.stage, record.digest, record.summary) == ("prepare", "d1", {"cells": 4, "headline": "good"})
    assert [output.path for output in record.outputs] == ["work/prepare/a.txt", "work/prepare/deep/b.txt"]
    assert record.outputs[0].sha256 == file_digest(run / "work/prepare/a.txt")
    assert record.outputs[0].bytes == len("a.txt one")
    assert 0 <= record.seconds < 60
    assert 1 < record.peak_memory_mib < 1e6
    assert record.started.endswith("+00:00")
    assert not run.unfinished_file("prepare").exists()


def test_what_is_done_is_not_done_again(run, work):
    first = run_stage(run, "prepare", "d1", work)
    assert run_stage(run, "prepare", "d1", work) == first
    assert work.calls == 1


def test_another_digest_does_it_again(run, work):
    run_stage(run, "prepare", "d1", work)
    assert run_stage(run, "prepare", "d2", work).digest == "d2"
    assert work.calls == 2


def test_a_missing_output_does_it_again(run, work):
    run_stage(run, "prepare", "d1", work)
    (run / "work/prepare/a.txt").unlink()
    run_stage(run, "prepare", "d1", work)
    assert work.calls == 2
    assert (run / "work/prepare/a.txt").read_text() == "a.txt one"


def test_damage_of_the_same_size_and_time_is_found(run, work):
    run_stage(run, "prepare", "d1", work)
    path = run / "work/prepare/a.txt"
    before = path.stat()
    path.write_text("a.txt 0ne")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    run_stage(run, "prepare", "d1", work)
    assert work.calls == 2
    assert path.read_text() == "a.txt one"


def test_with_the_same_digest_damaged_outputs_go_and_whole_ones_stay(run, work):
    run_stage(run, "prepare", "d1", work)
    (run / "work/prepare/a.txt").write_text("damaged")
    seen = []

    def again():
        seen.extend(sorted(path.name for path in (run / "work/prepare").rglob("*.txt")))
        return work()

    run_stage(run, "prepare", "d1", again, owns=["work/prepare"])
    assert seen == ["b.txt"]


def test_with_another_digest_all_of_it_goes(run, work):
    run_stage(run, "prepare", "d1", work)
    (run / "work/prepare/partial.txt").write_text("of an attempt that was killed")
    (run / "work/ingest").mkdir()
    seen = []

    def again():
        seen.extend(path.name for path in (run / "work").iterdir())
        return work()

    run_stage(run, "prepare", "d2", again, owns=["work/prepare"])
    assert seen == ["ingest"]


def test_old_outputs_go_even_if_the_stage_owns_no_folder(run, work):
    run_stage(run, "prepare", "d1", work)

    def other():
        (run / "work/other.txt").write_text("x")
        return StageOutput((run / "work/other.txt",))

    run_stage(run, "prepare", "d2", other)
    assert not (run / "work/prepare/a.txt").exists()


def test_a_damaged_record_does_it_again(run, work, caplog):
    run_stage(run, "prepare", "d1", work)
    (run / "stages/prepare.json").write_text('{"stage": "prepare"}')
    run_stage(run, "prepare", "d1", work)
    assert work.calls == 2
    assert "its record is damaged, so it is done again" in caplog.text


def test_read_says_that_a_record_is_damaged(run):
    (run / "stages/fit.json").write_text("{}")
    with pytest.raises(RunFolderError, match=r"^expected the record of a stage in .*stages/fit\.json: 'outputs'$"):
        StageRecord.read(run, "fit")


def test_an_error_is_kept_and_passed_on(run, caplog):
    def fail():
        with write_atomic(run / "work/a") as temporary:
            temporary.write_text("half")
            raise TrainingError("the loss is not finite.")

    with pytest.raises(TrainingError, match=r"^the loss is not finite\.$"):
        run_stage(run, "fit", "d1", fail)
    assert run.read_json("stages/fit.unfinished")["error"] == "TrainingError: the loss is not finite."
    (record,) = list_runs(run.path.parent)
    assert (record.state, record.headline) == ("failed", "fit: TrainingError: the loss is not finite.")
    run_stage(run, "fit", "d1", lambda: StageOutput())
    assert list_runs(run.path.parent)[0].state == "unfinished"
    assert "fit: failed" in caplog.text


@pytest.mark.parametrize("name", ["missing.nc", "../outside.nc"])
def test_outputs_must_be_files_of_the_run(run, name):
    (run.path.parent / "outside.nc").write_text("x")
    wanted = rf"^expected a stage's outputs to be files in .*, got '.*{re.escape(name)}'\.$"
    with pytest.raises(FinescaleError, match=wanted):
        run_stage(run, "fit", "d1", lambda: StageOutput((run.path / name,)))


KILLED = """
import os, signal, sys
from pathlib import Path
from pipeline.files import write_atomic
from pipeline.run_folder import RunFolder
from pipeline.stage import StageOutput, run_stage

run = RunFolder(Path(sys.argv[1]))

def work():
    with write_atomic(run / "models/member-00.txt") as temporary:
        temporary.write_text("whole")
    with write_atomic(run / "models/member-01") as temporary:
        temporary.mkdir()
        (temporary / "weights").write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)

run_stage(run, "fit", "d1", work, owns=["models"])
"""


@pytest.fixture
def killed(run):
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", KILLED, str(run.path)], cwd=root, check=False)
    assert done.returncode == -signal.SIGKILL
    assert [path.name[:5] for path in sorted((run / "models").iterdir())] == [".tmp-", "membe"]
    return run


@pytest.mark.parametrize(("digest", "seen"), [("d1", ["member-00.txt"]), ("d2", [])])
def test_a_killed_stage_goes_on_from_what_is_whole(killed, digest, seen):
    assert list_runs(killed.path.parent)[0].state == "unfinished"
    found = []

    def again():
        found.extend(path.name for path in killed.path.glob("models/*"))
        (killed / "models").mkdir(exist_ok=True)
        (killed / "models/end").write_text("x")
        return StageOutput((killed / "models",))

    record = run_stage(killed, "fit", digest, again, owns=["models"])
    assert found == seen
    assert [output.path for output in record.outputs] == [*(f"models/{name}" for name in ["end", *seen])]
    assert not killed.unfinished_file("fit").exists()


def test_killed_between_record_and_mark_counts_as_done(run, work):
    run_stage(run, "report", "d1", work)
    run.write_json("stages/report.unfinished", {"digest": "d1"})
    run_stage(run, "report", "d1", work)
    assert work.calls == 1
    assert list_runs(run.path.parent)[0].state == "finished"


MEASURE = """
import os, subprocess, sys, time
import numpy as np
from pipeline.stage import peak_memory
with peak_memory() as idle:
    pass
with peak_memory() as busy:
    {block}
print(idle.mib, busy.mib)
"""


@pytest.mark.parametrize(
    "block",
    [
        "held = np.ones(64 * 2**20 // 8); time.sleep(0.4); del held",
        "subprocess.run([sys.executable, '-c', 'import time; held = bytes(1) * (64 * 2**20); time.sleep(1.0)'])",
    ],
    ids=["freed-again", "of-a-child"],
)
def test_peak_memory_sees(block):
    # A process of its own: what earlier tests leave may be given back in between, and more than is taken here.
    code = MEASURE.format(block=block)
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    idle, busy = map(float, done.stdout.split())
    assert 50 < busy - idle < 200


def test_peak_memory_does_not_count_a_process_twice_that_forks():
    # Thirty children that end soon, each with the pages of its parent: a look in ten sees one.
    block = "for _ in range(30): os._exit(time.sleep(0.02) or 0) if (child := os.fork()) == 0 else os.waitpid(child, 0)"
    code = MEASURE.format(block=block)
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    idle, busy = map(float, done.stdout.split())
    assert busy < 1.3 * idle


def test_the_stage_stands_in_the_log(run, work, caplog):
    caplog.set_level("INFO")
    run_stage(run, "prepare", "d1", work)
    run_stage(run, "prepare", "d1", work)
    found = [record.message for record in caplog.records]
    assert found[0] == "prepare: started"
    assert re.fullmatch(r"prepare: done in \d+\.\d s, at most \d+ MiB", found[1])
    assert found[2] == "prepare: already done"
