"""A cluster as data: which class starts it, with which options."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

from pipeline.backend.cluster.config import ComputeConfig
from pipeline.backend.memory import parse_size

LIBRARIES = 2**30  # bytes of torch, xarray, Dask and the like in one process
GPU_WORKER: dict[str, Any] = {
    # The driver's asynchronous pool grows and shrinks with use. A pool of a fixed size (rmm_pool_size) would hold what
    # torch lacks; that torch and CuPy draw from the same one is seen to where the backend is made (_gpu.py).
    "rmm_async": True,
    # Of tables that are spread over workers: beyond 80 % of the device they go to the host. Off where both are one.
    "device_memory_limit": "default",
    # Tasks get paths and hand back small records; what estimators of cuml.dask send goes by NCCL, not by Dask.
    "protocol": "tcp",
}
"""Options of ``dask_cuda.LocalCUDACluster`` 26.10. It starts one process for each of the first ``n_workers`` devices of
``CUDA_VISIBLE_DEVICES``, with its own device the first that the process sees, so all of them compute on ``cuda:0``."""


@dataclass(frozen=True)
class ClusterSpec:
    """A cluster as data.

    Parameters
    ----------
    class_path : str or None
        Import path of the class that starts it; None where nothing is to be started, because the
        tasks run in this process or a scheduler runs already.
    kwargs : dict
        What the class takes.
    workers : int
        Number of workers; tasks on one without an address run in this process.
    address : str, optional
        Address of a scheduler that runs already.
    threads : int, optional
        Threads of each worker.
    """

    class_path: str | None
    kwargs: dict[str, Any] = field(default_factory=dict)
    workers: int = 1
    address: str | None = None
    threads: int | None = None

    @property
    def in_process(self) -> bool:
        """Whether tasks run here, one after another."""
        return self.class_path is None and self.address is None


def process_memory(arrays: str) -> int:
    """Return how many bytes a worker may hold in all: what its arrays may take, and :data:`LIBRARIES` beside it.

    Dask ends a worker that holds 95 % of it.

    Examples
    --------
    >>> process_memory("4GiB") == 5 * 2**30
    True
    """
    return parse_size(arrays) + LIBRARIES


def cluster_spec(backend_name: str, config: ComputeConfig) -> ClusterSpec:
    """Return the cluster that ``config`` means on a backend; starts nothing.

    Parameters
    ----------
    backend_name : {"cpu", "gpu"}
        Name of the resolved backend.
    config : ComputeConfig
        The experiment's ``compute`` section.

    Examples
    --------
    >>> cluster_spec("gpu", ComputeConfig(workers=4)).class_path
    'dask_cuda.LocalCUDACluster'
    >>> cluster_spec("cpu", ComputeConfig()).in_process
    True
    """
    if config.scheduler is not None:
        return ClusterSpec(None, workers=config.workers, address=config.scheduler, threads=config.threads)
    if config.workers == 1:
        return ClusterSpec(None, threads=config.threads)
    kwargs: dict[str, Any] = {
        "n_workers": config.workers,
        "threads_per_worker": 1,  # one task at a time; `threads` are those of BLAS and torch inside it
        "host": "127.0.0.1",
        "dashboard_address": None,
        "silence_logs": logging.CRITICAL,
    }
    if config.memory is not None:
        kwargs["memory_limit"] = process_memory(config.memory)
    if backend_name == "gpu":
        kwargs |= GPU_WORKER
        return ClusterSpec("dask_cuda.LocalCUDACluster", kwargs, workers=config.workers, threads=config.threads)
    return ClusterSpec(
        "distributed.LocalCluster", {"processes": True, **kwargs}, workers=config.workers, threads=config.threads
    )
