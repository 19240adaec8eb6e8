"""Rows looked at column by column: all times of some cells."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pipeline.rows.lazy import Rows
from pipeline.rows.parts import blocks
from pipeline.rows.stored import read_at

Array = Any


def by_columns(values: Array, parts: Sequence[slice]) -> Iterator[Array]:
    """Yield ``values[:, part]`` of every part: a view of an array, an array of its own of rows.

    Rows are read once, whatever the number of parts: they are laid out anew, part by part, in a file without a name
    beside theirs, as large as all of them. Without a file of their own they are read once a part.

    Parameters
    ----------
    values : array or Rows, shape (time, column)
    parts : sequence of slice
        Of columns, each with its start and stop.

    Examples
    --------
    >>> [part.tolist() for part in by_columns(np.array([[1, 2, 3], [4, 5, 6]]), [slice(0, 2), slice(2, 3)])]
    [[[1, 2], [4, 5]], [[3], [6]]]
    """
    if not isinstance(values, Rows):
        yield from (values[:, part] for part in parts)
    elif values.folder is None or len(parts) == 1:
        for part in parts:
            yield values.backend.asarray(_read(values, part))
    else:
        yield from _turned(values, parts)


def _read(values: Rows, part: slice) -> np.ndarray:
    into = np.empty((len(values), part.stop - part.start), values.dtype)
    for some in blocks(values):
        into[some] = values.backend.to_host(values[some, part])
    return into


def _turned(values: Rows, parts: Sequence[slice]) -> Iterator[Array]:
    count, size = len(values), np.dtype(values.dtype).itemsize
    starts = np.cumsum([0, *(count * (part.stop - part.start) * size for part in parts)])
    with tempfile.TemporaryFile(dir=values.folder, buffering=0) as file:
        handle = file.fileno()
        for some in blocks(values):
            block = np.asarray(values.backend.to_host(values[some, ...]))
            for part, start in zip(parts, starts, strict=False):
                piece = np.ascontiguousarray(block[:, part])
                _write_at(handle, piece, int(start) + some.start * piece.shape[1] * size)
        for part, start in zip(parts, starts, strict=False):
            into = np.empty((count, part.stop - part.start), values.dtype)
            if into.size:
                read_at(handle, memoryview(into.data).cast("B"), int(start), "a temporary file")
            yield values.backend.asarray(into)


def _write_at(handle: int, piece: np.ndarray, offset: int) -> None:
    left = memoryview(piece.data).cast("B") if math.prod(piece.shape) else memoryview(b"")
    while len(left):
        done = os.pwrite(handle, left, offset)
        left, offset = left[done:], offset + done
