"""The head shared by the losses of a normal distribution."""

from __future__ import annotations

from torch import Tensor

from pipeline.training.losses import Loss

LOG_VARIANCE_LIMIT = 10.0
"""Log variances are kept in [-10, 10]: in standardised units far outside of what data can ask for,
and close enough that no weight of ``exp(-log_variance)`` overflows in float32."""


class NormalLoss(Loss):
    """Mean and log variance at every cell; a normal distribution.

    References
    ----------
    Nix and Weigend (1994), doi:10.1109/ICNN.1994.374138.
    """

    parameters = ("mean", "log_variance")
    family = "normal"

    def split(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and clamped log variance, each (time, target, cell)."""
        return output[:, 0], output[:, 1].clamp(-LOG_VARIANCE_LIMIT, LOG_VARIANCE_LIMIT)

    def distribution(self, output: Tensor) -> dict[str, Tensor]:
        """Return ``mean`` and ``sd``."""
        mean, log_variance = self.split(output)
        return {"mean": mean, "sd": (0.5 * log_variance).exp()}
