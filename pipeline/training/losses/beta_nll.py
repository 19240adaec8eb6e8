"""Negative log likelihood whose gradient does not starve the mean where the variance is large."""

from __future__ import annotations

from torch import Tensor

from pipeline.training.losses import LOSSES
from pipeline.training.losses.normal_nll import NormalNll

BETA = 0.5


@LOSSES.register("beta_nll")
class BetaNll(NormalNll):
    """Normal log likelihood times ``s^(2 beta)`` held constant, beta = 0.5.

    With beta 0 it is the likelihood itself; with beta 1 the mean learns as under squared error.
    Its value is no proper score: choose epochs by it, compare models by their CRPS.

    References
    ----------
    Seitzer et al. (2022), On the pitfalls of heteroscedastic uncertainty estimation with
    probabilistic neural networks, arXiv:2203.09168.
    """

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of every sample and cell."""
        _, log_variance = self.split(output)
        return super().__call__(output, target) * (BETA * log_variance.detach()).exp()
