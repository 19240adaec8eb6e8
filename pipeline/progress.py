"""Progress with time left, for anything over two seconds; quiet when not on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import rich.console
import rich.progress


class Step(Protocol):
    """Handle of one piece of work."""

    def advance(self, amount: float = 1.0, note: str = "") -> None:
        """Say that ``amount`` of the total is done; ``note`` stands beside the bar."""


class Progress(Protocol):
    """Opens a bar for a piece of work: ``with progress("fit unet", 100) as step: step.advance()``."""

    def __call__(self, title: str, total: float | None = None) -> AbstractContextManager[Step]:
        """Open the bar ``title``; ``total`` is None where the end is not known."""


class _Quiet:
    def advance(self, amount: float = 1.0, note: str = "") -> None:
        """Do nothing."""


@contextmanager
def silent(title: str, total: float | None = None) -> Iterator[Step]:
    """Show nothing."""
    yield _Quiet()


class _Bar:
    def __init__(self, bars: rich.progress.Progress, task: rich.progress.TaskID) -> None:
        self._bars, self._task = bars, task

    def advance(self, amount: float = 1.0, note: str = "") -> None:
        self._bars.update(self._task, advance=amount, note=note)


@contextmanager
def terminal(title: str, total: float | None = None) -> Iterator[Step]:
    """Show a bar with the time left on standard error, gone when done; nothing if that is no terminal."""
    console = rich.console.Console(stderr=True)
    if not console.is_terminal:
        yield _Quiet()
        return
    columns = (
        rich.progress.TextColumn("  {task.description}"),
        rich.progress.BarColumn(bar_width=30),
        rich.progress.TaskProgressColumn(),
        rich.progress.TimeRemainingColumn(),
        rich.progress.TextColumn("{task.fields[note]}"),
    )
    with rich.progress.Progress(*columns, console=console, transient=True) as bars:
        yield _Bar(bars, bars.add_task(title, total=total, note=""))
