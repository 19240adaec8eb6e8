"""The run folder, ``<out>/<name>-<utc time>-<short id>/``: the truth about one run, whole at any moment.

Whatever is written here goes through :func:`write_atomic`, so a file with its final name is whole,
and what a killed process leaves behind is known by its name and swept away by the next attempt.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self

from pipeline.errors import RunFolderError
from pipeline.files import TEMPORARY, file_digest, json_digest, plain, remove, write_atomic
from pipeline.registry import suggest

__all__ = ["STAGES", "RunFolder", "RunRecord", "file_digest", "is_run", "json_digest", "list_runs", "write_atomic"]

STAGES = ("ingest", "prepare", "fit", "predict", "score", "explain", "report")

LOCK = ".lock"
_UNFINISHED = ".unfinished"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_TIME = "%Y%m%dT%H%M%SZ"
_RUN_NAME = re.compile(r"-(\d{8}T\d{6}Z)-[0-9a-f]{6}$")


@dataclass(frozen=True)
class RunFolder:
    """One run's folder.

    Parameters
    ----------
    path : Path
        Where it is; ``run / "scores.csv"`` is a path inside it.

    Examples
    --------
    >>> import tempfile
    >>> run = RunFolder.create(Path(tempfile.mkdtemp()), "tiny")
    >>> run.write_json("work/ingest/summary.json", {"cells": 4})
    >>> run.read_json("work/ingest/summary.json")
    {'cells': 4}
    """

    path: Path

    @classmethod
    def create(cls, parent: str | Path, name: str) -> Self:
        """Make a new, empty run folder in ``parent``, which is made too.

        Raises
        ------
        RunFolderError
            If ``name`` is no experiment's name, or ``parent`` is not a folder one may write to.
        """
        if not _NAME.fullmatch(name):
            raise RunFolderError(f"expected a name of a-z, 0-9, - and _ that starts a run folder, got {name!r}.")
        parent = Path(parent)
        while True:
            path = parent / f"{name}-{datetime.now(UTC).strftime(_TIME)}-{secrets.token_hex(3)}"
            try:
                parent.mkdir(parents=True, exist_ok=True)
                path.mkdir()
            except (NotADirectoryError, PermissionError, FileNotFoundError) as error:
                raise RunFolderError(_no_parent(parent, error)) from error
            except FileExistsError as error:
                if not parent.is_dir():
                    raise RunFolderError(_no_parent(parent, error)) from error
                continue  # The same second and the same six digits: draw again.
            (path / "stages").mkdir()
            return cls(path)

    @classmethod
    def find(cls, parent: str | Path, text: str, say: Callable[[str], None] | None = None) -> Self:
        """Return the run that ``text`` means: a path, a run's name in ``parent``, or a unique prefix of one.

        With ``say``, which is told of it, the only finished run is taken where a prefix fits several; to go on with
        a run none is.

        Raises
        ------
        RunFolderError
            If there is none, or more than one; the message lists the candidates.
        """
        if text and is_run(Path(text)):
            return cls(Path(text))
        names = [path.name for path in _runs(Path(parent))]
        hits = [name for name in names if text and name.startswith(text)]
        if text in names:
            hits = [text]
        if len(hits) > 1 and say is not None:
            finished = [name for name in hits if (Path(parent) / name / "stages" / f"{STAGES[-1]}.json").is_file()]
            if len(finished) == 1:
                say(f"of {len(hits)} runs that {text!r} fits, {finished[0]} is the one that finished")
                hits = finished
        if len(hits) == 1:
            return cls(Path(parent) / hits[0])
        if hits:
            raise RunFolderError(
                f"expected one run, got {text!r}, which fits {len(hits)} in {parent}: {_few(hits)}."
                " Write more of the name."
            )
        known = f"Known: {_few(names)}." if names else "There are none yet."
        raise RunFolderError(
            f"expected a run's path, name or the start of one, got {text!r}, which is not in {parent}{_no_path(text)}."
            f"{suggest(text, names)} {known}"
        )

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.resolve().name

    def __truediv__(self, relative: str | Path) -> Path:
        return self.path / relative

    def read_json(self, relative: str | Path) -> Any:
        """Return what the JSON file ``relative`` holds.

        Raises
        ------
        RunFolderError
            If it is not there or holds no JSON.
        """
        try:
            return json.loads((self / relative).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise RunFolderError(f"expected the file {str(relative)!r} in {self.path}, which has none.") from error
        except ValueError as error:
            raise RunFolderError(f"expected JSON in {self / relative}, got something else: {error}") from error

    def write_json(self, relative: str | Path, data: Any) -> None:
        """Write ``data`` as JSON to ``relative``, atomically; a number that is not finite becomes ``null``."""
        text = json.dumps(plain(data), indent=1, ensure_ascii=False, allow_nan=False)
        with write_atomic(self / relative) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")

    def unfinished_file(self, stage: str) -> Path:
        """Return where ``stage`` says that it has begun and is not done, and with which error if it failed."""
        return self / "stages" / f"{stage}{_UNFINISHED}"

    def at_work(self) -> bool:
        """Return whether a process is at work on this run: whether :meth:`lock` would be refused."""
        try:
            with (self / LOCK).open("r") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False  # Nobody ever worked on it, or it cannot be looked at.
        return False

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep every other process from writing to this run while the block lasts; a killed one lets go.

        Raises
        ------
        RunFolderError
            If another process is at work on it.
        """
        with (self / LOCK).open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.seek(0)
                raise RunFolderError(
                    f"expected a run that nobody works on, got {self.name!r}, on which process {file.read().strip()} "
                    "is at work. Wait for it, or stop it."
                ) from error
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield

    def sweep(self) -> tuple[str, ...]:
        """Delete what writers that were killed left half-written; return those paths, relative."""
        found = sorted(path for path in self.path.rglob(f"{TEMPORARY}*") if not _inside_temporary(path, self.path))
        for path in found:
            remove(path)
        return tuple(path.relative_to(self.path).as_posix() for path in found)


State = Literal["finished", "unfinished", "failed"]


@dataclass(frozen=True)
class RunRecord:
    """One line of ``finescale runs list``.

    Parameters
    ----------
    run : RunFolder
        The run.
    started : datetime or None
        When it was made, UTC, from its name; None for a renamed folder.
    state : {"finished", "unfinished", "failed"}
        ``finished``: its report is written; ``failed``: its last stage ended in an error;
        ``unfinished``: it is at work or was killed.
    headline : str
        The error of a failed run; else the result in a sentence, from the last stage's summary that
        has one; else empty.
    size : int
        Bytes on disk.
    seconds : float
        What its stages took, together.
    """

    run: RunFolder
    started: datetime | None
    state: State
    headline: str
    size: int
    seconds: float = 0.0

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.run.name

    @property
    def experiment(self) -> str:
        """Name of its experiment, from the folder's; that of a renamed folder as it is.

        Examples
        --------
        >>> RunRecord(RunFolder(Path("tiny-20260101T000000Z-aaaaaa")), None, "finished", "", 0).experiment
        'tiny'
        """
        return _RUN_NAME.sub("", self.name)


def list_runs(parent: str | Path) -> tuple[RunRecord, ...]:
    """Return the runs in ``parent``, the newest first; none if there is no such folder."""
    records = [record_of(RunFolder(path)) for path in _runs(Path(parent))]
    earliest = datetime.min.replace(tzinfo=UTC)
    return tuple(sorted(records, key=lambda record: (record.started or earliest, record.name), reverse=True))


def is_run(path: Path) -> bool:
    """Whether ``path`` is a run folder: it holds ``stages/`` or ``experiment.yaml``."""
    return path.is_dir() and ((path / "stages").is_dir() or (path / "experiment.yaml").is_file())


def _runs(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    return sorted(path for path in parent.iterdir() if not path.name.startswith(TEMPORARY) and is_run(path))


def record_of(run: RunFolder) -> RunRecord:
    """Return what a list says of one run."""
    named = _RUN_NAME.search(run.name)
    started = datetime.strptime(named[1], _TIME).replace(tzinfo=UTC) if named else None
    headline, seconds = "", 0.0
    state: State = "unfinished"
    try:
        for stage in STAGES:
            if (run / f"stages/{stage}.json").is_file():
                record = run.read_json(f"stages/{stage}.json")
                headline = str(record["summary"].get("headline", headline))
                seconds += float(record.get("seconds") or 0.0)
                state = "finished" if stage == STAGES[-1] else state
        for stage in STAGES:
            if run.unfinished_file(stage).is_file():
                error = run.read_json(run.unfinished_file(stage).relative_to(run.path)).get("error")
                headline, state = (f"{stage}: {error}", "failed") if error else (headline, "unfinished")
    except (RunFolderError, KeyError, AttributeError, TypeError, ValueError) as error:
        # One damaged run must not hide the others.
        headline, state = f"damaged: {error}", "failed"
    return RunRecord(run, started, state, headline, folder_bytes(run.path), seconds)


def folder_bytes(folder: str | Path) -> int:
    """Return the bytes of all files in ``folder``, links not followed; what vanishes meanwhile counts nothing."""
    total = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    if entry.is_dir(follow_symlinks=False):
                        total += folder_bytes(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        total += entry.stat(follow_symlinks=False).st_size
                except FileNotFoundError:  # A run at work has just renamed it.
                    continue
    except FileNotFoundError:
        return 0
    return total


def _no_path(text: str) -> str:
    """Return what is to be said of what looks like a path: that nothing is there, or no run."""
    if "/" not in text and "\\" not in text:
        return ""
    return ", and a folder without a run" if Path(text).is_dir() else ", and no folder that is there"


def _few(names: list[str]) -> str:
    shown = ", ".join(names[-8:])
    return shown if len(names) <= 8 else f"{shown} and {len(names) - 8} older"


def _no_parent(parent: Path, error: OSError) -> str:
    return (
        f"expected a folder for runs that can be written to, got {str(parent)!r}: {error.strerror}."
        " Choose another with --out."
    )


def _inside_temporary(path: Path, root: Path) -> bool:
    return any(part.startswith(TEMPORARY) for part in path.relative_to(root).parts[:-1])
