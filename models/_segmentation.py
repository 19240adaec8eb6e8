"""What networks of a segmentation have in common: one readout for all cells, and longitudes that go round."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from models._deep import DeepConfig, DeepModel
from models._layers import padding
from models._layout import Layout
from pipeline.errors import ConfigError
from pipeline.grid import Grid
from pipeline.model import ModelConfig
from pipeline.sphere import goes_round

Circular = Literal["auto"] | bool


class SegmentationConfig(DeepConfig):
    """Options of every network for classes."""

    circular: Circular = Field(
        default="auto",
        description="Whether the last column lies beside the first: true, false, or auto, where the longitudes go "
        "round the globe. Never on an image.",
    )


class SegmentationModel(DeepModel):
    """A network that answers every cell with the same weights, from what lies round that cell.

    The answers are logits, one a class; the loss takes their softmax, and it alone does.
    """

    Config: ClassVar[type[ModelConfig]] = SegmentationConfig
    traits: ClassVar[frozenset[str]] = DeepModel.traits | {"shared", "patches"}
    tasks: ClassVar[frozenset[str]] = frozenset({"segmentation"})


def same_grid(layout: Layout, kind: str) -> None:
    """Refuse inputs on another grid than the target's.

    Raises
    ------
    ConfigError
        If they are.
    """
    if not layout.input_grid.same(layout.target_grid):
        raise ConfigError(
            f"{kind}: expected inputs on the grid of the target, so that every cell has channels of its own, got "
            f"{_said(layout.input_grid)} for {_said(layout.target_grid)}. Set prepare.regrid.to: target."
        )


def _said(grid: Grid) -> str:
    if grid.stations:
        return f"{len(grid.stations)} stations"
    return f"{'an image' if grid.image else 'a grid'} of {grid.shape[0]} x {grid.shape[1]} cells"


def is_circular(grid: Grid, circular: Circular, kind: str) -> bool:
    """Return whether the last column of ``grid`` lies beside its first one.

    Raises
    ------
    ConfigError
        If it is said to, and the longitudes do not go round.

    Examples
    --------
    >>> import numpy as np
    >>> globe = Grid(np.array([-45.0, 45.0]), np.arange(0.0, 360.0, 90.0))
    >>> is_circular(globe, "auto", "cgnet"), is_circular(globe, False, "cgnet")
    (True, False)
    """
    if circular == "auto":
        return goes_round(grid)
    if circular and not goes_round(grid):
        raise ConfigError(
            f"{kind}: circular: expected evenly spaced longitudes that go round the Earth, got {_said(grid)}, whose "
            "last column does not lie beside its first one. Take circular: auto."
        )
    return circular


def wrap(maps: Tensor, left: int, right: int) -> Tensor:
    """Return maps of shape (..., column) with columns of the other side added, as often round as it takes.

    Examples
    --------
    >>> wrap(torch.tensor([1, 2, 3]), 1, 4).tolist()
    [3, 1, 2, 3, 1, 2, 3, 1]
    """
    columns = maps.shape[-1]
    before, after = ([maps] * -(-count // columns) for count in (left, right))
    parts = []
    if left:
        parts.append(torch.cat(before, dim=-1)[..., -left:])
    parts.append(maps)
    if right:
        parts.append(torch.cat(after, dim=-1)[..., :right])
    return torch.cat(parts, dim=-1) if len(parts) > 1 else maps


class Convolution(nn.Conv2d):
    """A convolution that keeps the size of maps (over its stride), zeros beyond the edge or, round the globe, columns.

    Latitudes end at the poles: only columns are ever taken from the other side.

    Parameters
    ----------
    before, after : int
        Maps.
    size, stride, dilation : int
        Of the kernel, an odd one.
    groups : int
        ``before`` for one kernel a map (depthwise).
    bias : bool
        False where a normalisation follows, which has one.
    """

    def __init__(
        self,
        before: int,
        after: int,
        size: int = 3,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        reach = size // 2 * dilation
        super().__init__(before, after, size, stride, reach, dilation, groups, bias)
        self._reach = reach
        # He et al. (2015), arXiv:1502.01852: keeps the size of the signal before a ReLU.
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, maps: Tensor, around: bool = False) -> Tensor:
        """Return the maps; ``around``: the first column lies beside the last."""
        if not around or not self._reach:
            return super().forward(maps)
        wide = wrap(maps, self._reach, self._reach)
        return functional.conv2d(
            wide, self.weight, self.bias, self.stride, (self._reach, 0), self.dilation, self.groups
        )


class CellNetwork(nn.Module):
    """Maps (time, channel, lat, lon) to (time, class, target, cell), through a trunk for fields of handy sizes.

    Fields are made a multiple of what the trunk wants: rows by their last ones, columns too, or round the
    globe by those of the other side; what was added is cut off the answer. Where the number of columns
    is no multiple, the seam of the trunk's own padding lies in those added columns, and turning the globe
    is no longer exactly the same.

    Inputs of another size than the grid of the layout are patches: all of their cells are answered, row by row.
    A patch goes round only if it has all columns. It does not say where it lies, so static fields, which
    are known on the whole grid, cannot be laid beside it.

    Parameters
    ----------
    layout : Layout
        Channels, grid, mask and static fields.
    trunk : Module
        Called with maps (time, channel + static, lat, lon) and whether they go round; answers
        (time, parameters * target, lat, lon).
    parameters : int
        Numbers of the loss: one a class.
    multiple : int
        Divides rows and columns that the trunk takes.
    around : bool
        Whether the grid goes round.
    kind : str
        The model, for messages.
    """

    static: Tensor
    places: Tensor

    def __init__(
        self, layout: Layout, trunk: nn.Module, parameters: int, *, multiple: int, around: bool, kind: str
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self._shape, self._kind = layout.target_grid.shape, kind
        self._multiple, self._around = multiple, around
        self._answer = (parameters, len(layout.targets))
        self.register_buffer("static", torch.tensor(layout.static, dtype=torch.float32), persistent=False)
        self.register_buffer("places", torch.tensor(layout.mask).flatten().nonzero()[:, 0], persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logits of every class at the cells of the mask, or of all cells of a patch.

        Raises
        ------
        ConfigError
            If inputs are patches and there are static fields.
        """
        rows, columns = inputs.shape[2:]
        whole = (rows, columns) == self._shape
        if len(self.static):
            if not whole:
                raise ConfigError(
                    f"{self._kind}: expected fields of {self._shape[0]} x {self._shape[1]} cells, got patches of "
                    f"{rows} x {columns}, and {len(self.static)} static fields that are known on the whole grid alone. "
                    "Leave out the patches or the static fields."
                )
            inputs = torch.cat([inputs, self.static.to(inputs.dtype).expand(inputs.shape[0], -1, -1, -1)], dim=1)
        around = self._around and columns == self._shape[1]
        left, right, top, bottom = padding((rows, columns), self._multiple)
        if around:
            inputs, sides = wrap(inputs, left, right), (0, 0)
        else:
            sides = (left, right)
        maps = functional.pad(inputs, (*sides, top, bottom), mode="replicate")
        # Channels last in memory takes a third less time for few maps on a CPU; the values are the same.
        answer = self.trunk(maps.contiguous(memory_format=torch.channels_last), around)
        inner = answer[:, :, top : top + rows, left : left + columns].flatten(2)
        chosen: Tensor = inner[:, :, self.places] if whole else inner
        return chosen.reshape(chosen.shape[0], *self._answer, chosen.shape[2])


def network(
    layout: Layout, trunk: nn.Module, parameters: int, *, multiple: int, around: bool, kind: str
) -> CellNetwork:
    """Return the trunk as a network of cells, once it is sure that it can be trained on such a grid.

    Raises
    ------
    ConfigError
        If nothing but one cell is left of the field at the lowest resolution, where a batch of one sample has no
        variance to be normalised by.
    """
    if all(side <= multiple for side in layout.target_grid.shape):
        batch = [module for module in trunk.modules() if isinstance(module, nn.BatchNorm2d)]
        if batch:
            rows, columns = layout.target_grid.shape
            raise ConfigError(
                f"{kind}: norm: batch needs more than one cell at the lowest resolution, got fields of {rows} x "
                f"{columns} cells, of which {multiple} x {multiple} make one. Take norm: group, or halve less often."
            )
    return CellNetwork(layout, trunk, parameters, multiple=multiple, around=around, kind=kind)


def readout(before: int, after: int) -> nn.Conv2d:
    """Return a linear reading of maps, the same at every cell, that starts small: no class is sure."""
    made = nn.Conv2d(before, after, 1)
    nn.init.normal_(made.weight, std=0.5 / before**0.5)
    bias: Any = made.bias
    nn.init.zeros_(bias)
    return made
