"""Convolutional conditional neural process: one function of the coarse state for every place."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from models import MODELS
from models._deep import DeepConfig, DeepModel
from models._layers import Interpolation, Norm
from models._layout import Layout
from models._residual import OwnChannel, ResidualBlock
from pipeline.errors import ConfigError
from pipeline.grid import Grid
from pipeline.model import ModelConfig
from pipeline.training.losses import Loss


class ConvCNPConfig(DeepConfig):
    """Options of the ConvCNP."""

    batch_size: int = Field(default=16, ge=1, description="Samples a step.")
    width: int = Field(default=32, ge=1, description="Maps on the input grid.")
    blocks: int = Field(default=3, ge=1, description="Residual blocks on the input grid.")
    hidden: tuple[int, ...] = Field(
        default=(64, 64), min_length=1, description="Sizes of the layers that all places share."
    )
    places: Literal["shared", "embedded"] = Field(
        default="shared", description="embedded: every place has a scale and a bias of its own behind the shared part."
    )
    norm: Norm = Field(default="group", description="Normalisation after each convolution.")


@MODELS.register("convcnp")
class ConvCNP(DeepModel):
    """Network for stations and grids alike, after Vaughan et al.

    Convolutions on the input grid make features; they are read at each target place and, with the
    place's static values (altitude, orography, land mask) and its latitude and longitude, go through
    one small network that all places share. Nothing in it counts places: with ``places: shared`` the
    weights say something of a place that no truth was known of, as far as its statics tell. As a
    finescale model it answers the places it was fitted on. Where an input channel has a target's own
    name, the network answers the difference to it.

    Features are read by bilinear interpolation, where the published network takes a radial kernel of
    learned length, of about one cell of the input grid.

    References
    ----------
    Vaughan, Tebbutt, Hosking and Turner (2022), doi:10.5194/gmd-15-251-2022.
    Gordon et al. (2020), Convolutional conditional neural processes, arXiv:1910.13556.
    """

    Config: ClassVar[type[ModelConfig]] = ConvCNPConfig

    def build(self, layout: Layout, parameters: int) -> nn.Module:
        """Return the network.

        Raises
        ------
        ConfigError
            If the inputs are stations.
        """
        if layout.input_grid.stations:
            raise ConfigError(
                f"convcnp: expected inputs on a grid to lay convolutions on, got {len(layout.input_grid.stations)} "
                "stations. Take gridded predictors."
            )
        return ConvCNPNetwork(layout, parameters, self.config, self._loss)


class ConvCNPNetwork(nn.Module):
    """Maps (time, channel, lat, lon) to (time, parameter, target, cell)."""

    known: Tensor
    places: Tensor

    def __init__(self, layout: Layout, parameters: int, config: ConvCNPConfig, loss: Loss) -> None:
        super().__init__()
        widths = [len(layout.channels), *[config.width] * config.blocks]
        self.encoder = nn.Sequential(*(ResidualBlock(*pair, config.norm) for pair in pairwise(widths)))
        self.read = Interpolation(layout.input_grid, layout.target_grid)
        known = torch.tensor(_known(layout), dtype=torch.float32)
        self.register_buffer("known", known, persistent=False)
        self.register_buffer("places", torch.tensor(np.flatnonzero(layout.mask)), persistent=False)
        self._answer = (parameters, len(layout.targets), layout.cells)
        answers = parameters * len(layout.targets)
        layers: list[nn.Module] = []
        for before, after in pairwise((config.width + len(known), *config.hidden)):
            layer = nn.Conv1d(before, after, 1)
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            layers += [layer, nn.ReLU()]
        self.shared = nn.Sequential(*layers, nn.Conv1d(config.hidden[-1], answers, 1))
        embedded = config.places == "embedded"
        self.scale = nn.Parameter(torch.ones(answers, layout.cells)) if embedded else None
        self.bias = nn.Parameter(torch.zeros(answers, layout.cells)) if embedded else None
        self.own = OwnChannel(layout, loss, parameters)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the parameters of the head at every place."""
        features = self.read(self.encoder(inputs)).flatten(2)[:, :, self.places]
        known = self.known.to(features.dtype).expand(features.shape[0], -1, -1)
        answer = self.shared(torch.cat([features, known], dim=1))
        if self.scale is not None and self.bias is not None:
            answer = answer * self.scale + self.bias
        whole: Tensor = self.own(inputs, answer.reshape(-1, *self._answer))
        return whole


def _known(layout: Layout) -> np.ndarray:
    """Return statics, latitude and longitude of every place, (static + 2, cell); -1 to 1 across the input grid."""
    (lat, lon), (inner_lat, inner_lon) = _plane(layout.target_grid), _plane(layout.input_grid)
    # Seen from the first input cell, so that a grid across the date line is in one piece.
    first = inner_lon.flat[0]
    lon, inner_lon = ((each - first + 180.0) % 360.0 - 180.0 for each in (lon, inner_lon))
    scaled = [_scaled(lat, inner_lat), _scaled(lon, inner_lon)]
    return np.concatenate([layout.static, np.stack(scaled)])[:, layout.mask]


def _plane(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    if grid.lat.ndim == 2:
        return grid.lat, grid.lon
    lat, lon = np.meshgrid(grid.lat, grid.lon, indexing="ij")
    return lat, lon


def _scaled(values: np.ndarray, inner: np.ndarray) -> np.ndarray:
    low, high = inner.min(), inner.max()
    scaled: np.ndarray = (values - (low + high) / 2) / max((high - low) / 2, 1e-6)
    return scaled
