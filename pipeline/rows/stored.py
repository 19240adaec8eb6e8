"""Rows in a file: a plain npy file, row behind row, read at any place without the rest.

It is not mapped into memory. Pages of a map count as the process's own until the system takes them back, so a process
that looked at all of a large file would seem to hold it, and be ended for that by whoever watches; and a read of
scattered rows through a map waits for one page after another. Here every run of rows is one read into an array of the
process, runs side by side in threads.
"""

from __future__ import annotations

import functools
import math
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.backend import Backend, direct
from pipeline.errors import DataError
from pipeline.rows.lazy import Rows
from pipeline.rows.parts import blocks

Array = Any

PIECE = 4 * 2**20  # bytes of a read; larger ones are cut, so that threads share them
READERS = 4  # reads side by side: what a disk's queue, or copies out of the system's cache, gain from


@dataclass(frozen=True, eq=False)
class Stored(Rows):
    """Rows of an npy file.

    Parameters
    ----------
    path : Path
        The file, which must stay as it is.
    shape : tuple of int
        Number of rows, then the shape of one.
    dtype : dtype
        Of the numbers.
    start : int
        Bytes before the first row.
    backend : Backend
        Whose arrays are made of what is read.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype
    start: int
    backend: Backend

    @classmethod
    def open(cls, path: Path, backend: Backend) -> Stored:
        """Return the rows of a file.

        Raises
        ------
        DataError
            If it is no npy file of numbers in row order, or shorter than it says.
        """
        try:
            with path.open("rb") as file:
                version = np.lib.format.read_magic(file)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, fortran, dtype = read(file)
                start, size = file.tell(), os.fstat(file.fileno()).st_size
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: expected an npy file, got {error}.") from error
        if fortran or dtype.hasobject or not shape:
            raise DataError(f"{path}: expected rows of numbers in C order, got {shape} of {dtype}, fortran={fortran}.")
        wanted = start + math.prod(shape) * dtype.itemsize
        if size < wanted:
            raise DataError(f"{path}: expected {wanted} bytes for {shape} of {dtype}, got {size}; it was cut short.")
        return cls(path, tuple(shape), dtype, start, backend)

    @property
    def folder(self) -> Path | None:
        """The folder of the file."""
        return self.path.parent

    def read(self, positions: np.ndarray) -> Array:
        """Return the rows at ``positions``: one read for every run of rows that follow each other."""
        if len(positions) and direct.can_read(self.backend.torch_device):
            return self._read_directly(positions)
        into = np.empty((len(positions), *self.shape[1:]), self.dtype)
        if into.size:
            row = into.nbytes // len(positions)
            self._fill(into.reshape(-1).view(np.uint8), _pieces(positions, row), row)
        return self.backend.asarray(into)

    def _read_directly(self, positions: np.ndarray) -> Array:
        """Return rows that went into the device's memory without one of ours."""
        xp, row = self.backend.xp, math.prod(self.shape[1:]) * self.dtype.itemsize
        into = xp.empty((len(positions), *self.shape[1:]), dtype=getattr(xp, self.dtype.name))
        pieces = [
            (place * row, self.start + first * row, count * row) for place, first, count in _pieces(positions, row)
        ]
        direct.read_into(self.path, into.reshape(-1).view(xp.uint8), pieces)
        return into

    def _fill(self, into: np.ndarray, pieces: list[tuple[int, int, int]], row: int) -> None:
        handle = os.open(self.path, os.O_RDONLY)
        try:

            def one(piece: tuple[int, int, int]) -> None:
                place, first, count = piece
                target = into.data[place * row : (place + count) * row]
                read_at(handle, target, self.start + first * row, self.path)

            if len(pieces) == 1 or into.nbytes < PIECE:
                for piece in pieces:
                    one(piece)
            else:
                for _ in _pool(os.getpid()).map(one, pieces):
                    pass
        finally:
            os.close(handle)


@contextmanager
def store(path: Path, shape: tuple[int, ...], dtype: Any = np.float32) -> Iterator[Callable[[np.ndarray], None]]:
    """Yield a function that adds rows to a new npy file of ``shape``.

    Raises
    ------
    ValueError
        If the rows given in the end are not ``shape``, or some of another dtype.

    Examples
    --------
    >>> import tempfile
    >>> from pipeline.backend import get_backend
    >>> path = Path(tempfile.mkdtemp()) / "rows.npy"
    >>> with store(path, (3, 2)) as add:
    ...     add(np.zeros((1, 2), np.float32))
    ...     add(np.ones((2, 2), np.float32))
    >>> Stored.open(path, get_backend("cpu"))[1:].tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    dtype, written = np.dtype(dtype), 0

    def add(rows: np.ndarray) -> None:
        nonlocal written
        if rows.dtype != dtype or rows.shape[1:] != tuple(shape[1:]):
            raise ValueError(f"expected rows of {shape[1:]} {dtype}, got {rows.shape[1:]} {rows.dtype}.")
        file.write(np.ascontiguousarray(rows).data)
        written += len(rows)

    with path.open("wb") as file:
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": tuple(shape)}
        np.lib.format.write_array_header_2_0(file, header)
        yield add
    if written != shape[0]:
        raise ValueError(f"{path.name}: expected {shape[0]} rows, got {written}.")


def _pieces(positions: np.ndarray, row: int) -> list[tuple[int, int, int]]:
    """Return (place, first row, rows) of every read.

    Examples
    --------
    >>> _pieces(np.array([4, 5, 6, 1]), row=8)
    [(0, 4, 3), (3, 1, 1)]
    """
    most = max(1, PIECE // row)
    edges = np.flatnonzero(np.diff(positions) != 1) + 1
    found = []
    for start, stop in zip([0, *edges.tolist()], [*edges.tolist(), len(positions)], strict=True):
        found += [(at, int(positions[at]), min(most, stop - at)) for at in range(start, stop, most)]
    return found


def read_at(handle: int, target: memoryview, offset: int, path: Path | str) -> None:
    """Fill ``target`` with the bytes of a file from ``offset`` on.

    Raises
    ------
    DataError
        If the file, called ``path``, ends before.
    """
    done = 0
    while done < len(target):
        count = os.preadv(handle, [target[done:]], offset + done)
        if count == 0:
            raise DataError(f"{path}: expected {len(target) - done} more bytes at {offset + done}, got its end.")
        done += count


@functools.cache
def _pool(process: int) -> ThreadPoolExecutor:
    """Return the readers of a process: a child of a fork has none of its parent's threads."""
    return ThreadPoolExecutor(READERS, thread_name_prefix="rows")


def keep_rows(path: Path, values: Array, backend: Backend) -> None:
    """Write an array or rows to an npy file; rows that are a file already get a second name, and cost nothing."""
    if isinstance(values, Stored):
        try:
            os.link(values.path, path)
        except OSError:  # another disk, or one without links
            shutil.copyfile(values.path, path)
    elif isinstance(values, Rows):
        with store(path, values.shape, values.dtype) as add:
            for part in blocks(values):
                add(np.asarray(backend.to_host(values[part, ...])))
    else:
        np.save(path, backend.to_host(values), allow_pickle=False)
