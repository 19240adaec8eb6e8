"""Networks with a memory: layers of torch's own LSTM or GRU cells, which have fast kernels on a GPU."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from models._layout import Layout
from models._series import Head, SeriesConfig, Windows


class RecurrentConfig(SeriesConfig):
    """Options of networks with a memory."""

    hidden: int = Field(default=64, ge=1, description="Size of the state of each layer.")
    layers: int = Field(default=1, ge=1, description="Layers of cells, one above the other.")
    dropout: float = Field(
        default=0.0, ge=0, lt=1, description="Share of the state left out before the head, and between layers."
    )


class Memory(nn.Module):
    """Layers of cells that read a sequence; what is left of it is the last state.

    Parameters
    ----------
    cells : type
        ``nn.LSTM`` or ``nn.GRU``.
    features : int
        Numbers at each step.
    config : RecurrentConfig
        Size, layers and dropout.
    keep : float
        Bias at the start of the gate that keeps the state, the forget gate of an LSTM and the update gate of
        a GRU. Above zero the state of a new network outlives more steps, so that gradients reach old ones.

    References
    ----------
    Gers et al. (2000), Learning to forget, doi:10.1162/089976600300015015.
    Jozefowicz et al. (2015), proceedings.mlr.press/v37/jozefowicz15.html, for the bias at the start.
    """

    def __init__(self, cells: type[nn.LSTM | nn.GRU], features: int, config: RecurrentConfig, keep: float) -> None:
        super().__init__()
        hidden = config.hidden
        sizes = pairwise([features, *[hidden] * config.layers])
        # One module a layer with dropout of our own between them: torch's own dropout inside is no module.
        self.layers = nn.ModuleList(cells(*pair) for pair in sizes)
        self.dropout = nn.Dropout(config.dropout)
        for layer in self.layers:
            made: Any = layer
            # torch has two biases, which are added. Forget and update gate stand second in its weights.
            with torch.no_grad():
                made.bias_ih_l0[hidden : 2 * hidden] = keep
                made.bias_hh_l0[hidden : 2 * hidden] = 0.0

    def forward(self, sequence: Tensor) -> Tensor:
        """Map (step, row, feature) to the last layer's last state, (row, hidden)."""
        for number, layer in enumerate(self.layers):
            sequence, _ = layer(sequence if number == 0 else self.dropout(sequence))
        return sequence[-1]


class RecurrentNetwork(nn.Module):
    """Maps (time, channel, lat, lon) to (time, parameter, target, cell); for ``cells`` and ``keep`` see `Memory`."""

    def __init__(
        self,
        layout: Layout,
        parameters: int,
        kind: str,
        config: RecurrentConfig,
        cells: type[nn.LSTM | nn.GRU],
        keep: float,
    ) -> None:
        super().__init__()
        self.windows = Windows(layout, kind)
        self.memory = Memory(cells, self.windows.features, config, keep)
        self.head = Head(layout, parameters, config.hidden, config.dropout)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the parameters of the head at every cell of the mask."""
        answer: Tensor = self.head(self.memory(self.windows(inputs)))
        return answer
