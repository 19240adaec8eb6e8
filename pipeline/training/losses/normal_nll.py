"""Negative log likelihood of a normal distribution."""

from __future__ import annotations

import math

from torch import Tensor

from pipeline.training.losses import LOSSES, Cells
from pipeline.training.losses._contract import Likelihood
from pipeline.training.losses._normal import NormalLoss


@LOSSES.register("normal_nll")
class NormalNll(NormalLoss):
    """``0.5 log(2 pi s^2) + (y - m)^2 / (2 s^2)`` [nat], a proper score: least for the true m and s.

    Examples
    --------
    >>> import torch
    >>> from pipeline.training.losses import Place
    >>> place = Place(area=torch.ones(1), index=torch.arange(1), shape=(1, 1))
    >>> cells = place.cells(torch.ones(1, 1, 1, dtype=torch.bool))
    >>> round(NormalNll()(torch.zeros(1, 2, 1, 1), torch.zeros(1, 1, 1), cells).item(), 4)
    0.9189
    """

    likelihood: Likelihood = "nll"

    def __call__(self, output: Tensor, target: Tensor, cells: Cells) -> Tensor:
        """Return the loss of every sample and cell."""
        mean, log_variance = self.split(output)
        squared = (target - mean) ** 2 * (-log_variance).exp()
        return 0.5 * (math.log(2 * math.pi) + log_variance + squared)
