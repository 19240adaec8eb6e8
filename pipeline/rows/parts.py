"""Arrays and rows cut into blocks that are cheap to work on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

Array = Any

# Of float64 scratch a block: fits a CPU's cache, which is several times as fast as going through memory.
BLOCK_BYTES = 8 * 2**20


def blocks(values: Array, width: int = 0) -> Iterator[slice]:
    """Yield slices of the first axis, each of at most ``BLOCK_BYTES`` as float64.

    ``width`` says how many numbers are made of one row, if more than it has.
    """
    row = max(1, width, math.prod(values.shape[1:])) * 8
    size = max(1, BLOCK_BYTES // row)
    for start in range(0, values.shape[0], size):
        yield slice(start, min(start + size, values.shape[0]))


def spans(count: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield the ends of blocks of at most ``size`` dates; no block is of a single date where there are more.

    Examples
    --------
    >>> list(spans(7, 3))
    [(0, 2), (2, 5), (5, 7)]
    """
    blocks = max(1, min(-(-count // max(2, size)), count // 2))
    edges = np.linspace(0, count, blocks + 1).round().astype(int)
    for first, last in pairwise(edges):
        yield int(first), int(last)
