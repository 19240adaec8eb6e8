"""Cores, memory, shared memory, files at a time, environment, time and language, and whether workers start."""

from __future__ import annotations

import locale
import os
import shutil
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from flows.health import Finding
from pipeline.backend.memory import available, said

SUBJECT = "machine"
SHARED = Path("/dev/shm")  # noqa: S108  (it is looked at, not written to)
LEAST_MEMORY = 2 * 2**30
LEAST_SHARED = 64 * 2**20
LEAST_FILES = 1024
VARIABLES = ("FINESCALE_BACKEND", "FINESCALE_DATA", "FINESCALE_CACHE", "FINESCALE_RUNS", "OMP_NUM_THREADS",
             "CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID")  # fmt: skip


def memory_finding(left: int, total: int, cores: int) -> Finding:
    """Say how many cores and how much memory this process may use."""
    told = f"{cores} cores, {left / 2**30:.1f} GiB free of {total / 2**30:.1f} GiB"
    if left >= LEAST_MEMORY:
        return Finding(SUBJECT, "cores, memory", told)
    wrong = f"even the shipped experiment `tiny` takes about {said(LEAST_MEMORY)} with the libraries"
    return Finding(SUBJECT, "cores, memory", told, "note", wrong, "ps aux --sort=-rss | head")


def shared_finding(folder: Path = SHARED) -> Finding | None:
    """Say how much shared memory there is, which several GPUs hand each other data through."""
    if not folder.is_dir():
        return None
    size = shutil.disk_usage(folder)
    told = f"{size.free / 2**20:,.0f} MiB free of {size.total / 2**20:,.0f} MiB"
    if size.free > LEAST_SHARED:
        return Finding(SUBJECT, str(SHARED), told)
    wrong = (
        "several workers on one model may hang or die with a bus error; a container has 64 MiB unless told otherwise"
    )
    return Finding(SUBJECT, str(SHARED), told, "note", wrong, "docker run --shm-size=2g ...")


def files_finding() -> Finding | None:
    """Say how many files may be open at a time, which archives of many files need."""
    try:
        import resource
    except ImportError:
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= LEAST_FILES or soft == resource.RLIM_INFINITY:
        return Finding(SUBJECT, "open files", f"{soft} at a time" if soft != resource.RLIM_INFINITY else "any number")
    wrong = "a dataset of many files, or many workers, may need more"
    return Finding(SUBJECT, "open files", f"{soft} at a time", "note", wrong, "ulimit -n 4096")


def text_finding(encoding: str | None = None) -> Finding:
    """Say how text is written to the screen: one that has no degree sign ends a command in an error."""
    encoding = encoding or getattr(sys.stdout, "encoding", None) or locale.getpreferredencoding(False)
    try:
        "°−·…".encode(encoding)
    except (UnicodeEncodeError, LookupError):
        wrong = "it cannot show degree and minus signs, and commands that print one fail"
        return Finding(SUBJECT, "text", encoding, "fault", wrong, "export PYTHONUTF8=1")
    return Finding(SUBJECT, "text", encoding)


def clock_finding(now: datetime | None = None) -> Finding:
    """Say what time it is here: runs are named by it, in UTC, and a wrong clock breaks https too."""
    now = now or datetime.now(UTC)
    zone = now.astimezone().tzname()
    told = f"{now:%Y-%m-%d %H:%M} UTC, local zone {zone}; data and names of runs are in UTC"
    if now.year >= 2026:
        return Finding(SUBJECT, "clock", told)
    wrong = "the clock is slow: new runs will be listed as the oldest, and downloads refused"
    return Finding(SUBJECT, "clock", told, "fault", wrong, "sudo timedatectl set-ntp true")


def variables_finding(environment: Mapping[str, str] = os.environ) -> Finding:
    """Say which variables of the environment change what a run does."""
    there = [f"{name}={environment[name]}" for name in VARIABLES if environment.get(name)]
    return Finding(SUBJECT, "environment", ", ".join(there) or "no variable set that changes a run")


def backend_finding(asked: str | None, reason: str | None) -> Finding | None:
    """Say where ``FINESCALE_BACKEND`` asks for what is not there."""
    if asked in (None, "", "auto", "cpu") or (asked == "gpu" and reason is None):
        return None
    wrong = (
        f"it asks for the gpu backend, and there is none: {reason}" if asked == "gpu" else "there is no such backend"
    )
    return Finding(SUBJECT, "FINESCALE_BACKEND", str(asked), "fault", wrong, "unset FINESCALE_BACKEND")


def workers_finding(deep: bool) -> Finding:
    """Start a Dask cluster of one process and ask it for a sum, if ``deep``."""
    if not deep:
        return Finding(SUBJECT, "Dask workers", "not tried; finescale doctor --deep starts one")
    from pipeline.backend.cluster.client import open_client
    from pipeline.backend.cluster.spec import ClusterSpec
    from pipeline.errors import FinescaleError

    started = datetime.now(UTC)
    options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": ":0"}
    try:
        with open_client(ClusterSpec("distributed.LocalCluster", options)) as client:
            answer = client.submit(sum, [20, 22]).result(timeout=60)
    except (FinescaleError, OSError, TimeoutError) as error:
        mend = "finescale run tiny --workers 1"
        return Finding(SUBJECT, "Dask workers", "do not answer", "fault", f"{type(error).__name__}: {error}", mend)
    seconds = (datetime.now(UTC) - started).total_seconds()
    return Finding(SUBJECT, "Dask workers", f"one started and answered {answer} within {seconds:.1f} s")


def findings(deep: bool = False) -> list[Finding]:
    """Return everything about the machine that is no GPU."""
    import psutil

    from pipeline.backend import why_no_gpu

    asked = os.environ.get("FINESCALE_BACKEND")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    found = [
        memory_finding(available(), psutil.virtual_memory().total, cores),
        shared_finding(),
        files_finding(),
        text_finding(),
        clock_finding(),
        variables_finding(),
        backend_finding(asked, why_no_gpu() if asked == "gpu" else None),
        workers_finding(deep),
    ]
    return [one for one in found if one is not None]
