"""What this machine has of GPUs and of the libraries that compute on them, for ``finescale doctor``."""

from __future__ import annotations

import importlib
import importlib.metadata
import re
import shutil
import subprocess
from dataclasses import dataclass

RAPIDS = {
    "cupy": "cupy-cuda13x",
    "cudf": "cudf-cu13",
    "cuml": "cuml-cu13",
    "dask_cuda": "dask-cuda",
    "dask_cudf": "dask-cudf-cu13",
    "rmm": "rmm-cu13",
}
"""Import names of the libraries of the gpu backend, and what packages they come in."""
_SECONDS = 20


@dataclass(frozen=True)
class Gpu:
    """A GPU: name, memory [GiB], and who sees it."""

    name: str
    memory: float


@dataclass(frozen=True)
class Driver:
    """What ``nvidia-smi`` says: the driver, the newest CUDA it serves, the GPUs; ``fault`` where it cannot be asked."""

    version: str = ""
    cuda: str = ""
    gpus: tuple[Gpu, ...] = ()
    fault: str = ""


@dataclass(frozen=True)
class Torch:
    """The torch that is installed: version, the CUDA it is built with (empty: none), the GPUs it sees."""

    version: str = ""
    cuda: str = ""
    gpus: tuple[Gpu, ...] = ()
    fault: str = ""


@dataclass(frozen=True)
class Library:
    """A library of the gpu backend: version of its package (empty: not installed), and why it does not import."""

    name: str
    package: str
    version: str = ""
    fault: str = ""


def driver() -> Driver | None:
    """Return what the NVIDIA driver says, None where there is none."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return None
    try:
        listed = _run(command, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits")
        return parsed(listed, _run(command))
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stdout", "") or str(error)).strip().splitlines()
        return Driver(fault=said[0] if said else type(error).__name__)


def parsed(listed: str, head: str) -> Driver:
    """Return what two answers of ``nvidia-smi`` say: its list of GPUs and its head.

    Examples
    --------
    >>> parsed("NVIDIA H200, 143771, 580.65", "| NVIDIA-SMI 580.65   CUDA Version: 13.0 |")
    Driver(version='580.65', cuda='13.0', gpus=(Gpu(name='NVIDIA H200', memory=140.4),), fault='')
    """
    rows = [[part.strip() for part in line.split(",")] for line in listed.strip().splitlines()]
    rows = [row for row in rows if len(row) == 3]
    gpus = tuple(Gpu(name, round(float(mib) / 1024, 1) if _number(mib) else float("nan")) for name, mib, _ in rows)
    cuda = re.search(r"CUDA(?: UMD)? Version: *([\d.]+)", head)
    return Driver(rows[0][2] if rows else "", cuda[1] if cuda else "", gpus)


def torch() -> Torch:
    """Return what torch says of itself and of the GPUs that it sees."""
    try:
        import torch as library
    except Exception as error:  # a broken build raises types of its own
        return Torch(fault=_words(error))
    try:
        count = library.cuda.device_count() if library.cuda.is_available() else 0
        found = [library.cuda.get_device_properties(number) for number in range(count)]
        gpus = tuple(Gpu(one.name, round(one.total_memory / 2**30, 1)) for one in found)
        fault = ""
    except Exception as error:
        gpus, fault = (), _words(error)
    return Torch(library.__version__, library.version.cuda or "", gpus, fault)


def libraries() -> tuple[Library, ...]:
    """Return every library of the gpu backend: whether it is installed and imports."""
    return tuple(_library(name, package) for name, package in RAPIDS.items())


def _library(name: str, package: str) -> Library:
    try:
        version = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return Library(name, package)
    try:
        importlib.import_module(name)
    except Exception as error:  # a missing CUDA library or an old driver raises its own types
        return Library(name, package, version, _words(error))
    return Library(name, package, version)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=True)  # noqa: S603
    return done.stdout


def _number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit()


def _words(error: BaseException) -> str:
    first = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
