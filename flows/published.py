"""What a Prefect server shows of a run beside its states: progress while it is at work, and what it came to."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from flows.outcome import markdown, outcome, thumbnail
from pipeline.board import Board, overall
from pipeline.report.markdown import escaped
from pipeline.run_folder import RunFolder

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

log = logging.getLogger(__name__)

REPORTS_URL = "FINESCALE_REPORTS_URL"
EVERY = 2.0  # seconds between two looks at the board
MOST = 12  # members that are named at a time


@contextmanager
def live_progress(path: Path, stage: str) -> Iterator[None]:
    """Keep a progress artifact of the stage at work while the block lasts; none for a stage that is over at once."""
    ended = threading.Event()
    watcher = _Watcher(Board(path), stage)
    # The thread gets the task's context, by which Prefect knows whose artifact it is.
    thread = threading.Thread(
        target=copy_context().run, args=(watcher.watch, ended), name=f"progress of {stage}", daemon=True
    )
    thread.start()
    try:
        yield
    except BaseException:
        ended.set()
        thread.join()
        raise
    ended.set()
    thread.join()
    watcher.close()


class _Watcher:
    def __init__(self, board: Board, stage: str) -> None:
        self._board, self._stage = board, stage
        self._artifact: Any = None
        self._told: tuple[float, str] | None = None

    def watch(self, ended: threading.Event) -> None:
        while not ended.wait(EVERY):
            if not self._tell(*self._look()):
                return

    def close(self) -> None:
        """Say that all of it is done."""
        if self._artifact is not None:
            self._tell(100.0, f"{self._stage}: done")

    def _look(self) -> tuple[float | None, str]:
        pieces = self._board.pieces()
        whole = overall(pieces, self._stage)
        if whole is None or not whole.total:
            return None, ""
        left = whole.seconds_left
        lines = [f"{self._stage}, about {timedelta(seconds=round(left))} left" if left else self._stage]
        inside = [piece for piece in pieces if piece.stage == self._stage and piece.title != self._stage]
        for piece in inside[:MOST]:
            steps = f"{piece.done:.0f} of {piece.total:.0f}" if piece.total else "at work"
            lines.append(f"- {escaped(piece.title)}: {steps}{f', {escaped(piece.note)}' if piece.note else ''}")
        return round(100 * whole.fraction, 1), "\n".join(lines)

    def _tell(self, share: float | None, words: str) -> bool:
        """Show it; whether the server still wants to know."""
        from prefect.artifacts import create_progress_artifact, update_progress_artifact

        if share is None or self._told == (share, words):
            return True
        try:
            if self._artifact is None:
                self._artifact = create_progress_artifact(share, f"progress-{self._stage}", words)
            else:
                update_progress_artifact(self._artifact, share, words)
        except Exception:  # of any kind: a run does not end for want of a picture of it
            log.warning("the server takes no more progress of %s", self._stage, exc_info=True)
            return False
        self._told = (share, words)
        return True


def publish(run: RunFolder) -> None:
    """Give the server what the run came to: verdict and table, a small picture, and where the report is."""
    from prefect.artifacts import create_markdown_artifact, create_table_artifact

    result = outcome(run)
    if result is None:
        return
    log.info("%s", result.verdict)
    log.info("report: %s", report_link(run) or run / "report.html")
    link, name = report_link(run), f"Verdict of {run.name}"
    picture = thumbnail(run)
    lines = [f"[Open the report]({link})" if link else f"Report: `{run.path / 'report.html'}`", "", markdown(result)]
    lines += [f"{escaped(picture.title)}\n", f"![{escaped(picture.alt)}]({picture.uri})", ""] if picture else []
    head, rows = result.table()
    try:
        create_markdown_artifact("\n".join(lines), "verdict", name)
        table = [dict(zip(("model", *head[1:3], "role"), row, strict=True)) for row in rows]
        create_table_artifact(table, "skill", f"{result.score} of all models of {run.name}")
    except Exception:  # the run is done, and its folder is the truth
        log.warning("the server takes no artifacts of %s", run.name, exc_info=True)


def report_link(run: RunFolder) -> str | None:
    """Return the address of the report on the server of reports; None where none runs."""
    base = os.environ.get(REPORTS_URL, "").rstrip("/")
    return f"{base}/{quote(run.name)}/report.html" if base else None


def too_late(experiment: str) -> State[Any] | None:
    """Return the state of a scheduled run that was due too long ago; None for one that may begin."""
    from prefect.context import get_run_context
    from prefect.exceptions import MissingContextError
    from prefect.states import Cancelled

    from flows.load import load_experiment

    try:
        asked = getattr(get_run_context(), "flow_run", None)
    except MissingContextError:
        return None
    schedule = load_experiment(experiment).experiment.schedule
    if asked is None or schedule is None or not asked.auto_scheduled or asked.expected_start_time is None:
        return None
    due, now = asked.expected_start_time, datetime.now(UTC)
    if now - due <= schedule.patience:
        return None
    line = skipped_line(due, now, schedule.late)
    log.warning("%s", line)
    return Cancelled(name="Skipped", message=line)


def skipped_line(due: datetime, now: datetime, late: str) -> str:
    """Return why a scheduled run is skipped, in one line."""
    waited = timedelta(seconds=round((now - due).total_seconds()))
    return (
        f"skipped: it was due at {due:%Y-%m-%d %H:%M} UTC, {waited} ago, and schedule.late is {late}. "
        "The next one comes when it is due; start one by hand if this one is wanted."
    )
