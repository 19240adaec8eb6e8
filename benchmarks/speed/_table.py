"""What speed benchmarks leave: a table as Markdown, and everything as JSON."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from benchmarks.speed._measure import CPU, Row
from pipeline import __version__
from pipeline.backend import Backend

LIBRARIES = ("numpy", "torch", "xarray", "pandas", "scipy", "scikit-learn", "scores", "xskillscore")
ON_GPU = ("cupy-cuda13x", "cudf-cu13", "cuml-cu13")
HEAD = (
    "benchmark",
    "what is done",
    "times as fast as",
    "share of the limit",
    "16 times the data",
    "spread",
    "differs by",
    "wanted",
)


def machine(backend: Backend) -> dict[str, Any]:
    """Return what a table was measured on."""
    import psutil
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "backend": backend.name,
        "cores": cores,
        "threads": torch.get_num_threads(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "processor": _processor(),
        "gpus": list(backend.device_names),
        "cuda": torch.version.cuda,
        "python": platform.python_version(),
        "finescale": __version__,
        "versions": {name: version for name in (*LIBRARIES, *ON_GPU) if (version := _version(name)) is not None},
    }


def tree(rows: Sequence[Row], backend: Backend, size: str) -> dict[str, Any]:
    """Return all that was measured, for JSON."""
    made = []
    for row in rows:
        ratios = {way: row.ratio(way) for way in row.peers}
        share = None if row.limit is None else row.ratio(row.limit)
        one = asdict(row) | {"ratios": ratios, "share_of_limit": share, "rate": row.rate, "spread": row.spread}
        made.append(one | {"growing": row.growing, "reached": row.reached()})
    return {"size": size, "machine": machine(backend), "rows": made}


def markdown(rows: Sequence[Row], backend: Backend, size: str) -> str:
    """Return the table, and a line of what it was measured on."""
    found = machine(backend)
    where = ", ".join(found["gpus"]) or f"{found['cores']} CPU cores ({found['processor']})"
    lines = [f"| {' | '.join(HEAD)} |", "|---" * len(HEAD) + "|", *(line(row, backend) for row in rows), ""]
    said = [each for row in rows for each in row.missing]
    lines += [f"Left out: {each}." for each in dict.fromkeys(said)]
    lines += [f"Size {size}, {where}, {found['memory_gib']} GiB of memory, {found['date'][:10]}."]
    return "\n".join(lines) + "\n"


def line(row: Row, backend: Backend) -> str:
    """Return a row of the table."""
    peers = "; ".join(f"{way} {number(row.ratio(way))}" for way in row.peers) or "no other"
    limit = row.why_no_limit if row.limit is None else f"{number(row.ratio(row.limit))} ({row.limit})"
    rate = f"{number(row.rate)} {row.unit}/s" if backend.name == "gpu" else ""
    cells = (
        row.name,
        row.words + (f"; {rate}" if rate else ""),
        peers,
        limit,
        "" if row.growing is None else f"16 x {row.growing:.2f}",
        f"{100 * row.spread:.0f} %",
        "" if row.difference is None else f"{row.difference:.0e}",
        wanted(row),
    )
    return f"| {' | '.join(cells)} |"


def wanted(row: Row) -> str:
    """Return what is wanted of the ratios, and whether it was found."""
    words = {"peer": f"{{}} x {row.peers[0] if row.peers else CPU}", "limit": "{} of the limit"}
    said = [
        f"{words[what].format(number(row.wanted[what]))}: {'yes' if there else 'NO'}"
        for what, there in row.reached().items()
    ]
    return "; ".join(said)


def number(value: float) -> str:
    """Return a ratio with two digits that count.

    Examples
    --------
    >>> [number(value) for value in (0.034, 0.5, 12.34, 1234.0)]
    ['0.034', '0.50', '12', '1234']
    """
    if value >= 10:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.2g}" if value < 0.1 else f"{value:.2f}"


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [text.partition(":")[2].strip() for text in file if text.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.machine()
