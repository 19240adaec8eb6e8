"""Mean squared error: a point forecast of the mean.

Source: Gneiting (2011), Making and evaluating point forecasts, doi:10.1198/jasa.2011.r10138.
"""

from __future__ import annotations

from torch import Tensor

from pipeline.training.losses import LOSSES, Cells
from pipeline.training.losses._point import PointLoss


@LOSSES.register("mse")
class MeanSquaredError(PointLoss):
    """``(y - m)^2``, in units of the standardised target squared."""

    likelihood = "square"

    def __call__(self, output: Tensor, target: Tensor, cells: Cells) -> Tensor:
        """Return the loss of every sample and cell."""
        return (output[:, 0] - target) ** 2
