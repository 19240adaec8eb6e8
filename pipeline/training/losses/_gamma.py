"""Gamma distributions by maximum likelihood, all cells at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

STEPS = 8  # the first leaves 1.5 % at most, every further one squares what is left
BLOCK = 512  # days at once in float64: memory, not result


@dataclass(frozen=True, eq=False)
class GammaSums:
    """What the likelihood of a gamma distribution needs of its data.

    Parameters
    ----------
    count, total, logarithms : Tensor of float64, shape (target, cell)
        Number of values, their sum, and the sum of their logarithms.
    """

    count: Tensor
    total: Tensor
    logarithms: Tensor

    @classmethod
    def of(cls, values: Tensor, chosen: Tensor) -> GammaSums:
        """Return the sums along time over ``values``, (time, target, cell), where ``chosen``; positive there."""
        return cls.over(zip(torch.split(values, BLOCK), torch.split(chosen, BLOCK), strict=True))

    @classmethod
    def over(cls, blocks: Iterable[tuple[Tensor, Tensor]]) -> GammaSums:
        """Return the same of values that come in blocks of days, each with which of them are chosen."""
        count = total = logarithms = torch.zeros((), dtype=torch.float64)
        for part, there in blocks:
            if not count.ndim:
                count = total = logarithms = torch.zeros(part.shape[1:], dtype=torch.float64, device=part.device)
            amount = torch.where(there, part, 1.0).double()
            count = count + there.sum(dim=0)
            total = total + torch.where(there, amount, 0.0).sum(dim=0)
            logarithms = logarithms + amount.log().sum(dim=0)
        return cls(count, total, logarithms)

    def pooled(self) -> GammaSums:
        """Return the sums over all cells of each target, shape (target, 1)."""
        return GammaSums(*(part.sum(-1, keepdim=True) for part in (self.count, self.total, self.logarithms)))

    def estimate(self) -> tuple[Tensor, Tensor]:
        """Return shape and scale of largest likelihood; NaN where there are fewer than two different values.

        ``log k - digamma(k) = log(mean) - mean(log)`` is solved from the closed approximation
        ``k = (3 - s + sqrt((s - 3)^2 + 24 s)) / (12 s)`` by Newton steps in 1/k; the scale is ``mean / k``.

        References
        ----------
        Minka (2002), Estimating a gamma distribution, Microsoft Research technical report, for both.
        """
        mean, log_mean = self.total / self.count, self.logarithms / self.count
        gap = mean.log() - log_mean
        gap = torch.where(gap > 1e-12, gap, torch.nan)  # equal values have no shape
        k = (3 - gap + ((gap - 3) ** 2 + 24 * gap).sqrt()) / (12 * gap)
        for _ in range(STEPS):
            slope = k * k * (1 / k - torch.polygamma(1, k))
            k = 1 / (1 / k + (k.log() - torch.digamma(k) - gap) / slope)
        return k, mean / k
