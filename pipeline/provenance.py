"""Where a run's numbers come from: what stands in ``provenance.json``.

Versions, commit, machine, workers, data and what went otherwise than asked; no user name, no host
name but that of a scheduler that was asked for, and a home folder only as ``~``.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.backend import Backend
from pipeline.backend.cluster.record import ClusterRecord
from pipeline.files import plain

LIBRARIES = (
    "array-api-compat",
    "captum",
    "cf-xarray",
    "cftime",
    "cudf-cu13",
    "cuml-cu13",
    "cupy-cuda13x",
    "dask",
    "dask-cuda",
    "distributed",
    "matplotlib",
    "netcdf4",
    "numpy",
    "pandas",
    "pint",
    "prefect",
    "pydantic",
    "rdata",
    "safetensors",
    "scikit-learn",
    "scipy",
    "skops",
    "torch",
    "xarray",
    "zarr",
)

_GIT_SECONDS = 10


@dataclass(frozen=True)
class DataSource:
    """A file that a run has read.

    Parameters
    ----------
    dataset : str
        Its entry of the catalog.
    path : str
        As the catalog has it.
    url : str or None
        Where it can be had.
    sha256 : str
        Of the bytes that were read.
    bytes : int
        Their number.
    how : str
        How it came: ``mirror``, ``cache``, ``catalog``, ``absolute``, ``download`` or ``synthetic``.
    licence, citation : str or None
        As the catalog has them.
    """

    dataset: str
    path: str
    url: str | None
    sha256: str
    bytes: int
    how: str
    licence: str | None = None
    citation: str | None = None


def collect(
    backend: Backend,
    *,
    seed: int,
    started: datetime,
    finished: datetime | None = None,
    data: Iterable[DataSource | Mapping[str, Any]] = (),
    fallbacks: Iterable[str] = (),
    warnings: Iterable[str] = (),
    failed_members: Iterable[str | Mapping[str, Any]] = (),
    plugins: Iterable[str] = (),
    command: Sequence[str] | None = None,
    cluster: ClusterRecord | None = None,
) -> dict[str, Any]:
    """Return what ``provenance.json`` holds, plain.

    Parameters
    ----------
    backend : Backend
        Where the run computed.
    seed : int
        The experiment's seed, from which all others are derived.
    started, finished : datetime
        UTC; ``finished`` is None as long as the run is at work.
    data : iterable of DataSource or mapping
        Files read.
    fallbacks, warnings : iterable of str
        Sentences of the report's first screen.
    failed_members : iterable
        Members left out, with the reason.
    plugins : iterable of str
        What was loaded beside the tree.
    command : sequence of str, optional
        Command line; this process's own by default.
    cluster : ClusterRecord, optional
        What its tasks went to.

    Examples
    --------
    >>> from datetime import UTC
    >>> from pipeline.backend import get_backend
    >>> record = collect(get_backend("cpu"), seed=1, started=datetime(2026, 1, 1, tzinfo=UTC))
    >>> record["started"], record["device"]["backend"], record["seeds"]
    ('2026-01-01T00:00:00+00:00', 'cpu', {'experiment': 1})
    """
    words = list(command) if command is not None else ["finescale", *sys.argv[1:]]
    record = {
        "finescale": version("finescale"),
        "python": platform.python_version(),
        "libraries": {name: found for name in LIBRARIES if (found := version(name)) is not None},
        "source": asdict(source_commit(Path(__file__).resolve().parents[1])),
        "command": _without_home(shlex.join(words)),
        "device": {**asdict(machine()), "backend": backend.name, "gpus": list(backend.device_names)},
        **({} if cluster is None else {"cluster": asdict(cluster)}),
        "platform": platform.platform(),
        "started": started,
        "finished": finished,
        "seeds": {"experiment": seed},
        "plugins": [_without_home(plugin) for plugin in plugins],
        "data": [dict(source) if isinstance(source, Mapping) else asdict(source) for source in data],
        "fallbacks": list(fallbacks),
        "warnings": list(warnings),
        "failed_members": list(failed_members),
    }
    made: dict[str, Any] = plain(record)
    return made


def version(library: str) -> str | None:
    """Return the installed version of ``library`` by its name in the registry of packages; None: not installed."""
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None


@dataclass(frozen=True)
class SourceCommit:
    """Commit that the code was installed from; None where it cannot be told; ``dirty``: with changes since."""

    commit: str | None
    dirty: bool | None


def source_commit(root: Path) -> SourceCommit:
    """Return the commit of the source tree at ``root``, or the one pip installed ``finescale`` from.

    A folder that merely lies inside somebody's repository, as a virtual environment may, has none.
    """
    top = _git(root, "rev-parse", "--show-toplevel")
    if top is not None and Path(top).resolve() == root.resolve():
        commit, changes = _git(root, "rev-parse", "HEAD"), _git(root, "status", "--porcelain")
        return SourceCommit(commit, None if changes is None else changes != "")
    return SourceCommit(_pip_commit(), None)


@dataclass(frozen=True)
class Machine:
    """The processor's name, the number of cores and the memory [GiB] of this machine."""

    cpu: str
    cores: int
    memory_gib: float


def machine() -> Machine:
    """Return what this machine is; cores are those that this process may use."""
    import psutil

    # Not on macOS, where every core may be used.
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Machine(_cpu_name(Path("/proc/cpuinfo")), allowed or 1, round(psutil.virtual_memory().total / 2**30, 1))


def _cpu_name(cpuinfo: Path) -> str:
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603  (fixed words, no shell)
            ["git", "-C", str(root), *arguments],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None  # No git, no repository, no commit yet.
    return done.stdout.strip()


def _pip_commit() -> str | None:
    try:
        text = importlib.metadata.distribution("finescale").read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        return None
    commit: str | None = json.loads(text).get("vcs_info", {}).get("commit_id") if text else None
    return commit


def _without_home(text: str) -> str:
    home = str(Path.home())
    return text.replace(home, "~") if len(home) > 1 else text
