"""Layers that more than one network is built from."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from pipeline.grid import Grid
from pipeline.prepare.regrid import Regridder

Norm = Literal["none", "batch", "group"]


def norm(kind: Norm, channels: int) -> nn.Module:
    """Return a layer that normalises ``channels`` maps; groups of two to eight maps, or all of a batch."""
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind == "group":
        return nn.GroupNorm(next(groups for groups in (8, 4, 2, 1) if channels % groups == 0), channels)
    return nn.Identity()


class Interpolation(nn.Module):
    """Bilinear interpolation between two fixed grids by their real coordinates, as ``prepare`` does it.

    One product with a matrix of (target cells, source cells) made once: differentiable, the same on
    every device, and right on grids of uneven spacing, where resizing an image is not. Cells
    outside of the source grid take the nearest value.
    """

    weights: Tensor | None

    def __init__(self, source: Grid, target: Grid) -> None:
        super().__init__()
        self._shape = target.shape
        regridder = Regridder.between(source, target, "bilinear")
        matrix = None if regridder.identity else torch.tensor(regridder.matrix(), dtype=torch.float32)
        self.register_buffer("weights", matrix, persistent=False)

    def forward(self, fields: Tensor) -> Tensor:
        """Carry (time, channel, lat, lon) over to the target grid."""
        if self.weights is None:
            return fields
        carried: Tensor = fields.flatten(2) @ self.weights.T
        return carried.reshape(*fields.shape[:2], *self._shape)
