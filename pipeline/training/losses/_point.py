"""The head shared by losses whose network answers a single value."""

from __future__ import annotations

from torch import Tensor

from pipeline.training.losses import Loss


class PointLoss(Loss):
    """One number at every cell: a point forecast. Which point of the distribution it is, the loss decides."""

    parameters = ("mean",)
    family = "point"

    def distribution(self, output: Tensor) -> dict[str, Tensor]:
        """Return ``mean``."""
        return {"mean": output[:, 0]}
