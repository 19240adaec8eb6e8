"""A fitted network with the head of its loss as one module: from samples to the parameters of their distribution."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from models._layout import Layout
from pipeline.errors import TraitError
from pipeline.prediction import FAMILIES, Prediction
from pipeline.samples import Samples
from pipeline.training.losses import Loss


class Answer(nn.Module):
    """What :meth:`pipeline.model.Model.predict` does of a network, without batches, devices and memory.

    Attributes
    ----------
    family : str
        Of the predictive distribution.
    """

    cells: Tensor
    least: Tensor | None

    def __init__(self, network: nn.Module, loss: Loss, layout: Layout, order: list[int] | None, held: bool) -> None:
        super().__init__()
        self.network, self._loss, self._order, self._shape = network.eval(), loss, order, layout.mask.shape
        self.family = loss.family
        self.register_buffer("cells", torch.as_tensor(layout.mask).flatten().nonzero()[:, 0])
        least = None if held else layout.least
        self.register_buffer("least", None if least is None else torch.as_tensor(least))

    @classmethod
    def of(cls, model: Any, samples: Samples) -> Answer:
        """Return that of a fitted :class:`~models._deep.DeepModel` for channels as ``samples`` have them.

        Raises
        ------
        TraitError
            If the network draws random numbers: an exported graph could not draw the same ones.
        """
        if model._draws:
            raise TraitError(
                f"{type(model).__name__} draws its members from random numbers of its own, which no exported graph "
                "draws alike. Take --format native for it."
            )
        constrained = model.config.constraint is not None
        return cls(model._network, model._loss, model._layout, model._layout.order(samples), constrained)

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Map (time, channel, lat, lon) to the family's parameters, each (..., time, target, lat, lon)."""
        ordered = inputs if self._order is None else inputs[:, self._order]
        parts = self._loss.distribution(self.network(ordered).float())
        said = Prediction(self.family, {name: self._maps(part) for name, part in parts.items()})
        if self.least is not None:
            said = said.at_least(self.least)
        return tuple(said.parameters[name] for name in FAMILIES.get(self.family).parameters)

    def _maps(self, cells: Tensor) -> Tensor:
        rows, columns = self._shape
        empty = cells.new_full((*cells.shape[:-1], rows * columns), torch.nan)
        return empty.index_copy(cells.ndim - 1, self.cells, cells).reshape(*cells.shape[:-1], rows, columns)
