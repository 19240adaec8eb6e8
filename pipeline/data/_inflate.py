"""Packed variables of netCDF-4 files, unpacked by several threads at once.

HDF5 unpacks one chunk after another and serves one thread at a time, so that reading a packed archive takes as long as
one core needs. Here chunks are read as they lie in the file and unpacked side by side, by a library that takes less
than half of zlib's time and lets other threads run.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from isal import isal_zlib
from xarray.backends import BackendArray, NetCDF4DataStore
from xarray.core import indexing

from pipeline.backend.threads import side_by_side, usable

_DEFLATE, _SHUFFLE = 1, 2  # HDF5's numbers of the two filters
_BROKEN: Any = isal_zlib.error  # which its types call an instance
_SMALL = 2**18  # bytes below which the library's own way is as fast


@dataclass(frozen=True)
class Layout:
    """How a variable lies in its file.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        The variable, with its groups.
    shape, chunks : tuple of int
        Of all values, and of one chunk.
    dtype : dtype
        As stored.
    shuffled : bool
        Whether the bytes of the values of a chunk are sorted by their place.
    fill : float
        Value of chunks that were never written.
    """

    path: Path
    name: str
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: np.dtype
    shuffled: bool
    fill: Any


class ThreadedStore(NetCDF4DataStore):
    """The netCDF-4 files of xarray, with packed variables read by :class:`Unpacked`."""

    def open_store_variable(self, name: str, var: Any) -> xr.Variable:
        """Return a variable, lazily."""
        found: xr.Variable = super().open_store_variable(name, var)
        layout = _layout(name, var)
        if layout is None:
            return found
        values = indexing.LazilyIndexedArray(Unpacked(layout))
        return xr.Variable(found.dims, values, found.attrs, found.encoding)


class Unpacked(BackendArray):
    """The values of a variable as xarray reads them: a part is asked for, and the chunks that hold it are read.

    Parameters
    ----------
    layout : Layout
        Where they lie.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.shape, self.dtype = layout.shape, layout.dtype.newbyteorder("=")

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.BASIC, lambda asked: _read(self.layout, asked)
        )


def _layout(name: str, var: Any) -> Layout | None:
    """Return how a variable lies in the file; None if it is not packed, or in a way that is not known here."""
    chunks = var.chunking()
    filters = var.filters() or {}
    known = {"zlib", "shuffle", "complevel"}
    other = any(filters.get(key) for key in filters if key not in known)
    if chunks in ("contiguous", None) or not filters.get("zlib") or other or not isinstance(var.dtype, np.dtype):
        return None
    if var.dtype.kind not in "iuf" or math.prod(var.shape) * var.dtype.itemsize < _SMALL:
        return None
    path, group = Path(var.group().filepath()), var.group().path.strip("/")
    return _stored(path, f"{group}/{name}" if group else name, var.shape, tuple(chunks))


def _stored(path: Path, name: str, shape: tuple[int, ...], chunks: tuple[int, ...]) -> Layout | None:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            data = file[name]
            made = data.id.get_create_plist()
            filters = [made.get_filter(number)[0] for number in range(made.get_nfilters())]
            if data.shape != tuple(shape) or data.chunks != chunks or filters not in ([2, 1], [1]):
                return None
            return Layout(path, name, data.shape, chunks, data.dtype, _SHUFFLE in filters, data.fillvalue)
    except (OSError, KeyError):  # not on this machine, or of another kind: the library says what it is
        return None


def _read(layout: Layout, key: tuple[int | slice, ...]) -> np.ndarray:
    """Return what basic indices ask for: every chunk that holds some of it is read and unpacked once."""
    bounds = [_bounds(part, size) for part, size in zip(key, layout.shape, strict=True)]
    into = np.empty([stop - start for start, stop in bounds], layout.dtype.newbyteorder("="))
    if into.size:
        _fill(layout, bounds, into)
    steps = tuple(
        0 if isinstance(part, (int, np.integer)) else _within(part, size, start)
        for part, size, (start, _) in zip(key, layout.shape, bounds, strict=True)
    )
    return np.ascontiguousarray(into[steps])


def _bounds(part: int | slice, size: int) -> tuple[int, int]:
    """Return the first position that is asked for and the one behind the last."""
    if not isinstance(part, slice):
        place = range(size)[part]
        return place, place + 1
    asked = range(size)[part]
    return (min(asked), max(asked) + 1) if len(asked) else (0, 0)


def _within(part: slice, size: int, start: int) -> slice:
    """Return a slice of what was read from ``start`` on."""
    asked = range(size)[part]
    if not len(asked):
        return slice(0, 0)
    first, last = asked[0] - start, asked[-1] - start
    stop = last + (1 if asked.step > 0 else -1)
    return slice(first, None if stop < 0 else stop, asked.step)


def _fill(layout: Layout, bounds: list[tuple[int, int]], into: np.ndarray) -> None:
    import h5py

    edges = [
        range(start // width * width, stop, width) for (start, stop), width in zip(bounds, layout.chunks, strict=True)
    ]
    with h5py.File(layout.path, "r") as file:
        stored = file[layout.name].id

        def one(corner: tuple[int, ...]) -> None:
            target, source = _overlap(corner, layout.chunks, bounds)
            if stored.get_chunk_info_by_coord(corner).byte_offset is None:
                into[target] = layout.fill
            else:
                mask, packed = stored.read_direct_chunk(corner)
                into[target] = _unpacked(layout, mask, packed)[source]

        side_by_side(one, itertools.product(*edges), min(usable(), math.prod(map(len, edges))))


def _overlap(
    corner: tuple[int, ...], chunks: tuple[int, ...], bounds: list[tuple[int, int]]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return where a chunk's values go, and which of them."""
    target, source = [], []
    for first, width, (start, stop) in zip(corner, chunks, bounds, strict=True):
        low, high = max(first, start), min(first + width, stop)
        target.append(slice(low - start, high - start))
        source.append(slice(low - first, high - first))
    return tuple(target), tuple(source)


def _unpacked(layout: Layout, mask: int, packed: bytes) -> np.ndarray:
    """Return the values of a chunk; bit n of ``mask`` says that filter n was left out for it."""
    filters = [_SHUFFLE, _DEFLATE] if layout.shuffled else [_DEFLATE]
    done = [number for place, number in enumerate(filters) if not mask >> place & 1]
    size, count = layout.dtype.itemsize, math.prod(layout.chunks)
    try:
        raw = isal_zlib.decompress(packed, bufsize=size * count) if _DEFLATE in done else packed
    except _BROKEN as error:
        raise OSError(f"{layout.path}: a chunk of {layout.name} cannot be unpacked: {error}") from error
    if _SHUFFLE not in done or size == 1:
        return np.frombuffer(raw, layout.dtype).reshape(layout.chunks)
    together = np.empty((count, size), np.uint8)
    for place, those in enumerate(np.frombuffer(raw, np.uint8).reshape(size, count)):
        together[:, place] = those  # a third of the time that the transpose takes
    return together.view(layout.dtype).reshape(layout.chunks)
