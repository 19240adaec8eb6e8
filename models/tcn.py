"""TCN: dilated convolutions in time that look back only."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from models import MODELS
from models._layout import Layout
from models._series import Head, SeriesConfig, SeriesModel, Windows, start
from pipeline.model import ModelConfig


class TCNConfig(SeriesConfig):
    """Options of the TCN."""

    width: int = Field(default=32, ge=1, description="Features of every block.")
    kernel: int = Field(default=3, ge=2, description="Steps that one convolution sees.")
    dropout: float = Field(
        default=0.0, ge=0, lt=1, description="Share of features left out behind every convolution and before the head."
    )


@MODELS.register("tcn")
class TCN(SeriesModel):
    """Temporal convolutional network over a window of lagged predictors.

    Residual blocks of two causal convolutions each: a step sees itself and older ones. The dilation doubles
    from block to block, and there are as many blocks as it takes for the last step to see the whole window.
    Scalars and static values are given with every step; a linear layer makes of the last step's features the
    answer at all leads. The weight normalisation of the published network is left out.

    References
    ----------
    Bai, Kolter and Koltun (2018), arXiv:1803.01271.
    """

    Config: ClassVar[type[ModelConfig]] = TCNConfig

    def build(self, layout: Layout, parameters: int) -> nn.Module:
        """Return the network.

        Raises
        ------
        ConfigError
            If channels have no lags, or are not at the places of the target.
        """
        return TCNNetwork(layout, parameters, self.config)


class TCNNetwork(nn.Module):
    """Maps (time, channel, lat, lon) to (time, parameter, target, cell)."""

    def __init__(self, layout: Layout, parameters: int, config: TCNConfig) -> None:
        super().__init__()
        self.windows = Windows(layout, "tcn")
        count = blocks_to_see(self.windows.steps, config.kernel)
        widths = [self.windows.features, *[config.width] * count]
        self.blocks = nn.Sequential(
            *(Block(widths[n], config, dilation=2**n, share=1 / count) for n in range(count)),
        )
        self.head = Head(layout, parameters, config.width, config.dropout)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the parameters of the head at every cell of the mask."""
        answer: Tensor = self.head(self.blocks(self.windows(inputs).permute(1, 2, 0))[:, :, -1])
        return answer


def blocks_to_see(steps: int, kernel: int) -> int:
    """Return the fewest blocks whose last step sees ``steps`` steps.

    Each block of dilation d adds two convolutions that each reach (kernel - 1) d steps further back, so n
    blocks see 1 + 2 (kernel - 1) (2^n - 1) steps.

    Examples
    --------
    >>> blocks_to_see(5, 3), blocks_to_see(6, 3), blocks_to_see(365, 3)
    (1, 2, 7)
    """
    count = 1
    while 1 + 2 * (kernel - 1) * (2**count - 1) < steps:
        count += 1
    return count


class Block(nn.Module):
    """Two causal convolutions with ReLU and dropout, added to what went in.

    Parameters
    ----------
    before : int
        Features that go in; ``config.width`` come out.
    config : TCNConfig
        Width, kernel and dropout.
    dilation : int
        Steps between those that a convolution sees.
    share : float
        Variance that the block adds to the signal at the start: 1 / n in each of n blocks keeps it below e.
    """

    def __init__(self, before: int, config: TCNConfig, *, dilation: int, share: float) -> None:
        super().__init__()
        width = config.width
        self._reach = (config.kernel - 1) * dilation
        self.first = start(nn.Conv1d(before, width, config.kernel, dilation=dilation))
        self.second = start(nn.Conv1d(width, width, config.kernel, dilation=dilation), share)
        self.passing = nn.Identity() if before == width else nn.Conv1d(before, width, 1)
        # One module for each place: attributions tell them apart.
        self.activations = nn.ModuleList(nn.ReLU() for _ in range(3))
        self.dropouts = nn.ModuleList(nn.Dropout(config.dropout) for _ in range(2))

    def forward(self, sequence: Tensor) -> Tensor:
        """Map (row, feature, step) to (row, width, step); no step looks ahead."""
        maps = sequence
        for layer, activation, dropout in zip((self.first, self.second), self.activations, self.dropouts, strict=False):
            maps = dropout(activation(layer(functional.pad(maps, (self._reach, 0)))))
        answer: Tensor = self.activations[2](self.passing(sequence) + maps)
        return answer
