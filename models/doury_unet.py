"""The UNet emulator of a regional climate model: own-field standardisation, and what it takes away as a vector."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from models import MODELS
from models._deep import DeepConfig, DeepModel
from models._layers import Interpolation, convolution, need_grids, padding
from models._layout import Layout
from models._residual import Readout
from pipeline.errors import ConfigError
from pipeline.grid import Grid
from pipeline.model import Context, ModelConfig
from pipeline.samples import Samples
from pipeline.training.loading import input_parts
from pipeline.training.losses import Loss
from pipeline.training.tensors import Tensors

FLAT = 1e-6
"""Deviation of a field, as a share of its largest value, below which it is rounding and taken for none."""


class DouryUNetConfig(DeepConfig):
    """Options of the UNet emulator."""

    batch_size: int = Field(default=32, ge=1, description="Samples a step.")
    width: int = Field(default=64, ge=1, description="Maps at the input's resolution; doubled a level, up to 8 times.")
    levels: int = Field(
        default=0, ge=0, le=6, description="How often the input grid is halved; 0: until its shorter side is one cell."
    )


@MODELS.register("doury_unet")
class DouryUNet(DeepModel):
    """UNet emulator of Doury et al.: the shape of the day's fields, and their size as a vector.

    Every field of a sample is standardised by its own mean and deviation over the input grid, which
    leaves its shape. The means and deviations, themselves standardised by those of the train split, go
    with the day of the year and all other scalars (forcings) through linear layers to the bottleneck
    of a UNet. Its encoder halves the input grid until a side is one cell; its decoder doubles until it
    has at least the target's size. A field that a climate model has too warm everywhere, or too
    variable, thus changes the vector alone.

    With ``prepare.inputs: {scale: per_field, anomaly: none}`` the fields are those of the raw data, since
    own-field standardisation takes any ``a x + b`` away; ``per_cell`` is another shape at every cell,
    and carries the perfect model's climatology into the fields. Needs
    ``prepare.inputs.calendar: true``.

    Where doubling ends at the target's very size, as in the published case from 16 x 16 to 128 x 128,
    the image is taken as the target grid, wherever that lies. Elsewhere the image lies on the input
    grid, each cell divided evenly, and is interpolated to the target's real coordinates. Inputs are
    padded at the edges so that they halve evenly, where the published network makes 16 x 16 maps of
    20 x 16 by a first convolution.

    References
    ----------
    Doury et al. (2022), doi:10.1007/s00382-022-06343-9; (2024), doi:10.1007/s00382-024-07350-8.
    """

    Config: ClassVar[type[ModelConfig]] = DouryUNetConfig

    def _begin(self, train: Samples, context: Context, learned: Tensors | None = None) -> tuple[Loss, Tensors]:
        self._train = self._moments(train, context)  # the network needs them
        return super()._begin(train, context, learned)

    def build(self, layout: Layout, parameters: int) -> nn.Module:
        """Return the network.

        Raises
        ------
        ConfigError
            If the day of the year is not among the channels, inputs or target are stations, or there
            is one row or column of inputs only.
        """
        need_grids(layout, "doury_unet")
        missing = [name for name in ("day_cos", "day_sin") if name not in layout.scalars]
        if missing:
            raise ConfigError(
                f"doury_unet: expected the day of the year among the scalar channels, got {list(layout.scalars)} "
                f"without {missing}. Set prepare.inputs.calendar: true."
            )
        rows, columns = layout.input_grid.shape
        if min(rows, columns) < 2:
            raise ConfigError(
                f"doury_unet: expected inputs of 2 x 2 cells or more, got {rows} x {columns}. Take a wider domain."
            )
        network = DouryUNetNetwork(layout, parameters, self.config)
        trained: tuple[Tensor, Tensor] | None = getattr(self, "_train", None)
        if trained is not None:  # a model that is loaded takes them from its weights
            network.centre.copy_(trained[0])
            network.spread.copy_(trained[1])
        return network

    def _moments(self, train: Samples, context: Context) -> tuple[Tensor, Tensor]:
        """Return mean and deviation over the train split of every field's own mean and deviation, float32."""
        layout = Layout.of(train.schema)
        found = []
        for inputs in input_parts(train, context.backend):
            fields = inputs[:, layout.fields]
            found.append(torch.cat([part.flatten(1) for part in own_standardised(fields)[1:]], dim=1).double().cpu())
        moments = torch.cat(found)
        spread = moments.std(dim=0, correction=0)
        return moments.mean(dim=0).float(), torch.where(spread > 0, spread, 1.0).float()


class DouryUNetNetwork(nn.Module):
    """Maps (time, channel, lat, lon) to (time, parameter, target, cell)."""

    centre: Tensor
    spread: Tensor

    def __init__(self, layout: Layout, parameters: int, config: DouryUNetConfig) -> None:
        super().__init__()
        self._fields = layout.fields
        self._scalars = [place for place in range(len(layout.channels)) if place not in self._fields]
        levels = config.levels or int(math.log2(min(layout.input_grid.shape)))
        widths = [config.width * 2 ** min(level, 3) for level in range(levels)]
        self._shape, self._padding = layout.input_grid.shape, padding(layout.input_grid.shape, 2**levels)
        self.register_buffer("centre", torch.zeros(2 * len(self._fields)))
        self.register_buffer("spread", torch.ones(2 * len(self._fields)))

        self.encoder = nn.ModuleList(_double(*pair) for pair in pairwise([len(self._fields), *widths]))
        self.bottom = _double(widths[-1], widths[-1])
        sizes = [2 * len(self._fields) + len(self._scalars), *widths]
        self.vector = nn.Sequential(*(nn.Linear(*pair) for pair in pairwise(sizes)))
        below = [2 * widths[-1], *[2 * width for width in reversed(widths[1:])]]
        self.decoder = nn.ModuleList(_doubling(*pair) for pair in zip(below, reversed(widths), strict=True))
        further = _doublings(layout.input_grid.shape, layout.target_grid.shape)
        before = [2 * widths[0], *[widths[0]] * further]
        self.further = nn.ModuleList(_doubling(width, widths[0]) for width in before[:further])
        factor = 2**further
        image = (self._shape[0] * factor, self._shape[1] * factor)
        exact = image == layout.target_grid.shape
        self.to_target = None if exact else Interpolation(_divided(layout.input_grid, factor), layout.target_grid)
        self.readout = Readout(layout, parameters, before[further], "shared")

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the parameters of the head at every cell of the mask."""
        maps, mean, deviation = own_standardised(inputs[:, self._fields])
        moments = torch.cat([mean.flatten(1), deviation.flatten(1)], dim=1)
        known = [(moments - self.centre) / self.spread, inputs[:, self._scalars, 0, 0]]
        vector = self.vector(torch.cat(known, dim=1))[:, :, None, None]
        maps = functional.pad(maps, self._padding, mode="replicate")
        skips: list[Tensor] = []
        for block in self.encoder:
            skips.append(block(maps))
            maps = functional.max_pool2d(skips[-1], 2)
        maps = self.bottom(maps)
        maps = torch.cat([maps, vector.expand(-1, -1, *maps.shape[2:])], dim=1)
        for doubling in self.decoder:
            maps = torch.cat([doubling(maps), skips.pop()], dim=1)
        left, _, top, _ = self._padding
        maps = maps[:, :, top : top + self._shape[0], left : left + self._shape[1]]
        for doubling in self.further:
            maps = doubling(maps)
        answer: Tensor = self.readout(maps if self.to_target is None else self.to_target(maps))
        return answer


def own_standardised(fields: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return fields by their own mean and deviation, and these, each (time, channel, 1, 1).

    A field without variation is zero everywhere, and so is its deviation.

    Examples
    --------
    >>> fields = torch.tensor([[[[1.0, 3.0]], [[5.0, 5.0]]]])
    >>> shape, mean, deviation = own_standardised(fields)
    >>> shape.flatten().tolist(), mean.flatten().tolist(), deviation.flatten().tolist()
    ([-1.0, 1.0, 0.0, 0.0], [2.0, 5.0], [1.0, 0.0])
    """
    mean = fields.mean(dim=(2, 3), keepdim=True)
    centred = fields - mean
    variance = (centred**2).mean(dim=(2, 3), keepdim=True)
    limit = (FLAT * fields.detach().abs().amax(dim=(2, 3), keepdim=True)) ** 2
    varies = variance > limit
    # The root of the others is not taken, since its slope at zero is infinite, and NaN times zero is NaN.
    deviation = torch.where(varies, variance, 1.0).sqrt()
    return torch.where(varies, centred / deviation, 0.0), mean, torch.where(varies, deviation, 0.0)


class _BatchNorm(nn.BatchNorm2d):
    """Batch norm that takes its running moments where a batch has a single value a map, which has no variance."""

    def forward(self, maps: Tensor) -> Tensor:
        if self.training and maps.numel() == maps.shape[1]:
            return functional.batch_norm(
                maps, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
            )
        return super().forward(maps)


def _double(before: int, after: int) -> nn.Module:
    layers: list[nn.Module] = []
    for maps in (before, after):
        layers += [convolution(maps, after), _BatchNorm(after), nn.ReLU()]
    return nn.Sequential(*layers)


def _doubling(before: int, after: int) -> nn.Module:
    layer = nn.ConvTranspose2d(before, after, 3, stride=2, padding=1, output_padding=1)
    # Each cell of the image is made from 9/4 cells in the mean, not from 9.
    nn.init.normal_(layer.weight, std=math.sqrt(2 / (before * 9 / 4)))
    bias: Any = layer.bias
    nn.init.zeros_(bias)
    return nn.Sequential(layer, nn.ReLU())


def _doublings(given: tuple[int, int], wanted: tuple[int, int]) -> int:
    """Return how often ``given`` must be doubled to be at least ``wanted``.

    Examples
    --------
    >>> _doublings((16, 16), (128, 128)), _doublings((6, 8), (19, 29)), _doublings((6, 8), (4, 8))
    (3, 2, 0)
    """
    return max(0, *(math.ceil(math.log2(fine / coarse)) for coarse, fine in zip(given, wanted, strict=True)))


def _divided(grid: Grid, factor: int) -> Grid:
    """Return ``grid`` with every cell divided into ``factor`` by ``factor`` of equal size.

    Examples
    --------
    >>> _divided(Grid(np.array([0.0, 4.0]), np.array([0.0, 2.0])), 2).lat.tolist()
    [-1.0, 1.0, 3.0, 5.0]
    """
    lat, lon = grid.lat, grid.lon
    for axis in range(lat.ndim):
        lat, lon = (_between(values, factor, axis) for values in (lat, lon))
    return Grid(lat, lon, grid.dims)


def _between(values: np.ndarray, factor: int, axis: int) -> np.ndarray:
    """Return ``values`` at the middles of parts of cells along ``axis``, straight on beyond the outermost."""
    count = values.shape[axis]
    position = (np.arange(count * factor) + 0.5) / factor - 0.5
    low = np.clip(np.floor(position).astype(int), 0, count - 2)
    share = (position - low).reshape([-1 if each == axis else 1 for each in range(values.ndim)])
    lower, upper = (np.take(values, low + step, axis=axis) for step in (0, 1))
    between: np.ndarray = lower + (upper - lower) * share
    return between
