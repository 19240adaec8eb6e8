"""What networks of residual blocks on the target grid are made of."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from models._layers import Interpolation, Norm, convolution, norm, padding
from models._layout import Layout
from pipeline.training.losses import Loss

Cells = Literal["shared", "bias", "weights"]


class ResidualBlock(nn.Module):
    """Two convolutions with norm and ReLU, added to what went in.

    References
    ----------
    He et al. (2016), Deep residual learning for image recognition, doi:10.1109/CVPR.2016.90.
    """

    def __init__(self, before: int, after: int, kind: Norm) -> None:
        super().__init__()
        self.body = nn.Sequential(
            convolution(before, after), norm(kind, after), nn.ReLU(), convolution(after, after), norm(kind, after)
        )
        # Starts as the identity (Goyal et al. 2017, arXiv:1706.02677), so that depth costs nothing at first.
        last: Any = self.body[3] if kind == "none" else self.body[4]
        nn.init.zeros_(last.weight)
        self.passing = nn.Identity() if before == after else convolution(before, after, 1)
        self.activation = nn.ReLU()

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the same size."""
        answer: Tensor = self.activation(self.passing(maps) + self.body(maps))
        return answer


class Inlet(nn.Module):
    """Maps of the input grid at the target's cells by their real coordinates, beside its static fields.

    Parameters
    ----------
    layout : Layout
        Grids and static fields (orography, land mask); there may be none.
    channels : int
        Maps on the input grid.
    """

    static: Tensor

    def __init__(self, layout: Layout, channels: int) -> None:
        super().__init__()
        self.to_target = Interpolation(layout.input_grid, layout.target_grid)
        self.register_buffer("static", torch.tensor(layout.static, dtype=torch.float32), persistent=False)
        self.channels = channels + len(layout.static)

    def forward(self, maps: Tensor) -> Tensor:
        """Map (time, channel, lat, lon) to (time, channel + static, lat, lon) on the target grid."""
        static = self.static.to(maps.dtype).expand(maps.shape[0], -1, -1, -1)
        # Channels last in memory takes a third less time for few maps on a CPU; the values are the same.
        return torch.cat([self.to_target(maps), static], dim=1).contiguous(memory_format=torch.channels_last)


class Trunk(nn.Module):
    """UNet of residual blocks: maps at every second resolution, joined by sums.

    The number of maps doubles where resolution halves. On the way up maps are made fewer before they
    are doubled in size, at a quarter of the cost of afterwards.
    """

    def __init__(
        self, shape: tuple[int, int], channels: int, *, width: int, depth: int, kind: Norm, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self._shape, self._padding = shape, padding(shape, 2**depth)
        self.widths = [width * 2**level for level in range(depth + 1)]
        self.encoder = nn.ModuleList(ResidualBlock(*pair, kind) for pair in pairwise([channels, *self.widths]))
        upwards = list(reversed(list(pairwise(self.widths))))
        self.fewer = nn.ModuleList(convolution(below, here, 1) for here, below in upwards)
        self.decoder = nn.ModuleList(ResidualBlock(here, here, kind) for here, _ in upwards)
        self.dropout = nn.Dropout2d(dropout)

    def encode(self, maps: Tensor) -> list[Tensor]:
        """Return the maps of every resolution, the finest first; sides padded to halve evenly."""
        maps = functional.pad(maps, self._padding, mode="replicate")
        levels: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            maps = block(maps if level == 0 else functional.avg_pool2d(maps, 2))
            levels.append(maps)
        levels[-1] = self.dropout(levels[-1])
        return levels

    def decode(self, levels: Sequence[Tensor]) -> Tensor:
        """Return maps on the target grid, shape (time, width, lat, lon), of those of every resolution."""
        maps, rest = levels[-1], list(levels[:-1])
        for fewer, block in zip(self.fewer, self.decoder, strict=True):
            doubled = functional.interpolate(fewer(maps), scale_factor=2, mode="nearest")
            maps = block(doubled + rest.pop())
        left, _, top, _ = self._padding
        rows, columns = self._shape
        return maps[:, :, top : top + rows, left : left + columns]

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps on the target grid."""
        return self.decode(self.encode(maps))


class Readout(nn.Module):
    """The answer at every cell of the mask, linear in the maps there.

    Parameters
    ----------
    layout : Layout
        Mask and targets.
    parameters : int
        Numbers of the head.
    width : int
        Maps that are read.
    cells : {"shared", "bias", "weights"}
        Whether all cells read alike, have a bias of their own, or weights and bias of their own. The
        number of weights grows with that of cells from the second on, by ``width`` a cell in the third.
    """

    places: Tensor

    def __init__(self, layout: Layout, parameters: int, width: int, cells: Cells) -> None:
        super().__init__()
        self._answer = (parameters, len(layout.targets), layout.cells)
        answers = parameters * len(layout.targets)
        own_weights, own_bias = (layout.cells if cells in own else 1 for own in (("weights",), ("bias", "weights")))
        index = torch.tensor(np.flatnonzero(layout.mask))
        self.register_buffer("places", index, persistent=False)
        # Small, so that a network starts near what a climatology would say, yet not at zero: noise must show.
        start = 0.1 / width**0.5 * torch.randn(answers, width, 1)
        self.weight = nn.Parameter(start.repeat(1, 1, own_weights))
        self.bias = nn.Parameter(torch.zeros(answers, own_bias))

    def forward(self, maps: Tensor) -> Tensor:
        """Map (time, width, lat, lon) to (time, parameter, target, cell)."""
        read = maps.flatten(2)[:, :, self.places]
        if self.weight.shape[2] == 1:
            answer = self.weight[:, :, 0] @ read
        else:
            answer = torch.einsum("twc,awc->tac", read, self.weight)
        return (answer + self.bias).reshape(maps.shape[0], *self._answer)


class OwnChannel(nn.Module):
    """What the input channel of a target's own name says of it: interpolated, times one learned number.

    A network adds it, and so learns the residual; targets without such a channel get zero. It goes to
    those numbers of the head that lie on the target's axis, its ``locations``: the mean, or every member.
    """

    places: Tensor
    slots: Tensor

    def __init__(self, layout: Layout, loss: Loss, parameters: int) -> None:
        super().__init__()
        fields = [layout.channels[place] for place in layout.fields]
        self._targets = [number for number, name in enumerate(layout.targets) if name in fields]
        self._channels = [layout.channels.index(layout.targets[number]) for number in self._targets]
        self.to_target = Interpolation(layout.input_grid, layout.target_grid)
        along = [name in loss.locations for name in loss.parameters][:parameters]
        self._used = bool(self._targets) and any(along)
        self.register_buffer("places", torch.tensor(np.flatnonzero(layout.mask)), persistent=False)
        self.register_buffer("slots", torch.tensor(along, dtype=torch.float32), persistent=False)
        self.slope = nn.Parameter(torch.ones(len(self._channels) if self._used else 0))

    def forward(self, inputs: Tensor, answer: Tensor) -> Tensor:
        """Return ``answer``, shape (time, parameter, target, cell), with the channels' part added."""
        if not self._used:
            return answer
        carried = self.to_target(inputs[:, self._channels]).flatten(2)[:, :, self.places] * self.slope[:, None]
        wide = answer.new_zeros(answer.shape[0], answer.shape[2], answer.shape[3])
        wide[:, self._targets] = carried.to(answer.dtype)
        return answer + wide[:, None] * self.slots[None, :, None, None].to(answer.dtype)
