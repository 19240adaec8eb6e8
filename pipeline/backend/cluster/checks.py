"""Whether workers that somebody else started can do the work of a run: their versions, and the files they see."""

from __future__ import annotations

import os
import platform
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import __version__
from pipeline.errors import WorkerError

TOKEN = ".workers-see-this"  # noqa: S105 - of no secret


@dataclass(frozen=True)
class Sight:
    """What a worker sees of the run folder.

    Parameters
    ----------
    token : str or None
        What stands in the file that was written there for it; None without such a file.
    writes : bool
        Whether it may write beside it.
    """

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
    # Asked through Dask, which needs no code of ours on the other side.
    said = client.get_versions(check=False, packages=["pipeline"])["workers"]
    for worker in asked:
        if worker in said:
            check_versions(worker, said[worker])
    if folder is not None:
        _check_files(client, asked, folder.resolve())


def check_versions(worker: str, said: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse a worker whose Python (3.11, 3.12 and so on) or Finescale is not that of this process.

    Parameters
    ----------
    worker : str
        Its address.
    said : mapping
        As Dask tells: ``host`` with ``python``, ``packages`` with ``pipeline``.

    Examples
    --------
    >>> check_versions("tcp://b:1", {"host": {"python": "2.7.18.final.0"}, "packages": {"pipeline": "1.0"}})
    Traceback (most recent call last):
    ...
    pipeline.errors.WorkerError: worker tcp://b:1 runs Python 2.7, the run ...; make one environment for all of them.
    """
    theirs = ".".join(str(said["host"]["python"]).split(".")[:2])
    ours = ".".join(platform.python_version_tuple()[:2])
    if theirs != ours:
        raise WorkerError(
            f"worker {worker} runs Python {theirs}, the run Python {ours}; make one environment for all of them."
        )
    version = said["packages"].get("pipeline")
    if version is None or version == "MISSING":
        raise WorkerError(f"worker {worker} has no Finescale; install version {__version__} in its environment.")
    if version != __version__:
        raise WorkerError(
            f"worker {worker} has Finescale {version}, the run {__version__}; install the same in its environment."
        )


def _check_files(client: Any, workers: list[str], folder: Path) -> None:
    token, path = secrets.token_hex(8), folder / TOKEN
    path.write_text(token, encoding="utf-8")
    try:
        seen = client.run(look, str(path), workers=workers, on_error="return")
    finally:
        with suppress(FileNotFoundError):
            path.unlink()
    for worker in workers:
        found = seen.get(worker)
        if not isinstance(found, Sight):
            raise WorkerError(f"worker {worker} could not look for the run folder: {found!r}.")
        if found.token != token:
            raise WorkerError(
                f"worker {worker} does not see the run folder {folder}: a file that was written there a moment ago is "
                "not there for it. Put runs on a path that all hosts share, and name it with --out."
            )
        if not found.writes:
            raise WorkerError(
                f"worker {worker} may not write to the run folder {folder}, which it can read. Give its user the right "
                "to, or name another folder with --out."
            )


def look(path: str) -> Sight:
    """Return what this process sees of the file at ``path``. Runs on a worker."""
    try:
        token = Path(path).read_text(encoding="utf-8")
    except OSError:
        return Sight(None, False)
    return Sight(token, os.access(Path(path).parent, os.W_OK))
