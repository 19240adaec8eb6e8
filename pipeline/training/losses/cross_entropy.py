"""Cross-entropy: the negative log likelihood of classes."""

from __future__ import annotations

from torch import Tensor

from pipeline.training.losses import LOSSES, Cells
from pipeline.training.losses._weights import WeightedClassLoss


@LOSSES.register("cross_entropy")
class CrossEntropy(WeightedClassLoss):
    """``-w_y log p_y`` [nat], with p the softmax of the logits at the true class y, and w its weight.

    Without weights a proper score: least for the true probabilities. With them it is least for
    ``p w / sum p w``: probabilities lean towards rare classes, and so does the most likely class.

    Examples
    --------
    >>> import torch
    >>> from pipeline.training.losses import Place
    >>> place = Place(area=torch.ones(1), index=torch.arange(1), shape=(1, 1))
    >>> cells = place.cells(torch.ones(1, 1, 1, dtype=torch.bool))
    >>> loss = CrossEntropy(classes=("sea", "ice"))
    >>> round(loss(torch.zeros(1, 2, 1, 1), torch.zeros(1, 1, 1), cells).item(), 4)
    0.6931
    """

    likelihood = "nll"

    def __call__(self, output: Tensor, target: Tensor, cells: Cells) -> Tensor:
        """Return the loss of every sample and cell."""
        logs, weight = self.picked(output, target)
        return -weight * logs
