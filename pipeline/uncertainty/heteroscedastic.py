"""Heteroscedastic heads: the same network, asked for the spread as well as for the mean."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, field_validator

from pipeline.errors import ConfigError
from pipeline.model_config import ModelConfig
from pipeline.training.losses import LossSpec, make_loss
from pipeline.uncertainty import UNCERTAINTY
from pipeline.uncertainty._refit import Refit


class HeteroscedasticConfig(ModelConfig):
    """Options of heteroscedastic heads."""

    loss: LossSpec = Field(
        default="normal_nll",
        description="A loss of a distribution: normal_nll, beta_nll, mixture_nll, or bernoulli_gamma_nll of rain.",
    )

    @field_validator("loss")
    @classmethod
    def _a_distribution(cls, loss: Any) -> Any:
        try:
            made = make_loss(loss)
        except ConfigError as error:
            raise ValueError(str(error)) from error
        if made.of_classes or made.family == "point":
            raise ValueError(
                f"expected a loss that answers a distribution of numbers, such as normal_nll, got {loss!r}"
            )
        return loss


@UNCERTAINTY.register("heteroscedastic")
class Heteroscedastic(Refit):
    """A likelihood whose spread depends on the inputs (Nix and Weigend 1994, doi:10.1109/ICNN.1994.374138).

    The model is fitted once more with another loss: of a normal, of a mixture of normals, or of no rain beside a gamma
    distributed amount. What one network says of its own errors is aleatoric: it is no wider where it has seen nothing.
    Put ``loss`` under the model itself to have it in all of its members.
    """

    Config: ClassVar[type[ModelConfig]] = HeteroscedasticConfig

    @property
    def loss(self) -> LossSpec:
        """The likelihood."""
        loss: LossSpec = self.config.loss
        return loss
