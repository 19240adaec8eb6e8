"""MLP: dense layers on a window of lagged predictors or on its rolling means.

Source: Rumelhart, Hinton and Williams (1986), doi:10.1038/323533a0.
"""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from models import MODELS
from models._layout import Layout
from models._sequence import Sequence
from models._series import Cells, Head, SeriesConfig, SeriesModel, Size, start
from pipeline.errors import ConfigError
from pipeline.model import ModelConfig


class MLPConfig(SeriesConfig):
    """Options of the MLP."""

    hidden: tuple[Size, ...] = Field(default=(64, 64), min_length=1, description="Sizes of the layers.")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="Share of features left out behind every layer.")
    rolling: tuple[Size, ...] = Field(
        default=(),
        description="Means over the newest n steps, such as [1, 3, 7, 30], are seen in place of single lags; "
        "empty: every lag.",
    )


@MODELS.register("mlp")
class MLP(SeriesModel):
    """Multilayer perceptron: dense layers with ReLU on all that is known of a series at a date.

    That is every channel, lagged or not, and its static values. With ``rolling: [1, 3, 7, 30]`` the lags of
    each variable are taken together to means over its newest 1, 3, 7 and 30 steps, which tell of a long
    window in few numbers. One set of weights serves all series, and answers all leads at once.
    """

    Config: ClassVar[type[ModelConfig]] = MLPConfig

    def build(self, layout: Layout, parameters: int) -> nn.Module:
        """Return the network.

        Raises
        ------
        ConfigError
            If channels are not at the places of the target, or have fewer lags than ``rolling`` asks for.
        """
        return MLPNetwork(layout, parameters, self.config)


class MLPNetwork(nn.Module):
    """Maps (time, channel, lat, lon) to (time, parameter, target, cell)."""

    def __init__(self, layout: Layout, parameters: int, config: MLPConfig) -> None:
        super().__init__()
        self.cells = Cells(layout, "mlp")
        self.rolling = RollingMeans(layout, config.rolling) if config.rolling else nn.Identity()
        seen = self.rolling.features if isinstance(self.rolling, RollingMeans) else len(layout.channels)
        layers: list[nn.Module] = []
        for before, after in pairwise((seen + len(layout.static), *config.hidden)):
            layers += [start(nn.Linear(before, after)), nn.ReLU(), nn.Dropout(config.dropout)]
        # The head has a dropout of its own, so the last one here goes.
        self.layers = nn.Sequential(*layers[:-1])
        self.head = Head(layout, parameters, config.hidden[-1], config.dropout)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the parameters of the head at every cell of the mask."""
        known = self.rolling(self.cells(inputs))
        static = self.cells.static.to(known.dtype).expand(known.shape[0], -1, -1)
        rows = torch.cat([known, static], dim=1).transpose(1, 2).flatten(0, 1)
        answer: Tensor = self.head(self.layers(rows))
        return answer


class RollingMeans(nn.Module):
    """Means over the newest steps of every variable, then the scalars.

    One product with a matrix made once, and differentiable.

    Parameters
    ----------
    layout : Layout
        Channels by name.
    sizes : sequence of int
        Steps of each mean.

    Attributes
    ----------
    features : int
        Means of all variables and scalars.

    Raises
    ------
    ConfigError
        If a mean is longer than the window, or steps are missing in it.
    """

    index: Tensor
    scalars: Tensor
    weights: Tensor

    def __init__(self, layout: Layout, sizes: tuple[int, ...]) -> None:
        super().__init__()
        sequence = Sequence.of(layout, "mlp", fewest=1)
        lags, longest = sequence.lags, max(sizes)
        if lags[-longest:] != tuple(range(lags[-1] + longest - 1, lags[-1] - 1, -1)):
            raise ConfigError(
                f"mlp: expected {longest} lags without a gap for rolling: {list(sizes)}, got {len(lags)} from "
                f"{lags[-1]} to {lags[0]}. Set prepare.inputs.window: {longest} or more, or shorter means."
            )
        weights = torch.zeros(len(sizes), len(lags))
        for row, size in enumerate(sizes):
            weights[row, len(lags) - size :] = 1 / size
        fields = torch.tensor(sequence.fields)
        self._variables = fields.shape[1]
        self.features = len(sizes) * self._variables + sequence.scalars
        scalars = torch.tensor(sequence.steps[-1][self._variables :], dtype=torch.int64)
        self.register_buffer("index", fields.flatten(), persistent=False)
        self.register_buffer("scalars", scalars, persistent=False)
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, channels: Tensor) -> Tensor:
        """Map (time, channel, cell) to (time, mean x variable + scalar, cell)."""
        time, _, cells = channels.shape
        lagged = channels.index_select(1, self.index).reshape(time, self.weights.shape[1], -1)
        means = (self.weights.to(lagged.dtype) @ lagged).reshape(time, -1, cells)
        return torch.cat([means, channels.index_select(1, self.scalars).to(means.dtype)], dim=1)
