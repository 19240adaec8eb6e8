"""The quantity of a network's answer that explanations ask about, as a module of its own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from models._layout import Layout
from pipeline.prediction import Prediction
from pipeline.training.losses import Loss
from pipeline.training.randomness import seeded


class Explained(nn.Module):
    """A quantity of the answer on the target grid; out of place, so that gradients reach the inputs.

    It is the mean, or the probabilities of classes, unless ``quantity`` says which part of the prediction. A network
    that draws noise draws the same from ``seed`` at every call, so that two calls compare.
    """

    cells: Tensor

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        layout: Layout,
        order: list[int] | None,
        seed: int | None,
        quantity: Callable[[Prediction], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.network, self._loss, self._order, self._shape = network, loss, order, layout.mask.shape
        self._seed, self._quantity = seed, quantity
        self.register_buffer("cells", torch.as_tensor(layout.mask).flatten().nonzero()[:, 0])

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (time, channel, lat, lon) to (time, target, lat, lon), with classes to (time, class, lat, lon)."""
        ordered = inputs if self._order is None else inputs[:, self._order]
        with nullcontext() if self._seed is None else seeded(self._seed, str(inputs.device)):
            output = self.network(ordered)
        if self._quantity is None:
            asked = self._loss.explained(output)
        else:
            asked = self._quantity(Prediction(self._loss.family, self._loss.distribution(output)))
        empty = asked.new_zeros(*asked.shape[:2], self._shape[0] * self._shape[1])
        return empty.index_copy(2, self.cells, asked).reshape(*asked.shape[:2], *self._shape)
