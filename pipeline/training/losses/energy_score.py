"""Energy score: the CRPS of whole fields."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from pipeline.model_config import ModelConfig
from pipeline.training.losses import LOSSES, Cells
from pipeline.training.losses._members import MembersConfig, MembersLoss

NONE = 1e-30  # of a squared distance: below, small powers would have slopes beyond float32


class EnergyScoreConfig(MembersConfig):
    """Options of the energy score."""

    beta: float = Field(default=1.0, gt=0, lt=2, description="Power of the distances; 1 is the usual score.")
    joint: bool = Field(default=False, description="One distance over all targets together, not one each.")


@LOSSES.register("energy_score")
class EnergyScore(MembersLoss):
    """``mean |x - y|^beta - sum over pairs |x - x'|^beta / (M (M - 1))`` of fields x and y; fair.

    Distances are roots of area-weighted mean squares over the cells that have truth, so that one cell with
    beta 1 gives the fair CRPS and values do not grow with the number of cells. A field without truth
    counts as zero.

    References
    ----------
    Gneiting and Raftery (2007), doi:10.1198/016214506000001437; fair as in Ferro (2014),
    doi:10.1002/qj.2270.
    """

    Config: ClassVar[type[ModelConfig]] = EnergyScoreConfig

    def __call__(self, output: Tensor, target: Tensor, cells: Cells) -> Tensor:
        """Return the loss of every field, shape (time, target, 1); (time, 1, 1) where ``joint``."""
        dims = (-2, -1) if self.config.joint else (-1,)
        weight = cells.known * cells.area
        weight = weight / weight.sum(dims, keepdim=True).clamp(min=1e-12)
        members = torch.where(cells.known[:, None], output, 0.0)
        size = members.shape[1]
        to_truth = self._distance(members - target[:, None], weight, dims).mean(dim=1)
        # Shifts by 1 ... M/2 bring all pairs together once, the middle one of an even M brings its pairs twice.
        pairs = torch.zeros_like(to_truth)
        for shift in range(1, size // 2 + 1):
            half = 0.5 if 2 * shift == size else 1.0
            apart = self._distance(members - members.roll(shift, dims=1), weight, dims)
            pairs = pairs + half * apart.sum(dim=1)
        return to_truth - pairs / (size * (size - 1))

    def _distance(self, gap: Tensor, weight: Tensor, dims: tuple[int, ...]) -> Tensor:
        """Return the weighted root mean square to the power beta, shape (time, member, target, 1)."""
        square = (gap * gap * weight[:, None]).sum(dims, keepdim=True)
        # The root has no slope at zero: there the distance is zero, and so is its gradient.
        apart = square > NONE
        root = torch.where(apart, square, 1.0) ** (0.5 * self.config.beta)
        return torch.where(apart, root, 0.0)
