"""Losses: one file a loss, one registration a name.

A loss owns the meaning of a network's output: how many numbers a cell needs, what they are, and
which predictive distribution they make. A new head is a new file here; networks and loop stay as
they are::

    @LOSSES.register("mse")
    class MeanSquaredError:
        parameters = ("mean",)
        family = "point"

        def __call__(self, output, target):
            return (output[:, 0] - target) ** 2

        def distribution(self, output):
            return {"mean": output[:, 0]}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from pipeline.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor


class Loss(Protocol):
    """What is made small, and what the network's output means.

    Class attributes
    ----------------
    parameters : tuple of str
        What the network answers at every cell, in order; the first one leads to the mean.
    family : str
        Name in ``pipeline.prediction.FAMILIES`` of the distribution they make.
    """

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of what the network answers at every cell."""

    @property
    def family(self) -> str:
        """Name of the prediction family."""

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of every sample and cell, shape (time, target, cell).

        Parameters
        ----------
        output : Tensor, shape (time, parameter, target, cell)
            What the network answered; float32.
        target : Tensor, shape (time, target, cell)
            The truth, finite: the loop fills missing cells and leaves them out of the sum.
        """

    def distribution(self, output: Tensor) -> dict[str, Tensor]:
        """Return the family's parameters, each of shape (time, target, cell), ``mean`` among them."""


LOSSES: Registry[Any] = Registry("loss", "pipeline.training.losses")
"""Classes without arguments whose objects are a :class:`Loss`."""
