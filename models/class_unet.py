"""UNet for classes on the grid or image of its inputs, with one readout for all cells."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from models import MODELS
from models._layers import Norm, norm
from models._layout import Layout
from models._segmentation import (
    CellNetwork,
    Convolution,
    SegmentationConfig,
    SegmentationModel,
    is_circular,
    network,
    readout,
    same_grid,
)
from pipeline.model import ModelConfig


class ClassUNetConfig(SegmentationConfig):
    """Options of the UNet for classes."""

    width: int = Field(default=16, ge=1, description="Maps at full resolution; twice as many at every level down.")
    depth: int = Field(default=3, ge=1, le=6, description="How often the resolution is halved.")
    norm: Norm = Field(default="batch", description="Normalisation after each convolution.")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="Share of maps left out at the lowest level.")


@MODELS.register("class_unet")
class ClassUNet(SegmentationModel):
    """UNet after Ronneberger et al.: encoder, decoder, and a skip between them at every resolution.

    All cells have the same weights, so that what is learned of a cyclone or a cloud at one place holds at
    every other; static fields of the target grid, if there are any, are further channels. Where longitudes
    go round, so does every convolution: the same event on the seam is answered the same. Fields may have any
    number of rows and columns; see :class:`models._segmentation.CellNetwork`, also for patches.

    References
    ----------
    Ronneberger, Fischer and Brox (2015), doi:10.1007/978-3-319-24574-4_28.
    """

    Config: ClassVar[type[ModelConfig]] = ClassUNetConfig

    def build(self, layout: Layout, parameters: int) -> CellNetwork:
        """Return the network."""
        same_grid(layout, "class_unet")
        around = is_circular(layout.target_grid, self.config.circular, "class_unet")
        channels = len(layout.channels) + len(layout.static)
        trunk = UNetTrunk(channels, parameters * len(layout.targets), self.config)
        return network(layout, trunk, parameters, multiple=2**self.config.depth, around=around, kind="class_unet")


class UNetTrunk(nn.Module):
    """Maps (time, channel, lat, lon) to (time, answer, lat, lon); ``2**depth`` divides both sides."""

    def __init__(self, channels: int, answers: int, config: ClassUNetConfig) -> None:
        super().__init__()
        widths = [config.width * 2**level for level in range(config.depth + 1)]
        self.encoder = nn.ModuleList(Pair(*pair, config.norm) for pair in pairwise([channels, *widths]))
        self.decoder = nn.ModuleList(
            Pair(below + here, here, config.norm) for here, below in reversed(list(pairwise(widths)))
        )
        self.dropout = nn.Dropout2d(config.dropout)
        self.readout = readout(config.width, answers)

    def forward(self, maps: Tensor, around: bool) -> Tensor:
        """Return the answers; ``around``: the first column lies beside the last."""
        skips: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            maps = block(maps if level == 0 else functional.avg_pool2d(maps, 2), around)
            skips.append(maps)
        maps = self.dropout(skips.pop())
        for block in self.decoder:
            doubled = functional.interpolate(maps, scale_factor=2, mode="nearest")
            maps = block(torch.cat([doubled, skips.pop()], dim=1), around)
        answer: Tensor = self.readout(maps)
        return answer


class Pair(nn.Module):
    """Two convolutions, each with norm and a ReLU of its own (attributions need them apart)."""

    def __init__(self, before: int, after: int, kind: Norm) -> None:
        super().__init__()
        bias = kind == "none"
        self.convolutions = nn.ModuleList(Convolution(maps, after, bias=bias) for maps in (before, after))
        self.norms = nn.ModuleList(norm(kind, after) for _ in range(2))
        self.activations = nn.ModuleList(nn.ReLU() for _ in range(2))

    def forward(self, maps: Tensor, around: bool) -> Tensor:
        """Return as many rows and columns as came."""
        for convolve, normalise, activate in zip(self.convolutions, self.norms, self.activations, strict=True):
            maps = activate(normalise(convolve(maps, around)))
        return maps
