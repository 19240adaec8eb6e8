"""Deleting runs: what is chosen, what is refused, what is never touched."""

from datetime import UTC, datetime, timedelta

import pytest

from flows.remove import Selection, span
from pipeline.errors import ConfigError
from pipeline.run_folder import RunFolder


def make(out, name, state):
    run = RunFolder(out / name)
    (run / "stages").mkdir(parents=True)
    (run / "scores.csv").write_text("x" * 5000)
    if state == "finished":
        run.write_json("stages/report.json", {"summary": {}, "seconds": 3.0})
    elif state == "failed":
        run.write_json("stages/fit.unfinished", {"error": "OSError: disk full"})
    return run


@pytest.fixture
def out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    old = (datetime.now(UTC) - timedelta(days=40)).strftime("%Y%m%dT%H%M%SZ")
    new = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    for when, age in ((old, "old"), (new, "new")):
        for state in ("finished", "failed", "unfinished"):
            make(tmp_path / "runs", f"{age}-{state}-{when}-aaaaaa", state)
    return tmp_path / "runs"


def left(out):
    return sorted("-".join(path.name.split("-")[:2]) for path in out.iterdir())


ALL = ["new-failed", "new-finished", "new-unfinished", "old-failed", "old-finished", "old-unfinished"]


@pytest.mark.parametrize(
    ("words", "gone"),
    [
        (["--failed"], {"new-failed", "old-failed"}),
        (["--unfinished"], {"new-unfinished", "old-unfinished"}),
        (["--failed", "--unfinished", "--older-than", "30d"], {"old-failed", "old-unfinished"}),
        (["--older-than", "30d"], {"old-failed", "old-finished", "old-unfinished"}),
        (["--older-than", "8w"], set()),
        (["new-failed", "old-finished"], {"new-failed", "old-finished"}),
    ],
)
def test_what_is_selected_goes_and_nothing_else(out, finescale, words, gone):
    code, said, err = finescale("runs", "delete", *words, "--yes")
    assert code == 0, err
    assert left(out) == [name for name in ALL if name not in gone]
    assert ("nothing to delete" in said) == (not gone)


def test_what_goes_is_shown_with_size_and_state_and_what_was_freed(out, finescale):
    code, said, _ = finescale("runs", "delete", "new-failed", "--yes")
    head, line, last = said.splitlines()
    assert code == 0
    assert head.split() == ["run", "state", "age", "took", "size"]
    assert line.startswith("new-failed-")
    assert "failed" in line.split()
    assert line.endswith("4.9 KiB")
    assert last == "deleted 1 run, 4.9 KiB freed"


def test_without_a_terminal_and_yes_nothing_goes(out, finescale):
    code, _, err = finescale("runs", "delete", "--failed")
    assert code == 2
    assert "expected --yes to delete 2 runs, since there is no terminal to ask on" in err
    assert left(out) == ALL


@pytest.mark.parametrize(("answer", "stay"), [("n\n", 6), ("\n", 6), ("y\n", 5)])
def test_a_terminal_is_asked(out, finescale, monkeypatch, answer, stay):
    import io
    import sys

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    code, said, _ = finescale("runs", "delete", "new-failed")
    assert code == 0
    assert "Delete 1 run, 4.9 KiB?" in said
    assert len(left(out)) == stay


def test_a_run_at_work_never_goes(out, finescale):
    busy = RunFolder(next(out.glob("new-unfinished-*")))
    with busy.lock():
        code, _, err = finescale("runs", "delete", "new-unfinished", "--yes")
        assert code == 2
        assert "expected a run that nobody works on" in err
        code, said, _ = finescale("runs", "delete", "--unfinished", "--yes")
        assert code == 0
        assert f"{busy.name}: somebody works on it, it stays" in said
    assert left(out) == [name for name in ALL if name != "old-unfinished"]


def test_a_folder_with_other_files_never_goes(out, finescale):
    run = next(out.glob("new-failed-*"))
    (run / "notes.txt").write_text("what I found")
    code, _, err = finescale("runs", "delete", "new-failed", "--yes")
    assert code == 2
    assert "which holds what no run writes: notes.txt. Move that elsewhere first." in err
    assert left(out) == ALL


def test_the_working_folder_never_goes(out, finescale, monkeypatch):
    run = next(out.glob("new-failed-*"))
    monkeypatch.chdir(run)
    code, _, err = finescale("runs", "delete", ".", "--yes")
    assert code == 2
    assert "which holds the working folder" in err
    assert left(out) == ALL


def test_an_experiment_of_the_users_own_is_no_run(out, finescale, tmp_path):
    project = tmp_path / "project"
    project.mkdir()
    (project / "experiment.yaml").write_text("name: mine\n")
    code, _, err = finescale("runs", "delete", str(project), "--yes")
    assert code == 2
    assert "which has no folder 'stages'" in err
    assert project.is_dir()


def test_a_link_to_a_run_is_not_followed(out, finescale):
    (out / "link").symlink_to(next(out.glob("new-failed-*")))
    code, _, err = finescale("runs", "delete", "link", "--yes")
    assert code == 2
    assert "which is a link" in err
    assert next(out.glob("new-failed-*")).is_dir()


@pytest.mark.parametrize("words", [[], ["tiny", "--failed"]])
def test_either_names_or_a_selection(out, finescale, words):
    code, _, err = finescale("runs", "delete", *words, "--yes")
    assert code == 2
    assert "expected either RUN names, or a selection by --failed, --unfinished or --older-than 30d" in err


@pytest.mark.parametrize("text", ["30", "d", "-3d", "30 days", ""])
def test_a_length_of_time_is_a_number_and_a_unit(text):
    with pytest.raises(
        ConfigError, match=r"--older-than: expected a number and a unit, m \(minutes\), h, d or w, such as 30d"
    ):
        span(text)


def test_a_length_of_time_is_a_hundred_years_at_most():
    with pytest.raises(ConfigError, match="--older-than: expected a hundred years at most, got '9999999999d'"):
        span("9999999999d")


def test_a_renamed_run_has_no_age_and_is_not_old(out):
    from pipeline.run_folder import record_of

    run = make(out, "renamed", "failed")
    assert not Selection(older_than=timedelta(0)).fits(record_of(run), datetime.now(UTC))


def test_what_an_interrupted_deletion_left_is_no_run_and_goes_with_the_next(out, finescale):
    half = make(out, ".tmp-deleted-x", "failed")
    assert finescale("runs", "delete", "new-failed", "--yes")[0] == 0
    assert not half.path.exists()
