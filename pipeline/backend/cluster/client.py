"""The client of a cluster: started or reached once, shared by all stages of a run, closed at its end."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.backend.cluster.checks import check_workers
from pipeline.backend.cluster.spec import ClusterSpec
from pipeline.errors import MissingExtraError, WorkerError

log = logging.getLogger(__name__)


@dataclass
class SharedCluster:
    """The one cluster of a run; nothing is started before the first :func:`open_client`.

    Parameters
    ----------
    folder : Path, optional
        The run's, which workers that somebody else started are asked for.
    """

    folder: Path | None = None
    _stack: ExitStack = field(default_factory=ExitStack)
    _spec: ClusterSpec | None = None
    _client: Any = None
    _checked: set[str] = field(default_factory=set)

    @property
    def address(self) -> str | None:
        """Address of the scheduler, None as long as there is none."""
        return None if self._client is None else str(self._client.scheduler.address)

    def client(self, spec: ClusterSpec) -> Any:
        """Return the client of the cluster, which is started or reached if this is the first time.

        One for another ``spec`` takes the place of the one before: a run has one cluster at a time.
        """
        if self._client is None or spec != self._spec:
            self.close()
            self._client, self._spec = self._stack.enter_context(_opened(spec)), spec
        if spec.address is not None:
            _require_running(self._client)
            new = set(self._client.nthreads()) - self._checked
            check_workers(self._client, sorted(new), self.folder)
            self._checked |= new
        return self._client

    def close(self) -> None:
        """Close client and cluster, if there are any."""
        self._client = self._spec = None
        self._checked.clear()
        self._stack.close()


_shared: ContextVar[SharedCluster | None] = ContextVar("cluster", default=None)


@contextmanager
def one_cluster(folder: Path | None = None) -> Iterator[SharedCluster]:
    """Let everything inside the block that asks for a client have the same one.

    Starting processes that import the same libraries takes seconds, so a run does it once, at the first
    stage that has work for them. It is closed when the block ends, by an error or a signal too.

    Parameters
    ----------
    folder : Path, optional
        The run's. Workers of a scheduler that runs already are asked whether they can read and write there.

    Examples
    --------
    >>> with one_cluster() as cluster:
    ...     print(cluster.address)
    None
    """
    shared = SharedCluster(folder)
    token = _shared.set(shared)
    try:
        yield shared
    finally:
        _shared.reset(token)
        shared.close()


@contextmanager
def open_client(spec: ClusterSpec) -> Iterator[Any]:
    """Yield a ``distributed.Client``: that of the run inside :func:`one_cluster`, else one for this block alone.

    Raises
    ------
    WorkerError
        If the workers do not start, the scheduler does not answer, or a worker that somebody else started has other
        versions or another disk.
    MissingExtraError
        If the cluster's library is not installed.
    """
    shared = _shared.get()
    if shared is not None:
        yield shared.client(spec)
        return
    with one_cluster() as own:
        yield own.client(spec)


def scheduler_lost(client: Any) -> WorkerError:
    """Return what is said where a client has lost its scheduler."""
    address = getattr(getattr(client, "scheduler", None), "address", None)
    return WorkerError(
        f"the Dask scheduler{f' at {address}' if address else ''} was lost, and with it the tasks that were not done. "
        "Start one again; `finescale run --resume` goes on where the run was."
    )


def _require_running(client: Any) -> None:
    if client.status != "running":
        raise scheduler_lost(client)


@contextmanager
def _opened(spec: ClusterSpec) -> Iterator[Any]:
    import dask
    import distributed

    for name in ("distributed", "distributed.client"):  # each has a level of its own, set when it is imported
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # Set before the workers' interpreters start, or OpenMP does not read them.
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), spec.threads or 1)
    settings = {
        # Whether a task that took its worker down is done again is decided in tasks.py, where it is told and counted.
        "distributed.scheduler.allowed-failures": 0,
        "distributed.nanny.pre-spawn-environ": threads,
        # A worker that takes longer than this to be there again is given up for good; on a busy machine or a slow disk
        # the 15 seconds that Dask waits are soon over.
        "distributed.deploy.lost-worker-timeout": "1 hour",
    }
    with dask.config.set(settings):
        if spec.class_path is None:
            with _reach(distributed, spec.address) as client:
                yield client
            return
        with _start(spec) as cluster, distributed.Client(cluster) as client:
            yield client


def _reach(distributed: Any, address: str | None) -> Any:
    try:
        return distributed.Client(address, timeout=10)
    except (OSError, TimeoutError, ValueError) as error:
        raise WorkerError(
            f"expected a Dask scheduler at {address!r}, got no answer ({error}); start one with `dask scheduler`."
        ) from error


def _start(spec: ClusterSpec) -> Any:
    module, _, name = str(spec.class_path).rpartition(".")
    try:
        cluster = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"{spec.workers} workers need {error.name}, which is not installed. "
            "Run: pip install -c constraints.txt '.[gpu]'"
        ) from error
    try:
        return cluster(**spec.kwargs)
    except (OSError, RuntimeError, TimeoutError, ValueError) as error:
        raise WorkerError(f"expected {spec.workers} workers to start, got {type(error).__name__}: {error}") from error
