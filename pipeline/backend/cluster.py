"""Workers: the ``compute`` section of an experiment, what cluster it means, and tasks on it.

What is asked (:class:`ComputeConfig`) becomes data (:class:`ClusterSpec`) by a pure function, so
that eight GPUs can be tested on a laptop; :func:`open_client` is the one effect.
"""

from __future__ import annotations

import importlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from pipeline.backend.memory import parse_size
from pipeline.errors import MissingExtraError, WorkerError

GRACE = 60.0  # seconds without a single worker before waiting tasks are given up


class ComputeConfig(BaseModel):
    """Where an experiment computes."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    backend: Literal["auto", "cpu", "gpu"] = Field(
        default="auto", description="Where arrays, estimators and networks live; auto: a GPU if all of it works there."
    )
    workers: int = Field(default=1, ge=1, description="Processes on cpu, GPUs on gpu.")
    threads: int | None = Field(
        default=None,
        ge=1,
        description="Threads of each worker. By default 1, and with a single worker what its libraries take; "
        "OMP_NUM_THREADS in the environment of a cluster of workers wins.",
    )
    scheduler: str | None = Field(default=None, description="Address of a running Dask scheduler, tcp://host:8786.")
    memory: str | None = Field(
        default=None,
        description="What arrays of each process may take, beside its libraries, such as 4GiB; larger data stay in "
        "files and are read as they are needed. By default half of what the machine, container or job has left.",
    )
    strict: bool = Field(default=False, description="Make it an error when an estimator has to leave the GPU.")

    @field_validator("memory")
    @classmethod
    def _a_size(cls, memory: str | None) -> str | None:
        if memory is not None:
            parse_size(memory)
        return memory


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


@contextmanager
def open_client(spec: ClusterSpec) -> Iterator[Any]:
    """Start or reach the cluster and yield a ``distributed.Client``; close what was started.

    Raises
    ------
    WorkerError
        If the workers do not start or the scheduler does not answer.
    MissingExtraError
        If the cluster's library is not installed.
    """
    import dask
    import distributed

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    # Set before the workers' interpreters start, or OpenMP does not read them.
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), spec.threads or 1)
    settings = {
        "distributed.scheduler.allowed-failures": 0,  # a task that takes its worker down is not tried on three more
        "distributed.nanny.pre-spawn-environ": threads,
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


@contextmanager
def limit_threads(threads: int | None) -> Iterator[None]:
    """Hold BLAS and OpenMP (torch's too) to ``threads`` in this process; None leaves them as they are."""
    import threadpoolctl

    with threadpoolctl.threadpool_limits(limits=threads):
        yield


def map_tasks(
    function: Callable[..., Any],
    arguments: Sequence[tuple[Any, ...]],
    spec: ClusterSpec,
    on_done: Callable[[int, Any], None] = lambda index, outcome: None,
) -> list[Any]:
    """Call ``function(*arguments[i])`` for every i; one that fails does not stop the others.

    Parameters
    ----------
    function : callable
        Importable on the workers; what it takes and returns is pickled, so hand over paths, not fields.
    arguments : sequence of tuple
        Positional arguments of each task.
    spec : ClusterSpec
        Where: in this process one after another, or on a cluster, at most one task a worker at a time.
    on_done : callable
        Told ``(index, result or exception)`` here as each task ends.

    Returns
    -------
    list
        The result of each task in the order of ``arguments``, or the exception it ended with; a
        :class:`~pipeline.errors.WorkerError` where its worker died.

    Examples
    --------
    >>> map_tasks(int, [("7",), ("seven",)], ClusterSpec(None))
    [7, ValueError("invalid literal for int() with base 10: 'seven'")]
    """
    if spec.in_process:
        with limit_threads(spec.threads):
            return [_here(function, task, index, on_done) for index, task in enumerate(arguments)]
    with open_client(spec) as client:
        return _on_workers(client, function, arguments, on_done)


def _here(function: Callable[..., Any], task: tuple[Any, ...], index: int, on_done: Callable[[int, Any], None]) -> Any:
    try:
        outcome = function(*task)
    except Exception as error:
        outcome = error
    on_done(index, outcome)
    return outcome


def _on_workers(
    client: Any, function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]], on_done: Callable[[int, Any], None]
) -> list[Any]:
    outcomes: dict[int, Any] = {}
    waiting = deque(range(len(arguments)))
    running: dict[Any, int] = {}
    seen = time.monotonic()
    while waiting or running:
        workers = _alive(client)
        now = time.monotonic()
        seen = now if workers else seen
        if now - seen > GRACE:
            break
        # Never more tasks out than workers: a dying worker takes down all that it was given.
        while waiting and len(running) < workers:
            index = waiting.popleft()
            running[client.submit(function, *arguments[index], pure=False)] = index
        for future in _finished(running):
            index = running.pop(future)
            outcomes[index] = _outcome(future, index)
            on_done(index, outcomes[index])
    for index in [*running.values(), *waiting]:
        outcomes[index] = WorkerError(f"task {index} was given up: no worker was left for {GRACE:.0f} s.")
        on_done(index, outcomes[index])
    return [outcomes[index] for index in range(len(arguments))]


def _alive(client: Any) -> int:
    try:
        return len(client.nthreads())
    except OSError:  # the scheduler is gone, and its workers with it
        return 0


def _finished(running: dict[Any, int]) -> list[Any]:
    """Return what has ended, at latest after a second."""
    import distributed

    if not running:
        time.sleep(0.1)  # a worker is being restarted
        return []
    try:
        return list(distributed.wait(list(running), timeout=1.0, return_when="FIRST_COMPLETED").done)
    except TimeoutError:
        return []


def _outcome(future: Any, index: int) -> Any:
    import distributed

    try:
        return future.result(timeout=GRACE)
    except distributed.KilledWorker as error:
        message = (
            f"the worker of task {index} died, most often for want of memory; "
            "take fewer compute.workers or more compute.memory."
        )
        lost = WorkerError(message)
        lost.__cause__ = error
        return lost
    except CancelledError:
        return WorkerError(f"task {index} was cancelled: the scheduler lost it.")
    except Exception as error:
        return error
