"""Dice loss: the overlap of regions, against their mean size."""

from __future__ import annotations

from torch import Tensor

from pipeline.training.losses import LOSSES
from pipeline.training.losses._classes import RegionLoss


@LOSSES.register("dice")
class Dice(RegionLoss):
    """``1 - mean_c 2 sum p t / (sum p + sum t)``, with p the softmax and t the truth of class c over the batch.

    References
    ----------
    Milletari, Navab and Ahmadi (2016), V-Net, doi:10.1109/3DV.2016.79, whose sums below are of squares;
    Sudre et al. (2017), doi:10.1007/978-3-319-67558-9_28, without.
    """

    def cover(self, both: Tensor, forecast: Tensor, truth: Tensor) -> Tensor:
        """Return the Dice coefficient of every class."""
        return 2.0 * both / (forecast + truth)
