"""Losses: one file a loss, one registration a name.

A loss owns the meaning of a network's output: how many numbers a cell needs, what they are, and
which predictive distribution they make. A new head is a new file here; networks and loop stay as
they are::

    @LOSSES.register("mse")
    class MeanSquaredError(Loss):
        parameters = ("mean",)
        family = "point"

        def __call__(self, output, target, cells):
            return (output[:, 0] - target) ** 2

        def distribution(self, output):
            return {"mean": output[:, 0]}

Losses of a segmentation read one logit a class, have ``of_classes = True`` and take ``classes``.
:func:`make_loss` makes one from a name, a name with options, or a weighted list of such.
"""

from pipeline.training.losses._contract import LOSSES, Cells, Loss, Place
from pipeline.training.losses._labels import check_labels
from pipeline.training.losses._spec import LossSpec, check_task, default_loss, describe, make_loss

__all__ = [
    "LOSSES", "Cells", "Loss", "LossSpec", "Place",
    "check_labels", "check_task", "default_loss", "describe", "make_loss",
]  # fmt: skip
