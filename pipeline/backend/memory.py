"""How much memory arrays may take: what is asked for, or a share of what this process could have."""

from __future__ import annotations

import ctypes
import functools
import gc
import math
import re
import sys
from collections.abc import Callable
from pathlib import Path

from pipeline.errors import MemoryBudgetError

SHARE = 2  # one part in so many of what is available goes to arrays: the rest to libraries, networks and caches
WHOLE = 4  # one array takes at most one part in so many of what arrays may take: others are made of it
_UNITS: dict[str, int] = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12} | {
    f"{letter}i{end}": 2 ** (10 * power) for power, letter in enumerate("kmgt", start=1) for end in ("b", "")
}
_CGROUP = Path("/sys/fs/cgroup")
_MEMINFO = Path("/proc/meminfo")


def parse_size(text: str) -> int:
    """Return how many bytes ``text`` says.

    Raises
    ------
    ValueError
        If it is no number with a unit of bytes.

    Examples
    --------
    >>> parse_size("1.5 GiB"), parse_size("200MB"), parse_size("4096")
    (1610612736, 200000000, 4096)
    """
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([a-zA-Z]*)\s*", text)
    if found is None or found[2].lower() not in _UNITS or float(found[1]) == 0:
        raise ValueError(f"expected a size such as 4GiB or 500MB, got {text!r}")
    return math.ceil(float(found[1]) * _UNITS[found[2].lower()])


def said(size: float) -> str:
    """Return bytes as a reader takes them in.

    Examples
    --------
    >>> said(3 * 2**30), said(1.26 * 2**20), said(900)
    ('3 GiB', '1.3 MiB', '900 bytes')
    """
    for power, unit in ((4, "TiB"), (3, "GiB"), (2, "MiB"), (1, "KiB")):
        if size >= 2 ** (10 * power):
            return f"{round(size / 2 ** (10 * power), 1):g} {unit}"
    return f"{size:g} bytes"


def available(cgroup: Path = _CGROUP, meminfo: Path = _MEMINFO) -> int:
    """Return how many bytes this process could still take: of the machine, or of its container or batch job.

    Where neither can be asked, as on macOS, what the machine has free by ``psutil``.
    """
    limits = [left for left in (_of_machine(meminfo), _of_group(cgroup)) if left is not None]
    if limits:
        return min(limits)
    import psutil

    return int(psutil.virtual_memory().available)


def budget(asked: str | None, processes: int = 1, device: str = "cpu") -> int:
    """Return how many bytes the arrays of each of some processes may take: ``asked``, or their share of half.

    On the torch device ``cuda`` it is half of what the process's own device has free.

    Examples
    --------
    >>> budget("2GiB") == 2**31
    True
    """
    if asked is not None:
        return parse_size(asked)
    if device == "cpu":
        return available() // SHARE // max(1, processes)
    import torch

    return int(torch.cuda.mem_get_info()[0]) // SHARE


def fits(size: int, budget: int) -> bool:
    """Return whether an array of ``size`` bytes is held in memory where arrays may take ``budget``.

    Examples
    --------
    >>> fits(2**20, budget=4 * 2**20), fits(2**20, budget=2**20)
    (True, False)
    """
    return size <= budget // WHOLE


def trim_host_memory() -> None:
    """Give the system what was freed and is still held for later; where it cannot be asked to, nothing is done.

    The C library of Linux keeps freed arrays of up to 32 MiB, and a stage of many of them would leave the next ones
    with all of it. Cycles are looked for before: some libraries fail at things as they are imported, and the
    tracebacks hold all callers with their arrays. It takes 0.2 s, and tens of milliseconds a GiB, so it is for the end
    of a stage.
    """
    gc.collect()
    trim = _trim()
    if trim is not None:
        trim(0)


@functools.cache
def _trim() -> Callable[[int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    found: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl has not
    return found


def too_large(what: str, needed: int, budget: int) -> MemoryBudgetError:
    """Return the error that says that ``what`` needs more bytes than arrays may take.

    Examples
    --------
    >>> str(too_large("the analogs", 3 * 2**30, 2**30))[:72]
    'expected the analogs to fit into compute.memory, got 3 GiB of arrays for'
    """
    return MemoryBudgetError(
        f"expected {what} to fit into compute.memory, got {said(needed)} of arrays for {said(budget)}; give it more "
        "memory, take fewer samples, channels or cells, or leave it out."
    )


def _of_machine(path: Path) -> int | None:
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = next((line for line in lines if line.startswith("MemAvailable:")), None)
    return None if found is None else int(found.split()[1]) * 2**10


def _of_group(root: Path) -> int | None:
    """Return what is left below the tightest limit of a control group, version 2 or 1, None without any."""
    left = []
    for base, controller, limit, used in (
        (root, "", "memory.max", "memory.current"),
        (root / "memory", "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        for folder in (base / own for own in _own_groups(controller)):
            try:
                most = (folder / limit).read_text(encoding="ascii").strip()
                taken = int((folder / used).read_text(encoding="ascii"))
                lines = (folder / "memory.stat").read_text(encoding="ascii").splitlines()
            except (OSError, ValueError):
                continue
            if most == "max" or int(most) >= 2**60:  # how version 1 says that there is none
                continue
            # Pages of files that nobody needs right now are given back when memory is short.
            spare = next((int(line.split()[1]) for line in lines if line.startswith("inactive_file ")), 0)
            left.append(max(0, int(most) - taken + spare))
    return min(left, default=None)


def _own_groups(controller: str) -> list[str]:
    """Return the folders of this process's group and of those above it, from the root on."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines()
    except OSError:
        return ["."]
    own = next((line.split(":", 2)[2] for line in lines if controller in line.split(":", 2)[1].split(",")), "/")
    parts = [part for part in own.split("/") if part and part != ".."]
    return [".", *("/".join(parts[: number + 1]) for number in range(len(parts)))]
