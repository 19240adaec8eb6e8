"""UNet on the target grid, with a readout of its own for every cell."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from models import MODELS
from models._deep import DeepConfig, DeepModel
from models._layers import Interpolation, Norm, convolution, need_grids, norm, padding
from models._layout import Layout
from pipeline.model import ModelConfig


class UNetConfig(DeepConfig):
    """Options of the UNet."""

    width: int = Field(default=8, ge=1, description="Maps at full resolution; twice as many at every level down.")
    depth: int = Field(default=2, ge=1, le=6, description="How often the resolution is halved.")
    large_scale: tuple[int, ...] = Field(
        default=(50, 25, 10), min_length=1, description="Maps after each convolution on the input grid."
    )
    dropout: float = Field(default=0.0, ge=0, lt=1, description="Share of maps left out at the lowest level.")
    large_scale_dropout: float = Field(
        default=0.0, ge=0, lt=1, description="Share of the large-scale features left out before a cell reads them."
    )
    norm: Norm = Field(default="none", description="Normalisation after each convolution on the target grid.")


@MODELS.register("unet")
class UNet(DeepModel):
    """UNet after Ronneberger et al., made for downscaling.

    Inputs are carried over to the target grid by their real coordinates and meet the static fields
    there; encoder and decoder see patterns at every scale. A cell's answer is its own linear
    reading of two things: the decoder's maps at that cell, and the large-scale state, which
    convolutions on the input grid extract for all cells at once. Without such a reading a
    network of convolutions alone would treat a valley like a plateau.

    References
    ----------
    Ronneberger, Fischer and Brox (2015), doi:10.1007/978-3-319-24574-4_28.
    Baño-Medina, Manzanas and Gutiérrez (2020), doi:10.5194/gmd-13-2109-2020, for the large-scale part.
    """

    Config: ClassVar[type[ModelConfig]] = UNetConfig

    def build(self, layout: Layout, parameters: int) -> nn.Module:
        """Return the network."""
        need_grids(layout, "unet")
        return UNetNetwork(layout, parameters, self.config)


class UNetNetwork(nn.Module):
    """Maps (time, channel, lat, lon) to (time, parameter, target, cell)."""

    static: Tensor
    cells: Tensor

    def __init__(self, layout: Layout, parameters: int, config: UNetConfig) -> None:
        super().__init__()
        self.to_target = Interpolation(layout.input_grid, layout.target_grid)
        self.register_buffer("static", torch.tensor(layout.static, dtype=torch.float32), persistent=False)
        self.register_buffer("cells", torch.tensor(layout.mask).flatten().nonzero()[:, 0], persistent=False)
        self._padding = padding(layout.target_grid.shape, 2**config.depth)
        self._answer = (parameters, len(layout.targets), layout.cells)

        widths = [config.width * 2**level for level in range(config.depth + 1)]
        channels = len(layout.channels) + len(layout.static)
        self.encoder = nn.ModuleList(_block(*pair, config.norm) for pair in pairwise([channels, *widths]))
        self.decoder = nn.ModuleList(
            _block(below + here, here, config.norm) for here, below in reversed(list(pairwise(widths)))
        )
        self.dropout = nn.Dropout2d(config.dropout)
        answers = parameters * len(layout.targets)
        # Starts at zero: the large-scale part learns first, the decoder what that leaves over.
        self.local = nn.Parameter(torch.zeros(answers, config.width, layout.cells))

        layers: list[nn.Module] = []
        for before, after in pairwise((len(layout.channels), *config.large_scale)):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]
        rows, columns = layout.input_grid.shape
        features = config.large_scale[-1] * rows * columns
        readout = nn.Linear(features, answers * layout.cells)
        self.large_scale = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(config.large_scale_dropout), readout)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the parameters of the head at every cell of the mask."""
        maps = self._maps(inputs).flatten(2)[:, :, self.cells]  # time, width, cell
        local = (maps[:, None] * self.local).sum(2)
        answer: Tensor = self.large_scale(inputs) + local.flatten(1)
        return answer.reshape(-1, *self._answer)

    def _maps(self, inputs: Tensor) -> Tensor:
        """Return the decoder's maps, shape (time, width, lat, lon)."""
        static = self.static.expand(inputs.shape[0], -1, -1, -1)
        maps = torch.cat([self.to_target(inputs), static], dim=1)
        left, _, top, _ = self._padding
        rows, columns = maps.shape[2:]
        maps = functional.pad(maps, self._padding, mode="replicate")
        # Channels last in memory takes a third less time for few maps on a CPU; the values are the same.
        maps = maps.contiguous(memory_format=torch.channels_last)
        skips: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            maps = block(maps if level == 0 else functional.avg_pool2d(maps, 2))
            skips.append(maps)
        maps = self.dropout(skips.pop())
        for block in self.decoder:
            doubled = functional.interpolate(maps, scale_factor=2, mode="nearest")
            maps = block(torch.cat([doubled, skips.pop()], dim=1))
        inner: Tensor = maps[:, :, top : top + rows, left : left + columns]
        return inner


def _block(before: int, after: int, kind: Norm) -> nn.Module:
    """Return two convolutions, each with norm and a ReLU of its own (attributions need them apart)."""
    layers: list[nn.Module] = []
    for maps in (before, after):
        layers += [convolution(maps, after), norm(kind, after), nn.ReLU()]
    return nn.Sequential(*layers)
