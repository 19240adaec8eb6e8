"""Samples between samples."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import torch
from pydantic import Field

from pipeline.training.augment import AUGMENTATIONS, Augmentation, AugmentationConfig, Batch


class MixupConfig(AugmentationConfig):
    """Options of mixup."""

    probability: float = Field(default=1.0, gt=0, le=1, description="Share of the batches that are mixed.")
    alpha: float = Field(
        default=0.2,
        ge=0.01,
        le=100,
        description="Of the Beta distribution of the weight; the smaller, the less is mixed.",
    )


@AUGMENTATIONS.register("mixup")
class Mixup(Augmentation):
    """Every sample of a batch mixed with another one of it: ``w x_i + (1 - w) x_j``, with w of Beta(alpha, alpha).

    The loss is ``w L(y_i) + (1 - w) L(y_j)``: both truths are kept, so that numbers of classes are never averaged,
    and a mean over cells with gaps counts both. For a cross-entropy this is the same as a mixed truth; for other
    losses it is another thing, and proper all the same. One w a batch. Inputs and truth no longer belong to
    one weather, and a mixture of two storms is none. Costs a copy of the inputs and a second loss, no second
    pass of the network.

    References
    ----------
    Zhang, Cisse, Dauphin and Lopez-Paz (2018), mixup: Beyond empirical risk minimization, arXiv:1710.09412.
    """

    keeps = (
        "Every truth as it is, the place of every cell, linear relations between channels and cells, and the mean of "
        "the inputs over a batch."
    )
    Config: ClassVar[type[AugmentationConfig]] = MixupConfig
    mixes: ClassVar[bool] = True

    def __call__(self, batch: Batch) -> Batch:
        """Return the batch with mixed inputs and a second truth."""
        order = torch.randperm(len(batch))
        share = float(torch.distributions.Beta(*torch.tensor([self.config.alpha] * 2, dtype=torch.float64)).sample())
        if float(torch.rand(())) >= self.config.probability:
            return batch
        order = order.to(batch.inputs.device)
        inputs = share * batch.inputs + (1.0 - share) * batch.inputs[order]
        return replace(batch, inputs=inputs, second=batch.target[order], share=share)
