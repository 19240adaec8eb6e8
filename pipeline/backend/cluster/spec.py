"""A cluster as data: which class starts it, with which options."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

from pipeline.backend.cluster.config import ComputeConfig


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
        kwargs["memory_limit"] = config.memory
    if backend_name == "gpu":
        return ClusterSpec("dask_cuda.LocalCUDACluster", kwargs, workers=config.workers, threads=config.threads)
    return ClusterSpec(
        "distributed.LocalCluster", {"processes": True, **kwargs}, workers=config.workers, threads=config.threads
    )
