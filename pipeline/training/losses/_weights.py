"""Weights of classes, from their shares in the train split."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from pipeline.errors import ConfigError, DataError
from pipeline.model_config import ModelConfig
from pipeline.training.losses import Cells
from pipeline.training.losses._classes import ClassLoss, shares

log = logging.getLogger(__name__)

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class WeightsConfig(ModelConfig):
    """Options of every loss that weights classes."""

    weights: Literal["none", "inverse", "inverse_sqrt"] | tuple[Weight, ...] = Field(
        default="none",
        description="Of the classes: one over their share of the train split, or over its root, or a list; in "
        "proportion, since their mean over cells is made 1.",
    )


class WeightedClassLoss(ClassLoss):
    """A loss of single cells that counts by the weight of the cell's class.

    ``inverse`` gives every class the same say, ``inverse_sqrt`` lies between that and none. Shares are those of
    the train split by area. Weights are scaled so that ``sum share * weight`` is 1: the loss of a network that is as
    wrong everywhere does not change, and one learning rate suits all weightings. With ``inverse`` and
    ``inverse_sqrt`` a class that the train split never has gets weight 0, with a warning: it cannot be learned.

    References
    ----------
    Kurth et al. (2018), Exascale deep learning for climate analytics, doi:10.1109/SC.2018.00054, for
    ``inverse_sqrt``.
    """

    Config: ClassVar[type[ModelConfig]] = WeightsConfig

    def __init__(self, config: ModelConfig | None = None, classes: Sequence[str] | int = ()) -> None:
        super().__init__(config, classes)
        given = self.config.weights
        if self.classes and not isinstance(given, str) and len(given) != len(self.classes):
            raise ConfigError(
                f"weights: expected {len(self.classes)} numbers, one for each of the classes {', '.join(self.classes)} "
                f"(also for one that the train split never has), got {list(given)!r}."
            )
        self.weights = torch.ones(len(self.classes))

    def fit(self, target: Tensor, cells: Cells) -> None:
        """Take the weights from the train split.

        Raises
        ------
        DataError
            If labels are no numbers of classes, or all classes there have weight 0.
        """
        super().fit(target, cells)
        share = shares(target, cells, len(self.classes))
        weight = self._relative(share)
        total = float((share * weight).sum())
        if not total > 0:
            raise DataError(
                f"weights: expected a positive weight for one of the classes that the train split has, got "
                f"{list(self.config.weights)!r} for {', '.join(self.classes)} with the shares "
                f"{', '.join(f'{part:.3g}' for part in share.tolist())}."
            )
        self.weights = (weight / total).to(target.dtype)

    def _relative(self, share: Tensor) -> Tensor:
        given = self.config.weights
        if given == "none":
            return torch.ones_like(share)
        if not isinstance(given, str):
            return torch.tensor(given, dtype=share.dtype, device=share.device)
        absent = [name for name, part in zip(self.classes, share.tolist(), strict=True) if part == 0]
        if absent:
            log.warning(
                "weights: the train split never has the class %s, whose weight is 0; no model learns it.",
                ", ".join(absent),
            )
        power = 1.0 if given == "inverse" else 0.5
        return torch.where(share > 0, torch.where(share > 0, share, 1.0) ** -power, 0.0)

    def picked(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log probability of the true class and that class's weight, each (time, target, cell)."""
        number = target.long()
        logs = output.log_softmax(dim=1).gather(1, number[:, None])[:, 0]
        return logs, self.weights.to(output)[number]
