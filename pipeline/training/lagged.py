"""Windows of a series on the torch device, laid out a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.backend import Backend
from pipeline.lagged import Lagged


def steps_of(lagged: Lagged) -> tuple[int, int]:
    """Return the first step that windows have, and the one after their last."""
    both = lagged.index, lagged.now
    return min(int(part.min()) for part in both), max(int(part.max()) for part in both) + 1


@dataclass(frozen=True, eq=False)
class LaggedInputs:
    """Stands for inputs of shape (time, channel, lat, lon): indexing with samples lays those out.

    A window of a year on daily data is 365 times the data; this holds the data once.

    Parameters
    ----------
    values : Tensor, shape (step, channel, lat, lon)
        Every step once.
    scalars : Tensor, shape (step, scalar)
        Channels without a place.
    index : Tensor of int64, shape (time, lag)
        Steps of each sample.
    now : Tensor of int64, shape (time,)
        The step of the sample itself.
    order : Tensor of int64, shape (channel,), or None
        Which channels are given, in this order; None: all as they are.
    """

    values: Tensor
    scalars: Tensor
    index: Tensor
    now: Tensor
    order: Tensor | None

    @classmethod
    def of(cls, lagged: Lagged, order: Sequence[int] | None, backend: Backend) -> LaggedInputs:
        """Return the windows on the torch device of ``backend``, with no more steps than they have."""
        first, after = steps_of(lagged)
        values: Tensor = backend.to_torch(lagged.values[first:after, ...])
        scalars: Tensor = backend.to_torch(lagged.scalars[first:after, ...])
        index, now = (torch.as_tensor(part - first, device=values.device) for part in (lagged.index, lagged.now))
        chosen = None if order is None else torch.as_tensor(list(order), device=values.device)
        return cls(values, scalars, index, now, chosen)

    def __len__(self) -> int:
        return len(self.now)

    @property
    def device(self) -> torch.device:
        """Where the windows are laid out."""
        return self.values.device

    def __getitem__(self, chosen: Tensor | slice) -> Tensor:
        """Return the inputs of some samples, shape (time, channel, lat, lon)."""
        laid = self.values[self.index[chosen]].flatten(1, 2)
        if self.scalars.shape[1]:
            numbers = self.scalars[self.now[chosen]][:, :, None, None]
            laid = torch.cat([laid, numbers.expand(*numbers.shape[:2], *self.values.shape[2:])], dim=1)
        return laid if self.order is None else laid[:, self.order]

    def tensors(self) -> Iterator[Tensor]:
        """Yield everything the windows are made of."""
        yield from (self.values, self.scalars, self.index, self.now)
        if self.order is not None:
            yield self.order
