"""Layers that more than one network is built from."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from models._layout import Layout
from pipeline.errors import ConfigError
from pipeline.grid import Grid
from pipeline.prepare.regrid import Regridder

Norm = Literal["none", "batch", "group"]

DENSE = 1_000_000
"""Weights of the largest matrix between two grids; above it rows and columns are carried one after the other."""


def norm(kind: Norm, channels: int) -> nn.Module:
    """Return a layer that normalises ``channels`` maps; groups of two to eight maps, or all of a batch."""
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind == "group":
        return nn.GroupNorm(next(groups for groups in (8, 4, 2, 1) if channels % groups == 0), channels)
    return nn.Identity()


def convolution(before: int, after: int, size: int = 3) -> nn.Conv2d:
    """Return a convolution that keeps the size of maps and, before a ReLU, that of the signal.

    References
    ----------
    He et al. (2015), arXiv:1502.01852: torch's own start would shrink the signal sixfold a layer.
    """
    made = nn.Conv2d(before, after, size, padding=size // 2)
    nn.init.kaiming_normal_(made.weight, nonlinearity="relu")
    bias: Any = made.bias
    nn.init.zeros_(bias)
    return made


def padding(shape: tuple[int, int], multiple: int) -> tuple[int, int, int, int]:
    """Return cells to add at left, right, top and bottom so that ``multiple`` divides both sides.

    Examples
    --------
    >>> padding((19, 29), 4)
    (1, 2, 0, 1)
    """
    rows, columns = -shape[0] % multiple, -shape[1] % multiple
    return columns // 2, columns - columns // 2, rows // 2, rows - rows // 2


def need_grids(layout: Layout, kind: str) -> None:
    """Refuse stations, whose neighbours in an array are not neighbours on the ground.

    Raises
    ------
    ConfigError
        If inputs or target are stations.
    """
    for what, grid in (("inputs", layout.input_grid), ("a target", layout.target_grid)):
        if grid.stations:
            raise ConfigError(
                f"{kind}: expected {what} on a grid to lay convolutions on, got {len(grid.stations)} stations. "
                "Take convcnp or deepesd, which answer at single places from gridded inputs."
            )


class Interpolation(nn.Module):
    """Bilinear interpolation between two fixed grids by their real coordinates, as ``prepare`` does it.

    Products with matrices made once: differentiable, the same on every device, and right on grids of
    uneven spacing, where resizing an image is not. Cells outside of the source grid take the nearest
    value. It is one matrix of (target cells, source cells) where that is small or a grid is not
    regular, else one for rows and one for columns: from 16 x 16 to 128 x 128 cells a fourteenth of the work.
    """

    weights: Tensor | None
    rows: Tensor | None
    columns: Tensor | None

    def __init__(self, source: Grid, target: Grid) -> None:
        super().__init__()
        self._shape = target.shape
        regridder = Regridder.between(source, target, "bilinear")
        size = source.shape[0] * source.shape[1] * target.shape[0] * target.shape[1]
        apart = regridder.along is not None and size > DENSE
        rows, columns = regridder.along if apart and regridder.along is not None else (None, None)
        matrix = None if regridder.identity or apart else regridder.matrix()
        for name, values in (("weights", matrix), ("rows", rows), ("columns", columns)):
            buffer = None if values is None else torch.tensor(values, dtype=torch.float32)
            self.register_buffer(name, buffer, persistent=False)

    def forward(self, fields: Tensor) -> Tensor:
        """Carry (time, channel, lat, lon) over to the target grid."""
        if self.rows is not None and self.columns is not None:
            return self.rows @ fields @ self.columns.T
        if self.weights is None:
            return fields
        carried: Tensor = fields.flatten(2) @ self.weights.T
        return carried.reshape(*fields.shape[:2], *self._shape)
