"""Inputs cut into parts that are put to the baseline together: variables, lags, regions, superpixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from pipeline.attribution._channels import lag_of, places_by_variable
from pipeline.samples import Schema

if TYPE_CHECKING:
    from torch import Tensor

By = Literal["variable", "channel", "lag", "region", "superpixel"]


@dataclass(frozen=True, eq=False)
class Part:
    """Input cells that go together.

    Parameters
    ----------
    name : str
        What they are.
    cells : ndarray of int64, shape (cell,)
        In the flattened array (channel, lat, lon).
    """

    name: str
    cells: np.ndarray


def parts_of(schema: Schema | None, shape: tuple[int, int, int], by: By, block: int) -> list[Part]:
    """Return the parts of inputs of shape (channel, lat, lon); every cell is in one of them.

    Parameters
    ----------
    schema : Schema or None
        Names of the channels, where known; else every channel is a variable, without lags.
    shape : tuple of int
        Of one day's inputs.
    by : {"variable", "channel", "lag", "region", "superpixel"}
        variable: all its lags and cells; channel: one lag of it; lag: all variables of a step back in time, scalars
        apart; region: boxes of all channels; superpixel: boxes of one variable with all its lags.
    block : int
        Cells of a side of a box, or stations in a row; regions and superpixels.

    Examples
    --------
    >>> [part.cells.tolist() for part in parts_of(None, (1, 2, 3), "superpixel", 2)]
    [[0, 1, 3, 4], [2, 5]]
    """
    place = np.arange(int(np.prod(shape))).reshape(shape)
    groups = places_by_variable(schema, shape[0])
    fields = [group for group in groups if not group.scalar]
    scalars = [Part(group.name, place[group.places].ravel()) for group in groups if group.scalar]
    if by == "variable":
        return [Part(group.name, place[group.places].ravel()) for group in groups]
    names = schema.channels if schema is not None else tuple(map(str, range(shape[0])))
    if by == "channel":
        return [Part(name, place[number].ravel()) for number, name in enumerate(names)]
    if by == "lag":
        lags = sorted({lag_of(names[number]) for group in fields for number in group.places})
        return [
            Part(f"lag {lag}", place[[n for group in fields for n in group.places if lag_of(names[n]) == lag]].ravel())
            for lag in lags
        ] + scalars
    boxes = [
        (slice(top, top + block), slice(left, left + block))
        for top in range(0, shape[1], block)
        for left in range(0, shape[2], block)
    ]
    if by == "region":
        every = sorted(number for group in fields for number in group.places)
        return [Part(f"box {k}", place[every][:, rows, columns].ravel()) for k, (rows, columns) in enumerate(boxes)] + (
            scalars
        )
    return [
        Part(f"{group.name}, box {k}", place[group.places][:, rows, columns].ravel())
        for group in fields
        for k, (rows, columns) in enumerate(boxes)
    ] + scalars


def hidden(inputs: Tensor, start: Tensor, parts: list[Part]) -> Tensor:
    """Return inputs with the cells of ``parts`` as they are in ``start``; both (row, channel, lat, lon)."""
    import torch

    made = inputs.flatten(1).clone()
    if parts:
        cells = torch.as_tensor(np.concatenate([part.cells for part in parts]), device=inputs.device)
        made[:, cells] = start.flatten(1)[:, cells]
    return made.reshape(inputs.shape)


def spread(values: Tensor, parts: list[Part], like: Tensor) -> Tensor:
    """Return a number of every part, (row, part), shared evenly over its cells, of the shape of ``like``."""
    import torch

    made = torch.zeros_like(like).flatten(1)
    for place, part in enumerate(parts):
        if len(part.cells):
            cells = torch.as_tensor(part.cells, device=like.device)
            made[:, cells] = (values[:, place] / len(part.cells)).to(like.dtype)[:, None]
    return made.reshape(like.shape)
