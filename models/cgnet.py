"""CGNet: a light network that weighs each cell's own maps by what surrounds it."""

from __future__ import annotations

from math import prod
from typing import Annotated, ClassVar, Literal

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
    wrap,
)
from pipeline.model import ModelConfig

Stride = Literal[1, 2]
Count = Annotated[int, Field(ge=1)]


class CGNetConfig(SegmentationConfig):
    """Options of CGNet."""

    width: int = Field(
        default=32, ge=1, description="Maps of the first stage; twice and four times as many further on."
    )
    blocks: tuple[Count, Count] = Field(
        default=(3, 21),
        description="Context blocks of the second and third stage (M and N of the paper), the halving one counted in.",
    )
    strides: tuple[Stride, Stride, Stride] = Field(
        default=(2, 2, 2),
        description="2 where a stage halves the resolution, 1 where it does not. As published an answer stands for 8 x "
        "8 cells and is interpolated; small grids and small events want fewer, such as [1, 1, 2].",
    )
    norm: Norm = Field(default="batch", description="Normalisation before each activation.")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="Share of maps left out before they are read.")


@MODELS.register("cgnet")
class CGNet(SegmentationModel):
    """Context-guided network, the published baseline of ClimateNet.

    Three convolutions, then two stages of blocks that lay a cell's neighbourhood (3 x 3) beside its
    surroundings (3 x 3 with gaps), and weigh the joint maps by their mean over the whole field. The inputs,
    averaged, are laid beside the maps before each stage. A linear reading of the last stage is interpolated
    to the cells. Half a million weights with the defaults; for grids of a few dozen cells scale it down by
    ``width``, ``blocks`` and ``strides``.

    Where longitudes go round, so do convolutions, averages and interpolation. Latitudes never do:
    one pole is not beside the other. Fields may have any number of rows and columns; see
    :class:`models._segmentation.CellNetwork`, also for patches.

    References
    ----------
    Wu, Tang, Zhang, Cao and Zhang (2018), arXiv:1811.08201.
    Prabhat et al. (2021), doi:10.5194/gmd-14-107-2021, for ClimateNet.
    """

    Config: ClassVar[type[ModelConfig]] = CGNetConfig

    def build(self, layout: Layout, parameters: int) -> CellNetwork:
        """Return the network."""
        same_grid(layout, "cgnet")
        around = is_circular(layout.target_grid, self.config.circular, "cgnet")
        channels = len(layout.channels) + len(layout.static)
        trunk = CGNetTrunk(channels, parameters * len(layout.targets), self.config)
        multiple = prod(self.config.strides)
        return network(layout, trunk, parameters, multiple=multiple, around=around, kind="cgnet")


class CGNetTrunk(nn.Module):
    """Maps (time, channel, lat, lon) to (time, answer, lat, lon); the product of strides divides both sides."""

    def __init__(self, channels: int, answers: int, config: CGNetConfig) -> None:
        super().__init__()
        kind, first = config.norm, config.width
        second, third = 2 * first, 4 * first
        strides = config.strides
        self._factor = prod(strides)
        self.stem = nn.ModuleList(
            Activated(before, first, 3, kind, stride)
            for before, stride in ((channels, strides[0]), (first, 1), (first, 1))
        )
        self.pools = nn.ModuleList(Average(stride) for stride in strides[:2])
        self.activated = nn.ModuleList(
            Activation(n, kind) for n in (first + channels, 2 * second + channels, 2 * third)
        )
        self.second = Stage(first + channels, second, config.blocks[0], strides[1], kind, dilation=2, reduction=8)
        self.third = Stage(2 * second + channels, third, config.blocks[1], strides[2], kind, dilation=4, reduction=16)
        self.dropout = nn.Dropout2d(config.dropout)
        self.readout = readout(2 * third, answers)

    def forward(self, maps: Tensor, around: bool) -> Tensor:
        """Return the answers; ``around``: the first column lies beside the last."""
        half = self.pools[0](maps, around)
        quarter = self.pools[1](half, around)
        for block in self.stem:
            maps = block(maps, around)
        maps = self.second(self.activated[0](torch.cat([maps, half], dim=1)), around)
        maps = self.third(self.activated[1](torch.cat([maps, quarter], dim=1)), around)
        answer: Tensor = self.readout(self.dropout(self.activated[2](maps)))
        return finer(answer, self._factor, around)


class Stage(nn.Module):
    """A block that may halve the resolution and others after it; answers the last one's maps beside the first one's."""

    def __init__(
        self, before: int, after: int, blocks: int, stride: int, kind: Norm, *, dilation: int, reduction: int
    ) -> None:
        super().__init__()
        self.first = Entry(before, after, stride, kind, dilation, reduction)
        self.further = nn.ModuleList(Context(after, kind, dilation, reduction) for _ in range(blocks - 1))

    def forward(self, maps: Tensor, around: bool) -> Tensor:
        """Return twice as many maps as a block answers."""
        first = maps = self.first(maps, around)
        for block in self.further:
            maps = block(maps, around)
        return torch.cat([maps, first], dim=1)


class Context(nn.Module):
    """A block that adds to its maps what they and their surroundings say together."""

    def __init__(self, maps: int, kind: Norm, dilation: int, reduction: int) -> None:
        super().__init__()
        self.fewer = Activated(maps, maps // 2, 1, kind)
        self.joint = Joint(maps // 2, kind, dilation)
        self.weigh = Weighing(maps, reduction)

    def forward(self, maps: Tensor, around: bool) -> Tensor:
        """Return as many maps of the same size."""
        added: Tensor = self.weigh(self.joint(self.fewer(maps, around), around))
        return maps + added


class Entry(nn.Module):
    """The first block of a stage, which makes more maps of half the resolution or of the same."""

    def __init__(self, before: int, after: int, stride: int, kind: Norm, dilation: int, reduction: int) -> None:
        super().__init__()
        self.coarser = Activated(before, after, 3, kind, stride)
        self.joint = Joint(after, kind, dilation)
        self.fewer = Convolution(2 * after, after, 1, bias=kind == "none")
        self.weigh = Weighing(after, reduction)

    def forward(self, maps: Tensor, around: bool) -> Tensor:
        """Return ``after`` maps."""
        answer: Tensor = self.weigh(self.fewer(self.joint(self.coarser(maps, around), around)))
        return answer


class Joint(nn.Module):
    """Each map's own neighbourhood beside its surroundings: twice as many maps."""

    def __init__(self, maps: int, kind: Norm, dilation: int) -> None:
        super().__init__()
        bias = kind == "none"
        self.local = Convolution(maps, maps, groups=maps, bias=bias)
        self.surrounding = Convolution(maps, maps, dilation=dilation, groups=maps, bias=bias)
        self.activated = Activation(2 * maps, kind)

    def forward(self, maps: Tensor, around: bool) -> Tensor:
        """Return maps of the same size."""
        joint = torch.cat([self.local(maps, around), self.surrounding(maps, around)], dim=1)
        answer: Tensor = self.activated(joint)
        return answer


class Weighing(nn.Module):
    """Maps times numbers between 0 and 1 that two layers make of their means over the field."""

    def __init__(self, maps: int, reduction: int) -> None:
        super().__init__()
        between = max(1, maps // reduction)
        self.layers = nn.Sequential(nn.Linear(maps, between), nn.ReLU(), nn.Linear(between, maps), nn.Sigmoid())

    def forward(self, maps: Tensor) -> Tensor:
        """Return the weighed maps."""
        weights: Tensor = self.layers(maps.mean((2, 3)))
        return maps * weights[:, :, None, None]


class Activation(nn.Module):
    """A normalisation and a PReLU of its own, one slope a map."""

    def __init__(self, maps: int, kind: Norm) -> None:
        super().__init__()
        self.norm, self.slope = norm(kind, maps), nn.PReLU(maps)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the same size."""
        answer: Tensor = self.slope(self.norm(maps))
        return answer


class Activated(nn.Module):
    """A convolution with norm and PReLU behind it."""

    def __init__(self, before: int, after: int, size: int, kind: Norm, stride: int = 1) -> None:
        super().__init__()
        self.convolution = Convolution(before, after, size, stride=stride, bias=kind == "none")
        self.activated = Activation(after, kind)

    def forward(self, maps: Tensor, around: bool) -> Tensor:
        """Return ``after`` maps."""
        answer: Tensor = self.activated(self.convolution(maps, around))
        return answer


class Average(nn.Module):
    """Means over 3 x 3 cells at every second one, zeros beyond the edge as for the convolutions; or nothing."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self._stride = stride

    def forward(self, maps: Tensor, around: bool) -> Tensor:
        """Return the maps of the resolution that convolutions of the same stride answer."""
        if self._stride == 1:
            return maps
        wide = wrap(maps, 1, 1) if around else maps
        return functional.avg_pool2d(wide, 3, self._stride, (1, 0) if around else 1)


def finer(maps: Tensor, factor: int, around: bool) -> Tensor:
    """Return maps interpolated linearly to ``factor`` times the rows and columns, across the seam if there is one."""
    if factor == 1:
        return maps
    wide = wrap(maps, 1, 1) if around else maps
    fine = functional.interpolate(wide, scale_factor=factor, mode="bilinear", align_corners=False)
    return fine[..., factor:-factor] if around else fine
