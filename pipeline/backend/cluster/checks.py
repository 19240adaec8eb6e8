"""Whether workers that somebody else started can do the work of a run: their versions, and the files they see."""

from __future__ import annotations

import os
import platform
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import __version__
from pipeline.errors import WorkerError

TOKEN = ".workers-see-this"  # noqa: S105 - of no secret


@dataclass(frozen=True)
class Sight:
    """What a worker is, and what it sees of the run folder.

    Parameters
    ----------
    version : str
        Of its Finescale.
    token : str or None
        What stands in the file that was written there for it; None without such a file.
    writes : bool
        Whether it may write beside it.
    """

    version: str
    token: str | None
    writes: bool


def check_workers(client: Any, workers: Iterable[str], folder: Path | None) -> None:
    """Refuse workers of another Python or Finescale, and those that do not share the run folder.

    Parameters
    ----------
    client : distributed.Client
        Reaches them.
    workers : iterable of str
        Their addresses.
    folder : Path, optional
        The run's; None where only versions are asked for.

    Raises
    ------
    WorkerError
        If one of them cannot do the work; the message names it and says what to do.
    """
    asked = list(workers)
    if not asked:
        return
    # Dask tells it of itself; code of ours may not even be read by another Python.
    said = client.get_versions(check=False)["workers"]
    for worker in asked:
        if worker in said:
            check_python(worker, str(said[worker]["host"]["python"]))
    if folder is None:
        seen = client.run(look, None, workers=asked, on_error="return")
        for worker in asked:
            _require_finescale(worker, seen.get(worker))
        return
    token, path = secrets.token_hex(8), folder.resolve() / TOKEN
    path.write_text(token, encoding="utf-8")
    try:
        seen = client.run(look, str(path), workers=asked, on_error="return")
    finally:
        with suppress(FileNotFoundError):
            path.unlink()
    for worker in asked:
        _require_files(worker, _require_finescale(worker, seen.get(worker)), token, path.parent)


def check_python(worker: str, theirs: str) -> None:
    """Refuse a worker whose Python (3.11, 3.12 and so on) is not that of this process.

    Examples
    --------
    >>> check_python("tcp://b:1", "2.7.18.final.0")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    pipeline.errors.WorkerError: worker tcp://b:1 runs Python 2.7, the run Python ...; make one environment for ...
    """
    other = ".".join(theirs.split(".")[:2])
    ours = ".".join(platform.python_version_tuple()[:2])
    if other != ours:
        raise WorkerError(
            f"worker {worker} runs Python {other}, the run Python {ours}; make one environment for all of them."
        )


def _require_finescale(worker: str, seen: Any) -> Sight:
    """Return what a worker answered, if it is of the same version."""
    if not isinstance(seen, Sight):
        raise WorkerError(
            f"worker {worker} could not answer ({seen!r}); it needs Finescale {__version__} in its environment."
        )
    if seen.version != __version__:
        raise WorkerError(
            f"worker {worker} has Finescale {seen.version}, the run {__version__}; install the same in its environment."
        )
    return seen


def _require_files(worker: str, seen: Sight, token: str, folder: Path) -> None:
    if seen.token != token:
        raise WorkerError(
            f"worker {worker} does not see the run folder {folder}: a file that was written there a moment ago is "
            "not there for it. Put runs on a path that all hosts share, and name it with --out."
        )
    if not seen.writes:
        raise WorkerError(
            f"worker {worker} may not write to the run folder {folder}, which it can read. Give its user the right "
            "to, or name another folder with --out."
        )


def look(path: str | None) -> Sight:
    """Return what this process is, and sees of the file at ``path``. Runs on a worker."""
    if path is None:
        return Sight(__version__, None, False)
    try:
        token = Path(path).read_text(encoding="utf-8")
    except OSError:
        return Sight(__version__, None, False)
    return Sight(__version__, token, os.access(Path(path).parent, os.W_OK))
