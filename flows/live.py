"""A run on a terminal as it goes: its stages, what is open in the one at work, and about how long that takes yet."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.board import Board, Piece, overall
from pipeline.run_folder import STAGES, RunFolder

if TYPE_CHECKING:
    from rich.progress_bar import ProgressBar
    from rich.table import Table

MOST = 8  # pieces under a stage: as many fit on a small terminal
_PER_SECOND = 4
_BAR = 24


@contextmanager
def watched(path: Path, *, lines: bool = False) -> Iterator[None]:
    """Show the run at ``path`` on standard error while the block lasts.

    What stays when it ends is a line for every stage that is done. Where that is no terminal, nothing is shown; or,
    with ``lines``, a line when a stage begins and when it is done, as logs of batch systems want it.
    """
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True)
    if not console.is_terminal:
        with _in_lines(RunFolder(path)) if lines else nullcontext():
            yield
        return
    view = _View(RunFolder(path), Board(path))
    try:
        with Live(get_renderable=view.table, console=console, refresh_per_second=_PER_SECOND, transient=True):
            yield
    finally:
        console.print(view.table(last=True))


@contextmanager
def _in_lines(run: RunFolder) -> Iterator[None]:
    """Write a line to standard error when a stage begins and when it is done."""
    stop, told = threading.Event(), {name for name in STAGES if (run / f"stages/{name}.json").is_file()}
    begun: set[str] = set()

    def look() -> None:
        for name in STAGES:
            if name not in told and (run / f"stages/{name}.json").is_file():
                told.add(name)
                seconds = float(run.read_json(f"stages/{name}.json")["seconds"])
                _line(f"{name}: done in {clock(seconds)}")
            elif name not in told | begun and run.unfinished_file(name).is_file():
                begun.add(name)
                _line(f"{name}: begun")

    def watch() -> None:
        while not stop.wait(1.0 / _PER_SECOND):
            look()

    watcher = threading.Thread(target=watch, name="stages-in-lines", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()
        look()


def _line(text: str) -> None:
    print(f"{datetime.now().astimezone():%H:%M:%S} {text}", file=sys.stderr, flush=True)


class _View:
    """What is seen of a run: read anew from its folder each time."""

    def __init__(self, run: RunFolder, board: Board) -> None:
        self._run, self._board = run, board
        self._there = {name for name in STAGES if self._record(name) is not None}
        self._begun: dict[str, float] = {}

    def _record(self, stage: str) -> float | None:
        """Return how many seconds a stage took that is done."""
        file = self._run / f"stages/{stage}.json"
        return float(self._run.read_json(f"stages/{stage}.json")["seconds"]) if file.is_file() else None

    def table(self, *, last: bool = False) -> Table:
        """Return a row for every stage, and under the one at work a row for every open piece."""
        from rich.table import Table

        rows = Table.grid(padding=(0, 2, 0, 0))
        for width in (22, _BAR, None, None):
            rows.add_column(width=width, no_wrap=True, overflow="ellipsis")
        pieces = self._board.pieces()
        for name in STAGES:
            seconds = self._record(name)
            if seconds is not None:
                was = "was done" if name in self._there else ""
                rows.add_row(f"[green]✓[/] {name}", "", f"{clock(seconds)}", f"[dim]{was}[/]")
            elif self._run.unfinished_file(name).is_file() and last:
                rows.add_row(f"[red]✗[/] {name}", "", "", "stopped")
            elif self._run.unfinished_file(name).is_file():
                self._at_work(rows, name, pieces)
            elif not last:
                rows.add_row(f"[dim]· {name}[/]")
        return rows

    def _at_work(self, rows: Table, name: str, pieces: tuple[Piece, ...]) -> None:
        whole = overall(pieces, name)
        begun = self._begun.setdefault(name, time.time())
        if whole is None or not whole.total:
            rows.add_row(f"[bold]▸ {name}[/]", "", clock(time.time() - begun), "")
        else:
            rows.add_row(f"[bold]▸ {name}[/]", _bar(whole), clock(time.time() - begun), _left(whole))
        inside = [piece for piece in pieces if piece.stage == name and piece.title != name]
        for piece in inside[:MOST]:
            title = _plain(piece.title.removeprefix(f"{name} "))
            rows.add_row(f"    {title}", _bar(piece), _steps(piece), f"[dim]{_plain(piece.note)}[/]")
        if len(inside) > MOST:
            rows.add_row(f"    [dim]and {len(inside) - MOST} more[/]")


def _plain(text: str) -> str:
    """Return text in which rich sees no markup."""
    from rich.markup import escape

    return escape(text)


def _bar(piece: Piece) -> ProgressBar | str:
    from rich.progress_bar import ProgressBar

    if not piece.total:
        return ""
    return ProgressBar(total=piece.total, completed=min(piece.done, piece.total), width=_BAR)


def _steps(piece: Piece) -> str:
    if not piece.total:
        return ""
    left = piece.seconds_left
    steps = f"{piece.done:.0f} of {piece.total:.0f}"
    return steps if left is None else f"{steps}, {clock(left)} left"


def _left(piece: Piece) -> str:
    left = piece.seconds_left
    return "" if left is None else f"about {clock(left)} left"


def clock(seconds: float) -> str:
    """Return a duration as people say it.

    Examples
    --------
    >>> [clock(value) for value in (0.62, 59.6, 61, 3661)]
    ['0.6 s', '1:00', '1:01', '1:01:01']
    """
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"
