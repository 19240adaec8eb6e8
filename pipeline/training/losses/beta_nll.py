"""Negative log likelihood whose gradient does not starve the mean where the variance is large."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import Tensor

from pipeline.model_config import ModelConfig
from pipeline.training.losses import LOSSES, Cells
from pipeline.training.losses.normal_nll import NormalNll


class BetaNllConfig(ModelConfig):
    """Options of the weighted likelihood."""

    beta: float = Field(default=0.5, ge=0, le=1, description="0: the likelihood; 1: the mean learns as under mse.")


@LOSSES.register("beta_nll")
class BetaNll(NormalNll):
    """Normal log likelihood times ``s^(2 beta)`` held constant.

    With beta 0 it is the likelihood itself; with beta 1 the mean learns as under squared error.
    Its value is no proper score: choose epochs by it, compare models by their CRPS.

    References
    ----------
    Seitzer et al. (2022), On the pitfalls of heteroscedastic uncertainty estimation with
    probabilistic neural networks, arXiv:2203.09168.
    """

    Config: ClassVar[type[ModelConfig]] = BetaNllConfig
    likelihood = ""

    def __call__(self, output: Tensor, target: Tensor, cells: Cells) -> Tensor:
        """Return the loss of every sample and cell."""
        _, log_variance = self.split(output)
        weight: Tensor = (self.config.beta * log_variance.detach()).exp()
        return super().__call__(output, target, cells) * weight
