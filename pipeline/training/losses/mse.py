"""Mean squared error: a point forecast of the mean."""

from __future__ import annotations

from torch import Tensor

from pipeline.training.losses import LOSSES


@LOSSES.register("mse")
class MeanSquaredError:
    """``(y - m)^2``, in units of the standardised target squared."""

    parameters = ("mean",)
    family = "point"

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of every sample and cell."""
        return (output[:, 0] - target) ** 2

    def distribution(self, output: Tensor) -> dict[str, Tensor]:
        """Return ``mean``."""
        return {"mean": output[:, 0]}
