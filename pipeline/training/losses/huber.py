"""Huber's loss: squared for small errors, absolute for large ones."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import Tensor
from torch.nn.functional import huber_loss

from pipeline.model_config import ModelConfig
from pipeline.training.losses import LOSSES, Cells
from pipeline.training.losses._point import PointLoss


class HuberConfig(ModelConfig):
    """Options of Huber's loss."""

    delta: float = Field(
        default=1.0, gt=0, description="Error from which on the loss is linear, in numbers of the samples."
    )


@LOSSES.register("huber")
class Huber(PointLoss):
    """``e^2 / 2`` where ``|e| <= delta``, else ``delta (|e| - delta / 2)``, with the error ``e = y - m``.

    References
    ----------
    Huber (1964), doi:10.1214/aoms/1177703732.
    """

    Config: ClassVar[type[ModelConfig]] = HuberConfig

    def __call__(self, output: Tensor, target: Tensor, cells: Cells) -> Tensor:
        """Return the loss of every sample and cell."""
        return huber_loss(output[:, 0], target, reduction="none", delta=self.config.delta)
