"""What a run's tasks went to, for its provenance."""

from __future__ import annotations

import os
from dataclasses import dataclass

from pipeline.backend.cluster.spec import ClusterSpec


@dataclass(frozen=True)
class ClusterRecord:
    """Where tasks ran.

    Parameters
    ----------
    kind : str
        ``in this process``, the class that started the workers, or ``Dask scheduler``.
    workers : int or None
        How many; of a scheduler that ran already, how many it had as the run began, None where it was not asked.
    threads_a_worker : int or None
        Of BLAS, OpenMP and torch, as the last process of the run set them; None where the workers' own settings hold,
        which nobody was told.
    scheduler : str or None
        Address of a scheduler that ran already.
    """

    kind: str
    workers: int | None
    threads_a_worker: int | None
    scheduler: str | None = None


def cluster_record(spec: ClusterSpec, workers: int | None = None) -> ClusterRecord:
    """Return what stands of a cluster in a run's provenance.

    Parameters
    ----------
    spec : ClusterSpec
        What was asked for.
    workers : int, optional
        How many a scheduler that ran already had.

    Examples
    --------
    >>> cluster_record(ClusterSpec(None, workers=1, address="tls://head:8786"), workers=8)
    ClusterRecord(kind='Dask scheduler', workers=8, threads_a_worker=None, scheduler='tls://head:8786')
    """
    if spec.address is not None:
        return ClusterRecord("Dask scheduler", workers, spec.threads, spec.address)
    if spec.in_process:
        return ClusterRecord("in this process", 1, spec.threads or _own_threads())
    kind = str(spec.class_path).rpartition(".")[2]
    return ClusterRecord(kind, spec.workers, _of_environment() or spec.threads or 1)


def _of_environment() -> int | None:
    """Return the number of threads that the environment sets for workers, which goes before what is asked for."""
    said = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(said) if said.isdigit() and int(said) else None


def _own_threads() -> int:
    """Return how many threads the libraries of this process take."""
    import threadpoolctl

    return max((int(pool["num_threads"]) for pool in threadpoolctl.threadpool_info()), default=1)
