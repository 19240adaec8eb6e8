"""ConvLSTM: what the last days did, then detail on the target grid."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from models import MODELS
from models._deep import DeepConfig, DeepModel
from models._layers import Norm, need_grids
from models._layout import Layout
from models._residual import Cells, Inlet, OwnChannel, Readout, ResidualBlock
from models._sequence import Sequence
from pipeline.model import ModelConfig
from pipeline.training.losses import Loss


class ConvLSTMConfig(DeepConfig):
    """Options of the ConvLSTM."""

    batch_size: int = Field(default=32, ge=1, description="Samples a step.")
    hidden: tuple[int, ...] = Field(
        default=(32,), min_length=1, description="Maps of the state of each layer of cells on the input grid."
    )
    width: int = Field(default=16, ge=1, description="Maps on the target grid.")
    blocks: int = Field(default=2, ge=1, description="Residual blocks on the target grid.")
    cells: Cells = Field(
        default="weights",
        description="What a cell of the target has of its own in the readout: nothing (shared), a bias, or weights.",
    )
    norm: Norm = Field(default="none", description="Normalisation after each convolution on the target grid.")


@MODELS.register("conv_lstm")
class ConvLSTM(DeepModel):
    """Network with a memory of the days before, given as lagged channels.

    The channels ``x@-2``, ``x@-1`` and ``x`` (``prepare.inputs.lags: [0, 1, 2]``) are taken as a sequence,
    the oldest first; scalars (day of the year, forcings) are given with every step. Cells of
    convolutions on the input grid read it; the last state is carried over to the target grid by real
    coordinates, meets the static fields there and goes through residual blocks to the readout. Where
    an input channel has a target's own name, the network answers the difference to it.

    References
    ----------
    Shi et al. (2015), Convolutional LSTM network, arXiv:1506.04214; without its peepholes.
    """

    Config: ClassVar[type[ModelConfig]] = ConvLSTMConfig

    def build(self, layout: Layout, parameters: int) -> nn.Module:
        """Return the network.

        Raises
        ------
        ConfigError
            If channels have no lags, or inputs or target are stations.
        """
        need_grids(layout, "conv_lstm")
        return ConvLSTMNetwork(layout, parameters, self.config, self._loss)


class ConvLSTMNetwork(nn.Module):
    """Maps (time, channel, lat, lon) to (time, parameter, target, cell)."""

    def __init__(self, layout: Layout, parameters: int, config: ConvLSTMConfig, loss: Loss) -> None:
        super().__init__()
        self._sequence = Sequence.of(layout, "conv_lstm")
        sizes = [len(self._sequence.steps[0]), *config.hidden]
        self.layers = nn.ModuleList(ConvLSTMCell(*pair) for pair in pairwise(sizes))
        self.inlet = Inlet(layout, config.hidden[-1])
        widths = [self.inlet.channels, *[config.width] * config.blocks]
        self.decoder = nn.Sequential(*(ResidualBlock(*pair, config.norm) for pair in pairwise(widths)))
        self.readout = Readout(layout, parameters, config.width, config.cells)
        self.own = OwnChannel(layout, loss, parameters)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the parameters of the head at every cell of the mask."""
        sequence = [inputs[:, list(step)] for step in self._sequence.steps]
        for layer in self.layers:
            sequence = layer(sequence)
        answer: Tensor = self.own(inputs, self.readout(self.decoder(self.inlet(sequence[-1]))))
        return answer


class ConvLSTMCell(nn.Module):
    """A layer of cells: at every step gates are convolutions of input and state, which starts at zero.

    ``i, f, o = sigmoid(W x + U h + b)``, ``g = tanh(W x + U h + b)``, ``c' = f c + i g``, ``h' = o tanh c'``.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self._hidden = hidden
        self.gates = nn.Conv2d(channels + hidden, 4 * hidden, 3, padding=1)
        nn.init.xavier_uniform_(self.gates.weight)
        # Remembers at first (Jozefowicz et al. 2015): a gate half open forgets all in a few steps.
        bias: Any = self.gates.bias
        with torch.no_grad():
            bias.zero_()
            bias[hidden : 2 * hidden] = 1.0

    def forward(self, sequence: list[Tensor]) -> list[Tensor]:
        """Return the hidden state, (time, hidden, lat, lon), after each input, (time, channel, lat, lon)."""
        first = sequence[0]
        hidden = cell = first.new_zeros(first.shape[0], self._hidden, *first.shape[2:])
        states = []
        for step in sequence:
            enter, forget, leave, new = self.gates(torch.cat([step, hidden], dim=1)).chunk(4, dim=1)
            cell = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
            hidden = leave.sigmoid() * cell.tanh()
            states.append(hidden)
        return states
