"""What is seen of a run on a terminal."""

from __future__ import annotations

import io
import json
import time

import pytest
from rich.console import Console

from flows import live
from pipeline.board import Board
from pipeline.run_folder import RunFolder
from pipeline.run_log import in_stage


@pytest.fixture
def run(tmp_path):
    return RunFolder.create(tmp_path, "tiny")


def done(run, stage, seconds):
    (run / f"stages/{stage}.json").write_text(json.dumps({"seconds": seconds}))


def seen(run, view=None, **how):
    console = Console(file=io.StringIO(), width=100)
    console.print((view or live._View(run, Board(run.path))).table(**how))
    return console.file.getvalue().splitlines()


def test_stages_are_done_at_work_or_to_come(run):
    view = live._View(run, Board(run.path))
    done(run, "ingest", 2.25)
    run.write_json("stages/prepare.unfinished", {})
    lines = seen(run, view)
    assert lines[0].split() == ["✓", "ingest", "2.2", "s"]
    assert lines[1].startswith("▸ prepare")
    assert [line.strip() for line in lines[2:]] == ["· fit", "· predict", "· score", "· explain", "· report"]


def test_a_log_has_a_line_when_a_stage_begins_and_when_it_is_done(run, capsys):
    done(run, "ingest", 2.25)
    with live.watched(run.path, lines=True):
        run.write_json("stages/prepare.unfinished", {})
        time.sleep(0.6)
        done(run, "prepare", 61.0)
        done(run, "fit", 3.0)
    lines = [line.partition(" ")[2] for line in capsys.readouterr().err.splitlines()]
    assert lines == ["prepare: begun", "prepare: done in 1:01", "fit: done in 3.0 s"]


def test_what_was_done_before_is_told_apart(run):
    done(run, "ingest", 2.25)
    assert "was done" in seen(run)[0]


def test_members_at_work_stand_under_their_stage_with_the_time_that_is_left(run, monkeypatch):
    run.write_json("stages/fit.unfinished", {})
    clock = iter(range(1000, 2000, 5))
    monkeypatch.setattr(time, "time", lambda: float(next(clock)))
    board = Board(run.path)
    with in_stage("fit"), board("fit", 4) as whole, board("fit unet [0], member 1", 10) as member:
        whole.advance(1)
        member.advance(2, "validation loss 0.5")
        lines = seen(run)
    lines = [line for line in lines if not line.startswith("·")]
    assert lines[0].startswith("▸ fit")
    assert "left" in lines[0]
    assert lines[1].strip().startswith("unet [0], member 1")
    assert all(words in lines[1] for words in ("2 of 10", "left", "validation loss 0.5"))


def test_more_than_fit_on_a_terminal_are_counted(run):
    run.write_json("stages/fit.unfinished", {})
    board = Board(run.path)
    with in_stage("fit"):
        pieces = [board(f"member {number}", 2) for number in range(live.MOST + 3)]
        for piece in pieces:
            piece.__enter__()
        assert "    and 3 more" in [line.rstrip() for line in seen(run)]
        for piece in pieces:
            piece.__exit__(None, None, None)


def test_what_stays_says_where_it_stopped(run):
    done(run, "ingest", 1.0)
    run.write_json("stages/prepare.unfinished", {})
    assert [line.split() for line in seen(run, last=True)] == [
        ["✓", "ingest", "1.0", "s", "was", "done"],
        ["✗", "prepare", "stopped"],
    ]


def test_nothing_is_shown_where_nobody_looks(run, capsys):
    with live.watched(run.path):
        pass
    assert capsys.readouterr() == ("", "")
