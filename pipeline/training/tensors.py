"""The samples of one split as the training loop takes them, wherever they lie."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from pipeline.backend.threads import read_ahead
from pipeline.training.ahead import Carrier
from pipeline.training.lagged import LaggedInputs
from pipeline.training.losses import Loss, Place
from pipeline.training.streamed import Index, Streamed, StreamedRows, StreamedWindows, parts, positions

Inputs = Tensor | LaggedInputs | Streamed


@dataclass(frozen=True, eq=False)
class Tensors:
    """The samples of one split: on the torch device where they fit, else read a batch at a time.

    Parameters
    ----------
    inputs : Tensor, shape (time, channel, lat, lon), or LaggedInputs, or Streamed
        Finite; windows of a series are laid out for the batch that is taken.
    target : Tensor, shape (time, target, cell), or StreamedRows
        NaN where the truth is missing.
    place : Place
        Where the cells lie, their area weights, and their units.
    """

    inputs: Inputs
    target: Tensor | StreamedRows
    place: Place

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def device(self) -> torch.device:
        """Where batches are wanted."""
        return self.inputs.device

    @property
    def streamed(self) -> bool:
        """Whether batches are read when they are asked for."""
        return isinstance(self.inputs, Streamed) or isinstance(self.target, Streamed)

    def take(self, index: Index) -> Batch:
        """Return the samples at ``index``, on the device."""
        return Batch(self.inputs[index], self.target[index], self.place)

    def batches(self, indexes: Iterable[Index]) -> Generator[Batch]:
        """Yield the samples at every index in turn; what is not on the device is on its way there before.

        Samples and their order are the same either way. Close what this returns: a thread may read for it.
        """
        if not self.streamed:
            for index in indexes:
                yield self.take(index)
            return
        with closing(_carried((self.inputs, self.target), indexes)) as read:
            for inputs, target in read:
                yield Batch(inputs, target, self.place)

    def in_order(self, size: int) -> Generator[Batch]:
        """Yield all samples in their order, ``size`` at a time; to be closed like :meth:`batches`."""
        return self.batches(slice(start, start + size) for start in range(0, len(self), size))

    def fit(self, loss: Loss) -> None:
        """Let ``loss`` learn from the target what it needs.

        Raises
        ------
        DataError
            If it does not suit such a target.
        """
        target = self.target
        known = target.known() if isinstance(target, StreamedRows) else torch.isfinite(target)
        # A target that is streamed is sliced like a tensor, which is all that a loss may do with it.
        loss.fit(cast(Tensor, target), self.place.cells(cast(Tensor, known)))

    def weight(self) -> float:
        """Return the sum of the areas of all cells with truth, over all samples: how many values there are."""
        return sum(
            float((torch.isfinite(part) * self.place.area).sum(dtype=torch.float64)) for part in parts(self.target)
        )


@dataclass(frozen=True, eq=False)
class Batch(Tensors):
    """Samples that lie on the device and are laid out."""

    inputs: Tensor
    target: Tensor


def tensors_of(*splits: Tensors) -> Iterator[Tensor | Streamed]:
    """Yield everything that a training can learn of the splits; in the same order wherever they lie."""
    for split in splits:
        place = split.place
        if isinstance(split.inputs, LaggedInputs | StreamedWindows):
            yield from split.inputs.tensors()
        else:
            yield split.inputs
        yield from (split.target, place.area, place.index)
        yield from (tensor for tensor in (place.scale, place.shift) if tensor is not None)


def input_batches(inputs: Inputs, size: int) -> Generator[Tensor]:
    """Yield all inputs in their order, ``size`` samples at a time; to be closed like :meth:`Tensors.batches`."""
    slices = (slice(start, start + size) for start in range(0, len(inputs), size))
    if not isinstance(inputs, Streamed):
        for part in slices:
            yield inputs[part]
        return
    with closing(_carried((inputs,), slices)) as read:
        for (batch,) in read:
            yield batch


def _carried(whole: tuple[Inputs, ...], indexes: Iterable[Index]) -> Generator[tuple[Tensor, ...]]:
    """Yield what stands at every index, read in a thread and copied beside the device's own work."""
    carrier = Carrier(whole[0].device)

    def read(index: Index) -> tuple[tuple[Tensor, ...], torch.Event | None]:
        return carrier.send(*(_read(part, index) for part in whole))

    with closing(read_ahead(read, indexes)) as sent:
        for tensors, there in sent:
            yield carrier.receive(tensors, there)


def _read(part: Inputs, index: Index) -> Tensor:
    """Return some samples where they are read, or where they lie."""
    return part.read(positions(index, len(part))) if isinstance(part, Streamed) else part[index]
