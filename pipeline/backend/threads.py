"""Threads: work that shares its arrays, in one process; NumPy lets others go on while it computes."""

from __future__ import annotations

import functools
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

Item = TypeVar("Item")
One = TypeVar("One")
Other = TypeVar("Other")

AHEAD = 2
"""What is read beyond what is in use: more costs memory and hides nothing that two do not."""


def side_by_side(function: Callable[[Item], object], items: Iterable[Item], threads: int) -> None:
    """Call ``function`` of every item, ``threads`` of them at a time; the first that fails ends it.

    Parameters
    ----------
    function : callable
        What it does for one item must not depend on what it has done for others.
    items : iterable
        Arguments, one a call.
    threads : int
        One: here, in their order.

    Examples
    --------
    >>> done = set()
    >>> side_by_side(done.add, [1, 2, 3], threads=2)
    >>> sorted(done)
    [1, 2, 3]
    """
    if threads == 1:
        for item in items:
            function(item)
        return
    with ThreadPoolExecutor(threads) as pool:
        for waiting in [pool.submit(function, item) for item in items]:
            try:
                waiting.result()
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise


def read_ahead(read: Callable[[One], Other], asked: Iterable[One], ahead: int = AHEAD) -> Generator[Other]:
    """Yield ``read(one)`` of everything asked for, in order; the next ``ahead`` are read in a thread meanwhile.

    What fails in the thread fails here. The thread ends with the generator: close it where it may not be used up.

    Examples
    --------
    >>> list(read_ahead(lambda number: number**2, range(4)))
    [0, 1, 4, 9]
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="ahead")
    waiting: deque[Future[Other]] = deque()
    try:
        for one in asked:
            waiting.append(pool.submit(read, one))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def usable() -> int:
    """Return how many threads this process may keep busy: its cores, or fewer where OMP_NUM_THREADS says so."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "").strip()
    return max(1, min(cores, int(asked))) if asked.isdigit() else cores


@contextmanager
def single_products() -> Iterator[None]:
    """Let every matrix product inside take one thread.

    For many small ones, which take ten times as long where each wakes a second thread; who has several threads gives
    them a part each. It holds for the whole process while it lasts.
    """
    with _libraries().limit(limits=1, user_api="blas"):
        yield


@functools.cache
def _libraries() -> Any:
    import threadpoolctl

    return threadpoolctl.ThreadpoolController()
