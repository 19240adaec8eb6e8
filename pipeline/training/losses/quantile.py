"""Pinball loss of quantiles that cannot cross."""

from __future__ import annotations

from itertools import pairwise
from statistics import NormalDist
from typing import ClassVar

import torch
from pydantic import Field, field_validator
from torch import Tensor
from torch.nn.functional import softplus

from pipeline.model_config import ModelConfig
from pipeline.prediction.quantiles import from_quantiles, levels
from pipeline.training.losses import LOSSES, Cells, Loss

ONE = 0.5413248546129181
"""``log(e - 1)``: where a softplus is 1."""


class QuantileConfig(ModelConfig):
    """Options of the loss of quantiles."""

    count: int = Field(
        default=39,
        ge=3,
        le=199,
        description="Quantiles at the levels i / (count + 1), an odd number; 39 has 0.025, 0.05, ..., 0.975.",
    )

    @field_validator("count")
    @classmethod
    def _has_a_middle(cls, count: int) -> int:
        if count % 2 == 0:
            raise ValueError(f"expected an odd number, so that the median is one of them, got {count}")
        return count


@LOSSES.register("quantile")
class Quantile(Loss):
    """Mean over the levels of twice the pinball loss, ``2 max(p (y - q), (p - 1)(y - q))``; about the CRPS.

    No shape is presumed. The network answers the median and the steps from there outward, each through a softplus
    and in units of that step of a standard normal distribution: an answer of zeros is that distribution, and
    quantiles never cross. Take it where errors are skew or bounded; elsewhere ``normal_nll`` needs fewer numbers.
    Of precipitation the quantiles of dry days come near zero but mostly not onto it; ``bernoulli_gamma_nll``
    knows how likely a dry day is.

    References
    ----------
    Koenker and Bassett (1978), doi:10.2307/1913643; as an approximation of the CRPS Laio and Tamea (2007),
    doi:10.5194/hess-11-1267-2007.

    Examples
    --------
    >>> loss = Quantile(QuantileConfig(count=3))
    >>> loss.parameters
    ('median', 'below_1', 'above_1')
    >>> loss.distribution(torch.zeros(1, 3, 1, 1))["quantiles"].flatten().tolist()[1:]
    [0.0, 0.6744897365570068]
    """

    Config: ClassVar[type[ModelConfig]] = QuantileConfig
    family = "quantiles"

    def __init__(self, config: ModelConfig | None = None) -> None:
        super().__init__(config)
        steps = range(1, self.config.count // 2 + 1)
        self.parameters = ("median", *(f"{side}_{step}" for side in ("below", "above") for step in steps))
        self.locations = ("median",)
        self._levels = levels(self.config.count).tolist()
        normal = [NormalDist().inv_cdf(level) for level in self._levels[self.config.count // 2 :]]
        self._steps = [high - low for low, high in pairwise(normal)]

    def __call__(self, output: Tensor, target: Tensor, cells: Cells) -> Tensor:
        """Return the loss of every sample and cell."""
        error = target[:, None] - self._quantiles(output)
        level = error.new_tensor(self._levels)[:, None, None]
        return 2 * torch.maximum(level * error, (level - 1) * error).mean(dim=1)

    def distribution(self, output: Tensor) -> dict[str, Tensor]:
        """Return ``quantiles``, shape (quantile, time, target, cell), with both ends and their mean."""
        return from_quantiles(self._quantiles(output).movedim(1, 0))

    def mean(self, output: Tensor) -> Tensor:
        """Return the mean of the distribution."""
        return self.distribution(output)["centre"][0]

    def _quantiles(self, output: Tensor) -> Tensor:
        """Return the quantiles, shape (time, quantile, target, cell)."""
        median, unit = output[:, :1], output.new_tensor(self._steps)[:, None, None]
        below, above = ((softplus(part + ONE) * unit).cumsum(dim=1) for part in output[:, 1:].chunk(2, dim=1))
        return torch.cat([median - below.flip(1), median, median + above], dim=1)
