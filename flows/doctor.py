"""What this machine has and lacks, for ``finescale doctor``."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from flows.server import server_that_answers
from flows.sources import open_sources
from pipeline import __version__
from pipeline.backend import why_no_gpu
from pipeline.errors import FinescaleError

LIBRARIES = ("torch", "numpy", "xarray", "pandas", "scikit-learn", "captum", "dask", "distributed", "prefect")


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, what was found, and whether it keeps runs from working."""

    what: str
    answer: str
    fault: bool = False

    @property
    def mark(self) -> str:
        """A sign that reads without colour."""
        return "x" if self.fault else "-"


def examine() -> tuple[Finding, ...]:
    """Return everything a bug report should say of the machine."""
    findings = [
        Finding("finescale", __version__),
        Finding("python", f"{platform.python_version()} on {platform.platform()}"),
        *(_library(name) for name in LIBRARIES),
        _pins(),
        _memory(),
    ]
    reason = why_no_gpu()
    findings.append(Finding("backend gpu", "works" if reason is None else f"not here: {reason}"))
    findings += _catalog()
    findings.append(_folder("runs", Path(os.environ.get("FINESCALE_RUNS", "runs"))))
    server = server_that_answers()
    findings.append(Finding("prefect server", server or "none answers; runs call their stages directly"))
    return tuple(findings)


def _library(name: str) -> Finding:
    try:
        return Finding(name, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, f"missing. Run: {sys.executable} -m pip install -c constraints.txt finescale", fault=True)


def _pins() -> Finding:
    """Two pairs of versions that install cleanly and then fail: Prefect with newer FastAPI or SQLAlchemy."""
    limits = {"fastapi": (0, 151), "sqlalchemy": (2, 1)}
    wrong = []
    for name, limit in limits.items():
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        if tuple(int(part) for part in version.split(".")[:2]) >= limit:
            wrong.append(f"{name} {version} (below {limit[0]}.{limit[1]} is needed)")
    return Finding("pins", ", ".join(wrong) or "as Prefect needs them", fault=bool(wrong))


def _memory() -> Finding:
    import psutil

    memory = psutil.virtual_memory()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Finding(
        "cores, memory", f"{cores} cores, {memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free"
    )


def _catalog() -> list[Finding]:
    try:
        sources = open_sources()
    except FinescaleError as error:
        return [Finding("catalog", str(error), fault=True)]
    mirror = sources.places.mirror
    return [
        Finding("catalog", f"{sources.catalog.path}, {len(sources.catalog)} datasets"),
        Finding("mirror", str(mirror) if mirror else "none; set FINESCALE_DATA or --data"),
        _folder("cache", sources.places.cache),
    ]


def _folder(what: str, path: Path) -> Finding:
    there = path
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free / 2**30
    writable = os.access(there, os.W_OK)
    return Finding(
        what, f"{path}, {free:.1f} GiB free{'' if writable else ', cannot be written to'}", fault=not writable
    )
