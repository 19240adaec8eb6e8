"""CNN-LSTM: from maps of several steps to series."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from models import MODELS
from models._deep import DeepModel
from models._layout import Layout
from models._recurrent import Memory, RecurrentConfig
from models._sequence import Sequence
from models._series import Size, start
from pipeline.errors import ConfigError
from pipeline.model import ModelConfig
from pipeline.prepare.weights import is_periodic


class CNNLSTMConfig(RecurrentConfig):
    """Options of the CNN-LSTM."""

    batch_size: int = Field(default=64, ge=1, description="Samples a step.")
    channels: tuple[Size, ...] = Field(
        default=(16, 32), min_length=1, description="Maps after each convolution; each is followed by means of 2 x 2."
    )
    features: Literal["flatten", "mean"] = Field(
        default="flatten", description="What is read of the last maps: every cell (flatten), or the mean of each map."
    )
    circular: bool = Field(
        default=False, description="Longitudes go round: what lies beyond the last column is the first one."
    )
    forget_bias: float = Field(
        default=3.0, description="Bias of the forget gate at the start; high ones remember long from the start."
    )


@MODELS.register("cnn_lstm")
class CNNLSTM(DeepModel):
    """Gridded predictors of several steps to series, such as sea surface temperature to an index of ENSO.

    The maps of each step (``prepare.inputs.lags`` or ``window``) go through one small network of convolutions,
    ReLU and means over 2 x 2 cells; what it makes of them, with the scalars, is a step of the sequence that
    an LSTM reads, the oldest first. A linear layer makes of the last state the answer at all leads of all
    series, with weights of its own for each. Static fields are left out: to such a layer they are part of
    its bias.

    References
    ----------
    Donahue et al. (2015), Long-term recurrent convolutional networks, arXiv:1411.4389.
    Ham, Kim and Luo (2019), doi:10.1038/s41586-019-1559-7, for convolutions and ENSO.
    """

    Config: ClassVar[type[ModelConfig]] = CNNLSTMConfig
    tasks: ClassVar[frozenset[str]] = frozenset({"series"})

    def build(self, layout: Layout, parameters: int) -> nn.Module:
        """Return the network.

        Raises
        ------
        ConfigError
            If inputs are stations, channels have no lags, or ``circular`` longitudes do not go round.
        """
        grid = layout.input_grid
        if grid.stations:
            raise ConfigError(
                f"cnn_lstm: expected inputs on a grid to lay convolutions on, got {len(grid.stations)} stations. "
                "Take lstm, gru, tcn or mlp, which read the predictors of each station."
            )
        if self.config.circular and not (grid.lon.ndim == 1 and is_periodic(grid.lon)):
            raise ConfigError(
                f"cnn_lstm: expected longitudes that go round for circular: true, got {grid.shape[1]} columns from "
                f"{grid.lon.flat[0]:g} to {grid.lon.flat[-1]:g}. Leave circular out, or take all longitudes."
            )
        return CNNLSTMNetwork(layout, parameters, self.config)


class CNNLSTMNetwork(nn.Module):
    """Maps (time, channel, lat, lon) to (time, parameter, target, cell)."""

    index: Tensor
    scalars: Tensor

    def __init__(self, layout: Layout, parameters: int, config: CNNLSTMConfig) -> None:
        super().__init__()
        sequence = Sequence.of(layout, "cnn_lstm")
        fields = torch.tensor(sequence.fields)
        self._steps, self._variables = fields.shape
        scalars = torch.tensor(sequence.steps[-1][self._variables :], dtype=torch.int64)
        self.register_buffer("index", fields.flatten(), persistent=False)
        self.register_buffer("scalars", scalars, persistent=False)
        self.encoder = Encoder(self._variables, layout.input_grid.shape, config)
        self.memory = Memory(nn.LSTM, self.encoder.features + sequence.scalars, config, config.forget_bias)
        self._answer = (parameters, len(layout.targets), layout.cells)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.hidden, parameters * len(layout.targets) * layout.cells)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the parameters of the head at every cell of the mask."""
        maps = inputs.index_select(1, self.index).reshape(-1, self._variables, *inputs.shape[2:])
        read = self.encoder(maps).reshape(inputs.shape[0], self._steps, self.encoder.features).transpose(0, 1)
        numbers = inputs[:, :, 0, 0].index_select(1, self.scalars).to(read.dtype).expand(self._steps, -1, -1)
        state = self.memory(torch.cat([read, numbers], dim=2))
        answer: Tensor = self.head(self.dropout(state))
        return answer.reshape(-1, *self._answer)


class Encoder(nn.Module):
    """Convolutions, each with ReLU and means over 2 x 2 cells, and what is read of the last maps.

    Beyond the rows, and beyond the columns unless they go round, are zeros. Odd sides keep their last row or
    column, whose means are over fewer cells.

    Attributes
    ----------
    features : int
        Numbers that are read.
    """

    def __init__(self, variables: int, shape: tuple[int, int], config: CNNLSTMConfig) -> None:
        super().__init__()
        self._sides = "circular" if config.circular else "constant"
        self._mean = config.features == "mean"
        # Columns are added before each convolution, so that they may come from the other side.
        self.convolutions = nn.ModuleList(
            start(nn.Conv2d(*pair, 3, padding=(1, 0))) for pair in pairwise((variables, *config.channels))
        )
        self.activations = nn.ModuleList(nn.ReLU() for _ in config.channels)
        self.pool = nn.AvgPool2d(2, ceil_mode=True)
        rows, columns = (-(-side // 2 ** len(config.channels)) for side in shape)
        self.features = config.channels[-1] * (1 if self._mean else rows * columns)

    def forward(self, maps: Tensor) -> Tensor:
        """Map (row, variable, lat, lon) to (row, feature)."""
        for layer, activation in zip(self.convolutions, self.activations, strict=True):
            maps = self.pool(activation(layer(functional.pad(maps, (1, 1, 0, 0), mode=self._sides))))
        return maps.mean(dim=(2, 3)) if self._mean else maps.flatten(1)
