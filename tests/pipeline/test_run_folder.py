import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.errors import RunFolderError
from pipeline.run_folder import RunFolder, is_run, list_runs


def make(parent, *names):
    for name in names:
        (parent / name / "stages").mkdir(parents=True)


def test_create_names_the_folder_by_utc_time_and_a_short_id(tmp_path):
    run = RunFolder.create(tmp_path / "runs", "iberia-tas")
    found = re.fullmatch(r"iberia-tas-(\d{8}T\d{6}Z)-[0-9a-f]{6}", run.name)
    made = datetime.strptime(found[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - made) < timedelta(seconds=30)
    assert is_run(run.path)
    assert run.path.parent == tmp_path / "runs"


def test_create_makes_another_folder_each_time(tmp_path):
    assert len({RunFolder.create(tmp_path, "tiny").name for _ in range(20)}) == 20


def test_create_draws_again_when_the_folder_is_there(tmp_path, monkeypatch):
    draws = iter(["aaaaaa", "aaaaaa", "bbbbbb"])
    monkeypatch.setattr("pipeline.run_folder.secrets.token_hex", lambda count: next(draws))
    first = RunFolder.create(tmp_path, "tiny")
    second = RunFolder.create(tmp_path, "tiny")
    assert first.name.endswith("aaaaaa")
    assert second.name.endswith(("aaaaaa", "bbbbbb"))
    assert first.path != second.path


@pytest.mark.parametrize("name", ["", "../up", "Upper", "a b", "-a"])
def test_create_refuses_a_name_that_is_none(tmp_path, name):
    with pytest.raises(
        RunFolderError, match=rf"^expected a name of a-z, 0-9, - and _ that .* got {re.escape(repr(name))}\.$"
    ):
        RunFolder.create(tmp_path, name)


@pytest.mark.parametrize("inside", ["", "deeper"])
def test_create_refuses_a_parent_that_is_a_file(tmp_path, inside):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(
        RunFolderError, match=r"^expected a folder for runs that can be written to, got .*Choose another with --out\.$"
    ):
        RunFolder.create(file / inside, "tiny")


def test_find_by_path_name_and_unique_prefix(tmp_path, monkeypatch):
    name = "tiny-20260101T000000Z-aaaaaa"
    make(tmp_path, name, "tiny-20260102T000000Z-bbbbbb", "iberia-tas-20260101T000000Z-cccccc")
    assert RunFolder.find(tmp_path, str(tmp_path / name)).name == name
    assert RunFolder.find(tmp_path, name).path == tmp_path / name
    assert RunFolder.find(tmp_path, "tiny-20260101").name == name
    assert RunFolder.find(tmp_path, "ib").name.startswith("iberia-tas")
    monkeypatch.chdir(tmp_path / name)
    assert RunFolder.find("elsewhere", ".").name == name


def test_find_prefers_the_exact_name(tmp_path):
    make(tmp_path, "tiny", "tiny-20260102T000000Z-bbbbbb")
    assert RunFolder.find(tmp_path, "tiny").name == "tiny"


def test_find_lists_the_candidates_of_an_ambiguous_prefix(tmp_path):
    make(tmp_path, "tiny-20260101T000000Z-aaaaaa", "tiny-20260102T000000Z-bbbbbb", "other-20260102T000000Z-bbbbbb")
    wanted = (
        rf"^expected one run, got 'tiny', which fits 2 in {re.escape(str(tmp_path))}: "
        r"tiny-20260101T000000Z-aaaaaa, tiny-20260102T000000Z-bbbbbb\. Write more of the name\.$"
    )
    with pytest.raises(RunFolderError, match=wanted):
        RunFolder.find(tmp_path, "tiny")


def test_find_shows_the_newest_of_many_candidates(tmp_path):
    make(tmp_path, *(f"tiny-202601{day:02d}T000000Z-aaaaaa" for day in range(1, 13)))
    with pytest.raises(RunFolderError, match=r"which fits 12 in .*: tiny-20260105.*tiny-20260112\S* and 4 older\."):
        RunFolder.find(tmp_path, "tiny")


def test_find_says_what_is_there_when_nothing_fits(tmp_path):
    make(tmp_path, "tiny-20260101T000000Z-aaaaaa")
    wanted = (
        r"^expected a run's path, name or the start of one, got 'tinx-20260101T000000Z-aaaaaa', which is not in .*\."
        r" Did you mean 'tiny-20260101T000000Z-aaaaaa'\? Known: tiny-20260101T000000Z-aaaaaa\.$"
    )
    with pytest.raises(RunFolderError, match=wanted):
        RunFolder.find(tmp_path, "tinx-20260101T000000Z-aaaaaa")


def test_find_says_that_there_are_no_runs(tmp_path):
    with pytest.raises(RunFolderError, match=r"got 'tiny', which is not in .*/none\. There are none yet\.$"):
        RunFolder.find(tmp_path / "none", "tiny")


def test_find_says_of_a_path_whether_something_is_there(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunFolderError, match=r"which is not in .*, and no folder that is there\. There are none yet"):
        RunFolder.find(tmp_path, str(tmp_path / "none"))
    with pytest.raises(RunFolderError, match=r"which is not in .*, and a folder without a run\. There are none yet"):
        RunFolder.find(tmp_path, str(tmp_path / "empty"))


def test_find_takes_an_empty_text_for_no_run(tmp_path):
    make(tmp_path, "tiny-20260101T000000Z-aaaaaa")
    with pytest.raises(RunFolderError, match=r"got ''"):
        RunFolder.find(tmp_path, "")


def test_a_folder_that_is_no_run_is_passed_over(tmp_path):
    (tmp_path / "tiny-notes").mkdir()
    with pytest.raises(RunFolderError, match=r"got 'tiny-notes', which is not in"):
        RunFolder.find(tmp_path, "tiny-notes")
    assert list_runs(tmp_path) == ()


def test_json_goes_and_comes(tmp_path):
    run = RunFolder.create(tmp_path, "tiny")
    run.write_json("work/a.json", {"a": [1, float("nan")], "b": "°C"})
    assert run.read_json("work/a.json") == {"a": [1, None], "b": "°C"}


def test_read_json_names_the_missing_and_the_damaged_file(tmp_path):
    run = RunFolder.create(tmp_path, "tiny")
    with pytest.raises(RunFolderError, match=r"^expected the file 'provenance\.json' in .*, which has none\.$"):
        run.read_json("provenance.json")
    (run / "provenance.json").write_text("{")
    with pytest.raises(RunFolderError, match=r"^expected JSON in .*provenance\.json, got something else: "):
        run.read_json("provenance.json")


def test_sweep_takes_what_killed_writers_left_and_nothing_else(tmp_path):
    run = RunFolder.create(tmp_path, "tiny")
    (run / "models/unet/.tmp-12345678-member-01/deeper").mkdir(parents=True)
    (run / "models/unet/.tmp-12345678-member-01/.tmp-1-a").write_text("half")
    (run / "models/unet/member-00").mkdir()
    (run / ".tmp-12345678-scores.csv").write_text("half")
    assert run.sweep() == (".tmp-12345678-scores.csv", "models/unet/.tmp-12345678-member-01")
    assert [path.name for path in (run / "models/unet").iterdir()] == ["member-00"]
    assert run.sweep() == ()


def record(run, stage, **summary):
    run.write_json(f"stages/{stage}.json", {"stage": stage, "summary": summary})


def test_list_runs_newest_first_with_state_headline_and_size(tmp_path):
    names = [f"tiny-2026010{day}T000000Z-aaaaaa" for day in (1, 2, 3, 4)]
    make(tmp_path, *names, "renamed")
    finished, failed, unfinished, damaged = (RunFolder(tmp_path / name) for name in names)
    record(finished, "score", headline="unet beats ridge by 8 %")
    record(finished, "report")
    record(failed, "score", headline="old")
    failed.write_json("stages/report.unfinished", {"digest": "a", "error": "OSError: disk full"})
    record(unfinished, "ingest")
    unfinished.write_json("stages/prepare.unfinished", {"digest": "a"})
    (damaged / "stages/ingest.json").write_text("{")
    records = list_runs(tmp_path)
    assert [r.name for r in records] == [*reversed(names), "renamed"]
    assert [r.state for r in records] == ["failed", "unfinished", "failed", "finished", "unfinished"]
    assert records[0].headline.startswith("damaged: expected JSON in ")
    assert [r.headline for r in records[1:]] == ["", "report: OSError: disk full", "unet beats ridge by 8 %", ""]
    assert [r.started for r in records[3:]] == [datetime(2026, 1, 1, tzinfo=UTC), None]
    assert records[3].size == sum(path.stat().st_size for path in (finished / "stages").iterdir())


def test_a_report_at_work_again_is_not_finished(tmp_path):
    run = RunFolder.create(tmp_path, "tiny")
    record(run, "report")
    run.write_json("stages/report.unfinished", {"digest": "a"})
    assert list_runs(tmp_path)[0].state == "unfinished"


def test_list_runs_of_no_folder(tmp_path):
    assert list_runs(tmp_path / "none") == ()


def test_two_processes_never_work_on_one_run(tmp_path):
    run = RunFolder.create(tmp_path, "tiny")
    code = (
        "import sys, pathlib; from pipeline.run_folder import RunFolder\n"
        f"with RunFolder(pathlib.Path({str(run.path)!r})).lock(): print('in', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"in\n"
        message = rf"expected a run that nobody works on, got 'tiny-.*', on which process {other.pid} is at work"
        with pytest.raises(RunFolderError, match=message), run.lock():
            pass
        other.kill()
    with run.lock():
        assert (run / ".lock").read_text() != str(other.pid)


def test_find_takes_the_only_run_that_finished_and_says_so(tmp_path):
    names = [f"tiny-2026010{day}T000000Z-aaaaaa" for day in (1, 2, 3)]
    make(tmp_path, *names)
    said = []
    with pytest.raises(RunFolderError, match=r"^expected one run, got 'tiny', which fits 3 in "):
        RunFolder.find(tmp_path, "tiny", said.append)
    (tmp_path / names[1] / "stages" / "report.json").write_text("{}")
    assert RunFolder.find(tmp_path, "tiny", said.append).name == names[1]
    assert said == [f"of 3 runs that 'tiny' fits, {names[1]} is the one that finished"]
    # To go on with, a run that finished is none.
    with pytest.raises(RunFolderError, match=r"^expected one run, got 'tiny', which fits 3 in "):
        RunFolder.find(tmp_path, "tiny")
    (tmp_path / names[2] / "stages" / "report.json").write_text("{}")
    with pytest.raises(RunFolderError, match=r"^expected one run, got 'tiny', which fits 3 in "):
        RunFolder.find(tmp_path, "tiny", said.append)
    assert RunFolder.find(tmp_path, names[0], said.append).name == names[0]
    assert len(said) == 1
