"""Continuous ranked probability score of members, corrected for their number."""

from __future__ import annotations

from torch import Tensor

from pipeline.training.losses import LOSSES, Cells
from pipeline.training.losses._members import MembersLoss, fair_crps


@LOSSES.register("fair_crps")
class FairCrps(MembersLoss):
    """Fair CRPS of every cell, in numbers of the samples: least in the mean for members drawn from the truth.

    Members are judged cell by cell, so that a network is free in how it joins cells to one field; take
    ``energy_score`` or ``spectral_crps`` where fields matter.

    References
    ----------
    Ferro (2014), doi:10.1002/qj.2270.
    """

    def __call__(self, output: Tensor, target: Tensor, cells: Cells) -> Tensor:
        """Return the loss of every sample and cell."""
        return fair_crps(output, target)
