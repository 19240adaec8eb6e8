"""The machine that a proof ran on, as the table of `docs/gpu_status.md` names it."""

from __future__ import annotations

import importlib
import importlib.metadata
import shutil
import subprocess
from dataclasses import dataclass

LIBRARIES = {"torch": "torch", "cudf": "cudf-cu13", "cuml": "cuml-cu13", "rmm": "rmm-cu13", "cupy": "cupy-cuda13x"}


@dataclass(frozen=True)
class Host:
    """Names of the GPUs, the driver, CUDA and the libraries, each as text."""

    gpu: str
    driver: str
    cuda: str
    versions: tuple[tuple[str, str], ...]

    @property
    def libraries(self) -> str:
        """The libraries with their versions, in a line."""
        return ", ".join(f"{name} {version}" for name, version in self.versions)


def this_host() -> Host:
    """Return what this process sees; for a machine with a GPU."""
    import torch

    from pipeline.backend import get_backend

    names = get_backend("gpu").device_names
    gpu = ", ".join(f"{names.count(name)} x {name}" if names.count(name) > 1 else name for name in dict.fromkeys(names))
    return Host(gpu, _driver(), str(torch.version.cuda), tuple((name, version_of(name)) for name in LIBRARIES))


def version_of(name: str) -> str:
    """Return the version of a library by its distribution, or, where it lies on the path unpacked, by its own word."""
    for distribution in (LIBRARIES.get(name, name), name):
        try:
            return importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    try:
        return str(getattr(importlib.import_module(name), "__version__", "unknown"))
    except ImportError:
        return "none"


def _driver() -> str:
    """Return the driver's version by nvidia-smi, which comes with it; "unknown" where a container leaves it out."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return "unknown"
    words = [program, "--query-gpu=driver_version", "--format=csv,noheader"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    return next(iter(done.stdout.split()), "unknown") if done.returncode == 0 else "unknown"
