"""GRU: a memory with fewer gates than the LSTM's."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import nn

from models import MODELS
from models._layout import Layout
from models._recurrent import RecurrentConfig, RecurrentNetwork
from models._series import SeriesModel
from pipeline.model import ModelConfig


class GRUConfig(RecurrentConfig):
    """Options of the GRU."""

    update_bias: float = Field(
        default=1.0,
        description="Bias of the update gate at the start; high ones remember long and take little in at each step.",
    )


@MODELS.register("gru")
class GRU(SeriesModel):
    """Gated recurrent units over a window of lagged predictors: the LSTM's task with three quarters of its weights.

    Lags of a series are read the oldest first, scalars and static values given with every step; a linear
    layer makes of the last state the answer at all leads. The cells are torch's, whose reset gate comes
    behind the product with the state: ``r, z = sigmoid(W x + U h + b)``, ``n = tanh(W x + b + r (U h + c))``,
    ``h' = (1 - z) n + z h``.

    References
    ----------
    Cho et al. (2014), arXiv:1406.1078.
    """

    Config: ClassVar[type[ModelConfig]] = GRUConfig

    def build(self, layout: Layout, parameters: int) -> nn.Module:
        """Return the network.

        Raises
        ------
        ConfigError
            If channels have no lags, or are not at the places of the target.
        """
        return RecurrentNetwork(layout, parameters, "gru", self.config, nn.GRU, self.config.update_bias)
