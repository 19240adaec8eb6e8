# ruff: noqa: TID251 - this is the door that the rule names
"""The gpu side: CuPy, cuDF, cuML, torch on CUDA, and one process a GPU.

Every line here that calls CUDA waits for a machine that has it; ``docs/gpu_status.md`` says which
of them have run, and on what.
"""

from __future__ import annotations

import importlib
import logging
from typing import Any

import numpy as np

from pipeline.backend.base import Backend

log = logging.getLogger(__name__)

LIBRARIES = ("cupy", "cudf", "cuml")


def missing() -> str | None:
    """Return what is missing for the gpu backend in the driver's or the importer's words, None if nothing is."""
    reason = _torch_reason()
    if reason is not None:
        return reason
    for library in LIBRARIES:
        try:
            importlib.import_module(library)
        except ModuleNotFoundError as error:
            wanted = "" if error.name == library else f", which {library} needs"
            return f"{error.name} is not installed{wanted}"
        except Exception as error:  # a missing CUDA library or an old driver raises its own types
            return f"{library} does not import ({_words(error)})"
    return _cupy_reason()


def _torch_reason() -> str | None:
    try:
        import torch
    except Exception as error:
        return f"torch does not import ({_words(error)})"
    if torch.version.cuda is None:
        return f"torch {torch.__version__} is built without CUDA; a CUDA build has to take its place"
    if torch.cuda.is_available():
        return None
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except Exception as error:
        return f"torch sees no CUDA device ({_words(error)})"
    return "torch sees no CUDA device"


def _cupy_reason() -> str | None:
    import cupy

    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:
        return f"cupy sees no CUDA device ({_words(error)})"
    return None if count else "cupy sees no CUDA device"


def _words(error: BaseException) -> str:
    first = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def build() -> Backend:
    """Return the gpu backend, its memory shared and its float32 exact."""
    import array_api_compat.cupy as xp
    import cudf
    import torch

    share_memory()
    exact_float32()
    return Backend(
        name="gpu",
        xp=xp,
        xdf=cudf,
        torch_device="cuda",
        cluster_class="dask_cuda.LocalCUDACluster",
        _to_host=_to_host,
        device_names=tuple(torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())),
    )


def share_memory() -> None:
    """Let cupy, cudf, cuml and torch draw from one pool: the driver's own, through RMM.

    With a pool each, the one that asks first holds what the others lack. The driver's asynchronous
    pool grows and shrinks with use, so no size has to be guessed. What it costs: torch's memory
    statistics (``torch.cuda.max_memory_allocated``) are not kept for a foreign allocator.
    """
    import cupy
    import rmm
    import torch
    from rmm.allocators.cupy import rmm_cupy_allocator
    from rmm.allocators.torch import rmm_torch_allocator

    # A worker of dask_cuda has one already; beside a second, either would hold what the other lacks.
    if not isinstance(rmm.mr.get_current_device_resource(), rmm.mr.CudaAsyncMemoryResource):
        rmm.mr.set_current_device_resource(rmm.mr.CudaAsyncMemoryResource())
    cupy.cuda.set_allocator(rmm_cupy_allocator)
    try:
        torch.cuda.memory.change_current_allocator(rmm_torch_allocator)
    except RuntimeError as error:
        log.warning("torch keeps a memory pool of its own: %s", _words(error))


def exact_float32() -> None:
    """Switch TF32 off, so that float32 has its 24 bits in matrix products and convolutions.

    torch takes TF32 (11 bits) for convolutions unless told otherwise, and the two backends would
    then differ by 1e-3. Who wants speed asks for it by name: ``precision: bfloat16``.
    """
    import torch

    torch.backends.cuda.matmul.fp32_precision = "ieee"
    torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]
    torch.backends.cudnn.rnn.fp32_precision = "ieee"  # type: ignore[attr-defined]


def _to_host(array: Any) -> np.ndarray:
    import cupy

    return np.asarray(cupy.asnumpy(array))
