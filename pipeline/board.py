"""What a run is at, for whoever looks on: a small file in ``work/progress`` for every piece of work that is open.

The stages, and workers on this machine or another, write them; the command line, a Prefect flow or another terminal
reads them. Nothing passes between the processes but the run folder, and a run that nobody watches is no slower.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path

from pipeline.files import remove
from pipeline.progress import Step
from pipeline.run_log import current_stage

FOLDER = "work/progress"
_PAUSE = 0.3  # seconds between two writes of one piece
_NUMBERS = count()


@dataclass(frozen=True)
class Piece:
    """A piece of work that is open.

    Parameters
    ----------
    title : str
        What it is.
    stage : str
        The stage that it belongs to; empty outside of one.
    done : float
        How much of it is done.
    total : float or None
        Of how much; None where that is not known.
    note : str
        What was said last, such as a loss.
    started, updated : float
        When it was opened, and when it last got on [s since 1970].
    process : str
        ``host:pid`` of whoever does it.
    """

    title: str
    stage: str
    done: float
    total: float | None
    note: str
    started: float
    updated: float
    process: str

    @property
    def fraction(self) -> float:
        """How much of it is done, from 0 to 1; 0 where the total is not known."""
        return min(self.done / self.total, 1.0) if self.total else 0.0

    @property
    def seconds_left(self) -> float | None:
        """How long it will take, if it goes on as it went; None before its first step.

        Examples
        --------
        >>> Piece("fit", "fit", 2, 8, "", 100.0, 106.0, "here:1").seconds_left
        18.0
        """
        if not self.total or not self.done:
            return None
        return max(self.updated - self.started, 0.0) * (self.total - self.done) / self.done


@dataclass(frozen=True)
class Board:
    """The open pieces of work of the run at ``path``; to write, it is called as every other progress.

    Examples
    --------
    >>> import tempfile
    >>> board = Board(Path(tempfile.mkdtemp()))
    >>> with board("fit", 4) as step:
    ...     step.advance(note="unet 0")
    ...     [(piece.title, piece.total) for piece in board.pieces()]
    [('fit', 4)]
    >>> board.pieces()
    ()
    """

    path: Path

    @contextmanager
    def __call__(self, title: str, total: float | None = None) -> Iterator[Step]:
        """Open a piece of work; it is gone when the block ends."""
        now = time.time()
        process = f"{socket.gethostname()}:{os.getpid()}"
        file = self.path / FOLDER / f"{socket.gethostname()}-{os.getpid()}-{next(_NUMBERS)}.json"
        step = _Written(file, Piece(title, current_stage() or "", 0.0, total, "", now, now, process))
        step.write()
        try:
            yield step
        finally:
            with contextlib.suppress(OSError):
                file.unlink(missing_ok=True)

    def pieces(self) -> tuple[Piece, ...]:
        """Return the open pieces, in the order they were opened, without those of processes of this host that died."""
        found = []
        for file in sorted((self.path / FOLDER).glob("*.json")):
            try:
                piece = Piece(**json.loads(file.read_text(encoding="utf-8")))
            except (OSError, ValueError, TypeError):
                continue  # It has just ended, or another version wrote it.
            if _alive(piece.process):
                found.append(piece)
        return tuple(sorted(found, key=lambda piece: piece.started))

    def clear(self) -> None:
        """Forget what processes that were killed left open."""
        remove(self.path / FOLDER)


class _Written:
    """A piece that is written down as it gets on, a few times a second at most."""

    def __init__(self, file: Path, piece: Piece) -> None:
        self._file, self._piece, self._written = file, piece, 0.0

    def advance(self, amount: float = 1.0, note: str = "") -> None:
        """Say that ``amount`` more is done."""
        piece, now = self._piece, time.time()
        self._piece = replace(piece, done=piece.done + amount, note=note or piece.note, updated=now)
        if now - self._written > _PAUSE:
            self.write()

    def write(self) -> None:
        """Write it down in one step, but without waiting for the disk: after a power cut nobody looks at it."""
        part = self._file.with_suffix(".part")
        # A disk that is full ends the run soon enough, with a better message than this one would be.
        with contextlib.suppress(OSError):
            part.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(asdict(self._piece)), encoding="utf-8")
            part.replace(self._file)
        self._written = time.time()


def overall(pieces: tuple[Piece, ...], stage: str) -> Piece | None:
    """Return the piece that stands for the whole stage, with what the pieces inside it have done so far added to it.

    Examples
    --------
    >>> fit = Piece("fit", "fit", 1, 4, "", 0.0, 30.0, "here:1")
    >>> unet = Piece("unet 2", "fit", 5, 10, "", 20.0, 40.0, "here:2")
    >>> overall((fit, unet), "fit").done
    1.5
    """
    own = [piece for piece in pieces if piece.stage == stage]
    if not own:
        return None
    first = next((piece for piece in own if piece.title == stage), own[0])
    inside = [piece for piece in own if piece is not first]
    if not first.total:
        return first
    done = min(first.done + sum(piece.fraction for piece in inside), first.total)
    return replace(first, done=done, updated=max(piece.updated for piece in own))


def _alive(process: str) -> bool:
    host, _, number = process.rpartition(":")
    if host != socket.gethostname():
        return True  # Nothing here can tell.
    try:
        os.kill(int(number), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True
