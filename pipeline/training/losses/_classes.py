"""The head shared by the losses of a segmentation: one logit for each class."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from pipeline.model_config import ModelConfig
from pipeline.training.losses import Cells, Loss, check_labels
from pipeline.training.losses._labels import BLOCK


class ClassLoss(Loss):
    """Logits at every cell, one a class: a categorical distribution by their softmax.

    The target holds the number of the class, 0, 1, ..., in the order of ``classes``. A loss gets logits and
    takes their softmax itself, once; no network ends in one.

    Parameters
    ----------
    config : ModelConfig, optional
        Options.
    classes : sequence of str or int
        Names of the classes, or how many there are. Without any the loss can be looked at, as a YAML is
        checked before data are read, and not be trained on.
    """

    family = "categorical"
    of_classes = True

    def __init__(self, config: ModelConfig | None = None, classes: Sequence[str] | int = ()) -> None:
        super().__init__(config)
        self.classes = tuple(f"class {k}" for k in range(classes)) if isinstance(classes, int) else tuple(classes)
        self.parameters = tuple(f"logit_{number:02d}" for number in range(len(self.classes)))

    def fit(self, target: Tensor, cells: Cells) -> None:
        """Refuse labels that are no number of a class.

        Raises
        ------
        DataError
            If there are any.
        """
        check_labels(target, self.classes)

    def distribution(self, output: Tensor) -> dict[str, Tensor]:
        """Return ``probabilities``, shape (class, time, target, cell)."""
        return {"probabilities": output.softmax(dim=1).movedim(1, 0)}

    def mean(self, output: Tensor) -> Tensor:
        """Return the number of the most likely class, shape (time, target, cell); it has no gradient."""
        return output.argmax(dim=1).to(output.dtype)

    def explained(self, output: Tensor) -> Tensor:
        """Return the probabilities, shape (time, class, cell); with several targets class by class."""
        return output.softmax(dim=1).flatten(1, 2)


class RegionLoss(ClassLoss):
    """One minus the mean over classes of how well each one's region is covered.

    With p the softmax and t the truth, 1 in the cells of a class and 0 elsewhere, ``sum p t``, ``sum p`` and
    ``sum t`` run over all known cells of the whole batch, by area and in float64. A class counts where the batch
    has it: without any cell of it there is nothing to cover, a score would be 0 whatever the network says, and it
    is left out of the mean. What is wrongly given to it is missing from the others. So nothing is divided by
    zero, and no constant is added to the sums.

    The loss is one of a batch: it changes with ``batch_size``, and rare classes want batches that
    have them. It is the same number for all samples of a batch, shape (time, target, 1).
    """

    def __call__(self, output: Tensor, target: Tensor, cells: Cells) -> Tensor:
        """Return the loss of the batch."""
        weight = (cells.known * cells.area)[:, None].to(output.dtype)
        numbers = torch.arange(output.shape[1], device=output.device)[None, :, None, None]
        chance = output.softmax(dim=1) * weight
        there = (target[:, None] == numbers) * weight
        truth = there.sum((0, 3), dtype=torch.float64)  # class, target
        both = torch.where(there > 0, chance, 0.0).sum((0, 3), dtype=torch.float64)
        present = truth > 0
        score = self.cover(both, chance.sum((0, 3), dtype=torch.float64), torch.where(present, truth, 1.0))
        mean = torch.where(present, score, 0.0).sum(0) / present.sum(0).clamp(min=1)
        # A target without any known cell has no loss; the loop gives it no weight.
        loss = torch.where(present.any(0), 1.0 - mean, 0.0).to(output.dtype)
        return loss[None, :, None].expand(len(target), -1, 1)

    @abstractmethod
    def cover(self, both: Tensor, forecast: Tensor, truth: Tensor) -> Tensor:
        """Return the score of every class and target, 1 at best.

        Parameters
        ----------
        both, forecast, truth : Tensor of float64, shape (class, target)
            ``sum p t``, ``sum p`` and ``sum t``; the last one positive.
        """


def shares(target: Tensor, cells: Cells, count: int) -> Tensor:
    """Return the share of each class in the known cells of ``target`` by area, float64, shape (class,)."""
    found = torch.zeros(count, target.shape[-1], dtype=torch.float64, device=target.device)
    for start in range(0, len(target), BLOCK):
        part, known = target[start : start + BLOCK], cells.known[start : start + BLOCK]
        for number in range(count):
            found[number] += ((part == number) & known).sum((0, 1), dtype=torch.float64)
    area = found @ cells.area.double()
    return area / area.sum()
