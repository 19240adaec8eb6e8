"""Tasks on workers: one a worker at a time, done again where a worker dies."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pipeline.backend.cluster.client import open_client, scheduler_lost
from pipeline.backend.cluster.spec import ClusterSpec
from pipeline.backend.memory import trim_host_memory
from pipeline.errors import WorkerError

log = logging.getLogger(__name__)

GRACE = 120.0  # seconds without a single worker before waiting tasks are given up
GATHER = 10.0  # seconds within which a small result comes from the worker that has it, if it is alive
TRIES = 3  # workers that a task may take down before it is taken for the cause

OnDone = Callable[[int, Any], None]


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
    on_done: OnDone = lambda index, outcome: None,
) -> list[Any]:
    """Call ``function(*arguments[i])`` for every i; one that fails does not stop the others.

    A task whose worker dies is done again on another, or on the one that takes its place; so what it writes it must
    write whole, and find written. The third worker that dies on a task ends it.

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
        :class:`~pipeline.errors.WorkerError` where its workers died.

    Raises
    ------
    WorkerError
        If the scheduler is lost, and with it all that is not done.

    Examples
    --------
    >>> map_tasks(int, [("7",), ("seven",)], ClusterSpec(None))
    [7, ValueError("invalid literal for int() with base 10: 'seven'")]
    """
    if spec.in_process:
        with limit_threads(spec.threads):
            return [_here(function, task, index, on_done) for index, task in enumerate(arguments)]
    with open_client(spec) as client:
        # Our own workers were started with their number of threads; those of others are held to it.
        threads = spec.threads if spec.address is not None else None
        return _Work(client, partial(_limited, threads, function), arguments, on_done).done()


def _limited(threads: int | None, function: Callable[..., Any], *task: Any) -> Any:
    with limit_threads(threads):
        outcome = function(*task)
    trim_host_memory()  # a worker waits for the stages after this one
    return outcome


def _here(function: Callable[..., Any], task: tuple[Any, ...], index: int, on_done: OnDone) -> Any:
    try:
        outcome = function(*task)
    except Exception as error:
        outcome = error
    on_done(index, outcome)
    return outcome


@dataclass(frozen=True)
class _Running:
    """Number of a task that is out, and the worker it was given to."""

    index: int
    worker: str


@dataclass
class _Work:
    """Tasks handed to the workers of a client, and what has come of them."""

    client: Any
    function: Callable[..., Any]
    arguments: Sequence[tuple[Any, ...]]
    on_done: OnDone
    outcomes: dict[int, Any] = field(default_factory=dict)
    running: dict[Any, _Running] = field(default_factory=dict)
    died: dict[int, int] = field(default_factory=dict)  # workers that each task has taken down

    def done(self) -> list[Any]:
        """Do all of them; return their outcomes in order."""
        waiting = deque(range(len(self.arguments)))
        seen = time.monotonic()
        try:
            while waiting or self.running:
                workers = self._alive()
                busy = {one.worker for one in self.running.values()}
                free = [worker for worker in workers if worker not in busy]
                now = time.monotonic()
                seen = now if workers else seen
                if now - seen > GRACE:
                    break
                # Never more than one task a worker: a dying worker takes down all that it was given.
                for worker in free[: len(waiting)]:
                    self._submit(waiting.popleft(), worker)
                for future in self._finished():
                    waiting.extend(self._settle(future))
            for index in [*(one.index for one in self.running.values()), *waiting]:
                self._end(index, WorkerError(f"task {index} was given up: no worker was left for {GRACE:.0f} s."))
        finally:
            self._cancel()
        return [self.outcomes[index] for index in range(len(self.arguments))]

    def _end(self, index: int, outcome: Any) -> None:
        self.outcomes[index] = outcome
        self.on_done(index, outcome)

    def _submit(self, index: int, worker: str) -> None:
        # Another takes it where this one is gone by now.
        where = {"workers": [worker], "allow_other_workers": True}
        future = self.client.submit(self.function, *self.arguments[index], pure=False, **where)
        self.running[future] = _Running(index, worker)

    def _alive(self) -> list[str]:
        """Return the addresses of the workers."""
        self._require_scheduler()
        try:
            return list(self.client.nthreads())
        except OSError as error:
            raise scheduler_lost(self.client) from error

    def _require_scheduler(self) -> None:
        if self.client.status != "running":
            raise scheduler_lost(self.client)

    def _finished(self) -> list[Any]:
        """Return what has ended, at latest after a second."""
        import distributed

        if not self.running:
            time.sleep(0.1)  # a worker is being restarted
            return []
        try:
            return list(distributed.wait(list(self.running), timeout=1.0, return_when="FIRST_COMPLETED").done)
        except TimeoutError:
            return []
        except CancelledError:  # one of them; what has become of the others?
            return [future for future in self.running if future.done()]

    def _settle(self, future: Any) -> list[int]:
        """Take the result or exception of a task that has ended; return its number if it is to be done again."""
        import distributed

        index = self.running[future].index
        try:
            if future.status == "finished":
                outcome = future.result(timeout=GATHER)
            else:
                outcome = future.exception(timeout=GATHER)
        except TimeoutError:
            return []  # the worker died with the result; the scheduler has it done again, and we go on waiting for it
        except CancelledError as error:
            self._require_scheduler()
            outcome, deaths = error, 1
        except Exception as error:  # it has failed since the line above
            outcome, deaths = error, 0
        else:
            deaths = 0
        del self.running[future]
        if isinstance(outcome, distributed.KilledWorker):
            # A scheduler with settings of its own may have tried it on several workers by itself.
            deaths = outcome.allowed_failures + 1
        if deaths:
            self.died[index] = self.died.get(index, 0) + deaths
            if self.died[index] < TRIES:
                log.warning("the worker of task %d died; the task is done again", index)
                return [index]
            outcome = self._lost(index, outcome)
        self._end(index, outcome)
        return []

    def _lost(self, index: int, error: BaseException) -> WorkerError:
        lost = WorkerError(
            f"the worker of task {index} died {self.died[index]} times, most often for want of memory; "
            "take fewer compute.workers or more compute.memory."
        )
        lost.__cause__ = error
        return lost

    def _cancel(self) -> None:
        """Let go of what is still to be done: of no use once this ends by an error or a signal."""
        if self.running and self.client.status == "running":
            self.client.cancel(list(self.running))
