"""Threads: work that shares its arrays, in one process; NumPy lets others go on while it computes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


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
