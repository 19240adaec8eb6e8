"""Tversky loss: an overlap that counts misses and false alarms apart."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import Tensor

from pipeline.model_config import ModelConfig
from pipeline.training.losses import LOSSES
from pipeline.training.losses._classes import RegionLoss


class TverskyConfig(ModelConfig):
    """Options of the Tversky loss."""

    alpha: float = Field(default=0.3, ge=0, le=10, description="Weight of false alarms, cells wrongly given a class.")
    beta: float = Field(default=0.7, gt=0, le=10, description="Weight of misses, cells of a class not given it.")


@LOSSES.register("tversky")
class Tversky(RegionLoss):
    """``1 - mean_c TP / (TP + alpha FP + beta FN)``, an overlap with a price of its own for misses and false alarms.

    ``TP = sum p t``, ``FP = sum p (1 - t)`` and ``FN = sum (1 - p) t`` over the batch, with p the softmax and t the
    truth of class c. With alpha = beta = 0.5 it is the Dice loss, with both 1 the Jaccard loss; a beta above alpha
    finds more of a rare class, with more false alarms.

    References
    ----------
    Salehi, Erdogmus and Gholipour (2017), Tversky loss function for image segmentation using 3D fully
    convolutional deep networks, arXiv:1706.05721.
    """

    Config: ClassVar[type[ModelConfig]] = TverskyConfig

    def cover(self, both: Tensor, forecast: Tensor, truth: Tensor) -> Tensor:
        """Return the Tversky index of every class."""
        index: Tensor = both / (both + self.config.alpha * (forecast - both) + self.config.beta * (truth - both))
        return index
