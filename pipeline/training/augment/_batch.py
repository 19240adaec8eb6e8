"""A batch of the train split as maps, and back to the cells of the mask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline.training.losses import Place

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class Batch:
    """Some samples of the train split, as maps.

    Parameters
    ----------
    inputs : Tensor, shape (time, channel, lat, lon)
        In the numbers of the samples; finite.
    target : Tensor, shape (time, target, lat, lon)
        NaN outside of the mask and where the truth is not known. Of a segmentation the number of the class.
    area : Tensor, shape (lat, lon)
        Weights of the target's cells in the loss; zero outside of the mask.
    second : Tensor or None, like ``target``
        A second truth of the same inputs, where samples were mixed.
    share : float
        Weight of ``target`` in the loss; ``second`` has the rest.
    scale, shift : Tensor or None, shape (target, lat, lon)
        Of the target's cells: units are ``number * scale + shift``.
    """

    inputs: Tensor
    target: Tensor
    area: Tensor
    second: Tensor | None = None
    share: float = 1.0
    scale: Tensor | None = None
    shift: Tensor | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the target."""
        return self.area.shape[0], self.area.shape[1]

    def changed(self, inputs: Callable[[Tensor], Tensor], target: Callable[[Tensor], Tensor]) -> Batch:
        """Return the batch with other inputs, and every truth changed by ``target``."""
        second = None if self.second is None else target(self.second)
        return replace(self, inputs=inputs(self.inputs), target=target(self.target), second=second)

    def cut(self, part: Callable[[Tensor], Tensor]) -> Batch:
        """Return a part of every map; ``part`` takes it from the last two dims."""
        whole = self.changed(part, part)
        scale, shift = (None if units is None else part(units) for units in (self.scale, self.shift))
        return replace(whole, area=part(self.area), scale=scale, shift=shift)


@dataclass(frozen=True, eq=False)
class Shares:
    """What a network is given and what its answer is held to.

    Parameters
    ----------
    inputs : Tensor, shape (time, channel, lat, lon)
        As the network sees them.
    targets : tuple of (float, Tensor of shape (time, target, cell))
        One truth or two, each with its share of the loss.
    place : Place
        Where the cells of the answer lie.
    """

    inputs: Tensor
    targets: tuple[tuple[float, Tensor], ...]
    place: Place


def to_maps(inputs: Tensor, target: Tensor, place: Place) -> Batch:
    """Return samples, target of shape (time, target, cell), as maps on the whole target grid."""
    units = (None if part is None else _maps(part, place, float("nan")) for part in (place.scale, place.shift))
    scale, shift = units
    maps = _maps(target, place, float("nan"))
    return Batch(inputs=inputs, target=maps, area=_maps(place.area, place, 0.0), scale=scale, shift=shift)


def from_maps(batch: Batch, place: Place) -> Shares:
    """Return the cells of ``place``, or, where ``batch`` is of another shape, all of its cells row by row."""
    if batch.shape != place.shape:
        place = _whole(batch)
    targets = [(batch.share, batch.target)]
    if batch.second is not None:
        targets.append((1.0 - batch.share, batch.second))
    return Shares(batch.inputs, tuple((share, _cells(maps, place)) for share, maps in targets), place)


def _whole(batch: Batch) -> Place:
    """Return the place of every cell of ``batch``; those outside of the mask have no weight and no truth."""
    import torch

    scale, shift = (None if part is None else part.flatten(-2) for part in (batch.scale, batch.shift))
    index = torch.arange(batch.area.numel(), device=batch.area.device)
    return Place(area=batch.area.flatten(), index=index, shape=batch.shape, scale=scale, shift=shift)


def _maps(cells: Tensor, place: Place, fill: float) -> Tensor:
    """Return (..., cell) as (..., lat, lon); a view where the mask has every cell."""
    rows, columns = place.shape
    if cells.shape[-1] == rows * columns:
        return cells.reshape(*cells.shape[:-1], rows, columns)
    whole = cells.new_full((*cells.shape[:-1], rows * columns), fill)
    return whole.index_copy(-1, place.index, cells).reshape(*cells.shape[:-1], rows, columns)


def _cells(maps: Tensor, place: Place) -> Tensor:
    """Return (..., lat, lon) as (..., cell)."""
    flat = maps.flatten(-2)
    return flat if flat.shape[-1] == len(place.index) else flat[..., place.index]
