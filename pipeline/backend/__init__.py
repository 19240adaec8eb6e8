"""The only door to RAPIDS: arrays, frames, estimators, the torch device and a cluster."""

from __future__ import annotations

import functools
import importlib
import logging
import os
from types import ModuleType
from typing import Any

from pipeline.backend.base import Backend
from pipeline.errors import BackendUnavailableError, ConfigError
from pipeline.registry import suggest

__all__ = ["Backend", "array_namespace", "block_bytes", "get_backend", "why_no_gpu"]

log = logging.getLogger(__name__)

NAMES = ("auto", "cpu", "gpu")
ENVIRONMENT = "FINESCALE_BACKEND"
_CACHED = 2**20  # bytes that lie in one core's cache with room for what is made of them
_ON_DEVICE = 2**28  # bytes of a step on a device, beside which its launch costs nothing


def get_backend(name: str = "auto") -> Backend:
    """Return the backend called ``name``, the same object each time.

    Parameters
    ----------
    name : {"auto", "cpu", "gpu"}
        ``auto`` takes the environment variable ``FINESCALE_BACKEND`` if it is set, else the GPU if
        torch sees one and cupy, cudf and cuml import, else the CPU, with one log line that names
        what is missing.

    Raises
    ------
    BackendUnavailableError
        If ``gpu`` is asked for and cannot be had; the message says why and what to do.
    ConfigError
        If there is no backend of that name.

    Examples
    --------
    >>> get_backend("cpu").name
    'cpu'
    >>> get_backend("cpu") is get_backend("cpu")
    True
    """
    asked = name
    if name == "auto":
        name = os.environ.get(ENVIRONMENT, "").strip() or "auto"
    if name not in NAMES:
        where = f" (from {ENVIRONMENT})" if asked == "auto" else ""
        raise ConfigError(f"expected a backend of {', '.join(NAMES)}, got {name!r}{where}.{suggest(name, NAMES)}")
    return _automatic() if name == "auto" else _build(name)


def why_no_gpu() -> str | None:
    """Return what keeps the gpu backend from working here, None if nothing does.

    Asked once a process: it imports torch, and cupy, cudf and cuml where torch sees a device.
    """
    return _gpu_reason()


def array_namespace(*arrays: Any) -> ModuleType:
    """Return the Array API namespace that ``arrays`` belong to; None among them is passed over.

    Examples
    --------
    >>> import numpy as np
    >>> array_namespace(np.zeros(2), None).__name__
    'array_api_compat.numpy'
    """
    import array_api_compat

    namespace: ModuleType = array_api_compat.array_namespace(*(array for array in arrays if array is not None))
    return namespace


def block_bytes(array: Any) -> int:
    """Return into how many bytes many steps of elementwise work on ``array`` are best cut, by where it lives.

    On the host what stays in the cache from one step to the next; on a device much more, since every step
    there has a price of its own.

    Examples
    --------
    >>> import numpy as np
    >>> block_bytes(np.zeros(2))
    1048576
    """
    import array_api_compat

    return _ON_DEVICE if array_api_compat.is_cupy_array(array) else _CACHED


@functools.cache
def _gpu_reason() -> str | None:
    from pipeline.backend import _gpu

    return _gpu.missing()


@functools.cache
def _automatic() -> Backend:
    reason = why_no_gpu()
    if reason is None:
        log.info("backend: gpu")
        return _build("gpu")
    log.info("backend: cpu, because %s", reason)
    return _build("cpu")


@functools.cache
def _build(name: str) -> Backend:
    if name == "gpu":
        reason = why_no_gpu()
        if reason is not None:
            raise BackendUnavailableError(
                f"expected a GPU with RAPIDS for backend 'gpu', got none: {reason}. "
                "Run: pip install -c constraints.txt '.[gpu]' where there is an NVIDIA driver, or take --backend cpu."
            )
    backend: Backend = importlib.import_module(f"pipeline.backend._{name}").build()
    return backend
