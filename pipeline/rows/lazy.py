"""Rows that are not in memory: what asks for some of them gets an array, and only that lies in memory."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import array_api_compat
import numpy as np

from pipeline.backend import Backend

Array = Any


class Rows(ABC):
    """An array by its first axis alone: ``rows[3:9]`` and ``rows[[5, 2]]`` are arrays of the backend.

    What works block by block, ``values[part, ...]`` over :func:`pipeline.prepare.arrays.blocks`, takes rows and arrays
    alike. NumPy and the namespace's own functions refuse rows, since they would bring in all of them unasked:
    :func:`whole` does that by name.
    """

    backend: Backend
    shape: tuple[int, ...]
    dtype: Any

    @abstractmethod
    def read(self, positions: np.ndarray) -> Array:
        """Return the rows at ``positions``, int64 and none negative, as an array of their own."""

    def take(self, index: np.ndarray) -> Rows:
        """Return the rows at ``index``, positions or a mask; nothing is read."""
        chosen = np.arange(self.shape[0])[index]
        return Made(self, lambda values, positions: values, self.shape[1:], self.dtype, chosen)

    def map(
        self, function: Callable[[Array, np.ndarray], Array], row: tuple[int, ...] | None = None, dtype: Any = None
    ) -> Rows:
        """Return what ``function(values, positions)`` makes of every block of rows; nothing is read.

        Parameters
        ----------
        function : callable
            Of some rows and their positions, to as many rows; what it says of one may not depend on the others.
        row : tuple of int, optional
            Shape of a row that it makes; the same by default.
        dtype : dtype, optional
            Of the numbers that it makes; the same by default.
        """
        kind = self.dtype if dtype is None else np.dtype(dtype)
        return Made(self, function, self.shape[1:] if row is None else row, kind)

    @property
    def folder(self) -> Path | None:
        """Where the file lies that they are read from: there is room for another beside it; None without a file."""
        return None

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of all rows, were they in memory."""
        return math.prod(self.shape) * int(np.dtype(self.dtype).itemsize)

    @property
    def device(self) -> Any:
        """Where the arrays lie that are read."""
        return array_api_compat.device(self.backend.xp.zeros(1))

    def __len__(self) -> int:
        return self.shape[0]

    def __array_namespace__(self, api_version: str | None = None) -> ModuleType:
        return self.backend.xp

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        raise TypeError(
            f"expected some rows of {self.shape}, such as rows[0:10], got all of them asked for as one array of "
            f"{self.nbytes / 2**20:.0f} MiB; whole(rows) reads them."
        )

    def __getitem__(self, key: Any) -> Array:
        first, rest = (key[0], key[1:]) if isinstance(key, tuple) else (key, ())
        if first is Ellipsis or first is None:
            raise TypeError(f"expected rows[first, ...] with rows chosen first, got rows[{key!r}].")
        if isinstance(first, (int, np.integer)):
            found = self.read(np.asarray([range(self.shape[0])[first]]))[0, ...]
            return found[rest] if rest else found
        found = self.read(np.arange(self.shape[0])[first])
        return found[(slice(None), *rest)] if rest else found


@dataclass(frozen=True, eq=False)
class Made(Rows):
    """Rows that are worked out of others each time they are asked for.

    Parameters
    ----------
    source : Rows
        What they are made of.
    function : callable
        Of rows and their positions among those of ``source``.
    row : tuple of int
        Shape of one.
    dtype : dtype
        Of the numbers that are made.
    positions : ndarray of int64, optional
        Which rows of ``source`` these are; all of them by default.
    """

    source: Rows
    function: Callable[[Array, np.ndarray], Array]
    row: tuple[int, ...]
    dtype: Any
    positions: np.ndarray | None = None

    @property
    def backend(self) -> Backend:  # type: ignore[override]
        """Whose arrays are read."""
        return self.source.backend

    @property
    def folder(self) -> Path | None:
        """That of what they are made of."""
        return self.source.folder

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """Number of rows, then the shape of one."""
        return (len(self.source) if self.positions is None else len(self.positions), *self.row)

    def read(self, positions: np.ndarray) -> Array:
        """Return the rows at ``positions``, made anew."""
        own = positions if self.positions is None else self.positions[positions]
        return self.function(self.source.read(own), own)


@dataclass(frozen=True, eq=False)
class Asked(Rows):
    """Rows that a function answers.

    Parameters
    ----------
    backend : Backend
        Whose arrays are read.
    shape : tuple of int
        Number of rows, then the shape of one.
    dtype : dtype
        Of the numbers.
    function : callable
        Of positions, int64 and none negative, to an array of those rows.
    of : Rows
        What the function reads.
    """

    backend: Backend
    shape: tuple[int, ...]
    dtype: Any
    function: Callable[[np.ndarray], Array]
    of: Rows

    @property
    def folder(self) -> Path | None:
        """That of what is read."""
        return self.of.folder

    def read(self, positions: np.ndarray) -> Array:
        """Return what the function answers."""
        return self.function(positions)


def whole(values: Array) -> Array:
    """Return all rows as one array; an array is returned as it is.

    Examples
    --------
    >>> import numpy as np
    >>> whole(np.arange(3)).tolist()
    [0, 1, 2]
    """
    return values[:] if isinstance(values, Rows) else values


@dataclass(frozen=True, eq=False)
class Held(Rows):
    """An array as rows: what is made of it block by block needs no second array of its size."""

    values: Array
    backend: Backend

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """Of the array."""
        return tuple(self.values.shape)

    @property
    def dtype(self) -> Any:
        """Of the array, as NumPy calls it."""
        return np.dtype(str(self.values.dtype).rpartition(".")[2])

    def read(self, positions: np.ndarray) -> Array:
        """Return some rows; those that follow each other as a view."""
        if len(positions) and (np.diff(positions) == 1).all():
            return self.values[int(positions[0]) : int(positions[-1]) + 1, ...]
        return self.backend.xp.take(self.values, self.backend.asarray(positions), axis=0)


def as_rows(values: Array, backend: Backend) -> Rows:
    """Return an array as rows; rows are returned as they are."""
    return values if isinstance(values, Rows) else Held(values, backend)
