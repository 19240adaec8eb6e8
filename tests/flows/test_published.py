"""What a Prefect server is told of a run: progress, artifacts, and the link to the report."""

from __future__ import annotations

import threading

import pytest

from flows import published
from pipeline.board import Board
from pipeline.run_folder import RunFolder
from pipeline.run_log import in_stage


@pytest.fixture
def told(monkeypatch):
    """Returns what is sent in place of sending it."""
    import prefect.artifacts

    sent = []
    monkeypatch.setattr(prefect.artifacts, "create_progress_artifact", lambda *given: sent.append(given) or "number")
    monkeypatch.setattr(prefect.artifacts, "update_progress_artifact", lambda *given: sent.append(given))
    monkeypatch.setattr(published, "EVERY", 0.05)
    return sent


def test_members_at_work_are_told_with_their_share(tmp_path, told):
    board, seen = Board(tmp_path), threading.Event()
    with in_stage("fit"), board("fit", 4) as whole, published.live_progress(tmp_path, "fit"):
        whole.advance(1)
        with board("fit unet_[a], member 1", 10) as member:
            member.advance(5, "loss 0.5")
            while not any("member 1" in str(words[-1]) for words in told):
                seen.wait(0.02)
    first = next(words for words in told if "member 1" in str(words[-1]))
    assert "- fit unet\\_\\[a\\], member 1: " in first[-1]
    assert told[0][1] == "progress-fit"
    assert told[-1] == ("number", 100.0, "fit: done")


def test_a_stage_that_is_over_at_once_has_none(tmp_path, told):
    with published.live_progress(tmp_path, "prepare"):
        pass
    assert told == []


def test_an_error_passes_and_nothing_is_said_to_be_done(tmp_path, told):
    board = Board(tmp_path)

    def fail():
        with in_stage("fit"), board("fit", 4) as whole, published.live_progress(tmp_path, "fit"):
            whole.advance(1)
            while not told:
                threading.Event().wait(0.02)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert "fit: done" not in [words[-1] for words in told]


def test_a_server_that_is_gone_ends_no_run(tmp_path, told, monkeypatch, caplog):
    import prefect.artifacts

    def refuse(*given):
        raise RuntimeError("no server")

    monkeypatch.setattr(prefect.artifacts, "create_progress_artifact", refuse)
    board = Board(tmp_path)
    with in_stage("fit"), board("fit", 4), published.live_progress(tmp_path, "fit"):
        while not caplog.records:
            threading.Event().wait(0.02)
    assert "the server takes no more progress of fit" in caplog.text


def test_the_link_of_a_report(tmp_path, monkeypatch):
    run = RunFolder.create(tmp_path, "tiny")
    monkeypatch.delenv(published.REPORTS_URL, raising=False)
    assert published.report_link(run) is None
    monkeypatch.setenv(published.REPORTS_URL, "http://127.0.0.1:4201/")
    assert published.report_link(run) == f"http://127.0.0.1:4201/{run.name}/report.html"


def test_what_is_called_without_a_server_is_never_too_late():
    assert published.too_late("tiny") is None
