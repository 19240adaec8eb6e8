"""LSTM: series of many basins or stations with one set of weights."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import nn

from models import MODELS
from models._layout import Layout
from models._recurrent import RecurrentConfig, RecurrentNetwork
from models._series import SeriesModel
from pipeline.model import ModelConfig


class LSTMConfig(RecurrentConfig):
    """Options of the LSTM."""

    forget_bias: float = Field(
        default=3.0, description="Bias of the forget gate at the start; high ones remember long from the start."
    )


@MODELS.register("lstm")
class LSTM(SeriesModel):
    """Long short-term memory over a window of lagged predictors, as in rainfall-runoff modelling.

    The lags ``x@-364`` to ``x`` (``prepare.inputs.window: 365``) of a series are read the oldest first; the
    scalars (day of the year, forcings) and the series' static values are given with every step. A linear
    layer makes of the last state the answer at all leads. One set of weights serves all series, so that a
    basin with a short record learns from the others.

    References
    ----------
    Hochreiter and Schmidhuber (1997), doi:10.1162/neco.1997.9.8.1735.
    Kratzert et al. (2018), doi:10.5194/hess-22-6005-2018, for rainfall and runoff.
    Kratzert et al. (2019), doi:10.5194/hess-23-5089-2019, for many basins and their static values.
    """

    Config: ClassVar[type[ModelConfig]] = LSTMConfig

    def build(self, layout: Layout, parameters: int) -> nn.Module:
        """Return the network.

        Raises
        ------
        ConfigError
            If channels have no lags, or are not at the places of the target.
        """
        return RecurrentNetwork(layout, parameters, "lstm", self.config, nn.LSTM, self.config.forget_bias)
