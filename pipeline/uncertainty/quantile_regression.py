"""Quantile regression: the same network, asked for quantiles in place of a mean."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, field_validator

from pipeline.model_config import ModelConfig
from pipeline.training.losses import LossSpec
from pipeline.uncertainty import UNCERTAINTY
from pipeline.uncertainty._refit import Refit


class QuantileRegressionConfig(ModelConfig):
    """Options of quantile regression."""

    count: int = Field(default=39, ge=3, le=199, description="Quantiles, at the levels 1 / (count + 1) and so on; odd.")

    @field_validator("count")
    @classmethod
    def _odd(cls, count: int) -> int:
        if count % 2 == 0:
            raise ValueError(f"expected an odd number of quantiles, with a median among them, got {count}")
        return count


@UNCERTAINTY.register("quantile_regression")
class QuantileRegression(Refit):
    """Quantiles by the pinball loss (Koenker and Bassett 1978, doi:10.2307/1913643), of any shape.

    The model is fitted once more with ``loss: quantile``, whose answers never cross. It asks for no shape of the
    errors; what it says of the tails is what few days tell. All variance is aleatoric.
    """

    Config: ClassVar[type[ModelConfig]] = QuantileRegressionConfig

    @property
    def loss(self) -> LossSpec:
        """The pinball loss."""
        return {"kind": "quantile", "count": self.config.count}
