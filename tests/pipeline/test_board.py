"""The board: what processes write of their open work, and what a reader makes of it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time

from pipeline import board as module
from pipeline.board import FOLDER, Board, Piece, overall
from pipeline.run_log import in_stage


def test_a_piece_is_seen_by_another_process_while_it_is_open(tmp_path):
    board = Board(tmp_path)
    code = f"from pathlib import Path; from pipeline.board import Board; print(Board(Path({str(tmp_path)!r})).pieces())"
    with in_stage("fit"), board("unet, member 1", 10) as step:
        step.advance(3, "loss 0.5")
        time.sleep(module._PAUSE * 1.1)
        step.advance(1, "loss 0.4")
        seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "title='unet, member 1', stage='fit', done=4.0, total=10, note='loss 0.4'" in seen
    assert board.pieces() == ()
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_steps_in_quick_succession_are_written_seldom(tmp_path, monkeypatch):
    board, written = Board(tmp_path), []
    monkeypatch.setattr(
        module._Written, "write", lambda step: written.append(step) or setattr(step, "_written", time.time())
    )
    with board("fit", 5000) as step:
        for _ in range(5000):
            step.advance()
    assert len(written) < 100


def test_a_piece_of_a_process_that_died_is_not_shown_and_one_of_another_host_is(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for number, process in enumerate(
        (f"{socket.gethostname()}:{ended.pid}", "elsewhere:1", f"{socket.gethostname()}:{os.getpid()}")
    ):
        piece = {"title": process, "stage": "fit", "done": 0, "total": 1, "note": "", "started": number, "updated": 0}
        (tmp_path / FOLDER).mkdir(parents=True, exist_ok=True)
        (tmp_path / FOLDER / f"{number}.json").write_text(json.dumps({**piece, "process": process}))
    (tmp_path / FOLDER / "9.json").write_text("{")  # half of one, of another version
    assert [piece.title for piece in Board(tmp_path).pieces()] == [
        "elsewhere:1",
        f"{socket.gethostname()}:{os.getpid()}",
    ]
    Board(tmp_path).clear()
    assert Board(tmp_path).pieces() == ()


def test_a_folder_that_cannot_be_written_to_stops_nobody(tmp_path):
    (tmp_path / "work").write_text("a file where a folder should be")
    with Board(tmp_path)("fit", 2) as step:
        step.advance()
    assert (tmp_path / "work").is_file()


def test_what_stands_for_a_stage_counts_the_parts_of_what_is_at_work_in_it():
    def piece(title, done, total, stage="fit"):
        return Piece(title, stage, done, total, "", 0.0, 10.0, "here:1")

    both = (piece("fit", 1, 3), piece("unet 0", 5, 10), piece("unet 1", 1, 4), piece("other", 1, 1, "score"))
    assert overall(both, "fit").done == 1.75
    assert overall(both, "fit").seconds_left == 10 * 1.25 / 1.75
    assert overall((piece("uncertainty", 1, 2),), "fit").title == "uncertainty"
    assert overall((piece("prepare", 1, None, "prepare"), piece("read", 1, 2, "prepare")), "prepare").total is None
    assert overall((piece("fit", 3, 3), piece("late", 1, 2)), "fit").fraction == 1.0
    assert overall((), "fit") is None
