"""Soft Jaccard loss: intersection over union of regions."""

from __future__ import annotations

from torch import Tensor

from pipeline.training.losses import LOSSES
from pipeline.training.losses._classes import RegionLoss


@LOSSES.register("jaccard")
class Jaccard(RegionLoss):
    """``1 - mean_c sum p t / (sum p + sum t - sum p t)``, with p the softmax and t the truth of class c over the batch.

    References
    ----------
    Rahman and Wang (2016), Optimizing intersection-over-union in deep neural networks for image
    segmentation, doi:10.1007/978-3-319-50835-1_22.
    """

    def cover(self, both: Tensor, forecast: Tensor, truth: Tensor) -> Tensor:
        """Return the intersection over union of every class."""
        return both / (forecast + truth - both)
