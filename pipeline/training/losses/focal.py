"""Focal loss: a cross-entropy that cells already right have little part in."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from pipeline.model_config import ModelConfig
from pipeline.training.losses import LOSSES, Cells
from pipeline.training.losses._weights import WeightedClassLoss, WeightsConfig

LEAST = 1e-8  # of 1 - p: below, powers less than one would have slopes beyond float32


class FocalConfig(WeightsConfig):
    """Options of the focal loss."""

    gamma: float = Field(default=2.0, ge=0, le=10, description="Power of what the true class lacks; 0: cross-entropy.")


@LOSSES.register("focal")
class Focal(WeightedClassLoss):
    """``-w_y (1 - p_y)^gamma log p_y``, with p the softmax of the logits at the true class y, and w its weight.

    No proper score: probabilities come out less sharp than they should be.

    References
    ----------
    Lin, Goyal, Girshick, He and Dollár (2017), Focal loss for dense object detection, arXiv:1708.02002.
    """

    Config: ClassVar[type[ModelConfig]] = FocalConfig

    def __call__(self, output: Tensor, target: Tensor, cells: Cells) -> Tensor:
        """Return the loss of every sample and cell."""
        logs, weight = self.picked(output, target)
        missing = (-torch.expm1(logs)).clamp(min=LEAST)  # 1 - p without its rounding
        share: Tensor = missing**self.config.gamma
        return -weight * share * logs
