"""Negative log likelihood of a mixture of normals with weights: a mixture density network.

Source: Bishop (1994), Mixture density networks, https://publications.aston.ac.uk/id/eprint/373/.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from pipeline.model_config import ModelConfig
from pipeline.training.losses import LOSSES, Cells, Loss
from pipeline.training.losses._normal import LOG_VARIANCE_LIMIT


class MixtureNllConfig(ModelConfig):
    """Options of the likelihood of a mixture."""

    components: int = Field(default=3, ge=2, le=20, description="Normal distributions that are mixed at every cell.")


@LOSSES.register("mixture_nll")
class MixtureNll(Loss):
    """``-log sum_k w_k N(y; m_k, s_k^2)`` [nat]: skew distributions, and such of several peaks.

    The network answers logits of the weights, means and log variances, kept in the bounds of ``normal_nll``. An answer
    of zeros is no single point, from which all components would learn the same: their means start at quantiles of
    the standard normal distribution, so narrow that together they have its variance.

    References
    ----------
    Bishop (1994), Mixture density networks, Technical Report NCRG/94/004, Aston University.

    Examples
    --------
    >>> loss = MixtureNll(MixtureNllConfig(components=2))
    >>> loss.parameters
    ('logit_1', 'logit_2', 'mean_1', 'mean_2', 'log_variance_1', 'log_variance_2')
    >>> start = loss.distribution(torch.zeros(1, 6, 1, 1))
    >>> {name: start[name].flatten().numpy().round(3).tolist() for name in ("weight", "centre")}
    {'weight': [0.5, 0.5], 'centre': [0.0]}
    """

    Config: ClassVar[type[ModelConfig]] = MixtureNllConfig
    family = "weighted_mixture"
    likelihood = "nll"

    def __init__(self, config: ModelConfig | None = None) -> None:
        super().__init__(config)
        count: int = self.config.components
        logits, means, variances = (
            tuple(f"{name}_{number}" for number in range(1, count + 1)) for name in ("logit", "mean", "log_variance")
        )
        self.parameters, self.locations = (*logits, *means, *variances), means
        self._start = [NormalDist().inv_cdf((number + 0.5) / count) for number in range(count)]
        self._log_variance = math.log(1.0 - math.fsum(start * start for start in self._start) / count)

    def __call__(self, output: Tensor, target: Tensor, cells: Cells) -> Tensor:
        """Return the loss of every sample and cell."""
        log_weight, mean, log_variance = self._split(output)
        squared = (target[:, None] - mean) ** 2 * (-log_variance).exp()
        logs = log_weight - 0.5 * (math.log(2 * math.pi) + log_variance + squared)
        return -logs.logsumexp(dim=1)

    def distribution(self, output: Tensor) -> dict[str, Tensor]:
        """Return ``weight``, ``mean`` and ``sd``, shape (component, time, target, cell), and ``centre``."""
        log_weight, mean, log_variance = (part.movedim(1, 0) for part in self._split(output))
        centre = self.mean(output)[None]
        return {"weight": log_weight.exp(), "mean": mean, "sd": (0.5 * log_variance).exp(), "centre": centre}

    def mean(self, output: Tensor) -> Tensor:
        """Return the weighted mean of the means."""
        log_weight, mean, _ = self._split(output)
        return (log_weight.exp() * mean).sum(dim=1)

    def _split(self, output: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return log weights, means and log variances, each (time, component, target, cell)."""
        logit, mean, log_variance = output.chunk(3, dim=1)
        start = mean.new_tensor(self._start)[:, None, None]
        bounded = (log_variance + self._log_variance).clamp(-LOG_VARIANCE_LIMIT, LOG_VARIANCE_LIMIT)
        return torch.log_softmax(logit, dim=1), mean + start, bounded
