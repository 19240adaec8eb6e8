"""Layers that more than one network is built from."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.errors import ConfigError
from pipeline.grid import Grid

Norm = Literal["none", "batch", "group"]


def norm(kind: Norm, channels: int) -> nn.Module:
    """Return a layer that normalises ``channels`` maps; groups of two to eight maps, or all of a batch."""
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind == "group":
        return nn.GroupNorm(next(groups for groups in (8, 4, 2, 1) if channels % groups == 0), channels)
    return nn.Identity()


class Interpolation(nn.Module):
    """Bilinear interpolation between two fixed grids by their real coordinates.

    One product with a matrix of (target cells, source cells) made once: differentiable, the same on
    every device, and right on grids of uneven spacing, where resizing an image is not. Cells
    outside of the source grid take the value of its edge.
    """

    weights: Tensor | None

    def __init__(self, source: Grid, target: Grid) -> None:
        super().__init__()
        self._shape = target.shape
        matrix = None if source.same(target) else torch.tensor(bilinear(source, target), dtype=torch.float32)
        self.register_buffer("weights", matrix, persistent=False)

    def forward(self, fields: Tensor) -> Tensor:
        """Carry (time, channel, lat, lon) over to the target grid."""
        if self.weights is None:
            return fields
        carried: Tensor = fields.flatten(2) @ self.weights.T
        return carried.reshape(*fields.shape[:2], *self._shape)


def bilinear(source: Grid, target: Grid) -> np.ndarray:
    """Return the weights of bilinear interpolation, shape (target cells, source cells).

    Raises
    ------
    ConfigError
        If the source grid is not regular.

    Examples
    --------
    >>> source = Grid(np.array([0.0, 2.0]), np.array([0.0, 4.0]))
    >>> bilinear(source, Grid(np.array([1.0]), np.array([1.0])))
    array([[0.375, 0.125, 0.375, 0.125]])
    """
    if source.lat.ndim != 1:
        raise ConfigError(
            f"expected inputs on a regular grid or on the target's own, got a projected one of {source.shape} "
            "cells. Set prepare.regrid.to: target."
        )
    lat, lon = target.lat, target.lon
    if lat.ndim == 1:
        lat, lon = np.meshgrid(lat, lon, indexing="ij")
    rows, columns = _linear(source.lat, lat.ravel()), _linear(source.lon, lon.ravel())
    weights: np.ndarray = rows[:, :, None] * columns[:, None, :]
    return weights.reshape(lat.size, -1)


def _linear(nodes: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return weights of linear interpolation, shape (point, node); nodes rise or fall."""
    order = np.argsort(nodes)
    # The hat function of a node is what interpolating a one at that node gives.
    hats = [np.interp(points, nodes[order], hat) for hat in np.eye(len(nodes))]
    weights = np.empty((len(points), len(nodes)))
    weights[:, order] = np.stack(hats, axis=1)
    return weights
