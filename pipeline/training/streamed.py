"""Tensors that are too large for the device: rows of a file or of what is made of it, read as they are asked for."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.backend import Backend, get_backend
from pipeline.lagged import Lagged
from pipeline.rows import Rows, Stored
from pipeline.training.lagged import LaggedInputs, steps_of

BLOCK = 2 * 2**20  # bytes of what is looked at in one go where all of it is
Index = Tensor | slice


class Streamed(ABC):
    """Stands for a tensor, samples first: indexing with samples reads those onto the device.

    No function of torch takes it, so that nothing reads all of it unasked; ``len``, ``shape``, ``dtype``, ``device``
    and slices are those of a tensor.
    """

    device: torch.device

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Of the tensor."""

    @property
    @abstractmethod
    def dtype(self) -> torch.dtype:
        """Of the tensor."""

    @abstractmethod
    def read(self, positions: np.ndarray) -> Tensor:
        """Return the samples at ``positions``, int64, where they are read: on the host if it is up to us."""

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, chosen: Index) -> Tensor:
        return self.read(positions(chosen, len(self))).to(self.device)

    def slices(self) -> Iterator[slice]:
        """Yield all samples in order, in slices that are small beside any memory."""
        row = max(1, math.prod(self.shape[1:])) * self.dtype.itemsize
        size = max(1, BLOCK // row)
        for start in range(0, len(self), size):
            yield slice(start, min(start + size, len(self)))


@dataclass(frozen=True, eq=False)
class StreamedRows(Streamed):
    """Rows as a tensor.

    Parameters
    ----------
    rows : Rows
        What is read.
    device : torch.device
        Where samples are wanted.
    layout : callable
        What is made of some rows, sample by sample.
    row : tuple of int
        Shape of a sample that it makes.
    dtype : torch.dtype
        Of the numbers that it makes.
    """

    rows: Rows
    device: torch.device
    layout: Callable[[Tensor], Tensor]
    row: tuple[int, ...]
    dtype: torch.dtype = torch.float32

    @classmethod
    def of(
        cls, rows: Rows, device: str | torch.device, layout: Callable[[Tensor], Tensor] | None = None
    ) -> StreamedRows:
        """Return ``rows`` as they are, or as ``layout`` makes them; its shape is asked of the first row."""
        host = _on_the_host(rows)
        made = layout or (lambda values: values)
        first = made(_tensor(host, np.zeros(1, np.int64)))
        return cls(host, torch.device(device), made, tuple(first.shape[1:]), first.dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of samples, then the shape of one."""
        return (len(self.rows), *self.row)

    def read(self, positions: np.ndarray) -> Tensor:
        """Return some samples."""
        return self.layout(_tensor(self.rows, positions))

    def known(self) -> StreamedRows:
        """Return where the values are finite, as a tensor of bool that is too large as well."""
        return replace(self, layout=lambda values: torch.isfinite(self.layout(values)), dtype=torch.bool)


@dataclass(frozen=True, eq=False)
class StreamedWindows(Streamed):
    """Windows of a series whose steps are too large for the device: the steps of a batch are read once each.

    Parameters
    ----------
    values : StreamedRows of shape (step, channel, lat, lon)
        Every step.
    scalars : Tensor, shape (step, scalar)
        On the host: channels without a place.
    index, now : ndarray of int64, shape (time, lag) and (time,)
        Steps of each sample, and its own.
    order : tuple of int, or None
        Which channels are given, in this order; None: all as they are.
    device : torch.device
        Where samples are wanted.
    """

    values: StreamedRows
    scalars: Tensor
    index: np.ndarray
    now: np.ndarray
    order: tuple[int, ...] | None
    device: torch.device

    @classmethod
    def of(cls, lagged: Lagged, order: Sequence[int] | None, backend: Backend) -> StreamedWindows:
        """Return the windows, of no more steps than they have."""
        first, after = steps_of(lagged)
        values = StreamedRows.of(lagged.values.take(np.arange(first, after)), backend.torch_device)
        scalars: Tensor = backend.to_torch(lagged.scalars[first:after, ...]).cpu()
        index, now = lagged.index - first, lagged.now - first
        return cls(values, scalars, index, now, None if order is None else tuple(order), values.device)

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of samples, then the shape of one as it is laid out."""
        laid = self.index.shape[1] * self.values.shape[1] + self.scalars.shape[1]
        return (len(self.now), laid if self.order is None else len(self.order), *self.values.shape[2:])

    @property
    def dtype(self) -> torch.dtype:
        """Of the steps."""
        return self.values.dtype

    def read(self, positions: np.ndarray) -> Tensor:
        """Return some samples, laid out."""
        steps, places = np.unique(self.index[positions], return_inverse=True)
        values = self.values.read(steps)
        index = torch.as_tensor(places.reshape(len(positions), -1), device=values.device)
        scalars = self.scalars[torch.as_tensor(self.now[positions])].to(values.device)
        order = None if self.order is None else torch.as_tensor(self.order, device=values.device)
        own = torch.arange(len(positions), device=values.device)
        return LaggedInputs(values, scalars, index, own, order)[:]

    def tensors(self) -> Iterator[Tensor | Streamed]:
        """Yield everything the windows are made of, as those on the device do."""
        yield self.values
        yield from (self.scalars, torch.as_tensor(self.index), torch.as_tensor(self.now))
        if self.order is not None:
            yield torch.as_tensor(self.order)


def positions(chosen: Index, count: int) -> np.ndarray:
    """Return the positions, int64, of the samples at an index."""
    if isinstance(chosen, slice):
        return np.arange(count)[chosen]
    found: np.ndarray = chosen.cpu().numpy()
    return found


def parts(values: Any) -> Iterator[Tensor]:
    """Yield all samples on the device: a tensor whole, what is too large for that in slices."""
    if isinstance(values, Streamed):
        yield from (values[part] for part in values.slices())
    elif isinstance(values, LaggedInputs):
        size = max(1, BLOCK // max(1, 4 * math.prod(values[:1].shape)))
        yield from (values[start : start + size] for start in range(0, len(values), size))
    else:
        yield values


def _on_the_host(rows: Rows) -> Rows:
    """Return the rows of a file as arrays of the host, from which they are copied while the device computes."""
    return replace(rows, backend=get_backend("cpu")) if isinstance(rows, Stored) else rows


def _tensor(rows: Rows, positions: np.ndarray) -> Tensor:
    read: Tensor = rows.backend.to_torch(rows.read(positions))
    return read
